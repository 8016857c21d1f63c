/* archive/flatten.c - see flatten.h. One image from its first layer to the end of its tar: the layers, and which reading they are in. */
#include "archive/flatten_internal.h"

#define BYTES_MAX (64ull << 30)
#define PATH_MAX_BYTES (DV_UNPACK_PATH_MAX + 2)

int dv_flatten_new(const dv_flatten_options *options, dv_flatten **out, davit_error **err)
{
    DV_AUTOPTR(dv_flatten) f = dv_new(dv_flatten);
    if (!f)
        return dv_error_oom(err);
    f->max_bytes = options && options->max_bytes ? options->max_bytes : BYTES_MAX;
    f->output.path.max = f->output.link.max = PATH_MAX_BYTES;
    f->root_name = dv_strdup(options && options->root_name ? options->root_name : "/");
    int r = f->root_name ? dv_flat_tree_init(&f->tree, err) : dv_error_oom(err);
    if (r < 0)
        return r;
    f->tree.xattrs = options ? options->xattrs : NULL;
    *out = DV_STEAL(f);
    return 0;
}

void dv_flatten_free(dv_flatten *f)
{
    if (!f)
        return;
    dv_tar_reader_free(f->reader);
    dv_flatten_output_clear(&f->output);
    dv_flat_tree_clear(&f->tree);
    free(f->what);
    free(f->root_name);
    free(f);
}

const dv_flatten_report *dv_flatten_get_report(const dv_flatten *f)
{
    return &f->report;
}

/* --- layers ---------------------------------------------------------------------------------------------------------- */

static int layer_write(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    dv_flatten *f = (dv_flatten *)s;
    int r = dv_sink_write(dv_tar_reader_sink(f->reader), bytes, size, err);
    return r < 0 ? dv_error_wrap(err, r, "layer %s", f->what) : 0;
}

static int layer_finish(dv_sink *s, davit_error **err)
{
    dv_flatten *f = (dv_flatten *)s;
    int r = dv_sink_finish(dv_tar_reader_sink(f->reader), err);
    if (r == 0 && !f->output.to)
        dv_flatten_end_layer(f);
    return r < 0 ? dv_error_wrap(err, r, "layer %s", f->what) : 0;
}

static int begin_layer(dv_flatten *f, const dv_tar_handler *handler, const char *what, dv_sink **out,
                       davit_error **err)
{
    DV_AUTOPTR(dv_tar_reader) reader = NULL;
    DV_AUTOFREE char *copy = dv_strdup(what);
    if (!copy)
        return dv_error_oom(err);
    int r = dv_tar_reader_new(handler, f, &reader, err);
    if (r < 0)
        return r;
    dv_tar_reader_free(f->reader);
    free(f->what);
    f->reader = DV_STEAL(reader);
    f->what = DV_STEAL(copy);
    f->sink = (dv_sink){.write = layer_write, .finish = layer_finish};
    *out = &f->sink;
    return 0;
}

int dv_flatten_read(dv_flatten *f, const char *what, dv_sink **out, davit_error **err)
{
    if (f->layer_count >= DV_FLATTEN_LAYERS_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "image has more than %d layers", DV_FLATTEN_LAYERS_MAX);
    int r = begin_layer(f, &dv_flatten_reading, what, out, err);
    if (r < 0)
        return r;
    f->first_entries[f->layer_count++] = f->entry;
    f->tree.layer = (uint16_t)f->layer_count;
    return 0;
}

bool dv_flatten_wants(const dv_flatten *f, size_t layer)
{
    return layer < f->layer_count && f->wanted[layer];
}

int dv_flatten_write(dv_flatten *f, size_t layer, const char *what, dv_sink **out, davit_error **err)
{
    int r = begin_layer(f, &dv_flatten_writing, what, out, err);
    if (r == 0)
        f->entry = f->first_entries[layer];
    return r;
}

/* distribution/save_tar.c - the files of an archive as tar, checked while they pass. */
#include "distribution/save_private.h"

#include "archive/tar.h"
#include "distribution/layer_read.h"

#include <string.h>

#define TELL_EVERY (4u << 20) /* bytes between two counts of the progress */
#define TELL_FROM (1u << 20)  /* bytes of a file that is told of */

/* --- lists ---------------------------------------------------------------------------------------------------------------------- */

void dv_save_list_clear(dv_save_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->items[i].name);
        free(list->items[i].bytes);
    }
    free(list->items);
    *list = (dv_save_list){0};
}

int dv_save_list_add(dv_save_list *list, const char *name, const void *bytes, const dv_save_entry *entry,
                     davit_error **err)
{
    dv_save_entry *e = dv_list_place(&list->items, list->count, sizeof(*e));
    if (!e)
        return dv_error_oom(err);
    *e = *entry;
    e->order = list->count;
    e->name = dv_strdup(name);
    e->bytes = bytes ? dv_memdup(bytes, (size_t)entry->size) : NULL;
    list->count++;
    return e->name && (e->bytes || !bytes) ? 0 : dv_error_oom(err);
}

static int by_name(const void *a, const void *b)
{
    const dv_save_entry *x = a, *y = b;
    int r = strcmp(x->name, y->name);
    return r ? r : (x->order > y->order) - (x->order < y->order);
}

void dv_save_list_sort(dv_save_list *list)
{
    size_t kept = 0;
    if (list->count > 0)
        qsort(list->items, list->count, sizeof(*list->items), by_name);
    for (size_t i = 0; i < list->count; i++) {
        dv_save_entry *e = &list->items[i];
        if (kept > 0 && strcmp(list->items[kept - 1].name, e->name) == 0) {
            free(e->name);
            free(e->bytes);
        } else {
            list->items[kept++] = *e;
        }
    }
    list->count = kept;
}

/* --- the stream ------------------------------------------------------------------------------------------------------------------ */

/* Where the archive goes, with what is told of the file that passes. */
typedef struct output {
    dv_sink sink;
    const dv_save *save;
    const dv_save_entry *entry; /* NULL: a header or padding */
    uint64_t passed, told;
} output;

static void tell(output *o)
{
    const davit_save_options *options = o->save->options;
    const dv_save_entry *e = o->entry;
    char id[13] = "";
    if (!e || !options->progress || e->size < TELL_FROM ||
        (o->passed < e->size && o->passed - o->told < TELL_EVERY))
        return;
    o->told = o->passed;
    const char *hex = strrchr(e->name, '/');
    strncat(id, hex ? hex + 1 : e->name, sizeof(id) - 1);
    options->progress(&(davit_progress){.kind = DAVIT_PROGRESS_LAYER,
                                        .id = id,
                                        .action = "Saving layer",
                                        .current = o->passed,
                                        .total = e->size,
                                        .has_counts = true},
                      options->user_data);
}

static int write_out(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    output *o = (output *)s;
    int r = o->save->write(bytes, size, o->save->write_data);
    if (r != 0)
        return dv_error_set(err, r < 0 ? r : DAVIT_EIO, "cannot write the archive");
    o->passed += size;
    tell(o);
    return 0;
}

static int finish(dv_sink *s, davit_error **err)
{
    (void)s, (void)err;
    return 0;
}

/* The size stands in the header already, so what has another would break everything behind it. */
static int check_size(const dv_save_entry *e, uint64_t passed, davit_error **err)
{
    if (passed == e->size)
        return 0;
    return dv_error_set(err, DAVIT_EDIGEST, "blob %s changed while it was saved", e->blob.text);
}

static int write_layer(const dv_save *s, const dv_save_entry *e, const davit_descriptor *blob, dv_sink *to,
                       davit_error **err)
{
    dv_layer_facts facts;
    int r = dv_layer_read(s->client, s->store, blob, to, &facts, err);
    if (r == 0 && !davit_digest_equal(&facts.diff_id, &e->diff_id))
        r = dv_error_set(err, DAVIT_EDIGEST, "layer %s: its content is %s, and the image says %s",
                         e->blob.text, facts.diff_id.text, e->diff_id.text);
    return r;
}

static int write_data(const dv_save *s, const dv_save_entry *e, output *o, davit_error **err)
{
    const davit_descriptor blob = {.media_type = "", .digest = e->blob, .size = e->blob_size};
    if (e->bytes)
        return dv_sink_write(&o->sink, e->bytes, (size_t)e->size, err);
    int r = e->diff_id.algorithm ? write_layer(s, e, &blob, &o->sink, err)
                                 : dv_blob_copy(s->client, s->store, &blob, &o->sink, err);
    return r < 0 ? r : check_size(e, o->passed, err);
}

static int write_entry(const dv_save *s, const dv_save_entry *e, output *o, davit_error **err)
{
    const dv_tar_entry header = {.type = DV_TAR_FILE,
                                 .name = e->name,
                                 .link = "",
                                 .size = e->size,
                                 .mode = 0644,
                                 .mtime = {.s = e->mtime_s, .set = true}};
    o->entry = NULL;
    int r = dv_tar_write_header(&o->sink, &header, err);
    o->entry = e;
    o->passed = o->told = 0;
    if (r == 0)
        r = write_data(s, e, o, err);
    o->entry = NULL;
    return r < 0 ? r : dv_tar_write_padding(&o->sink, e->size, err);
}

/* "blobs/" and "blobs/sha256/" before the first file in them. */
static int write_directories(const char *name, const char *before, output *o, davit_error **err)
{
    int r = 0;
    o->entry = NULL;
    for (const char *slash = strchr(name, '/'); r == 0 && slash; slash = strchr(slash + 1, '/')) {
        size_t size = (size_t)(slash - name) + 1;
        if (strncmp(name, before, size) == 0)
            continue;
        DV_AUTOFREE char *directory = dv_strndup(name, size);
        if (!directory)
            return dv_error_oom(err);
        const dv_tar_entry header = {.type = DV_TAR_DIRECTORY,
                                     .name = directory,
                                     .link = "",
                                     .mode = 0755,
                                     .mtime = {.s = 0, .set = true}};
        r = dv_tar_write_header(&o->sink, &header, err);
    }
    return r;
}

int dv_save_write(const dv_save *s, const dv_save_list *list, davit_error **err)
{
    output o = {.sink = {.write = write_out, .finish = finish}, .save = s};
    const char *before = "";
    int r = 0;
    for (size_t i = 0; r == 0 && i < list->count; i++) {
        const dv_save_entry *e = &list->items[i];
        r = write_directories(e->name, before, &o, err);
        if (r == 0)
            r = write_entry(s, e, &o, err);
        before = e->name;
    }
    return r < 0 ? r : dv_tar_write_end(&o.sink, err);
}

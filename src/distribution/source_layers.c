/* distribution/source_layers.c - see source_layers.h. */
#include "distribution/source_layers.h"

#include "distribution/stored_image.h"
#include "util/file.h"
#include "util/hash.h"

#include <fcntl.h>
#include <inttypes.h>

#define PIECE (256u << 10) /* bytes read at once: what stays in a core's cache until it is inflated */

struct dv_source_layers {
    dv_source *source;
    const davit_descriptor *layers;
    /* Inflater's: the layer that is read. */
    const davit_descriptor *layer;
    int fd;
    uint64_t first, size; /* its range of the file */
    uint64_t at;          /* bytes of it that were read */
    dv_hash *hash;
    uint8_t *piece;
};

int dv_source_layers_new(dv_source *source, const davit_descriptor *layers, dv_source_layers **out,
                         davit_error **err)
{
    if (!source->ops->open_blob)
        return dv_error_set(err, DAVIT_EUNSUPPORTED, "its layers are not in files");
    DV_AUTOPTR(dv_source_layers) s = dv_new(dv_source_layers);
    if (!s)
        return dv_error_oom(err);
    *s = (dv_source_layers){.source = source, .layers = layers, .fd = -1, .piece = malloc(PIECE)};
    if (!s->piece)
        return dv_error_oom(err);
    *out = DV_STEAL(s);
    return 0;
}

void dv_source_layers_free(dv_source_layers *s)
{
    if (!s)
        return;
    dv_close(&s->fd);
    dv_hash_free(s->hash);
    free(s->piece);
    free(s);
}

/* --- reading --------------------------------------------------------------------------------------------------------- */

static int open_blob(dv_source *source, const davit_descriptor *blob, int *out_fd, uint64_t *out_first,
                     uint64_t *out_size, davit_error **err)
{
    DV_AUTOCLOSE fd = -1;
    int r = source->ops->open_blob(source, blob, &fd, out_first, out_size, err);
    if (r < 0)
        return r;
    if (blob->size != DAVIT_SIZE_UNKNOWN && blob->size != *out_size)
        return dv_error_set(err, DAVIT_EDIGEST,
                            "blob %s is %" PRIu64 " bytes long where its descriptor says %" PRIu64,
                            blob->digest.text, *out_size, blob->size);
    *out_fd = fd;
    fd = -1;
    return 0;
}

static int open_layer(void *user, dv_pipeline *p, size_t layer, davit_error **err)
{
    dv_source_layers *s = user;
    (void)p;
    dv_close(&s->fd);
    dv_hash_free(s->hash);
    s->layer = &s->layers[layer];
    s->at = 0;
    s->hash = dv_hash_new(s->layer->digest.algorithm);
    if (!s->hash)
        return dv_error_oom(err);
    int r = open_blob(s->source, s->layer, &s->fd, &s->first, &s->size, err);
    if (r == 0)
        posix_fadvise(s->fd, (off_t)s->first, (off_t)s->size, POSIX_FADV_SEQUENTIAL);
    return r;
}

static int check_end(dv_source_layers *s, davit_error **err)
{
    davit_digest got;
    dv_hash_final(s->hash, &got);
    if (davit_digest_equal(&got, &s->layer->digest))
        return 0;
    return dv_error_set(err, DAVIT_EDIGEST, "blob %s is damaged at its source: its bytes are %s",
                        s->layer->digest.text, got.text);
}

static int read_layer(void *user, dv_pipeline *p, const void **out, size_t *out_size, davit_error **err)
{
    dv_source_layers *s = user;
    uint64_t left = s->size - s->at;
    size_t wanted = left < PIECE ? (size_t)left : PIECE;
    int r = dv_pipeline_check(p, err);
    if (r == 0 && wanted == 0)
        r = check_end(s, err);
    if (r < 0)
        return r;
    ssize_t n = dv_pread_all(s->fd, s->piece, wanted, s->first + s->at);
    if (n < 0)
        return dv_error_file(err, (int)-n, "cannot read blob %s", s->layer->digest.text);
    if ((size_t)n < wanted)
        return dv_error_set(err, DAVIT_EDIGEST, "blob %s became shorter while it was read",
                            s->layer->digest.text);
    dv_hash_update(s->hash, s->piece, wanted);
    s->at += wanted;
    *out = s->piece;
    *out_size = wanted;
    return 0;
}

dv_layer_input dv_source_layers_input(dv_source_layers *s)
{
    return (dv_layer_input){.user = s, .open = open_layer, .read = read_layer};
}

/* --- what is wrong with one ------------------------------------------------------------------------------------------ */

int dv_source_layers_check(dv_source *source, const davit_descriptor *layers, size_t count, davit_error **err)
{
    for (size_t i = 0; i < count; i++) {
        DV_AUTOCLOSE fd = -1;
        uint64_t first, size;
        int r = open_blob(source, &layers[i], &fd, &first, &size, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int forget(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    (void)s, (void)bytes, (void)size, (void)err;
    return 0;
}

static int forget_end(dv_sink *s, davit_error **err)
{
    (void)s, (void)err;
    return 0;
}

int dv_source_layer_explain(dv_source *source, const davit_descriptor *layer, int r, davit_error **from,
                            davit_error **err)
{
    DV_AUTOPTR(davit_error) damage = NULL;
    dv_sink nowhere = {.write = forget, .finish = forget_end};
    int read = dv_layer_may_be_damaged(r) ? dv_source_read(source, layer, &nowhere, &damage) : 0;
    if (read < 0)
        return dv_error_move(err, &damage, read);
    return dv_stored_image_explain(/* store= */ NULL, layer, r, from, err);
}

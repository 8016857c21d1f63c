/*
 * distribution/source_layout.c - an OCI image layout in a directory (store.md 11). Each file is opened when it is asked for, and only
 * below the directory (threats B2, D2).
 */
#include "distribution/source.h"

#include "distribution/layout_files.h"
#include "oci/manifest.h"
#include "oci/media_type.h"
#include "util/file.h"
#include "util/str.h"

#include <string.h>

typedef struct layout_source {
    dv_source source;
    int dirfd;
    dv_oci_layout_index index;
} layout_source;

static void layout_close(dv_source *s)
{
    layout_source *l = (layout_source *)s;
    dv_close(&l->dirfd);
    dv_oci_layout_index_clear(&l->index);
    free(l);
}

static int layout_resolve(dv_source *s, const char *name, davit_descriptor *out, davit_error **err)
{
    const layout_source *l = (layout_source *)s;
    return dv_source_find_entry(&l->index, s->place, name, out, err);
}

static int layout_open_blob(dv_source *s, const davit_descriptor *blob, int *out_fd, uint64_t *out_first,
                            uint64_t *out_size, davit_error **err)
{
    *out_first = 0;
    return dv_layout_open_blob(((layout_source *)s)->dirfd, s->place->path, &blob->digest, out_fd, out_size,
                               err);
}

static int layout_has_blob(dv_source *s, const davit_descriptor *blob, davit_error **err)
{
    DV_AUTOCLOSE fd = -1;
    DV_AUTOPTR(davit_error) why = NULL;
    uint64_t size = 0;
    int r = dv_layout_open_blob(((layout_source *)s)->dirfd, s->place->path, &blob->digest, &fd, &size, &why);
    if (r == DAVIT_ENOTFOUND)
        return 0;
    return r < 0 ? dv_error_move(err, &why, r) : 1;
}

static int layout_document(dv_source *s, const davit_descriptor *desc, dv_buf *out, davit_error **err)
{
    return dv_layout_read_document(((layout_source *)s)->dirfd, s->place->path, &desc->digest, out, err);
}

static int layout_names(dv_source *s, dv_name_fn fn, void *user, davit_error **err)
{
    (void)err;
    return dv_source_entry_names(&((layout_source *)s)->index, fn, user);
}

static int layout_referrers(dv_source *s, const davit_digest *subject, dv_source_referrer_fn fn, void *user,
                            davit_error **err)
{
    return dv_source_entry_referrers(s, &((layout_source *)s)->index, subject, fn, user, err);
}

static const dv_source_ops layout_ops = {
    .resolve = layout_resolve,
    .document = layout_document,
    .has_blob = layout_has_blob,
    .open_blob = layout_open_blob,
    .names = layout_names,
    .referrers = layout_referrers,
    .close = layout_close,
};

int dv_source_layout_open(davit_client *c, const dv_place *place, dv_source **out, davit_error **err)
{
    layout_source *l = dv_new(layout_source);
    if (!l)
        return dv_error_oom(err);
    l->source = (dv_source){.ops = &layout_ops, .client = c, .place = place};
    l->dirfd = -1;
    int r = dv_layout_open(place->path, &l->dirfd, err);
    if (r == 0)
        r = dv_layout_read_index(l->dirfd, place->path, &l->index, err);
    if (r < 0) {
        layout_close(&l->source);
        return r;
    }
    *out = &l->source;
    return 0;
}

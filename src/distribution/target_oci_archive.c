/*
 * distribution/target_oci_archive.c - into an OCI layout as a tar (store.md 11). With one image oci-layout and index.json come first, so that readers
 * can stream; with several index.json is the last entry.
 */
#include "distribution/target_archive.h"

#include "archive/oci_layout_merge.h"
#include "archive/tar.h"

#include <string.h>

typedef struct oci_target {
    dv_target_archive archive; /* first */
    dv_buf index;              /* index.json as it will be */
    bool index_written;
} oci_target;

static void oci_close(dv_target *t)
{
    oci_target *o = (oci_target *)t;
    dv_target_archive_clear(&o->archive);
    dv_buf_clear(&o->index);
    free(o);
}

static int add_name(oci_target *o, const dv_copy_plan *plan, const char *name, davit_error **err)
{
    DV_AUTO(dv_buf) made = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    const dv_oci_layout_entry entry = {.descriptor = dv_copy_plan_root(plan)->descriptor,
                                       .ref_name = name ? name : o->archive.target.place->name};
    int r = dv_oci_layout_index_merge(o->index.data, o->index.size, &entry, &made, err);
    if (r < 0)
        return r;
    dv_buf_clear(&o->index);
    o->index = made;
    made = (dv_buf){0};
    return 0;
}

static int put_index(oci_target *o, davit_error **err)
{
    o->index_written = true;
    return dv_target_archive_put(&o->archive, DV_OCI_INDEX_FILE, dv_buf_text(&o->index), o->index.size, err);
}

static int oci_begin(dv_target *t, const dv_copy_plan *plan, const char *name, bool alone, davit_error **err)
{
    oci_target *o = (oci_target *)t;
    bool first = !o->archive.begun;
    int r = dv_target_archive_begin(&o->archive, err);
    if (r == 0 && first)
        r = dv_target_archive_put(&o->archive, DV_OCI_LAYOUT_FILE, DV_OCI_LAYOUT_TEXT,
                                  strlen(DV_OCI_LAYOUT_TEXT), err);
    if (r == 0 && alone)
        r = add_name(o, plan, name, err);
    return r == 0 && alone ? put_index(o, err) : r;
}

typedef struct oci_blob {
    dv_sink sink;
    oci_target *to;
    davit_descriptor descriptor;
} oci_blob;

static int blob_write(dv_sink *sink, const void *bytes, size_t size, davit_error **err)
{
    return dv_sink_write(&((oci_blob *)sink)->to->archive.file.sink, bytes, size, err);
}

static int blob_finish(dv_sink *sink, davit_error **err)
{
    (void)sink, (void)err;
    return 0;
}

static int oci_blob_open(dv_target *t, const davit_descriptor *blob, dv_sink **out, davit_error **err)
{
    oci_target *o = (oci_target *)t;
    char path[DV_OCI_BLOB_PATH_MAX];
    oci_blob *b = dv_new(oci_blob);
    if (!b)
        return dv_error_oom(err);
    *b = (oci_blob){.sink = {.write = blob_write, .finish = blob_finish}, .to = o, .descriptor = *blob};
    int r = dv_target_archive_header(&o->archive, dv_oci_blob_path(&blob->digest, path), blob->size, err);
    if (r < 0) {
        free(b);
        return r;
    }
    *out = &b->sink;
    return 0;
}

static int oci_blob_end(dv_target *t, dv_sink *sink, bool good, davit_error **err)
{
    oci_target *o = (oci_target *)t;
    oci_blob *b = (oci_blob *)sink;
    int r = 0;
    if (good)
        r = dv_digest_set_add(&o->archive.written, &b->descriptor.digest, NULL, err);
    if (good && r >= 0)
        r = dv_tar_write_padding(&o->archive.file.sink, b->descriptor.size, err);
    free(b);
    return r < 0 ? r : 0;
}

static int oci_put_document(dv_target *t, const dv_copy_document *d, davit_error **err)
{
    oci_target *o = (oci_target *)t;
    char path[DV_OCI_BLOB_PATH_MAX];
    int r = dv_digest_set_add(&o->archive.written, &d->descriptor.digest, NULL, err);
    if (r <= 0)
        return r;
    return dv_target_archive_put(&o->archive, dv_oci_blob_path(&d->descriptor.digest, path), d->bytes,
                                 (size_t)d->descriptor.size, err);
}

static int oci_tag(dv_target *t, const dv_copy_plan *plan, const char *name, davit_error **err)
{
    oci_target *o = (oci_target *)t;
    return o->index_written ? 0 : add_name(o, plan, name, err);
}

static int oci_finish(dv_target *t, davit_error **err)
{
    oci_target *o = (oci_target *)t;
    int r = o->archive.begun && !o->index_written ? put_index(o, err) : 0;
    return r < 0 || !o->archive.begun ? r : dv_target_archive_finish(&o->archive, err);
}

static const dv_target_ops oci_ops = {
    .resolve = dv_target_archive_resolve,
    .has_blob = dv_target_archive_has_blob,
    .begin = oci_begin,
    .blob_open = oci_blob_open,
    .blob_end = oci_blob_end,
    .put_document = oci_put_document,
    .tag = oci_tag,
    .finish = oci_finish,
    .close = oci_close,
};

int dv_target_oci_archive_open(davit_client *c, const dv_place *place, dv_target **out, davit_error **err)
{
    if (place->digest.algorithm)
        return dv_error_set(err, DAVIT_EINVAL, "%s: a name is written, not a digest", place->path);
    oci_target *o = dv_new(oci_target);
    if (!o)
        return dv_error_oom(err);
    o->index = (dv_buf)DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    int r = dv_target_archive_init(&o->archive, &oci_ops, c, place, err);
    if (r < 0) {
        oci_close(&o->archive.target);
        return r;
    }
    *out = &o->archive.target;
    return 0;
}

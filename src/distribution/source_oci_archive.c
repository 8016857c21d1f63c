/* distribution/source_oci_archive.c - an OCI layout as a tar: blobs are read where they lie in the file (store.md 11). */
#include "distribution/source.h"

#include "archive/archive_file.h"
#include "util/file.h"

#include <errno.h>
#include <fcntl.h>

typedef struct archive_source {
    dv_source source;
    dv_archive_file *file;
    dv_oci_layout_index index;
} archive_source;

static void archive_close(dv_source *s)
{
    archive_source *a = (archive_source *)s;
    dv_archive_file_close(a->file);
    dv_oci_layout_index_clear(&a->index);
    free(a);
}

static int archive_resolve(dv_source *s, const char *name, davit_descriptor *out, davit_error **err)
{
    return dv_source_find_entry(&((archive_source *)s)->index, s->place, name, out, err);
}

static int archive_document(dv_source *s, const davit_descriptor *desc, dv_buf *out, davit_error **err)
{
    char path[DV_OCI_BLOB_PATH_MAX];
    return dv_archive_file_read(((archive_source *)s)->file, dv_oci_blob_path(&desc->digest, path),
                                DAVIT_MANIFEST_MAX, out, err);
}

static int archive_has_blob(dv_source *s, const davit_descriptor *blob, davit_error **err)
{
    char path[DV_OCI_BLOB_PATH_MAX];
    dv_archive_range range;
    return dv_archive_file_find(((archive_source *)s)->file, dv_oci_blob_path(&blob->digest, path), &range,
                                err);
}

static int archive_open_blob(dv_source *s, const davit_descriptor *blob, int *out_fd, uint64_t *out_first,
                             uint64_t *out_size, davit_error **err)
{
    char path[DV_OCI_BLOB_PATH_MAX];
    dv_archive_range range;
    const dv_archive_file *file = ((archive_source *)s)->file;
    int r = dv_archive_file_find(file, dv_oci_blob_path(&blob->digest, path), &range, err);
    if (r == 0)
        return dv_error_set(err, DAVIT_ENOTFOUND, "%s has no blob %s", s->place->path, blob->digest.text);
    if (r < 0)
        return r;
    int fd = fcntl(dv_archive_file_fd(file), F_DUPFD_CLOEXEC, 3);
    if (fd < 0)
        return dv_error_file(err, errno, "cannot read %s", s->place->path);
    *out_fd = fd;
    *out_first = range.first;
    *out_size = range.size;
    return 0;
}

static int archive_names(dv_source *s, dv_name_fn fn, void *user, davit_error **err)
{
    (void)err;
    return dv_source_entry_names(&((archive_source *)s)->index, fn, user);
}

static int archive_referrers(dv_source *s, const davit_digest *subject, dv_source_referrer_fn fn, void *user,
                             davit_error **err)
{
    return dv_source_entry_referrers(s, &((archive_source *)s)->index, subject, fn, user, err);
}

static const dv_source_ops archive_ops = {
    .resolve = archive_resolve,
    .document = archive_document,
    .has_blob = archive_has_blob,
    .open_blob = archive_open_blob,
    .names = archive_names,
    .referrers = archive_referrers,
    .close = archive_close,
};

static int check_cancelled(void *user, davit_error **err)
{
    return dv_client_check_cancelled(user, err);
}

static int read_documents(archive_source *a, davit_error **err)
{
    DV_AUTO(dv_buf) layout = DV_BUF_INIT(DV_OCI_LAYOUT_MAX);
    DV_AUTO(dv_buf) index = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    const char *path = a->source.place->path;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_archive_file_read(a->file, DV_OCI_LAYOUT_FILE, DV_OCI_LAYOUT_MAX, &layout, &why);
    if (r == 0)
        r = dv_archive_file_read(a->file, DV_OCI_INDEX_FILE, DAVIT_MANIFEST_MAX, &index, &why);
    if (r == DAVIT_ENOTFOUND)
        return dv_error_set(err, DAVIT_EFORMAT, "%s is no OCI archive: %s", path, davit_error_message(why));
    if (r < 0)
        return dv_error_move(err, &why, r);
    r = dv_oci_layout_check(dv_buf_text(&layout), layout.size, err);
    if (r == 0)
        r = dv_oci_layout_index_parse(dv_buf_text(&index), index.size, &a->index, err);
    return r < 0 ? dv_error_wrap(err, r, "%s", path) : 0;
}

int dv_source_oci_archive_open(davit_client *c, const dv_place *place, dv_source **out, davit_error **err)
{
    archive_source *a = dv_new(archive_source);
    if (!a)
        return dv_error_oom(err);
    a->source = (dv_source){.ops = &archive_ops, .client = c, .place = place};
    int r = dv_archive_file_open(place->path, check_cancelled, c, &a->file, err);
    if (r == 0)
        r = read_documents(a, err);
    if (r < 0) {
        archive_close(&a->source);
        return r;
    }
    *out = &a->source;
    return 0;
}

/*
 * distribution/source_dir.c - one image as files in a directory, in the form of skopeo's dir: transport: manifest.json, each blob under
 * its hexadecimal digest, manifests of an index as <hex>.manifest.json.
 */
#include "distribution/source.h"

#include "distribution/dir_files.h"
#include "distribution/layout_files.h"
#include "oci/manifest.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

typedef struct dir_source {
    dv_source source;
    int dirfd;
    dv_buf manifest;
    davit_descriptor target;
} dir_source;

static void dir_close(dv_source *s)
{
    dir_source *d = (dir_source *)s;
    dv_close(&d->dirfd);
    dv_buf_clear(&d->manifest);
    free(d);
}

static int dir_resolve(dv_source *s, const char *name, davit_descriptor *out, davit_error **err)
{
    if (name)
        return dv_error_set(err, DAVIT_ENOTFOUND, "%s: no image \"%s\" there", s->place->path, name);
    *out = ((dir_source *)s)->target;
    return 0;
}

static int open_file(const dir_source *d, const char *name, int *out_fd, uint64_t *out_size, davit_error **err)
{
    struct stat st;
    DV_AUTOCLOSE fd = dv_open_below(d->dirfd, name, O_RDONLY);
    const char *path = d->source.place->path;
    if (fd < 0 && errno == ENOENT)
        return dv_error_set(err, DAVIT_ENOTFOUND, "%s has no file %s", path, name);
    if (fd < 0 && (errno == EXDEV || errno == ELOOP))
        return dv_error_set(err, DAVIT_EFORMAT, "%s/%s: a link leads out of the directory, or in circles",
                            path, name);
    if (fd < 0 || fstat(fd, &st) < 0)
        return dv_error_file(err, errno, "cannot read %s/%s", path, name);
    if (!S_ISREG(st.st_mode))
        return dv_error_set(err, DAVIT_EFORMAT, "%s/%s is no regular file", path, name);
    *out_size = (uint64_t)st.st_size;
    *out_fd = fd;
    fd = -1;
    return 0;
}

static int read_document(const dir_source *d, const char *name, dv_buf *out, davit_error **err)
{
    DV_AUTOCLOSE fd = -1;
    uint64_t size = 0;
    int r = open_file(d, name, &fd, &size, err);
    return r < 0 ? r : dv_fd_read(fd, 0, size, DAVIT_MANIFEST_MAX, name, out, err);
}

static int dir_document(dv_source *s, const davit_descriptor *desc, dv_buf *out, davit_error **err)
{
    const dir_source *d = (dir_source *)s;
    char name[DV_DIR_NAME_MAX];
    if (!davit_digest_equal(&desc->digest, &d->target.digest))
        return read_document(d, dv_dir_manifest_name(&desc->digest, name), out, err);
    dv_buf_append(out, dv_buf_text(&d->manifest), d->manifest.size);
    return out->failed ? dv_error_oom(err) : 0;
}

static int dir_open_blob(dv_source *s, const davit_descriptor *blob, int *out_fd, uint64_t *out_first,
                         uint64_t *out_size, davit_error **err)
{
    *out_first = 0;
    return open_file((dir_source *)s, davit_digest_hex(&blob->digest), out_fd, out_size, err);
}

static int dir_has_blob(dv_source *s, const davit_descriptor *blob, davit_error **err)
{
    DV_AUTOCLOSE fd = -1;
    DV_AUTOPTR(davit_error) why = NULL;
    uint64_t size;
    int r = open_file((dir_source *)s, davit_digest_hex(&blob->digest), &fd, &size, &why);
    if (r == DAVIT_ENOTFOUND)
        return 0;
    return r < 0 ? dv_error_move(err, &why, r) : 1;
}

static const dv_source_ops dir_ops = {
    .resolve = dir_resolve,
    .document = dir_document,
    .has_blob = dir_has_blob,
    .open_blob = dir_open_blob,
    .close = dir_close,
};

static int read_target(dir_source *d, davit_error **err)
{
    DV_AUTOPTR(davit_manifest) m = NULL;
    DV_AUTO(dv_buf) version = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    const char *path = d->source.place->path;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = read_document(d, DV_DIR_VERSION_FILE, &version, &why);
    if (r == 0)
        r = read_document(d, DV_DIR_MANIFEST_FILE, &d->manifest, &why);
    if (r == DAVIT_ENOTFOUND)
        return dv_error_set(err, DAVIT_EFORMAT, "%s is no directory of the dir: transport: %s", path,
                            davit_error_message(why));
    if (r < 0)
        return dv_error_move(err, &why, r);
    if (!dv_str_starts(dv_buf_text(&version), DV_DIR_VERSION_PREFIX "1."))
        return dv_error_set(err, DAVIT_EUNSUPPORTED, "%s: its file version is of no version that is known",
                            path);
    r = davit_manifest_parse(dv_buf_text(&d->manifest), d->manifest.size, NULL, &m, err);
    if (r < 0)
        return dv_error_wrap(err, r, "%s", path);
    d->target = (davit_descriptor){.media_type = davit_manifest_media_type(m),
                                   .digest = *davit_manifest_digest(m),
                                   .size = d->manifest.size};
    return 0;
}

int dv_source_dir_open(davit_client *c, const dv_place *place, dv_source **out, davit_error **err)
{
    dir_source *d = dv_new(dir_source);
    if (!d)
        return dv_error_oom(err);
    d->source = (dv_source){.ops = &dir_ops, .client = c, .place = place};
    d->manifest = (dv_buf)DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    d->dirfd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = 0;
    if (d->dirfd < 0 && errno == ENOENT)
        r = dv_error_set(err, DAVIT_ENOTFOUND, "%s: no such directory", place->path);
    else if (d->dirfd < 0)
        r = dv_error_file(err, errno, "cannot open %s", place->path);
    else
        r = read_target(d, err);
    if (r < 0) {
        dir_close(&d->source);
        return r;
    }
    *out = &d->source;
    return 0;
}

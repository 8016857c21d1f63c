/* distribution/target_archive.c - see target_archive.h. */
#include "distribution/target_archive.h"

#include "archive/tar.h"
#include "util/file.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define MODE 0644

static int open_directory(dv_target_archive *a, davit_error **err)
{
    const char *path = a->target.place->path, *slash = strrchr(path, '/');
    DV_AUTOFREE char *directory =
        slash ? dv_strndup(path, slash > path ? (size_t)(slash - path) : 1) : dv_strdup(".");
    a->name = dv_strdup(slash ? slash + 1 : path);
    if (!directory || !a->name)
        return dv_error_oom(err);
    if (!*a->name)
        return dv_error_set(err, DAVIT_EINVAL, "%s is a directory: an archive is a file", path);
    a->dirfd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return a->dirfd < 0 ? dv_error_file(err, errno, "cannot write %s", path) : 0;
}

int dv_target_archive_init(dv_target_archive *a, const dv_target_ops *ops, davit_client *c,
                           const dv_place *place, davit_error **err)
{
    a->target = (dv_target){.ops = ops, .client = c, .place = place, .serial = true};
    a->dirfd = a->file.fd = -1;
    return open_directory(a, err);
}

void dv_target_archive_clear(dv_target_archive *a)
{
    dv_staged_file_clear(&a->file);
    dv_close(&a->dirfd);
    dv_digest_set_clear(&a->written);
    free(a->name);
}

/* --- what is there already ---------------------------------------------------------------------------------------------------------- */

static int count_name(void *user, const char *name)
{
    (void)name;
    *(size_t *)user += 1;
    return 0;
}

static int holds_others(const dv_target *t, davit_error **err)
{
    return dv_error_set(
        err, DAVIT_EEXIST,
        "%s holds other images, which would be lost: an archive is written whole; remove it, or "
        "choose another file",
        t->place->path);
}

int dv_target_archive_resolve(dv_target *t, const char *name, davit_digest *out, davit_error **err)
{
    const dv_target_archive *a = (dv_target_archive *)t;
    DV_AUTOPTR(dv_source) s = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    davit_descriptor found;
    size_t names = 0;
    struct stat st;
    if (a->begun || fstatat(a->dirfd, a->name, &st, 0) < 0 || st.st_size == 0)
        return a->begun || errno == ENOENT || st.st_size == 0
                   ? 0
                   : dv_error_file(err, errno, "cannot look at %s", t->place->path);
    int r = dv_source_open(t->client, t->place, &s, &why);
    if (r == DAVIT_EFORMAT || r == DAVIT_EINVAL)
        return dv_error_set(err, DAVIT_EEXIST, "%s is there, and no archive of images: it is not overwritten",
                            t->place->path);
    if (r == 0 && s->ops->names)
        r = s->ops->names(s, count_name, &names, &why);
    if (r == 0)
        r = s->ops->resolve(s, name, &found, &why);
    if (r == DAVIT_ENOTFOUND || r == DAVIT_EINVAL || (r == 0 && names > 1))
        return holds_others(t, err);
    if (r < 0)
        return dv_error_move(err, &why, r);
    *out = found.digest;
    return 1;
}

int dv_target_archive_has_blob(dv_target *t, const davit_descriptor *blob, davit_error **err)
{
    (void)err;
    return dv_digest_set_has(&((dv_target_archive *)t)->written, &blob->digest, NULL);
}

/* --- writing --------------------------------------------------------------------------------------------------------------------------- */

int dv_target_archive_begin(dv_target_archive *a, davit_error **err)
{
    if (a->begun)
        return 0;
    int r = dv_staged_file_open(&a->file, a->dirfd, err);
    a->begun = r == 0;
    return r < 0 ? dv_error_wrap(err, r, "%s", a->target.place->path) : 0;
}

int dv_target_archive_header(dv_target_archive *a, const char *name, uint64_t size, davit_error **err)
{
    const dv_tar_entry header = {.type = DV_TAR_FILE,
                                 .name = name,
                                 .link = "",
                                 .size = size,
                                 .mode = MODE,
                                 .mtime = {.s = 0, .set = true}};
    return dv_tar_write_header(&a->file.sink, &header, err);
}

int dv_target_archive_put(dv_target_archive *a, const char *name, const void *bytes, size_t size,
                          davit_error **err)
{
    int r = dv_target_archive_header(a, name, size, err);
    if (r == 0)
        r = dv_sink_write(&a->file.sink, bytes, size, err);
    if (r == 0)
        r = dv_tar_write_padding(&a->file.sink, size, err);
    return r < 0 ? dv_error_wrap(err, r, "%s", a->target.place->path) : 0;
}

int dv_target_archive_finish(dv_target_archive *a, davit_error **err)
{
    int r = dv_tar_write_end(&a->file.sink, err);
    if (r == 0)
        r = dv_staged_file_commit(&a->file, a->name, err);
    if (r == 0 && fsync(a->dirfd) < 0)
        r = dv_error_file(err, errno, "cannot sync its directory");
    return r < 0 ? dv_error_wrap(err, r, "%s", a->target.place->path) : 0;
}

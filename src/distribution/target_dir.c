/*
 * distribution/target_dir.c - one image as files in a directory, in the form of skopeo's dir: transport. manifest.json comes last; blobs of
 * the image that was there before go after it.
 */
#include "distribution/target.h"

#include "distribution/dir_files.h"
#include "distribution/staged_file.h"
#include "util/file.h"
#include "util/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

typedef struct dir_target {
    dv_target target;
    int dirfd; /* -1: there is no directory yet */
    bool begun;
} dir_target;

static void dir_close(dv_target *t)
{
    dv_close(&((dir_target *)t)->dirfd);
    free(t);
}

static int dir_resolve(dv_target *t, const char *name, davit_digest *out, davit_error **err)
{
    const dir_target *d = (dir_target *)t;
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    DV_AUTOPTR(davit_error) why = NULL;
    (void)name;
    int r = d->dirfd < 0 ? DAVIT_ENOTFOUND
                         : dv_file_read(d->dirfd, DV_DIR_MANIFEST_FILE, DAVIT_MANIFEST_MAX, &bytes, &why);
    if (r == DAVIT_ENOTFOUND)
        return 0;
    if (r < 0)
        return dv_error_move(err, &why, r);
    r = davit_digest_of(DAVIT_SHA256, dv_buf_text(&bytes), bytes.size, out, err);
    return r < 0 ? r : 1;
}

static int has_file(const dir_target *d, const char *name, uint64_t size)
{
    struct stat st;
    return d->dirfd >= 0 && fstatat(d->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
           (size == DAVIT_SIZE_UNKNOWN || (uint64_t)st.st_size == size);
}

static int dir_has_blob(dv_target *t, const davit_descriptor *blob, davit_error **err)
{
    (void)err;
    return has_file((dir_target *)t, davit_digest_hex(&blob->digest), blob->size);
}

/* --- the directory -------------------------------------------------------------------------------------------------------------------- */

/* Nothing is written into a directory that holds somebody's other files. */
static int open_existing(dir_target *d, davit_error **err)
{
    const char *path = d->target.place->path;
    DV_AUTOCLOSE dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0 && errno == ENOENT)
        return 0;
    if (dirfd < 0)
        return dv_error_file(err, errno, "cannot open %s", path);
    int own = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = own < 0 ? NULL : fdopendir(own);
    if (!directory) {
        dv_close(&own);
        return dv_error_file(err, errno, "cannot read %s", path);
    }
    bool empty = true, ours = false;
    for (const struct dirent *e; (e = readdir(directory));) {
        ours = ours || dv_str_equal(e->d_name, DV_DIR_VERSION_FILE);
        empty = empty && (dv_str_equal(e->d_name, ".") || dv_str_equal(e->d_name, "..") ||
                          dv_str_starts(e->d_name, DV_STAGED_PREFIX));
    }
    closedir(directory);
    if (!empty && !ours)
        return dv_error_set(err, DAVIT_EFORMAT, "%s is no directory of the dir: transport, and not empty",
                            path);
    d->dirfd = dirfd;
    dirfd = -1;
    return 0;
}

static int dir_begin(dv_target *t, const dv_copy_plan *plan, const char *name, bool alone, davit_error **err)
{
    dir_target *d = (dir_target *)t;
    const char *path = t->place->path;
    (void)plan, (void)name, (void)alone;
    if (d->begun)
        return 0;
    int r = d->dirfd < 0 ? dv_make_directories(path, 0755, err) : 0;
    if (r == 0 && d->dirfd < 0) {
        d->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (d->dirfd < 0 || fchmod(d->dirfd, 0755) < 0)
            return dv_error_file(err, errno, "cannot open %s", path);
    }
    if (r == 0) {
        dv_staged_files_sweep(d->dirfd);
        r = dv_staged_file_put(d->dirfd, DV_DIR_VERSION_FILE, DV_DIR_VERSION_TEXT,
                               strlen(DV_DIR_VERSION_TEXT), err);
    }
    d->begun = r == 0;
    return r < 0 ? dv_error_wrap(err, r, "%s", path) : 0;
}

/* --- files ------------------------------------------------------------------------------------------------------------------------------ */

typedef struct dir_blob {
    dv_staged_file file; /* first: its sink is the blob's */
    char name[DV_DIR_NAME_MAX];
} dir_blob;

static int open_file(dir_target *d, const char *name, dv_sink **out, davit_error **err)
{
    dir_blob *b = dv_new(dir_blob);
    if (!b)
        return dv_error_oom(err);
    snprintf(b->name, sizeof(b->name), "%s", name);
    int r = dv_staged_file_open(&b->file, d->dirfd, err);
    if (r < 0) {
        free(b);
        return dv_error_wrap(err, r, "%s", d->target.place->path);
    }
    *out = &b->file.sink;
    return 0;
}

static int dir_blob_open(dv_target *t, const davit_descriptor *blob, dv_sink **out, davit_error **err)
{
    return open_file((dir_target *)t, davit_digest_hex(&blob->digest), out, err);
}

static int dir_blob_end(dv_target *t, dv_sink *sink, bool good, davit_error **err)
{
    dir_blob *b = (dir_blob *)sink;
    int r = good ? dv_staged_file_commit(&b->file, b->name, err) : 0;
    if (r < 0)
        dv_error_wrap(err, r, "%s", t->place->path);
    dv_staged_file_clear(&b->file);
    free(b);
    return r;
}

static int write_file(dv_target *t, const char *name, const void *bytes, size_t size, davit_error **err)
{
    dv_sink *sink = NULL;
    int r = open_file((dir_target *)t, name, &sink, err);
    if (r < 0)
        return r;
    r = dv_sink_write(sink, bytes, size, err);
    int ended = dir_blob_end(t, sink, r == 0, r == 0 ? err : NULL);
    return r < 0 ? r : ended;
}

static int dir_put_document(dv_target *t, const dv_copy_document *d, davit_error **err)
{
    char name[DV_DIR_NAME_MAX];
    if (!d->is_child)
        return 0; /* manifest.json, which is the name */
    return write_file(t, dv_dir_manifest_name(&d->descriptor.digest, name), d->bytes,
                      (size_t)d->descriptor.size, err);
}

static bool is_needed(const dv_copy_plan *plan, const char *name)
{
    char manifest[DV_DIR_NAME_MAX];
    for (size_t i = 0; i < plan->blob_count; i++)
        if (dv_str_equal(name, davit_digest_hex(&plan->blobs[i].digest)))
            return true;
    for (size_t i = 0; i < plan->document_count; i++)
        if (dv_str_equal(name, dv_dir_manifest_name(&plan->documents[i].descriptor.digest, manifest)))
            return true;
    return false;
}

/* "<64 or 128 hexadecimal digits>", alone or with the manifest's suffix. */
static bool is_content(const char *name)
{
    size_t n = strspn(name, "0123456789abcdef");
    return (n == 64 || n == 128) && (!name[n] || dv_str_equal(name + n, DV_DIR_MANIFEST_SUFFIX));
}

/* What belonged to the image before; a file that stays costs room and nothing else. */
static void remove_old(const dir_target *d, const dv_copy_plan *plan)
{
    int own = openat(d->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = own < 0 ? NULL : fdopendir(own);
    if (!directory) {
        dv_close(&own);
        return;
    }
    for (const struct dirent *e; (e = readdir(directory));)
        if (is_content(e->d_name) && !is_needed(plan, e->d_name))
            unlinkat(d->dirfd, e->d_name, 0);
    closedir(directory);
}

static int dir_tag(dv_target *t, const dv_copy_plan *plan, const char *name, davit_error **err)
{
    const dir_target *d = (dir_target *)t;
    const dv_copy_document *root = dv_copy_plan_root(plan);
    (void)name;
    if (fsync(d->dirfd) < 0)
        return dv_error_file(err, errno, "cannot sync %s", t->place->path);
    int r =
        dv_staged_file_put(d->dirfd, DV_DIR_MANIFEST_FILE, root->bytes, (size_t)root->descriptor.size, err);
    if (r < 0)
        return dv_error_wrap(err, r, "%s", t->place->path);
    remove_old(d, plan);
    return 0;
}

static int dir_finish(dv_target *t, davit_error **err)
{
    (void)t, (void)err;
    return 0;
}

static const dv_target_ops dir_ops = {
    .resolve = dir_resolve,
    .has_blob = dir_has_blob,
    .begin = dir_begin,
    .blob_open = dir_blob_open,
    .blob_end = dir_blob_end,
    .put_document = dir_put_document,
    .tag = dir_tag,
    .finish = dir_finish,
    .close = dir_close,
};

int dv_target_dir_open(davit_client *c, const dv_place *place, dv_target **out, davit_error **err)
{
    dir_target *d = dv_new(dir_target);
    if (!d)
        return dv_error_oom(err);
    d->target = (dv_target){.ops = &dir_ops, .client = c, .place = place, .one_name = true};
    d->dirfd = -1;
    int r = open_existing(d, err);
    if (r < 0) {
        dir_close(&d->target);
        return r;
    }
    *out = &d->target;
    return 0;
}

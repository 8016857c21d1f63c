/*
 * distribution/target_layout.c - into an OCI image layout in a directory, which others may write at the same time (store.md 11).
 *
 * Blobs are staged in the directory and renamed. index.json is read, merged and replaced under flock() on the directory, which ends with
 * whoever holds it. What is durable comes in order: blobs, their directories, index.json.
 */
#include "distribution/target.h"

#include "archive/oci_layout_merge.h"
#include "distribution/layout_files.h"
#include "distribution/staged_file.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define LOCK_WAIT_MS 30000 /* for whoever else writes index.json */
#define LOCK_STEP_MS 10

typedef struct layout_target {
    dv_target target;
    int dirfd; /* -1: there is no directory yet */
    bool begun;
} layout_target;

static void layout_close(dv_target *t)
{
    layout_target *l = (layout_target *)t;
    dv_close(&l->dirfd);
    free(l);
}

/* --- looking --------------------------------------------------------------------------------------------------------------------- */

static int layout_resolve(dv_target *t, const char *name, davit_digest *out, davit_error **err)
{
    const layout_target *l = (layout_target *)t;
    DV_AUTO(dv_oci_layout_index) index = {0};
    struct stat st;
    name = name ? name : t->place->name;
    if (l->dirfd < 0 || !name || (fstatat(l->dirfd, DV_OCI_INDEX_FILE, &st, 0) < 0 && errno == ENOENT))
        return 0;
    int r = dv_layout_read_index(l->dirfd, t->place->path, &index, err);
    for (size_t i = 0; r == 0 && i < index.count; i++) {
        if (dv_str_equal(index.entries[i].ref_name, name)) {
            *out = index.entries[i].descriptor.digest;
            return 1;
        }
    }
    return r;
}

static int layout_has_blob(dv_target *t, const davit_descriptor *blob, davit_error **err)
{
    const layout_target *l = (layout_target *)t;
    char name[DV_OCI_BLOB_PATH_MAX];
    struct stat st;
    if (l->dirfd < 0)
        return 0;
    if (fstatat(l->dirfd, dv_oci_blob_path(&blob->digest, name), &st, 0) < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? 0
                   : dv_error_file(err, errno, "cannot look for %s/%s", t->place->path, name);
    return S_ISREG(st.st_mode) && (blob->size == DAVIT_SIZE_UNKNOWN || (uint64_t)st.st_size == blob->size);
}

/* --- the directory ---------------------------------------------------------------------------------------------------------------- */

static bool is_empty(int dirfd)
{
    int own = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = own < 0 ? NULL : fdopendir(own);
    bool empty = directory != NULL;
    if (!directory)
        dv_close(&own);
    for (const struct dirent *e; empty && (e = readdir(directory));)
        empty = dv_str_equal(e->d_name, ".") || dv_str_equal(e->d_name, "..") ||
                dv_str_starts(e->d_name, DV_STAGED_PREFIX) || dv_str_equal(e->d_name, "blobs");
    if (directory)
        closedir(directory);
    return empty;
}

/* A layout, an empty directory, or nothing. */
static int open_existing(layout_target *l, davit_error **err)
{
    const char *path = l->target.place->path;
    struct stat st;
    DV_AUTOCLOSE dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0 && errno == ENOENT)
        return 0;
    if (dirfd >= 0 && fstatat(dirfd, DV_OCI_LAYOUT_FILE, &st, 0) < 0 && errno == ENOENT) {
        if (!is_empty(dirfd))
            return dv_error_set(err, DAVIT_EFORMAT, "%s is no OCI image layout, and not empty", path);
        l->dirfd = dirfd;
        dirfd = -1;
        return 0;
    }
    return dv_layout_open(path, &l->dirfd, err);
}

static int lock_directory(const layout_target *l, int *out_fd, davit_error **err)
{
    const char *path = l->target.place->path;
    DV_AUTOCLOSE fd = openat(l->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return dv_error_file(err, errno, "cannot open %s", path);
    for (uint64_t until = dv_clock_ms() + LOCK_WAIT_MS; flock(fd, LOCK_EX | LOCK_NB) < 0;) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return dv_error_file(err, errno, "cannot lock %s", path);
        if (dv_clock_ms() > until)
            return dv_error_set(err, DAVIT_EBUSY, "%s was locked by another program for %d s", path,
                                LOCK_WAIT_MS / 1000);
        int r = dv_client_check_cancelled(l->target.client, err);
        if (r < 0)
            return r;
        dv_sleep_ms(LOCK_STEP_MS);
    }
    *out_fd = fd;
    fd = -1;
    return 0;
}

static int make_directory(const layout_target *l, const char *name, davit_error **err)
{
    bool made = mkdirat(l->dirfd, name, 0755) == 0;
    if ((made && fchmodat(l->dirfd, name, 0755, 0) == 0) || (!made && errno == EEXIST))
        return 0; /* the same for everybody, whatever the process's umask */
    return dv_error_file(err, errno, "cannot make %s/%s", l->target.place->path, name);
}

static int make_layout(layout_target *l, davit_error **err)
{
    const char *path = l->target.place->path;
    DV_AUTOCLOSE lock = -1;
    struct stat st;
    int r = l->dirfd < 0 ? dv_make_directories(path, 0755, err) : 0;
    if (r == 0 && l->dirfd < 0) {
        l->dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (l->dirfd < 0 || fchmod(l->dirfd, 0755) < 0)
            return dv_error_file(err, errno, "cannot open %s", path);
    }
    if (r == 0)
        r = make_directory(l, "blobs", err);
    if (r == 0)
        r = make_directory(l, "blobs/sha256", err);
    if (r == 0)
        r = lock_directory(l, &lock, err);
    if (r == 0 && fstatat(l->dirfd, DV_OCI_LAYOUT_FILE, &st, 0) < 0)
        r = dv_staged_file_put(l->dirfd, DV_OCI_LAYOUT_FILE, DV_OCI_LAYOUT_TEXT, strlen(DV_OCI_LAYOUT_TEXT),
                               err);
    return r < 0 ? dv_error_wrap(err, r, "%s", path) : 0;
}

static int layout_begin(dv_target *t, const dv_copy_plan *plan, const char *name, bool alone,
                        davit_error **err)
{
    layout_target *l = (layout_target *)t;
    (void)name, (void)alone;
    int r = l->begun ? 0 : make_layout(l, err);
    if (r == 0 && !l->begun)
        dv_staged_files_sweep(l->dirfd);
    l->begun = r == 0;
    for (size_t i = 0; r == 0 && i < plan->blob_count; i++)
        if (plan->blobs[i].digest.algorithm == DAVIT_SHA512)
            return make_directory(l, "blobs/sha512", err);
    for (size_t i = 0; r == 0 && i < plan->document_count; i++)
        if (plan->documents[i].descriptor.digest.algorithm == DAVIT_SHA512)
            return make_directory(l, "blobs/sha512", err);
    return r;
}

/* --- blobs ------------------------------------------------------------------------------------------------------------------------- */

typedef struct layout_blob {
    dv_staged_file file; /* first: its sink is the blob's */
    davit_digest digest;
} layout_blob;

static int layout_blob_open(dv_target *t, const davit_descriptor *blob, dv_sink **out, davit_error **err)
{
    layout_blob *b = dv_new(layout_blob);
    if (!b)
        return dv_error_oom(err);
    b->digest = blob->digest;
    int r = dv_staged_file_open(&b->file, ((layout_target *)t)->dirfd, err);
    if (r < 0) {
        free(b);
        return dv_error_wrap(err, r, "%s", t->place->path);
    }
    *out = &b->file.sink;
    return 0;
}

static int layout_blob_end(dv_target *t, dv_sink *sink, bool good, davit_error **err)
{
    layout_blob *b = (layout_blob *)sink;
    char name[DV_OCI_BLOB_PATH_MAX];
    int r = good ? dv_staged_file_commit(&b->file, dv_oci_blob_path(&b->digest, name), err) : 0;
    if (r < 0)
        dv_error_wrap(err, r, "%s", t->place->path);
    dv_staged_file_clear(&b->file);
    free(b);
    return r;
}

static int layout_put_document(dv_target *t, const dv_copy_document *d, davit_error **err)
{
    dv_sink *sink = NULL;
    int r = layout_has_blob(t, &d->descriptor, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = layout_blob_open(t, &d->descriptor, &sink, err);
    if (r < 0)
        return r;
    r = dv_sink_write(sink, d->bytes, (size_t)d->descriptor.size, err);
    int ended = layout_blob_end(t, sink, r == 0, r == 0 ? err : NULL);
    return r < 0 ? r : ended;
}

/* --- the name ------------------------------------------------------------------------------------------------------------------------ */

static int sync_directory(const layout_target *l, const char *name, davit_error **err)
{
    DV_AUTOCLOSE fd = openat(l->dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0 || fsync(fd) < 0)
        return dv_error_file(err, errno, "cannot sync %s/%s", l->target.place->path, name);
    return 0;
}

static int replace_index(const layout_target *l, const dv_oci_layout_entry *entry, davit_error **err)
{
    DV_AUTO(dv_buf) old = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    DV_AUTO(dv_buf) made = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_file_read(l->dirfd, DV_OCI_INDEX_FILE, DAVIT_MANIFEST_MAX, &old, &why);
    if (r < 0 && r != DAVIT_ENOTFOUND)
        return dv_error_move(err, &why, r);
    r = dv_oci_layout_index_merge(old.data, old.size, entry, &made, err);
    if (r == 0 && (made.size != old.size || memcmp(made.data, old.data, made.size) != 0))
        r = dv_staged_file_put(l->dirfd, DV_OCI_INDEX_FILE, made.data, made.size, err);
    return r;
}

static int layout_tag(dv_target *t, const dv_copy_plan *plan, const char *name, davit_error **err)
{
    const layout_target *l = (layout_target *)t;
    DV_AUTOCLOSE lock = -1;
    const dv_oci_layout_entry entry = {.descriptor = dv_copy_plan_root(plan)->descriptor,
                                       .ref_name = name ? name : t->place->name};
    int r = sync_directory(l, "blobs/sha256", err);
    if (r == 0)
        r = sync_directory(l, "blobs/sha512", err);
    if (r == 0)
        r = sync_directory(l, "blobs", err);
    if (r == 0)
        r = lock_directory(l, &lock, err);
    if (r == 0)
        r = replace_index(l, &entry, err);
    return r < 0 ? dv_error_wrap(err, r, "%s", t->place->path) : 0;
}

static int layout_finish(dv_target *t, davit_error **err)
{
    (void)t, (void)err;
    return 0;
}

static const dv_target_ops layout_ops = {
    .resolve = layout_resolve,
    .has_blob = layout_has_blob,
    .begin = layout_begin,
    .blob_open = layout_blob_open,
    .blob_end = layout_blob_end,
    .put_document = layout_put_document,
    .tag = layout_tag,
    .finish = layout_finish,
    .close = layout_close,
};

int dv_target_layout_open(davit_client *c, const dv_place *place, dv_target **out, davit_error **err)
{
    if (place->digest.algorithm)
        return dv_error_set(err, DAVIT_EINVAL, "%s: a name is written, not a digest", place->path);
    layout_target *l = dv_new(layout_target);
    if (!l)
        return dv_error_oom(err);
    l->target = (dv_target){.ops = &layout_ops, .client = c, .place = place};
    l->dirfd = -1;
    int r = open_existing(l, err);
    if (r < 0) {
        layout_close(&l->target);
        return r;
    }
    *out = &l->target;
    return 0;
}

/*
 * store/content_store.c - see content_store.h. A blob is the regular file blobs/<alg>/<hex>, 0444. Decides what counts as
 * there (name and size, threats B8) and when a new name is on disk; writing is ingest.c's.
 */
#include "store/content_store.h"

#include "store/ingest.h"
#include "store/store_private.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/hash.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

/*
 * A blob that another process renamed into place this recently may not have its name on disk yet: relying on it, we sync
 * the directory ourselves. File systems commit their names within a minute.
 */
#define RECENT_S 300

int dv_content_name(const davit_digest *digest, char out[DV_CONTENT_NAME_MAX], davit_error **err)
{
    if (digest->algorithm != DAVIT_SHA256 && digest->algorithm != DAVIT_SHA512)
        return dv_error_set(err, DAVIT_EUNSUPPORTED, "the store holds no blobs by the digest algorithm of %s",
                            digest->text);
    snprintf(out, DV_CONTENT_NAME_MAX, "blobs/%s/%s", davit_digest_algorithm_name(digest->algorithm),
             davit_digest_hex(digest));
    return 0;
}

void dv_content_renamed(dv_store *s, const davit_digest *digest)
{
    atomic_fetch_add(&s->renamed[digest->algorithm], 1);
}

static void note_use(dv_store *s, const davit_digest *digest, const struct stat *st)
{
    if (!s->read_only && dv_wall_time_s() - (int64_t)st->st_ctim.tv_sec < RECENT_S)
        dv_content_renamed(s, digest);
}

static bool is_whole(const struct stat *st, uint64_t size)
{
    return S_ISREG(st->st_mode) && (size == DAVIT_SIZE_UNKNOWN || (uint64_t)st->st_size == size);
}

int dv_content_has(dv_store *s, const davit_digest *digest, uint64_t size, davit_error **err)
{
    char name[DV_CONTENT_NAME_MAX];
    int r = dv_content_name(digest, name, err);
    if (r < 0)
        return r;
    struct stat st;
    if (fstatat(s->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : dv_store_error(s, errno, "look for", name, err);
    if (!is_whole(&st, size))
        return 0;
    note_use(s, digest, &st);
    return 1;
}

int dv_content_open(dv_store *s, const davit_digest *digest, uint64_t size, int *out_fd, uint64_t *out_size,
                    davit_error **err)
{
    char name[DV_CONTENT_NAME_MAX];
    int r = dv_content_name(digest, name, err);
    if (r < 0)
        return r;
    DV_AUTOCLOSE fd = openat(s->dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd < 0 && errno == ENOENT)
        return dv_error_set(err, DAVIT_ENOTFOUND, "no blob %s in store %s", digest->text, s->path);
    if (fd < 0 || fstat(fd, &st) < 0)
        return dv_store_error(s, errno, "open", name, err);
    if (!is_whole(&st, size))
        return dv_error_set(err, DAVIT_ENOTFOUND, "%s/%s is damaged: %lld bytes instead of %llu", s->path,
                            name, (long long)st.st_size, (unsigned long long)size);
    note_use(s, digest, &st);
    *out_size = (uint64_t)st.st_size;
    *out_fd = fd;
    fd = -1;
    return 0;
}

static int check_bytes(const davit_digest *digest, const void *bytes, size_t size, davit_error **err)
{
    davit_digest got;
    int r = davit_digest_of(digest->algorithm, bytes, size, &got, err);
    if (r == 0 && !davit_digest_equal(&got, digest))
        r = dv_error_set(err, DAVIT_EDIGEST, "stored blob %s is damaged: its bytes are %s", digest->text,
                         got.text);
    return r;
}

int dv_content_read(dv_store *s, const davit_digest *digest, size_t max, dv_buf *out, davit_error **err)
{
    DV_AUTOCLOSE fd = -1;
    uint64_t size = 0;
    int r = dv_content_open(s, digest, DAVIT_SIZE_UNKNOWN, &fd, &size, err);
    if (r < 0)
        return r;
    if (size > max)
        return dv_error_set(err, DAVIT_ETOOBIG, "blob %s has %llu bytes, more than %zu", digest->text,
                            (unsigned long long)size, max);
    DV_AUTOFREE char *bytes = malloc((size_t)size + 1);
    if (!bytes)
        return dv_error_oom(err);
    ssize_t n = dv_pread_all(fd, bytes, (size_t)size, 0);
    if (n < 0)
        return dv_error_file(err, (int)-n, "cannot read blob %s in store %s", digest->text, s->path);
    r = check_bytes(digest, bytes, (size_t)n, err);
    if (r < 0)
        return r;
    dv_buf_reset(out);
    dv_buf_append(out, bytes, (size_t)n);
    return out->failed ? dv_error_set(err, out->failed, "no room for blob %s", digest->text) : 0;
}

static DIR *open_folder(const dv_store *s, const char *name)
{
    int fd = openat(s->dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir)
        dv_close(&fd);
    return dir;
}

static int visit_blob(dv_store *s, int dirfd, davit_digest_algorithm algorithm, const char *name,
                      dv_content_visit *visit, void *user_data, davit_error **err)
{
    char text[DAVIT_DIGEST_TEXT_MAX];
    davit_digest digest;
    struct stat st;
    int n = snprintf(text, sizeof(text), "%s:%s", davit_digest_algorithm_name(algorithm), name);
    if (n < 0 || (size_t)n >= sizeof(text) || davit_digest_parse(text, &digest, NULL) < 0)
        return 0;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT)
            return 0;
        return dv_store_error(s, errno, "examine", name, err);
    }
    return visit(s, &digest, &st, user_data, err);
}

int dv_content_walk(dv_store *s, dv_content_visit *visit, void *user_data, davit_error **err)
{
    static const davit_digest_algorithm algorithms[] = {DAVIT_SHA256, DAVIT_SHA512};
    int r = 0;
    for (size_t i = 0; r == 0 && i < DV_COUNT(algorithms); i++) {
        char name[32];
        snprintf(name, sizeof(name), "blobs/%s", davit_digest_algorithm_name(algorithms[i]));
        DIR *dir = open_folder(s, name);
        if (!dir && errno == ENOENT)
            continue;
        if (!dir)
            return dv_store_error(s, errno, "read", name, err);
        const struct dirent *entry;
        while (r == 0 && (errno = 0, entry = readdir(dir)))
            if (entry->d_name[0] != '.')
                r = visit_blob(s, dirfd(dir), algorithms[i], entry->d_name, visit, user_data, err);
        if (r == 0 && errno)
            r = dv_store_error(s, errno, "read", name, err);
        closedir(dir);
    }
    return r;
}

static int sync_directory(dv_store *s, davit_digest_algorithm algorithm, davit_error **err)
{
    char name[32];
    snprintf(name, sizeof(name), "blobs/%s", davit_digest_algorithm_name(algorithm));
    DV_AUTOCLOSE fd = openat(s->dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return dv_store_error(s, errno, "sync", name, err);
    return 0;
}

/* Counted, not flagged: who syncs for a rename of another thread must be done before that thread may go on. */
int dv_content_sync(dv_store *s, davit_error **err)
{
    static const davit_digest_algorithm algorithms[] = {DAVIT_SHA256, DAVIT_SHA512};
    for (size_t i = 0; i < DV_COUNT(algorithms); i++) {
        davit_digest_algorithm a = algorithms[i];
        uint_fast64_t target = atomic_load(&s->renamed[a]);
        uint_fast64_t done = atomic_load(&s->synced[a]);
        if (done >= target)
            continue;
        int r = sync_directory(s, a, err);
        if (r < 0)
            return r;
        while (done < target && !atomic_compare_exchange_weak(&s->synced[a], &done, target))
            ;
    }
    return 0;
}

int dv_content_put(dv_store *s, const davit_descriptor *desc, const void *bytes, davit_error **err)
{
    if (desc->size == DAVIT_SIZE_UNKNOWN)
        return dv_error_set(err, DAVIT_EINVAL, "blob %s is put without its size", desc->digest.text);
    dv_ingest *i = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_ingest_open(s, desc, &i, &why);
    if (r == DAVIT_EBUSY) /* somebody fetches it; we have it here and need not wait */
        r = dv_ingest_open_new(s, desc, &i, &why);
    if (r == DAVIT_EEXIST)
        return 0;
    if (r < 0)
        return dv_error_move(err, &why, r);
    dv_ingest_keep_nothing(i);
    if (dv_ingest_have(i) > 0) /* of somebody who died: quicker written than read */
        r = dv_ingest_reset(i, err);
    if (r == 0)
        r = dv_ingest_write(i, bytes, (size_t)desc->size, err);
    if (r == 0)
        return dv_ingest_commit(i, err);
    dv_ingest_abort(i);
    return r;
}

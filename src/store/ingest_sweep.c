/*
 * store/ingest_sweep.c - see ingest_sweep.h. Decides what in ingest/ is old: by the time of its last write, in either direction,
 * since a clock that was wrong by a week may have run ahead; removing an ingest costs a transfer, never a blob.
 *
 * The lock comes first, then a look whether the name still means the locked file, and the order of removal is ingest.c's: data
 * empty, journal gone, data gone.
 */
#include "store/ingest_sweep.h"

#include "store/store_private.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/hex.h"
#include "util/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define NAME_SIZE 192 /* of "ingest/" and a name */
#define JOURNAL ".journal"
#define JOURNAL_NEW ".journal.new"

static bool is_hex(const char *text, size_t size, size_t digits)
{
    return size == digits && strspn(text, "0123456789abcdef") >= size;
}

dv_ingest_file_kind dv_ingest_file_kind_of(const char *name, size_t *out_data_size)
{
    size_t size = strlen(name);
    dv_ingest_file_kind kind = DV_INGEST_STRAY;
    bool is_journal = true;
    if (dv_str_ends(name, JOURNAL_NEW))
        size -= strlen(JOURNAL_NEW);
    else if (dv_str_ends(name, JOURNAL))
        size -= strlen(JOURNAL);
    else
        is_journal = false;
    if (dv_str_starts(name, "sha256-") && is_hex(name + 7, size - 7, 64))
        kind = DV_INGEST_NAMED;
    else if (dv_str_starts(name, "sha512-") && is_hex(name + 7, size - 7, 128))
        kind = DV_INGEST_NAMED;
    else if (dv_str_starts(name, "key-") && is_hex(name + 4, size - 4, 64))
        kind = DV_INGEST_NAMED;
    else if (dv_str_starts(name, "new-") && is_hex(name + 4, size - 4, 16))
        kind = DV_INGEST_NAMELESS;
    if (out_data_size)
        *out_data_size = size;
    return kind != DV_INGEST_STRAY && is_journal ? DV_INGEST_JOURNAL : kind;
}

/* --- looking --------------------------------------------------------------------------------------------------------- */

static bool is_old(const struct stat *st, int64_t now_s, int64_t kept_s)
{
    int64_t age = now_s - (int64_t)st->st_mtim.tv_sec;
    return age > kept_s || age < -kept_s;
}

static bool has_data(const dv_store *s, const char *name, size_t data_size)
{
    char path[NAME_SIZE];
    snprintf(path, sizeof(path), "ingest/%.*s", (int)data_size, name);
    return faccessat(s->dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

/* False when it is gone. */
static bool examine(const dv_store *s, const char *name, int64_t now_s, dv_ingest_file *out)
{
    char path[NAME_SIZE];
    size_t data_size;
    *out = (dv_ingest_file){.name = name, .kind = dv_ingest_file_kind_of(name, &data_size)};
    int n = snprintf(path, sizeof(path), "ingest/%s", name);
    if (n < 0 || (size_t)n >= sizeof(path)) { /* too long to be ours */
        out->kind = DV_INGEST_STRAY;
        return true;
    }
    if (fstatat(s->dirfd, path, &out->st, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    if (!S_ISREG(out->st.st_mode))
        out->kind = DV_INGEST_STRAY;
    if (out->kind == DV_INGEST_JOURNAL)
        out->removable = !has_data(s, name, data_size);
    if (out->kind != DV_INGEST_NAMED && out->kind != DV_INGEST_NAMELESS)
        return true;
    out->owned = dv_store_is_locked(s, path);
    int64_t kept_s = out->kind == DV_INGEST_NAMELESS ? DV_INGEST_NAMELESS_KEPT_S : DV_INGEST_KEPT_S;
    out->removable = !out->owned && is_old(&out->st, now_s, kept_s);
    return true;
}

int dv_ingest_walk(dv_store *s, int64_t now_s, dv_ingest_visit *visit, void *user_data, davit_error **err)
{
    int fd = openat(s->dirfd, "ingest", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r = 0;
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        int errnum = errno;
        dv_close(&fd);
        return errnum == ENOENT ? 0 : dv_store_error(s, errnum, "read", "ingest", err);
    }
    const struct dirent *entry;
    while (r == 0 && (errno = 0, entry = readdir(dir))) {
        dv_ingest_file file;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            examine(s, entry->d_name, now_s, &file))
            r = visit(s, &file, user_data, err);
        errno = 0;
    }
    if (r == 0 && errno)
        r = dv_store_error(s, errno, "read", "ingest", err);
    closedir(dir);
    return r;
}

/* --- removing -------------------------------------------------------------------------------------------------------- */

/* The data's file, locked, made when only its journal is left: who owns the data owns the journal. -1: not ours to have. */
static int lock_data(const dv_store *s, const char *path)
{
    int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
    DV_AUTOCLOSE fd = openat(s->dirfd, path, flags, 0600);
    if (fd < 0 && errno == EACCES && fchmodat(s->dirfd, path, 0600, 0) == 0)
        fd = openat(s->dirfd, path, flags, 0600);
    struct stat ours, named;
    if (fd < 0 || dv_try_lock(fd) != 1 || fstat(fd, &ours) < 0 ||
        fstatat(s->dirfd, path, &named, AT_SYMLINK_NOFOLLOW) < 0 || ours.st_ino != named.st_ino ||
        ours.st_dev != named.st_dev || !S_ISREG(ours.st_mode))
        return -1;
    int locked = fd;
    fd = -1;
    return locked;
}

static int remove_name(const dv_store *s, const char *path, const char *suffix, davit_error **err)
{
    char name[NAME_SIZE + sizeof(JOURNAL_NEW)];
    snprintf(name, sizeof(name), "%s%s", path, suffix);
    if (unlinkat(s->dirfd, name, 0) < 0 && errno != ENOENT)
        return dv_store_error(s, errno, "remove", name, err);
    return 0;
}

int dv_ingest_remove_unowned(dv_store *s, const char *data_name, davit_error **err)
{
    char path[NAME_SIZE];
    int n = snprintf(path, sizeof(path), "ingest/%s", data_name);
    if (n < 0 || (size_t)n >= sizeof(path))
        return dv_error_set(err, DAVIT_EINVAL, "%.80s is no name of an ingest", data_name);
    DV_AUTOCLOSE fd = lock_data(s, path);
    if (fd < 0)
        return 0;
    while (ftruncate(fd, 0) < 0 && errno == EINTR)
        ;
    int r = remove_name(s, path, JOURNAL, err);
    if (r == 0)
        r = remove_name(s, path, JOURNAL_NEW, err);
    if (r == 0)
        r = remove_name(s, path, "", err);
    return r < 0 ? r : 1;
}

typedef struct sweep {
    bool dry;
    dv_ingest_sweep_result *out;
} sweep;

static int sweep_file(dv_store *s, const dv_ingest_file *file, void *user_data, davit_error **err)
{
    sweep *w = user_data;
    char data[NAME_SIZE];
    size_t data_size;
    if (!file->removable)
        return 0;
    dv_ingest_file_kind_of(file->name, &data_size);
    snprintf(data, sizeof(data), "%.*s", (int)data_size, file->name);
    int r = w->dry ? 1 : dv_ingest_remove_unowned(s, data, err);
    if (r == 1) {
        w->out->ingests += file->kind != DV_INGEST_JOURNAL;
        w->out->bytes += (uint64_t)file->st.st_blocks * 512; /* files with holes: what they take */
    }
    return r < 0 ? r : 0;
}

int dv_ingest_sweep(dv_store *s, int64_t now_s, bool dry, dv_ingest_sweep_result *out, davit_error **err)
{
    sweep w = {.dry = dry, .out = out};
    *out = (dv_ingest_sweep_result){0};
    int r = dv_store_check_writable(s, err);
    return r < 0 ? r : dv_ingest_walk(s, now_s, sweep_file, &w, err);
}

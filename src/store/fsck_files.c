/*
 * store/fsck_files.c - see fsck.h: the names that lie in a store's directories. Decides what is davit's; what a repair removes of
 * the rest are files, never directories.
 */
#include "store/fsck.h"

#include "store/ingest_journal.h"
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
#include <sys/stat.h>

#define PATH_SIZE (16 + NAME_MAX + 16)

/* What an entry is, for its folder. */
typedef enum verdict { OURS, STRANGE, LEFT_OVER } verdict;
typedef verdict judge_fn(const dv_fsck *f, const char *name, const struct stat *st);

typedef struct folder {
    const char *path; /* "" is the store's own */
    judge_fn *judge;
    bool tidy; /* a repair removes what is strange here */
} folder;

static verdict judge_root(const dv_fsck *f, const char *name, const struct stat *st)
{
    static const char *const known[] = {"blobs",    "ingest",       "leases",       "layers",          "lock",
                                        "davit.db", "davit.db-wal", "davit.db-shm", "davit.db-journal"};
    for (size_t i = 0; i < DV_COUNT(known); i++)
        if (dv_str_equal(name, known[i]))
            return OURS;
    return STRANGE;
}

static verdict judge_blobs(const dv_fsck *f, const char *name, const struct stat *st)
{
    bool known = dv_str_equal(name, "sha256") || dv_str_equal(name, "sha512");
    return known && S_ISDIR(st->st_mode) ? OURS : STRANGE;
}

static verdict judge_hex(const char *name, size_t digits, const struct stat *st)
{
    bool named = strlen(name) == digits && strspn(name, "0123456789abcdef") == digits;
    return named && S_ISREG(st->st_mode) ? OURS : STRANGE;
}

static verdict judge_sha256(const dv_fsck *f, const char *name, const struct stat *st)
{
    return judge_hex(name, 64, st);
}

static verdict judge_sha512(const dv_fsck *f, const char *name, const struct stat *st)
{
    return judge_hex(name, 128, st);
}

static verdict judge_lease(const dv_fsck *f, const char *name, const struct stat *st)
{
    char path[PATH_SIZE];
    if (judge_hex(name, 32, st) != OURS)
        return STRANGE;
    snprintf(path, sizeof(path), "leases/%s", name);
    return dv_store_is_locked(f->store, path) ? OURS : LEFT_OVER;
}

static const folder folders[] = {
    {"", judge_root, false},
    {"blobs", judge_blobs, true},
    {"blobs/sha256", judge_sha256, true},
    {"blobs/sha512", judge_sha512, true},
    {"leases", judge_lease, true},
};

static int tell(dv_fsck *f, davit_fsck_kind kind, bool damage, bool repaired, const char *path,
                const char *message, davit_error **err)
{
    return dv_fsck_add(
        f, &(dv_fsck_about){.kind = kind, .damage = damage, .repaired = repaired, .subject = path}, err, "%s",
        message);
}

/* A file where a blob's name belongs that is none, such as a symbolic link, is damage: it hides the blob. */
static int tell_strange(dv_fsck *f, const folder *in, const char *name, const struct stat *st,
                        davit_error **err)
{
    char path[PATH_SIZE];
    snprintf(path, sizeof(path), "%s%s%s", in->path, *in->path ? "/" : "", name);
    bool hides = (in->judge == judge_sha256 || in->judge == judge_sha512) && !S_ISREG(st->st_mode);
    bool removes = dv_fsck_repairs(f) && in->tidy && !S_ISDIR(st->st_mode);
    bool gone = removes && (unlinkat(f->store->dirfd, path, 0) == 0 || errno == ENOENT);
    return tell(f, DAVIT_FSCK_STRAY, hides, gone, path,
                S_ISDIR(st->st_mode) ? "a directory that is not davit's" : "not davit's", err);
}

static int check_entry(dv_fsck *f, const folder *in, int dirfd, const char *name, size_t *left_over,
                       davit_error **err)
{
    struct stat st;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0; /* gone meanwhile */
    verdict v = in->judge(f, name, &st);
    *left_over += v == LEFT_OVER;
    return v == STRANGE ? tell_strange(f, in, name, &st, err) : 0;
}

static int check_folder(dv_fsck *f, const folder *in, size_t *left_over, davit_error **err)
{
    const char *path = *in->path ? in->path : ".";
    int fd = openat(f->store->dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), r = 0;
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        int errnum = errno;
        dv_close(&fd);
        return errnum == ENOENT || errnum == ENOTDIR
                   ? 0
                   : dv_store_error(f->store, errnum, "read", in->path, err);
    }
    const struct dirent *entry;
    while (r == 0 && (errno = 0, entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            r = check_entry(f, in, fd, entry->d_name, left_over, err);
        errno = 0;
    }
    if (r == 0 && errno)
        r = dv_store_error(f->store, errno, "read", in->path, err);
    closedir(dir);
    return r;
}

/* --- leases and ingests -------------------------------------------------------------------------------------------------- */

static int tell_leases(dv_fsck *f, size_t count, davit_error **err)
{
    if (count == 0)
        return 0;
    bool removed =
        dv_fsck_repairs(f) && dv_lease_sweep(f->store, NULL, NULL) == 0; /* not without a database */
    return dv_fsck_add(
        f, &(dv_fsck_about){.kind = DAVIT_FSCK_LEFTOVER, .repaired = removed, .subject = "leases"}, err,
        "%zu of processes that are dead", count);
}

/* A journal that says nothing: what it stands beside will be fetched again. */
static bool is_worthless(const dv_fsck *f, const dv_ingest_file *file)
{
    char path[PATH_SIZE];
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_JOURNAL_MAX);
    DV_AUTO(dv_spans) spans = DV_SPANS_INIT;
    size_t used;
    dv_ingest_file_kind_of(file->name, &used);
    snprintf(path, sizeof(path), "ingest/%.*s", (int)used, file->name);
    if (dv_store_is_locked(f->store, path))
        return false; /* its owner is at it */
    snprintf(path, sizeof(path), "ingest/%s", file->name);
    int r = dv_file_read(f->store->dirfd, path, DV_JOURNAL_MAX, &text, NULL);
    if (r < 0)
        return r == DAVIT_ETOOBIG;
    return text.size > 0 &&
           dv_journal_parse(dv_buf_text(&text), text.size, UINT64_MAX, &spans, &used, NULL) < 0;
}

static const char *flaw_of(const dv_fsck *f, const dv_ingest_file *file)
{
    if (file->kind == DV_INGEST_NAMELESS && file->removable)
        return "of a process that is dead, and nobody can continue it";
    if (file->kind == DV_INGEST_NAMED && file->removable)
        return "an unfinished download that nobody has continued for a week";
    if (file->kind == DV_INGEST_JOURNAL && file->removable)
        return "a journal without its download";
    if (file->kind == DV_INGEST_JOURNAL && is_worthless(f, file))
        return "a journal that says nothing: its download starts over";
    return NULL;
}

static int check_ingest(dv_store *s, const dv_ingest_file *file, void *user_data, davit_error **err)
{
    dv_fsck *f = user_data;
    char path[PATH_SIZE], data[NAME_MAX + 1];
    size_t size;
    snprintf(path, sizeof(path), "ingest/%s", file->name);
    if (file->kind == DV_INGEST_STRAY)
        return tell_strange(f, &(folder){.path = "ingest", .tidy = true}, file->name, &file->st, err);
    const char *flaw = flaw_of(f, file);
    if (!flaw)
        return 0;
    dv_ingest_file_kind_of(file->name, &size);
    snprintf(data, sizeof(data), "%.*s", (int)size, file->name);
    int r = dv_fsck_repairs(f) ? dv_ingest_remove_unowned(s, data, err) : 0;
    return r < 0 ? r : tell(f, DAVIT_FSCK_LEFTOVER, false, r == 1, path, flaw, err);
}

int dv_fsck_files(dv_fsck *f, davit_error **err)
{
    size_t left_over = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < DV_COUNT(folders); i++)
        r = check_folder(f, &folders[i], &left_over, err);
    if (r == 0)
        r = tell_leases(f, left_over, err);
    return r < 0 ? r : dv_ingest_walk(f->store, dv_wall_time_s(), check_ingest, f, err);
}

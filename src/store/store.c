/*
 * store/store.c - opening a store: its directory, its layout version, its shared life.
 *
 * The file `lock` holds the version of the layout. Everybody who has the store open holds a shared lock on it, so that a
 * later version can migrate under the exclusive one. An empty `lock` is a store that is being made, or whose maker died:
 * whoever gets the exclusive lock finishes the job. Directories are made by whoever first needs them, so that opening
 * costs five system calls. The database is db.c's, blobs content_store.c's and ingest.c's.
 */
#include "store/store.h"

#include "store/db.h"
#include "store/store_private.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#define LOCK_PREFIX "davit-store " /* then the version and a newline */
#define LOCK_TEXT_MAX 64           /* bytes */

int dv_store_error(const dv_store *s, int errnum, const char *doing, const char *name, davit_error **err)
{
    if (errnum == EROFS || errnum == EACCES || errnum == EPERM)
        return dv_error_errno(err, DAVIT_ESTORE, errnum, "cannot %s %s/%s", doing, s->path, name);
    return dv_error_file(err, errnum, "cannot %s %s/%s", doing, s->path, name);
}

int dv_store_check_writable(const dv_store *s, davit_error **err)
{
    if (!s->read_only)
        return 0;
    return dv_error_set(err, DAVIT_ESTORE, "store %s is open for reading only", s->path);
}

int dv_store_make_directory(const dv_store *s, const char *name)
{
    return mkdirat(s->dirfd, name, 0700) < 0 && errno != EEXIST ? -errno : 0;
}

bool dv_store_is_locked(const dv_store *s, const char *path)
{
    DV_AUTOCLOSE fd = openat(s->dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return errno != ENOENT;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static int take_fd(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

static char *absolute(const char *path)
{
    if (path[0] == '/')
        return dv_strdup(path);
    DV_AUTOFREE char *here = getcwd(NULL, 0);
    if (!here)
        return NULL;
    DV_AUTO(dv_buf) text = DV_BUF_INIT(SIZE_MAX / 2);
    dv_buf_printf(&text, "%s/%s", here, path);
    return dv_buf_take(&text);
}

static int no_store(const dv_store *s, davit_error **err)
{
    return dv_error_set(err, DAVIT_ENOTFOUND, "no store at %s", s->path);
}

static int make_root(const dv_store *s, davit_error **err)
{
    davit_error *why = NULL;
    int r = dv_make_directories(s->path, 0700, &why);
    if (r != DAVIT_EIO)
        return dv_error_move(err, &why, r);
    /* A read-only or forbidden place: the store's failure, not the disk's. */
    r = dv_error_set(err, DAVIT_ESTORE, "%s", davit_error_message(why));
    davit_error_free(why);
    return r;
}

static int open_root(dv_store *s, unsigned flags, davit_error **err)
{
    s->dirfd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dirfd < 0 && errno == ENOENT && (flags & DV_STORE_CREATE)) {
        int r = make_root(s, err);
        if (r < 0)
            return r;
        s->dirfd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    if (s->dirfd < 0 && errno == ENOENT)
        return no_store(s, err);
    if (s->dirfd < 0)
        return dv_error_errno(err, DAVIT_ESTORE, errno, "cannot open store %s", s->path);
    return 0;
}

static int check_mount(dv_store *s, bool *out_read_only, davit_error **err)
{
    struct statvfs fs;
    if (fstatvfs(s->dirfd, &fs) < 0)
        return dv_store_error(s, errno, "examine", "", err);
    bool read_only = (fs.f_flag & ST_RDONLY) != 0;
    if (read_only && !s->read_only)
        return dv_error_set(err, DAVIT_ESTORE, "store %s is on a read-only file system", s->path);
    *out_read_only = read_only;
    return 0;
}

static int still_locked(const dv_store *s, davit_error **err)
{
    return dv_error_set(err, DAVIT_ESTORE,
                        "another process has held %s/lock for %d seconds: it makes or converts the store",
                        s->path, DV_STORE_WAIT_MS / 1000);
}

/* Take a lock within DV_STORE_WAIT_MS. A file system without locks is good enough for reading. */
static int wait_lock(dv_store *s, int fd, bool exclusive, davit_error **err)
{
    uint64_t start = dv_clock_ms();
    for (;;) {
        int r = exclusive ? dv_try_lock(fd) : dv_try_lock_shared(fd);
        if (r == 1 || (r < 0 && s->read_only))
            return 0;
        if (r < 0)
            return dv_store_error(s, -r, "lock", "lock", err);
        if (dv_clock_ms() - start > DV_STORE_WAIT_MS)
            return still_locked(s, err);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

/* *out_version is 0 for a store that is not finished. */
static int read_version(const dv_store *s, int fd, uint64_t *out_version, davit_error **err)
{
    char text[LOCK_TEXT_MAX + 1];
    ssize_t n = dv_pread_all(fd, text, LOCK_TEXT_MAX, 0);
    if (n < 0)
        return dv_store_error(s, (int)-n, "read", "lock", err);
    text[n] = '\0';
    *out_version = 0;
    if (n == 0)
        return 0;
    uint64_t version = 0;
    bool whole = text[n - 1] == '\n' && strlen(text) == (size_t)n;
    text[n - 1] = '\0';
    if (!whole || !dv_str_starts(text, LOCK_PREFIX) || !dv_str_to_u64(text + strlen(LOCK_PREFIX), &version) ||
        version == 0)
        return dv_error_set(err, DAVIT_ESTORE, "%s/lock is not a davit store's", s->path);
    if (version > DV_STORE_LAYOUT_VERSION)
        return dv_error_set(err, DAVIT_ESTORE,
                            "store %s has layout %llu, made by a newer davit; this one knows up to %d",
                            s->path, (unsigned long long)version, DV_STORE_LAYOUT_VERSION);
    *out_version = version;
    return 0;
}

/* The one time that opening syncs: the version, its name, and the store's own name. */
static int write_version(const dv_store *s, int fd, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(LOCK_TEXT_MAX);
    dv_buf_printf(&text, LOCK_PREFIX "%d\n", DV_STORE_LAYOUT_VERSION);
    if (text.failed)
        return dv_error_oom(err);
    int r = dv_pwrite_all(fd, text.data, text.size, 0);
    if (r < 0)
        return dv_store_error(s, -r, "write", "lock", err);
    if (fsync(fd) < 0 || fsync(s->dirfd) < 0)
        return dv_store_error(s, errno, "sync", "lock", err);
    DV_AUTOCLOSE parent = openat(s->dirfd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent >= 0)
        fsync(parent); /* somebody else's directory: not being allowed to is no reason to fail */
    return 0;
}

/*
 * The lock file with the lock that it takes to go on: 1: the exclusive one, to finish the store; 0: the shared one, since
 * somebody else has finished it meanwhile and keeps a shared one for good.
 */
static int lock_unfinished(dv_store *s, int *out_fd, davit_error **err)
{
    uint64_t start = dv_clock_ms();
    for (;;) {
        DV_AUTOCLOSE fd =
            openat(s->dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
        if (fd < 0)
            return dv_store_error(s, errno, "make", "lock", err);
        int got = dv_try_lock(fd);
        if (got < 0)
            return dv_store_error(s, -got, "lock", "lock", err);
        uint64_t version = 0;
        if (got == 1 || dv_try_lock_shared(fd) == 1) {
            int r = read_version(s, fd, &version, err);
            if (r < 0)
                return r;
        }
        if (got == 1 || version != 0) {
            *out_fd = take_fd(&fd);
            return version == 0;
        }
        if (dv_clock_ms() - start > DV_STORE_WAIT_MS)
            return still_locked(s, err);
        dv_close(&fd); /* our own shared lock would be in the way of another's exclusive one */
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
}

static int make_layout(dv_store *s, davit_error **err)
{
    DV_AUTOCLOSE fd = -1;
    int r = lock_unfinished(s, &fd, err);
    if (r == 1)
        r = write_version(s, fd, err);
    if (r == 0)
        r = wait_lock(s, fd, /* exclusive= */ false, err);
    if (r == 0)
        s->lock_fd = take_fd(&fd);
    return r;
}

static int open_layout(dv_store *s, unsigned flags, davit_error **err)
{
    DV_AUTOCLOSE fd = openat(s->dirfd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
    if (fd < 0 && errno != ENOENT)
        return dv_store_error(s, errno, "open", "lock", err);
    uint64_t version = 0;
    if (fd >= 0) {
        int r = wait_lock(s, fd, /* exclusive= */ false, err);
        if (r == 0)
            r = read_version(s, fd, &version, err);
        if (r < 0)
            return r;
    }
    if (version == 0 && !(flags & DV_STORE_CREATE))
        return no_store(s, err);
    if (version == 0) {
        dv_close(&fd); /* our own shared lock would be in the way of the exclusive one */
        return make_layout(s, err);
    }
    s->lock_fd = take_fd(&fd);
    return 0;
}

int dv_store_open(const char *path, unsigned flags, dv_store **out, davit_error **err)
{
    if (!path || !path[0])
        return dv_error_set(err, DAVIT_EINVAL, "no directory given for the store");
    DV_AUTOPTR(dv_store) s = dv_new(dv_store);
    if (!s)
        return dv_error_oom(err);
    atomic_init(&s->references, 1);
    s->dirfd = s->lock_fd = -1;
    s->read_only = (flags & DV_STORE_READ_ONLY) != 0;
    if (s->read_only)
        flags &= ~(unsigned)DV_STORE_CREATE;
    s->path = absolute(path);
    if (!s->path)
        return dv_error_oom(err);
    bool read_only_mount = false;
    int r = open_root(s, flags, err);
    if (r == 0)
        r = check_mount(s, &read_only_mount, err);
    if (r == 0)
        r = open_layout(s, flags, err);
    if (r < 0)
        return r;
    s->db = dv_db_new(s->path, s->read_only, read_only_mount);
    if (!s->db)
        return dv_error_oom(err);
    *out = DV_STEAL(s);
    return 0;
}

dv_store *dv_store_ref(dv_store *s)
{
    atomic_fetch_add_explicit(&s->references, 1, memory_order_relaxed);
    return s;
}

void dv_store_unref(dv_store *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->references, 1, memory_order_acq_rel) > 1)
        return;
    dv_db_free(s->db);
    dv_close(&s->lock_fd);
    dv_close(&s->dirfd);
    free(s->path);
    free(s);
}

const char *dv_store_path(const dv_store *s)
{
    return s->path;
}

bool dv_store_is_read_only(const dv_store *s)
{
    return s->read_only;
}

int dv_store_dirfd(const dv_store *s)
{
    return s->dirfd;
}

int dv_store_db(dv_store *s, struct dv_db **out, davit_error **err)
{
    int r = dv_db_open(s->db, err);
    if (r == 0)
        *out = s->db;
    return r;
}

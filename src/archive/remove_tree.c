/*
 * archive/remove_tree.c - see remove_tree.h.
 *
 * A stack of frames, one for each directory on the way down. Only the lowest FRAMES_OPEN of them hold a descriptor; further up one is
 * opened again by ".." of its child, and it must be the same inode: whoever moves directories about meanwhile gets an error.
 */
#include "archive/remove_tree.h"

#include "archive/staging.h"
#include "util/buf.h"
#include "util/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define FRAMES_OPEN 64
#define FRAMES_MAX (1u << 20)
#define BATCH (64u << 10) /* bytes of names gathered before they are dealt with, when nothing stays */
#define SCANS_MAX 64      /* of one directory that does not get empty though nothing was found in it */

typedef struct frame {
    char *name; /* in the directory above; NULL for one that was given open */
    int fd;
    struct stat st;
    dv_buf names; /* directories in it that wait, each with its NUL */
    size_t next;  /* into names */
    bool keeps;   /* it stays itself */
    bool more;    /* scan again: the batch was full */
    bool changed;
    unsigned scans;
} frame;

typedef struct walk {
    frame *frames;
    size_t depth, capacity;
    const dv_tree_keep *keep;
} walk;

/* What getdents64(2) writes. */
typedef struct record {
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
} record;

static void frame_clear(frame *f)
{
    free(f->name);
    dv_close(&f->fd);
    dv_buf_clear(&f->names);
}

static void walk_clear(walk *w)
{
    while (w->depth > 0)
        frame_clear(&w->frames[--w->depth]);
    free(w->frames);
}
DV_DEFINE_AUTO(walk, walk_clear)

static int fail(davit_error **err, int errnum, const char *name)
{
    return dv_error_file(err, errnum, "cannot remove %s", name ? name : "the content of a directory");
}

/* A directory and nothing else: no link, no mount point. A descriptor or -errno. */
static int open_directory(int dirfd, const char *name)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
    const uint64_t resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH;
    int fd = dv_openat2(dirfd, name, flags, resolve);
    if (fd == -EACCES && fchmodat(dirfd, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
        fd = dv_openat2(dirfd, name, flags, resolve);
    return fd;
}

/* Takes fd. name is copied, NULL for the first directory of dv_tree_empty(). */
static int push(walk *w, int fd, const char *name, bool keeps, davit_error **err)
{
    DV_AUTOCLOSE owned = fd;
    frame f = {.fd = fd, .names = DV_BUF_INIT(DV_TREE_NAMES_MAX), .keeps = keeps};
    if (fstat(fd, &f.st) < 0)
        return fail(err, errno, name);
    if (geteuid() != 0 && (f.st.st_mode & 0700) != 0700 && fchmod(fd, 0700) < 0)
        return fail(err, errno, name);
    if (w->depth >= FRAMES_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "cannot remove %s: it is nested too deeply", name);
    if (w->depth == w->capacity) {
        size_t capacity = w->capacity ? w->capacity * 2 : 16;
        frame *frames = dv_realloc_array(w->frames, capacity, sizeof(*frames));
        if (!frames)
            return dv_error_oom(err);
        w->frames = frames;
        w->capacity = capacity;
    }
    if (name && !(f.name = dv_strdup(name)))
        return dv_error_oom(err);
    owned = -1;
    w->frames[w->depth++] = f;
    if (w->depth > FRAMES_OPEN)
        dv_close(&w->frames[w->depth - FRAMES_OPEN - 1].fd);
    return 0;
}

static bool stays(const walk *w, const frame *f, const char *name)
{
    return w->keep && w->keep->keeps_entry(w->keep->user, f->st.st_ino, name);
}

static bool is_directory(int fd, const record *r)
{
    struct stat st;
    if (r->type != DT_UNKNOWN)
        return r->type == DT_DIR;
    return fstatat(fd, r->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static int deal_with(walk *w, frame *f, const record *r, davit_error **err)
{
    if (strcmp(r->name, ".") == 0 || strcmp(r->name, "..") == 0)
        return 0;
    if (is_directory(f->fd, r)) {
        dv_buf_append(&f->names, r->name, strlen(r->name) + 1);
        if (f->names.failed == DAVIT_ETOOBIG)
            return dv_error_set(err, DAVIT_ETOOBIG, "cannot remove %s: too many directories in it", r->name);
        return f->names.failed ? dv_error_oom(err) : 0;
    }
    if (stays(w, f, r->name))
        return 0;
    f->changed = true;
    return unlinkat(f->fd, r->name, 0) < 0 && errno != ENOENT ? fail(err, errno, r->name) : 0;
}

/* Remove what is no directory, gather what is one. */
static int scan(walk *w, frame *f, davit_error **err)
{
    _Alignas(record) char buffer[32 << 10];
    dv_buf_reset(&f->names);
    f->next = 0;
    f->more = false;
    f->scans++;
    if (lseek(f->fd, 0, SEEK_SET) < 0)
        return fail(err, errno, f->name);
    for (;;) {
        long n = syscall(SYS_getdents64, f->fd, buffer, sizeof(buffer));
        if (n < 0)
            return fail(err, errno, f->name);
        if (n == 0)
            return 0;
        for (long at = 0; at < n;) {
            const record *r = (const record *)(buffer + at);
            int code = deal_with(w, f, r, err);
            if (code < 0)
                return code;
            at += r->size;
        }
        if (!w->keep && f->names.size >= BATCH) {
            f->more = true;
            return 0;
        }
    }
}

/* The frame above the uppermost one has an open descriptor again. */
static int reopen_above(walk *w, davit_error **err)
{
    frame *above = &w->frames[w->depth - 2], *top = &w->frames[w->depth - 1];
    struct stat st;
    if (above->fd >= 0)
        return 0;
    above->fd = openat(top->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (above->fd < 0 || fstat(above->fd, &st) < 0)
        return fail(err, errno, top->name);
    if (st.st_ino != above->st.st_ino || st.st_dev != above->st.st_dev)
        return dv_error_set(err, DAVIT_EIO, "cannot remove %s: somebody moved it meanwhile", top->name);
    return 0;
}

/* Done with the children of the uppermost. *again: they are not gone yet. */
static int leave(walk *w, int dirfd, bool *again, davit_error **err)
{
    frame *top = &w->frames[w->depth - 1];
    int above = dirfd;
    if (w->depth > 1) {
        int r = reopen_above(w, err);
        if (r < 0)
            return r;
        above = w->frames[w->depth - 2].fd;
    }
    bool gone = false;
    if (top->name && !top->keeps) {
        gone = unlinkat(above, top->name, AT_REMOVEDIR) == 0 || errno == ENOENT;
        bool full = !gone && (errno == ENOTEMPTY || errno == EEXIST);
        if (!gone && !(full && w->keep)) {
            *again = full && top->scans < SCANS_MAX;
            return *again ? 0 : fail(err, errno, top->name);
        }
    }
    if (gone && w->depth > 1)
        w->frames[w->depth - 2].changed = true;
    const struct timespec times[2] = {top->st.st_atim, top->st.st_mtim};
    if (!gone && top->name && top->changed && futimens(top->fd, times) < 0)
        return fail(err, errno, top->name);
    int r = !gone && w->keep && w->keep->on_kept ? w->keep->on_kept(w->keep->user, top->st.st_ino, err) : 0;
    frame_clear(&w->frames[--w->depth]);
    return r;
}

static int enter(walk *w, int dirfd, const char *name, bool keeps, davit_error **err)
{
    int fd = open_directory(dirfd, name);
    if (fd == -EMFILE || fd == -ENFILE) {
        for (size_t i = 0; i + 1 < w->depth; i++)
            dv_close(&w->frames[i].fd);
        fd = open_directory(dirfd, name);
    }
    if (fd == -ENOENT)
        return 0;
    if (fd == -EXDEV)
        return dv_error_set(err, DAVIT_EIO, "cannot remove %s: something is mounted there", name);
    if (fd < 0)
        return fail(err, -fd, name);
    return push(w, fd, name, keeps, err);
}

/* Work until the frames are used up. */
static int run(walk *w, int dirfd, davit_error **err)
{
    bool fresh = true;
    while (w->depth > 0) {
        frame *top = &w->frames[w->depth - 1];
        int r = 0;
        if (fresh && !(w->keep && w->keep->keeps_all(w->keep->user, top->st.st_ino)))
            r = scan(w, top, err);
        fresh = false;
        if (r < 0)
            return r;
        if (top->next < top->names.size) {
            size_t depth = w->depth;
            const char *name = top->names.data + top->next;
            top->next += strlen(name) + 1;
            r = enter(w, top->fd, name, stays(w, top, name), err);
            fresh = w->depth > depth;
        } else if (top->more) {
            fresh = true;
        } else {
            r = leave(w, dirfd, &fresh, err);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

int dv_tree_remove(int dirfd, const char *name, const dv_tree_keep *keep, davit_error **err)
{
    DV_AUTO(walk) w = {.keep = keep};
    struct stat st;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : fail(err, errno, name);
    bool keeps = false;
    if (keep) {
        struct stat parent;
        if (fstat(dirfd, &parent) < 0)
            return fail(err, errno, name);
        keeps = keep->keeps_entry(keep->user, parent.st_ino, name);
    }
    if (!S_ISDIR(st.st_mode))
        return keeps || unlinkat(dirfd, name, 0) == 0 || errno == ENOENT ? 0 : fail(err, errno, name);
    int r = enter(&w, dirfd, name, keeps, err);
    return r < 0 ? r : run(&w, dirfd, err);
}

int dv_tree_empty(int fd, const dv_tree_keep *keep, davit_error **err)
{
    DV_AUTO(walk) w = {.keep = keep};
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (own < 0)
        return fail(err, errno, NULL);
    int r = push(&w, own, NULL, /* keeps= */ true, err);
    return r < 0 ? r : run(&w, -1, err);
}

int dv_remove_tree(int dirfd, const char *name, davit_error **err)
{
    return dv_tree_remove(dirfd, name, NULL, err);
}

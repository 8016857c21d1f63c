/*
 * archive/staging.c - see staging.h.
 *
 * The place is the directory where the staging directory stands: the one above the target, or the target itself when it is a mount point. Its owner
 * holds a flock on it. Whoever stages in the same place next removes those whose lock is free; between mkdir and flock a new one may be taken
 * for such, so its maker looks whether it is still there and makes another.
 */
#include "archive/staging.h"

#include "archive/staging_mount.h"
#include "util/buf.h"
#include "util/file.h"
#include "util/hex.h"
#include "util/log.h"
#include "util/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#define PREFIX DV_STAGING_PREFIX
#define RANDOM_BYTES 8
#define NAME_SIZE (sizeof(PREFIX) + 2 * RANDOM_BYTES)
#define MAKE_TRIES 16
#define DEFAULT_MODE 0755

struct dv_staging {
    char *target; /* for messages */
    char *name;   /* its last component; "." for a mount point */
    int place_fd;
    int fd; /* the staging directory, locked */
    char staging_name[NAME_SIZE];
    mode_t mode;
    bool is_mount;
    bool exchange; /* the target is not empty, and goes */
    bool made;
};

static void staging_free(dv_staging *s)
{
    if (!s)
        return;
    dv_close(&s->fd);
    dv_close(&s->place_fd);
    free(s->target);
    free(s->name);
    free(s);
}

static void staging_autofree(dv_staging **s)
{
    staging_free(*s);
}

/* --- what dead owners left ----------------------------------------------------------------- */

static bool is_staging_name(const char *name)
{
    uint8_t random[RANDOM_BYTES];
    return dv_str_starts(name, PREFIX) && dv_hex_decode(name + strlen(PREFIX), random, sizeof(random));
}

static void remove_leftover(int place_fd, const char *name)
{
    struct stat st;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOCLOSE fd = openat(place_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return;
    if (st.st_uid != geteuid() &&
        !dv_staging_has_list(place_fd, name)) /* its owner is the image's root's in the end */
        return;
    int r = dv_staging_undo_move(place_fd, name, &err);
    if (r == 0)
        r = dv_remove_tree(place_fd, name, &err);
    if (r < 0)
        dv_warn("%s, left by an earlier run, cannot be removed: %s", name, davit_error_message(err));
}

static void remove_leftovers(int place_fd)
{
    int own = openat(place_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = own < 0 ? NULL : fdopendir(own);
    if (!dir) {
        dv_close(&own);
        return;
    }
    for (struct dirent *e; (e = readdir(dir));)
        if (is_staging_name(e->d_name))
            remove_leftover(place_fd, e->d_name);
    closedir(dir);
}

/* --- the target ---------------------------------------------------------------------------- */

/* Split into the directory above and the last component; "." and ".." and "/" are looked up first. */
static int split(const char *target, char **out_above, char **out_name, davit_error **err)
{
    DV_AUTOFREE char *path = dv_strdup(target);
    if (!path)
        return dv_error_oom(err);
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/')
        path[--size] = '\0';
    const char *slash = strrchr(path, '/');
    const char *last = slash ? slash + 1 : path;
    if (strcmp(last, ".") == 0 || strcmp(last, "..") == 0) {
        char *real = realpath(path, NULL);
        if (!real)
            return dv_error_file(err, errno, "cannot unpack to %s", target);
        free(path);
        path = real;
        slash = strrchr(path, '/');
        last = slash + 1;
    }
    char *above = !slash ? dv_strdup(".") : dv_strndup(path, slash > path ? (size_t)(slash - path) : 1);
    char *name = dv_strdup(*last ? last : ".");
    if (!above || !name) {
        free(above);
        free(name);
        return dv_error_oom(err);
    }
    *out_above = above;
    *out_name = name;
    return 0;
}

static int open_above(const char *target, const char *above, int *out, davit_error **err)
{
    int fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return dv_error_set(err, DAVIT_EIO, "cannot unpack to %s: there is no directory %s", target, above);
    if (fd < 0 && errno == ENOTDIR)
        return dv_error_set(err, DAVIT_EIO, "cannot unpack to %s: %s is not a directory", target, above);
    if (fd < 0)
        return dv_error_file(err, errno, "cannot unpack to %s: cannot open %s", target, above);
    *out = fd;
    return 0;
}

/* Does something other than a fresh file system's own directory stand in it? -errno when it cannot be read. */
static int has_children(int fd, bool is_mount)
{
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = own < 0 ? NULL : fdopendir(own);
    if (!dir) {
        int r = -errno;
        dv_close(&own);
        return r;
    }
    int found = 0;
    for (struct dirent *e; !found && (e = readdir(dir));)
        found = strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
                !(is_mount && strcmp(e->d_name, "lost+found") == 0);
    closedir(dir);
    return found;
}

static bool is_mount_point(int above_fd, int fd, const struct statx *st)
{
    struct stat above, self;
    if (st->stx_attributes_mask & STATX_ATTR_MOUNT_ROOT)
        return st->stx_attributes & STATX_ATTR_MOUNT_ROOT;
    return fstat(above_fd, &above) == 0 && fstat(fd, &self) == 0 && above.st_dev != self.st_dev;
}

/* The target is a directory: it must be empty, or may be exchanged. */
static int look_into(dv_staging *s, const struct statx *st, unsigned flags, davit_error **err)
{
    DV_AUTOCLOSE fd = openat(s->place_fd, s->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return dv_error_file(err, errno, "cannot unpack to %s", s->target);
    s->is_mount = is_mount_point(s->place_fd, fd, st);
    if (s->is_mount)
        remove_leftovers(fd);
    int r = has_children(fd, s->is_mount);
    if (r < 0)
        return dv_error_file(err, -r, "cannot read %s", s->target);
    if (r > 0 && !(flags & DV_STAGING_FORCE))
        return dv_error_set(err, DAVIT_EEXIST, "%s is not empty; --force replaces it", s->target);
    s->exchange = r > 0;
    if (s->is_mount) {
        dv_close(&s->place_fd);
        s->place_fd = fd;
        fd = -1;
    }
    return 0;
}

/* place_fd is the directory above; afterwards it is the place. */
static int look_at_target(dv_staging *s, unsigned flags, davit_error **err)
{
    struct statx st;
    if (statx(s->place_fd, s->name, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, STATX_TYPE | STATX_INO, &st) < 0)
        return errno == ENOENT ? 0 : dv_error_file(err, errno, "cannot unpack to %s", s->target);
    if (S_ISLNK(st.stx_mode))
        return dv_error_set(err, DAVIT_EEXIST, "%s is a symbolic link; name the directory itself", s->target);
    if (!S_ISDIR(st.stx_mode))
        return dv_error_set(err, DAVIT_EEXIST, "%s is there and is not a directory", s->target);
    return look_into(s, &st, flags, err);
}

/* --- the staging directory ----------------------------------------------------------------- */

/* What the directory above hands on to what is made in it is not the image's: group, setgid, ACLs. */
static int make_plain(dv_staging *s, davit_error **err)
{
    struct stat st;
    fremovexattr(s->fd, "system.posix_acl_default");
    fremovexattr(s->fd, "system.posix_acl_access");
    if (fstat(s->fd, &st) < 0)
        return dv_error_file(err, errno, "cannot read the staging directory of %s", s->target);
    if (st.st_gid != getegid() && fchown(s->fd, (uid_t)-1, getegid()) < 0)
        return dv_error_file(err, errno, "cannot set the group of the staging directory of %s", s->target);
    if (fchmod(s->fd, 0700) < 0)
        return dv_error_file(err, errno, "cannot set the mode of the staging directory of %s", s->target);
    return 0;
}

/* 1: it is ours, locked; 0: somebody took it for a leftover. Where directories have no locks it goes without. */
static int lock_new(dv_staging *s)
{
    struct stat here, there;
    if (flock(s->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return 0;
    return fstat(s->fd, &here) == 0 &&
           fstatat(s->place_fd, s->staging_name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
           here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

static int make_staging(dv_staging *s, davit_error **err)
{
    for (unsigned tries = 0; tries < MAKE_TRIES; tries++) {
        uint8_t random[RANDOM_BYTES];
        dv_random_bytes(random, sizeof(random));
        memcpy(s->staging_name, PREFIX, sizeof(PREFIX));
        dv_hex_encode(random, sizeof(random), s->staging_name + strlen(PREFIX));
        if (mkdirat(s->place_fd, s->staging_name, 0700) < 0) {
            if (errno == EEXIST)
                continue;
            return dv_error_file(err, errno, "cannot unpack to %s: cannot make a directory beside it",
                                 s->target);
        }
        s->fd = openat(s->place_fd, s->staging_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (s->fd < 0 && errno != ENOENT) {
            int r = dv_error_file(err, errno, "cannot unpack to %s", s->target);
            unlinkat(s->place_fd, s->staging_name, AT_REMOVEDIR);
            return r;
        }
        if (s->fd >= 0 && lock_new(s)) {
            s->made = true;
            return make_plain(s, err);
        }
        dv_close(&s->fd);
    }
    return dv_error_set(err, DAVIT_EIO, "cannot unpack to %s: cannot make a directory beside it", s->target);
}

int dv_staging_open(const char *target, unsigned flags, dv_staging **out, davit_error **err)
{
    __attribute__((cleanup(staging_autofree))) dv_staging *s = dv_new(dv_staging);
    DV_AUTOFREE char *above = NULL;
    if (!s)
        return dv_error_oom(err);
    s->place_fd = s->fd = -1;
    s->mode = DEFAULT_MODE;
    if (!target || *target == '\0')
        return dv_error_set(err, DAVIT_EINVAL, "no directory to unpack to");
    s->target = dv_strdup(target);
    if (!s->target)
        return dv_error_oom(err);
    int r = split(target, &above, &s->name, err);
    if (r == 0)
        r = open_above(target, above, &s->place_fd, err);
    if (r == 0)
        r = look_at_target(s, flags, err);
    if (r < 0)
        return r;
    if (!s->is_mount)
        remove_leftovers(s->place_fd);
    r = make_staging(s, err);
    if (r < 0) {
        dv_staging_abort(DV_STEAL(s));
        return r;
    }
    *out = DV_STEAL(s);
    return 0;
}

int dv_staging_fd(const dv_staging *s)
{
    return s->fd;
}

void dv_staging_set_mode(dv_staging *s, unsigned mode)
{
    s->mode = mode & 07777;
}

/* --- end ----------------------------------------------------------------------------------- */

static void remove_own(dv_staging *s)
{
    DV_AUTOPTR(davit_error) err = NULL;
    if (s->made && dv_remove_tree(s->place_fd, s->staging_name, &err) < 0)
        dv_warn("%s beside %s cannot be removed: %s", s->staging_name, s->target, davit_error_message(err));
}

void dv_staging_abort(dv_staging *s)
{
    if (!s)
        return;
    remove_own(s);
    staging_free(s);
}

static int rename_failed(dv_staging *s, int errnum, davit_error **err)
{
    if (errnum == ENOTEMPTY || errnum == EEXIST || errnum == ENOTDIR)
        return dv_error_set(err, DAVIT_EEXIST, "somebody else put something at %s meanwhile", s->target);
    if (s->exchange && (errnum == EINVAL || errnum == ENOSYS || errnum == EXDEV))
        return dv_error_set(
            err, DAVIT_EUNSUPPORTED,
            "this file system cannot exchange two directories (%s); remove %s and unpack again",
            strerror(errnum), s->target);
    return dv_error_file(err, errnum, "cannot put the tree at %s", s->target);
}

/* When the children cannot be moved back, they stay where they are for the next one. */
static int fill_mount(dv_staging *s, davit_error **err)
{
    bool stuck = false;
    int r = dv_staging_move_up(s->place_fd, s->fd, s->staging_name, s->exchange, &stuck, err);
    if (stuck) {
        s->made = false;
        dv_warn("%s is half filled; unpack to it again to mend that", s->target);
    }
    return r;
}

/* rename() replaces an empty directory and nothing else. */
static int put_in_place(dv_staging *s, davit_error **err)
{
    if (s->is_mount)
        return fill_mount(s, err);
    int r = renameat2(s->place_fd, s->staging_name, s->place_fd, s->name, s->exchange ? RENAME_EXCHANGE : 0);
    return r < 0 ? rename_failed(s, errno, err) : 0;
}

/* What stands at the staging name now: nothing, an empty directory, or the tree that was at the target. */
static void remove_old(dv_staging *s)
{
    DV_AUTOCLOSE old = -1;
    if (s->exchange && !s->is_mount) { /* others that stage here shall leave it to us */
        old = openat(s->place_fd, s->staging_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (old >= 0)
            flock(old, LOCK_EX | LOCK_NB);
    }
    struct stat st = {0};
    bool restore = s->is_mount && fstat(s->place_fd, &st) == 0;
    DV_AUTOPTR(davit_error) err = NULL;
    if (s->exchange && s->is_mount && dv_staging_remove_old(s->place_fd, s->staging_name, &err) < 0)
        dv_warn("what was in %s before cannot be removed: %s", s->target, davit_error_message(err));
    else if (s->exchange || s->is_mount)
        remove_own(s);
    const struct timespec times[2] = {st.st_atim, st.st_mtim};
    if (restore) /* those of the image's root, which it has since the move */
        futimens(s->place_fd, times);
}

int dv_staging_commit(dv_staging *s, davit_error **err)
{
    int r = 0;
    if (syncfs(s->fd) < 0 || fchmod(s->fd, s->mode) < 0 || fsync(s->fd) < 0)
        r = dv_error_file(err, errno, "cannot write %s to the disk", s->target);
    if (r == 0)
        r = put_in_place(s, err);
    if (r < 0) {
        dv_staging_abort(s);
        return r;
    }
    if (fsync(s->place_fd) < 0) /* it is in place, and may not survive a power failure */
        dv_warn("cannot sync the directory of %s: %s", s->target, strerror(errno));
    remove_old(s);
    staging_free(s);
    return 0;
}

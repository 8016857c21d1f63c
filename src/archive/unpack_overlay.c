/* archive/unpack_overlay.c - see unpack_overlay.h. */
#include "archive/unpack_overlay.h"

#include "archive/remove_tree.h"
#include "archive/unpack_path.h"
#include "archive/xattr_copy.h"
#include "util/file.h"
#include "util/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define TRUSTED_OPAQUE "trusted.overlay.opaque"
#define USER_OPAQUE "user.overlay.opaque"
#define USER_WHITEOUT "user.overlay.whiteout"
#define COPY_SIZE (1u << 20) /* bytes at once */
#define PROC_SIZE 64         /* of "/proc/self/fd/N/" */

/* --- what stands there ----------------------------------------------------------------------------------------------- */

static void proc_path(int fd, const char *name, char out[PROC_SIZE + NAME_MAX + 1])
{
    snprintf(out, PROC_SIZE + NAME_MAX + 1, "/proc/self/fd/%d/%s", fd, name);
}

static bool is_opaque(int fd)
{
    char value = 0;
    return (fgetxattr(fd, TRUSTED_OPAQUE, &value, 1) == 1 || fgetxattr(fd, USER_OPAQUE, &value, 1) == 1) &&
           value == 'y';
}

static bool is_whiteout(int at, const char *name, const struct stat *st)
{
    char path[PROC_SIZE + NAME_MAX + 1], value;
    if (S_ISCHR(st->st_mode))
        return st->st_rdev == makedev(0, 0);
    if (!S_ISREG(st->st_mode) || st->st_size > 0)
        return false;
    proc_path(at, name, path);
    return lgetxattr(path, USER_WHITEOUT, &value, 1) >= 0;
}

/* Where the directory at is, from the layer's root: "" is the root. */
static int path_of(const dv_overlay *o, int at, char out[PATH_MAX], davit_error **err)
{
    char link[PROC_SIZE], root[PATH_MAX], path[PATH_MAX];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", o->root_fd);
    ssize_t root_size = readlink(link, root, sizeof(root));
    snprintf(link, sizeof(link), "/proc/self/fd/%d", at);
    ssize_t size = readlink(link, path, sizeof(path));
    if (root_size < 0 || size < 0)
        return dv_error_file(err, errno, "cannot tell where a directory is: /proc is needed");
    if (root_size >= PATH_MAX || size >= PATH_MAX || size < root_size ||
        memcmp(path, root, (size_t)root_size) != 0 || (size > root_size && path[root_size] != '/'))
        return dv_error_set(err, DAVIT_EIO, "a directory of the layer was moved, or its path is too long");
    size_t skip = (size_t)root_size + (size > root_size);
    memcpy(out, path + skip, (size_t)size - skip);
    out[(size_t)size - skip] = '\0';
    return 0;
}

/*
 * Go down path from the root of one layer. FOUND: *out_fd is that directory, else -1. *hides: whatever layers below have there does not show, since
 * something on the way is opaque, removed, or no directory.
 */
static int go_down(dv_overlay *o, int root, const char *path, int *out_fd, bool *hides, davit_error **err)
{
    DV_AUTOCLOSE fd = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *out_fd = -1;
    if (fd < 0)
        return dv_error_file(err, errno, "cannot open a layer");
    while (*path) {
        char name[NAME_MAX + 1];
        size_t size = (size_t)(strchrnul(path, '/') - path);
        if (size > NAME_MAX)
            return dv_error_set(err, DAVIT_EIO, "a name is too long");
        memcpy(name, path, size);
        name[size] = '\0';
        path += size + (path[size] == '/');
        if (++o->steps > DV_OVERLAY_STEPS_MAX)
            return dv_error_set(err, DAVIT_ETOOBIG, "the layer refers to the layers below too often");
        int next = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0 && errno == ENOENT)
            return 0;
        if (next < 0 && (errno == ENOTDIR || errno == ELOOP)) {
            *hides = true;
            return 0;
        }
        if (next < 0)
            return dv_error_file(err, errno, "cannot open a directory of a layer below");
        dv_close(&fd);
        fd = next;
        *hides = *hides || is_opaque(fd);
    }
    *out_fd = fd;
    fd = -1;
    return 0;
}

/* What shows of the layers below at name in a directory of the layer. 1: *out_fd is the directory that has it; 0: nothing. */
static int find_below(dv_overlay *o, int at, const char *name, int *out_fd, struct stat *out,
                      davit_error **err)
{
    char path[PATH_MAX];
    bool hidden = o->root_is_opaque || o->lower_count == 0;
    if (hidden)
        return 0;
    DV_AUTOCLOSE own = -1;
    int r = path_of(o, at, path, err);
    if (r == 0)
        r = go_down(o, o->root_fd, path, &own, &hidden, err);
    for (size_t i = 0; r == 0 && !hidden && i < o->lower_count; i++) {
        DV_AUTOCLOSE fd = -1;
        r = go_down(o, o->lowers[i], path, &fd, &hidden, err);
        if (r < 0 || fd < 0 || fstatat(fd, name, out, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        if (is_whiteout(fd, name, out))
            return 0;
        *out_fd = fd;
        fd = -1;
        return 1;
    }
    return r;
}

/* --- taking over ----------------------------------------------------------------------------------------------------- */

/* Of a file or directory; times of the latter change again when something is made in it. */
static int copy_metadata(const dv_overlay *o, int from, int to, const struct stat *st, davit_error **err)
{
    const struct timespec times[2] = {st->st_atim, st->st_mtim};
    mode_t mode = (st->st_mode & 07777) | (S_ISDIR(st->st_mode) && geteuid() != 0 ? 0700 : 0);
    if (!o->rootless && fchown(to, st->st_uid, st->st_gid) < 0)
        return dv_error_file(err, errno, "cannot take over an owner");
    int r = dv_xattrs_take_over(from, to, err);
    if (r == 0 && (fchmod(to, mode) < 0 || futimens(to, times) < 0))
        r = dv_error_file(err, errno, "cannot take over mode and times");
    return r;
}

static int bring_directory(const dv_overlay *o, int at, int below, const char *name, const struct stat *st,
                           davit_error **err)
{
    if (mkdirat(at, name, 0700) < 0)
        return dv_error_file(err, errno, "cannot make directory %s", name);
    DV_AUTOCLOSE to = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DV_AUTOCLOSE from = openat(below, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (to < 0 || from < 0)
        return dv_error_file(err, errno, "cannot open directory %s", name);
    return copy_metadata(o, from, to, st, err);
}

static int mark_copied(dv_overlay *o, int at, const char *name, davit_error **err)
{
    struct stat st;
    if (fstat(at, &st) < 0)
        return dv_error_file(err, errno, "cannot read a directory");
    return dv_unpack_marks_add(&o->copied, st.st_ino, name, err);
}

static int bring_link(dv_overlay *o, int at, int below, const char *name, const struct stat *st,
                      davit_error **err)
{
    char target[PATH_MAX];
    const struct timespec times[2] = {st->st_atim, st->st_mtim};
    ssize_t size = readlinkat(below, name, target, sizeof(target) - 1);
    if (size < 0)
        return dv_error_file(err, errno, "cannot read link %s", name);
    target[size] = '\0';
    if (symlinkat(target, at, name) < 0)
        return dv_error_file(err, errno, "cannot make link %s", name);
    if (!o->rootless && fchownat(at, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
        return dv_error_file(err, errno, "cannot take over an owner");
    if (utimensat(at, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return dv_error_file(err, errno, "cannot take over times");
    return mark_copied(o, at, name, err);
}

static int copy_bytes(int from, int to, davit_error **err)
{
    DV_AUTOFREE char *bytes = malloc(COPY_SIZE);
    if (!bytes)
        return dv_error_oom(err);
    ssize_t n;
    for (uint64_t at = 0; (n = dv_pread_all(from, bytes, COPY_SIZE, at)) > 0; at += (uint64_t)n) {
        int r = dv_write_all(to, bytes, (size_t)n);
        if (r < 0)
            return dv_error_file(err, -r, "cannot write");
    }
    return n < 0 ? dv_error_file(err, (int)-n, "cannot read") : 0;
}

static int bring_file(dv_overlay *o, int at, int below, const char *name, const struct stat *st,
                      davit_error **err)
{
    DV_AUTOCLOSE from = openat(below, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    DV_AUTOCLOSE to =
        from < 0 ? -1 : openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0)
        return dv_error_file(err, errno, "cannot copy %s from a layer below", name);
    int r = copy_bytes(from, to, err);
    if (r == 0)
        r = copy_metadata(o, from, to, st, err);
    return r < 0 ? dv_error_wrap(err, r, "%s of a layer below", name) : mark_copied(o, at, name, err);
}

/* What is made in a directory that is not this entry's own leaves its times alone. */
static int restore_times(int at, const struct stat *before, davit_error **err)
{
    const struct timespec times[2] = {before->st_atim, before->st_mtim};
    return futimens(at, times) < 0 ? dv_error_file(err, errno, "cannot set the times of a directory") : 0;
}

int dv_overlay_bring(dv_overlay *o, int at, const char *name, dv_overlay_brought *out, davit_error **err)
{
    struct stat before, st;
    DV_AUTOCLOSE below = -1;
    *out = DV_OVERLAY_NOTHING;
    if (fstat(at, &before) < 0)
        return dv_error_file(err, errno, "cannot read a directory");
    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (!is_whiteout(at, name, &st))
            return 0;
        *out = DV_OVERLAY_HIDDEN;
        int r = dv_overlay_replaced(o, at, name, err);
        return r == 0 && unlinkat(at, name, 0) < 0 ? dv_error_file(err, errno, "cannot remove a whiteout")
                                                   : r;
    }
    int r = find_below(o, at, name, &below, &st, err);
    if (r <= 0)
        return r;
    if (!S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode))
        return dv_error_set(err, DAVIT_EFORMAT, "%s: not a directory, or below something that is none", name);
    r = S_ISDIR(st.st_mode) ? bring_directory(o, at, below, name, &st, err)
                            : bring_link(o, at, below, name, &st, err);
    if (r == 0)
        r = restore_times(at, &before, err);
    if (r == 0)
        *out = DV_OVERLAY_BROUGHT;
    return r;
}

int dv_overlay_copy_up(dv_overlay *o, int at, const char *name, davit_error **err)
{
    struct stat before, st;
    DV_AUTOCLOSE below = -1;
    if (fstat(at, &before) < 0)
        return dv_error_file(err, errno, "cannot read a directory");
    int r = find_below(o, at, name, &below, &st, err);
    if (r <= 0 || (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode)))
        return r < 0 ? r : 0;
    r = S_ISREG(st.st_mode) ? bring_file(o, at, below, name, &st, err)
                            : bring_link(o, at, below, name, &st, err);
    if (r == 0)
        r = restore_times(at, &before, err);
    return r < 0 ? r : 1;
}

/* --- hiding ---------------------------------------------------------------------------------------------------------- */

static bool keeps_entry(void *user, uint64_t directory, const char *name)
{
    const dv_overlay *o = user;
    return (!dv_unpack_marks_has(&o->whiteouts, directory, name) &&
            !dv_unpack_marks_has(&o->copied, directory, name)) ||
           dv_unpack_marks_has(&o->kept, directory, name);
}

static bool keeps_all(void *user, uint64_t directory)
{
    const dv_overlay *o = user;
    return dv_unpack_marks_has(&o->kept, directory, NULL);
}

/* Whiteouts in it hide nothing any more, and what was taken over is hidden too. What is opaque has neither. */
static int remove_borrowed(dv_overlay *o, int fd, davit_error **err)
{
    const dv_tree_keep keep = {.user = o, .keeps_entry = keeps_entry, .keeps_all = keeps_all};
    return o->whiteouts.count + o->copied.count > 0 ? dv_tree_empty(fd, &keep, err) : 0;
}

static int set_xattr(int fd, const char *trusted, const char *user, const char *value, davit_error **err)
{
    if (geteuid() == 0 && fsetxattr(fd, trusted, value, strlen(value), 0) == 0)
        return 0;
    if (fsetxattr(fd, user, value, strlen(value), 0) == 0)
        return 0;
    if (errno == ENOTSUP || errno == EPERM)
        return dv_error_set(err, DAVIT_EUNSUPPORTED,
                            "this file system cannot say what a layer hides: it has no xattr %s", user);
    return dv_error_file(err, errno, "cannot set xattr %s", user);
}

int dv_overlay_set_opaque(dv_overlay *o, int fd, davit_error **err)
{
    struct stat st, root;
    if (o->lower_count == 0 || o->root_is_opaque)
        return 0;
    if (fstat(fd, &st) < 0 || fstat(o->root_fd, &root) < 0)
        return dv_error_file(err, errno, "cannot read a directory");
    if (dv_unpack_marks_has(&o->kept, st.st_ino, NULL))
        return 0;
    int r = st.st_ino == root.st_ino ? 0 : set_xattr(fd, TRUSTED_OPAQUE, USER_OPAQUE, "y", err);
    if (r == 0)
        r = remove_borrowed(o, fd, err);
    if (r == 0)
        r = dv_unpack_marks_add(&o->kept, st.st_ino, NULL, err);
    if (r == 0 && st.st_ino == root.st_ino)
        o->root_is_opaque = true;
    return r;
}

/* A file in the place of a device; its directory says that it has such. */
static int make_file_whiteout(int at, const char *name, davit_error **err)
{
    DV_AUTOCLOSE fd = openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return dv_error_file(err, errno, "cannot make a whiteout");
    int r = set_xattr(fd, USER_WHITEOUT, USER_WHITEOUT, "y", err);
    if (r == 0 && !is_opaque(at))
        r = set_xattr(at, USER_OPAQUE, USER_OPAQUE, "x", err);
    return r;
}

static int make_whiteout(dv_overlay *o, int at, const char *name, uint32_t uid, uint32_t gid,
                         davit_error **err)
{
    struct stat st;
    int r = mknodat(at, name, S_IFCHR | 0600, makedev(0, 0)) < 0 ? -errno : 0;
    if (r == -EPERM)
        r = make_file_whiteout(at, name, err);
    else if (r < 0)
        return dv_error_file(err, -r, "cannot make a whiteout");
    if (r == 0 && !o->rootless && (uid != 0 || gid != 0) &&
        fchownat(at, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
        r = dv_error_file(err, errno, "cannot set the owner of a whiteout");
    if (r == 0 && fstat(at, &st) < 0)
        r = dv_error_file(err, errno, "cannot read a directory");
    return r < 0 ? r : dv_unpack_marks_add(&o->whiteouts, st.st_ino, name, err);
}

int dv_overlay_whiteout(dv_overlay *o, int at, const char *name, uint32_t uid, uint32_t gid, davit_error **err)
{
    struct stat st, directory;
    DV_AUTOCLOSE fd = -1;
    if (o->lower_count == 0 || o->root_is_opaque)
        return 0;
    if (fstat(at, &directory) < 0)
        return dv_error_file(err, errno, "cannot read a directory");
    if (fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISDIR(st.st_mode)) {
            fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            return fd < 0 ? dv_error_file(err, errno, "cannot open directory %s", name)
                          : dv_overlay_set_opaque(o, fd, err);
        }
        if (!dv_unpack_marks_has(&o->copied, directory.st_ino, name) ||
            keeps_entry(o, directory.st_ino, name) || is_whiteout(at, name, &st))
            return 0; /* its own, or removed already */
        if (unlinkat(at, name, 0) < 0)
            return dv_error_file(err, errno, "cannot remove %s", name);
    }
    int r = find_below(o, at, name, &fd, &st, err);
    return r <= 0 ? r : make_whiteout(o, at, name, uid, gid, err);
}

int dv_overlay_replaced(dv_overlay *o, int at, const char *name, davit_error **err)
{
    struct stat st;
    if (o->whiteouts.count + o->copied.count == 0)
        return 0;
    if (fstat(at, &st) < 0)
        return dv_error_file(err, errno, "cannot read a directory");
    return keeps_entry(o, st.st_ino, name) ? 0 : dv_unpack_marks_add(&o->kept, st.st_ino, name, err);
}

/* --- begin and end --------------------------------------------------------------------------------------------------- */

int dv_overlay_init(dv_overlay *o, int root_fd, const int *lowers, size_t lower_count, bool rootless,
                    davit_error **err)
{
    struct stat st;
    *o = (dv_overlay){.root_fd = root_fd, .lowers = lowers, .lower_count = lower_count, .rootless = rootless};
    dv_unpack_marks *const marks[] = {&o->whiteouts, &o->kept, &o->copied};
    for (size_t i = 0; i < DV_COUNT(marks); i++) {
        dv_unpack_marks_init(marks[i]);
        dv_unpack_marks_begin(marks[i], /* active= */ true);
    }
    if (lower_count == 0)
        return 0;
    if (fstat(lowers[0], &st) < 0)
        return dv_error_file(err, errno, "cannot read the layer below");
    return copy_metadata(o, lowers[0], root_fd, &st, err);
}

void dv_overlay_clear(dv_overlay *o)
{
    dv_unpack_marks_clear(&o->whiteouts);
    dv_unpack_marks_clear(&o->kept);
    dv_unpack_marks_clear(&o->copied);
}

/* A root cannot be opaque: each of its names is hidden by itself. */
static int hide_name(dv_overlay *o, const char *name, davit_error **err)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0
               ? 0
               : dv_overlay_whiteout(o, o->root_fd, name, 0, 0, err);
}

static int hide_root(dv_overlay *o, int lower, davit_error **err)
{
    int fd = openat(lower, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        dv_close(&fd);
        return dv_error_file(err, errno, "cannot read a layer below");
    }
    const struct dirent *entry;
    while (r == 0 && (entry = readdir(dir)))
        r = hide_name(o, entry->d_name, err);
    closedir(dir);
    return r;
}

int dv_overlay_finish(dv_overlay *o, davit_error **err)
{
    int r = 0;
    if (!o->root_is_opaque)
        return 0;
    o->root_is_opaque = false;
    dv_unpack_marks_begin(&o->copied, /* active= */ true); /* what it took over before is its own now */
    for (size_t i = 0; r == 0 && i < o->lower_count; i++)
        r = hide_root(o, o->lowers[i], err);
    return r;
}

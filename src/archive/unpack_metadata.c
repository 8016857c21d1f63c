/*
 * archive/unpack_metadata.c - owner, then xattrs, then mode, then times (threats D3, D7, D8; store.md 9.2 8).
 *
 * By descriptor for files and directories, without following for the rest; only what differs from what creation gave. Rootless: owners become the
 * user.rootlesscontainers xattr, which says to whom the file belongs; setuid and setgid stay in the mode, as umoci has it.
 */
#include "archive/unpack_internal.h"

#include "archive/xattr_policy.h"
#include "util/file.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#define ROOTLESS_XATTR "user.rootlesscontainers"
#define ROOTLESS_NO_ID UINT32_MAX  /* the format's word for an id that stays who unpacks */
#define XATTR_LIST_MAX (64u << 10) /* bytes; XATTR_LIST_MAX of the kernel */

/* Where an xattr is set: at fd, or at name in the directory fd. */
typedef struct place {
    int fd;
    const char *name; /* NULL: at fd itself */
} place;

static int later(const dv_tar_time *a, const dv_tar_time *b)
{
    return a->s != b->s ? a->s > b->s : a->ns > b->ns;
}

static struct timespec bounded(const dv_tar_time *t)
{
    const int64_t max_s = INT64_MAX / 1000000000, max_ns = INT64_MAX % 1000000000;
    bool in_range =
        t->set && t->s >= 0 && (t->s < max_s || (t->s == max_s && t->ns <= max_ns)) && t->ns < 1000000000;
    return in_range ? (struct timespec){.tv_sec = t->s, .tv_nsec = t->ns} : (struct timespec){0};
}

void dv_unpack_times(const dv_tar_entry *e, struct timespec out[2])
{
    bool access = e->atime.set && (!e->mtime.set || later(&e->atime, &e->mtime));
    out[0] = bounded(access ? &e->atime : &e->mtime);
    out[1] = bounded(&e->mtime);
}

static size_t put_varint(uint8_t *out, uint32_t value)
{
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        out[n++] = (uint8_t)(value | 0x80);
    out[n++] = (uint8_t)value;
    return n;
}

size_t dv_unpack_rootless_value(uint32_t uid, uint32_t gid, uint8_t out[12])
{
    size_t n = 0;
    if (uid == 0 && gid == 0)
        return 0;
    out[n++] = 1 << 3;
    n += put_varint(out + n, uid ? uid : ROOTLESS_NO_ID);
    out[n++] = 2 << 3;
    return n + put_varint(out + n, gid ? gid : ROOTLESS_NO_ID);
}

bool dv_unpack_needs_owner(const dv_unpack *u, const dv_tar_entry *e, const dv_dir *parent)
{
    /* A directory with setgid, or a mount with grpid, hands its own group on. */
    return !u->options.rootless && (e->uid != u->euid || e->gid != u->egid || parent->gid != u->egid);
}

static int owner_failed(dv_unpack *u, int errnum, davit_error **err)
{
    const dv_tar_entry *e = u->entry;
    if (errnum == EPERM || errnum == EINVAL)
        return dv_error_set(
            err, DAVIT_EIO, "%s: cannot give it to %u:%u: %s; --rootless records owners instead", e->name,
            e->uid, e->gid, errnum == EPERM ? "not permitted" : "this user namespace has no such owner");
    return dv_unpack_failed(u, errnum, "cannot set its owner", err);
}

/* --- extended attributes ------------------------------------------------------------------- */

static int set_xattr(const place *at, const char *name, const void *value, size_t size)
{
    char path[64 + DV_UNPACK_COMPONENT_MAX];
    if (!at->name)
        return fsetxattr(at->fd, name, value, size, 0) < 0 ? -errno : 0;
    snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", at->fd, at->name);
    return lsetxattr(path, name, value, size, 0) < 0 ? -errno : 0;
}

/* Not allowed here, not known here: the tree is usable without, and the report says so. */
static bool may_be_missing(int errnum)
{
    return errnum == EPERM || errnum == EACCES || errnum == EOPNOTSUPP || errnum == ENOTSUP;
}

static int apply_xattr(dv_unpack *u, const place *at, const dv_tar_xattr *x, davit_error **err)
{
    if (!dv_xattr_is_kept(x->name, u->options.xattrs)) {
        dv_unpack_skipped(u, "xattr %s", x->name);
        return 0;
    }
    int r = set_xattr(at, x->name, x->value, x->size);
    if (r == 0)
        return 0;
    if (may_be_missing(-r) || (at->name && r == -ENOENT)) {
        dv_unpack_skipped(u, "xattr %s", x->name);
        return 0;
    }
    if (r == -EINVAL || r == -ERANGE)
        return dv_error_set(err, DAVIT_EFORMAT, "%s: xattr %s is malformed", u->entry->name, x->name);
    return dv_error_file(err, -r, "%s: cannot set xattr %s", u->entry->name, x->name);
}

static int apply_rootless_owner(dv_unpack *u, const place *at, davit_error **err)
{
    const dv_tar_entry *e = u->entry;
    uint8_t value[12];
    size_t size = dv_unpack_rootless_value(e->uid, e->gid, value);
    if (!u->options.rootless || size == 0)
        return 0;
    int r = at->name && e->type != DV_TAR_HARDLINK ? -EPERM : set_xattr(at, ROOTLESS_XATTR, value, size);
    if (r == 0)
        return 0;
    if (!may_be_missing(-r) && !(at->name && r == -ENOENT))
        return dv_error_file(err, -r, "%s: cannot set xattr " ROOTLESS_XATTR, e->name);
    dv_unpack_skipped(u, "owner %u:%u", e->uid, e->gid);
    return 0;
}

static int apply_xattrs(dv_unpack *u, const place *at, davit_error **err)
{
    for (size_t i = 0; i < u->entry->xattr_count; i++) {
        int r = apply_xattr(u, at, &u->entry->xattrs[i], err);
        if (r < 0)
            return r;
    }
    return apply_rootless_owner(u, at, err);
}

static bool has_xattrs(const dv_unpack *u)
{
    return u->entry->xattr_count > 0 || (u->options.rootless && (u->entry->uid != 0 || u->entry->gid != 0));
}

/* What a lower layer said about a directory that this one describes anew. */
static int remove_old_xattrs(dv_unpack *u, int fd, davit_error **err)
{
    if (flistxattr(fd, NULL, 0) <= 0) /* mostly none, or no xattrs at all in this file system */
        return 0;
    DV_AUTOFREE char *names = dv_calloc(1, XATTR_LIST_MAX);
    if (!names)
        return dv_error_oom(err);
    ssize_t size = flistxattr(fd, names, XATTR_LIST_MAX);
    for (ssize_t i = 0; i < size; i += (ssize_t)strlen(names + i) + 1) {
        const char *name = names + i;
        bool ours = dv_xattr_is_kept(name, u->options.xattrs) || strcmp(name, ROOTLESS_XATTR) == 0;
        if (ours && fremovexattr(fd, name) < 0 && errno != ENODATA && !may_be_missing(errno))
            return dv_unpack_failed(u, errno, "cannot remove an xattr", err);
    }
    return 0;
}

/* --- files --------------------------------------------------------------------------------- */

static int finish_open_file(dv_unpack *u, davit_error **err)
{
    const dv_tar_entry *e = u->entry;
    dv_unpack_file *f = &u->file;
    struct timespec times[2];
    if (f->hole_at_end && ftruncate(f->fd, (off_t)f->offset) < 0)
        return dv_unpack_failed(u, errno, "cannot set its size", err);
    if (f->chown && fchown(f->fd, e->uid, e->gid) < 0)
        return owner_failed(u, errno, err);
    if (has_xattrs(u)) {
        int r = apply_xattrs(u, &(place){.fd = f->fd}, err);
        if (r < 0)
            return r;
    }
    if ((e->mode != f->made_mode || !dv_unpack_umask_is_zero) && fchmod(f->fd, e->mode) < 0)
        return dv_unpack_failed(u, errno, "cannot set its mode", err);
    dv_unpack_times(e, times);
    if (futimens(f->fd, times) < 0)
        return dv_unpack_failed(u, errno, "cannot set its times", err);
    return 0;
}

int dv_unpack_finish_file(dv_unpack *u, davit_error **err)
{
    int r = finish_open_file(u, err);
    int fd = u->file.fd;
    u->file.fd = -1;
    if (close(fd) < 0 && r == 0)
        return dv_unpack_failed(u, errno, "cannot write", err);
    return r;
}

/* --- directories --------------------------------------------------------------------------- */

/* Its owner could not work in it: the mode has to wait. Where too many wait, they keep what lets him. */
static int add_late(dv_unpack *u, const dv_dir *dir, mode_t mode, davit_error **err)
{
    if (u->late_count >= DV_UNPACK_LATE_MAX) {
        dv_unpack_skipped(u, "mode %04o", (unsigned)mode);
        return 0;
    }
    if (!u->late && !(u->late = dv_new_array(dv_unpack_late, DV_UNPACK_LATE_MAX)))
        return dv_error_oom(err);
    char *path = dv_strdup(u->path.text);
    if (!path)
        return dv_error_oom(err);
    u->late[u->late_count++] = (dv_unpack_late){.path = path, .inode = dir->inode, .mode = mode};
    return 0;
}

static void drop_late(dv_unpack *u, size_t i)
{
    free(u->late[i].path);
    u->late[i] = u->late[--u->late_count];
}

static bool is_at_or_below(const dv_unpack_late *l, const char *path, size_t size)
{
    return strncmp(l->path, path, size) == 0 && (l->path[size] == '\0' || l->path[size] == '/');
}

/* A descriptor, or -errno; -ESTALE when another directory stands there. */
static int open_late(const dv_unpack *u, const dv_unpack_late *l)
{
    struct stat st;
    bool linked;
    int fd = dv_dirs_open(&u->dirs, l->path, &linked);
    if (fd < 0 || (fstat(fd, &st) == 0 && st.st_ino == l->inode))
        return fd;
    close(fd);
    return -ESTALE;
}

void dv_unpack_forget_late(dv_unpack *u, const char *path, size_t size)
{
    for (size_t i = u->late_count; i-- > 0;)
        if (is_at_or_below(&u->late[i], path, size))
            drop_late(u, i);
}

void dv_unpack_forget_removed(dv_unpack *u, const char *path, size_t size)
{
    for (size_t i = u->late_count; i-- > 0;) {
        if (!is_at_or_below(&u->late[i], path, size))
            continue;
        DV_AUTOCLOSE fd = open_late(u, &u->late[i]);
        if (fd < 0)
            drop_late(u, i);
    }
}

/* The same directory, by whatever path it was named before. */
static void forget_same(dv_unpack *u, const dv_dir *dir)
{
    for (size_t i = u->late_count; i-- > 0;)
        if (u->late[i].inode == dir->inode)
            drop_late(u, i);
}

static int apply_directory_mode(dv_unpack *u, dv_dir *dir, davit_error **err)
{
    mode_t mode = u->entry->mode;
    forget_same(u, dir);
    if (dir == &u->dirs.root) {
        u->root_mode = mode; /* it stays closed to others until it is in place */
        return 0;
    }
    if (!u->privileged && (mode & 0700) != 0700) {
        int r = add_late(u, dir, mode, err);
        if (r < 0)
            return r;
        mode |= 0700;
    }
    if (dir->mode != mode && fchmod(dir->fd, mode) < 0)
        return dv_unpack_failed(u, errno, "cannot set its mode", err);
    dir->mode = mode;
    return 0;
}

int dv_unpack_apply_directory(dv_unpack *u, dv_dir *dir, bool existed, davit_error **err)
{
    const dv_tar_entry *e = u->entry;
    if (!u->options.rootless && (dir->uid != e->uid || dir->gid != e->gid)) {
        if (fchown(dir->fd, e->uid, e->gid) < 0)
            return owner_failed(u, errno, err);
        dir->uid = e->uid;
        dir->gid = e->gid;
    }
    int r = existed ? remove_old_xattrs(u, dir->fd, err) : 0;
    if (r == 0 && has_xattrs(u))
        r = apply_xattrs(u, &(place){.fd = dir->fd}, err);
    if (r == 0)
        r = apply_directory_mode(u, dir, err);
    if (r < 0)
        return r;
    dv_unpack_times(e, dir->times);
    dir->has_times = dir->dirty = true;
    return 0;
}

/* Deepest first: a directory that is closed hides what is in it. */
static int by_path_backwards(const void *a, const void *b)
{
    return strcmp(((const dv_unpack_late *)b)->path, ((const dv_unpack_late *)a)->path);
}

int dv_unpack_apply_late(dv_unpack *u, davit_error **err)
{
    if (u->late_count > 0)
        qsort(u->late, u->late_count, sizeof(*u->late), by_path_backwards);
    for (size_t i = 0; i < u->late_count; i++) {
        const dv_unpack_late *l = &u->late[i];
        DV_AUTOCLOSE fd = open_late(u, l);
        if (fd == -EACCES) { /* one above, that has another name too, was closed before it */
            memcpy(u->path.text, l->path, strlen(l->path) + 1);
            u->path.size = strlen(l->path);
            dv_unpack_skipped(u, "mode %04o", (unsigned)l->mode);
        }
        if (fd < 0)
            continue; /* replaced or removed since */
        if (fchmod(fd, l->mode) < 0)
            return dv_error_file(err, errno, "cannot set the mode of %s", l->path);
    }
    return 0;
}

/* --- links, devices, pipes ----------------------------------------------------------------- */

static bool same_times(const struct stat *st, const struct timespec t[2])
{
    return st->st_mtim.tv_sec == t[1].tv_sec && st->st_mtim.tv_nsec == t[1].tv_nsec;
}

int dv_unpack_apply_name(dv_unpack *u, const dv_dir *parent, const char *name, const struct stat *st,
                         davit_error **err)
{
    const dv_tar_entry *e = u->entry;
    struct timespec times[2];
    bool owner = !u->options.rootless && (st->st_uid != e->uid || st->st_gid != e->gid);
    if (owner && fchownat(parent->fd, name, e->uid, e->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return owner_failed(u, errno, err);
    if (has_xattrs(u)) {
        int r = apply_xattrs(u, &(place){.fd = parent->fd, .name = name}, err);
        if (r < 0)
            return r;
    }
    /* A change of owner may have cleared bits. */
    bool mode = !S_ISLNK(st->st_mode) && ((st->st_mode & 07777) != e->mode || (owner && (e->mode & 06000)));
    if (mode && fchmodat(parent->fd, name, e->mode, AT_SYMLINK_NOFOLLOW) < 0)
        return dv_unpack_failed(u, errno, "cannot set its mode", err);
    dv_unpack_times(e, times);
    if (e->type == DV_TAR_HARDLINK && (S_ISLNK(st->st_mode) || same_times(st, times)))
        return 0;
    if (utimensat(parent->fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
        return dv_unpack_failed(u, errno, "cannot set its times", err);
    return 0;
}

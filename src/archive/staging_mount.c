/* archive/staging_mount.c - see staging_mount.h. */
#include "archive/staging_mount.h"

#include "archive/staging.h"
#include "archive/xattr_copy.h"
#include "util/buf.h"
#include "util/file.h"
#include "util/log.h"
#include "util/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define NAME_SIZE 64

static void list_name(const char *staging_name, char out[NAME_SIZE])
{
    snprintf(out, NAME_SIZE, "%.40s" DV_STAGING_LIST_SUFFIX, staging_name);
}

static void old_name(const char *staging_name, char out[NAME_SIZE])
{
    snprintf(out, NAME_SIZE, "%.40s" DV_STAGING_OLD_SUFFIX, staging_name);
}

static bool is_child(const char *name)
{
    return name[0] != '\0' && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !strchr(name, '/');
}

/* Names of all children, each with its NUL. */
static int list_children(int fd, dv_buf *out, davit_error **err)
{
    int own = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = own < 0 ? NULL : fdopendir(own);
    if (!dir) {
        int r = dv_error_file(err, errno, "cannot list the unpacked tree");
        dv_close(&own);
        return r;
    }
    for (struct dirent *e; (errno = 0, e = readdir(dir));)
        if (is_child(e->d_name))
            dv_buf_append(out, e->d_name, strlen(e->d_name) + 1);
    int errnum = errno;
    closedir(dir);
    if (errnum)
        return dv_error_file(err, errnum, "cannot list the unpacked tree");
    if (out->failed == DAVIT_ETOOBIG)
        return dv_error_set(err, DAVIT_ETOOBIG, "too many entries in the root for a mount point");
    return out->failed ? dv_error_oom(err) : 0;
}

/* On the disk before anything is moved. Half of one does no harm: nothing it names is there yet. */
static int write_list(int mount_fd, const char *list, const dv_buf *names, davit_error **err)
{
    DV_AUTOCLOSE fd = openat(mount_fd, list, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : dv_write_all(fd, dv_buf_text(names), names->size);
    if (r == 0 && (fsync(fd) < 0 || fsync(mount_fd) < 0))
        r = -errno;
    return r < 0 ? dv_error_file(err, -r, "cannot write %s", list) : 0;
}

/* 0 or -errno; goes on behind a failure. Those that are not there are back already. */
static int move_back(int from_fd, int to_fd, const dv_buf *names, size_t moved)
{
    int r = 0;
    for (size_t i = 0; i < moved; i += strlen(names->data + i) + 1)
        if (renameat(from_fd, names->data + i, to_fd, names->data + i) < 0 && errno != ENOENT)
            r = -errno;
    return r;
}

static int copy_root(int mount_fd, int tree_fd, davit_error **err)
{
    struct stat to, from;
    if (fstat(mount_fd, &to) < 0 || fstat(tree_fd, &from) < 0)
        return dv_error_file(err, errno, "cannot read the mount point");
    const struct timespec times[2] = {from.st_atim, from.st_mtim};
    bool owner = to.st_uid != from.st_uid || to.st_gid != from.st_gid;
    if (owner && fchown(mount_fd, from.st_uid, from.st_gid) < 0)
        return dv_error_file(err, errno, "cannot set the owner of the mount point");
    int r = dv_xattrs_forget(mount_fd, err);
    if (r == 0)
        r = dv_xattrs_take_over(tree_fd, mount_fd, err);
    if (r == 0 && (fchmod(mount_fd, from.st_mode & 07777) < 0 || futimens(mount_fd, times) < 0))
        r = dv_error_file(err, errno, "cannot set mode and times of the mount point");
    return r;
}

/* All, or none unless *out_stuck. what: for messages. */
static int move_all(int from_fd, int to_fd, const dv_buf *names, const char *what, bool *out_stuck,
                    davit_error **err)
{
    for (size_t i = 0; i < names->size; i += strlen(names->data + i) + 1)
        if (renameat(from_fd, names->data + i, to_fd, names->data + i) < 0) {
            int r = dv_error_file(err, errno, "cannot move %s %s", names->data + i, what);
            *out_stuck = move_back(to_fd, from_fd, names, i) < 0;
            return r;
        }
    return 0;
}

/* --- what is there already ------------------------------------------------------------------------------------------- */

/* Children that go; what belongs to those who stage here, and a file system's own directory, stay. */
static int list_old(int mount_fd, dv_buf *out, davit_error **err)
{
    DV_AUTO(dv_buf) all = DV_BUF_INIT(DV_STAGING_LIST_MAX);
    int r = list_children(mount_fd, &all, err);
    for (size_t i = 0; r == 0 && i < all.size; i += strlen(all.data + i) + 1) {
        const char *name = all.data + i;
        if (!dv_str_starts(name, DV_STAGING_PREFIX) && strcmp(name, "lost+found") != 0)
            dv_buf_append(out, name, strlen(name) + 1);
    }
    return r == 0 && out->failed ? dv_error_oom(err) : r;
}

static int open_old(int mount_fd, const char *staging_name)
{
    char name[NAME_SIZE];
    old_name(staging_name, name);
    return openat(mount_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static int make_old(int mount_fd, const char *staging_name, int *out, davit_error **err)
{
    char name[NAME_SIZE];
    old_name(staging_name, name);
    if (mkdirat(mount_fd, name, 0700) == 0)
        *out = open_old(mount_fd, staging_name);
    return *out < 0 ? dv_error_file(err, errno, "cannot make %s", name) : 0;
}

int dv_staging_remove_old(int mount_fd, const char *staging_name, davit_error **err)
{
    char name[NAME_SIZE];
    old_name(staging_name, name);
    return dv_remove_tree(mount_fd, name, err);
}

/* --- moving ------------------------------------------------------------------------------------------------------------ */

/* What is moved, and where to; old_fd -1: nothing is put aside. */
typedef struct mover {
    int mount_fd, tree_fd, old_fd;
    dv_buf names, old_names;
} mover;

static void mover_clear(mover *m)
{
    dv_close(&m->old_fd);
    dv_buf_clear(&m->names);
    dv_buf_clear(&m->old_names);
}
DV_DEFINE_AUTO(mover, mover_clear)

static int move_new(const mover *m, bool *out_stuck, davit_error **err)
{
    struct stat before;
    if (fstat(m->tree_fd, &before) < 0)
        return dv_error_file(err, errno, "cannot read the unpacked tree");
    int r = move_all(m->tree_fd, m->mount_fd, &m->names, "to the mount point", out_stuck, err);
    if (r < 0)
        return r;
    const struct timespec times[2] = {before.st_atim, before.st_mtim};
    if (futimens(m->tree_fd, times) < 0)
        r = dv_error_file(err, errno, "cannot set the times of the unpacked tree");
    if (r == 0)
        r = copy_root(m->mount_fd, m->tree_fd, err);
    if (r < 0)
        *out_stuck = move_back(m->mount_fd, m->tree_fd, &m->names, m->names.size) < 0;
    return r;
}

static int move(const mover *m, bool *out_stuck, davit_error **err)
{
    if (m->old_fd < 0)
        return move_new(m, out_stuck, err);
    int r = move_all(m->mount_fd, m->old_fd, &m->old_names, "out of the way", out_stuck, err);
    if (r < 0)
        return r;
    r = move_new(m, out_stuck, err);
    if (r < 0 && !*out_stuck)
        *out_stuck = move_back(m->old_fd, m->mount_fd, &m->old_names, m->old_names.size) < 0;
    return r;
}

int dv_staging_move_up(int mount_fd, int tree_fd, const char *staging_name, bool exchange, bool *out_stuck,
                       davit_error **err)
{
    DV_AUTO(mover)
    m = {
        .mount_fd = mount_fd,
        .tree_fd = tree_fd,
        .old_fd = -1,
        .names = DV_BUF_INIT(DV_STAGING_LIST_MAX),
        .old_names = DV_BUF_INIT(DV_STAGING_LIST_MAX),
    };
    char list[NAME_SIZE], old[NAME_SIZE];
    list_name(staging_name, list);
    old_name(staging_name, old);
    *out_stuck = false;
    int r = list_children(tree_fd, &m.names, err);
    if (r == 0 && exchange)
        r = list_old(mount_fd, &m.old_names, err);
    if (r == 0 && exchange)
        r = make_old(mount_fd, staging_name, &m.old_fd, err);
    if (r == 0)
        r = write_list(mount_fd, list, &m.names, err);
    if (r == 0)
        r = move(&m, out_stuck, err);
    if (*out_stuck)
        return r;
    if (r == 0 && exchange && (fsync(m.old_fd) < 0 || fsync(mount_fd) < 0))
        dv_warn("cannot sync the mount point: %s",
                strerror(errno)); /* the list must not go before the moves are there */
    struct stat after;
    bool restore = r == 0 && fstat(mount_fd, &after) == 0;
    unlinkat(mount_fd, list, 0);
    if (r < 0 && exchange)
        unlinkat(mount_fd, old, AT_REMOVEDIR);
    if (restore)
        futimens(mount_fd, (const struct timespec[2]){after.st_atim, after.st_mtim});
    return r;
}

/* --- after a crash ----------------------------------------------------------------------------------------------------- */

/* *out_left: some were not moved yet. An image without children has none that tell. */
static int undo_new(int mount_fd, int tree_fd, const dv_buf *names, bool *out_left)
{
    struct stat st;
    *out_left = names->size == 0;
    for (size_t i = 0; i < names->size && !*out_left; i += strlen(names->data + i) + 1)
        *out_left = fstatat(tree_fd, names->data + i, &st, AT_SYMLINK_NOFOLLOW) == 0;
    for (size_t i = 0; *out_left && i < names->size; i += strlen(names->data + i) + 1) {
        const char *name = names->data + i;
        if (!is_child(name) || fstatat(tree_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            continue; /* what has this name in the mount point is old */
        if (renameat(mount_fd, name, tree_fd, name) < 0 && errno != ENOENT)
            return -errno;
    }
    return 0;
}

/* What was put aside comes back, unless the new tree is there as a whole. */
static int undo_exchange(int mount_fd, int old_fd, const char *staging_name, const dv_buf *names,
                         davit_error **err)
{
    DV_AUTO(dv_buf) old_names = DV_BUF_INIT(DV_STAGING_LIST_MAX);
    DV_AUTOCLOSE tree_fd = openat(mount_fd, staging_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool left = true;
    if (tree_fd < 0)
        return dv_error_file(err, errno, "cannot open %s", staging_name);
    int r = undo_new(mount_fd, tree_fd, names, &left);
    if (r < 0)
        return dv_error_file(err, -r, "cannot move back what an earlier run put in place");
    if (!left)
        return copy_root(mount_fd, tree_fd, err);
    r = list_children(old_fd, &old_names, err);
    if (r < 0)
        return r;
    r = move_back(old_fd, mount_fd, &old_names, old_names.size);
    return r < 0 ? dv_error_file(err, -r, "cannot move back what an earlier run put aside") : 0;
}

static int undo_fill(int mount_fd, const dv_buf *names, davit_error **err)
{
    for (size_t i = 0; i < names->size; i += strlen(names->data + i) + 1) {
        int r = is_child(names->data + i) ? dv_remove_tree(mount_fd, names->data + i, err) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

bool dv_staging_has_list(int mount_fd, const char *staging_name)
{
    char list[NAME_SIZE];
    struct stat st;
    list_name(staging_name, list);
    return fstatat(mount_fd, list, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
           st.st_uid == geteuid();
}

int dv_staging_undo_move(int mount_fd, const char *staging_name, davit_error **err)
{
    DV_AUTO(dv_buf) names = DV_BUF_INIT(DV_STAGING_LIST_MAX);
    DV_AUTOCLOSE old_fd = open_old(mount_fd, staging_name);
    bool listed = dv_staging_has_list(mount_fd, staging_name);
    char list[NAME_SIZE];
    list_name(staging_name, list);
    int r = listed ? dv_file_read(mount_fd, list, DV_STAGING_LIST_MAX, &names, err) : 0;
    if (listed && r == 0)
        r = old_fd >= 0 ? undo_exchange(mount_fd, old_fd, staging_name, &names, err)
                        : undo_fill(mount_fd, &names, err);
    if (r == 0 && old_fd >= 0) /* it holds nothing, or what a whole tree has replaced */
        r = fsync(mount_fd) < 0 ? dv_error_file(err, errno, "cannot sync the mount point")
                                : dv_staging_remove_old(mount_fd, staging_name, err);
    if (r == 0 && listed && unlinkat(mount_fd, list, 0) < 0)
        r = dv_error_file(err, errno, "cannot remove %s", list);
    return r;
}

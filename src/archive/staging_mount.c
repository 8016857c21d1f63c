/* archive/staging_mount.c - see staging_mount.h. */
#include "archive/staging_mount.h"

#include "archive/staging.h"
#include "util/buf.h"
#include "util/file.h"

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

static void move_back(int mount_fd, int tree_fd, const dv_buf *names, size_t moved)
{
    for (size_t i = 0; i < moved; i += strlen(names->data + i) + 1)
        renameat(mount_fd, names->data + i, tree_fd, names->data + i);
}

static int copy_root(int mount_fd, int tree_fd, davit_error **err)
{
    struct stat to, from;
    if (fstat(mount_fd, &to) < 0 || fstat(tree_fd, &from) < 0)
        return dv_error_file(err, errno, "cannot read the mount point");
    const struct timespec times[2] = {from.st_atim, from.st_mtim};
    bool owner = to.st_uid != from.st_uid || to.st_gid != from.st_gid;
    if ((owner && fchown(mount_fd, from.st_uid, from.st_gid) < 0) ||
        fchmod(mount_fd, from.st_mode & 07777) < 0 || futimens(mount_fd, times) < 0)
        return dv_error_file(err, errno, "cannot set owner, mode and times of the mount point");
    return 0;
}

static int move_all(int mount_fd, int tree_fd, const dv_buf *names, davit_error **err)
{
    for (size_t i = 0; i < names->size; i += strlen(names->data + i) + 1)
        if (renameat(tree_fd, names->data + i, mount_fd, names->data + i) < 0) {
            int r = dv_error_file(err, errno, "cannot move %s to the mount point", names->data + i);
            move_back(mount_fd, tree_fd, names, i);
            return r;
        }
    return 0;
}

int dv_staging_move_up(int mount_fd, int tree_fd, const char *staging_name, davit_error **err)
{
    DV_AUTO(dv_buf) names = DV_BUF_INIT(DV_STAGING_LIST_MAX);
    char list[NAME_SIZE];
    struct stat before = {0};
    list_name(staging_name, list);
    int r = list_children(tree_fd, &names, err);
    if (r == 0)
        r = write_list(mount_fd, list, &names, err);
    if (r == 0 && fstat(tree_fd, &before) < 0)
        r = dv_error_file(err, errno, "cannot read the unpacked tree");
    if (r == 0)
        r = move_all(mount_fd, tree_fd, &names, err);
    const struct timespec times[2] = {before.st_atim, before.st_mtim};
    if (r == 0 && futimens(tree_fd, times) < 0)
        r = dv_error_file(err, errno, "cannot set the times of the unpacked tree");
    if (r == 0 && (r = copy_root(mount_fd, tree_fd, err)) < 0)
        move_back(mount_fd, tree_fd, &names, names.size);
    unlinkat(mount_fd, list, 0);
    if (r == 0)
        futimens(mount_fd, times);
    return r;
}

int dv_staging_undo_move(int mount_fd, const char *staging_name, davit_error **err)
{
    DV_AUTO(dv_buf) names = DV_BUF_INIT(DV_STAGING_LIST_MAX);
    char list[NAME_SIZE];
    struct stat st;
    list_name(staging_name, list);
    if (fstatat(mount_fd, list, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode) ||
        st.st_uid != geteuid())
        return 0;
    int r = dv_file_read(mount_fd, list, DV_STAGING_LIST_MAX, &names, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < names.size; i += strlen(names.data + i) + 1) {
        r = is_child(names.data + i) ? dv_remove_tree(mount_fd, names.data + i, err) : 0;
        if (r < 0)
            return r;
    }
    return unlinkat(mount_fd, list, 0) < 0 ? dv_error_file(err, errno, "cannot remove %s", list) : 0;
}

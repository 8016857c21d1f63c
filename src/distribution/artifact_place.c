/* distribution/artifact_place.c - see artifact_place.h. */
#include "distribution/artifact_place.h"

#include "util/alloc.h"
#include "util/file.h"
#include "util/hex.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- directories ---------------------------------------------------------------------------------------------------------- */

int dv_artifact_place_open(dv_artifact_place *place, davit_error **err)
{
    int r = dv_make_directories(place->path, place->directory_mode, err);
    if (r < 0)
        return r;
    place->fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return place->fd < 0 ? dv_error_file(err, errno, "cannot open directory %s", place->path) : 0;
}

void dv_artifact_place_clear(dv_artifact_place *place)
{
    dv_close(&place->fd);
}

static int open_beneath(int dirfd, const char *name)
{
    return dv_openat2(dirfd, name, O_RDONLY | O_DIRECTORY, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
}

/* fd or -errno: the directory of this name, made if need be and wanted. */
static int enter(const dv_artifact_place *place, int dirfd, const char *name, bool make)
{
    bool made = make && mkdirat(dirfd, name, 0700) == 0;
    if (make && !made && errno != EEXIST)
        return -errno;
    int fd = open_beneath(dirfd, name);
    if (fd >= 0 && made && fchmod(fd, place->directory_mode) < 0) {
        int why = errno;
        close(fd);
        return -why;
    }
    return fd;
}

/* The directory that a title's file is in. *out_base: where the last component starts. fd or -errno. */
static int enter_parent(const dv_artifact_place *place, const char *title, bool make, const char **out_base)
{
    DV_AUTOCLOSE fd = fcntl(place->fd, F_DUPFD_CLOEXEC, 3);
    const char *slash;
    while (fd >= 0 && (slash = strchr(title, '/'))) {
        DV_AUTOFREE char *name = dv_strndup(title, (size_t)(slash - title));
        int next = name ? enter(place, fd, name, make) : -ENOMEM;
        if (next < 0)
            return next;
        close(fd);
        fd = next;
        title = slash + 1;
    }
    if (fd < 0)
        return -errno;
    *out_base = title;
    int out = fd;
    fd = -1;
    return out;
}

static int refuse(const dv_artifact_place *place, int errnum, const char *title, davit_error **err)
{
    switch (errnum) {
    case EEXIST:
        return dv_error_set(err, DAVIT_EEXIST, "%s/%s is there already", place->path, title);
    case ELOOP:
    case ENOTDIR:
    case EXDEV:
        return dv_error_set(err, DAVIT_EEXIST, "%s/%s: on the way to it is something that is no directory",
                            place->path, title);
    case ENOSYS:
    case EPERM:
        return dv_error_set(
            err, DAVIT_EUNSUPPORTED,
            "cannot write %s/%s safely: the system call openat2 is missing or forbidden here (Linux "
            "5.6 or newer has it)",
            place->path, title);
    default:
        return dv_error_file(err, errnum, "cannot write %s/%s", place->path, title);
    }
}

int dv_artifact_place_check(const dv_artifact_place *place, const char *title, davit_error **err)
{
    const char *base = NULL;
    struct stat st;
    if (place->force)
        return 0;
    DV_AUTOCLOSE fd = enter_parent(place, title, /* make= */ false, &base);
    if (fd < 0 && fd != -ENOENT)
        return refuse(place, -fd, title, err);
    if (fd >= 0 && fstatat(fd, base, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return refuse(place, EEXIST, title, err);
    return 0;
}

/* --- one file --------------------------------------------------------------------------------------------------------------- */

int dv_artifact_file_open(dv_artifact_file *f, const dv_artifact_place *place, const char *title,
                          davit_error **err)
{
    uint8_t random[8];
    char hex[2 * sizeof(random) + 1], name[sizeof(f->temporary)];
    f->place = place;
    f->title = title;
    int fd = enter_parent(place, title, /* make= */ true, &f->base);
    if (fd < 0)
        return refuse(place, -fd, title, err);
    f->directory_fd = fd;
    dv_random_bytes(random, sizeof(random));
    dv_hex_encode(random, sizeof(random), hex);
    snprintf(name, sizeof(name), ".davit-%s", hex);
    f->fd = openat(f->directory_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (f->fd < 0)
        return refuse(place, errno, title, err);
    memcpy(f->temporary, name, sizeof(name));
    return 0;
}

int dv_artifact_file_write(const dv_artifact_file *f, const void *bytes, size_t size, davit_error **err)
{
    int r = dv_write_all(f->fd, bytes, size);
    return r < 0 ? refuse(f->place, -r, f->title, err) : 0;
}

int dv_artifact_file_restart(const dv_artifact_file *f, davit_error **err)
{
    return ftruncate(f->fd, 0) < 0 || lseek(f->fd, 0, SEEK_SET) < 0 ? refuse(f->place, errno, f->title, err)
                                                                    : 0;
}

int dv_artifact_file_publish(dv_artifact_file *f, davit_error **err)
{
    const dv_artifact_place *place = f->place;
    if (fchmod(f->fd, place->file_mode) < 0 || fdatasync(f->fd) < 0 ||
        renameat2(f->directory_fd, f->temporary, f->directory_fd, f->base,
                  place->force ? 0 : RENAME_NOREPLACE) < 0)
        return refuse(place, errno, f->title, err);
    f->temporary[0] = '\0';
    return 0;
}

void dv_artifact_file_clear(dv_artifact_file *f)
{
    if (f->temporary[0])
        unlinkat(f->directory_fd, f->temporary, 0);
    f->temporary[0] = '\0';
    dv_close(&f->fd);
    dv_close(&f->directory_fd);
}

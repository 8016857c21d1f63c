/* util/file.c - see file.h. */
#include "util/file.h"

#include "util/hex.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

int dv_write_all(int fd, const void *bytes, size_t size)
{
    const char *p = bytes;
    while (size > 0) {
        ssize_t n = write(fd, p, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        p += n;
        size -= (size_t)n;
    }
    return 0;
}

int dv_pwrite_all(int fd, const void *bytes, size_t size, uint64_t offset)
{
    const char *p = bytes;
    while (size > 0) {
        ssize_t n = pwrite(fd, p, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        p += n;
        offset += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

ssize_t dv_pread_all(int fd, void *bytes, size_t size, uint64_t offset)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(fd, (char *)bytes + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

#define AGAIN_MAX 1000 /* openat2 says EAGAIN when anything is renamed meanwhile, elsewhere too */

int dv_openat2(int dirfd, const char *path, int flags, uint64_t resolve)
{
    const struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
                                 .resolve = resolve | RESOLVE_NO_MAGICLINKS};
    for (int i = 0;; i++) {
        int fd = (int)syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
        if (fd >= 0)
            return fd;
        if ((errno != EAGAIN && errno != EINTR) || i == AGAIN_MAX)
            return -errno;
    }
}

int dv_open_below(int dirfd, const char *path, int flags)
{
    int fd = dv_openat2(dirfd, path, flags | O_NONBLOCK | O_NOCTTY, RESOLVE_BENEATH);
    if (fd >= 0)
        return fd;
    errno = -fd;
    return -1;
}

int dv_file_read(int dirfd, const char *path, size_t max, dv_buf *out, davit_error **err)
{
    DV_AUTOCLOSE fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return dv_error_errno(err, DAVIT_ENOTFOUND, errno, "%s", path);
    if (fd < 0)
        return dv_error_file(err, errno, "cannot open %s", path);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return dv_error_file(err, errno, "cannot read %s", path);
    if (!S_ISREG(st.st_mode))
        return dv_error_set(err, DAVIT_EIO, "cannot read %s: not a regular file", path);
    dv_buf_reset(out);
    char chunk[16 << 10];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return dv_error_file(err, errno, "cannot read %s", path);
        if (n == 0)
            break;
        if (out->size + (size_t)n > max)
            return dv_error_set(err, DAVIT_ETOOBIG, "%s is longer than %zu bytes", path, max);
        dv_buf_append(out, chunk, (size_t)n);
        if (out->secret)
            explicit_bzero(chunk, (size_t)n);
        if (out->failed)
            return dv_error_oom(err);
    }
    return 0;
}

static int sync_parent(int dirfd, const char *path)
{
    const char *slash = strrchr(path, '/');
    DV_AUTOFREE char *parent =
        slash ? dv_strndup(path, slash > path ? (size_t)(slash - path) : 1) : dv_strdup(".");
    if (!parent)
        return -ENOMEM;
    DV_AUTOCLOSE fd = openat(dirfd, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int dv_file_replace(int dirfd, const char *path, const void *bytes, size_t size, mode_t mode,
                    davit_error **err)
{
    DV_AUTO(dv_buf) temporary = DV_BUF_INIT(8192);
    uint8_t random[8];
    char hex[17];
    dv_random_bytes(random, sizeof(random));
    dv_hex_encode(random, sizeof(random), hex);
    dv_buf_printf(&temporary, "%s.tmp-%s", path, hex);
    if (temporary.failed)
        return dv_error_oom(err);
    DV_AUTOCLOSE fd =
        openat(dirfd, dv_buf_text(&temporary), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return dv_error_file(err, errno, "cannot write %s", path);
    int r = dv_write_all(fd, bytes, size);
    if (r == 0 && (fchmod(fd, mode) < 0 || fdatasync(fd) < 0 ||
                   renameat(dirfd, dv_buf_text(&temporary), dirfd, path) < 0))
        r = -errno;
    if (r < 0) {
        unlinkat(dirfd, dv_buf_text(&temporary), 0);
        return dv_error_file(err, -r, "cannot write %s", path);
    }
    r = sync_parent(dirfd, path);
    return r < 0 ? dv_error_file(err, -r, "cannot sync the directory of %s", path) : 0;
}

int dv_make_directories(const char *path, mode_t mode, davit_error **err)
{
    DV_AUTOFREE char *copy = dv_strdup(path);
    if (!copy)
        return dv_error_oom(err);
    for (char *p = copy + 1; *copy; p++) {
        if (*p != '/' && *p != '\0')
            continue;
        bool last = *p == '\0';
        *p = '\0';
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return dv_error_file(err, errno, "cannot make directory %s", copy);
        if (last)
            break;
        *p = '/';
    }
    return 0;
}

static int set_lock(int fd, int command, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
    int r;
    do
        r = fcntl(fd, command, &lock);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

static int try_lock(int fd, short type)
{
    int r = set_lock(fd, F_OFD_SETLK, type);
    return r == 0 ? 1 : r == -EAGAIN || r == -EACCES ? 0 : r;
}

int dv_try_lock(int fd)
{
    return try_lock(fd, F_WRLCK);
}

int dv_try_lock_shared(int fd)
{
    return try_lock(fd, F_RDLCK);
}

int dv_lock_wait(int fd, bool exclusive)
{
    return set_lock(fd, F_OFD_SETLKW, exclusive ? F_WRLCK : F_RDLCK);
}

/* --- room -------------------------------------------------------------------------------------------------------------- */

#define RESERVE_MAX (32ull << 20) /* bytes */
#define GRANT_MAX (8ull << 20)
#define GRANT_MIN (16ull << 10)

uint64_t dv_file_room(int fd, uint64_t *out_reserve)
{
    struct statvfs fs;
    *out_reserve = 0;
    if (fstatvfs(fd, &fs) < 0 || fs.f_blocks == 0)
        return UINT64_MAX;
    uint64_t free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
    uint64_t reserve = (uint64_t)fs.f_blocks * fs.f_frsize / 100;
    *out_reserve = reserve < RESERVE_MAX ? reserve : RESERVE_MAX;
    return free_bytes > *out_reserve ? free_bytes - *out_reserve : 0;
}

bool dv_room_take(dv_room *room, int fd, uint64_t size)
{
    uint64_t unused;
    if (room->granted < size) {
        uint64_t there = dv_file_room(fd, &unused);
        if (there < size)
            return false;
        room->granted = there / 4 < GRANT_MIN ? GRANT_MIN : there / 4 > GRANT_MAX ? GRANT_MAX : there / 4;
    }
    room->granted -= room->granted < size ? room->granted : size;
    return true;
}

/* distribution/staged_file.c - see staged_file.h. */
#include "distribution/staged_file.h"

#include "util/file.h"
#include "util/hex.h"
#include "util/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#define TRIES 16 /* somebody may take a new file for a left one before it is locked */
#define MODE 0644

static int append(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    dv_staged_file *f = (dv_staged_file *)s;
    int r = dv_write_all(f->fd, bytes, size);
    f->size += size;
    return r < 0 ? dv_error_file(err, -r, "cannot write") : 0;
}

static int finish(dv_sink *s, davit_error **err)
{
    (void)s, (void)err;
    return 0;
}

static int try_open(dv_staged_file *f)
{
    uint8_t random[8];
    char hex[2 * sizeof(random) + 1];
    struct stat st;
    dv_random_bytes(random, sizeof(random));
    dv_hex_encode(random, sizeof(random), hex);
    snprintf(f->name, sizeof(f->name), DV_STAGED_PREFIX "%s", hex);
    f->fd = openat(f->dirfd, f->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (f->fd < 0)
        return -errno;
    int locked = dv_try_lock(f->fd);
    if (locked == 1 && fstat(f->fd, &st) == 0 && st.st_nlink == 1)
        return 0;
    dv_close(&f->fd);
    return locked < 0 && locked != -EINTR ? locked : -EEXIST;
}

int dv_staged_file_open(dv_staged_file *f, int dirfd, davit_error **err)
{
    *f = (dv_staged_file){.sink = {.write = append, .finish = finish}, .dirfd = dirfd, .fd = -1};
    int r = -EEXIST;
    for (int i = 0; i < TRIES && r == -EEXIST; i++)
        r = try_open(f);
    if (r == 0)
        return 0;
    f->name[0] = '\0';
    return dv_error_file(err, -r, "cannot make a file");
}

int dv_staged_file_commit(dv_staged_file *f, const char *path, davit_error **err)
{
    if (fchmod(f->fd, MODE) < 0 || fdatasync(f->fd) < 0 || renameat(f->dirfd, f->name, f->dirfd, path) < 0)
        return dv_error_file(err, errno, "cannot write %s", path);
    f->name[0] = '\0';
    return 0;
}

void dv_staged_file_clear(dv_staged_file *f)
{
    if (f->name[0])
        unlinkat(f->dirfd, f->name, 0);
    f->name[0] = '\0';
    dv_close(&f->fd);
}

int dv_staged_file_put(int dirfd, const char *path, const void *bytes, size_t size, davit_error **err)
{
    dv_staged_file f;
    int r = dv_staged_file_open(&f, dirfd, err);
    if (r == 0)
        r = dv_sink_write(&f.sink, bytes, size, err);
    if (r == 0)
        r = dv_staged_file_commit(&f, path, err);
    dv_staged_file_clear(&f);
    if (r == 0 && fsync(dirfd) < 0)
        r = dv_error_file(err, errno, "cannot sync the directory of %s", path);
    return r;
}

static void sweep_one(int dirfd, const char *name)
{
    DV_AUTOCLOSE fd = openat(dirfd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    struct stat st;
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && dv_try_lock(fd) == 1)
        unlinkat(dirfd, name, 0);
}

void dv_staged_files_sweep(int dirfd)
{
    int own = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = own < 0 ? NULL : fdopendir(own);
    if (!directory) {
        dv_close(&own);
        return;
    }
    for (const struct dirent *e; (e = readdir(directory));)
        if (dv_str_starts(e->d_name, DV_STAGED_PREFIX))
            sweep_one(dirfd, e->d_name);
    closedir(directory);
}

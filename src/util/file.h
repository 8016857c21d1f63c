/* util/file.h - files and directories by descriptor: *at calls, O_CLOEXEC, whole reads and writes, locks that die with us. */
#ifndef DV_UTIL_FILE_H
#define DV_UTIL_FILE_H

#include "util/buf.h"
#include "util/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <unistd.h>

static inline void dv_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}
#define DV_AUTOCLOSE __attribute__((cleanup(dv_close))) int

/* Whole reads and writes, EINTR repeated. 0 or -errno; a read returns what it got, short only at end of file. */
int dv_write_all(int fd, const void *bytes, size_t size);
int dv_pwrite_all(int fd, const void *bytes, size_t size, uint64_t offset);
ssize_t dv_pread_all(int fd, void *bytes, size_t size, uint64_t offset);

/* openat2(), tried again while renames elsewhere make it say EAGAIN; never a magic link. resolve: RESOLVE_*. A descriptor or -errno. */
int dv_openat2(int dirfd, const char *path, int flags, uint64_t resolve);
/*
 * Open what a path leads to below a directory: links are followed there, and nowhere else (EXDEV, ELOOP). Never waits for a FIFO. -1 with errno.
 */
int dv_open_below(int dirfd, const char *path, int flags);
/* Read a regular file whole, at most max bytes. Errors: DAVIT_ENOTFOUND, DAVIT_ETOOBIG, DAVIT_EIO (also a directory). */
int dv_file_read(int dirfd, const char *path, size_t max, dv_buf *out, davit_error **err);
/* Write beside, fdatasync, rename over, sync the directory. */
int dv_file_replace(int dirfd, const char *path, const void *bytes, size_t size, mode_t mode,
                    davit_error **err);
/* mkdir -p with this mode for what is made. */
int dv_make_directories(const char *path, mode_t mode, davit_error **err);
/* OFD write lock on the whole file. 1: got it; 0: held by another open file; -errno. */
int dv_try_lock(int fd);
/* The same with a read lock; a write lock held through this fd becomes one. */
int dv_try_lock_shared(int fd);
/* Wait for it. 0 or -errno. exclusive false takes a read lock. */
int dv_lock_wait(int fd, bool exclusive);

/*
 * What is free in fd's file system and may be used: a reserve is left to others (threats C5): 32 MiB, or 1 % of a smaller one. UINT64_MAX: the
 * system does not say.
 */
uint64_t dv_file_room(int fd, uint64_t *out_reserve);
/* For who writes much: asks for the room now and then only, the more often the less there is. Begins as zeros. */
typedef struct dv_room {
    uint64_t granted; /* bytes that need no question */
} dv_room;
/* Whether size more bytes may be written to fd's file system. */
bool dv_room_take(dv_room *room, int fd, uint64_t size);

#endif

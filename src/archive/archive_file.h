/*
 * archive/archive_file.h - an archive of images as a file that is read wherever one likes: what its names stand for is found in one pass over
 * its headers, which skips all data.
 *
 * A compressed archive cannot be read so: it is inflated into a file without a name in the same directory, which goes with the
 * descriptor.
 */
#ifndef DV_ARCHIVE_ARCHIVE_FILE_H
#define DV_ARCHIVE_ARCHIVE_FILE_H

#include "archive/archive_names.h"
#include "util/buf.h"

#include <stdbool.h>

typedef struct dv_archive_file dv_archive_file;

/* Where a file of the archive lies. */
typedef struct dv_archive_range {
    uint64_t first, size;
} dv_archive_range;

/* Now and then: negative ends it. May be NULL. */
typedef int (*dv_archive_check_fn)(void *user, davit_error **err);

/*
 * DAVIT_ENOTFOUND: no such file. DAVIT_EFORMAT: it is no tar, or cut off; DAVIT_EINVAL: no regular file. What the archive's names mean is
 * the caller's.
 */
int dv_archive_file_open(const char *path, dv_archive_check_fn check, void *user, dv_archive_file **out,
                         davit_error **err);
void dv_archive_file_close(dv_archive_file *f); /* NULL is fine */
DV_DEFINE_AUTOPTR(dv_archive_file, dv_archive_file_close)

/* A path of the archive, its links followed. 1: there; 0: not. */
int dv_archive_file_find(const dv_archive_file *f, const char *path, dv_archive_range *out, davit_error **err);
/* A small file whole. DAVIT_ENOTFOUND, DAVIT_ETOOBIG. */
int dv_archive_file_read(const dv_archive_file *f, const char *path, size_t max, dv_buf *out,
                         davit_error **err);
/* Borrowed; pread() only. */
int dv_archive_file_fd(const dv_archive_file *f);

#endif

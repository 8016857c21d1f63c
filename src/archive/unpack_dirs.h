/*
 * archive/unpack_dirs.h - the directories of the root that are open: a parent is resolved once, not once for each file.
 *
 * Keyed by the path as the archive writes it. Several paths that lead through links to one directory share one record, found by inode, so that
 * its times are known once. The times that the image gives a directory are put back when its record is closed: the file system itself
 * remembers them meanwhile, so memory does not grow with the number of directories. What is replaced or removed must be forgotten before.
 */
#ifndef DV_ARCHIVE_UNPACK_DIRS_H
#define DV_ARCHIVE_UNPACK_DIRS_H

#include "archive/unpack_marks.h"
#include "archive/unpack_overlay.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <time.h>

#define DV_UNPACK_DIRS_MAX 128 /* open at once */

/* One open directory. */
typedef struct dv_dir {
    int fd;
    ino_t inode;
    uid_t uid;
    gid_t gid;
    mode_t mode; /* 07777 */
    struct timespec times[2];
    bool has_times; /* times are what it shall have */
    bool dirty;     /* something in it changed since */
    bool fresh;     /* made by the layer that is being applied */
    unsigned pins;
} dv_dir;

/* A directory as one path reaches it. Keeps it open until dv_dirs_put(). */
typedef struct dv_dir_ref {
    dv_dir *dir;
    bool linked; /* the path goes through a symbolic link */
} dv_dir_ref;

typedef struct dv_dirs_key {
    char *path;
    size_t size;
    dv_dir *dir; /* NULL: the key is unused */
    uint64_t used;
    bool linked;
} dv_dirs_key;

typedef struct dv_dirs {
    int root_fd;
    dv_dir root; /* path "" */
    size_t limit;
    rlim_t descriptors_max;          /* of the process: where few are left nothing is kept open */
    dv_dir dirs[DV_UNPACK_DIRS_MAX]; /* fd -1: unused */
    dv_dirs_key keys[DV_UNPACK_DIRS_MAX];
    uint32_t hashes[DV_UNPACK_DIRS_MAX]; /* of the keys, apart so that a search reads little memory */
    size_t last;                         /* the key that was found last */
    size_t linked_keys;
    uint64_t clock;
    dv_unpack_marks *marks; /* borrowed */
    dv_overlay *overlay;    /* borrowed; NULL: layers are applied on top of each other */
    uint64_t made;          /* directories made because an entry needed them */
    uint64_t made_max;
    bool rootless;
} dv_dirs;

/* root_fd and marks are borrowed. */
int dv_dirs_init(dv_dirs *d, int root_fd, dv_unpack_marks *marks, davit_error **err);
void dv_dirs_clear(dv_dirs *d); /* closes without putting times back */

/*
 * The directory at a path below the root, links resolved within the root; made with what is missing above it, 0755 and root's. Errors:
 * DAVIT_EFORMAT (not a directory, links without end), DAVIT_EUNSUPPORTED (no openat2), DAVIT_ETOOBIG, DAVIT_EIO, DAVIT_ENOSPACE.
 */
int dv_dirs_get(dv_dirs *d, const char *path, size_t size, dv_dir_ref *out, davit_error **err);
/* The same, but only what is there: DAVIT_ENOTFOUND. */
int dv_dirs_find(dv_dirs *d, const char *path, size_t size, dv_dir_ref *out, davit_error **err);
/* An open directory whose path has no link; never asks the file system. False: not known. */
bool dv_dirs_cached(dv_dirs *d, const char *path, size_t size, dv_dir_ref *out);
/*
 * mkdir of the last component of path in parent, and keep it open. 1: done; 0: something is there already (a directory is
 * opened and kept, *existed set; else out->dir is NULL).
 */
int dv_dirs_make(dv_dirs *d, const dv_dir_ref *parent, const char *path, size_t size, const char *name,
                 mode_t mode, dv_dir_ref *out, bool *existed, davit_error **err);
void dv_dirs_put(dv_dirs *d, dv_dir_ref *ref);

/* Before what is at path is removed or replaced, when it is a directory or a link: it and what is below are not known any more. */
int dv_dirs_forget(dv_dirs *d, const char *path, size_t size, bool linked, davit_error **err);
/* Close everything that is not pinned, times put back. */
int dv_dirs_flush(dv_dirs *d, davit_error **err);
/* A new layer begins: nothing is made by it yet. */
void dv_dirs_begin_layer(dv_dirs *d);

/* openat2 of a directory by path from the root, links resolved within it. A descriptor or -errno. */
int dv_dirs_open(const dv_dirs *d, const char *path, bool *linked);

#endif

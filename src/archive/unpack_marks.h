/*
 * archive/unpack_marks.h - what the layer that is being applied made itself, so that its whiteouts act on lower layers only.
 *
 * A set of 64-bit hashes of (inode of the directory, name), and of the inodes of directories that the layer made: everything
 * within such a one is the layer's and needs no mark of its own. Nothing is recorded for the lowest layer, where no whiteout
 * has anything to act on. At most 32 bytes a mark (a table of 8 byte slots, at least a quarter of them used).
 */
#ifndef DV_ARCHIVE_UNPACK_MARKS_H
#define DV_ARCHIVE_UNPACK_MARKS_H

#include "util/error.h"

#include <stdbool.h>
#include <stdint.h>

#define DV_UNPACK_MARKS_MAX (2u << 20) /* of one layer: a table of 32 MiB */

typedef struct dv_unpack_marks {
    uint64_t *slots; /* 0 is free */
    size_t capacity; /* a power of two */
    size_t count;
    uint64_t seed;
    bool active;
} dv_unpack_marks;

void dv_unpack_marks_init(dv_unpack_marks *m);
void dv_unpack_marks_clear(dv_unpack_marks *m);
/* Forget everything; active false makes the next additions do nothing. */
void dv_unpack_marks_begin(dv_unpack_marks *m, bool active);

/* name NULL: the directory as a whole. Errors: DAVIT_ETOOBIG, DAVIT_ENOMEM. */
int dv_unpack_marks_add(dv_unpack_marks *m, uint64_t directory, const char *name, davit_error **err);
bool dv_unpack_marks_has(const dv_unpack_marks *m, uint64_t directory, const char *name);

#endif

/*
 * archive/staging.h - a tree appears at its target whole or not at all (DESIGN 7).
 *
 * Target absent or empty: a directory ".davit-<random>" beside it, renamed to it. A mount point: ".davit-<random>" within it, whose children
 * are moved up. Not empty: DAVIT_EEXIST, unless DV_STAGING_FORCE: exchanged by renameat2 and the old tree removed after; in a mount point its
 * children are moved aside, the new ones up, and then those are removed. One syncfs before.
 * The staging directory is locked by its owner; what dead owners left beside a target is removed by the next one that stages there.
 */
#ifndef DV_ARCHIVE_STAGING_H
#define DV_ARCHIVE_STAGING_H

#include "util/error.h"
#include "util/alloc.h"

#include <stdbool.h>

#define DV_STAGING_FORCE (1u << 0)

typedef struct dv_staging dv_staging;
/*
 * Errors: DAVIT_EINVAL (no name), DAVIT_EEXIST (not empty, a file, a link), DAVIT_EIO (no directory above, cannot write there), DAVIT_ENOSPACE.
 */
int dv_staging_open(const char *target, unsigned flags, dv_staging **out, davit_error **err);
/* Of the root that is filled; borrowed. 0700 until commit. */
int dv_staging_fd(const dv_staging *s);
/* What commit gives the root: dv_unpack_root_mode(). 0755 when not called. */
void dv_staging_set_mode(dv_staging *s, unsigned mode);
/*
 * syncfs, put in place. Frees it, whatever the result; after an error the target is as it was. Errors: DAVIT_EEXIST (somebody filled the target
 * meanwhile), DAVIT_EUNSUPPORTED (the file system cannot exchange directories), DAVIT_EIO, DAVIT_ENOSPACE.
 */
int dv_staging_commit(dv_staging *s, davit_error **err);
void dv_staging_abort(dv_staging *s); /* removes the tree; NULL is fine */
DV_DEFINE_AUTOPTR(dv_staging, dv_staging_abort)

/* rm -rf of one entry of a directory without following anything or leaving the file system's subtree. Fine when absent. */
int dv_remove_tree(int dirfd, const char *name, davit_error **err);

#endif

/*
 * archive/staging_mount.h - moving a finished tree into an empty mount point, which cannot be replaced by a rename.
 *
 * Before the first child is moved, a list of all is written beside the staging directory; it goes after the last. So what a crash left half moved
 * is known, and removed by the next one that stages there.
 */
#ifndef DV_ARCHIVE_STAGING_MOUNT_H
#define DV_ARCHIVE_STAGING_MOUNT_H

#include "util/error.h"

#define DV_STAGING_LIST_SUFFIX ".list"
#define DV_STAGING_LIST_MAX (16u << 20) /* bytes of names in the root of an image */

/* Move the children of tree_fd up into mount_fd, then owner, mode, times of tree_fd to mount_fd. Moved back on an error. */
int dv_staging_move_up(int mount_fd, int tree_fd, const char *staging_name, davit_error **err);
/* Undo what a dead owner's list says, and remove the list. Fine when there is none. */
int dv_staging_undo_move(int mount_fd, const char *staging_name, davit_error **err);

#endif

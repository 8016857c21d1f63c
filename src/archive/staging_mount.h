/*
 * archive/staging_mount.h - moving a finished tree into a mount point, which cannot be replaced by a rename.
 *
 * Before the first child is moved, a list of all is on the disk beside the staging directory; it goes after the last. So what a crash left half
 * moved is known, and undone by the next one that stages there. A mount point that is not empty: its children are moved aside first, into
 * STAGING.old; they come back when it ends early, and are removed after. A crash behind the last move is taken for a success.
 */
#ifndef DV_ARCHIVE_STAGING_MOUNT_H
#define DV_ARCHIVE_STAGING_MOUNT_H

#include "util/error.h"

#include <stdbool.h>

#define DV_STAGING_PREFIX ".davit-" /* of all names that are made beside or in a target */
#define DV_STAGING_LIST_SUFFIX ".list"
#define DV_STAGING_LIST_MAX (16u << 20) /* bytes of names in the root of an image */

#define DV_STAGING_OLD_SUFFIX ".old"

/*
 * Move the children of tree_fd up into mount_fd, then owner, extended attributes, mode, times of tree_fd to mount_fd. Moved back on an error. exchange: what is there is
 * put aside. *out_stuck: moving back failed as well; everything that was staged must stay, for the next one to mend.
 */
int dv_staging_move_up(int mount_fd, int tree_fd, const char *staging_name, bool exchange, bool *out_stuck,
                       davit_error **err);
/* After a success: remove what was put aside. Fine when there is nothing. */
int dv_staging_remove_old(int mount_fd, const char *staging_name, davit_error **err);
/* Whether there is a list, of ours. */
bool dv_staging_has_list(int mount_fd, const char *staging_name);
/* Undo what a dead owner's list says, or finish it, and remove the list. Fine when there is none. */
int dv_staging_undo_move(int mount_fd, const char *staging_name, davit_error **err);

#endif

/*
 * archive/remove_tree.h - rm -rf by descriptor: nothing is followed, no other file system entered, any depth with few open files.
 *
 * With a dv_tree_keep some of it stays: that is how a whiteout removes what lower layers left and not what its own layer brought.
 * dv_remove_tree() of staging.h is the form without.
 */
#ifndef DV_ARCHIVE_REMOVE_TREE_H
#define DV_ARCHIVE_REMOVE_TREE_H

#include "util/error.h"

#include <stdbool.h>
#include <stdint.h>

#define DV_TREE_NAMES_MAX \
    (16u << 20) /* bytes of names of the directories that wait on one path, when some stay */

typedef struct dv_tree_keep {
    void *user;
    /* This entry of that directory (its inode) stays; of a directory the children are asked about nevertheless. */
    bool (*keeps_entry)(void *user, uint64_t directory, const char *name);
    /* Everything in this directory stays. */
    bool (*keeps_all)(void *user, uint64_t directory);
    /* This directory stays, and nothing is in it any more that does not; NULL: nobody wants to know. */
    int (*on_kept)(void *user, uint64_t directory, davit_error **err);
} dv_tree_keep;

/*
 * Remove one entry of a directory, absent is fine; keep NULL removes everything. Directories that stay get their times back.
 * Errors: DAVIT_EIO (also a mount point inside), DAVIT_ETOOBIG, DAVIT_ENOMEM.
 */
int dv_tree_remove(int dirfd, const char *name, const dv_tree_keep *keep, davit_error **err);
/* The same for all children of an open directory. */
int dv_tree_empty(int fd, const dv_tree_keep *keep, davit_error **err);

#endif

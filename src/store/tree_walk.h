/* store/tree_walk.h - everything below a directory, of any depth; one directory is open at a time. */
#ifndef DV_STORE_TREE_WALK_H
#define DV_STORE_TREE_WALK_H

#include "util/error.h"

#include <sys/stat.h>

/* Anything but 0 ends the walk, which gives it. */
typedef struct dv_tree_visitor {
    /* Each name of a directory; links are not followed. */
    int (*entry)(void *user, int dirfd, const char *name, const struct stat *st, davit_error **err);
    /* Into a directory, before its entries; name NULL: the first one. May be NULL. */
    int (*enter)(void *user, int dirfd, const char *name, davit_error **err);
    /* Out of it, after everything below. May be NULL. */
    int (*leave)(void *user, davit_error **err);
} dv_tree_visitor;

/* Nobody else may move directories in it meanwhile. doing: what cannot be done when something fails. */
int dv_tree_walk(int dirfd, const char *doing, const dv_tree_visitor *visitor, void *user, davit_error **err);

#endif

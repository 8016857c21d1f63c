/* store/tree_size.h - what a directory holds: each file once, whatever it is named (store.md 4). */
#ifndef DV_STORE_TREE_SIZE_H
#define DV_STORE_TREE_SIZE_H

#include "util/error.h"

typedef struct dv_tree_size {
    uint64_t size;      /* bytes in files, links by their text; directories are nothing */
    uint64_t disk_size; /* what the file system takes, directories included */
} dv_tree_size;

/* Nobody else may move directories in it meanwhile. */
int dv_tree_measure(int dirfd, dv_tree_size *out, davit_error **err);

#endif

/* store/tree_compare.h - whether a directory still holds what it was made of, when the same was made once more beside it. */
#ifndef DV_STORE_TREE_COMPARE_H
#define DV_STORE_TREE_COMPARE_H

#include "util/buf.h"
#include "util/error.h"

/*
 * Type, mode, owner, device, size, bytes, target and extended attributes (user.*, trusted.*, security.capability; of files and directories) of
 * everything, times of files. Not: times of directories, which are whatever they were made at where the layer does not say; names in common. 1: the
 * same; 0: *out says what differs first, with its path.
 */
int dv_tree_compare(int expected_fd, int found_fd, dv_buf *out, davit_error **err);

#endif

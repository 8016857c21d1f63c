/* archive/xattr_copy.h - extended attributes that images and we gave a file or directory, taken over to another one. */
#ifndef DV_ARCHIVE_XATTR_COPY_H
#define DV_ARCHIVE_XATTR_COPY_H

#include "util/error.h"

/*
 * Those that an image may bring (xattr_policy.h), user.rootlesscontainers, and security.* but for labels, which the system gives. What the file
 * system of to does not take or allow is left out.
 */
int dv_xattrs_take_over(int from, int to, davit_error **err);
/* Take them away; security.* only where an image may bring it. */
int dv_xattrs_forget(int fd, davit_error **err);

#endif

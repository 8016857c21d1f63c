/* archive/xattr_policy.h - which extended attributes of an image become real (threats D7). Pure. */
#ifndef DV_ARCHIVE_XATTR_POLICY_H
#define DV_ARCHIVE_XATTR_POLICY_H

#include <stdbool.h>

/*
 * user.* and security.capability are kept; others only when asked for by name or by a pattern that ends with '*' (asked ends with
 * NULL; NULL asks for nothing). trusted.*, user.overlay.*, user.rootlesscontainers and system.* are never kept.
 */
bool dv_xattr_is_kept(const char *name, const char *const *asked);

#endif

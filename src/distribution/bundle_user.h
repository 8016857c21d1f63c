/* distribution/bundle_user.h - who an image runs as: config.User against the text of its etc/passwd and etc/group. Pure (threats B10). */
#ifndef DV_DISTRIBUTION_BUNDLE_USER_H
#define DV_DISTRIBUTION_BUNDLE_USER_H

#include "util/buf.h"
#include "util/error.h"

#define DV_BUNDLE_GROUPS_MAX 1024 /* further groups of a user that are kept */

typedef struct dv_bundle_user {
    uint32_t uid, gid;
    uint32_t *groups; /* further ones, ascending, each once */
    size_t group_count;
    char *home; /* NULL: not known */
} dv_bundle_user;

void dv_bundle_user_clear(dv_bundle_user *u);
DV_DEFINE_AUTO(dv_bundle_user, dv_bundle_user_clear)

/*
 * user: "", "USER" or "USER:GROUP", each a name or a number from 0 to 4294967294. A name must be in the files; a number need not. Without a
 * group it is that of passwd (0 when the user is not there), and the groups that list the user come with it. The first line that fits counts;
 * lines that are not of their file's form are no lines. Errors: DAVIT_EFORMAT.
 */
int dv_bundle_user_find(const char *user, const char *passwd, const char *group, dv_bundle_user *out,
                        davit_error **err);

#endif

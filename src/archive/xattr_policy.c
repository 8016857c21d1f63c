/* archive/xattr_policy.c - see xattr_policy.h. */
#include "archive/xattr_policy.h"

#include "util/str.h"

#include <string.h>

/* What says how a kernel or a runtime reads the tree is theirs to say, never the image's; system.* are ACLs, which
 * would say something else than the mode does. */
static bool is_never_kept(const char *name)
{
    return dv_str_starts(name, "trusted.") || dv_str_starts(name, "system.") ||
           dv_str_starts(name, "user.overlay.") || dv_str_equal(name, "user.rootlesscontainers");
}

static bool is_asked(const char *name, const char *pattern)
{
    size_t size = strlen(pattern);
    if (size > 0 && pattern[size - 1] == '*')
        return strncmp(name, pattern, size - 1) == 0;
    return strcmp(name, pattern) == 0;
}

bool dv_xattr_is_kept(const char *name, const char *const *asked)
{
    if (is_never_kept(name))
        return false;
    if (dv_str_starts(name, "user.") || dv_str_equal(name, "security.capability"))
        return true;
    for (; asked && *asked; asked++)
        if (is_asked(name, *asked))
            return true;
    return false;
}

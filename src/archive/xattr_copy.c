/* archive/xattr_copy.c - see xattr_copy.h. */
#include "archive/xattr_copy.h"

#include "archive/xattr_policy.h"
#include "util/alloc.h"
#include "util/str.h"

#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#define NAMES_MAX (64u << 10) /* bytes; of the kernel */
#define VALUE_MAX (64u << 10) /* bytes; of the kernel */

/* What overlayfs says of a file is not the file's. */
static bool is_given(const char *name)
{
    return dv_xattr_is_kept(name, NULL) || strcmp(name, "user.rootlesscontainers") == 0;
}

static bool is_taken_over(const char *name)
{
    return is_given(name) || (dv_str_starts(name, "security.") && strcmp(name, "security.selinux") != 0);
}

/* Their names, each with its NUL, with room for a value behind NAMES_MAX. *out NULL: there are none, or no such thing in this file system. */
static int list(int fd, char **out, size_t *out_size, davit_error **err)
{
    *out = NULL;
    *out_size = 0;
    if (flistxattr(fd, NULL, 0) <= 0) /* mostly */
        return 0;
    char *names = dv_calloc(1, NAMES_MAX + VALUE_MAX);
    if (!names)
        return dv_error_oom(err);
    ssize_t size = flistxattr(fd, names, NAMES_MAX);
    *out = names;
    *out_size = size > 0 ? (size_t)size : 0;
    return 0;
}

int dv_xattrs_take_over(int from, int to, davit_error **err)
{
    DV_AUTOFREE char *names = NULL;
    size_t size;
    int r = list(from, &names, &size, err);
    for (size_t i = 0; r == 0 && i < size; i += strlen(names + i) + 1) {
        char *value = names + NAMES_MAX;
        ssize_t n = is_taken_over(names + i) ? fgetxattr(from, names + i, value, VALUE_MAX) : -1;
        if (n >= 0 && fsetxattr(to, names + i, value, (size_t)n, 0) < 0 && errno != EPERM && errno != ENOTSUP)
            r = dv_error_file(err, errno, "cannot take over xattr %s", names + i);
    }
    return r;
}

int dv_xattrs_forget(int fd, davit_error **err)
{
    DV_AUTOFREE char *names = NULL;
    size_t size;
    int r = list(fd, &names, &size, err);
    for (size_t i = 0; r == 0 && i < size; i += strlen(names + i) + 1)
        if (is_given(names + i) && fremovexattr(fd, names + i) < 0 && errno != ENODATA && errno != EPERM &&
            errno != ENOTSUP)
            r = dv_error_file(err, errno, "cannot remove xattr %s", names + i);
    return r;
}

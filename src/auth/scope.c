/* auth/scope.c - see scope.h. */
#include "auth/scope.h"

#include <string.h>

void dv_scope_repository(dv_buf *out, const char *class, const char *name, const char *actions)
{
    if (class && *class && strcmp(class, "image") != 0)
        dv_buf_printf(out, "repository(%s):%s:%s", class, name, actions);
    else
        dv_buf_printf(out, "repository:%s:%s", name, actions);
}

void dv_scope_registry(dv_buf *out, const char *name, const char *actions)
{
    dv_buf_printf(out, "registry:%s:%s", name, actions);
}

void dv_scopes_join(dv_buf *out, const char *const *scopes)
{
    for (size_t i = 0; scopes && scopes[i]; i++)
        dv_buf_printf(out, "%s%s", i > 0 ? " " : "", scopes[i]);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int dv_scopes_key(const char *const *scopes, char **out, davit_error **err)
{
    size_t count = 0;
    while (scopes && scopes[count])
        count++;
    DV_AUTOFREE const char **sorted = dv_new_array(const char *, count);
    if (!sorted)
        return dv_error_oom(err);
    for (size_t i = 0; i < count; i++)
        sorted[i] = scopes[i];
    qsort(sorted, count, sizeof(*sorted), compare);
    DV_AUTO(dv_buf) key = DV_BUF_INIT(DV_SCOPES_TEXT_MAX);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || strcmp(sorted[i], sorted[i - 1]) != 0)
            dv_buf_printf(&key, "%s%s", key.size > 0 ? " " : "", sorted[i]);
    if (key.failed == DAVIT_ETOOBIG)
        return dv_error_set(err, DAVIT_EINVAL, "too many scopes");
    *out = dv_buf_take(&key);
    return *out ? 0 : dv_error_oom(err);
}

/* service/index_name.c - see index_name.h. */
#include "service/index_name.h"

#include "util/error.h"

#include <string.h>

const char *dv_index_name_normal(const char *text)
{
    return strcmp(text, DAVIT_INDEX_HOSTNAME) == 0 ? DAVIT_INDEX_NAME : text;
}

int dv_index_name_check(const char *normal, davit_error **err)
{
    size_t n = strlen(normal);
    if (n > 0 && (normal[0] == '-' || normal[n - 1] == '-'))
        return dv_error_set(err, DAVIT_EINVAL, "invalid index name (%s). Cannot begin or end with a hyphen",
                            normal);
    return 0;
}

int davit_validate_index_name(const char *text, char **out, davit_error **err)
{
    const char *normal = dv_index_name_normal(text);
    int r = dv_index_name_check(normal, err);
    if (r < 0)
        return r;
    char *copy = dv_strdup(normal);
    if (!copy)
        return dv_error_oom(err);
    *out = copy;
    return 0;
}

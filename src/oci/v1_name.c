/* oci/v1_name.c - what a user calls an image of a registry of the first version. Whether the repository can be one is for the registry. */
#include "davit/registry_v1.h"

#include "oci/v1_image.h"
#include "util/str.h"

#include <string.h>

void davit_v1_name_clear(davit_v1_name *n)
{
    free(n->repository);
    free(n->tag);
    free(n->id);
    *n = (davit_v1_name)DAVIT_V1_NAME_INIT;
}

/* The part behind the last "/" may hold ":TAG"; a colon before it is a port's. */
static int split(const char *text, davit_v1_name *n, davit_error **err)
{
    const char *slash = strrchr(text, '/'), *at = strchr(text, '@');
    const char *colon = strchr(slash ? slash : text, ':');
    const char *end = at ? at : colon;
    if (at && !dv_v1_id_is_valid(at + 1))
        return dv_error_set(err, DAVIT_EINVAL, "'%s' is no image id: 16 or 64 lower-case hex digits", at + 1);
    if (end == text || !*text || (end && end[-1] == '/') || (!end && slash && !slash[1]))
        return dv_error_set(err, DAVIT_EINVAL, "'%s' names no repository", text);
    if (at && colon)
        return dv_error_set(err, DAVIT_EINVAL, "'%s' has a tag and an id: one of them is wanted", text);
    if (colon && !colon[1])
        return dv_error_set(err, DAVIT_EINVAL, "'%s' has an empty tag", text);
    n->repository = dv_strndup(text, end ? (size_t)(end - text) : strlen(text));
    n->tag = colon ? dv_strdup(colon + 1) : NULL;
    n->id = at ? dv_strdup(at + 1) : NULL;
    return n->repository && (n->tag || !colon) && (n->id || !at) ? 0 : dv_error_oom(err);
}

int davit_v1_name_parse(const char *text, davit_v1_name *out, davit_error **err)
{
    davit_v1_name n = DAVIT_V1_NAME_INIT;
    int r = split(text, &n, err);
    if (r < 0)
        davit_v1_name_clear(&n);
    else
        *out = n;
    return r;
}

/* store/image_find.c - see image_find.h. */
#include "store/image_find.h"

#include "util/str.h"

#include <string.h>

static int no_such_image(const char *name, davit_error **err)
{
    return dv_error_set(err, DAVIT_ENOTFOUND, "No such image: %s", name);
}

int dv_image_find_reference(dv_store *s, const char *name, dv_reference_rows *out, davit_error **err)
{
    davit_reference *ref = NULL;
    int r = davit_reference_parse(name, &ref, NULL);
    if (r < 0)
        return r == DAVIT_ENOMEM ? dv_error_oom(err) : no_such_image(name, err);
    r = dv_reference_store_get(s, ref, out, err);
    davit_reference_free(ref);
    return r;
}

/* The hexadecimal part of an image id or a prefix of one; NULL when name is none. */
static const char *id_prefix(const char *name)
{
    const char *hex = dv_str_starts(name, "sha256:") ? name + 7 : name;
    size_t n = strspn(hex, "0123456789abcdef");
    return n > 0 && n <= 64 && hex[n] == '\0' ? hex : NULL;
}

static bool is_one_image(const dv_image_rows *rows)
{
    for (size_t i = 1; i < rows->count; i++)
        if (!davit_digest_equal(&rows->items[i].config, &rows->items[0].config))
            return false;
    return true;
}

int dv_image_find_by_id(dv_store *s, const char *name, dv_image_rows *out, davit_error **err)
{
    DV_AUTO(dv_image_rows) rows = {0};
    const char *hex = id_prefix(name);
    int r = hex ? dv_image_store_by_id(s, hex, &rows, err) : 0;
    if (r < 0)
        return r;
    if (rows.count == 0)
        return no_such_image(name, err);
    if (!is_one_image(&rows))
        return dv_error_set(err, DAVIT_EINVAL, "ambiguous digest string: %s", name);
    *out = rows;
    rows = (dv_image_rows){0};
    return 0;
}

int dv_image_find(dv_store *s, const char *name, dv_image_rows *out, davit_error **err)
{
    DV_AUTO(dv_reference_rows) references = {0};
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_image_find_reference(s, name, &references, &why);
    if (r == DAVIT_ENOTFOUND)
        return dv_image_find_by_id(s, name, out, err);
    if (r < 0)
        return dv_error_move(err, &why, r);
    r = dv_image_store_by_digest(s, &references.items[0].digest, out, err);
    return r == 0 && out->count == 0 ? no_such_image(name, err) : r;
}

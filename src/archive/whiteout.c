/*
 * archive/whiteout.c - tells a whiteout from a file by its name alone. Where the marker stands, which layer it acts on and how the
 * removal is done is decided by unpack.c and flatten.c.
 */
#include "archive/whiteout.h"

#include "util/str.h"

#define MARK ".wh."
#define AUFS_MARK ".wh..wh."
#define OPAQUE_MARK ".wh..wh..opq"

int dv_whiteout_classify(const char *name, dv_whiteout *out, const char **out_name, davit_error **err)
{
    dv_whiteout kind = DV_WHITEOUT_REMOVE;
    const char *rest = NULL;
    if (!dv_str_starts(name, MARK))
        kind = DV_WHITEOUT_NONE;
    else if (dv_str_starts(name, AUFS_MARK))
        kind = dv_str_equal(name, OPAQUE_MARK) ? DV_WHITEOUT_OPAQUE : DV_WHITEOUT_IGNORE;
    else
        rest = name + sizeof(MARK) - 1;
    if (rest && (*rest == '\0' || dv_str_equal(rest, ".") || dv_str_equal(rest, "..")))
        return dv_error_set(err, DAVIT_EFORMAT, "whiteout \"%s\" names no file: refused", name);
    *out = kind;
    *out_name = rest;
    return 0;
}

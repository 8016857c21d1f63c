/* archive/whiteout.h - what the last component of a layer's entry means (store.md 9.2, threats D5). Pure. */
#ifndef DV_ARCHIVE_WHITEOUT_H
#define DV_ARCHIVE_WHITEOUT_H

#include "util/error.h"

typedef enum dv_whiteout {
    DV_WHITEOUT_NONE,
    DV_WHITEOUT_REMOVE, /* ".wh.<name>": out_name is <name>, one ordinary component */
    DV_WHITEOUT_OPAQUE, /* ".wh..wh..opq" */
    DV_WHITEOUT_IGNORE, /* other ".wh..wh.*": AUFS bookkeeping */
} dv_whiteout;

/* name: the last component. DAVIT_EFORMAT for a whiteout of "", "." or "..". out_name points into name. */
int dv_whiteout_classify(const char *name, dv_whiteout *out, const char **out_name, davit_error **err);

#endif

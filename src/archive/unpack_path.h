/* archive/unpack_path.h - the name of an entry as components below the root (DESIGN 8, threats D1). Pure. */
#ifndef DV_ARCHIVE_UNPACK_PATH_H
#define DV_ARCHIVE_UNPACK_PATH_H

#include <stddef.h>

#define DV_UNPACK_PATH_MAX 4095     /* bytes: what one system call takes */
#define DV_UNPACK_COMPONENT_MAX 255 /* bytes: NAME_MAX */

typedef struct dv_unpack_path {
    size_t size;
    size_t base; /* where the last component starts */
    char text[DV_UNPACK_PATH_MAX + 1];
} dv_unpack_path;

/*
 * Drops "." and empty components and so a leading '/'; the root is "". 0; DAVIT_EFORMAT: it holds ".."; DAVIT_ETOOBIG: it or a
 * component is too long. The file system is not asked.
 */
int dv_unpack_path_clean(const char *name, dv_unpack_path *out);

/* Bytes of the part before the last component, 0 when that is the root. */
static inline size_t dv_unpack_path_parent(const dv_unpack_path *p)
{
    return p->base > 0 ? p->base - 1 : 0;
}

#endif

/* archive/unpack_path.c - see unpack_path.h. */
#include "archive/unpack_path.h"

#include "davit/error.h"

#include <string.h>

static int append_component(dv_unpack_path *p, const char *name, size_t size)
{
    if (size == 2 && name[0] == '.' && name[1] == '.')
        return DAVIT_EFORMAT;
    if (size > DV_UNPACK_COMPONENT_MAX || p->size + 1 + size > DV_UNPACK_PATH_MAX)
        return DAVIT_ETOOBIG;
    if (p->size > 0)
        p->text[p->size++] = '/';
    p->base = p->size;
    memcpy(p->text + p->size, name, size);
    p->size += size;
    return 0;
}

int dv_unpack_path_clean(const char *name, dv_unpack_path *out)
{
    out->size = out->base = 0;
    while (*name != '\0') {
        size_t size = (size_t)(strchrnul(name, '/') - name);
        if (size > 1 || (size == 1 && name[0] != '.')) {
            int r = append_component(out, name, size);
            if (r < 0)
                return r;
        }
        name += size;
        if (*name == '/')
            name++;
    }
    out->text[out->size] = '\0';
    return 0;
}

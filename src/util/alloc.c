/* util/alloc.c - see alloc.h. */
#include "util/alloc.h"

#include <string.h>

void *dv_calloc(size_t count, size_t size)
{
    return calloc(count ? count : 1, size);
}

void *dv_realloc_array(void *p, size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        return NULL;
    return realloc(p, total ? total : 1);
}

void *dv_list_place(void *list, size_t count, size_t size)
{
    char *items;
    memcpy(&items, list, sizeof(items));
    if ((count & (count - 1)) == 0) {
        items = dv_realloc_array(items, count ? 2 * count : 1, size);
        if (!items)
            return NULL;
        memcpy(list, &items, sizeof(items));
    }
    return items + count * size;
}

char *dv_strdup(const char *s)
{
    return s ? dv_strndup(s, strlen(s)) : NULL;
}

char *dv_strndup(const char *s, size_t n)
{
    char *copy = malloc(n + 1);
    if (!copy)
        return NULL;
    memcpy(copy, s, n);
    copy[n] = '\0';
    return copy;
}

void *dv_memdup(const void *p, size_t n)
{
    void *copy = malloc(n ? n : 1);
    if (copy && n)
        memcpy(copy, p, n);
    return copy;
}

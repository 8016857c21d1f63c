/* util/alloc.h - allocation with overflow checks, and locals that clean up after themselves. */
#ifndef DV_UTIL_ALLOC_H
#define DV_UTIL_ALLOC_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

/* All return NULL when there is no memory. Zeroed where it matters: dv_new and dv_new_array. */
void *dv_calloc(size_t count, size_t size);
void *dv_realloc_array(void *p, size_t count, size_t size);
/*
 * Place for one more item behind count of them, in a list that grows only by this: it is full at powers of two. list: the address of the pointer
 * to the first. Not cleared. NULL: no memory, and the list is as it was.
 */
void *dv_list_place(void *list, size_t count, size_t size);
char *dv_strdup(const char *s);
char *dv_strndup(const char *s, size_t n);
void *dv_memdup(const void *p, size_t n);

#define dv_new(type) ((type *)dv_calloc(1, sizeof(type)))
#define dv_new_array(type, count) ((type *)dv_calloc((count), sizeof(type)))

/* Local that is released at the end of its scope by type##_free() / type##_clear(). */
#define DV_DEFINE_AUTOPTR(type, free_fn)        \
    static inline void type##_autoptr(type **p) \
    {                                           \
        free_fn(*p);                            \
    }
#define DV_AUTOPTR(type) __attribute__((cleanup(type##_autoptr))) type *
#define DV_DEFINE_AUTO(type, clear_fn)      \
    static inline void type##_auto(type *p) \
    {                                       \
        clear_fn(p);                        \
    }
#define DV_AUTO(type) __attribute__((cleanup(type##_auto))) type

static inline void dv_free_auto(void *p)
{
    free(*(void **)p);
}
#define DV_AUTOFREE __attribute__((cleanup(dv_free_auto)))

/* Hand over an owned pointer: the local becomes NULL. */
#define DV_STEAL(p)                  \
    __extension__({                  \
        __typeof__(p) stolen_ = (p); \
        (p) = NULL;                  \
        stolen_;                     \
    })

#define DV_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif

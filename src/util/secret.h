/* util/secret.h - a password or token: wipes itself; DV_SECRET_SHOWN is how log and trace print it. */
#ifndef DV_UTIL_SECRET_H
#define DV_UTIL_SECRET_H

#include "util/alloc.h"

#include <stdbool.h>

#define DV_SECRET_SHOWN "***"

typedef struct dv_secret {
    char *text; /* NULL when unset */
    size_t size;
} dv_secret;

#define DV_SECRET_INIT \
    {                  \
        0              \
    }

/* Keep a copy of size bytes; what was there is wiped. False without memory. */
bool dv_secret_set(dv_secret *s, const char *text, size_t size);
bool dv_secret_copy(dv_secret *to, const dv_secret *from);
/* Move; what to held is wiped. */
void dv_secret_move(dv_secret *to, dv_secret *from);
void dv_secret_clear(dv_secret *s);
DV_DEFINE_AUTO(dv_secret, dv_secret_clear)

static inline bool dv_secret_is_set(const dv_secret *s)
{
    return s->size > 0;
}

#endif

/*
 * auth/token_cache.h - the Authorization values that tokens made, by key, and what the registry thought of
 * them (threats A13). Internal to auth/authorizer.c, which owns it; one thread.
 */
#ifndef DV_AUTH_TOKEN_CACHE_H
#define DV_AUTH_TOKEN_CACHE_H

#include "util/error.h"
#include "util/secret.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct dv_cached_token {
    char *key;
    dv_secret value;     /* "Bearer ...", unset: dropped */
    uint64_t expires_ms; /* of the monotonic clock */
    bool accepted;       /* the registry answered a request with it, and not with 401 */
    unsigned refusals;   /* tokens of this key in a row that were refused and never accepted */
    dv_secret dead;      /* the last of those: who still holds it need not try again */
} dv_cached_token;

typedef struct dv_token_cache {
    dv_cached_token *items;
    size_t count;
    size_t max;
} dv_token_cache;

void dv_token_cache_clear(dv_token_cache *c);
/* NULL when the key is not there. Borrowed until the next put. */
dv_cached_token *dv_token_cache_find(dv_token_cache *c, const char *key);
/*
 * Keep a value; what the registry thought of its predecessors stays. Makes room by dropping what expires
 * first.
 */
int dv_token_cache_put(dv_token_cache *c, const char *key, const dv_secret *value, uint64_t expires_ms,
                       davit_error **err);

#endif

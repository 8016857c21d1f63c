/* auth/token_cache.c - see token_cache.h. A handful of entries: a list, searched from the front. */
#include "auth/token_cache.h"

#include <string.h>

static void clear_one(dv_cached_token *t)
{
    free(t->key);
    dv_secret_clear(&t->value);
    dv_secret_clear(&t->dead);
}

void dv_token_cache_clear(dv_token_cache *c)
{
    for (size_t i = 0; i < c->count; i++)
        clear_one(&c->items[i]);
    free(c->items);
    c->items = NULL;
    c->count = 0;
}

dv_cached_token *dv_token_cache_find(dv_token_cache *c, const char *key)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->items[i].key, key) == 0)
            return &c->items[i];
    return NULL;
}

static void drop_oldest(dv_token_cache *c)
{
    size_t oldest = 0;
    for (size_t i = 1; i < c->count; i++)
        if (c->items[i].expires_ms < c->items[oldest].expires_ms)
            oldest = i;
    clear_one(&c->items[oldest]);
    c->items[oldest] = c->items[--c->count];
}

/* A new empty entry, NULL without memory. */
static dv_cached_token *add(dv_token_cache *c, const char *key)
{
    dv_cached_token *items = dv_realloc_array(c->items, c->count + 1, sizeof(*items));
    if (!items)
        return NULL;
    c->items = items;
    items[c->count] = (dv_cached_token){.key = dv_strdup(key)};
    return items[c->count].key ? &items[c->count++] : NULL;
}

int dv_token_cache_put(dv_token_cache *c, const char *key, const dv_secret *value, uint64_t expires_ms,
                       davit_error **err)
{
    dv_cached_token *t = dv_token_cache_find(c, key);
    if (!t && c->count >= c->max)
        drop_oldest(c);
    if (!t)
        t = add(c, key);
    if (!t || !dv_secret_copy(&t->value, value))
        return dv_error_oom(err);
    t->expires_ms = expires_ms;
    t->accepted = false;
    return 0;
}

/* distribution/growing_blob.c - see growing_blob.h. The number of a try is odd while it runs. */
#include "distribution/growing_blob.h"

#include <stdatomic.h>

struct dv_growing {
    atomic_uint references;
    atomic_uint attempt;
    atomic_uint hidden,
        committed; /* the try that is or was about to become the blob, and that did; 0: none */
    _Atomic uint64_t prefix;
    atomic_bool arrived;
    atomic_bool told; /* news is in the queue, or about to be */
    dv_node news;
    dv_queue *queue;
};

dv_growing *dv_growing_new(void)
{
    dv_growing *g = dv_new(dv_growing);
    if (!g)
        return NULL;
    atomic_store(&g->references, 1);
    g->queue = dv_queue_new();
    if (g->queue)
        return g;
    free(g);
    return NULL;
}

dv_growing *dv_growing_ref(dv_growing *g)
{
    if (g)
        atomic_fetch_add(&g->references, 1);
    return g;
}

void dv_growing_unref(dv_growing *g)
{
    if (!g || atomic_fetch_sub(&g->references, 1) != 1)
        return;
    dv_queue_pop(g->queue, 0);
    dv_queue_free(g->queue);
    free(g);
}

static void tell(dv_growing *g)
{
    if (!atomic_exchange(&g->told, true))
        dv_queue_push(g->queue, &g->news);
}

/* --- writer ---------------------------------------------------------------------------------------------------------- */

void dv_growing_begin(dv_growing *g, uint64_t prefix)
{
    if (!g)
        return;
    dv_growing_void(g);
    atomic_store(&g->prefix, prefix);
    atomic_fetch_add(&g->attempt, 1);
    tell(g);
}

void dv_growing_advance(dv_growing *g, uint64_t prefix)
{
    if (!g || atomic_load(&g->prefix) == prefix)
        return;
    atomic_store(&g->prefix, prefix);
    tell(g);
}

void dv_growing_void(dv_growing *g)
{
    if (!g || atomic_load(&g->attempt) % 2 == 0)
        return;
    atomic_fetch_add(&g->attempt, 1);
    atomic_store(&g->prefix, 0);
    tell(g);
}

void dv_growing_hide(dv_growing *g)
{
    if (g && atomic_load(&g->attempt) % 2 == 1)
        atomic_store(&g->hidden, atomic_load(&g->attempt));
}

void dv_growing_commit(dv_growing *g)
{
    if (g && atomic_load(&g->attempt) % 2 == 1)
        atomic_store(&g->committed, atomic_load(&g->attempt));
}

/* --- owner ------------------------------------------------------------------------------------------------------------- */

void dv_growing_arrive(dv_growing *g)
{
    atomic_store(&g->arrived, true);
    tell(g);
}

bool dv_growing_became_blob(dv_growing *g, unsigned attempt)
{
    return attempt != 0 && atomic_load(&g->committed) == attempt;
}

/* --- reader ------------------------------------------------------------------------------------------------------------ */

dv_growing_state dv_growing_look(dv_growing *g)
{
    dv_growing_state s = {.arrived = atomic_load(&g->arrived)};
    unsigned attempt = atomic_load(&g->attempt);
    uint64_t prefix = atomic_load(&g->prefix);
    if (attempt % 2 == 1 && atomic_load(&g->attempt) == attempt) {
        s.attempt = attempt;
        s.prefix = prefix;
        s.hidden = atomic_load(&g->hidden) == attempt;
    }
    return s;
}

bool dv_growing_is(dv_growing *g, unsigned attempt)
{
    return atomic_load(&g->attempt) == attempt;
}

dv_queue *dv_growing_news(dv_growing *g)
{
    return g->queue;
}

void dv_growing_heard(dv_growing *g)
{
    atomic_store(&g->told, false);
}

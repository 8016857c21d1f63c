/* distribution/streamed_layers.c - see streamed_layers.h. */
#include "distribution/streamed_layers.h"

#include <string.h>

#define WAIT_MS 100

typedef struct piece {
    dv_node node;
    size_t size;
    bool last; /* of its layer; holds nothing */
    uint8_t bytes[DV_STREAMED_PIECE_BYTES];
} piece;

struct dv_streamed_layers {
    dv_queue *full, *empty;
    unsigned made;
    piece *filling; /* owner's */
    piece *reading; /* inflater's: what it was given last */
};

dv_streamed_layers *dv_streamed_layers_new(void)
{
    dv_streamed_layers *s = dv_new(dv_streamed_layers);
    if (!s)
        return NULL;
    *s = (dv_streamed_layers){.full = dv_queue_new(), .empty = dv_queue_new()};
    if (s->full && s->empty)
        return s;
    dv_streamed_layers_free(s);
    return NULL;
}

static void drain(dv_queue *q)
{
    for (dv_node *node; q && (node = dv_queue_pop(q, 0));)
        free(node);
    dv_queue_free(q);
}

void dv_streamed_layers_free(dv_streamed_layers *s)
{
    if (!s)
        return;
    drain(s->full);
    drain(s->empty);
    free(s->filling);
    free(s->reading);
    free(s);
}

/* --- owner ----------------------------------------------------------------------------------------------------------- */

static int need_piece(dv_streamed_layers *s, int (*turn)(void *), void *user, davit_error **err)
{
    while (!s->filling) {
        s->filling = (piece *)dv_queue_pop(s->empty, s->made < DV_STREAMED_PIECES ? 0 : WAIT_MS);
        if (!s->filling && s->made < DV_STREAMED_PIECES) {
            s->filling = malloc(sizeof(*s->filling));
            if (!s->filling)
                return dv_error_oom(err);
            s->made++;
        }
        int r = s->filling ? 0 : turn(user);
        if (r < 0)
            return dv_error_set(err, r, "cancelled");
        if (s->filling) {
            s->filling->size = 0;
            s->filling->last = false;
        }
    }
    return 0;
}

int dv_streamed_layers_put(dv_streamed_layers *s, const void *bytes, size_t size, int (*turn)(void *user),
                           void *user, davit_error **err)
{
    for (const uint8_t *from = bytes; size > 0;) {
        int r = need_piece(s, turn, user, err);
        if (r < 0)
            return r;
        piece *p = s->filling;
        size_t room = sizeof(p->bytes) - p->size, n = size < room ? size : room;
        memcpy(p->bytes + p->size, from, n);
        p->size += n;
        from += n;
        size -= n;
        if (p->size == sizeof(p->bytes))
            dv_queue_push(s->full, &DV_STEAL(s->filling)->node);
    }
    return 0;
}

int dv_streamed_layers_end_layer(dv_streamed_layers *s, int (*turn)(void *user), void *user, davit_error **err)
{
    if (s->filling && s->filling->size > 0)
        dv_queue_push(s->full, &DV_STEAL(s->filling)->node);
    int r = need_piece(s, turn, user, err);
    if (r < 0)
        return r;
    s->filling->last = true;
    dv_queue_push(s->full, &DV_STEAL(s->filling)->node);
    return 0;
}

/* --- inflater -------------------------------------------------------------------------------------------------------- */

static int open_layer(void *user, dv_pipeline *p, size_t layer, davit_error **err)
{
    return 0; /* they come in order */
}

static int read_layer(void *user, dv_pipeline *p, const void **out, size_t *out_size, davit_error **err)
{
    dv_streamed_layers *s = user;
    dv_node *node;
    if (s->reading)
        dv_queue_push(s->empty, &DV_STEAL(s->reading)->node);
    int r = dv_pipeline_wait_for(p, s->full, -1, &node, err);
    if (r < 0)
        return r;
    s->reading = (piece *)node;
    *out = s->reading->bytes;
    *out_size = s->reading->last ? 0 : s->reading->size;
    return 0;
}

dv_layer_input dv_streamed_layers_input(dv_streamed_layers *s)
{
    return (dv_layer_input){.user = s, .open = open_layer, .read = read_layer};
}

/* util/queue.h - whole objects between threads: the receiver owns what it pops. */
#ifndef DV_UTIL_QUEUE_H
#define DV_UTIL_QUEUE_H

#include <stdbool.h>
#include <stddef.h>

/* Embedded as the first member of what is queued. */
typedef struct dv_node {
    struct dv_node *next;
} dv_node;

typedef struct dv_queue dv_queue;

dv_queue *dv_queue_new(void);
/* The queue must be empty. NULL is fine. */
void dv_queue_free(dv_queue *q);
/* Threads: any. Never blocks on a full queue: there is none. True when the queue was empty before. */
bool dv_queue_push(dv_queue *q, dv_node *node);
/* Threads: any. Waits up to timeout_ms (-1: for ever); NULL when none came. */
dv_node *dv_queue_pop(dv_queue *q, int timeout_ms);
/* Everything that is queued, in order, without waiting. */
dv_node *dv_queue_take_all(dv_queue *q);

#endif

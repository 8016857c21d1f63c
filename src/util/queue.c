/* util/queue.c - see queue.h. */
#include "util/queue.h"

#include "util/alloc.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <time.h>

struct dv_queue {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    dv_node *first;
    dv_node **last;
};

dv_queue *dv_queue_new(void)
{
    dv_queue *q = dv_new(dv_queue);
    if (!q)
        return NULL;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->filled, &attr);
    pthread_condattr_destroy(&attr);
    q->last = &q->first;
    return q;
}

void dv_queue_free(dv_queue *q)
{
    if (!q)
        return;
    assert(!q->first);
    pthread_mutex_destroy(&q->lock);
    pthread_cond_destroy(&q->filled);
    free(q);
}

bool dv_queue_push(dv_queue *q, dv_node *node)
{
    node->next = NULL;
    pthread_mutex_lock(&q->lock);
    bool was_empty = !q->first;
    *q->last = node;
    q->last = &node->next;
    pthread_cond_signal(&q->filled);
    pthread_mutex_unlock(&q->lock);
    return was_empty;
}

static bool wait_filled(dv_queue *q, const struct timespec *until)
{
    int r = 0;
    while (!q->first && r != ETIMEDOUT)
        r = until ? pthread_cond_timedwait(&q->filled, &q->lock, until)
                  : pthread_cond_wait(&q->filled, &q->lock);
    return q->first != NULL;
}

dv_node *dv_queue_pop(dv_queue *q, int timeout_ms)
{
    struct timespec until = {0};
    if (timeout_ms > 0) {
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += timeout_ms / 1000;
        until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
        if (until.tv_nsec >= 1000000000) {
            until.tv_sec++;
            until.tv_nsec -= 1000000000;
        }
    }
    dv_node *node = NULL;
    pthread_mutex_lock(&q->lock);
    if (q->first || (timeout_ms != 0 && wait_filled(q, timeout_ms < 0 ? NULL : &until))) {
        node = q->first;
        q->first = node->next;
        if (!q->first)
            q->last = &q->first;
        node->next = NULL;
    }
    pthread_mutex_unlock(&q->lock);
    return node;
}

dv_node *dv_queue_take_all(dv_queue *q)
{
    pthread_mutex_lock(&q->lock);
    dv_node *nodes = q->first;
    q->first = NULL;
    q->last = &q->first;
    pthread_mutex_unlock(&q->lock);
    return nodes;
}

/* util/workpool.c - see workpool.h. One lock for the pool and its strands: it is held only to move list heads. */
#include "util/workpool.h"

#include "util/alloc.h"

#include <pthread.h>
#include <signal.h>

#define WORKERS_MAX 64

struct dv_workpool {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    dv_node *first, **last;
    unsigned max_threads, threads, idle;
    size_t queued; /* items in the list; an idle thread that was woken but has not run yet counts as idle */
    bool stopping;
    pthread_t thread[WORKERS_MAX];
};

static void *worker(void *arg)
{
    dv_workpool *pool = arg;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!pool->first && !pool->stopping) {
            pool->idle++;
            pthread_cond_wait(&pool->changed, &pool->lock);
            pool->idle--;
        }
        if (!pool->first)
            break;
        dv_work *work = (dv_work *)pool->first;
        pool->first = work->node.next;
        if (!pool->first)
            pool->last = &pool->first;
        pool->queued--;
        pthread_mutex_unlock(&pool->lock);
        work->run(work);
        pthread_mutex_lock(&pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

dv_workpool *dv_workpool_new(unsigned max_threads)
{
    dv_workpool *pool = dv_new(dv_workpool);
    if (!pool)
        return NULL;
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->changed, NULL);
    pool->last = &pool->first;
    pool->max_threads = max_threads < WORKERS_MAX ? max_threads : WORKERS_MAX;
    return pool;
}

/* Signals belong to the embedder's threads: ours block them all. */
static void start_thread(dv_workpool *pool)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 256u << 10);
    int r = pthread_create(&pool->thread[pool->threads], &attr, worker, pool);
    pthread_attr_destroy(&attr);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r == 0)
        pool->threads++;
}

bool dv_workpool_start(dv_workpool *pool, unsigned threads)
{
    pthread_mutex_lock(&pool->lock);
    for (unsigned missing = threads;
         pool->threads < threads && pool->threads < pool->max_threads && missing > 0; missing--)
        start_thread(pool);
    bool all = pool->threads >= threads;
    pthread_mutex_unlock(&pool->lock);
    return all;
}

/* Pool locked. False when nobody will ever run it. */
static bool enqueue(dv_workpool *pool, dv_work *work)
{
    if (pool->stopping)
        return false;
    if (pool->queued >= pool->idle && pool->threads < pool->max_threads)
        start_thread(pool);
    if (pool->threads == 0)
        return false;
    work->node.next = NULL;
    *pool->last = &work->node;
    pool->last = &work->node.next;
    pool->queued++;
    pthread_cond_signal(&pool->changed);
    return true;
}

void dv_workpool_submit(dv_workpool *pool, dv_work *work)
{
    pthread_mutex_lock(&pool->lock);
    bool queued = enqueue(pool, work);
    pthread_mutex_unlock(&pool->lock);
    if (!queued)
        work->run(work);
}

void dv_workpool_stop(dv_workpool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    unsigned threads = pool->threads;
    pool->threads = 0;
    pthread_cond_broadcast(&pool->changed);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < threads; i++)
        pthread_join(pool->thread[i], NULL);
}

void dv_workpool_free(dv_workpool *pool)
{
    if (!pool)
        return;
    dv_workpool_stop(pool);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->changed);
    free(pool);
}

struct dv_strand {
    dv_workpool *pool;
    dv_node *first, **last; /* waiting items; under the pool's lock, like all of it */
    bool running, released; /* a turn is queued or under way; freed as soon as it is not */
    dv_work turn;
};

/* Runs everything the strand has, so that a chain of small items costs one trip through the pool. */
static void strand_turn(dv_work *work)
{
    dv_strand *s = (dv_strand *)((char *)work - offsetof(dv_strand, turn));
    dv_workpool *pool = s->pool;
    for (;;) {
        pthread_mutex_lock(&pool->lock);
        dv_work *next = (dv_work *)s->first;
        if (!next) {
            s->running = false;
            bool released = s->released;
            pthread_mutex_unlock(&pool->lock);
            if (released)
                free(s);
            return;
        }
        s->first = next->node.next;
        if (!s->first)
            s->last = &s->first;
        pthread_mutex_unlock(&pool->lock);
        next->run(next);
    }
}

dv_strand *dv_strand_new(dv_workpool *pool)
{
    dv_strand *s = dv_new(dv_strand);
    if (!s)
        return NULL;
    s->pool = pool;
    s->turn.run = strand_turn;
    s->last = &s->first;
    return s;
}

void dv_strand_free(dv_strand *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->pool->lock);
    bool running = s->running;
    s->released = true;
    pthread_mutex_unlock(&s->pool->lock);
    if (!running)
        free(s);
}

void dv_strand_submit(dv_strand *s, dv_work *work)
{
    dv_workpool *pool = s->pool;
    work->node.next = NULL;
    pthread_mutex_lock(&pool->lock);
    *s->last = &work->node;
    s->last = &work->node.next;
    bool queued = s->running || enqueue(pool, &s->turn);
    s->running = true;
    pthread_mutex_unlock(&pool->lock);
    if (!queued)
        strand_turn(&s->turn);
}

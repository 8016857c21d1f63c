/*
 * util/workpool.h - threads for what blocks or burns processor time.
 *
 * Work that must happen in order (the chunks of one blob) goes through a strand: its items run one after the other, on
 * whatever thread is free.
 */
#ifndef DV_UTIL_WORKPOOL_H
#define DV_UTIL_WORKPOOL_H

#include "util/queue.h"

typedef struct dv_work {
    dv_node node;
    void (*run)(struct dv_work *work); /* Threads: worker. May free the work. */
} dv_work;

typedef struct dv_workpool dv_workpool;

typedef struct dv_strand dv_strand;

/* Threads start when there is work for them, at most max_threads. NULL: no memory. */
dv_workpool *dv_workpool_new(unsigned max_threads);
/*
 * Start this many threads now, for work whose parts wait for each other and so need a thread each. False when they cannot all be had.
 * Before the first submit.
 */
bool dv_workpool_start(dv_workpool *pool, unsigned threads);
/* Runs what is queued, ends the threads; what is submitted from then on runs on the submitter's thread. NULL is fine. */
void dv_workpool_stop(dv_workpool *pool);
/* Stops it first. Its strands must be gone. */
void dv_workpool_free(dv_workpool *pool);
/* Threads: any. Run on the caller's thread if not a single thread can be started. */
void dv_workpool_submit(dv_workpool *pool, dv_work *work);

/* NULL: no memory. Freeing waits for nothing: the last of its items may be the caller, and none may follow. */
dv_strand *dv_strand_new(dv_workpool *pool);
void dv_strand_free(dv_strand *s);
void dv_strand_submit(dv_strand *s, dv_work *work);

#endif

/*
 * net/loop.h - the one thread that owns every socket, timer and transfer record of a client.
 *
 * Other threads hand it tasks; nothing on it needs a lock. The thread starts with the first task.
 */
#ifndef DV_NET_LOOP_H
#define DV_NET_LOOP_H

#include "util/error.h"
#include "util/queue.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct dv_loop dv_loop;

typedef struct dv_task {
    dv_node node;
    void (*run)(struct dv_task *task); /* Threads: loop. May free the task. */
} dv_task;

typedef struct dv_timer {
    uint64_t at_ms; /* 0: stopped */
    void (*fire)(struct dv_timer *timer);
    struct dv_timer *next, **link;
} dv_timer;

int dv_loop_new(dv_loop **out, davit_error **err);
/* Runs the tasks that are queued, then ends the thread. NULL is fine. */
void dv_loop_free(dv_loop *loop);

/* Threads: any. The loop owns the task until it runs it. DAVIT_ENOMEM when its thread cannot start. */
int dv_loop_post(dv_loop *loop, dv_task *task, davit_error **err);
/* Threads: any, once the thread runs: cannot fail. */
void dv_loop_post_again(dv_loop *loop, dv_task *task);

/* Threads: any but the loop, once its thread runs. Returns when every task posted before has run. */
void dv_loop_barrier(dv_loop *loop);

/* Threads: loop. One shot; starting again moves it. */
void dv_timer_start(dv_loop *loop, dv_timer *timer, uint64_t delay_ms);
void dv_timer_stop(dv_timer *timer);
/* Time of this turn of the loop; only differences mean something. */
uint64_t dv_loop_now_ms(const dv_loop *loop);
bool dv_loop_is_current(const dv_loop *loop);

#endif

/*
 * net/loop.c - runs tasks, timers and libcurl's transfers in turn, and sleeps in libcurl's poll between.
 *
 * Leaves to others: what a transfer is (http_client.c) and everything it is for.
 */
#include "net/loop.h"

#include "net/loop_internal.h"
#include "util/clock.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#define POLL_MAX_MS 10000
#define CONNECTIONS_KEPT 32

struct dv_loop {
    CURLM *multi;
    dv_queue *tasks;
    pthread_t thread;
    atomic_bool started;
    bool stopping;
    dv_timer *timers; /* soonest first; a client has some dozens at most */
    uint64_t now_ms;
};

int dv_loop_new(dv_loop **out, davit_error **err)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return dv_error_set(err, DAVIT_ENETWORK, "libcurl cannot be initialised");
    dv_loop *loop = dv_new(dv_loop);
    if (loop) {
        loop->multi = curl_multi_init();
        loop->tasks = dv_queue_new();
    }
    if (!loop || !loop->multi || !loop->tasks) {
        dv_loop_free(loop);
        return dv_error_oom(err);
    }
    curl_multi_setopt(loop->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT);
    curl_multi_setopt(loop->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
    *out = loop;
    return 0;
}

static void run_tasks(dv_loop *loop)
{
    dv_node *node = dv_queue_take_all(loop->tasks);
    while (node) {
        dv_task *task = (dv_task *)node;
        node = node->next;
        task->run(task);
    }
}

static void run_timers(dv_loop *loop)
{
    loop->now_ms = dv_clock_ms();
    while (loop->timers && loop->timers->at_ms <= loop->now_ms) {
        dv_timer *timer = loop->timers;
        dv_timer_stop(timer);
        timer->fire(timer);
    }
}

static void end_transfers(dv_loop *loop)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(loop->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        dv_loop_transfer *transfer = NULL;
        CURLcode result = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        transfer->ended(transfer, result);
    }
}

static int sleep_ms(const dv_loop *loop)
{
    if (!loop->timers)
        return POLL_MAX_MS;
    uint64_t now = dv_clock_ms();
    if (loop->timers->at_ms <= now)
        return 0;
    uint64_t left = loop->timers->at_ms - now;
    return left < POLL_MAX_MS ? (int)left : POLL_MAX_MS;
}

static void *loop_main(void *arg)
{
    dv_loop *loop = arg;
    loop->now_ms = dv_clock_ms();
    while (!loop->stopping) {
        int running;
        run_tasks(loop);
        run_timers(loop);
        curl_multi_perform(loop->multi, &running);
        loop->now_ms = dv_clock_ms();
        end_transfers(loop);
        if (!loop->stopping)
            curl_multi_poll(loop->multi, NULL, 0, sleep_ms(loop), NULL);
    }
    run_tasks(loop);
    return NULL;
}

static int start(dv_loop *loop, davit_error **err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = pthread_create(&loop->thread, NULL, loop_main, loop);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r != 0) {
        atomic_store(&loop->started, false);
        return dv_error_errno(err, DAVIT_ENOMEM, r, "cannot start a thread");
    }
    return 0;
}

int dv_loop_post(dv_loop *loop, dv_task *task, davit_error **err)
{
    if (!atomic_exchange(&loop->started, true)) {
        int r = start(loop, err);
        if (r < 0)
            return r;
    }
    dv_loop_post_again(loop, task);
    return 0;
}

void dv_loop_post_again(dv_loop *loop, dv_task *task)
{
    if (dv_queue_push(loop->tasks, &task->node))
        curl_multi_wakeup(loop->multi);
}

typedef struct barrier {
    dv_task task;
    dv_node passed;
    dv_queue *queue;
} barrier;

static void pass(dv_task *task)
{
    barrier *b = (barrier *)task;
    dv_queue_push(b->queue, &b->passed);
}

void dv_loop_barrier(dv_loop *loop)
{
    barrier b = {.task.run = pass, .queue = dv_queue_new()};
    if (!b.queue)
        abort(); /* going on would free what the loop still uses */
    dv_loop_post_again(loop, &b.task);
    dv_queue_pop(b.queue, -1);
    dv_queue_free(b.queue);
}

typedef struct stop_task {
    dv_task task;
    dv_loop *loop;
} stop_task;

static void stop(dv_task *task)
{
    ((stop_task *)task)->loop->stopping = true;
}

void dv_loop_free(dv_loop *loop)
{
    if (loop && atomic_load(&loop->started)) {
        stop_task last = {{.run = stop}, loop};
        dv_loop_post_again(loop, &last.task);
        pthread_join(loop->thread, NULL);
    }
    if (loop) {
        if (loop->multi)
            curl_multi_cleanup(loop->multi);
        dv_queue_free(loop->tasks);
        free(loop);
    }
    curl_global_cleanup();
}

CURLM *dv_loop_multi(dv_loop *loop)
{
    return loop->multi;
}

uint64_t dv_loop_now_ms(const dv_loop *loop)
{
    return loop->now_ms;
}

bool dv_loop_is_current(const dv_loop *loop)
{
    return atomic_load(&loop->started) && pthread_equal(pthread_self(), loop->thread);
}

void dv_timer_stop(dv_timer *timer)
{
    if (!timer->at_ms)
        return;
    *timer->link = timer->next;
    if (timer->next)
        timer->next->link = timer->link;
    timer->at_ms = 0;
}

void dv_timer_start(dv_loop *loop, dv_timer *timer, uint64_t delay_ms)
{
    dv_timer_stop(timer);
    timer->at_ms = dv_clock_ms() + delay_ms;
    dv_timer **link = &loop->timers;
    while (*link && (*link)->at_ms <= timer->at_ms)
        link = &(*link)->next;
    timer->next = *link;
    timer->link = link;
    *link = timer;
    if (timer->next)
        timer->next->link = &timer->next;
}

/* Unit tests of net/loop.c: tasks from many threads, the barrier, timers, and the end. */
#include "net/loop.h"

#include "util/clock.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

typedef struct fixture {
    dv_loop *loop;
} fixture;

static int set_up(void **state)
{
    fixture *f = dv_new(fixture);
    *state = f;
    return f && dv_loop_new(&f->loop, NULL) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    dv_loop_free(f->loop);
    free(f);
    return 0;
}

/* --- tasks --------------------------------------------------------------------------------------------------- */

typedef struct numbered {
    dv_task task;
    dv_loop *loop;
    unsigned number;
    unsigned *next; /* what must come now from this thread; the loop's alone */
} numbered;

static atomic_uint ran, wrong;

static void run_numbered(dv_task *task)
{
    numbered *n = (numbered *)task;
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    if (n->number != (*n->next)++ || !dv_loop_is_current(n->loop) || !sigismember(&blocked, SIGINT))
        atomic_fetch_add(&wrong, 1);
    atomic_fetch_add(&ran, 1);
    free(n);
}

typedef struct poster {
    pthread_t thread;
    dv_loop *loop;
    unsigned count, next;
} poster;

static void *post_many(void *arg)
{
    poster *p = arg;
    for (unsigned i = 0; i < p->count; i++) {
        numbered *n = dv_new(numbered);
        *n = (numbered){.task.run = run_numbered, .loop = p->loop, .number = i, .next = &p->next};
        if (dv_loop_post(p->loop, &n->task, NULL) < 0) {
            atomic_fetch_add(&wrong, 1);
            free(n);
        }
        if (i % 512 == 511)
            dv_loop_barrier(p->loop);
    }
    return NULL;
}

/* The first post of several threads at once starts one thread only. */
static void loop_post__from_many_threads_in_the_order_of_each(void **state)
{
    enum { THREADS = 6, EACH = 2000 };
    fixture *f = *state;
    poster posters[THREADS];
    atomic_store(&ran, 0);
    atomic_store(&wrong, 0);
    for (unsigned i = 0; i < THREADS; i++) {
        posters[i] = (poster){.loop = f->loop, .count = EACH};
        assert_int_equal(pthread_create(&posters[i].thread, NULL, post_many, &posters[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(posters[i].thread, NULL);
    dv_loop_barrier(f->loop);
    assert_int_equal(atomic_load(&ran), THREADS * EACH);
    assert_int_equal(atomic_load(&wrong), 0);
    assert_false(dv_loop_is_current(f->loop));
}

static void loop_free__runs_what_is_queued(void **state)
{
    dv_loop *loop = NULL;
    poster p = {.count = 300};
    atomic_store(&ran, 0);
    atomic_store(&wrong, 0);
    assert_int_equal(dv_loop_new(&loop, NULL), 0);
    p.loop = loop;
    post_many(&p);
    dv_loop_free(loop);
    assert_int_equal(atomic_load(&ran), 300);
    assert_int_equal(atomic_load(&wrong), 0);
}

static void loop_free__one_that_never_ran(void **state)
{
    dv_loop *loop = NULL;
    assert_int_equal(dv_loop_new(&loop, NULL), 0);
    assert_false(dv_loop_is_current(loop));
    dv_loop_free(loop);
    assert_int_equal(dv_loop_new(&loop, NULL), 0); /* libcurl can be started again */
    dv_loop_free(loop);
}

typedef struct slow {
    dv_task task, again;
    dv_loop *loop;
    atomic_bool done;
} slow;

static void run_again(dv_task *task)
{
    slow *s = (slow *)((char *)task - offsetof(slow, again));
    atomic_store(&s->done, true);
}

static void run_slow(dv_task *task)
{
    slow *s = (slow *)task;
    dv_sleep_ms(20);
    dv_loop_post_again(s->loop, &s->again);
}

/* A barrier waits for what was posted before it, not for what that posts. */
static void loop_barrier__waits_for_what_came_before(void **state)
{
    fixture *f = *state;
    slow s = {.task.run = run_slow, .again.run = run_again, .loop = f->loop};
    uint64_t begin = dv_clock_ms();
    assert_int_equal(dv_loop_post(f->loop, &s.task, NULL), 0);
    dv_loop_barrier(f->loop);
    assert_true(dv_clock_ms() - begin >= 20);
    dv_loop_barrier(f->loop);
    assert_true(atomic_load(&s.done));
}

/* --- timers -------------------------------------------------------------------------------------------------- */

#define TIMERS 8

typedef struct clock_test clock_test;

typedef struct one_timer {
    dv_timer timer;
    clock_test *test;
    unsigned number;
    uint64_t due_ms;
} one_timer;

struct clock_test {
    dv_task task;
    dv_loop *loop;
    one_timer timers[TIMERS];
    unsigned order[2 * TIMERS], fired, early, left;
    dv_queue *ended;
    dv_node end;
};

static void arm(clock_test *t, unsigned number, unsigned delay_ms)
{
    one_timer *one = &t->timers[number];
    one->due_ms = dv_clock_ms() + delay_ms;
    dv_timer_start(t->loop, &one->timer, delay_ms);
}

static void fire(dv_timer *timer)
{
    one_timer *one = (one_timer *)timer;
    clock_test *t = one->test;
    t->order[t->fired++] = one->number;
    t->early += dv_clock_ms() < one->due_ms || dv_loop_now_ms(t->loop) < one->due_ms || timer->at_ms != 0;
    if (one->number == 7 && t->fired == 1)
        arm(t, 7, 5); /* from within its own fire */
    if (--t->left == 0)
        dv_queue_push(t->ended, &t->end);
}

/* order is what they must fire in; ends with TIMERS. */
static void run_clock(fixture *f, void (*begin)(dv_task *), const unsigned *order)
{
    clock_test t = {.task.run = begin, .loop = f->loop, .ended = dv_queue_new()};
    for (unsigned i = 0; i < TIMERS; i++)
        t.timers[i] = (one_timer){.timer.fire = fire, .test = &t, .number = i};
    while (order[t.left] != TIMERS)
        t.left++;
    unsigned expected = t.left;
    assert_int_equal(dv_loop_post(f->loop, &t.task, NULL), 0);
    assert_ptr_equal(dv_queue_pop(t.ended, 5000), &t.end);
    dv_sleep_ms(30); /* nothing may come behind */
    dv_loop_barrier(f->loop);
    assert_int_equal(t.fired, expected);
    assert_int_equal(t.early, 0);
    for (unsigned i = 0; i < expected; i++)
        if (t.order[i] != order[i])
            fail_msg("fired as number %u: expected %u, got %u", i, order[i], t.order[i]);
    dv_queue_free(t.ended);
}

static void begin_order(dv_task *task)
{
    clock_test *t = (clock_test *)task;
    arm(t, 0, 60);
    arm(t, 1, 20);
    arm(t, 2, 40);
    arm(t, 3, 0);
    arm(t, 4, 20);
}

static void timer__soonest_first_equals_in_order(void **state)
{
    run_clock(*state, begin_order, (const unsigned[]){3, 1, 4, 2, 0, TIMERS});
}

static void begin_moves(dv_task *task)
{
    clock_test *t = (clock_test *)task;
    arm(t, 0, 10);
    arm(t, 1, 20);
    arm(t, 2, 30);
    arm(t, 3, 15);
    arm(t, 0, 60); /* later */
    arm(t, 2, 5);  /* sooner */
    dv_timer_stop(&t->timers[3].timer);
    dv_timer_stop(&t->timers[3].timer); /* twice is fine, and one that never ran */
    dv_timer_stop(&t->timers[4].timer);
}

static void timer__starting_again_moves_it_and_stopping_ends_it(void **state)
{
    run_clock(*state, begin_moves, (const unsigned[]){2, 1, 0, TIMERS});
}

static void begin_again(dv_task *task)
{
    arm((clock_test *)task, 7, 0);
}

static void timer__may_start_itself_when_it_fires(void **state)
{
    run_clock(*state, begin_again, (const unsigned[]){7, 7, TIMERS});
}

static void fire_and_stop_next(dv_timer *timer)
{
    clock_test *t = ((one_timer *)timer)->test;
    dv_timer_stop(&t->timers[1].timer); /* due in the same turn */
    fire(timer);
}

static void begin_stop_next(dv_task *task)
{
    clock_test *t = (clock_test *)task;
    t->timers[0].timer.fire = fire_and_stop_next;
    arm(t, 0, 5);
    arm(t, 1, 5);
    dv_sleep_ms(10);
}

static void timer__one_may_stop_another_that_is_due(void **state)
{
    run_clock(*state, begin_stop_next, (const unsigned[]){0, TIMERS});
}

#define loop_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        loop_test(loop_post__from_many_threads_in_the_order_of_each),
        cmocka_unit_test(loop_free__runs_what_is_queued),
        cmocka_unit_test(loop_free__one_that_never_ran),
        loop_test(loop_barrier__waits_for_what_came_before),
        loop_test(timer__soonest_first_equals_in_order),
        loop_test(timer__starting_again_moves_it_and_stopping_ends_it),
        loop_test(timer__may_start_itself_when_it_fires),
        loop_test(timer__one_may_stop_another_that_is_due),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

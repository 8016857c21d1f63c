/* Unit tests of util/queue.c. */
#include "util/queue.h"

#include "util/alloc.h"
#include "util/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <pthread.h>

#include <cmocka.h>

typedef struct item {
    dv_node node;
    int sender, number;
} item;

static void queue__first_in_first_out(void **state)
{
    dv_queue *q = dv_queue_new();
    item items[3];
    assert_null(dv_queue_pop(q, 0));
    assert_true(dv_queue_push(q, &items[0].node));
    assert_false(dv_queue_push(q, &items[1].node));
    assert_ptr_equal(dv_queue_pop(q, 0), &items[0]);
    assert_false(dv_queue_push(q, &items[2].node));
    assert_ptr_equal(dv_queue_pop(q, -1), &items[1]);
    assert_ptr_equal(dv_queue_pop(q, 1000), &items[2]);
    assert_null(dv_queue_pop(q, 0));
    assert_true(dv_queue_push(q, &items[0].node));
    assert_ptr_equal(dv_queue_pop(q, 0), &items[0]);
    dv_queue_free(q);
    dv_queue_free(NULL);
}

static void queue_take_all__in_order(void **state)
{
    dv_queue *q = dv_queue_new();
    item items[3];
    assert_null(dv_queue_take_all(q));
    for (size_t i = 0; i < DV_COUNT(items); i++)
        dv_queue_push(q, &items[i].node);
    dv_node *n = dv_queue_take_all(q);
    for (size_t i = 0; i < DV_COUNT(items); i++, n = n->next)
        assert_ptr_equal(n, &items[i]);
    assert_null(n);
    assert_true(dv_queue_push(q, &items[0].node));
    assert_ptr_equal(dv_queue_pop(q, 0), &items[0]);
    dv_queue_free(q);
}

static void queue_pop__gives_up_after_its_time(void **state)
{
    dv_queue *q = dv_queue_new();
    uint64_t start = dv_clock_ms();
    assert_null(dv_queue_pop(q, 30));
    uint64_t took = dv_clock_ms() - start;
    assert_true(took >= 29 && took < 5000);
    dv_queue_free(q);
}

enum { SENDERS = 4, EACH = 2000 };

typedef struct sender {
    pthread_t thread;
    dv_queue *queue;
    int number;
    item items[EACH];
} sender;

static void *send_items(void *arg)
{
    sender *s = arg;
    for (int i = 0; i < EACH; i++) {
        s->items[i] = (item){.sender = s->number, .number = i};
        dv_queue_push(s->queue, &s->items[i].node);
    }
    return NULL;
}

static void queue__many_senders_lose_nothing(void **state)
{
    static sender senders[SENDERS];
    int next[SENDERS] = {0};
    dv_queue *q = dv_queue_new();
    for (int i = 0; i < SENDERS; i++) {
        senders[i].queue = q;
        senders[i].number = i;
        assert_int_equal(pthread_create(&senders[i].thread, NULL, send_items, &senders[i]), 0);
    }
    for (int n = 0; n < SENDERS * EACH; n++) {
        item *got = (item *)dv_queue_pop(q, -1);
        assert_int_equal(got->number, next[got->sender]++);
    }
    for (int i = 0; i < SENDERS; i++)
        pthread_join(senders[i].thread, NULL);
    dv_queue_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queue__first_in_first_out),
        cmocka_unit_test(queue_take_all__in_order),
        cmocka_unit_test(queue_pop__gives_up_after_its_time),
        cmocka_unit_test(queue__many_senders_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

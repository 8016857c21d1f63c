/* Unit tests of util/workpool.c. */
#include "util/workpool.h"

#include "util/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include <cmocka.h>

typedef struct job {
    dv_work work;
    int number;
    int *next; /* for strands: what must come now, guarded by the strand alone */
} job;

static atomic_int done, wrong, unblocked;

static void count(dv_work *work)
{
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    if (!sigismember(&blocked, SIGINT))
        atomic_fetch_add(&unblocked, 1);
    atomic_fetch_add(&done, 1);
    free(work);
}

static void count_in_order(dv_work *work)
{
    job *j = (job *)work;
    if (j->number != (*j->next)++)
        atomic_fetch_add(&wrong, 1);
    atomic_fetch_add(&done, 1);
    free(work);
}

static job *job_new(void (*run)(dv_work *work), int number, int *next)
{
    job *j = dv_new(job);
    assert_non_null(j);
    j->work.run = run;
    j->number = number;
    j->next = next;
    return j;
}

static void workpool__runs_everything_before_it_ends(void **state)
{
    for (unsigned threads = 1; threads <= 3; threads++) {
        dv_workpool *pool = dv_workpool_new(threads);
        atomic_store(&done, 0);
        atomic_store(&unblocked, 0);
        for (int i = 0; i < 1000; i++)
            dv_workpool_submit(pool, &job_new(count, i, NULL)->work);
        dv_workpool_free(pool);
        assert_int_equal(atomic_load(&done), 1000);
        assert_int_equal(atomic_load(&unblocked), 0); /* signals are not for workers */
    }
}

static void workpool__unused_or_without_threads(void **state)
{
    dv_workpool_free(NULL);
    dv_workpool_free(dv_workpool_new(4));
    dv_workpool *none = dv_workpool_new(0);
    atomic_store(&done, 0);
    dv_workpool_submit(none, &job_new(count, 0, NULL)->work);
    dv_workpool_free(none);
    assert_int_equal(atomic_load(&done), 1); /* on this thread */
}

static pthread_barrier_t meeting;

static void meet(dv_work *work)
{
    pthread_barrier_wait(&meeting);
    count(work);
}

/* One idle thread is not enough for two items that come at once. */
static void workpool__an_idle_thread_is_promised_once(void **state)
{
    dv_workpool *pool = dv_workpool_new(2);
    pthread_barrier_init(&meeting, NULL, 2);
    atomic_store(&done, 0);
    dv_workpool_submit(pool, &job_new(count, 0, NULL)->work);
    while (atomic_load(&done) < 1)
        usleep(1000);
    usleep(20000); /* it goes idle */
    dv_workpool_submit(pool, &job_new(meet, 1, NULL)->work);
    dv_workpool_submit(pool, &job_new(meet, 2, NULL)->work);
    dv_workpool_free(pool);
    assert_int_equal(atomic_load(&done), 3);
    pthread_barrier_destroy(&meeting);
}

static void strand__keeps_the_order_of_each(void **state)
{
    enum { STRANDS = 5, EACH = 2000 };
    dv_workpool *pool = dv_workpool_new(3);
    dv_strand *strands[STRANDS];
    int next[STRANDS] = {0};
    atomic_store(&done, 0);
    atomic_store(&wrong, 0);
    for (int s = 0; s < STRANDS; s++) {
        strands[s] = dv_strand_new(pool);
        assert_non_null(strands[s]);
    }
    for (int i = 0; i < EACH; i++)
        for (int s = 0; s < STRANDS; s++)
            dv_strand_submit(strands[s], &job_new(count_in_order, i, &next[s])->work);
    for (int s = 0; s < STRANDS; s++)
        dv_strand_free(strands[s]); /* the items that are left run all the same */
    dv_workpool_stop(pool);
    assert_int_equal(atomic_load(&done), STRANDS * EACH);
    assert_int_equal(atomic_load(&wrong), 0);
    dv_workpool_free(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(workpool__runs_everything_before_it_ends),
        cmocka_unit_test(workpool__an_idle_thread_is_promised_once),
        cmocka_unit_test(workpool__unused_or_without_threads),
        cmocka_unit_test(strand__keeps_the_order_of_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

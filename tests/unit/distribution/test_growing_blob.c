/* Unit tests of distribution/growing_blob.c: what a reader may believe of a try, and when he is woken. Files are tests/e2e/test_unpack_growing.py's. */
#include "distribution/growing_blob.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

DV_DEFINE_AUTOPTR(dv_growing, dv_growing_unref)

static void growing_blob__nobody_is_fine_for_a_writer(void **state)
{
    (void)state;
    dv_growing_begin(NULL, 1);
    dv_growing_advance(NULL, 2);
    dv_growing_hide(NULL);
    dv_growing_void(NULL);
    dv_growing_commit(NULL);
    dv_growing_unref(NULL);
    assert_null(dv_growing_ref(NULL));
}

static void growing_blob__without_a_try_there_is_nothing_to_read(void **state)
{
    (void)state;
    DV_AUTOPTR(dv_growing) g = dv_growing_new();
    dv_growing_advance(g, 100);
    dv_growing_state now = dv_growing_look(g);
    assert_int_equal(now.attempt, 0);
    assert_int_equal(now.prefix, 0);
    assert_false(now.arrived);
    dv_growing_commit(g);
    assert_false(dv_growing_became_blob(g, 0));
}

static void growing_blob__a_try_that_became_the_blob_counts(void **state)
{
    (void)state;
    DV_AUTOPTR(dv_growing) g = dv_growing_new();
    dv_growing_begin(g, 10);
    unsigned attempt = dv_growing_look(g).attempt;
    assert_int_not_equal(attempt, 0);
    assert_int_equal(dv_growing_look(g).prefix, 10);
    dv_growing_advance(g, 30);
    assert_int_equal(dv_growing_look(g).prefix, 30);
    assert_false(dv_growing_look(g).hidden);
    dv_growing_hide(g);
    assert_true(dv_growing_look(g).hidden);
    assert_false(dv_growing_became_blob(g, attempt));
    dv_growing_commit(g);
    assert_true(dv_growing_became_blob(g, attempt));
    assert_true(dv_growing_is(g, attempt));
}

static void growing_blob__a_try_that_is_void_never_counts(void **state)
{
    (void)state;
    DV_AUTOPTR(dv_growing) g = dv_growing_new();
    dv_growing_begin(g, 10);
    unsigned first = dv_growing_look(g).attempt;
    dv_growing_void(g);
    assert_false(dv_growing_is(g, first));
    assert_int_equal(dv_growing_look(g).attempt, 0);
    dv_growing_void(g); /* there is none */
    dv_growing_begin(g, 0);
    unsigned second = dv_growing_look(g).attempt;
    assert_int_not_equal(first, second);
    assert_int_equal(dv_growing_look(g).prefix, 0);
    dv_growing_begin(g, 5); /* the one before is over by that */
    unsigned third = dv_growing_look(g).attempt;
    assert_int_not_equal(second, third);
    dv_growing_commit(g);
    assert_false(dv_growing_became_blob(g, first));
    assert_false(dv_growing_became_blob(g, second));
    assert_true(dv_growing_became_blob(g, third));
}

static void growing_blob__there_is_news_once_until_it_is_heard(void **state)
{
    (void)state;
    DV_AUTOPTR(dv_growing) g = dv_growing_new();
    dv_queue *news = dv_growing_news(g);
    assert_null(dv_queue_pop(news, 0));
    dv_growing_begin(g, 0);
    dv_growing_advance(g, 1);
    dv_growing_arrive(g);
    assert_non_null(dv_queue_pop(news, 0));
    assert_null(dv_queue_pop(news, 0));
    dv_growing_advance(g, 2); /* not heard yet: it is looked at behind that */
    assert_null(dv_queue_pop(news, 0));
    dv_growing_heard(g);
    dv_growing_advance(g, 2); /* nothing new */
    assert_null(dv_queue_pop(news, 0));
    dv_growing_advance(g, 3);
    assert_non_null(dv_queue_pop(news, 0));
    dv_growing_heard(g);
    dv_growing_void(g);
    assert_non_null(dv_queue_pop(news, 0));
    assert_true(dv_growing_look(g).arrived);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(growing_blob__nobody_is_fine_for_a_writer),
        cmocka_unit_test(growing_blob__without_a_try_there_is_nothing_to_read),
        cmocka_unit_test(growing_blob__a_try_that_became_the_blob_counts),
        cmocka_unit_test(growing_blob__a_try_that_is_void_never_counts),
        cmocka_unit_test(growing_blob__there_is_news_once_until_it_is_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of distribution/xfer.c: merging, leaving, limits, order (pull.md 8, DESIGN section 5). */
#include "puller.h"

/* --- merging ------------------------------------------------------------------------------------------------------ */

static void xfer__equal_digests_are_fetched_once(void **state)
{
    fixture *f = *state;
    blob b = blob_make(300 * KIB, 1);
    DV_AUTOPTR(puller) one = puller_new(f);
    DV_AUTOPTR(puller) two = puller_new(f);
    serve_blob(f->script, &b, (script_row){.cut = 100 * KIB, .then = SCRIPT_HOLD});
    puller_start(one, &b, 1);
    assert_true(script_wait(f->script, blob_request(&b), 1, 4000));
    puller_start(two, &b, 1);
    assert_false(puller_wait(two, 50)); /* whoever comes later hears at once how far it is */
    assert_true(two->told[0][DV_XFER_DOWNLOADING] >= 1);
    script_release(f->script);
    assert_complete(one);
    assert_complete(two);
    assert_int_equal(script_count(f->script, blob_request(&b), NULL), 1);
    assert_true(one->watches[0].transferred && two->watches[0].transferred);
    assert_int_equal(two->counted[0], 300 * KIB);
    assert_true(has_blob(f, &b));
    DV_AUTOPTR(puller) three = puller_new(f);
    puller_start(three, &b, 1);
    assert_complete(three); /* it is there */
    assert_false(three->watches[0].transferred);
    assert_int_equal(script_count(f->script, blob_request(&b), NULL), 1);
    assert_int_equal(count_files(f, "ingest"), 0);
    blob_clear(&b);
}

/* threat B6: a size is part of what is wanted; another pull's lie about it is not ours, nor ours its. */
static void xfer__another_size_is_another_wish(void **state)
{
    fixture *f = *state;
    blob b = blob_make(30 * KIB, 80), lie = b;
    lie.descriptor.size++;
    serve_blob(f->script, &b, (script_row){.delay_ms = 60});
    DV_AUTOPTR(puller) honest = puller_new(f);
    DV_AUTOPTR(puller) liar = puller_new(f);
    puller_start(honest, &b, 1);
    puller_start(liar, &lie, 1);
    assert_complete(honest);
    assert_true(puller_wait(liar, 6000));
    assert_int_equal(davit_error_code(liar->watches[0].err), DAVIT_EDIGEST);
    assert_true(has_blob(f, &b));
    blob_clear(&b);
}

/* --- leaving ------------------------------------------------------------------------------------------------------ */

static void xfer__goes_on_for_those_who_stay(void **state)
{
    fixture *f = *state;
    blob b = blob_make(300 * KIB, 2);
    DV_AUTOPTR(puller) one = puller_new(f);
    DV_AUTOPTR(puller) two = puller_new(f);
    serve_blob(f->script, &b, (script_row){.cut = 100 * KIB, .then = SCRIPT_HOLD});
    puller_start(one, &b, 1);
    assert_true(script_wait(f->script, blob_request(&b), 1, 4000));
    puller_start(two, &b, 1);
    puller_leave(two); /* came later: the other does not notice */
    script_release(f->script);
    assert_complete(one);
    assert_int_equal(script_count(f->script, blob_request(&b), NULL), 1);
    assert_false(puller_wait(two, 20));
    blob_clear(&b);
}

/* The one that began it takes its registry along: the other goes on over its own, from what is on disk. */
static void xfer__is_taken_over_when_its_beginner_leaves(void **state)
{
    fixture *f = *state;
    blob b = blob_make(300 * KIB, 3);
    DV_AUTOPTR(puller) one = puller_new(f);
    DV_AUTOPTR(puller) two = puller_new(f);
    serve_blob(f->script, &b, (script_row){.times = 1, .cut = 100 * KIB, .then = SCRIPT_HOLD});
    serve_blob(f->script, &b, (script_row){.ranges = true});
    puller_start(one, &b, 1);
    puller_start(two, &b, 1);
    while (two->counted[0] < 100 * KIB && one->counted[0] < 100 * KIB && script_sent(f->script, 0) < 100 * KIB)
        dv_sleep_ms(2);
    dv_sleep_ms(50);
    puller_leave(one);
    dv_registry_close(one->registry);
    one->registry = NULL;
    assert_complete(two);
    assert_true(has_blob(f, &b));
    assert_int_equal(script_count(f->script, blob_request(&b), NULL), 2);
    assert_int_equal(script_count(f->script, blob_request(&b), "\r\nRange: bytes=102400-"), 1);
    blob_clear(&b);
}

static void xfer__ends_when_the_last_watcher_leaves(void **state)
{
    fixture *f = *state;
    blob blobs[] = {blob_make(300 * KIB, 4), blob_make(2 * MIB, 5)};
    DV_AUTOPTR(puller) one = puller_new(f);
    DV_AUTOPTR(puller) two = puller_new(f);
    for (size_t i = 0; i < 2; i++) {
        serve_blob(f->script, &blobs[i], (script_row){.times = 1, .cut = 100 * KIB, .then = SCRIPT_HOLD});
        serve_blob(f->script, &blobs[i], (script_row){.ranges = true});
    }
    puller_start(one, blobs, 2);
    puller_start(two, blobs, 2);
    assert_true(script_wait(f->script, "GET /v2/app/blobs/", 2, 4000));
    puller_leave(one);
    puller_leave(two);
    assert_true(wait_left_early(f->script, 2));
    assert_false(puller_wait(one, 20) || puller_wait(two, 20));
    assert_false(has_blob(f, &blobs[0]) || has_blob(f, &blobs[1]));
    DV_AUTOPTR(puller) three = puller_new(f);
    puller_start(three, blobs, 2); /* a later one goes on from what was kept */
    assert_complete(three);
    assert_true(has_blob(f, &blobs[0]) && has_blob(f, &blobs[1]));
    blob_clear(&blobs[0]);
    blob_clear(&blobs[1]);
}

/* The client may go at once: what the workers still do ends with it. */
static void xfer__the_client_may_end_right_behind_the_last_watcher(void **state)
{
    fixture *f = *state;
    blob blobs[8];
    for (unsigned i = 0; i < 8; i++) {
        blobs[i] = blob_make(400 * KIB, 10 + i);
        serve_blob(f->script, &blobs[i], (script_row){.cut = 300 * KIB, .then = SCRIPT_HOLD});
    }
    for (unsigned round = 0; round < 10; round++) {
        puller *p = puller_new(f);
        unsigned before = script_count(f->script, "GET", NULL);
        puller_start(p, blobs, 8);
        if (round % 2)
            assert_true(script_wait(f->script, "GET", before + 8, 4000));
        puller_leave(p);
        puller_free(p);
        const davit_client_options options = quick_options(f);
        use_options(f, &options);
    }
    for (unsigned i = 0; i < 8; i++)
        blob_clear(&blobs[i]);
}

/* --- limits --------------------------------------------------------------------------------------------------------- */

enum { SMALL, LARGE };

typedef struct limit_row {
    uint32_t number; /* the user's */
    size_t small, large;
    unsigned small_peak, large_peak, together;
} limit_row;

/* All that may run at once are held at the same moment, so the peak is what was allowed. */
static void check_limit(fixture *f, const limit_row *row, unsigned seed)
{
    davit_client_options options = quick_options(f);
    blob blobs[BLOBS_MAX];
    size_t count = row->small + row->large;
    options.max_concurrent_downloads = row->number;
    use_options(f, &options);
    script_stop(f->script);
    f->script = script_start(NULL, 0);
    for (size_t i = 0; i < count; i++) {
        unsigned group = i < row->small ? SMALL : LARGE;
        blobs[i] = blob_make(group == SMALL ? DV_SMALL_BLOB - 1 : DV_SMALL_BLOB, seed + (unsigned)i);
        serve_blob(f->script, &blobs[i], (script_row){.cut = 1000, .then = SCRIPT_HOLD, .group = group});
    }
    {
        DV_AUTOPTR(puller) p = puller_new(f);
        puller_start(p, blobs, count);
        assert_true(script_wait(f->script, "GET", row->together, 4000));
        assert_false(puller_wait(p, 50));
        unsigned running = script_count(f->script, "GET", NULL), waiting = 0;
        for (size_t i = 0; i < count; i++)
            waiting += p->told[i][DV_XFER_WAITING];
        script_release(f->script);
        assert_complete(p);
        unsigned small = script_peak(f->script, SMALL), large = script_peak(f->script, LARGE);
        if (running != row->together || waiting != count - running || small > row->small_peak ||
            large > row->large_peak || script_count(f->script, "GET", NULL) != count)
            fail_msg("%u given, %zu small, %zu large: expected at most %u and %u, %u at once; got %u and %u, "
                     "%u, %u waiting",
                     row->number, row->small, row->large, row->small_peak, row->large_peak, row->together,
                     small, large, running, waiting);
    }
    for (size_t i = 0; i < count; i++)
        blob_clear(&blobs[i]);
}

static void xfer__three_large_and_sixteen_small_at_once(void **state)
{
    static const limit_row rows[] = {
        {0, 0, 7, 0, 3, 3},
        {0, 20, 0, 16, 0, 16},
        {0, 18, 5, 16, 3, 19},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        check_limit(*state, &rows[i], 100 * (unsigned)(i + 1));
}

static void xfer__the_users_number_is_hard(void **state)
{
    static const limit_row rows[] = {
        {1, 3, 2, 1, 1, 1},
        {2, 6, 3, 2, 2, 2},
        {20, 18, 4, 18, 4, 20},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        check_limit(*state, &rows[i], 1000 + 100 * (unsigned)i);
}

/* First come, first served; a small blob does not wait behind large ones that have no slot. */
static void xfer__waiting_ones_run_in_order(void **state)
{
    fixture *f = *state;
    blob blobs[6];
    davit_client_options options = quick_options(f);
    options.max_concurrent_downloads = 1;
    use_options(f, &options);
    for (unsigned i = 0; i < 6; i++) {
        blobs[i] = blob_make(10 * KIB + i, 50 + i);
        serve_blob(f->script, &blobs[i], (script_row){0});
    }
    DV_AUTOPTR(puller) p = puller_new(f);
    puller_start(p, blobs, 6);
    assert_complete(p);
    for (unsigned i = 0; i < 6; i++) {
        DV_AUTOFREE char *request = script_request(f->script, "GET /v2/app/blobs/", i);
        if (!dv_str_starts(request, blob_request(&blobs[i])))
            fail_msg("as number %u came %.90s", i, request);
    }
    for (unsigned i = 0; i < 6; i++)
        blob_clear(&blobs[i]);
}

/* One that waits and whose watcher leaves is never asked for. */
static void xfer__a_waiting_one_can_leave(void **state)
{
    fixture *f = *state;
    blob blobs[] = {blob_make(10 * KIB, 60), blob_make(11 * KIB, 61), blob_make(12 * KIB, 62)};
    davit_client_options options = quick_options(f);
    options.max_concurrent_downloads = 1;
    use_options(f, &options);
    serve_blob(f->script, &blobs[0], (script_row){.cut = 100, .then = SCRIPT_HOLD});
    serve_blob(f->script, &blobs[2], (script_row){0});
    DV_AUTOPTR(puller) one = puller_new(f);
    DV_AUTOPTR(puller) two = puller_new(f);
    DV_AUTOPTR(puller) three = puller_new(f);
    puller_start(one, &blobs[0], 1);
    puller_start(two, &blobs[1], 1);
    puller_start(three, &blobs[2], 1);
    assert_true(script_wait(f->script, blob_request(&blobs[0]), 1, 4000));
    puller_leave(two);
    script_release(f->script);
    assert_complete(one);
    assert_complete(three);
    assert_int_equal(script_count(f->script, blob_request(&blobs[1]), NULL), 0);
    for (unsigned i = 0; i < 3; i++)
        blob_clear(&blobs[i]);
}

/* A failure is every watcher's, each with an error of its own. */
static void xfer__a_failure_reaches_every_watcher(void **state)
{
    fixture *f = *state;
    blob b = blob_make(10 * KIB, 70);
    serve_blob(f->script, &b, (script_row){.status = 404, .delay_ms = 40});
    DV_AUTOPTR(puller) one = puller_new(f);
    DV_AUTOPTR(puller) two = puller_new(f);
    puller_start(one, &b, 1);
    puller_start(two, &b, 1);
    assert_true(puller_wait(one, 4000) && puller_wait(two, 4000));
    assert_int_equal(davit_error_code(one->watches[0].err), DAVIT_ENOTFOUND);
    assert_int_equal(davit_error_code(two->watches[0].err), DAVIT_ENOTFOUND);
    assert_ptr_not_equal(one->watches[0].err, two->watches[0].err);
    assert_string_equal(davit_error_message(two->watches[0].err), "unknown blob");
    assert_int_equal(script_count(f->script, "GET", NULL), 1);
    assert_int_equal(count_files(f, "ingest"), 0);
    blob_clear(&b);
}

static void transfers__need_a_store(void **state)
{
    fixture *f = *state;
    davit_client_options options = quick_options(f);
    DV_AUTOPTR(davit_error) err = NULL;
    dv_transfers *t = NULL;
    options.store_dir = NULL;
    use_options(f, &options);
    assert_int_equal(dv_transfers_get(f->client, &t, &err), DAVIT_EINVAL);
    assert_null(t);
}

static void *get_transfers(void *client)
{
    dv_transfers *t = NULL;
    dv_transfers_get(client, &t, NULL);
    return t;
}

static void transfers__one_for_a_client_whoever_asks_first(void **state)
{
    fixture *f = *state;
    get_transfers(f->client); /* makes the store */
    for (unsigned round = 0; round < 10; round++) {
        pthread_t threads[4];
        void *got[4];
        const davit_client_options options = quick_options(f);
        use_options(f, &options);
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, get_transfers, f->client), 0);
        for (size_t i = 0; i < 4; i++)
            pthread_join(threads[i], &got[i]);
        assert_non_null(got[0]);
        for (size_t i = 1; i < 4; i++)
            assert_ptr_equal(got[i], got[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pull_test(xfer__equal_digests_are_fetched_once),
        pull_test(xfer__another_size_is_another_wish),
        pull_test(xfer__goes_on_for_those_who_stay),
        pull_test(xfer__is_taken_over_when_its_beginner_leaves),
        pull_test(xfer__ends_when_the_last_watcher_leaves),
        pull_test(xfer__the_client_may_end_right_behind_the_last_watcher),
        pull_test(xfer__three_large_and_sixteen_small_at_once),
        pull_test(xfer__the_users_number_is_hard),
        pull_test(xfer__waiting_ones_run_in_order),
        pull_test(xfer__a_waiting_one_can_leave),
        pull_test(xfer__a_failure_reaches_every_watcher),
        pull_test(transfers__need_a_store),
        pull_test(transfers__one_for_a_client_whoever_asks_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

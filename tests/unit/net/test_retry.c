/* Unit tests of net/retry.c: DESIGN section 5, pull.md 3.2. */
#include "net/retry.h"

#include "util/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define POLICY                                                                          \
    {                                                                                   \
        .attempts = 5, .delay_ms = 500, .delay_max_ms = 10000, .retry_after_max_s = 60, \
    }

static davit_error error(int code, int retry_after_s, bool final)
{
    return (davit_error){.code = code, .retry_after_s = retry_after_s, .final = final};
}

static void retry_is_useful__by_code_unless_final(void **state)
{
    static const struct {
        int code;
        bool useful;
    } rows[] = {
        {DAVIT_ENETWORK, true},       {DAVIT_ETIMEOUT, true},   {DAVIT_ETLS, true},
        {DAVIT_EUNAVAILABLE, true},   {DAVIT_ERATELIMIT, true}, {DAVIT_ECERTIFICATE, false},
        {DAVIT_EPROTOCOL, false},     {DAVIT_EDIGEST, false},   {DAVIT_ENOTFOUND, false},
        {DAVIT_EUNAUTHORIZED, false}, {DAVIT_EDENIED, false},   {DAVIT_EREGISTRY, false},
        {DAVIT_ETOOBIG, false},       {DAVIT_ENOSPACE, false},  {DAVIT_EIO, false},
        {DAVIT_ECANCELLED, false},    {DAVIT_ENOMEM, false},    {DAVIT_EUNSUPPORTED, false},
        {DAVIT_EINVAL, false},        {DAVIT_EFORMAT, false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_error e = error(rows[i].code, -1, false), last = error(rows[i].code, -1, true);
        if (dv_retry_is_useful(&e) != rows[i].useful)
            fail_msg("%s: expected %d", davit_code_name(rows[i].code), rows[i].useful);
        if (dv_retry_is_useful(&last))
            fail_msg("%s: final and yet useful", davit_code_name(rows[i].code));
    }
}

/* From 0.5 s, doubled, at most 10 s, spread over the upper half; five attempts in all. */
static void retry_delay__doubles_up_to_the_ceiling(void **state)
{
    static const struct {
        uint32_t attempts, next;
        int64_t most;
    } rows[] = {
        {5, 2, 500},
        {5, 3, 1000},
        {5, 4, 2000},
        {5, 5, 4000},
        {5, 6, -1},
        {9, 6, 8000},
        {9, 7, 10000},
        {9, 9, 10000},
        {9, 10, -1},
        {1, 2, -1},
        {UINT32_MAX, 100, 10000},
        {UINT32_MAX, UINT32_MAX, 10000},
    };
    davit_error e = error(DAVIT_ENETWORK, -1, false);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        dv_retry_policy policy = POLICY;
        policy.attempts = rows[i].attempts;
        int64_t most = dv_retry_delay_ms(&policy, rows[i].next, &e, UINT32_MAX);
        int64_t least = dv_retry_delay_ms(&policy, rows[i].next, &e, 0);
        int64_t middle = dv_retry_delay_ms(&policy, rows[i].next, &e, UINT32_MAX / 2);
        int64_t expected_least = rows[i].most < 0 ? -1 : rows[i].most / 2;
        if (most != rows[i].most || least != expected_least || middle < least || middle > most)
            fail_msg("attempt %u of %u: expected %lld to %lld, got %lld, %lld, %lld", rows[i].next,
                     rows[i].attempts, (long long)expected_least, (long long)rows[i].most, (long long)least,
                     (long long)middle, (long long)most);
    }
}

/* threat C9: a Retry-After is waited for up to the limit and ends it beyond. */
static void retry_delay__obeys_retry_after_up_to_the_limit(void **state)
{
    static const struct {
        int code, retry_after_s;
        bool final;
        int64_t expected; /* with the least jitter */
    } rows[] = {
        {DAVIT_ERATELIMIT, -1, false, 250},  {DAVIT_ERATELIMIT, 0, false, 250},
        {DAVIT_ERATELIMIT, 1, false, 1000},  {DAVIT_EUNAVAILABLE, 60, false, 60000},
        {DAVIT_EUNAVAILABLE, 61, false, -1}, {DAVIT_ERATELIMIT, INT32_MAX, false, -1},
        {DAVIT_ERATELIMIT, 1, true, -1},     {DAVIT_EREGISTRY, 1, false, -1},
    };
    const dv_retry_policy policy = POLICY;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_error e = error(rows[i].code, rows[i].retry_after_s, rows[i].final);
        int64_t got = dv_retry_delay_ms(&policy, 2, &e, 0);
        if (got != rows[i].expected)
            fail_msg("row %zu (%s, %d s): expected %lld, got %lld", i, davit_code_name(rows[i].code),
                     rows[i].retry_after_s, (long long)rows[i].expected, (long long)got);
    }
}

static void retry_delay__a_short_retry_after_does_not_shorten(void **state)
{
    const dv_retry_policy policy = {
        .attempts = 9, .delay_ms = 8000, .delay_max_ms = 10000, .retry_after_max_s = 60};
    davit_error e = error(DAVIT_EUNAVAILABLE, 2, false);
    assert_int_equal(dv_retry_delay_ms(&policy, 2, &e, 0), 4000);
    assert_int_equal(dv_retry_delay_ms(&policy, 2, &e, UINT32_MAX), 8000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(retry_is_useful__by_code_unless_final),
        cmocka_unit_test(retry_delay__doubles_up_to_the_ceiling),
        cmocka_unit_test(retry_delay__obeys_retry_after_up_to_the_limit),
        cmocka_unit_test(retry_delay__a_short_retry_after_does_not_shorten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

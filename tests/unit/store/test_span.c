/* Unit tests of store/span.c. */
#include "store_test.h"

#include "store/span.h"

static void print_spans(const dv_spans *s, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < s->count; i++)
        used += (size_t)snprintf(out + used, size - used, "%llu-%llu ", (unsigned long long)s->items[i].start,
                                 (unsigned long long)s->items[i].end);
}

static void span_add__merges_what_touches(void **state)
{
    static const struct {
        uint64_t ranges[5][2];
        const char *expected;
    } rows[] = {
        {{{0, 10}}, "0-10 "},
        {{{5, 5}}, ""},
        {{{0, 10}, {10, 20}}, "0-20 "},
        {{{10, 20}, {0, 10}}, "0-20 "},
        {{{0, 10}, {20, 30}}, "0-10 20-30 "},
        {{{20, 30}, {0, 10}}, "0-10 20-30 "},
        {{{0, 10}, {20, 30}, {10, 20}}, "0-30 "},
        {{{0, 10}, {20, 30}, {5, 25}}, "0-30 "},
        {{{0, 10}, {20, 30}, {40, 50}, {5, 45}}, "0-50 "},
        {{{0, 100}, {20, 30}}, "0-100 "},
        {{{20, 30}, {0, 100}}, "0-100 "},
        {{{1, 2}, {3, 4}, {5, 6}, {7, 8}, {4, 5}}, "1-2 3-6 7-8 "},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_spans) s = DV_SPANS_INIT;
        char got[200];
        for (size_t k = 0; k < DV_COUNT(rows[i].ranges); k++)
            assert_int_equal(dv_spans_add(&s, rows[i].ranges[k][0], rows[i].ranges[k][1], NULL), 0);
        print_spans(&s, got, sizeof(got));
        if (strcmp(got, rows[i].expected) != 0)
            fail_msg("row %zu: expected \"%s\", got \"%s\"", i, rows[i].expected, got);
    }
}

static void span_gap__is_the_first_missing_range(void **state)
{
    static const struct {
        uint64_t from, limit, start, end;
        bool found;
    } rows[] = {
        {0, 100, 10, 20, true}, {12, 100, 12, 20, true}, {20, 100, 30, 100, true}, {25, 40, 30, 40, true},
        {0, 10, 0, 0, false},   {0, 15, 10, 15, true},   {20, 30, 0, 0, false},    {50, 50, 0, 0, false},
    };
    DV_AUTO(dv_spans) s = DV_SPANS_INIT;
    dv_spans_add(&s, 0, 10, NULL);
    dv_spans_add(&s, 20, 30, NULL);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        uint64_t start = 0, end = 0;
        bool found = dv_spans_gap(&s, rows[i].from, rows[i].limit, &start, &end);
        if (found != rows[i].found || start != rows[i].start || end != rows[i].end)
            fail_msg("%llu..%llu: got %d %llu-%llu", (unsigned long long)rows[i].from,
                     (unsigned long long)rows[i].limit, found, (unsigned long long)start,
                     (unsigned long long)end);
    }
}

static void span_cut__takes_away_the_end(void **state)
{
    DV_AUTO(dv_spans) s = DV_SPANS_INIT;
    char got[100];
    dv_spans_add(&s, 0, 10, NULL);
    dv_spans_add(&s, 20, 30, NULL);
    dv_spans_add(&s, 40, 50, NULL);
    dv_spans_cut(&s, 25);
    print_spans(&s, got, sizeof(got));
    assert_string_equal(got, "0-10 20-25 ");
    assert_int_equal(dv_spans_total(&s), 15);
    assert_int_equal(dv_spans_prefix(&s), 10);
    dv_spans_cut(&s, 0);
    assert_int_equal(s.count, 0);
}

static void span_add__has_a_ceiling(void **state)
{
    DV_AUTO(dv_spans) s = DV_SPANS_INIT;
    for (uint64_t i = 0; i < DV_SPANS_MAX; i++)
        assert_int_equal(dv_spans_add(&s, 2 * i, 2 * i + 1, NULL), 0);
    assert_int_equal(dv_spans_add(&s, 1000000, 1000001, NULL), DAVIT_ETOOBIG);
    assert_int_equal(dv_spans_add(&s, 1, 2, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(span_add__merges_what_touches),
        cmocka_unit_test(span_gap__is_the_first_missing_range),
        cmocka_unit_test(span_cut__takes_away_the_end),
        cmocka_unit_test(span_add__has_a_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

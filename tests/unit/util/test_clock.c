/* Unit tests of util/clock.c. */
#include "util/clock.h"

#include "davit/error.h"
#include "util/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void clock__goes_forward(void **state)
{
    uint64_t a = dv_clock_ms(), b = dv_clock_ms();
    assert_true(b >= a && b - a < 10000);
    assert_true(dv_wall_time_s() > 1700000000);
}

static void time_format__utc(void **state)
{
    char text[32];
    dv_time_format(0, text);
    assert_string_equal(text, "1970-01-01T00:00:00Z");
    dv_time_format(1767323045, text);
    assert_string_equal(text, "2026-01-02T03:04:05Z");
}

typedef struct row {
    const char *text;
    int64_t seconds; /* -1: refused */
} row;

static void check_rows(int (*parse)(const char *text, int64_t *out), const row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t v = -1;
        int r = parse(rows[i].text, &v);
        if (v != rows[i].seconds || r != (rows[i].seconds < 0 ? DAVIT_EFORMAT : 0))
            fail_msg("%s: expected %lld, got %d %lld", rows[i].text, (long long)rows[i].seconds, r,
                     (long long)v);
    }
}

static void time_parse_rfc3339__zones_and_fractions(void **state)
{
    static const row rows[] = {
        {"2026-01-02T03:04:05Z", 1767323045},
        {"2026-01-02t03:04:05z", 1767323045},
        {"2026-01-02T03:04:05.123456789Z", 1767323045},
        {"2026-01-02T04:04:05+01:00", 1767323045},
        {"2026-01-01T21:34:05.5-05:30", 1767323045},
        {"2024-02-29T00:00:00Z", 1709164800},
        {"1970-01-01T00:00:00Z", 0},
        {"", -1},
        {"2026-01-02", -1},
        {"2026-01-02 03:04:05Z", -1},
        {"2026-01-02T03:04:05", -1},
        {"2026-01-02T03:04:05.Z", -1},
        {"2026-01-02T03:04:05Zx", -1},
        {"2026-01-02T03:04:05+0100", -1},
        {"2026-01-02T03:04:05+1:00", -1},
        {"2026-13-02T03:04:05Z", -1},
        {"2026-01-32T03:04:05Z", -1},
        {"2026-01-02T24:04:05Z", -1},
        {"26-01-02T03:04:05Z", -1},
        {"0000-01-02T03:04:05Z", -1},
    };
    check_rows(dv_time_parse_rfc3339, rows, DV_COUNT(rows));
}

static void time_parse_http__three_forms(void **state)
{
    static const row rows[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Thursday, 01-Jan-26 00:00:00 GMT", 1767225600},
        {"", -1},
        {"120", -1},
        {"Sun, 06 Nov 1994 08:49:37", -1},
        {"Sun, 06 Nov 1994 08:49:37 CET", -1},
        {"Sun, 06 Nov 1994 08:49:37 GMTx", -1},
        {"Sun, 06 Abc 1994 08:49:37 GMT", -1},
        {"Sun, 06 anF 1994 08:49:37 GMT", -1},
        {"Sun, 41 Nov 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 28:49:37 GMT", -1},
    };
    check_rows(dv_time_parse_http, rows, DV_COUNT(rows));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clock__goes_forward),
        cmocka_unit_test(time_format__utc),
        cmocka_unit_test(time_parse_rfc3339__zones_and_fractions),
        cmocka_unit_test(time_parse_http__three_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of cli/time_arg.c. */
#include "cli/time_arg.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NOW 1700000000

static void time_arg_parse__table(void **state)
{
    static const struct {
        const char *text;
        int64_t seconds; /* 0: refused */
    } cases[] = {
        {"24h", NOW - 86400},
        {"1h30m", NOW - 5400},
        {"90s", NOW - 90},
        {"7d", NOW - 7 * 86400},
        {"1d2h3m4s", NOW - 93784},
        {"0s", NOW},
        {"9999999999s", NOW - 9999999999},
        {"2026-01-02T03:04:05Z", 1767323045},
        {"2026-01-02T03:04:05", 1767323045},
        {"2026-01-02T05:04:05+02:00", 1767323045},
        {"2026-01-02T03:04:05.678Z", 1767323045},
        {"2026-01-02", 1767312000},
        {"1767323045", 1767323045},
        {"", 0},
        {"h", 0},
        {"-1h", 0},
        {"1.5h", 0},
        {"24 h", 0},
        {"24h ", 0},
        {"1y", 0},
        {"99999999999s", 0},
        {"yesterday", 0},
        {"2026-13-01", 0},
        {"2026-01-02T", 0},
        {"99999999999999999999", 0},
    };
    for (size_t i = 0; i < DV_COUNT(cases); i++) {
        int64_t got = 0;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = dv_time_arg_parse(cases[i].text, NOW, &got, &err);
        if (got != cases[i].seconds || (r < 0) != (cases[i].seconds == 0) || (r < 0 && r != DAVIT_EINVAL))
            fail_msg("'%s': %d, %lld", cases[i].text, r, (long long)got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(time_arg_parse__table)};
    return cmocka_run_group_tests_name("cli/time_arg", tests, NULL, NULL);
}

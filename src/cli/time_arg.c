/* cli/time_arg.c - see time_arg.h. */
#include "cli/time_arg.h"

#include "util/clock.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>

#define AMOUNT_DIGITS_MAX 10

static int64_t seconds_of(char unit)
{
    switch (unit) {
    case 's':
        return 1;
    case 'm':
        return 60;
    case 'h':
        return 3600;
    case 'd':
        return 86400;
    default:
        return 0;
    }
}

/* Numbers with a unit each, and nothing else. */
static bool parse_duration(const char *text, int64_t *out)
{
    int64_t total = 0;
    const char *p = text;
    while (*p) {
        char digits[AMOUNT_DIGITS_MAX + 1];
        size_t size = strspn(p, "0123456789");
        uint64_t amount = 0;
        if (size == 0 || size > AMOUNT_DIGITS_MAX || seconds_of(p[size]) == 0)
            return false;
        memcpy(digits, p, size);
        digits[size] = '\0';
        if (!dv_str_to_u64(digits, &amount))
            return false;
        total += (int64_t)amount * seconds_of(p[size]);
        p += size + 1;
    }
    *out = total;
    return p > text;
}

/* RFC 3339, whole or without its time or its zone. */
static bool parse_date(const char *text, int64_t *out)
{
    static const char *const rests[] = {"", "Z", "T00:00:00Z"};
    for (size_t i = 0; i < DV_COUNT(rests); i++) {
        char whole[64];
        int n = snprintf(whole, sizeof(whole), "%s%s", text, rests[i]);
        if (n > 0 && (size_t)n < sizeof(whole) && dv_time_parse_rfc3339(whole, out) == 0)
            return true;
    }
    return false;
}

int dv_time_arg_parse(const char *text, int64_t now_s, int64_t *out, davit_error **err)
{
    int64_t seconds = 0;
    uint64_t since_1970 = 0;
    if (parse_duration(text, &seconds)) {
        *out = now_s - seconds;
        return 0;
    }
    if (dv_str_to_u64(text, &since_1970) && since_1970 <= INT64_MAX) {
        *out = (int64_t)since_1970;
        return 0;
    }
    if (parse_date(text, out))
        return 0;
    return dv_error_set(err, DAVIT_EINVAL,
                        "'%.80s' is neither a duration like 24h nor a time like 2026-01-02T03:04:05Z", text);
}

/* util/clock.c - see clock.h. No locale, no time zone: HTTP and RFC 3339 times are parsed here by hand. */
#include "util/clock.h"

#include "davit/error.h"
#include "util/alloc.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

uint64_t dv_clock_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void dv_sleep_ms(unsigned ms)
{
    struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

int64_t dv_wall_time_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec;
}

void dv_time_format(int64_t seconds, char out[32])
{
    time_t t = (time_t)seconds;
    struct tm tm = {0};
    gmtime_r(&t, &tm);
    strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static int to_seconds(int year, int month, int day, int h, int m, int s, int64_t *out)
{
    if (year < 1900 || year > 9999 || month < 1 || month > 12 || day < 1 || day > 31 || h < 0 || h > 23 ||
        m < 0 || m > 59 || s < 0 || s > 60)
        return DAVIT_EFORMAT;
    struct tm tm = {
        .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = h, .tm_min = m, .tm_sec = s};
    *out = timegm(&tm);
    return 0;
}

int dv_time_parse_rfc3339(const char *text, int64_t *out)
{
    int y, mo, d, h, m, s, n = 0, zh = 0, zm = 0;
    char t;
    if (sscanf(text, "%4d-%2d-%2d%c%2d:%2d:%2d%n", &y, &mo, &d, &t, &h, &m, &s, &n) != 7 || n != 19 ||
        (t != 'T' && t != 't'))
        return DAVIT_EFORMAT;
    const char *p = text + n;
    if (*p == '.') {
        size_t digits = strspn(p + 1, "0123456789");
        if (digits == 0)
            return DAVIT_EFORMAT;
        p += 1 + digits;
    }
    int64_t offset = 0;
    if (*p == 'Z' || *p == 'z') {
        p++;
    } else if ((*p == '+' || *p == '-') && sscanf(p + 1, "%2d:%2d%n", &zh, &zm, &n) == 2 && n == 5) {
        offset = (*p == '-' ? -1 : 1) * ((int64_t)zh * 3600 + zm * 60);
        p += 6;
    } else {
        return DAVIT_EFORMAT;
    }
    int64_t value;
    if (*p || to_seconds(y, mo, d, h, m, s, &value) < 0)
        return DAVIT_EFORMAT;
    *out = value - offset;
    return 0;
}

static int month_number(const char *name)
{
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int i = 0; i < 12; i++)
        if (memcmp(names + 3 * i, name, 3) == 0)
            return i + 1;
    return 0;
}

int dv_time_parse_http(const char *text, int64_t *out)
{
    int y, d, h, m, s, n = 0;
    char mon[4] = "", day[16] = "";
    if (sscanf(text, "%3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT%n", day, &d, mon, &y, &h, &m, &s, &n) ==
            7 &&
        n > 0 && !text[n])
        return to_seconds(y, month_number(mon), d, h, m, s, out);
    n = 0;
    if (sscanf(text, "%9[A-Za-z], %2d-%3[A-Za-z]-%2d %2d:%2d:%2d GMT%n", day, &d, mon, &y, &h, &m, &s, &n) ==
            7 &&
        n > 0 && !text[n])
        return to_seconds(y < 70 ? 2000 + y : 1900 + y, month_number(mon), d, h, m, s, out);
    n = 0;
    if (sscanf(text, "%3[A-Za-z] %3[A-Za-z] %2d %2d:%2d:%2d %4d%n", day, mon, &d, &h, &m, &s, &y, &n) == 7 &&
        n > 0 && !text[n])
        return to_seconds(y, month_number(mon), d, h, m, s, out);
    return DAVIT_EFORMAT;
}

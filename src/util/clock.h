/* util/clock.h - time that only goes forward, and wall time for what is written down. */
#ifndef DV_UTIL_CLOCK_H
#define DV_UTIL_CLOCK_H

#include <stdint.h>

uint64_t dv_clock_ms(void); /* CLOCK_BOOTTIME; only differences mean something */
void dv_sleep_ms(unsigned ms);
int64_t dv_wall_time_s(void); /* seconds since 1970, UTC */
/* A seconds value as "2026-01-02T03:04:05Z". */
void dv_time_format(int64_t seconds, char out[32]);
/* RFC 3339 text to seconds since 1970; fraction dropped. 0 or DAVIT_EFORMAT. */
int dv_time_parse_rfc3339(const char *text, int64_t *out);
/* HTTP-date (IMF-fixdate, RFC 850, asctime) to seconds since 1970. 0 or DAVIT_EFORMAT. */
int dv_time_parse_http(const char *text, int64_t *out);

#endif

/* cli/time_arg.h - a point in time as Docker's filters take it. */
#ifndef DV_CLI_TIME_ARG_H
#define DV_CLI_TIME_ARG_H

#include "util/error.h"

/*
 * Seconds since 1970: of "24h", "1h30m" or "7d" that long before now_s; of "2026-01-02T03:04:05Z", "2026-01-02T03:04:05",
 * "2026-01-02" (both UTC) or "1767323045" what they say. Errors: DAVIT_EINVAL.
 */
int dv_time_arg_parse(const char *text, int64_t now_s, int64_t *out, davit_error **err);

#endif

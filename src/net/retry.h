/* net/retry.h - whether and when to repeat a request: pure decisions. Spec: DESIGN 5, pull.md 3.2. */
#ifndef DV_NET_RETRY_H
#define DV_NET_RETRY_H

#include "util/error.h"

#include <stdbool.h>
#include <stdint.h>

#define DV_RETRY_PROGRESS_BYTES (32u << 10) /* so many new bytes make an attempt count as progress */

typedef struct dv_retry_policy {
    uint32_t attempts; /* in all */
    uint32_t delay_ms; /* before the second attempt; doubled each time */
    uint32_t delay_max_ms;
    uint32_t retry_after_max_s;
} dv_retry_policy;

/* A request ended with err: can the same request succeed later? Redirects, wrong digests and refusals cannot. */
bool dv_retry_is_useful(const davit_error *err);

/*
 * Milliseconds to wait before attempt number next (2, 3, ...), or -1: give up. jitter is a random number that spreads the delay
 * over its upper half. A Retry-After is obeyed as it stands up to the policy's limit; a longer one gives up.
 */
int64_t dv_retry_delay_ms(const dv_retry_policy *policy, uint32_t next, const davit_error *err,
                          uint32_t jitter);

#endif

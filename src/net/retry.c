/* net/retry.c - see retry.h. */
#include "net/retry.h"

bool dv_retry_is_useful(const davit_error *err)
{
    if (err->final)
        return false;
    switch (err->code) {
    case DAVIT_ENETWORK:
    case DAVIT_ETIMEOUT:
    case DAVIT_ETLS:
    case DAVIT_EUNAVAILABLE:
    case DAVIT_ERATELIMIT:
        return true;
    default:
        return false;
    }
}

int64_t dv_retry_delay_ms(const dv_retry_policy *policy, uint32_t next, const davit_error *err,
                          uint32_t jitter)
{
    if (next > policy->attempts || !dv_retry_is_useful(err))
        return -1;
    if (err->retry_after_s > 0 && (uint32_t)err->retry_after_s > policy->retry_after_max_s)
        return -1;
    uint64_t delay = policy->delay_ms;
    for (uint32_t i = 2; i < next && delay < policy->delay_max_ms; i++)
        delay *= 2;
    if (delay > policy->delay_max_ms)
        delay = policy->delay_max_ms;
    delay = delay / 2 + (uint64_t)jitter * (delay - delay / 2) / UINT32_MAX;
    if (err->retry_after_s >= 0 && (uint64_t)err->retry_after_s * 1000 > delay)
        return (int64_t)err->retry_after_s * 1000;
    return (int64_t)delay;
}

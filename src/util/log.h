/* util/log.h - messages and traces to the embedder's callback. */
#ifndef DV_UTIL_LOG_H
#define DV_UTIL_LOG_H

#include "davit/log.h"

#include <stdatomic.h>
#include <stdbool.h>

extern atomic_int dv_log_max; /* messages above are dropped before they are formatted; -1 drops all */
extern atomic_uint dv_trace_mask;

enum { DV_TRACE_HTTP = 1u << 0, DV_TRACE_AUTH = 1u << 1, DV_TRACE_XFER = 1u << 2, DV_TRACE_STORE = 1u << 3 };

void dv_log_write(davit_log_level level, const char *topic, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define dv_log(level, ...)                                                           \
    do {                                                                             \
        if ((int)(level) <= atomic_load_explicit(&dv_log_max, memory_order_relaxed)) \
            dv_log_write((level), NULL, __VA_ARGS__);                                \
    } while (0)
#define dv_warn(...) dv_log(DAVIT_LOG_WARNING, __VA_ARGS__)

/* dv_trace(HTTP, "..."): never pass a secret; see dv_secret. */
#define dv_trace(topic, ...)                                                               \
    do {                                                                                   \
        if (atomic_load_explicit(&dv_trace_mask, memory_order_relaxed) & DV_TRACE_##topic) \
            dv_log_write(DAVIT_LOG_DEBUG, #topic, __VA_ARGS__);                            \
    } while (0)

#endif

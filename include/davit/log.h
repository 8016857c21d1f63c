/*
 * davit/log.h - messages from the library to its embedder.
 */
#ifndef DAVIT_LOG_H
#define DAVIT_LOG_H

#include <davit/common.h>

DAVIT_BEGIN_DECLS

typedef enum davit_log_level {
    DAVIT_LOG_ERROR = 0,
    DAVIT_LOG_WARNING = 1,
    DAVIT_LOG_INFO = 2,
    DAVIT_LOG_DEBUG = 3,
} davit_log_level;

/** Receives one line without a newline and without secrets. Called from any thread, one call at a time. */
typedef void (*davit_log_fn)(davit_log_level level, const char *line, void *user_data);

/**
 * Set where the library's messages go; before this is called they go nowhere.
 *
 * @param fn         NULL silences the library again
 * @param max_level  messages above this level are not formatted at all
 *
 * Threads: any; applies to the whole process
 */
DAVIT_API void davit_log_set(davit_log_fn fn, davit_log_level max_level, void *user_data);

/**
 * Choose what is traced, each as a debug message: a comma list of http, auth, xfer, store, or "all", each with "-" before it
 * to leave it out. Secrets are printed as "***". The program sets this from DAVIT_TRACE.
 *
 * @return 0, or DAVIT_EINVAL for an unknown word (nothing is changed then)
 *
 * Threads: any; applies to the whole process
 */
DAVIT_API int davit_trace_set(const char *topics);

DAVIT_END_DECLS

#endif

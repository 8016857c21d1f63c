/* util/log.c - see log.h. One line at a time reaches the callback, escaped, from whatever thread wrote it. */
#include "util/log.h"

#include "davit/error.h"
#include "util/clock.h"
#include "util/str.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define LINE_MAX_BYTES (8u << 10)

atomic_int dv_log_max = -1;
atomic_uint dv_trace_mask;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static davit_log_fn callback;
static void *callback_data;

void davit_log_set(davit_log_fn fn, davit_log_level max_level, void *user_data)
{
    pthread_mutex_lock(&lock);
    callback = fn;
    callback_data = user_data;
    atomic_store(&dv_log_max, fn ? (int)max_level : -1);
    pthread_mutex_unlock(&lock);
}

static bool topic_mask(const char *word, size_t n, unsigned *out)
{
    static const struct {
        const char *name;
        unsigned mask;
    } topics[] = {{"http", DV_TRACE_HTTP},
                  {"auth", DV_TRACE_AUTH},
                  {"xfer", DV_TRACE_XFER},
                  {"store", DV_TRACE_STORE},
                  {"all", ~0u}};
    for (size_t i = 0; i < DV_COUNT(topics); i++)
        if (strlen(topics[i].name) == n && memcmp(topics[i].name, word, n) == 0) {
            *out = topics[i].mask;
            return true;
        }
    return false;
}

int davit_trace_set(const char *text)
{
    unsigned mask = 0;
    while (text && *text) {
        size_t n = strcspn(text, ",");
        bool without = *text == '-';
        unsigned one = 0;
        if (n > 0 && !topic_mask(text + without, n - without, &one))
            return DAVIT_EINVAL;
        mask = without ? mask & ~one : mask | one;
        text += n + (text[n] == ',');
    }
    atomic_store(&dv_trace_mask, mask);
    return 0;
}

void dv_log_write(davit_log_level level, const char *topic, const char *fmt, ...)
{
    DV_AUTO(dv_buf) raw = DV_BUF_INIT(LINE_MAX_BYTES);
    DV_AUTO(dv_buf) line = DV_BUF_INIT(4 * LINE_MAX_BYTES);
    va_list ap;
    va_start(ap, fmt);
    dv_buf_vprintf(&raw, fmt, ap);
    va_end(ap);
    if (topic)
        dv_buf_printf(&line, "%.3f %s: ", (double)dv_clock_ms() / 1000.0, topic);
    dv_str_escape(&line, dv_buf_text(&raw), raw.size, /* keep_newlines= */ false);
    pthread_mutex_lock(&lock);
    if (callback && (topic || (int)level <= atomic_load(&dv_log_max)))
        callback(level, dv_buf_text(&line), callback_data);
    pthread_mutex_unlock(&lock);
}

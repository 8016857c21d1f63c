/*
 * util/sink.h - one step of a stream: bytes are pushed into it, it pushes what it makes of them into the next.
 *
 * A step embeds a dv_sink as its first member and borrows the next one. After a failure nothing more is pushed. finish() says
 * that the input is complete: a step checks what only the end can show, then finishes the next one.
 */
#ifndef DV_UTIL_SINK_H
#define DV_UTIL_SINK_H

#include "util/error.h"

typedef struct dv_sink dv_sink;

struct dv_sink {
    int (*write)(dv_sink *s, const void *bytes, size_t size, davit_error **err); /* size > 0 */
    int (*finish)(dv_sink *s, davit_error **err);
};

static inline int dv_sink_write(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    return size ? s->write(s, bytes, size, err) : 0;
}

static inline int dv_sink_finish(dv_sink *s, davit_error **err)
{
    return s->finish(s, err);
}

#endif

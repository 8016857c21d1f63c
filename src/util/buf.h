/* util/buf.h - growing text or bytes with a ceiling; sticky on failure: append freely, check once. */
#ifndef DV_UTIL_BUF_H
#define DV_UTIL_BUF_H

#include "util/alloc.h"

#include <stdarg.h>
#include <stdbool.h>

typedef struct dv_buf {
    char *data; /* NUL-terminated whenever not NULL */
    size_t size;
    size_t capacity;
    size_t max;  /* bytes, without the NUL */
    int failed;  /* 0, DAVIT_ENOMEM or DAVIT_ETOOBIG; later appends do nothing */
    bool secret; /* wipe what is given up */
} dv_buf;

/* An empty buffer that will hold at most max_bytes. */
#define DV_BUF_INIT(max_bytes) \
    {                          \
        .max = (max_bytes)     \
    }

void dv_buf_clear(dv_buf *b);
DV_DEFINE_AUTO(dv_buf, dv_buf_clear)

/* Keep the memory and the ceiling, drop the content and the failure. */
void dv_buf_reset(dv_buf *b);
void dv_buf_append(dv_buf *b, const void *bytes, size_t size);
void dv_buf_puts(dv_buf *b, const char *s);
void dv_buf_putc(dv_buf *b, char c);
void dv_buf_printf(dv_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void dv_buf_vprintf(dv_buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
/* The text, "" when nothing was appended. Borrowed. Meaningless when b->failed. */
const char *dv_buf_text(const dv_buf *b);
/* Hand the memory to the caller (never NULL unless b->failed or out of memory) and empty the buffer. */
char *dv_buf_take(dv_buf *b);

#endif

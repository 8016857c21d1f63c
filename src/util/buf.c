/* util/buf.c - see buf.h. */
#include "util/buf.h"

#include "davit/error.h"

#include <stdio.h>
#include <string.h>

static void release(dv_buf *b, char *data, size_t capacity)
{
    if (b->secret && data)
        explicit_bzero(data, capacity);
    free(data);
}

void dv_buf_clear(dv_buf *b)
{
    release(b, b->data, b->capacity);
    b->data = NULL;
    b->size = b->capacity = 0;
}

void dv_buf_reset(dv_buf *b)
{
    b->size = 0;
    b->failed = 0;
    if (b->data)
        b->data[0] = '\0';
}

/* Room for extra more bytes and a NUL. A secret buffer never reallocs, so that no copy stays behind. */
static bool reserve(dv_buf *b, size_t extra)
{
    if (b->failed)
        return false;
    if (extra > b->max - b->size) {
        b->failed = DAVIT_ETOOBIG;
        return false;
    }
    size_t need = b->size + extra + 1;
    if (need <= b->capacity)
        return true;
    size_t capacity = b->capacity ? b->capacity : 64;
    while (capacity < need)
        capacity = capacity > SIZE_MAX / 2 ? need : capacity * 2;
    char *data;
    if (b->secret) {
        data = malloc(capacity);
        if (data && b->size)
            memcpy(data, b->data, b->size);
        if (data)
            release(b, b->data, b->capacity);
    } else {
        data = realloc(b->data, capacity);
    }
    if (!data) {
        b->failed = DAVIT_ENOMEM;
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    return true;
}

void dv_buf_append(dv_buf *b, const void *bytes, size_t size)
{
    if (!reserve(b, size))
        return;
    if (size)
        memcpy(b->data + b->size, bytes, size);
    b->size += size;
    b->data[b->size] = '\0';
}

void dv_buf_puts(dv_buf *b, const char *s)
{
    dv_buf_append(b, s, strlen(s));
}

void dv_buf_putc(dv_buf *b, char c)
{
    dv_buf_append(b, &c, 1);
}

void dv_buf_vprintf(dv_buf *b, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    if (n < 0) {
        b->failed = DAVIT_EINVAL;
    } else if (reserve(b, (size_t)n)) {
        vsnprintf(b->data + b->size, (size_t)n + 1, fmt, again);
        b->size += (size_t)n;
    }
    va_end(again);
}

void dv_buf_printf(dv_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    dv_buf_vprintf(b, fmt, ap);
    va_end(ap);
}

const char *dv_buf_text(const dv_buf *b)
{
    return b->data ? b->data : "";
}

char *dv_buf_take(dv_buf *b)
{
    if (b->failed)
        return NULL;
    char *data = b->data ? b->data : dv_strdup("");
    b->data = NULL;
    b->size = b->capacity = 0;
    return data;
}

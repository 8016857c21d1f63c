/* util/error.c - see error.h and davit/error.h. */
#include "util/error.h"

#include "util/buf.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_MAX (16u << 10) /* bytes; registry text inside is cut to 1 KiB before */

static davit_error no_memory = {
    .code = DAVIT_ENOMEM, .retry_after_s = -1, .final = true, .message = "out of memory"};

/* By its text and not by its address: the program and the library each have a static error, and may meet the other's. */
static bool is_static(const davit_error *err)
{
    return err->message != err->text;
}

void davit_error_free(davit_error *err)
{
    if (err && !is_static(err))
        free(err);
}

const char *davit_error_message(const davit_error *err)
{
    return err ? err->message : "no error";
}

int davit_error_code(const davit_error *err)
{
    return err ? err->code : 0;
}

int davit_error_http_status(const davit_error *err)
{
    return err ? err->http_status : 0;
}

const char *davit_error_registry_code(const davit_error *err)
{
    return err && err->registry_code[0] ? err->registry_code : NULL;
}

const char *davit_code_name(int code)
{
    switch (code) {
    case DAVIT_OK:
        return "OK";
#define ROW(name, number, text) \
    case number:                \
        return #name;
        DAVIT_CODES(ROW)
#undef ROW
    default:
        return "EUNKNOWN";
    }
}

const char *davit_code_text(int code)
{
    switch (code) {
    case DAVIT_OK:
        return "success";
#define ROW(name, number, text) \
    case number:                \
        return text;
        DAVIT_CODES(ROW)
#undef ROW
    default:
        return "unknown error";
    }
}

/* base's particulars with a new message and so many bytes behind it; base may be NULL. */
static davit_error *make_with(const davit_error *base, int code, const dv_buf *text, const void *more,
                              size_t more_size)
{
    if (text->failed == DAVIT_ENOMEM)
        return &no_memory;
    size_t size = text->size;
    davit_error *e = malloc(sizeof(*e) + size + 1 + more_size);
    if (!e)
        return &no_memory;
    *e = base ? *base : (davit_error){.retry_after_s = -1};
    e->code = code;
    memcpy(e->text, dv_buf_text(text), size);
    e->text[size] = '\0';
    e->message = e->text;
    e->more_size = more_size;
    if (more_size)
        memcpy(e->text + size + 1, more, more_size);
    return e;
}

static davit_error *make(const davit_error *base, int code, const dv_buf *text)
{
    size_t more_size = 0;
    const void *more = dv_error_more(base, &more_size);
    return make_with(base, code, text, more, more_size);
}

static void replace(davit_error **err, davit_error *e)
{
    davit_error_free(*err);
    *err = e;
}

int dv_error_set(davit_error **err, int code, const char *fmt, ...)
{
    if (!err)
        return code;
    DV_AUTO(dv_buf) text = DV_BUF_INIT(MESSAGE_MAX);
    va_list ap;
    va_start(ap, fmt);
    dv_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    replace(err, make(NULL, code, &text));
    return code;
}

static int set_errno(davit_error **err, int code, int errnum, const char *fmt, va_list ap)
{
    if (!err)
        return code;
    DV_AUTO(dv_buf) text = DV_BUF_INIT(MESSAGE_MAX);
    char why[128];
    dv_buf_vprintf(&text, fmt, ap);
    dv_buf_printf(&text, ": %s", strerror_r(errnum, why, sizeof(why)));
    replace(err, make(NULL, code, &text));
    return code;
}

int dv_error_errno(davit_error **err, int code, int errnum, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int r = set_errno(err, code, errnum, fmt, ap);
    va_end(ap);
    return r;
}

int dv_error_file(davit_error **err, int errnum, const char *fmt, ...)
{
    int code = errnum == ENOSPC || errnum == EDQUOT ? DAVIT_ENOSPACE
               : errnum == ENOMEM                   ? DAVIT_ENOMEM
                                                    : DAVIT_EIO;
    va_list ap;
    va_start(ap, fmt);
    int r = set_errno(err, code, errnum, fmt, ap);
    va_end(ap);
    if (err && code == DAVIT_ENOSPACE)
        (*err)->final = true;
    return r;
}

int dv_error_wrap(davit_error **err, int code, const char *fmt, ...)
{
    if (!err || !*err || is_static(*err))
        return code;
    DV_AUTO(dv_buf) text = DV_BUF_INIT(MESSAGE_MAX);
    va_list ap;
    va_start(ap, fmt);
    dv_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    dv_buf_printf(&text, ": %s", (*err)->message);
    replace(err, make(*err, (*err)->code, &text));
    return code;
}

int dv_error_oom(davit_error **err)
{
    if (err)
        replace(err, &no_memory);
    return DAVIT_ENOMEM;
}

const void *dv_error_more(const davit_error *err, size_t *out_size)
{
    if (!err || err->more_size == 0)
        return NULL;
    *out_size = err->more_size;
    return err->text + strlen(err->text) + 1;
}

int dv_error_set_more(davit_error **err, const void *bytes, size_t size)
{
    if (!err || !*err || is_static(*err))
        return davit_error_code(err ? *err : NULL);
    DV_AUTO(dv_buf) text = DV_BUF_INIT(MESSAGE_MAX);
    dv_buf_puts(&text, (*err)->message);
    replace(err, make_with(*err, (*err)->code, &text, bytes, size));
    return (*err)->code;
}

int dv_error_move(davit_error **to, davit_error **from, int code)
{
    if (to) {
        replace(to, *from);
        *from = NULL;
    } else {
        davit_error_free(*from);
        *from = NULL;
    }
    return code;
}

davit_error *dv_error_copy(const davit_error *err)
{
    if (!err || is_static(err))
        return (davit_error *)err;
    DV_AUTO(dv_buf) text = DV_BUF_INIT(MESSAGE_MAX);
    dv_buf_puts(&text, err->message);
    return make(err, err->code, &text);
}

int davit_error_set(davit_error **err, int code, const char *message)
{
    return dv_error_set(err, code, "%s", message);
}

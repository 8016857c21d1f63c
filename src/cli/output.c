/* cli/output.c - see output.h. Decides what may reach a terminal; leaves to the commands what is said. */
#include "cli/output.h"

#include "util/file.h"
#include "util/str.h"

#include <errno.h>
#include <string.h>

#define PENDING_MAX (32u << 10)
#define ESCAPED_MAX (8u << 10)    /* of a piece */
#define DOCUMENT_MAX (256u << 20) /* bytes of one JSON document */

void dv_output_init(dv_output *o, int fd)
{
    *o = (dv_output){.fd = fd, .terminal = isatty(fd) == 1, .pending = DV_BUF_INIT(PENDING_MAX)};
}

void dv_output_clear(dv_output *o)
{
    dv_buf_clear(&o->pending);
}

static int state(const dv_output *o)
{
    if (!o->error)
        return 0;
    return o->error == ENOSPC || o->error == EDQUOT ? DAVIT_ENOSPACE : DAVIT_EIO;
}

static void write_now(dv_output *o, const void *bytes, size_t size)
{
    int r = o->error ? 0 : dv_write_all(o->fd, bytes, size);
    if (r < 0)
        o->error = -r;
}

int dv_output_flush(dv_output *o)
{
    if (o->pending.size)
        write_now(o, o->pending.data, o->pending.size);
    dv_buf_reset(&o->pending);
    return state(o);
}

int dv_output_bytes(dv_output *o, const void *bytes, size_t size)
{
    if (size > PENDING_MAX / 2 || size > PENDING_MAX - o->pending.size)
        dv_output_flush(o);
    if (size > PENDING_MAX / 2)
        write_now(o, bytes, size);
    else
        dv_buf_append(&o->pending, bytes, size);
    if (o->pending.failed) {
        dv_output_flush(o);
        write_now(o, bytes, size);
    }
    return state(o);
}

static int escaped(dv_output *o, const char *bytes, size_t size, bool keep_newlines)
{
    while (size > 0) {
        size_t plain = dv_str_plain(bytes, size);
        dv_output_bytes(o, bytes, plain);
        bytes += plain;
        size -= plain;
        if (size == 0)
            break;
        size_t n = size < ESCAPED_MAX / 4 ? size : ESCAPED_MAX / 4;
        DV_AUTO(dv_buf) text = DV_BUF_INIT(ESCAPED_MAX);
        /* Do not cut a character in two: its halves would be shown as broken bytes. */
        for (size_t back = 0; n < size && back < 3 && ((unsigned char)bytes[n] & 0xC0) == 0x80; back++)
            n--;
        dv_str_escape(&text, bytes, n, keep_newlines);
        if (text.failed)
            return DAVIT_ENOMEM;
        dv_output_bytes(o, text.data, text.size);
        bytes += n;
        size -= n;
    }
    return state(o);
}

int dv_output_raw(dv_output *o, const void *bytes, size_t size)
{
    return o->terminal ? escaped(o, bytes, size, /* keep_newlines= */ true) : dv_output_bytes(o, bytes, size);
}

int dv_output_text(dv_output *o, const char *text)
{
    return escaped(o, text, strlen(text), /* keep_newlines= */ false);
}

int dv_output_printf(dv_output *o, const char *fmt, ...)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_LINE_MAX);
    va_list ap;
    va_start(ap, fmt);
    dv_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    return text.failed ? DAVIT_ENOMEM : dv_output_bytes(o, dv_buf_text(&text), text.size);
}

/* --- JSON ---------------------------------------------------------------------------------------------------------- */

/*
 * JSON writers escape C0 only. Whatever else the escaper would not let through is written as \uXXXX here; outside of strings
 * JSON has no such characters.
 */
static void append_safe_json(dv_buf *out, const char *s, size_t size)
{
    while (size > 0) {
        uint32_t rune = 0;
        size_t n = dv_utf8_length(s, size, &rune);
        n = n ? n : 1;
        DV_AUTO(dv_buf) shown = DV_BUF_INIT(64);
        if (*s == '\n' || ((unsigned char)*s >= 0x20 && (unsigned char)*s < 0x7F)) {
            dv_buf_putc(out, *s);
        } else {
            dv_str_escape(&shown, s, n, /* keep_newlines= */ false);
            bool same = shown.size == n && memcmp(shown.data, s, n) == 0;
            if (same)
                dv_buf_append(out, s, n);
            else if (rune >= 0x10000)
                dv_buf_printf(out, "\\u%04x\\u%04x", 0xD800 + ((rune - 0x10000) >> 10),
                              0xDC00 + ((rune - 0x10000) & 0x3FF));
            else
                dv_buf_printf(out, "\\u%04x", rune);
        }
        s += n;
        size -= n;
    }
}

int dv_output_json(dv_output *o, const dv_json *document, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DOCUMENT_MAX);
    DV_AUTO(dv_buf) safe = DV_BUF_INIT(2 * (size_t)DOCUMENT_MAX);
    dv_json_format(document, 4, /* html_safe= */ false, &text);
    append_safe_json(&safe, dv_buf_text(&text), text.size);
    dv_buf_putc(&safe, '\n');
    if (text.failed || safe.failed)
        return dv_error_oom(err);
    return dv_output_bytes(o, safe.data, safe.size);
}

int dv_output_json_string(dv_output *o, const char *text, davit_error **err)
{
    DV_AUTOPTR(dv_json) array = dv_json_array_new();
    DV_AUTO(dv_buf) plain = DV_BUF_INIT(DOCUMENT_MAX);
    DV_AUTO(dv_buf) safe = DV_BUF_INIT(2 * (size_t)DOCUMENT_MAX);
    if (!array || !dv_json_append_string(array, text))
        return dv_error_oom(err);
    dv_json_format(array, 0, /* html_safe= */ false, &plain);
    if (plain.failed || plain.size < 2)
        return dv_error_oom(err);
    append_safe_json(&safe, plain.data + 1, plain.size - 2); /* without the brackets */
    if (safe.failed)
        return dv_error_oom(err);
    return dv_output_bytes(o, dv_buf_text(&safe), safe.size);
}

/* --- messages ------------------------------------------------------------------------------------------------------ */

int dv_output_finish(dv_output *o, davit_error **err)
{
    int r = dv_output_flush(o);
    return r < 0 ? dv_error_file(err, o->error, "cannot write standard output") : 0;
}

void dv_message_format(dv_buf *out, const char *message)
{
    const char *end = message + strnlen(message, DV_MESSAGE_MAX);
    while (message < end) {
        const char *stop = message;
        bool newline = false;
        while (stop < end && !strchr("\r\n\t", *stop))
            stop++;
        dv_str_escape(out, message, (size_t)(stop - message), /* keep_newlines= */ false);
        for (message = stop; message < end && strchr("\r\n\t", *message); message++)
            newline = newline || *message == '\n';
        if (stop < message && message < end && out->size)
            dv_buf_puts(out, newline ? "; " : " ");
    }
}

void dv_message_write(int fd, const char *prefix, const char *message)
{
    DV_AUTO(dv_buf) line = DV_BUF_INIT(DV_LINE_MAX);
    dv_buf_printf(&line, "%s: ", prefix);
    dv_message_format(&line, message);
    dv_buf_putc(&line, '\n');
    if (!line.failed)
        (void)!dv_write_all(fd, line.data, line.size);
}

int dv_exit_status(int code)
{
    switch (code) {
    case 0:
        return 0;
    case DAVIT_EINVAL:
        return 2;
    case DAVIT_ENOTFOUND:
    case DAVIT_EPLATFORM:
        return 3;
    case DAVIT_EUNAUTHORIZED:
    case DAVIT_EDENIED:
        return 4;
    case DAVIT_EDIGEST:
    case DAVIT_ECERTIFICATE:
        return 5;
    case DAVIT_ENETWORK:
    case DAVIT_ETIMEOUT:
    case DAVIT_ETLS:
    case DAVIT_EUNAVAILABLE:
    case DAVIT_ERATELIMIT:
        return 6;
    case DAVIT_EIO:
    case DAVIT_ENOSPACE:
    case DAVIT_ESTORE:
        return 7;
    case DAVIT_ECANCELLED:
        return 130;
    default:
        return 1;
    }
}

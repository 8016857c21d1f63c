/* util/str.c - see str.h. */
#include "util/str.h"

#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

bool dv_str_equal(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

bool dv_str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool dv_str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

bool dv_str_starts_nocase(const char *s, const char *prefix)
{
    for (; *prefix; s++, prefix++)
        if (lower(*s) != lower(*prefix))
            return false;
    return true;
}

bool dv_str_equal_nocase(const char *a, const char *b)
{
    return dv_str_starts_nocase(a, b) && strlen(a) == strlen(b);
}

void dv_str_lower(char *s)
{
    for (; *s; s++)
        *s = lower(*s);
}

bool dv_char_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

bool dv_char_is_alnum(char c)
{
    return dv_char_is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z');
}

bool dv_str_to_u64(const char *s, uint64_t *out)
{
    uint64_t v = 0;
    if (!*s)
        return false;
    for (; *s; s++)
        if (!dv_char_is_digit(*s) || __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v))
            return false;
    *out = v;
    return true;
}

size_t dv_utf8_length(const char *s, size_t n, uint32_t *out_rune)
{
    const unsigned char *u = (const unsigned char *)s;
    size_t len = u[0] < 0x80                   ? 1
                 : u[0] >= 0xc2 && u[0] < 0xe0 ? 2
                 : (u[0] & 0xf0) == 0xe0       ? 3
                 : u[0] >= 0xf0 && u[0] < 0xf5 ? 4
                                               : 0;
    if (len == 0 || len > n)
        return 0;
    uint32_t rune = len == 1 ? u[0] : u[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if ((u[i] & 0xc0) != 0x80)
            return 0;
        rune = rune << 6 | (u[i] & 0x3f);
    }
    if ((len == 3 && rune < 0x800) || (len == 4 && (rune < 0x10000 || rune > 0x10ffff)) ||
        (rune >= 0xd800 && rune < 0xe000))
        return 0;
    if (out_rune)
        *out_rune = rune;
    return len;
}

bool dv_utf8_is_valid(const char *s)
{
    size_t left = strlen(s), n = 1;
    for (; left > 0 && n > 0; s += n, left -= n)
        n = dv_utf8_length(s, left, NULL);
    return n > 0;
}

static bool is_unsafe(uint32_t rune)
{
    return rune < 0x20 || (rune >= 0x7f && rune < 0xa0) || rune == 0x061c || rune == 0x200e ||
           rune == 0x200f || (rune >= 0x2028 && rune <= 0x202e) || (rune >= 0x2066 && rune <= 0x2069) ||
           rune == 0xfeff;
}

size_t dv_str_plain(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && s[i] >= 0x20 && s[i] < 0x7f)
        i++;
    return i;
}

void dv_str_escape(dv_buf *out, const char *s, size_t n, bool keep_newlines)
{
    while (n > 0) {
        size_t plain = dv_str_plain(s, n);
        dv_buf_append(out, s, plain);
        s += plain;
        n -= plain;
        if (n == 0)
            return;
        uint32_t rune = 0;
        size_t len = dv_utf8_length(s, n, &rune);
        bool kept = keep_newlines && (rune == '\n' || rune == '\t') && len == 1;
        if (len > 0 && (kept || !is_unsafe(rune))) {
            dv_buf_append(out, s, len);
        } else {
            len = len ? len : 1;
            for (size_t i = 0; i < len; i++)
                dv_buf_printf(out, "\\x%02X", (unsigned)(unsigned char)s[i]);
        }
        s += len;
        n -= len;
    }
}

void dv_str_quote(dv_buf *out, const char *s, size_t n)
{
    static const char names[] = "abtnvfr"; /* 0x07 to 0x0d */
    dv_buf_putc(out, '"');
    while (n > 0) {
        uint32_t rune = 0;
        size_t len = dv_utf8_length(s, n, &rune);
        if (len == 0 || rune < 0x20 || rune == 0x7f) {
            len = 1;
            if (*s >= 0x07 && *s <= 0x0d)
                dv_buf_printf(out, "\\%c", names[*s - 0x07]);
            else
                dv_buf_printf(out, "\\x%02x", (unsigned)(unsigned char)*s);
        } else if (is_unsafe(rune)) {
            dv_buf_printf(out, "\\u%04x", (unsigned)rune);
        } else {
            if (*s == '"' || *s == '\\')
                dv_buf_putc(out, '\\');
            dv_buf_append(out, s, len);
        }
        s += len;
        n -= len;
    }
    dv_buf_putc(out, '"');
}

/* util/base64.c - see base64.h. */
#include "util/base64.h"

#include <stdint.h>

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void dv_base64_encode(dv_buf *out, const void *bytes, size_t size, bool url_alphabet)
{
    const char *alphabet = url_alphabet ? url_safe : standard;
    const uint8_t *p = bytes;
    for (size_t i = 0; i < size; i += 3) {
        size_t n = size - i < 3 ? size - i : 3;
        uint32_t group = (uint32_t)p[i] << 16;
        if (n > 1)
            group |= (uint32_t)p[i + 1] << 8;
        if (n > 2)
            group |= p[i + 2];
        char quad[4] = {alphabet[group >> 18], alphabet[group >> 12 & 63], '=', '='};
        if (n > 1)
            quad[2] = alphabet[group >> 6 & 63];
        if (n > 2)
            quad[3] = alphabet[group & 63];
        dv_buf_append(out, quad, sizeof(quad));
    }
}

/* -1 for a byte outside the alphabet. */
static int digit_value(char c, bool url_alphabet)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == (url_alphabet ? '-' : '+'))
        return 62;
    return c == (url_alphabet ? '_' : '/') ? 63 : -1;
}

bool dv_base64_decode(dv_buf *out, const char *text, size_t size, bool url_alphabet)
{
    if (size % 4 != 0)
        return false;
    for (size_t i = 0; i < size; i += 4) {
        bool last = i + 4 == size;
        size_t digits = last && text[i + 3] == '=' ? (text[i + 2] == '=' ? 2 : 3) : 4;
        uint32_t group = 0;
        for (size_t j = 0; j < 4; j++) {
            int value = j < digits ? digit_value(text[i + j], url_alphabet) : 0;
            if (value < 0)
                return false;
            group = group << 6 | (uint32_t)value;
        }
        uint8_t bytes[3] = {(uint8_t)(group >> 16), (uint8_t)(group >> 8), (uint8_t)group};
        dv_buf_append(out, bytes, digits - 1);
    }
    return !out->failed;
}

/* util/base64.h - base64 text (RFC 4648), standard and URL alphabets, with padding. */
#ifndef DV_UTIL_BASE64_H
#define DV_UTIL_BASE64_H

#include "util/buf.h"

#include <stdbool.h>

void dv_base64_encode(dv_buf *out, const void *bytes, size_t size, bool url_alphabet);
/* Padding required, no other bytes tolerated. False on anything else; out is then unspecified. */
bool dv_base64_decode(dv_buf *out, const char *text, size_t size, bool url_alphabet);

#endif

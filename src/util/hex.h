/* util/hex.h - hexadecimal text. */
#ifndef DV_UTIL_HEX_H
#define DV_UTIL_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Lower-case digits and a NUL: out has 2 * size + 1 bytes. */
void dv_hex_encode(const void *bytes, size_t size, char *out);
/* Exactly size bytes from 2 * size lower-case digits; false on anything else. */
bool dv_hex_decode(const char *text, uint8_t *out, size_t size);
/* size random bytes from the kernel; never fails. */
void dv_random_bytes(void *out, size_t size);

#endif

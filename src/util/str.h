/* util/str.h - questions about text, byte-wise and without locale; and the one escaper for text from outside. */
#ifndef DV_UTIL_STR_H
#define DV_UTIL_STR_H

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool dv_str_equal(const char *a, const char *b); /* NULL equals only NULL */
bool dv_str_starts(const char *s, const char *prefix);
bool dv_str_ends(const char *s, const char *suffix);
bool dv_str_equal_nocase(const char *a, const char *b);       /* ASCII */
bool dv_str_starts_nocase(const char *s, const char *prefix); /* ASCII */
void dv_str_lower(char *s);                                   /* ASCII, in place */
bool dv_char_is_alnum(char c);
bool dv_char_is_digit(char c);

/* A decimal number that is the whole text, no sign, no space. False on anything else or overflow. */
bool dv_str_to_u64(const char *s, uint64_t *out);

/* Length of the valid UTF-8 sequence at s (n bytes are there), 0 if it is invalid. */
size_t dv_utf8_length(const char *s, size_t n, uint32_t *out_rune);
bool dv_utf8_is_valid(const char *s);

/* How many bytes at the beginning are printable ASCII, which no escaping changes. */
size_t dv_str_plain(const char *s, size_t n);
/*
 * Append text from outside so that a terminal or log cannot be steered by it (threats C11): C0, C1, DEL, bidi controls, line
 * separators and invalid UTF-8 become \xNN; with keep_newlines, \n and \t stay.
 */
void dv_str_escape(dv_buf *out, const char *s, size_t n, bool keep_newlines);

/* Append text as a quoted string like Go's %q, which the specification's messages use: " and \ escaped, control bytes too. */
void dv_str_quote(dv_buf *out, const char *s, size_t n);

#endif

/*
 * net/header.h - HTTP header fields: a list to send, a list received, and the one writer that refuses control bytes
 * (threats A10).
 */
#ifndef DV_NET_HEADER_H
#define DV_NET_HEADER_H

#include "util/buf.h"
#include "util/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct dv_header {
    char *name;
    char *value;
    bool origin_only; /* sent to the first origin of a request only, never again once a hop left it (threats A4) */
    bool secret;      /* value is wiped and traced as *** */
} dv_header;

typedef struct dv_headers {
    dv_header *items;
    size_t count;
} dv_headers;

#define DV_HEADERS_INIT \
    {                   \
        0               \
    }
void dv_headers_clear(dv_headers *h);
DV_DEFINE_AUTO(dv_headers, dv_headers_clear)

enum { DV_HEADER_ORIGIN_ONLY = 1u << 0, DV_HEADER_SECRET = 1u << 1 };

/* Append. A name that is no token, or CTL bytes in the value: DAVIT_EINVAL. */
int dv_headers_add(dv_headers *h, const char *name, const char *value, unsigned flags, davit_error **err);
/* First value of a name (case-insensitive), NULL when absent. Borrowed. */
const char *dv_headers_get(const dv_headers *h, const char *name);
/* The nth (from 0) value of a name, NULL behind the last. Borrowed. */
const char *dv_headers_get_nth(const dv_headers *h, const char *name, size_t nth);
int dv_headers_copy(const dv_headers *from, dv_headers *out, davit_error **err);

/* Retry-After as seconds from now_s: delta-seconds or HTTP-date (a past one is 0); -1 when absent or malformed. */
int64_t dv_header_retry_after_s(const dv_headers *h, int64_t now_s);

/* Content-Range of a 206: "bytes a-b/total"; total DAVIT_SIZE_UNKNOWN for "*". Texts of registry-v2.md 5. */
int dv_header_content_range(const dv_headers *h, uint64_t *out_first, uint64_t *out_last, uint64_t *out_total,
                            davit_error **err);
/* What stands behind its unit. Outputs are touched in any case. */
bool dv_content_range_parse(const char *text, uint64_t *first, uint64_t *last, uint64_t *total);

/* Media type without parameters, lower-cased, into out (size bytes); false when absent, malformed or too long. */
bool dv_header_media_type(const char *content_type, char *out, size_t size);

/* Target of the first Link header whose rel is "next" or absent, NULL when there is none. New text, free(). */
char *dv_header_link_next(const dv_headers *h);

#endif

/*
 * net/range.h - which bytes to ask for next, and what an answer to a Range request means: pure decisions.
 * Spec: DESIGN 5, registry-v2.md 5.
 */
#ifndef DV_NET_RANGE_H
#define DV_NET_RANGE_H

#include "net/header.h"

#define DV_RANGE_BLOB_MIN (32u << 20) /* smaller blobs come in one request */
#define DV_RANGE_FIRST (8u << 20)     /* bytes of the first range, which measures the link */
#define DV_RANGE_MIN (4u << 20)       /* bytes; a shorter rest is not split */
#define DV_RANGE_MAX (64u << 20)
#define DV_RANGE_CONNECTIONS_MAX 6
#define DV_RANGE_FAST (200u << 20) /* bytes/s: one connection is the whole link already */

typedef enum dv_range_answer {
    DV_RANGE_WHOLE,   /* the whole blob from its first byte (200) */
    DV_RANGE_PART,    /* what was asked for (206) */
    DV_RANGE_REFUSED, /* 416, 400: this server does not resume */
    DV_RANGE_OTHER,   /* not an answer to a range: an ordinary error status */
} dv_range_answer;

/*
 * Classify the answer to a GET that asked for first..last (last DAVIT_SIZE_UNKNOWN: to the end; asked false: no Range was
 * sent). size is the blob's, or DAVIT_SIZE_UNKNOWN. A 206 that is not what was asked for is DAVIT_EPROTOCOL with the
 * specification's text.
 */
int dv_range_classify(bool asked, uint64_t first, uint64_t last, uint64_t size, int status,
                      const dv_headers *headers, dv_range_answer *out, davit_error **err);

/* Value of a Range header: "bytes=first-last", without last when it is unknown. */
void dv_range_format(uint64_t first, uint64_t last, dv_buf *out);

/* How many connections a blob should use now. rate is one connection's bytes/s; busy: we, not the link, are the slow ones. */
unsigned dv_range_connections(uint64_t left, uint64_t rate, bool busy, unsigned max);
/* Length of the next range when left bytes remain for that many connections. */
uint64_t dv_range_length(uint64_t left, unsigned connections);

#endif

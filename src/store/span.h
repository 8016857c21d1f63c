/* store/span.h - sets of byte ranges, merged and in order. Pure values. */
#ifndef DV_STORE_SPAN_H
#define DV_STORE_SPAN_H

#include "util/error.h"

#include <stdbool.h>
#include <stdint.h>

#define DV_SPANS_MAX 4096 /* ranges in one set; a transfer has as many as it has connections */

/* Bytes start..end, end exclusive, never empty. */
typedef struct dv_span {
    uint64_t start, end;
} dv_span;

typedef struct dv_spans {
    dv_span *items; /* ascending, apart from each other */
    size_t count;
    size_t capacity;
} dv_spans;
#define DV_SPANS_INIT \
    {                 \
        0             \
    }

void dv_spans_clear(dv_spans *s); /* empty again */
DV_DEFINE_AUTO(dv_spans, dv_spans_clear)
/* Add a range, merging what it touches; an empty one changes nothing. DAVIT_ENOMEM, DAVIT_ETOOBIG. */
int dv_spans_add(dv_spans *s, uint64_t start, uint64_t end, davit_error **err);
/* Take away everything at or behind end. */
void dv_spans_cut(dv_spans *s, uint64_t end);
/* First missing range in from..limit; false when there is none. */
bool dv_spans_gap(const dv_spans *s, uint64_t from, uint64_t limit, uint64_t *out_start, uint64_t *out_end);
/* Bytes in all ranges. */
uint64_t dv_spans_total(const dv_spans *s);
/* End of the range that starts at 0, or 0. */
uint64_t dv_spans_prefix(const dv_spans *s);

#endif

/* store/span.c - see span.h. */
#include "store/span.h"

#include <string.h>

void dv_spans_clear(dv_spans *s)
{
    free(s->items);
    *s = (dv_spans){0};
}

static int make_room(dv_spans *s, davit_error **err)
{
    if (s->count >= DV_SPANS_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "more than %d separate ranges of one blob", DV_SPANS_MAX);
    if (s->count < s->capacity)
        return 0;
    size_t capacity = s->capacity ? 2 * s->capacity : 8;
    dv_span *items = dv_realloc_array(s->items, capacity, sizeof(*items));
    if (!items)
        return dv_error_oom(err);
    s->items = items;
    s->capacity = capacity;
    return 0;
}

int dv_spans_add(dv_spans *s, uint64_t start, uint64_t end, davit_error **err)
{
    if (start >= end)
        return 0;
    size_t first = 0;
    while (first < s->count && s->items[first].end < start)
        first++;
    size_t behind = first; /* items first..behind touch the new range */
    while (behind < s->count && s->items[behind].start <= end)
        behind++;
    if (first == behind) {
        int r = make_room(s, err);
        if (r < 0)
            return r;
        memmove(s->items + first + 1, s->items + first, (s->count - first) * sizeof(*s->items));
        s->items[first] = (dv_span){start, end};
        s->count++;
        return 0;
    }
    dv_span merged = {start, end};
    if (s->items[first].start < start)
        merged.start = s->items[first].start;
    if (s->items[behind - 1].end > end)
        merged.end = s->items[behind - 1].end;
    s->items[first] = merged;
    memmove(s->items + first + 1, s->items + behind, (s->count - behind) * sizeof(*s->items));
    s->count -= behind - first - 1;
    return 0;
}

void dv_spans_cut(dv_spans *s, uint64_t end)
{
    while (s->count > 0 && s->items[s->count - 1].start >= end)
        s->count--;
    if (s->count > 0 && s->items[s->count - 1].end > end)
        s->items[s->count - 1].end = end;
}

bool dv_spans_gap(const dv_spans *s, uint64_t from, uint64_t limit, uint64_t *out_start, uint64_t *out_end)
{
    size_t i = 0;
    while (i < s->count && s->items[i].end <= from)
        i++;
    if (i < s->count && s->items[i].start <= from)
        from = s->items[i++].end;
    if (from >= limit)
        return false;
    *out_start = from;
    *out_end = i < s->count && s->items[i].start < limit ? s->items[i].start : limit;
    return true;
}

uint64_t dv_spans_total(const dv_spans *s)
{
    uint64_t total = 0;
    for (size_t i = 0; i < s->count; i++)
        total += s->items[i].end - s->items[i].start;
    return total;
}

uint64_t dv_spans_prefix(const dv_spans *s)
{
    return s->count > 0 && s->items[0].start == 0 ? s->items[0].end : 0;
}

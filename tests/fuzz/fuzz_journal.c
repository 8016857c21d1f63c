/* Fuzz store/ingest_journal.c: what is read is in order, within the limit, and reads the same when written again. */
#include "store/ingest_journal.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint64_t limit = 1u << 30;
    DV_AUTO(dv_spans) spans = DV_SPANS_INIT;
    DV_AUTO(dv_spans) again = DV_SPANS_INIT;
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_JOURNAL_MAX);
    size_t used = 0;
    if (dv_journal_parse((const char *)data, size, limit, &spans, &used, NULL) < 0) {
        assert(spans.count == 0 && used == 0);
        return 0;
    }
    assert(used <= size);
    for (size_t i = 0; i < spans.count; i++) {
        assert(spans.items[i].start < spans.items[i].end && spans.items[i].end <= limit);
        assert(i == 0 || spans.items[i - 1].end < spans.items[i].start);
    }
    dv_journal_format(&spans, /* with_head= */ true, &text);
    assert(!text.failed);
    assert(dv_journal_parse(dv_buf_text(&text), text.size, limit, &again, &used, NULL) == 0);
    assert(used == text.size && again.count == spans.count);
    assert(spans.count == 0 || memcmp(again.items, spans.items, spans.count * sizeof(*spans.items)) == 0);
    return 0;
}

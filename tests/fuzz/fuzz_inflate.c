/*
 * Any bytes as a compressed stream: nothing goes beyond the limit, and how the bytes come changes neither result nor content. The last byte
 * chooses options and pieces, so that whole streams are seeds as they are (tests/vectors/inflate).
 */
#include "archive/compress.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_OUTPUT = 1 << 20, SMALL_OUTPUT = 100 };

typedef struct outcome {
    dv_sink sink;
    int code;
    uint64_t size;
    uint64_t sum; /* FNV-1a of the content */
    bool finished;
} outcome;

static int sum_up(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    outcome *o = (outcome *)s;
    const uint8_t *p = bytes;
    assert(size > 0 && size <= MAX_OUTPUT && !o->finished);
    o->size += size;
    for (size_t i = 0; i < size; i++)
        o->sum = (o->sum ^ p[i]) * 0x100000001b3u;
    return 0;
}

static int end(dv_sink *s, davit_error **err)
{
    ((outcome *)s)->finished = true;
    return 0;
}

static outcome inflate(const dv_inflate_options *options, const uint8_t *data, size_t size, size_t piece)
{
    outcome o = {.sink = {.write = sum_up, .finish = end}};
    dv_inflate *i = NULL;
    davit_error *err = NULL;
    if (dv_inflate_new(options, &o.sink, &i, NULL) < 0)
        return o;
    for (size_t at = 0; o.code == 0 && at < size; at += piece)
        o.code = dv_sink_write(dv_inflate_sink(i), data + at, size - at < piece ? size - at : piece, &err);
    if (o.code == 0)
        o.code = dv_sink_finish(dv_inflate_sink(i), &err);
    assert(o.finished == (o.code == 0) && davit_error_code(err) == o.code);
    assert(o.code == 0 || o.code == DAVIT_EFORMAT || o.code == DAVIT_ETOOBIG ||
           o.code == DAVIT_EUNSUPPORTED || o.code == DAVIT_ENOMEM);
    assert(o.size <= options->max_output);
    assert(o.code < 0 || o.size == dv_inflate_output_bytes(i));
    davit_error_free(err);
    dv_inflate_free(i);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t pieces[] = {1, 3, 11, 64};
    uint8_t choice = size > 0 ? data[size - 1] : 0;
    const dv_inflate_options options = {
        .max_output = choice & 1 ? MAX_OUTPUT : SMALL_OUTPUT,
        .zstd_window_log = choice & 2 ? DV_ZSTD_WINDOW_LOG_MIN : DV_ZSTD_WINDOW_LOG_MAX,
        .allow_old = !(choice & 4),
    };
    outcome whole = inflate(&options, data, size, size > 0 ? size : 1);
    outcome cut = inflate(&options, data, size, pieces[choice >> 3 & 3]);
    assert(whole.finished == cut.finished);
    assert(!whole.finished || (whole.size == cut.size && whole.sum == cut.sum));
    return 0;
}

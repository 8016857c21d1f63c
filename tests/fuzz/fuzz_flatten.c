/*
 * Fuzz archive/flatten*.c: a tar is flattened twice over, as the lower and the upper layer of one image. What comes out is a sound archive, and
 * flattened again it is the same bytes: nothing is left in it that could be resolved, hidden or put in order. But for directories named as
 * markers are, which only exist because something is in them: as an entry of a layer such a name means something else.
 *
 * The input is a tar. The checksums of what stands where headers are due are made right, so that invention reaches behind them.
 */
#include "archive/flatten.h"
#include "archive/tar_header.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define INPUT_MAX (1u << 20)
#define BYTES_MAX (16u << 20)
#define OUTPUT_MAX (64u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Keeps what is written. */
typedef struct memory {
    dv_sink sink;
    dv_buf bytes;
} memory;

static int keep(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    memory *m = (memory *)s;
    dv_buf_append(&m->bytes, bytes, size);
    return m->bytes.failed;
}

static int kept(dv_sink *s, davit_error **err)
{
    return 0;
}

static size_t octal(const uint8_t *p, size_t size)
{
    size_t value = 0;
    for (size_t i = 0; i < size && p[i] >= '0' && p[i] <= '7'; i++)
        value = value * 8 + (size_t)(p[i] - '0');
    return value;
}

/* Walk as a reader would, by the sizes in the headers. */
static void seal(uint8_t *tar, size_t size)
{
    for (size_t at = 0; size - at >= DV_TAR_BLOCK_SIZE;) {
        uint8_t *block = tar + at;
        size_t data = octal(block + 124, 11);
        bool zeros = dv_tar_block_is_zero(block);
        if (!zeros)
            snprintf((char *)block + 148, 8, "%06o",
                     (unsigned)dv_tar_block_sum(block, /* as_signed= */ false));
        at += DV_TAR_BLOCK_SIZE;
        data = (data + DV_TAR_BLOCK_SIZE - 1) & ~(size_t)(DV_TAR_BLOCK_SIZE - 1);
        if (zeros || data > size - at)
            continue;
        at += data;
    }
}

static int feed(dv_sink *to, const void *bytes, size_t size)
{
    int r = 0;
    for (size_t at = 0; r == 0 && at < size;) {
        size_t piece = size - at > 4096 ? 4096 : size - at;
        r = dv_sink_write(to, (const uint8_t *)bytes + at, piece, NULL);
        at += piece;
    }
    return r < 0 ? r : dv_sink_finish(to, NULL);
}

/* So many layers of the same bytes. */
static int flatten(const void *bytes, size_t size, size_t layers, memory *out)
{
    const dv_flatten_options options = {.max_bytes = BYTES_MAX};
    DV_AUTOPTR(dv_flatten) f = NULL;
    dv_sink *to;
    int r = dv_flatten_new(&options, &f, NULL);
    for (size_t i = 0; r == 0 && i < layers; i++) {
        r = dv_flatten_read(f, "fuzz", &to, NULL);
        if (r == 0)
            r = feed(to, bytes, size);
    }
    if (r < 0)
        return r;
    *out = (memory){.sink = {.write = keep, .finish = kept}, .bytes = DV_BUF_INIT(OUTPUT_MAX)};
    r = dv_flatten_begin(f, &out->sink, NULL);
    for (size_t i = 0; r == 0 && i < layers; i++) {
        if (!dv_flatten_wants(f, i))
            continue;
        r = dv_flatten_write(f, i, "fuzz", &to, NULL);
        if (r == 0)
            r = feed(to, bytes, size);
    }
    if (r == 0)
        r = dv_flatten_finish(f, NULL);
    if (r < 0)
        dv_buf_clear(&out->bytes);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    memory once, twice;
    DV_AUTOFREE uint8_t *tar = size <= INPUT_MAX ? dv_memdup(data, size ? size : 1) : NULL;
    if (!tar)
        return 0;
    seal(tar, size);
    if (flatten(tar, size, 2, &once) < 0)
        return 0;
    if (memmem(once.bytes.data, once.bytes.size, ".wh.", 4)) {
        dv_buf_clear(&once.bytes);
        return 0;
    }
    int r = flatten(once.bytes.data, once.bytes.size, 1, &twice);
    assert(r == 0);
    assert(once.bytes.size == twice.bytes.size);
    assert(memcmp(once.bytes.data, twice.bytes.data, once.bytes.size) == 0);
    dv_buf_clear(&once.bytes);
    dv_buf_clear(&twice.bytes);
    return 0;
}

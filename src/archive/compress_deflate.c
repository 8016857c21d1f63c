/*
 * archive/compress_deflate.c - compressing a stream as gzip or zstd.
 *
 * Input is gathered into blocks of one size, so that the result depends on the bytes alone and not on how they came.
 */
#include "archive/compress_codec.h"

#include <string.h>

#define BLOCK (256u << 10) /* bytes given to a codec at once, and taken from it */

struct dv_deflate {
    dv_sink sink;
    dv_sink *next;
    dv_encoder *encoder; /* NULL: bytes pass through */
    size_t used;         /* bytes of the block below */
    uint8_t block[BLOCK];
    uint8_t out[BLOCK];
};

/* Everything that was gathered; last: the end of the stream too. */
static int encode_block(dv_deflate *d, bool last, davit_error **err)
{
    dv_codec_io io = {.in = d->block, .in_size = d->used};
    for (;;) {
        io.out = d->out;
        io.out_size = BLOCK;
        int r = d->encoder->step(d->encoder, &io, last, err);
        if (r < 0)
            return r;
        int pushed = dv_sink_write(d->next, d->out, BLOCK - io.out_size, err);
        if (pushed < 0)
            return pushed;
        if (last ? r == DV_CODEC_END : io.in_size == 0 && io.out_size > 0)
            break;
        if (io.out_size == BLOCK && io.in_size == d->used)
            return dv_error_set(err, DAVIT_EINVAL, "compressing leads nowhere");
    }
    d->used = 0;
    return 0;
}

static int deflate_write(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    dv_deflate *d = (dv_deflate *)s;
    const uint8_t *p = bytes;
    if (!d->encoder)
        return dv_sink_write(d->next, bytes, size, err);
    while (size > 0) {
        size_t part = size < BLOCK - d->used ? size : BLOCK - d->used;
        memcpy(d->block + d->used, p, part);
        d->used += part;
        p += part;
        size -= part;
        int r = d->used == BLOCK ? encode_block(d, /* last= */ false, err) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

static int deflate_finish(dv_sink *s, davit_error **err)
{
    dv_deflate *d = (dv_deflate *)s;
    int r = d->encoder ? encode_block(d, /* last= */ true, err) : 0;
    return r == 0 ? dv_sink_finish(d->next, err) : r;
}

int dv_deflate_new(dv_compression kind, int level, dv_sink *next, dv_deflate **out, davit_error **err)
{
    if (kind != DV_COMPRESSION_NONE && kind != DV_COMPRESSION_GZIP && kind != DV_COMPRESSION_ZSTD)
        return dv_error_set(err, DAVIT_EUNSUPPORTED, "%s is not written, only gzip and zstd are",
                            dv_compression_name(kind));
    DV_AUTOPTR(dv_deflate) d = dv_realloc_array(NULL, 1, sizeof(*d));
    if (!d)
        return dv_error_oom(err);
    d->sink = (dv_sink){.write = deflate_write, .finish = deflate_finish};
    d->next = next;
    d->used = 0;
    d->encoder = kind == DV_COMPRESSION_GZIP   ? dv_gzip_encoder_new(level)
                 : kind == DV_COMPRESSION_ZSTD ? dv_zstd_encoder_new(level)
                                               : NULL;
    if (!d->encoder && kind != DV_COMPRESSION_NONE)
        return dv_error_oom(err);
    *out = DV_STEAL(d);
    return 0;
}

dv_sink *dv_deflate_sink(dv_deflate *d)
{
    return &d->sink;
}

void dv_deflate_free(dv_deflate *d)
{
    if (!d)
        return;
    if (d->encoder)
        d->encoder->free(d->encoder);
    free(d);
}

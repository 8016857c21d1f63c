/* archive/compress_xz.c - reading xz by liblzma, for old archives. */
#include "archive/compress_codec.h"

#include <lzma.h>

#define MEMORY_MAX (64ull << 20) /* bytes for one stream (threats C6); dictionaries up to 32 MiB fit, xz -8 */

typedef struct xz_decoder {
    dv_decoder decoder;
    lzma_stream stream;
} xz_decoder;

static int xz_fault(xz_decoder *x, lzma_ret r, davit_error **err)
{
    switch (r) {
    case LZMA_MEM_ERROR:
        return dv_error_oom(err);
    case LZMA_MEMLIMIT_ERROR:
        return dv_error_set(err, DAVIT_ETOOBIG,
                            "xz stream: refused, undoing it takes %llu MiB of memory, and the limit is %llu "
                            "MiB: xz -8 and below fit",
                            (unsigned long long)((lzma_memusage(&x->stream) + (1 << 20) - 1) >> 20),
                            MEMORY_MAX >> 20);
    case LZMA_UNSUPPORTED_CHECK:
    case LZMA_OPTIONS_ERROR:
        return dv_error_set(err, DAVIT_EUNSUPPORTED, "xz stream: it uses a filter or check that is not known");
    case LZMA_FORMAT_ERROR:
        return dv_error_set(err, DAVIT_EFORMAT, "xz stream: damaged header");
    default:
        return dv_error_set(err, DAVIT_EFORMAT, "xz stream: damaged data");
    }
}

/* A second start takes over the memory of the first. */
static int xz_restart(dv_decoder *d, davit_error **err)
{
    xz_decoder *x = (xz_decoder *)d;
    lzma_ret r = lzma_stream_decoder(&x->stream, MEMORY_MAX, LZMA_TELL_UNSUPPORTED_CHECK);
    return r == LZMA_OK ? 0 : xz_fault(x, r, err);
}

static int xz_step(dv_decoder *d, dv_codec_io *io, davit_error **err)
{
    xz_decoder *x = (xz_decoder *)d;
    lzma_stream *s = &x->stream;
    s->next_in = io->in;
    s->avail_in = io->in_size;
    s->next_out = io->out;
    s->avail_out = io->out_size;
    lzma_ret r = lzma_code(s, LZMA_RUN);
    if (r != LZMA_OK && r != LZMA_STREAM_END && r != LZMA_BUF_ERROR)
        return xz_fault(x, r, err);
    io->in = s->next_in;
    io->in_size = s->avail_in;
    io->out = s->next_out;
    io->out_size = s->avail_out;
    return r == LZMA_STREAM_END ? DV_CODEC_END : DV_CODEC_MORE;
}

static void xz_decoder_free(dv_decoder *d)
{
    lzma_end(&((xz_decoder *)d)->stream);
    free(d);
}

dv_decoder *dv_xz_decoder_new(void)
{
    xz_decoder *x = dv_new(xz_decoder);
    if (!x)
        return NULL;
    x->decoder = (dv_decoder){.restart = xz_restart, .step = xz_step, .free = xz_decoder_free};
    x->stream = (lzma_stream)LZMA_STREAM_INIT;
    return &x->decoder;
}

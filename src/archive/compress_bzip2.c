/* archive/compress_bzip2.c - reading bzip2 by libbz2, for old archives. Its memory is 4 MiB at most, by its format. */
#include "archive/compress_codec.h"

#include <bzlib.h>

typedef struct bzip2_decoder {
    dv_decoder decoder;
    bz_stream stream;
    bool begun;
} bzip2_decoder;

static void bzip2_end(bzip2_decoder *b)
{
    if (b->begun)
        BZ2_bzDecompressEnd(&b->stream);
    b->begun = false;
}

static int bzip2_restart(dv_decoder *d, davit_error **err)
{
    bzip2_decoder *b = (bzip2_decoder *)d;
    bzip2_end(b);
    b->stream = (bz_stream){0};
    if (BZ2_bzDecompressInit(&b->stream, /* verbosity= */ 0, /* small= */ 0) != BZ_OK)
        return dv_error_oom(err);
    b->begun = true;
    return 0;
}

static int bzip2_step(dv_decoder *d, dv_codec_io *io, davit_error **err)
{
    bz_stream *s = &((bzip2_decoder *)d)->stream;
    s->next_in = (char *)io->in;
    s->avail_in = (unsigned)io->in_size;
    s->next_out = (char *)io->out;
    s->avail_out = (unsigned)io->out_size;
    int r = BZ2_bzDecompress(s);
    if (r == BZ_MEM_ERROR)
        return dv_error_oom(err);
    if (r != BZ_OK && r != BZ_STREAM_END)
        return dv_error_set(err, DAVIT_EFORMAT, "bzip2 stream: %s",
                            r == BZ_DATA_ERROR_MAGIC ? "damaged header" : "damaged data");
    io->in += io->in_size - s->avail_in;
    io->in_size = s->avail_in;
    io->out += io->out_size - s->avail_out;
    io->out_size = s->avail_out;
    return r == BZ_STREAM_END ? DV_CODEC_END : DV_CODEC_MORE;
}

static void bzip2_decoder_free(dv_decoder *d)
{
    bzip2_end((bzip2_decoder *)d);
    free(d);
}

dv_decoder *dv_bzip2_decoder_new(void)
{
    bzip2_decoder *b = dv_new(bzip2_decoder);
    if (!b)
        return NULL;
    b->decoder = (dv_decoder){.restart = bzip2_restart, .step = bzip2_step, .free = bzip2_decoder_free};
    return &b->decoder;
}

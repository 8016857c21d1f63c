/* archive/compress_gzip_zlib.c - gzip by zlib, where ISA-L does not build: the same interface, half the speed. */
#include "archive/compress_codec.h"

#include <zlib.h>

#define GZIP_ONLY (15 + 16) /* window bits: 32 KiB, gzip's header and trailer (zlib.h) */
#define MEMORY_LEVEL 8      /* zlib's default */

typedef struct gzip_decoder {
    dv_decoder decoder;
    z_stream stream;
} gzip_decoder;

static void io_to_stream(z_stream *s, const dv_codec_io *io)
{
    s->next_in = (Bytef *)io->in;
    s->avail_in = (uInt)io->in_size;
    s->next_out = io->out;
    s->avail_out = (uInt)io->out_size;
}

static void io_from_stream(dv_codec_io *io, const z_stream *s)
{
    io->in = s->next_in;
    io->in_size = s->avail_in;
    io->out = s->next_out;
    io->out_size = s->avail_out;
}

static int gzip_restart(dv_decoder *d, davit_error **err)
{
    inflateReset(&((gzip_decoder *)d)->stream);
    return 0;
}

static int gzip_step(dv_decoder *d, dv_codec_io *io, davit_error **err)
{
    z_stream *s = &((gzip_decoder *)d)->stream;
    io_to_stream(s, io);
    int r = inflate(s, Z_NO_FLUSH);
    if (r == Z_MEM_ERROR)
        return dv_error_oom(err);
    if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
        return dv_error_set(err, DAVIT_EFORMAT, "gzip stream: %s", s->msg ? s->msg : "damaged data");
    io_from_stream(io, s);
    return r == Z_STREAM_END ? DV_CODEC_END : DV_CODEC_MORE;
}

static void gzip_decoder_free(dv_decoder *d)
{
    inflateEnd(&((gzip_decoder *)d)->stream);
    free(d);
}

dv_decoder *dv_gzip_decoder_new(void)
{
    gzip_decoder *g = dv_new(gzip_decoder);
    if (!g)
        return NULL;
    g->decoder = (dv_decoder){.restart = gzip_restart, .step = gzip_step, .free = gzip_decoder_free};
    if (inflateInit2(&g->stream, GZIP_ONLY) != Z_OK) {
        free(g);
        return NULL;
    }
    return &g->decoder;
}

typedef struct gzip_encoder {
    dv_encoder encoder;
    z_stream stream;
} gzip_encoder;

static int gzip_encode(dv_encoder *e, dv_codec_io *io, bool last, davit_error **err)
{
    z_stream *s = &((gzip_encoder *)e)->stream;
    io_to_stream(s, io);
    int r = deflate(s, last ? Z_FINISH : Z_NO_FLUSH);
    if (r != Z_OK && r != Z_STREAM_END && r != Z_BUF_ERROR)
        return dv_error_set(err, DAVIT_EFORMAT, "gzip: compressing failed (%d)", r);
    io_from_stream(io, s);
    return r == Z_STREAM_END ? DV_CODEC_END : DV_CODEC_MORE;
}

static void gzip_encoder_free(dv_encoder *e)
{
    deflateEnd(&((gzip_encoder *)e)->stream);
    free(e);
}

dv_encoder *dv_gzip_encoder_new(int level)
{
    int chosen = level <= 1 ? Z_BEST_SPEED : level > Z_BEST_COMPRESSION ? Z_BEST_COMPRESSION : level;
    gzip_encoder *g = dv_new(gzip_encoder);
    if (!g)
        return NULL;
    g->encoder = (dv_encoder){.step = gzip_encode, .free = gzip_encoder_free};
    if (deflateInit2(&g->stream, chosen, Z_DEFLATED, GZIP_ONLY, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK) {
        free(g);
        return NULL;
    }
    return &g->encoder;
}

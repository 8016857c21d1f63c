/*
 * archive/compress_gzip_isal.c - gzip (RFC 1952) by ISA-L, both ways. compress_gzip_zlib.c is for where ISA-L does not build.
 *
 * ISA-L checks header, header CRC, CRC and length; reserved flags it lets pass, so they are looked at here.
 */
#include "archive/compress_codec.h"

#include <isa-l/igzip_lib.h>

#define FLAGS_AT 3          /* byte of a member's header that holds the flags */
#define FLAGS_RESERVED 0xe0 /* must be zero (RFC 1952, 2.3.1.2) */

typedef struct gzip_decoder {
    dv_decoder decoder;
    unsigned header_bytes; /* seen of this member, until its flags were */
    bool has_header;
    struct isal_gzip_header header;
    struct inflate_state state;
} gzip_decoder;

static int gzip_restart(dv_decoder *d, davit_error **err)
{
    gzip_decoder *g = (gzip_decoder *)d;
    isal_inflate_reset(&g->state);
    isal_gzip_header_init(&g->header);
    g->state.crc_flag = ISAL_GZIP_NO_HDR_VER;
    g->header_bytes = 0;
    g->has_header = false;
    return 0;
}

static bool has_reserved_flags(gzip_decoder *g, const dv_codec_io *io)
{
    if (g->header_bytes > FLAGS_AT)
        return false;
    size_t at = FLAGS_AT - g->header_bytes;
    if (io->in_size <= at) {
        g->header_bytes += (unsigned)io->in_size;
        return false;
    }
    g->header_bytes = FLAGS_AT + 1;
    return io->in[at] & FLAGS_RESERVED;
}

static int gzip_fault(int r, davit_error **err)
{
    const char *what = "damaged data";
    switch (r) {
    case ISAL_INVALID_WRAPPER:
        what = "damaged header";
        break;
    case ISAL_UNSUPPORTED_METHOD:
        what = "unknown method in its header";
        break;
    case ISAL_INCORRECT_CHECKSUM:
        what = "its checksum or length is wrong";
        break;
    default:
        break;
    }
    return dv_error_set(err, DAVIT_EFORMAT, "gzip stream: %s", what);
}

static int gzip_step(dv_decoder *d, dv_codec_io *io, davit_error **err)
{
    gzip_decoder *g = (gzip_decoder *)d;
    struct inflate_state *s = &g->state;
    if (has_reserved_flags(g, io))
        return dv_error_set(err, DAVIT_EFORMAT, "gzip stream: reserved flags in its header");
    s->next_in = (uint8_t *)io->in;
    s->avail_in = (uint32_t)io->in_size;
    s->next_out = io->out;
    s->avail_out = (uint32_t)io->out_size;
    int r = g->has_header ? ISAL_DECOMP_OK : isal_read_gzip_header(s, &g->header);
    g->has_header = g->has_header || r == ISAL_DECOMP_OK;
    if (g->has_header)
        r = isal_inflate(s);
    if (r < 0 || r == ISAL_NEED_DICT)
        return gzip_fault(r, err);
    bool ended = s->block_state == ISAL_BLOCK_FINISH;
    size_t ahead = ended ? (size_t)s->read_in_length / 8 : 0;
    const uint8_t *at = io->in + (io->in_size - s->avail_in);
    /* Whole bytes behind the trailer may wait in its bit buffer. They came with this input: a trailer whose last byte had come before it
     * would have ended the member then. */
    if (ahead > (size_t)(at - io->in_start))
        return gzip_fault(ISAL_INVALID_BLOCK, err);
    io->in = at - ahead;
    io->in_size = s->avail_in + ahead;
    io->out = s->next_out;
    io->out_size = s->avail_out;
    return ended ? DV_CODEC_END : DV_CODEC_MORE;
}

static void gzip_decoder_free(dv_decoder *d)
{
    free(d);
}

dv_decoder *dv_gzip_decoder_new(void)
{
    gzip_decoder *g = dv_new(gzip_decoder);
    if (!g)
        return NULL;
    g->decoder = (dv_decoder){.restart = gzip_restart, .step = gzip_step, .free = gzip_decoder_free};
    isal_inflate_init(&g->state);
    return &g->decoder;
}

typedef struct gzip_encoder {
    dv_encoder encoder;
    struct isal_zstream stream;
    _Alignas(16) uint8_t level_buf[];
} gzip_encoder;

static int gzip_encode(dv_encoder *e, dv_codec_io *io, bool last, davit_error **err)
{
    struct isal_zstream *s = &((gzip_encoder *)e)->stream;
    s->next_in = (uint8_t *)io->in;
    s->avail_in = (uint32_t)io->in_size;
    s->next_out = io->out;
    s->avail_out = (uint32_t)io->out_size;
    s->end_of_stream = last;
    s->flush = NO_FLUSH;
    int r = isal_deflate(s);
    if (r != COMP_OK)
        return dv_error_set(err, DAVIT_EFORMAT, "gzip: compressing failed (%d)", r);
    io->in += io->in_size - s->avail_in;
    io->in_size = s->avail_in;
    io->out = s->next_out;
    io->out_size = s->avail_out;
    return s->internal_state.state == ZSTATE_END ? DV_CODEC_END : DV_CODEC_MORE;
}

static void gzip_encoder_free(dv_encoder *e)
{
    free(e);
}

dv_encoder *dv_gzip_encoder_new(int level)
{
    static const size_t sizes[] = {0, ISAL_DEF_LVL1_DEFAULT, ISAL_DEF_LVL2_DEFAULT, ISAL_DEF_LVL3_DEFAULT};
    unsigned chosen = level <= 1 ? 1 : level > ISAL_DEF_MAX_LEVEL ? ISAL_DEF_MAX_LEVEL : (unsigned)level;
    gzip_encoder *g = dv_calloc(1, sizeof(*g) + sizes[chosen]);
    if (!g)
        return NULL;
    g->encoder = (dv_encoder){.step = gzip_encode, .free = gzip_encoder_free};
    isal_deflate_init(&g->stream);
    g->stream.gzip_flag = IGZIP_GZIP;
    g->stream.level = chosen;
    g->stream.level_buf = g->level_buf;
    g->stream.level_buf_size = (uint32_t)sizes[chosen];
    return &g->encoder;
}

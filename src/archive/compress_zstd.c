/*
 * archive/compress_zstd.c - zstd (RFC 8878) by libzstd, both ways.
 *
 * A frame says how much memory its decoder needs (its window): beyond the limit it is refused before anything is allocated (threats C6).
 * Each frame's header goes to libzstd whole and alone. Otherwise it takes a short frame that is all there as one piece, whatever its window,
 * and what is refused would depend on how the bytes came.
 */
#include "archive/compress_codec.h"

#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#define LEVEL_MAX 19 /* those above need --ultra and windows beyond what is taken by default */
#define MIB_LOG 20
#define MAGIC_SIZE 4
#define HEADER_MAX 18 /* magic, descriptor, window, dictionary, content size (RFC 8878, 3.1.1) */

typedef struct zstd_decoder {
    dv_decoder decoder;
    unsigned window_log;
    ZSTD_DCtx *context;
    size_t header_size; /* bytes of header */
    bool has_header;
    uint8_t header[HEADER_MAX];
} zstd_decoder;

/* The end of a frame leaves the context ready for the next one. */
static int zstd_restart(dv_decoder *d, davit_error **err)
{
    ((zstd_decoder *)d)->header_size = 0;
    ((zstd_decoder *)d)->has_header = false;
    return 0;
}

static int refuse_window(const zstd_decoder *z, davit_error **err)
{
    unsigned limit = 1u << (z->window_log - MIB_LOG), most = 1u << (DV_ZSTD_WINDOW_LOG_MAX - MIB_LOG);
    if (limit >= most)
        return dv_error_set(
            err, DAVIT_ETOOBIG,
            "zstd stream: refused, its window is over %u MiB, the most that --zstd-window allows", most);
    return dv_error_set(
        err, DAVIT_ETOOBIG,
        "zstd stream: refused, its window is over the limit of %u MiB; --zstd-window allows up to %u MiB",
        limit, most);
}

static int zstd_fault(const zstd_decoder *z, size_t result, davit_error **err)
{
    switch (ZSTD_getErrorCode(result)) {
    case ZSTD_error_memory_allocation:
        return dv_error_oom(err);
    case ZSTD_error_frameParameter_windowTooLarge:
        return refuse_window(z, err);
    case ZSTD_error_dictionary_wrong:
        return dv_error_set(err, DAVIT_EUNSUPPORTED, "zstd stream: refused, it needs a dictionary");
    case ZSTD_error_checksum_wrong:
        return dv_error_set(err, DAVIT_EFORMAT, "zstd stream: its checksum is wrong");
    default:
        return dv_error_set(err, DAVIT_EFORMAT, "zstd stream: damaged data (%s)", ZSTD_getErrorName(result));
    }
}

/* Bytes that the header has, as far as what is there of it tells. */
static size_t header_wanted(const zstd_decoder *z)
{
    static const uint8_t dictionary_sizes[] = {0, 1, 2, 4}, content_sizes[] = {0, 2, 4, 8};
    static const uint8_t frame[MAGIC_SIZE] = {0x28, 0xb5, 0x2f, 0xfd};
    if (z->header_size < MAGIC_SIZE || memcmp(z->header, frame, sizeof(frame)) != 0)
        return MAGIC_SIZE; /* a skippable frame, or nothing that is taken */
    if (z->header_size == MAGIC_SIZE)
        return MAGIC_SIZE + 1;
    uint8_t descriptor = z->header[MAGIC_SIZE];
    bool single = descriptor & 0x20;
    size_t content = single && descriptor >> 6 == 0 ? 1 : content_sizes[descriptor >> 6];
    return MAGIC_SIZE + 1 + (single ? 0 : 1) + dictionary_sizes[descriptor & 3] + content;
}

static int decompress(zstd_decoder *z, ZSTD_inBuffer *in, dv_codec_io *io, davit_error **err)
{
    ZSTD_outBuffer out = {.dst = io->out, .size = io->out_size};
    size_t r = ZSTD_decompressStream(z->context, &out, in);
    if (ZSTD_isError(r))
        return zstd_fault(z, r, err);
    io->out += out.pos;
    io->out_size -= out.pos;
    return r == 0 ? DV_CODEC_END : DV_CODEC_MORE;
}

static int read_header(zstd_decoder *z, dv_codec_io *io, davit_error **err)
{
    while (z->header_size < header_wanted(z)) {
        if (io->in_size == 0)
            return 0;
        z->header[z->header_size++] = *io->in++;
        io->in_size--;
    }
    bool skippable = (z->header[0] & 0xf0) == 0x50 && memcmp(z->header + 1, "\x2a\x4d\x18", 3) == 0;
    if (z->header_size == MAGIC_SIZE && !skippable)
        return dv_error_set(err, DAVIT_EFORMAT, "zstd stream: damaged header");
    z->has_header = true;
    ZSTD_inBuffer in = {.src = z->header, .size = z->header_size};
    int r = decompress(z, &in, io, err);
    return r < 0 ? r : 0;
}

static int zstd_step(dv_decoder *d, dv_codec_io *io, davit_error **err)
{
    zstd_decoder *z = (zstd_decoder *)d;
    int r = z->has_header ? 0 : read_header(z, io, err);
    if (r < 0 || !z->has_header)
        return r;
    ZSTD_inBuffer in = {.src = io->in, .size = io->in_size};
    r = decompress(z, &in, io, err);
    io->in += in.pos;
    io->in_size -= in.pos;
    return r;
}

static void zstd_decoder_free(dv_decoder *d)
{
    ZSTD_freeDCtx(((zstd_decoder *)d)->context);
    free(d);
}

dv_decoder *dv_zstd_decoder_new(unsigned window_log)
{
    zstd_decoder *z = dv_new(zstd_decoder);
    if (!z)
        return NULL;
    z->decoder = (dv_decoder){.restart = zstd_restart, .step = zstd_step, .free = zstd_decoder_free};
    z->window_log = window_log;
    z->context = ZSTD_createDCtx();
    if (!z->context ||
        ZSTD_isError(ZSTD_DCtx_setParameter(z->context, ZSTD_d_windowLogMax, (int)window_log))) {
        zstd_decoder_free(&z->decoder);
        return NULL;
    }
    return &z->decoder;
}

typedef struct zstd_encoder {
    dv_encoder encoder;
    ZSTD_CCtx *context;
} zstd_encoder;

static int zstd_encode(dv_encoder *e, dv_codec_io *io, bool last, davit_error **err)
{
    ZSTD_inBuffer in = {.src = io->in, .size = io->in_size};
    ZSTD_outBuffer out = {.dst = io->out, .size = io->out_size};
    size_t r =
        ZSTD_compressStream2(((zstd_encoder *)e)->context, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
    if (ZSTD_isError(r)) {
        if (ZSTD_getErrorCode(r) == ZSTD_error_memory_allocation)
            return dv_error_oom(err);
        return dv_error_set(err, DAVIT_EFORMAT, "zstd: compressing failed (%s)", ZSTD_getErrorName(r));
    }
    io->in += in.pos;
    io->in_size -= in.pos;
    io->out += out.pos;
    io->out_size -= out.pos;
    return last && r == 0 ? DV_CODEC_END : DV_CODEC_MORE;
}

static void zstd_encoder_free(dv_encoder *e)
{
    ZSTD_freeCCtx(((zstd_encoder *)e)->context);
    free(e);
}

dv_encoder *dv_zstd_encoder_new(int level)
{
    int chosen = level <= 0 ? ZSTD_CLEVEL_DEFAULT : level > LEVEL_MAX ? LEVEL_MAX : level;
    zstd_encoder *z = dv_new(zstd_encoder);
    if (!z)
        return NULL;
    z->encoder = (dv_encoder){.step = zstd_encode, .free = zstd_encoder_free};
    z->context = ZSTD_createCCtx();
    if (!z->context || ZSTD_isError(ZSTD_CCtx_setParameter(z->context, ZSTD_c_compressionLevel, chosen)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(z->context, ZSTD_c_checksumFlag, 1))) {
        zstd_encoder_free(&z->encoder);
        return NULL;
    }
    return &z->encoder;
}

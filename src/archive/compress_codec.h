/*
 * archive/compress_codec.h - what a codec is to the two steps that drive them (compress_inflate.c, compress_deflate.c).
 *
 * A codec decodes one member (gzip), frame (zstd) or stream (xz, bzip2) at a time; what may stand between and behind them is not its
 * business. It is allocated once and restarted for each member. Nothing here is called from outside of archive/compress*.c.
 */
#ifndef DV_ARCHIVE_COMPRESS_CODEC_H
#define DV_ARCHIVE_COMPRESS_CODEC_H

#include "archive/compress.h"

/* What one step may read and write; it moves both on. Never 0 bytes of room. */
typedef struct dv_codec_io {
    const uint8_t *in,
        *in_start;  /* in_start: what is before in since then was taken, and can be given back */
    size_t in_size; /* at most DV_CODEC_INPUT_MAX: the libraries count in 32 bits */
    uint8_t *out;
    size_t out_size;
} dv_codec_io;

#define DV_CODEC_INPUT_MAX (1u << 30)

enum { DV_CODEC_MORE = 0, DV_CODEC_END = 1 };

typedef struct dv_decoder dv_decoder;
struct dv_decoder {
    /* Begin a member; the first one as well. */
    int (*restart)(dv_decoder *d, davit_error **err);
    /*
     * DV_CODEC_MORE: all input is taken, or there is no room left. DV_CODEC_END: the member is complete and its check agrees; input behind
     * it is left where it is. Or an error.
     */
    int (*step)(dv_decoder *d, dv_codec_io *io, davit_error **err);
    void (*free)(dv_decoder *d);
};

/* NULL: no memory. */
dv_decoder *dv_gzip_decoder_new(void);
dv_decoder *dv_zstd_decoder_new(unsigned window_log);
dv_decoder *dv_xz_decoder_new(void);
dv_decoder *dv_bzip2_decoder_new(void);

typedef struct dv_encoder dv_encoder;
struct dv_encoder {
    /* last: no input comes after this. DV_CODEC_END: all of the output is written. */
    int (*step)(dv_encoder *e, dv_codec_io *io, bool last, davit_error **err);
    void (*free)(dv_encoder *e);
};

/* level: 0 is the codec's default, and one beyond what it has is its highest. NULL: no memory. */
dv_encoder *dv_gzip_encoder_new(int level);
dv_encoder *dv_zstd_encoder_new(int level);

#endif

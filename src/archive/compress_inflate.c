/*
 * archive/compress_inflate.c - undoing compression: when a decoder runs, on what, and what may stand around its members.
 *
 * States: DETECT (fewer bytes than decide are here; they wait in head) -> PLAIN (passes through), or MEMBER (inside of one) <-> BETWEEN
 * (a member ended; the next byte decides) -> PADDING (zeros to the end). Members are a loop, never a recursion (threats C6). Output is
 * handed on in whole chunks, and never a byte beyond the limit.
 */
#include "archive/compress_codec.h"

#include <assert.h>
#include <string.h>

#define PADDING_MAX \
    (1u << 20) /* bytes of zeros behind the last member: tape records and rounded-up disks, no more */
#define XZ_PADDING_UNIT 4 /* after a multiple of it another stream may follow (xz format, 2.2) */

typedef enum inflate_state { DETECT, PLAIN, MEMBER, BETWEEN, PADDING } inflate_state;

struct dv_inflate {
    dv_sink sink;
    dv_sink *next;
    inflate_state state;
    dv_compression compression;
    dv_inflate_options options;
    uint64_t output_bytes;
    dv_decoder *decoder;
    uint8_t *chunk; /* DV_INFLATE_CHUNK bytes, of which used wait to be handed on */
    size_t used;
    size_t padding;
    size_t head_size;
    uint8_t head[DV_COMPRESSION_MAGIC];
};

static const char *name_of(const dv_inflate *i)
{
    return dv_compression_name(i->compression);
}

static int count_output(dv_inflate *i, size_t size, davit_error **err)
{
    if (size <= i->options.max_output - i->output_bytes) {
        i->output_bytes += size;
        return 0;
    }
    return dv_error_set(err, DAVIT_ETOOBIG, "%s stream: refused, it holds more than the limit of %llu bytes",
                        i->compression == DV_COMPRESSION_NONE ? "uncompressed" : name_of(i),
                        (unsigned long long)i->options.max_output);
}

static int hand_on(dv_inflate *i, davit_error **err)
{
    size_t size = i->used;
    i->used = 0;
    return dv_sink_write(i->next, i->chunk, size, err);
}

/* One call of the decoder. DV_CODEC_MORE: all input is taken and all its output with it. */
static int run_decoder(dv_inflate *i, dv_codec_io *io, davit_error **err)
{
    for (;;) {
        io->out = i->chunk + i->used;
        io->out_size = DV_INFLATE_CHUNK - i->used;
        size_t room = io->out_size, input = io->in_size;
        int r = i->decoder->step(i->decoder, io, err);
        if (r < 0)
            return r;
        int counted = count_output(i, room - io->out_size, err);
        if (counted < 0)
            return counted;
        i->used += room - io->out_size;
        bool full = io->out_size == 0;
        int pushed = full ? hand_on(i, err) : 0;
        if (pushed < 0)
            return pushed;
        if (r == DV_CODEC_END || (!full && io->in_size == 0))
            return r;
        if (!full && io->in_size == input && io->out_size == room)
            return dv_error_set(err, DAVIT_EFORMAT, "%s stream: damaged, it leads nowhere", name_of(i));
    }
}

static int run_member(dv_inflate *i, dv_codec_io *io, davit_error **err)
{
    int r = run_decoder(i, io, err);
    if (r == DV_CODEC_END)
        i->state = BETWEEN;
    return r < 0 ? r : 0;
}

/* Whether a byte may be the first one of another member; its decoder sees to the others. */
static bool may_begin_member(const dv_inflate *i, uint8_t byte)
{
    switch (i->compression) {
    case DV_COMPRESSION_GZIP:
        return byte == 0x1f;
    case DV_COMPRESSION_ZSTD:
        return byte == 0x28 || (byte & 0xf0) == 0x50;
    case DV_COMPRESSION_XZ:
        return byte == 0xfd && i->padding % XZ_PADDING_UNIT == 0;
    case DV_COMPRESSION_BZIP2:
        return byte == 0x42;
    case DV_COMPRESSION_NONE:
        break;
    }
    return false;
}

static int begin_member(dv_inflate *i, davit_error **err)
{
    i->state = MEMBER;
    i->padding = 0;
    return i->decoder->restart(i->decoder, err);
}

static int read_between(dv_inflate *i, dv_codec_io *io, davit_error **err)
{
    if (*io->in == 0)
        i->state = PADDING;
    else if (may_begin_member(i, *io->in))
        return begin_member(i, err);
    else
        return dv_error_set(err, DAVIT_EFORMAT, "%s stream: refused, bytes other than zeros follow its end",
                            name_of(i));
    return 0;
}

static int read_padding(dv_inflate *i, dv_codec_io *io, davit_error **err)
{
    size_t left = PADDING_MAX - i->padding, zeros = 0;
    while (zeros < io->in_size && zeros < left && io->in[zeros] == 0)
        zeros++;
    io->in += zeros;
    io->in_size -= zeros;
    i->padding += zeros;
    if (io->in_size == 0)
        return 0;
    if (*io->in == 0)
        return dv_error_set(err, DAVIT_EFORMAT, "%s stream: refused, more than %u zero bytes follow its end",
                            name_of(i), PADDING_MAX);
    if (i->compression == DV_COMPRESSION_XZ && may_begin_member(i, *io->in))
        return begin_member(i, err);
    return dv_error_set(err, DAVIT_EFORMAT, "%s stream: refused, bytes other than zeros follow its end",
                        name_of(i));
}

static int pass_plain(dv_inflate *i, dv_codec_io *io, davit_error **err)
{
    int r = count_output(i, io->in_size, err);
    if (r == 0)
        r = dv_sink_write(i->next, io->in, io->in_size, err);
    io->in_size = 0;
    return r;
}

static int run(dv_inflate *i, dv_codec_io *io, davit_error **err)
{
    int r = 0;
    while (r == 0 && io->in_size > 0) {
        switch (i->state) {
        case PLAIN:
            r = pass_plain(i, io, err);
            break;
        case MEMBER:
            r = run_member(i, io, err);
            break;
        case BETWEEN:
            r = read_between(i, io, err);
            break;
        case PADDING:
            r = read_padding(i, io, err);
            break;
        case DETECT:
            assert(!"bytes run before they are known");
        }
    }
    return r;
}

/* Give bytes, however many there are, to what they are for. */
static int take(dv_inflate *i, const uint8_t *bytes, size_t size, davit_error **err)
{
    int r = 0;
    while (r == 0 && size > 0) {
        size_t part = size < DV_CODEC_INPUT_MAX ? size : DV_CODEC_INPUT_MAX;
        dv_codec_io io = {.in = bytes, .in_start = bytes, .in_size = part};
        r = run(i, &io, err);
        bytes += part;
        size -= part;
    }
    return r;
}

static dv_decoder *make_decoder(const dv_inflate *i)
{
    switch (i->compression) {
    case DV_COMPRESSION_GZIP:
        return dv_gzip_decoder_new();
    case DV_COMPRESSION_ZSTD:
        return dv_zstd_decoder_new(i->options.zstd_window_log);
    case DV_COMPRESSION_XZ:
        return dv_xz_decoder_new();
    case DV_COMPRESSION_BZIP2:
        return dv_bzip2_decoder_new();
    case DV_COMPRESSION_NONE:
        break;
    }
    return NULL;
}

static int choose(dv_inflate *i, const void *bytes, size_t size, davit_error **err)
{
    i->compression = dv_compression_detect(bytes, size);
    if (i->compression == DV_COMPRESSION_NONE) {
        i->state = PLAIN;
        return 0;
    }
    bool old = i->compression == DV_COMPRESSION_XZ || i->compression == DV_COMPRESSION_BZIP2;
    if (old && !i->options.allow_old)
        return dv_error_set(err, DAVIT_EUNSUPPORTED,
                            "%s stream: refused, only gzip, zstd and no compression are taken here",
                            name_of(i));
    i->decoder = make_decoder(i);
    i->chunk = dv_realloc_array(NULL, 1, DV_INFLATE_CHUNK);
    if (!i->decoder || !i->chunk)
        return dv_error_oom(err);
    return begin_member(i, err);
}

/* The bytes that decide are complete, or the stream ended before. */
static int choose_by_head(dv_inflate *i, davit_error **err)
{
    int r = choose(i, i->head, i->head_size, err);
    return r == 0 ? take(i, i->head, i->head_size, err) : r;
}

static int inflate_write(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    dv_inflate *i = (dv_inflate *)s;
    const uint8_t *p = bytes;
    int r = 0;
    if (i->state == DETECT && i->head_size == 0 && size >= sizeof(i->head))
        r = choose(i, bytes, size, err);
    if (r == 0 && i->state == DETECT) {
        size_t missing = sizeof(i->head) - i->head_size, part = size < missing ? size : missing;
        memcpy(i->head + i->head_size, p, part);
        i->head_size += part;
        p += part;
        size -= part;
        if (i->head_size == sizeof(i->head))
            r = choose_by_head(i, err);
    }
    return r == 0 ? take(i, p, size, err) : r;
}

static int inflate_finish(dv_sink *s, davit_error **err)
{
    dv_inflate *i = (dv_inflate *)s;
    int r = i->state == DETECT ? choose_by_head(i, err) : 0;
    if (r == 0 && i->state == MEMBER)
        r = dv_error_set(err, DAVIT_EFORMAT, "%s stream: cut short, its end is missing", name_of(i));
    if (r == 0)
        r = hand_on(i, err);
    return r == 0 ? dv_sink_finish(i->next, err) : r;
}

int dv_inflate_new(const dv_inflate_options *options, dv_sink *next, dv_inflate **out, davit_error **err)
{
    dv_inflate_options o = options ? *options : (dv_inflate_options){0};
    if (o.max_output == 0)
        o.max_output = DV_INFLATE_OUTPUT_MAX;
    if (o.zstd_window_log == 0)
        o.zstd_window_log = DV_ZSTD_WINDOW_LOG;
    if (o.zstd_window_log < DV_ZSTD_WINDOW_LOG_MIN || o.zstd_window_log > DV_ZSTD_WINDOW_LOG_MAX)
        return dv_error_set(err, DAVIT_EINVAL, "zstd window: 2^%u bytes is not between 2^%u and 2^%u",
                            o.zstd_window_log, DV_ZSTD_WINDOW_LOG_MIN, DV_ZSTD_WINDOW_LOG_MAX);
    dv_inflate *i = dv_new(dv_inflate);
    if (!i)
        return dv_error_oom(err);
    i->sink = (dv_sink){.write = inflate_write, .finish = inflate_finish};
    i->next = next;
    i->options = o;
    *out = i;
    return 0;
}

dv_sink *dv_inflate_sink(dv_inflate *i)
{
    return &i->sink;
}

dv_compression dv_inflate_compression(const dv_inflate *i)
{
    return i->compression;
}

uint64_t dv_inflate_output_bytes(const dv_inflate *i)
{
    return i->output_bytes;
}

void dv_inflate_free(dv_inflate *i)
{
    if (!i)
        return;
    if (i->decoder)
        i->decoder->free(i->decoder);
    free(i->chunk);
    free(i);
}

/*
 * Unit tests of archive/compress*.c. What the programs gzip, zstd, xz and bzip2 make of one text is in tests/vectors/inflate; the hostile
 * streams are made here.
 */
#include "archive/compress.h"
#include "util/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#define STREAM_MAX (16u << 20)
#define TEXT_LINES 200
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED true
#else
#define SANITIZED false
#endif

/* Everywhere in that many bytes at the beginning, and at the end. */
#define SPLITS (SANITIZED ? 6 : 32)
#define FEW_SPLITS 2

/* The step behind: what it was given, as far as it is kept. */
typedef struct tail {
    dv_sink sink;
    dv_buf *kept; /* NULL: only counted */
    uint64_t size;
    size_t largest;
    const void *first; /* where the first piece was */
    bool finished, fails;
} tail;

static int tail_write(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    tail *t = (tail *)s;
    assert_true(size > 0);
    if (t->fails)
        return dv_error_set(err, DAVIT_EIO, "full");
    if (t->kept)
        dv_buf_append(t->kept, bytes, size);
    if (t->size == 0)
        t->first = bytes;
    t->size += size;
    t->largest = size > t->largest ? size : t->largest;
    return 0;
}

static int tail_finish(dv_sink *s, davit_error **err)
{
    ((tail *)s)->finished = true;
    return 0;
}

#define TAIL_INIT(buffer)                                                      \
    {                                                                          \
        .sink = {.write = tail_write, .finish = tail_finish}, .kept = (buffer) \
    }

static const dv_inflate_options take_all = {.allow_old = true, .zstd_window_log = DV_ZSTD_WINDOW_LOG_MAX};

/* How a stream comes: first so many bytes (0: none of them apart), then pieces (0: the rest at once). */
typedef struct cut {
    size_t first, piece;
} cut;

static int push(dv_sink *s, const uint8_t *bytes, size_t size, cut by, davit_error **err)
{
    size_t part = by.first ? by.first : by.piece ? by.piece : size;
    int r = 0;
    while (r == 0 && size > 0) {
        part = part < size ? part : size;
        /* Exactly its size: a sanitizer sees what reads behind it. */
        uint8_t *copy = dv_memdup(bytes, part);
        assert_non_null(copy);
        r = dv_sink_write(s, copy, part, err);
        free(copy);
        bytes += part;
        size -= part;
        part = by.piece ? by.piece : size;
    }
    return r == 0 ? dv_sink_finish(s, err) : r;
}

typedef struct result {
    int code;
    dv_compression compression;
    uint64_t bytes;
    davit_error *err;
} result;

static result inflate(const dv_inflate_options *options, const void *bytes, size_t size, cut by, dv_buf *out)
{
    tail t = TAIL_INIT(out);
    result r = {0};
    dv_inflate *i = NULL;
    assert_int_equal(dv_inflate_new(options, &t.sink, &i, NULL), 0);
    r.code = push(dv_inflate_sink(i), bytes, size, by, &r.err);
    r.compression = dv_inflate_compression(i);
    r.bytes = dv_inflate_output_bytes(i);
    assert_true(t.finished == (r.code == 0));
    assert_int_equal(davit_error_code(r.err), r.code);
    assert_true(r.code < 0 || r.bytes == t.size);
    dv_inflate_free(i);
    return r;
}

/* The same result and text, however the stream is cut. */
static void assert_inflates_by(size_t splits, const char *name, const dv_buf *stream, int code,
                               const char *message, const dv_buf *expected)
{
    cut cuts[SPLITS * 2 + 4] = {{0, 0}, {0, 1}, {0, 7}, {0, 4096}};
    size_t count = 4;
    for (size_t n = 1; n <= splits; n++) {
        cuts[count++] = (cut){n, 0};
        cuts[count++] = (cut){stream->size > n ? stream->size - n : 1, 0};
    }
    for (size_t c = 0; c < count; c++) {
        DV_AUTO(dv_buf) out = DV_BUF_INIT(STREAM_MAX);
        result r = inflate(&take_all, dv_buf_text(stream), stream->size, cuts[c], &out);
        bool same = code < 0 || (out.size == expected->size &&
                                 memcmp(dv_buf_text(&out), dv_buf_text(expected), out.size) == 0);
        if (r.code != code || !same || !strstr(davit_error_message(r.err), message))
            fail_msg("%s, %zu bytes first, then pieces of %zu: %d (%s), %zu bytes; expected %d (%s)", name,
                     cuts[c].first, cuts[c].piece, r.code, davit_error_message(r.err), out.size, code,
                     message);
        davit_error_free(r.err);
    }
}

static void assert_inflates(const char *name, const dv_buf *stream, int code, const char *message,
                            const dv_buf *expected)
{
    assert_inflates_by(SPLITS, name, stream, code, message, expected);
}

static void read_vector(const char *name, dv_buf *out)
{
    char path[400], bytes[4096];
    snprintf(path, sizeof(path), VECTORS "/%s", name);
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    for (size_t n; (n = fread(bytes, 1, sizeof(bytes), f)) > 0;)
        dv_buf_append(out, bytes, n);
    fclose(f);
}

static void put_text(dv_buf *out)
{
    for (unsigned i = 0; i < TEXT_LINES; i++)
        dv_buf_printf(out, "line %u of a layer\n", 100000 + i);
}

static void put_u32(dv_buf *b, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        dv_buf_putc(b, (char)(v >> (8 * i)));
}

typedef struct vector {
    const char *name;
    dv_compression compression;
    bool empty, unchecked; /* unchecked: without a checksum of its own */
    bool large;            /* its window is: costs a sanitizer much each time */
} vector;

static const vector vectors[] = {
    {"text.gz", DV_COMPRESSION_GZIP},
    {"text-fast.gz", DV_COMPRESSION_GZIP},
    {"text-named.gz", DV_COMPRESSION_GZIP},
    {"text-rsyncable.gz", DV_COMPRESSION_GZIP},
    {"text.zst", DV_COMPRESSION_ZSTD},
    {"text-unchecked.zst", DV_COMPRESSION_ZSTD, .unchecked = true},
    {"text-long.zst", DV_COMPRESSION_ZSTD, .large = true},
    {"text.xz", DV_COMPRESSION_XZ},
    {"text-crc32.xz", DV_COMPRESSION_XZ},
    {"text-blocks.xz", DV_COMPRESSION_XZ, .unchecked = true},
    {"text.bz2", DV_COMPRESSION_BZIP2},
    {"text-small.bz2", DV_COMPRESSION_BZIP2},
    {"empty.gz", DV_COMPRESSION_GZIP, true},
    {"empty.zst", DV_COMPRESSION_ZSTD, true},
    {"empty.xz", DV_COMPRESSION_XZ, true},
    {"empty.bz2", DV_COMPRESSION_BZIP2, true},
};

static void detect__first_bytes_decide(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        dv_compression expected;
    } rows[] = {
        {"", 0, DV_COMPRESSION_NONE},
        {"\x42\x5a\x68", 3, DV_COMPRESSION_BZIP2},
        {"\x42\x5a", 2, DV_COMPRESSION_NONE},
        {"\x42\x5a\x69", 3, DV_COMPRESSION_NONE},
        {"\x1f\x8b\x08", 3, DV_COMPRESSION_GZIP},
        {"\x1f\x8b\x08zzzzzzz", 10, DV_COMPRESSION_GZIP},
        {"\x1f\x8b", 2, DV_COMPRESSION_NONE},
        {"\x1f\x8b\x07", 3, DV_COMPRESSION_NONE},
        {"\x1f\x9d\x90", 3, DV_COMPRESSION_NONE}, /* compress(1) */
        {"\xfd\x37\x7a\x58\x5a\x00", 6, DV_COMPRESSION_XZ},
        {"\xfd\x37\x7a\x58\x5a", 5, DV_COMPRESSION_NONE},
        {"\xfd\x37\x7a\x58\x5a\x01", 6, DV_COMPRESSION_NONE},
        {"\x28\xb5\x2f\xfd", 4, DV_COMPRESSION_ZSTD},
        {"\x28\xb5\x2f", 3, DV_COMPRESSION_NONE},
        {"\x27\xb5\x2f\xfd", 4, DV_COMPRESSION_NONE}, /* zstd 0.7 */
        {"\x50\x2a\x4d\x18\0\0\0\0", 8, DV_COMPRESSION_ZSTD},
        {"\x5f\x2a\x4d\x18\1\0\0\0x", 9, DV_COMPRESSION_ZSTD},
        {"\x50\x2a\x4d\x18\0\0\0", 7, DV_COMPRESSION_NONE},
        {"\x60\x2a\x4d\x18\0\0\0\0", 8, DV_COMPRESSION_NONE},
        {"\x4f\x2a\x4d\x18\0\0\0\0", 8, DV_COMPRESSION_NONE},
        {"\x50\x2a\x4d\x19\0\0\0\0", 8, DV_COMPRESSION_NONE},
        {"\x04\x22\x4d\x18\0\0\0\0", 8, DV_COMPRESSION_NONE}, /* lz4 */
        {"\0\0\0\0\0\0\0\0\0\0", 10, DV_COMPRESSION_NONE},
        {"./etc/pass", 10, DV_COMPRESSION_NONE},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        if (dv_compression_detect(rows[i].bytes, rows[i].size) != rows[i].expected)
            fail_msg("row %zu: %s, expected %s", i,
                     dv_compression_name(dv_compression_detect(rows[i].bytes, rows[i].size)),
                     dv_compression_name(rows[i].expected));
    assert_string_equal(dv_compression_name(DV_COMPRESSION_BZIP2), "bzip2");
    assert_string_equal(dv_compression_name((dv_compression)77), "unknown");
}

static void inflate__gives_what_the_programs_were_given(void **state)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(STREAM_MAX);
    DV_AUTO(dv_buf) nothing = DV_BUF_INIT(STREAM_MAX);
    put_text(&text);
    for (size_t v = 0; v < DV_COUNT(vectors); v++) {
        DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
        read_vector(vectors[v].name, &stream);
        assert_inflates(vectors[v].name, &stream, 0, "", vectors[v].empty ? &nothing : &text);
        result r = inflate(&take_all, stream.data, stream.size, (cut){0, 3}, NULL);
        assert_int_equal(r.compression, vectors[v].compression);
    }
}

static void inflate__members_are_one_stream(void **state)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(STREAM_MAX);
    put_text(&text);
    /* Every two of a format, then four in a row. */
    for (size_t a = 0; a < DV_COUNT(vectors); a++) {
        for (size_t b = 0; b < DV_COUNT(vectors); b++) {
            if (vectors[a].compression != vectors[b].compression)
                continue;
            DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
            DV_AUTO(dv_buf) expected = DV_BUF_INIT(STREAM_MAX);
            for (int n = 0; n < 4; n++) {
                const vector *v = n % 2 ? &vectors[b] : &vectors[a];
                read_vector(v->name, &stream);
                if (!v->empty)
                    dv_buf_append(&expected, text.data, text.size);
            }
            assert_inflates_by(FEW_SPLITS, vectors[b].name, &stream, 0, "", &expected);
        }
    }
}

static void inflate__formats_do_not_mix(void **state)
{
    for (size_t a = 0; a < DV_COUNT(vectors); a++) {
        for (size_t b = 0; b < DV_COUNT(vectors); b++) {
            if (vectors[a].compression == vectors[b].compression || vectors[a].large)
                continue;
            DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
            read_vector(vectors[a].name, &stream);
            read_vector(vectors[b].name, &stream);
            assert_inflates_by(FEW_SPLITS, vectors[a].name, &stream, DAVIT_EFORMAT,
                               "bytes other than zeros follow its end", NULL);
        }
    }
}

static void inflate__many_empty_members_are_a_loop(void **state)
{
    static const char *const names[] = {"empty.gz", "empty.zst", "empty.xz", "empty.bz2"};
    for (size_t n = 0; n < DV_COUNT(names); n++) {
        DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
        DV_AUTO(dv_buf) member = DV_BUF_INIT(STREAM_MAX);
        read_vector(names[n], &member);
        for (int i = 0; i < (SANITIZED ? 1000 : 20000); i++)
            dv_buf_append(&stream, member.data, member.size);
        result r = inflate(&take_all, stream.data, stream.size, (cut){0, 0}, NULL);
        assert_int_equal(r.code, 0);
        assert_int_equal(r.bytes, 0);
    }
}

static void inflate__what_ends_early_is_refused(void **state)
{
    for (size_t v = 0; v < DV_COUNT(vectors); v++) {
        DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
        read_vector(vectors[v].name, &stream);
        for (size_t size = 0; size < stream.size && !vectors[v].large; size += SANITIZED ? 3 : 1) {
            for (size_t piece = 0; piece < 2; piece++) {
                bool plain = dv_compression_detect(stream.data, size) == DV_COMPRESSION_NONE;
                result r = inflate(&take_all, stream.data, size, (cut){0, piece}, NULL);
                if (r.code != (plain ? 0 : DAVIT_EFORMAT))
                    fail_msg("%s: %zu of %zu bytes, pieces of %zu: %d", vectors[v].name, size, stream.size,
                             piece, r.code);
                davit_error_free(r.err);
            }
        }
    }
}

static void inflate__a_cut_after_whole_members_is_not_seen(void **state)
{
    for (size_t v = 0; v < DV_COUNT(vectors); v++) {
        DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
        read_vector(vectors[v].name, &stream);
        size_t one = stream.size;
        read_vector(vectors[v].name, &stream);
        for (size_t size = one; size <= stream.size; size++) {
            result r = inflate(&take_all, stream.data, size, (cut){0, 0}, NULL);
            assert_int_equal(r.code, size == one || size == stream.size ? 0 : DAVIT_EFORMAT);
            davit_error_free(r.err);
        }
    }
}

/* What no check covers may change (times, names, hints), but never the content. */
static void inflate__a_changed_bit_is_found_or_changes_nothing(void **state)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(STREAM_MAX);
    put_text(&text);
    for (size_t v = 0; v < DV_COUNT(vectors); v++) {
        DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
        read_vector(vectors[v].name, &stream);
        for (size_t bit = 0; bit < stream.size * 8 && !vectors[v].unchecked && !vectors[v].large;
             bit += SANITIZED ? 5 : 1) {
            DV_AUTO(dv_buf) out = DV_BUF_INIT(STREAM_MAX);
            stream.data[bit / 8] ^= (char)(1 << bit % 8);
            result r = inflate(&take_all, stream.data, stream.size, (cut){0, 0}, &out);
            stream.data[bit / 8] ^= (char)(1 << bit % 8);
            size_t size = vectors[v].empty ? 0 : text.size;
            bool same = out.size == size && memcmp(dv_buf_text(&out), text.data, size) == 0;
            if (r.code == 0 && !same && r.compression != DV_COMPRESSION_NONE)
                fail_msg("%s: bit %zu changed the content unseen", vectors[v].name, bit);
            davit_error_free(r.err);
        }
    }
}

static void inflate__only_zeros_may_follow(void **state)
{
    static const struct {
        const char *tail;
        size_t size;
        bool fine;
    } rows[] = {
        {"\0", 1, true},
        {"\0\0\0", 3, true},
        {"\0\0\0\0\0\0\0\0\0\0\0\0", 12, true},
        {"x", 1, false},
        {"\0x", 2, false},
        {"\0\0\0\0\0\0\0x", 8, false},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9, false},
    };
    DV_AUTO(dv_buf) text = DV_BUF_INIT(STREAM_MAX);
    DV_AUTO(dv_buf) nothing = DV_BUF_INIT(STREAM_MAX);
    put_text(&text);
    for (size_t v = 0; v < DV_COUNT(vectors); v++) {
        for (size_t i = 0; i < DV_COUNT(rows); i++) {
            DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
            read_vector(vectors[v].name, &stream);
            dv_buf_append(&stream, rows[i].tail, rows[i].size);
            assert_inflates_by(FEW_SPLITS, vectors[v].name, &stream, rows[i].fine ? 0 : DAVIT_EFORMAT,
                               rows[i].fine ? "" : "bytes other than zeros follow its end",
                               vectors[v].empty ? &nothing : &text);
        }
    }
}

static void inflate__zeros_behind_are_limited(void **state)
{
    DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
    read_vector("text.gz", &stream);
    for (size_t n = 0; n < 1u << 20; n++)
        dv_buf_putc(&stream, 0);
    result r = inflate(NULL, stream.data, stream.size, (cut){0, 4096}, NULL);
    assert_int_equal(r.code, 0);
    dv_buf_putc(&stream, 0);
    r = inflate(NULL, stream.data, stream.size, (cut){0, 4096}, NULL);
    assert_int_equal(r.code, DAVIT_EFORMAT);
    assert_string_equal(davit_error_message(r.err),
                        "gzip stream: refused, more than 1048576 zero bytes follow its end");
    davit_error_free(r.err);
}

/* xz alone has padding between streams, in fours (xz format, 2.2); gzip(1) and bzip2(1) too stop at zeros. */
static void inflate__only_xz_streams_go_on_after_zeros(void **state)
{
    static const struct {
        const char *name;
        size_t zeros;
        bool fine;
    } rows[] = {
        {"text.xz", 4, true},  {"text.xz", 8, true},   {"text.xz", 3, false},  {"text.xz", 5, false},
        {"text.gz", 4, false}, {"text.bz2", 4, false}, {"text.zst", 4, false},
    };
    DV_AUTO(dv_buf) twice = DV_BUF_INIT(STREAM_MAX);
    put_text(&twice);
    put_text(&twice);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
        read_vector(rows[i].name, &stream);
        dv_buf_append(&stream, "\0\0\0\0\0\0\0\0", rows[i].zeros);
        read_vector(rows[i].name, &stream);
        assert_inflates(rows[i].name, &stream, rows[i].fine ? 0 : DAVIT_EFORMAT,
                        rows[i].fine ? "" : "follow its end", &twice);
    }
}

static void inflate__wrong_crc_and_length_are_refused(void **state)
{
    static const struct {
        const char *name, *message;
        size_t from_end;
    } rows[] = {
        {"text.gz", "gzip stream: ", 8},
        {"text.gz", "gzip stream: ", 5},
        {"text.gz", "gzip stream: ", 4},
        {"text.gz", "gzip stream: ", 1},
        {"empty.gz", "gzip stream: ", 8},
        {"empty.gz", "gzip stream: ", 1},
        {"text.zst", "zstd stream: its checksum is wrong", 1},
        {"text.xz", "xz stream: damaged", 1},
        {"text.xz", "xz stream: damaged", 30},
        {"text.bz2", "bzip2 stream: damaged", 3},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
        read_vector(rows[i].name, &stream);
        stream.data[stream.size - rows[i].from_end] ^= 0x40;
        assert_inflates(rows[i].name, &stream, DAVIT_EFORMAT, rows[i].message, NULL);
    }
}

static uint32_t crc32_of(const void *bytes, size_t size)
{
    const uint8_t *p = bytes;
    uint32_t crc = ~0u;
    for (size_t i = 0; i < size; i++) {
        crc ^= p[i];
        for (int b = 0; b < 8; b++)
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    }
    return ~crc;
}

enum { FHCRC = 2, FEXTRA = 4, FNAME = 8, FCOMMENT = 16 };

static void inflate__gzip_header_fields(void **state)
{
    static const struct {
        uint8_t flags;
        size_t extra, name, comment;
        uint16_t crc_error;
        int code;
    } rows[] = {
        {0},
        {1}, /* FTEXT */
        {FNAME, .name = 0},
        {FNAME, .name = 9},
        {FNAME, .name = 300000},
        {FCOMMENT, .comment = 17},
        {FCOMMENT, .comment = 200000},
        {FEXTRA, .extra = 0},
        {FEXTRA, .extra = 6},
        {FEXTRA, .extra = 65535},
        {FHCRC},
        {FHCRC, .crc_error = 1, .code = DAVIT_EFORMAT},
        {FHCRC, .crc_error = 0x8000, .code = DAVIT_EFORMAT},
        {FEXTRA | FNAME | FCOMMENT | FHCRC, .extra = 20, .name = 5, .comment = 7},
        {FEXTRA | FNAME | FCOMMENT | FHCRC, .extra = 65535, .name = 70000, .comment = 70000},
        {FEXTRA | FNAME | FCOMMENT | FHCRC, 20, 5, 7, .crc_error = 0x10, .code = DAVIT_EFORMAT},
        {0x20, .code = DAVIT_EFORMAT},
        {0x40, .code = DAVIT_EFORMAT},
        {0x80, .code = DAVIT_EFORMAT},
        {0xff, 1, 1, 1, .code = DAVIT_EFORMAT},
    };
    DV_AUTO(dv_buf) text = DV_BUF_INIT(STREAM_MAX);
    DV_AUTO(dv_buf) plain = DV_BUF_INIT(STREAM_MAX);
    put_text(&text);
    read_vector("text.gz", &plain);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
        char name[20];
        snprintf(name, sizeof(name), "row %zu", i);
        dv_buf_append(&stream, plain.data, 10);
        stream.data[3] = (char)rows[i].flags;
        if (rows[i].flags & FEXTRA) {
            dv_buf_putc(&stream, (char)rows[i].extra);
            dv_buf_putc(&stream, (char)(rows[i].extra >> 8));
        }
        for (size_t n = 0; n < rows[i].extra; n++)
            dv_buf_putc(&stream, (char)n);
        for (size_t n = 0; n < rows[i].name; n++)
            dv_buf_putc(&stream, 'n');
        if (rows[i].flags & FNAME)
            dv_buf_putc(&stream, 0);
        for (size_t n = 0; n < rows[i].comment; n++)
            dv_buf_putc(&stream, 'c');
        if (rows[i].flags & FCOMMENT)
            dv_buf_putc(&stream, 0);
        uint32_t crc = crc32_of(stream.data, stream.size) ^ rows[i].crc_error;
        if (rows[i].flags & FHCRC) {
            dv_buf_putc(&stream, (char)crc);
            dv_buf_putc(&stream, (char)(crc >> 8));
        }
        size_t header = stream.size;
        dv_buf_append(&stream, plain.data + 10, plain.size - 10);
        assert_inflates(name, &stream, rows[i].code, "", &text);
        /* Also as a second member, and cut anywhere in the header. */
        DV_AUTO(dv_buf) second = DV_BUF_INIT(STREAM_MAX);
        DV_AUTO(dv_buf) twice = DV_BUF_INIT(STREAM_MAX);
        dv_buf_append(&second, plain.data, plain.size);
        dv_buf_append(&second, stream.data, stream.size);
        put_text(&twice);
        put_text(&twice);
        assert_inflates(name, &second, rows[i].code, "", &twice);
        for (size_t size = 3; size < header && size < 100; size++) {
            result r = inflate(&take_all, stream.data, size, (cut){0, 0}, NULL);
            assert_int_equal(r.code, DAVIT_EFORMAT);
            davit_error_free(r.err);
        }
    }
}

/* Deflate data that is wrong in itself, between a right header and the trailer of nothing. */
static void inflate__hostile_deflate_data(void **state)
{
    static const struct {
        const char *what, *bytes;
        size_t size;
    } rows[] = {
        {"block type 3", "\x07\x00", 2},
        {"stored length and its complement differ", "\x01\x05\x00\x00\x00hello", 10},
        {"distance before the beginning", "\x03\x02\x00",
         3}, /* fixed codes: length 3, distance 1, nothing before */
        {"distance code 30", "\x03\xf2\x0f\x00", 4},
        {"length code 286", "\x1b\x03\x00", 3},
        {"code lengths over-subscribed", "\x05\xe0\x81\x08\x00\x00\x00\x00\x20\x00\x00", 11},
        {"no end", "", 0},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
        dv_buf_append(&stream, "\x1f\x8b\x08\0\0\0\0\0\0\x03", 10);
        dv_buf_append(&stream, rows[i].bytes, rows[i].size);
        put_u32(&stream, 0);
        put_u32(&stream, 0);
        assert_inflates(rows[i].what, &stream, DAVIT_EFORMAT, "gzip stream: ", NULL);
        /* Behind a member, whose bytes are still in the decoder's memory. */
        DV_AUTO(dv_buf) second = DV_BUF_INIT(STREAM_MAX);
        read_vector("text.gz", &second);
        dv_buf_append(&second, stream.data, stream.size);
        assert_inflates(rows[i].what, &second, DAVIT_EFORMAT, "gzip stream: ", NULL);
    }
}

/* One raw block "hello" in a frame with that descriptor, and whatever its header says behind it. */
static void put_zstd_frame(dv_buf *out, uint8_t descriptor, const char *fields, size_t size)
{
    dv_buf_append(out, "\x28\xb5\x2f\xfd", 4);
    dv_buf_putc(out, (char)descriptor);
    dv_buf_append(out, fields, size);
    dv_buf_append(out, "\x29\0\0hello", 8);
}

#define OVER_DEFAULT \
    "zstd stream: refused, its window is over the limit of 32 MiB; --zstd-window allows up to 128 MiB"
#define OVER_MOST "zstd stream: refused, its window is over 128 MiB, the most that --zstd-window allows"

static void inflate__zstd_windows(void **state)
{
    static const struct {
        uint8_t descriptor;
        const char *fields;
        size_t size;
        bool by_default, at_most;
    } rows[] = {
        {0x00, "\x00", 1, true, true},             /* 1 KiB */
        {0x00, "\x78", 1, true, true},             /* 32 MiB */
        {0x00, "\x79", 1, false, true},            /* 36 MiB */
        {0x00, "\x88", 1, false, true},            /* 128 MiB */
        {0x00, "\x89", 1, false, false},           /* 144 MiB */
        {0x00, "\xf8", 1, false, false},           /* 2 TiB */
        {0x00, "\xff", 1, false, false},           /* 3.75 TiB */
        {0x80, "\xf8\x05\0\0\0", 5, false, false}, /* 2 TiB, for 5 bytes that are all there */
        {0x80, "\x88\x05\0\0\0", 5, false, true},
        {0xc0, "\x88\x05\0\0\0\0\0\0\0", 9, false, true},
        {0x20, "\x05", 1, true, true}, /* the content is the window */
        {0xa0, "\x05\0\0\0", 4, true, true},
        {0xe0, "\x05\0\0\0\0\0\0\0", 8, true, true},
    };
    DV_AUTO(dv_buf) hello = DV_BUF_INIT(STREAM_MAX);
    dv_buf_puts(&hello, "hello");
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
        char name[20];
        snprintf(name, sizeof(name), "row %zu", i);
        put_zstd_frame(&stream, rows[i].descriptor, rows[i].fields, rows[i].size);
        assert_inflates(name, &stream, rows[i].at_most ? 0 : DAVIT_ETOOBIG, rows[i].at_most ? "" : OVER_MOST,
                        &hello);
        for (size_t piece = 0; piece < 3; piece++) {
            result r = inflate(NULL, stream.data, stream.size, (cut){0, piece}, NULL);
            assert_int_equal(r.code, rows[i].by_default ? 0 : DAVIT_ETOOBIG);
            assert_string_equal(davit_error_message(r.err),
                                rows[i].by_default ? davit_error_message(NULL) : OVER_DEFAULT);
            davit_error_free(r.err);
        }
    }
}

static void inflate__zstd_windows_by_other_limits(void **state)
{
    static const struct {
        unsigned log;
        int made, code;
    } rows[] = {
        {19, DAVIT_EINVAL, 0},  {28, DAVIT_EINVAL, 0},  {1, DAVIT_EINVAL, 0},
        {20, 0, DAVIT_ETOOBIG}, {26, 0, DAVIT_ETOOBIG}, {27, 0, 0},
        {0, 0, DAVIT_ETOOBIG},
    };
    DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
    read_vector("text-long.zst", &stream);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        dv_inflate_options o = {.zstd_window_log = rows[i].log};
        tail t = TAIL_INIT(NULL);
        dv_inflate *made = NULL;
        assert_int_equal(dv_inflate_new(&o, &t.sink, &made, NULL), rows[i].made);
        dv_inflate_free(made);
        if (rows[i].made < 0)
            continue;
        result r = inflate(&o, stream.data, stream.size, (cut){0, 0}, NULL);
        assert_int_equal(r.code, rows[i].code);
        davit_error_free(r.err);
    }
}

static void inflate__hostile_zstd_frames(void **state)
{
    static const struct {
        const char *what, *bytes;
        size_t size;
        int code;
    } rows[] = {
        {"reserved bit", "\x28\xb5\x2f\xfd\x08\0\x01\0\0", 9, DAVIT_EFORMAT},
        {"block of type 3", "\x28\xb5\x2f\xfd\0\0\x07\0\0", 9, DAVIT_EFORMAT},
        {"block over the window", "\x28\xb5\x2f\xfd\0\0\x03\xff\xff\x61", 10, DAVIT_EFORMAT},
        {"a dictionary", "\x28\xb5\x2f\xfd\x03\0\x07\0\0\0\x01\0\0", 13, DAVIT_EUNSUPPORTED},
        {"content size 5 of 4", "\x28\xb5\x2f\xfd\x20\x05\x21\0\0hell", 13, DAVIT_EFORMAT},
        {"content size 4 of 5", "\x28\xb5\x2f\xfd\x20\x04\x29\0\0hello", 14, DAVIT_EFORMAT},
        {"content size 2^63", "\x28\xb5\x2f\xfd\xc0\x78\0\0\0\0\0\0\0\x80\x29\0\0hello", 22, DAVIT_EFORMAT},
        {"a frame in the header of a frame, as dictionary",
         "\x28\xb5\x2f\xfd\x03\0\x28\xb5\x2f\xfd\x20\x05\x29\0\0hello", 20, DAVIT_EUNSUPPORTED},
        {"zstd 0.7 behind", "\x50\x2a\x4d\x18\0\0\0\0\x27\xb5\x2f\xfd\x24\0\x01\0\0", 17, DAVIT_EFORMAT},
        {"half a magic behind", "\x50\x2a\x4d\x18\0\0\0\0\x28\xb5", 10, DAVIT_EFORMAT},
        {"another magic behind", "\x50\x2a\x4d\x18\0\0\0\0\x28\xb5\x2f\xfc", 12, DAVIT_EFORMAT},
        {"skippable frame that ends early", "\x50\x2a\x4d\x18\xff\xff\xff\xff-", 9, DAVIT_EFORMAT},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
        dv_buf_append(&stream, rows[i].bytes, rows[i].size);
        assert_inflates(rows[i].what, &stream, rows[i].code, "zstd stream: ", NULL);
    }
}

static void inflate__skippable_frames_are_nothing(void **state)
{
    DV_AUTO(dv_buf) nothing = DV_BUF_INIT(STREAM_MAX);
    DV_AUTO(dv_buf) text = DV_BUF_INIT(STREAM_MAX);
    DV_AUTO(dv_buf) only = DV_BUF_INIT(STREAM_MAX);
    DV_AUTO(dv_buf) around = DV_BUF_INIT(STREAM_MAX);
    put_text(&text);
    dv_buf_append(&only, "\x50\x2a\x4d\x18\0\0\0\0", 8);
    dv_buf_append(&only, "\x5a\x2a\x4d\x18\3\0\0\0abc", 11);
    dv_buf_append(&only, "\x5f\x2a\x4d\x18\0\0\0\0", 8);
    assert_inflates("only", &only, 0, "", &nothing);
    dv_buf_append(&around, only.data, only.size);
    read_vector("text.zst", &around);
    dv_buf_append(&around, only.data, only.size);
    assert_inflates("around", &around, 0, "", &text);
}

/* xz -9 asks for 65 MiB. The header is made here: LZMA2 with a dictionary of 2^(d / 2) * (2 + d % 2) bytes, and its CRC. */
static void inflate__xz_memory_is_limited(void **state)
{
    static const struct {
        uint8_t dictionary;
        int code;
        const char *message;
    } rows[] = {
        {26, DAVIT_EFORMAT, "xz stream: damaged data"}, /* 32 MiB: begins, and finds no data */
        {28, DAVIT_ETOOBIG,
         "xz stream: refused, undoing it takes 65 MiB of memory, and the limit is 64 MiB: "
         "xz -8 and below fit"},
        {40, DAVIT_ETOOBIG,
         "xz stream: refused, undoing it takes 4097 MiB of memory, and the limit is 64 MiB: xz -8 and below "
         "fit"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
        uint8_t block[8] = {2, 0, 0x21, 1, rows[i].dictionary};
        dv_buf_append(&stream, "\xfd\x37\x7a\x58\x5a\0\0\x01", 8);
        put_u32(&stream, crc32_of("\0\x01", 2));
        dv_buf_append(&stream, block, sizeof(block));
        put_u32(&stream, crc32_of(block, sizeof(block)));
        dv_buf_append(&stream, "\x80\xff\xff\xff", 4);
        assert_inflates("xz header", &stream, rows[i].code, rows[i].message, NULL);
    }
}

static void inflate__xz_with_a_check_that_cannot_be_verified(void **state)
{
    DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
    dv_buf_append(&stream, "\xfd\x37\x7a\x58\x5a\0\0\x02", 8);
    put_u32(&stream, crc32_of("\0\x02", 2));
    dv_buf_append(&stream, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
    assert_inflates("check 2", &stream, DAVIT_EUNSUPPORTED,
                    "xz stream: it uses a filter or check that is not known", NULL);
}

static void inflate__old_formats_need_permission(void **state)
{
    for (size_t v = 0; v < DV_COUNT(vectors); v++) {
        DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
        bool old =
            vectors[v].compression == DV_COMPRESSION_XZ || vectors[v].compression == DV_COMPRESSION_BZIP2;
        const dv_inflate_options o = {.zstd_window_log = DV_ZSTD_WINDOW_LOG_MAX};
        read_vector(vectors[v].name, &stream);
        result r = inflate(&o, stream.data, stream.size, (cut){0, 0}, NULL);
        assert_int_equal(r.code, old ? DAVIT_EUNSUPPORTED : 0);
        assert_int_equal(r.compression, vectors[v].compression);
        davit_error_free(r.err);
    }
}

static void inflate__plain_bytes_pass(void **state)
{
    DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
    assert_inflates("nothing", &stream, 0, "", &stream);
    dv_buf_append(&stream, "\x1f", 1);
    for (int i = 0; i < 4; i++) {
        assert_inflates("plain", &stream, 0, "", &stream);
        put_text(&stream);
    }
}

static void inflate__plain_bytes_are_not_copied(void **state)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(STREAM_MAX);
    tail t = TAIL_INIT(NULL);
    dv_inflate *i = NULL;
    put_text(&text);
    assert_int_equal(dv_inflate_new(NULL, &t.sink, &i, NULL), 0);
    assert_int_equal(dv_sink_write(dv_inflate_sink(i), text.data, text.size, NULL), 0);
    assert_ptr_equal(t.first, text.data);
    assert_int_equal(t.largest, text.size);
    dv_inflate_free(i);
}

static void inflate__undoes_one_layer_of_compression_only(void **state)
{
    DV_AUTO(dv_buf) inner = DV_BUF_INIT(STREAM_MAX);
    DV_AUTO(dv_buf) outer = DV_BUF_INIT(STREAM_MAX);
    tail t = TAIL_INIT(&outer);
    dv_deflate *d = NULL;
    read_vector("text.gz", &inner);
    assert_int_equal(dv_deflate_new(DV_COMPRESSION_GZIP, 0, &t.sink, &d, NULL), 0);
    assert_int_equal(push(dv_deflate_sink(d), (const uint8_t *)inner.data, inner.size, (cut){0, 0}, NULL), 0);
    dv_deflate_free(d);
    assert_inflates("gzip in gzip", &outer, 0, "", &inner);
}

static void inflate__output_limit_is_exact(void **state)
{
    static const char *const names[] = {"text.gz", "text.zst", "text.xz", "text.bz2", NULL};
    DV_AUTO(dv_buf) text = DV_BUF_INIT(STREAM_MAX);
    put_text(&text);
    for (size_t n = 0; n < DV_COUNT(names); n++) {
        DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
        if (names[n])
            read_vector(names[n], &stream);
        else
            put_text(&stream);
        for (int beyond = 0; beyond < 3; beyond++) {
            for (size_t piece = 0; piece < 3; piece++) {
                DV_AUTO(dv_buf) out = DV_BUF_INIT(STREAM_MAX);
                dv_inflate_options o = {.max_output = text.size + 1 - (unsigned)beyond, .allow_old = true};
                result r = inflate(&o, stream.data, stream.size, (cut){0, piece}, &out);
                assert_int_equal(r.code, beyond == 2 ? DAVIT_ETOOBIG : 0);
                assert_true(out.size <= o.max_output);
                assert_true(r.bytes <= o.max_output);
                davit_error_free(r.err);
            }
        }
    }
}

static void inflate__output_limit_is_told(void **state)
{
    static const struct {
        const char *name, *message;
    } rows[] = {
        {"text.gz", "gzip stream: refused, it holds more than the limit of 9 bytes"},
        {"make", "uncompressed stream: refused, it holds more than the limit of 9 bytes"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
        read_vector(rows[i].name, &stream);
        const dv_inflate_options o = {.max_output = 9};
        result r = inflate(&o, stream.data, stream.size, (cut){0, 0}, NULL);
        assert_int_equal(r.code, DAVIT_ETOOBIG);
        assert_string_equal(davit_error_message(r.err), rows[i].message);
        davit_error_free(r.err);
    }
}

static void deflate_zeros(dv_compression kind, uint64_t size, dv_buf *out)
{
    static const uint8_t zeros[1u << 20];
    tail t = TAIL_INIT(out);
    dv_deflate *d = NULL;
    assert_int_equal(dv_deflate_new(kind, 0, &t.sink, &d, NULL), 0);
    for (uint64_t n = 0; n < size; n += sizeof(zeros))
        assert_int_equal(dv_sink_write(dv_deflate_sink(d), zeros, sizeof(zeros), NULL), 0);
    assert_int_equal(dv_sink_finish(dv_deflate_sink(d), NULL), 0);
    assert_false(out->failed);
    dv_deflate_free(d);
}

static long peak_kib(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_maxrss;
}

/* A gigabyte of zeros in a few megabytes, and one byte more than is allowed. */
static void inflate__a_bomb_takes_no_memory_and_is_cut(void **state)
{
    static const dv_compression kinds[] = {DV_COMPRESSION_GZIP, DV_COMPRESSION_ZSTD};
    const uint64_t size = SANITIZED ? 64u << 20 : 1u << 30;
    for (size_t k = 0; k < DV_COUNT(kinds); k++) {
        DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
        deflate_zeros(kinds[k], size, &stream);
        assert_true(stream.size < size / 150);
        long before = peak_kib();
        tail t = TAIL_INIT(NULL);
        dv_inflate *i = NULL;
        const dv_inflate_options o = {.max_output = size - 1};
        assert_int_equal(dv_inflate_new(&o, &t.sink, &i, NULL), 0);
        assert_int_equal(
            push(dv_inflate_sink(i), (const uint8_t *)stream.data, stream.size, (cut){0, 65536}, NULL),
            DAVIT_ETOOBIG);
        assert_true(t.size < size && t.size >= size - 2 * DV_INFLATE_CHUNK);
        assert_int_equal(t.largest, DV_INFLATE_CHUNK);
        dv_inflate_free(i);
        assert_true(SANITIZED || peak_kib() - before < 8 * 1024);
    }
}

static void inflate__a_failure_behind_it_is_handed_on(void **state)
{
    DV_AUTO(dv_buf) stream = DV_BUF_INIT(STREAM_MAX);
    tail t = TAIL_INIT(NULL);
    dv_inflate *i = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    t.fails = true;
    read_vector("text.gz", &stream);
    assert_int_equal(dv_inflate_new(NULL, &t.sink, &i, NULL), 0);
    assert_int_equal(push(dv_inflate_sink(i), (const uint8_t *)stream.data, stream.size, (cut){0, 0}, &err),
                     DAVIT_EIO);
    assert_string_equal(davit_error_message(err), "full");
    assert_false(t.finished);
    dv_inflate_free(i);
}

/* Bytes of a fixed generator: half of them compress. */
static void put_noise(dv_buf *out, size_t size)
{
    uint32_t x = 12345;
    for (size_t i = 0; i < size; i++) {
        x = x * 1664525 + 1013904223;
        dv_buf_putc(out, i & 64 ? (char)(x >> 24) : 'a');
    }
}

static void deflate(dv_compression kind, int level, const dv_buf *in, cut by, dv_buf *out)
{
    tail t = TAIL_INIT(out);
    dv_deflate *d = NULL;
    assert_int_equal(dv_deflate_new(kind, level, &t.sink, &d, NULL), 0);
    assert_int_equal(push(dv_deflate_sink(d), (const uint8_t *)dv_buf_text(in), in->size, by, NULL), 0);
    assert_true(t.finished);
    dv_deflate_free(d);
}

static void deflate__comes_back_and_depends_on_the_bytes_alone(void **state)
{
    static const dv_compression kinds[] = {DV_COMPRESSION_NONE, DV_COMPRESSION_GZIP, DV_COMPRESSION_ZSTD};
    static const size_t sizes[] = {0, 1, 100, 262143, 262144, 262145, 1000000};
    static const cut cuts[] = {{1, 0}, {0, 999}, {262144, 0}, {262143, 65536}};
    static const int levels[] = {-5, 0, 1, 2, 3, 99};
    for (size_t k = 0; k < DV_COUNT(kinds); k++) {
        for (size_t s = 0; s < DV_COUNT(sizes); s++) {
            DV_AUTO(dv_buf) in = DV_BUF_INIT(STREAM_MAX);
            put_noise(&in, sizes[s]);
            for (size_t l = 0; l < DV_COUNT(levels); l++) {
                DV_AUTO(dv_buf) first = DV_BUF_INIT(STREAM_MAX);
                DV_AUTO(dv_buf) back = DV_BUF_INIT(STREAM_MAX);
                deflate(kinds[k], levels[l], &in, (cut){0, 0}, &first);
                result r = inflate(NULL, dv_buf_text(&first), first.size, (cut){0, 0}, &back);
                assert_int_equal(r.code, 0);
                assert_int_equal(r.compression, kinds[k]);
                assert_int_equal(back.size, in.size);
                assert_memory_equal(dv_buf_text(&back), dv_buf_text(&in), in.size);
                if (kinds[k] == DV_COMPRESSION_GZIP) /* no time, no name */
                    assert_memory_equal(first.data, "\x1f\x8b\x08\0\0\0\0\0", 8);
                for (size_t c = 0; c < DV_COUNT(cuts) && levels[l] <= 3; c++) {
                    DV_AUTO(dv_buf) again = DV_BUF_INIT(STREAM_MAX);
                    deflate(kinds[k], levels[l], &in, cuts[c], &again);
                    assert_int_equal(again.size, first.size);
                    assert_memory_equal(dv_buf_text(&again), dv_buf_text(&first), first.size);
                }
            }
        }
    }
}

static void deflate__the_programs_take_it(void **state)
{
    static const struct {
        dv_compression kind;
        const char *command;
    } rows[] = {{DV_COMPRESSION_GZIP, "gzip -dc"}, {DV_COMPRESSION_ZSTD, "zstd -qdc"}};
    DV_AUTO(dv_buf) in = DV_BUF_INIT(STREAM_MAX);
    put_noise(&in, 600000);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) out = DV_BUF_INIT(STREAM_MAX);
        DV_AUTO(dv_buf) back = DV_BUF_INIT(STREAM_MAX);
        char path[] = "/tmp/davit-deflate-XXXXXX", command[80], bytes[4096];
        deflate(rows[i].kind, 0, &in, (cut){0, 0}, &out);
        int fd = mkstemp(path);
        FILE *f = fdopen(fd, "wb");
        assert_non_null(f);
        assert_int_equal(fwrite(out.data, 1, out.size, f), out.size);
        assert_int_equal(fclose(f), 0);
        snprintf(command, sizeof(command), "%s < %s", rows[i].command, path);
        f = popen(command, "r");
        assert_non_null(f);
        for (size_t n; (n = fread(bytes, 1, sizeof(bytes), f)) > 0;)
            dv_buf_append(&back, bytes, n);
        assert_int_equal(pclose(f), 0);
        remove(path);
        assert_int_equal(back.size, in.size);
        assert_memory_equal(back.data, in.data, in.size);
    }
}

static void deflate__writes_no_old_formats(void **state)
{
    static const dv_compression kinds[] = {DV_COMPRESSION_XZ, DV_COMPRESSION_BZIP2, (dv_compression)9};
    for (size_t k = 0; k < DV_COUNT(kinds); k++) {
        tail t = TAIL_INIT(NULL);
        dv_deflate *d = NULL;
        assert_int_equal(dv_deflate_new(kinds[k], 0, &t.sink, &d, NULL), DAVIT_EUNSUPPORTED);
        assert_null(d);
    }
    dv_deflate_free(NULL);
    dv_inflate_free(NULL);
}

static void deflate__a_failure_behind_it_is_handed_on(void **state)
{
    DV_AUTO(dv_buf) in = DV_BUF_INIT(STREAM_MAX);
    put_noise(&in, 1000000);
    for (int kind = DV_COMPRESSION_NONE; kind <= DV_COMPRESSION_ZSTD; kind++) {
        tail t = TAIL_INIT(NULL);
        dv_deflate *d = NULL;
        t.fails = true;
        assert_int_equal(dv_deflate_new((dv_compression)kind, 0, &t.sink, &d, NULL), 0);
        assert_int_equal(push(dv_deflate_sink(d), (const uint8_t *)in.data, in.size, (cut){0, 0}, NULL),
                         DAVIT_EIO);
        assert_false(t.finished);
        dv_deflate_free(d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(detect__first_bytes_decide),
        cmocka_unit_test(inflate__gives_what_the_programs_were_given),
        cmocka_unit_test(inflate__members_are_one_stream),
        cmocka_unit_test(inflate__formats_do_not_mix),
        cmocka_unit_test(inflate__many_empty_members_are_a_loop),
        cmocka_unit_test(inflate__what_ends_early_is_refused),
        cmocka_unit_test(inflate__a_cut_after_whole_members_is_not_seen),
        cmocka_unit_test(inflate__a_changed_bit_is_found_or_changes_nothing),
        cmocka_unit_test(inflate__only_zeros_may_follow),
        cmocka_unit_test(inflate__zeros_behind_are_limited),
        cmocka_unit_test(inflate__only_xz_streams_go_on_after_zeros),
        cmocka_unit_test(inflate__wrong_crc_and_length_are_refused),
        cmocka_unit_test(inflate__gzip_header_fields),
        cmocka_unit_test(inflate__hostile_deflate_data),
        cmocka_unit_test(inflate__zstd_windows),
        cmocka_unit_test(inflate__zstd_windows_by_other_limits),
        cmocka_unit_test(inflate__hostile_zstd_frames),
        cmocka_unit_test(inflate__skippable_frames_are_nothing),
        cmocka_unit_test(inflate__xz_memory_is_limited),
        cmocka_unit_test(inflate__xz_with_a_check_that_cannot_be_verified),
        cmocka_unit_test(inflate__old_formats_need_permission),
        cmocka_unit_test(inflate__plain_bytes_pass),
        cmocka_unit_test(inflate__plain_bytes_are_not_copied),
        cmocka_unit_test(inflate__undoes_one_layer_of_compression_only),
        cmocka_unit_test(inflate__output_limit_is_exact),
        cmocka_unit_test(inflate__output_limit_is_told),
        cmocka_unit_test(inflate__a_bomb_takes_no_memory_and_is_cut),
        cmocka_unit_test(inflate__a_failure_behind_it_is_handed_on),
        cmocka_unit_test(deflate__comes_back_and_depends_on_the_bytes_alone),
        cmocka_unit_test(deflate__the_programs_take_it),
        cmocka_unit_test(deflate__writes_no_old_formats),
        cmocka_unit_test(deflate__a_failure_behind_it_is_handed_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

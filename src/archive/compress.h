/*
 * archive/compress.h - the only door to the codecs: which compression a stream has, undoing it, and gzip and zstd for writing.
 *
 * The first bytes decide, never a media type (store.md 9.1). Concatenated members and frames are one stream. Checks at the end
 * of each member are enforced; behind the last one only zero bytes may follow (threats C6). In-process libraries only (C7).
 */
#ifndef DV_ARCHIVE_COMPRESS_H
#define DV_ARCHIVE_COMPRESS_H

#include "util/sink.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum dv_compression {
    DV_COMPRESSION_NONE,
    DV_COMPRESSION_GZIP,
    DV_COMPRESSION_ZSTD,
    DV_COMPRESSION_XZ,
    DV_COMPRESSION_BZIP2,
} dv_compression;

#define DV_COMPRESSION_MAGIC 10 /* bytes that decide; fewer when the stream ends before */

/* What the first bytes of a stream say; an empty stream is DV_COMPRESSION_NONE. Pure. */
dv_compression dv_compression_detect(const void *bytes, size_t size);
const char *dv_compression_name(dv_compression c);

#define DV_INFLATE_OUTPUT_MAX (64ull << 30) /* bytes of one layer, by default (threats C5) */
#define DV_ZSTD_WINDOW_LOG 25               /* 32 MiB, by default (threats C6) */
#define DV_ZSTD_WINDOW_LOG_MIN 20           /* 1 MiB */
#define DV_ZSTD_WINDOW_LOG_MAX 27           /* 128 MiB, what --zstd-window may ask for */
#define DV_INFLATE_CHUNK (256u << 10)       /* bytes handed on at once, at most */

typedef struct dv_inflate_options {
    uint64_t max_output;      /* 0: DV_INFLATE_OUTPUT_MAX */
    unsigned zstd_window_log; /* 0: DV_ZSTD_WINDOW_LOG */
    bool allow_old;           /* xz and bzip2: load and unpack */
} dv_inflate_options;

/*
 * A step that undoes whatever compression the stream turns out to have; plain bytes pass through uncopied. Errors: DAVIT_EFORMAT
 * (damaged, truncated, trailing bytes; the text names the format), DAVIT_ETOOBIG (output, window), DAVIT_EUNSUPPORTED (xz, bzip2 when
 * not allowed), DAVIT_ENOMEM. Memory: chunk, codec state and window; grows with nothing else.
 */
typedef struct dv_inflate dv_inflate;
int dv_inflate_new(const dv_inflate_options *options, dv_sink *next, dv_inflate **out, davit_error **err);
dv_sink *dv_inflate_sink(dv_inflate *i);
dv_compression dv_inflate_compression(const dv_inflate *i); /* known after the first bytes */
uint64_t dv_inflate_output_bytes(const dv_inflate *i);
void dv_inflate_free(dv_inflate *i);
DV_DEFINE_AUTOPTR(dv_inflate, dv_inflate_free)

/*
 * A step that compresses as gzip or zstd (NONE passes through). Deterministic: no time, no name, and however the bytes come. level 0 is the
 * codec's default (gzip 1, zstd 3); one beyond what it has is its highest (ISA-L has 3). Errors: DAVIT_EUNSUPPORTED for the other kinds.
 */
typedef struct dv_deflate dv_deflate;
int dv_deflate_new(dv_compression kind, int level, dv_sink *next, dv_deflate **out, davit_error **err);
dv_sink *dv_deflate_sink(dv_deflate *d);
void dv_deflate_free(dv_deflate *d);
DV_DEFINE_AUTOPTR(dv_deflate, dv_deflate_free)

#endif

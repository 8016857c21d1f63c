/*
 * archive/compress.c - which compression a stream has, by its first bytes, and nothing but them.
 *
 * The codecs are in compress_*.c behind compress_codec.h; compress_inflate.c drives the decoders, compress_deflate.c the encoders.
 */
#include "archive/compress.h"

#include <string.h>

#define SKIPPABLE_HEADER 8 /* magic and length of a skippable zstd frame (RFC 8878, 3.1.2) */

typedef struct magic {
    dv_compression compression;
    uint8_t size;
    uint8_t bytes[6];
} magic;

static const magic magics[] = {
    {DV_COMPRESSION_BZIP2, 3, {0x42, 0x5a, 0x68}},
    {DV_COMPRESSION_GZIP, 3, {0x1f, 0x8b, 0x08}},
    {DV_COMPRESSION_XZ, 6, {0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00}},
    {DV_COMPRESSION_ZSTD, 4, {0x28, 0xb5, 0x2f, 0xfd}},
};

static bool is_skippable_frame(const uint8_t *b, size_t size)
{
    return size >= SKIPPABLE_HEADER && (b[0] & 0xf0) == 0x50 && b[1] == 0x2a && b[2] == 0x4d && b[3] == 0x18;
}

dv_compression dv_compression_detect(const void *bytes, size_t size)
{
    for (size_t i = 0; i < DV_COUNT(magics); i++)
        if (size >= magics[i].size && memcmp(bytes, magics[i].bytes, magics[i].size) == 0)
            return magics[i].compression;
    return is_skippable_frame(bytes, size) ? DV_COMPRESSION_ZSTD : DV_COMPRESSION_NONE;
}

const char *dv_compression_name(dv_compression c)
{
    static const char *const names[] = {
        [DV_COMPRESSION_NONE] = "none", [DV_COMPRESSION_GZIP] = "gzip",   [DV_COMPRESSION_ZSTD] = "zstd",
        [DV_COMPRESSION_XZ] = "xz",     [DV_COMPRESSION_BZIP2] = "bzip2",
    };
    return (unsigned)c < DV_COUNT(names) ? names[c] : "unknown";
}

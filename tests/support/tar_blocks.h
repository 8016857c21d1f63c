/*
 * tests/support/tar_blocks.h - tar archives put together block by block, right or wrong, and what the reader tells of them as text.
 */
#ifndef DV_TESTS_TAR_BLOCKS_H
#define DV_TESTS_TAR_BLOCKS_H

#include "archive/tar_header.h"

#define TAR_TEXT_MAX (8u << 20)

/* A sound ustar header: mode 0644, owner 0:0, time 0. */
void tar_block(dv_buf *tar, unsigned char type, const char *name, uint64_t size);
/* Put bytes into the last header block, and its checksum right. */
void tar_patch(dv_buf *tar, size_t at, const void *bytes, size_t size);
void tar_link(dv_buf *tar, const char *target);
/* Data with its padding. */
void tar_data(dv_buf *tar, const void *bytes, size_t size);
/* A header of a type with its text as data: x, g, L, K. */
void tar_extension(dv_buf *tar, unsigned char type, const void *text, size_t size);
/* One pax record, appended to records. */
void tar_record(dv_buf *records, const char *key, const void *value, size_t size);
/* An 'x' header of one record. */
void tar_pax(dv_buf *tar, const char *key, const char *value);
void tar_end(dv_buf *tar);

/* A line for each entry (type, name, link, numbers that are not 0, xattrs), its data behind it, "." at its end. */
int tar_read(const void *bytes, size_t size, size_t chunk, dv_buf *log, davit_error **err);

/* A sink that keeps everything. */
typedef struct tar_memory {
    dv_sink sink;
    dv_buf bytes;
} tar_memory;
#define TAR_MEMORY_INIT                                                          \
    {                                                                            \
        .sink = {.write = tar_memory_write}, .bytes = DV_BUF_INIT(TAR_TEXT_MAX), \
    }
int tar_memory_write(dv_sink *s, const void *bytes, size_t size, davit_error **err);

#endif

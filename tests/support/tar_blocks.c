/* tests/support/tar_blocks.c - see tar_blocks.h. */
#include "tar_blocks.h"

#include "util/str.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void seal(uint8_t *block)
{
    char text[8];
    snprintf(text, sizeof(text), "%06" PRIo64, dv_tar_block_sum(block, false));
    memcpy(block + 148, text, 7);
    block[155] = ' ';
}

void tar_block(dv_buf *tar, unsigned char type, const char *name, uint64_t size)
{
    uint8_t block[DV_TAR_BLOCK_SIZE] = {0};
    char digits[24];
    memcpy(block, name, strnlen(name, 100));
    memcpy(block + 100, "0000644", 7);
    memcpy(block + 108, "0000000", 7);
    memcpy(block + 116, "0000000", 7);
    snprintf(digits, sizeof(digits), "%011" PRIo64, size);
    memcpy(block + 124, digits, 11);
    memcpy(block + 136, "00000000000", 11);
    block[156] = type;
    memcpy(block + 257, "ustar\00000", 8);
    seal(block);
    dv_buf_append(tar, block, sizeof(block));
}

void tar_patch(dv_buf *tar, size_t at, const void *bytes, size_t size)
{
    uint8_t *block = (uint8_t *)tar->data + tar->size - DV_TAR_BLOCK_SIZE;
    memcpy(block + at, bytes, size);
    seal(block);
}

void tar_link(dv_buf *tar, const char *target)
{
    tar_patch(tar, 157, target, strnlen(target, 100));
}

void tar_data(dv_buf *tar, const void *bytes, size_t size)
{
    static const uint8_t zeros[DV_TAR_BLOCK_SIZE];
    dv_buf_append(tar, bytes, size);
    dv_buf_append(tar, zeros, -size % DV_TAR_BLOCK_SIZE);
}

void tar_extension(dv_buf *tar, unsigned char type, const void *text, size_t size)
{
    tar_block(tar, type, "extension", size);
    tar_data(tar, text, size);
}

void tar_record(dv_buf *records, const char *key, const void *value, size_t size)
{
    char head[16];
    size_t length = strlen(key) + size + 3;
    size_t total = length + 1;
    while ((size_t)snprintf(head, sizeof(head), "%zu", total) + length != total)
        total++;
    dv_buf_printf(records, "%zu %s=", total, key);
    dv_buf_append(records, value, size);
    dv_buf_putc(records, '\n');
}

void tar_pax(dv_buf *tar, const char *key, const char *value)
{
    DV_AUTO(dv_buf) records = DV_BUF_INIT(TAR_TEXT_MAX);
    tar_record(&records, key, value, strlen(value));
    tar_extension(tar, 'x', records.data, records.size);
}

void tar_end(dv_buf *tar)
{
    static const uint8_t zeros[2 * DV_TAR_BLOCK_SIZE];
    dv_buf_append(tar, zeros, sizeof(zeros));
}

static void log_time(dv_buf *log, const char *what, const dv_tar_time *t)
{
    if (t->set && (t->s || t->ns))
        dv_buf_printf(log, " %s=%" PRId64 ".%09" PRIu32, what, t->s, t->ns);
}

static int log_entry(void *user, const dv_tar_entry *e, davit_error **err)
{
    static const char *const types[] = {"file", "hardlink", "symlink", "char", "block", "directory", "fifo"};
    dv_buf *log = user;
    dv_buf_printf(log, "%s %.300s", types[e->type], e->name);
    if (*e->link)
        dv_buf_printf(log, " -> %.300s", e->link);
    dv_buf_printf(log, " %o", e->mode);
    if (e->uid || e->gid)
        dv_buf_printf(log, " %u:%u", e->uid, e->gid);
    if (e->major || e->minor)
        dv_buf_printf(log, " dev=%u,%u", e->major, e->minor);
    if (e->size)
        dv_buf_printf(log, " size=%" PRIu64, e->size);
    log_time(log, "mtime", &e->mtime);
    log_time(log, "atime", &e->atime);
    for (size_t i = 0; i < e->xattr_count; i++) {
        dv_buf_printf(log, " %s=", e->xattrs[i].name);
        dv_str_escape(log, e->xattrs[i].value, e->xattrs[i].size, false);
    }
    dv_buf_putc(log, ' ');
    return 0;
}

static int log_data(void *user, const void *bytes, size_t size, davit_error **err)
{
    assert(size > 0);
    dv_buf_append(user, bytes, size);
    return 0;
}

static int log_end(void *user, davit_error **err)
{
    dv_buf_puts(user, ".\n");
    return 0;
}

int tar_read(const void *bytes, size_t size, size_t chunk, dv_buf *log, davit_error **err)
{
    static const dv_tar_handler handler = {.on_entry = log_entry, .on_data = log_data, .on_end = log_end};
    DV_AUTOPTR(dv_tar_reader) reader = NULL;
    int r = dv_tar_reader_new(&handler, log, &reader, err);
    for (size_t at = 0; r == 0 && at < size; at += chunk) {
        /* An allocation of its own: a sanitizer sees who reads on. */
        const size_t n = size - at < chunk ? size - at : chunk;
        DV_AUTOFREE void *copy = dv_memdup((const char *)bytes + at, n);
        r = copy ? dv_sink_write(dv_tar_reader_sink(reader), copy, n, err) : dv_error_oom(err);
    }
    return r < 0 ? r : dv_sink_finish(dv_tar_reader_sink(reader), err);
}

int tar_memory_write(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    tar_memory *m = (tar_memory *)s;
    dv_buf_append(&m->bytes, bytes, size);
    return m->bytes.failed ? dv_error_oom(err) : 0;
}

/*
 * Fuzz archive/tar_*.c: limits hold, data is as long as was said, pieces make no difference, what is written is read the same.
 *
 * The input is lines, so that invention reaches behind the checksums; each puts together a part of an archive:
 *
 *     H<type><size> <name>    a sound header           P<at> <bytes>    bytes into the last header, sealed again
 *     D<bytes>                data with padding        E<type><bytes>   an extension header with this text
 *     r<key>=<value>          a pax record ...         X                ... and the pax header of those before
 *     Z                       two zero blocks          C<n>             the last n bytes go
 *
 * Any other line stands for itself.
 */
#include "../support/tar_blocks.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct checker {
    tar_memory copy; /* what the writer makes of the entries */
    uint64_t left;   /* data of the entry still to come */
    bool in_entry;
    uint64_t entries, bytes;
} checker;

static size_t take_number(const char **text, const char *end)
{
    size_t value = 0;
    for (; *text < end && **text >= '0' && **text <= '9'; (*text)++)
        value = value > SIZE_MAX / 20 ? value : value * 10 + (size_t)(**text - '0');
    return value;
}

static void add_header(dv_buf *tar, const char *at, const char *end)
{
    char name[101] = {0};
    const unsigned char type = at < end ? (unsigned char)*at++ : '0';
    const size_t size = take_number(&at, end);
    if (at < end)
        at++;
    memcpy(name, at, (size_t)(end - at) > 100 ? 100 : (size_t)(end - at));
    tar_block(tar, type, name, size & DV_TAR_OCTAL_11_MAX);
}

static void add_patch(dv_buf *tar, const char *at, const char *end)
{
    const size_t where = take_number(&at, end) % DV_TAR_BLOCK_SIZE;
    size_t size = at < end ? (size_t)(end - at - 1) : 0;
    if (size > DV_TAR_BLOCK_SIZE - where)
        size = DV_TAR_BLOCK_SIZE - where;
    if (size > 0 && tar->size >= DV_TAR_BLOCK_SIZE)
        tar_patch(tar, where, at + 1, size);
}

static void add_record(dv_buf *records, const char *at, const char *end)
{
    char key[64] = {0};
    const char *equals = memchr(at, '=', (size_t)(end - at));
    if (!equals || (size_t)(equals - at) >= sizeof(key))
        return;
    memcpy(key, at, (size_t)(equals - at));
    tar_record(records, key, equals + 1, (size_t)(end - equals - 1));
}

static void add_line(dv_buf *tar, dv_buf *records, const char *at, const char *end)
{
    const char *rest = at + 1;
    switch (at < end ? *at : '\0') {
    case 'H':
        add_header(tar, rest, end);
        return;
    case 'P':
        add_patch(tar, rest, end);
        return;
    case 'D':
        tar_data(tar, rest, (size_t)(end - rest));
        return;
    case 'E':
        if (rest < end)
            tar_extension(tar, (unsigned char)*rest, rest + 1, (size_t)(end - rest - 1));
        return;
    case 'r':
        add_record(records, rest, end);
        return;
    case 'X':
        tar_extension(tar, 'x', dv_buf_text(records), records->size);
        dv_buf_reset(records);
        return;
    case 'Z':
        tar_end(tar);
        return;
    case 'C': {
        const size_t cut = take_number(&rest, end);
        tar->size -= cut < tar->size ? cut : tar->size;
        return;
    }
    }
    dv_buf_append(tar, at, (size_t)(end - at));
}

static void build(dv_buf *tar, const char *at, size_t size)
{
    DV_AUTO(dv_buf) records = DV_BUF_INIT(TAR_TEXT_MAX);
    const char *end = at + size;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        add_line(tar, &records, at, stop);
        at = newline ? newline + 1 : end;
    }
}

static void check_entry(const dv_tar_entry *e)
{
    size_t bytes = 0;
    assert(strlen(e->name) <= DV_TAR_NAME_MAX && strlen(e->link) <= DV_TAR_NAME_MAX);
    assert(e->mode <= 07777 && e->uid != UINT32_MAX && e->gid != UINT32_MAX);
    assert(e->mtime.set && e->mtime.ns < 1000000000 && e->atime.ns < 1000000000);
    assert(e->type == DV_TAR_FILE ? e->size <= INT64_MAX : e->size == 0);
    assert(e->type == DV_TAR_HARDLINK || e->type == DV_TAR_SYMLINK || !*e->link);
    assert(e->xattr_count <= DV_TAR_XATTRS_MAX);
    for (size_t i = 0; i < e->xattr_count; i++) {
        assert(*e->xattrs[i].name);
        bytes += e->xattrs[i].size + strlen(e->xattrs[i].name);
    }
    assert(bytes <= DV_TAR_XATTR_BYTES_MAX);
}

static int on_entry(void *user, const dv_tar_entry *e, davit_error **err)
{
    checker *c = user;
    assert(!c->in_entry);
    check_entry(e);
    c->in_entry = true;
    c->left = e->size;
    c->entries++;
    c->bytes += e->size;
    if (e->major > DV_TAR_OCTAL_7_MAX || e->minor > DV_TAR_OCTAL_7_MAX)
        return dv_error_set(err, DAVIT_EUNSUPPORTED, "not for the writer");
    return dv_tar_write_header(&c->copy.sink, e, err);
}

static int on_data(void *user, const void *bytes, size_t size, davit_error **err)
{
    checker *c = user;
    assert(c->in_entry && size > 0 && size <= c->left);
    c->left -= size;
    return dv_sink_write(&c->copy.sink, bytes, size, err);
}

static int on_end(void *user, davit_error **err)
{
    checker *c = user;
    assert(c->in_entry && c->left == 0);
    c->in_entry = false;
    return dv_tar_write_padding(&c->copy.sink, c->copy.bytes.size, err);
}

/* What is read in pieces must be what is read at once. */
static void check_pieces(const dv_buf *tar, size_t chunk, const dv_buf *log, int result)
{
    DV_AUTO(dv_buf) again = DV_BUF_INIT(TAR_TEXT_MAX);
    assert(tar_read(tar->data, tar->size, chunk, &again, NULL) == result);
    assert(again.size == log->size && (log->size == 0 || memcmp(again.data, log->data, log->size) == 0));
}

static void check_rewritten(const dv_buf *tar, const dv_buf *log)
{
    static const dv_tar_handler handler = {.on_entry = on_entry, .on_data = on_data, .on_end = on_end};
    checker c = {.copy = TAR_MEMORY_INIT};
    DV_AUTO(dv_buf) again = DV_BUF_INIT(TAR_TEXT_MAX);
    DV_AUTOPTR(dv_tar_reader) reader = NULL;
    if (dv_tar_reader_new(&handler, &c, &reader, NULL) < 0)
        abort();
    int r = dv_sink_write(dv_tar_reader_sink(reader), tar->data, tar->size, NULL);
    if (r == 0)
        r = dv_sink_finish(dv_tar_reader_sink(reader), NULL);
    assert(dv_tar_reader_entry_count(reader) == c.entries && dv_tar_reader_size_sum(reader) >= c.bytes);
    if (r == 0 && log) {
        assert(!c.in_entry);
        assert(tar_read(dv_buf_text(&c.copy.bytes), c.copy.bytes.size, 4096, &again, NULL) == 0);
        assert(again.size == log->size && (log->size == 0 || memcmp(again.data, log->data, log->size) == 0));
    }
    dv_buf_clear(&c.copy.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTO(dv_buf) tar = DV_BUF_INIT(TAR_TEXT_MAX);
    DV_AUTO(dv_buf) log = DV_BUF_INIT(TAR_TEXT_MAX);
    build(&tar, (const char *)data, size);
    if (tar.failed || tar.size > 1u << 20)
        return 0;
    dv_buf_append(&tar, "", 0);
    int r = tar_read(dv_buf_text(&tar), tar.size, tar.size + 1, &log, NULL);
    check_pieces(&tar, 1, &log, r);
    check_pieces(&tar, 513, &log, r);
    check_rewritten(&tar, r == 0 ? &log : NULL);
    return 0;
}

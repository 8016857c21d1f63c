/*
 * archive/tar_writer.c - entries as tar: ustar, and a PAX header before it for what ustar cannot say. The same entry is always the
 * same bytes.
 *
 * Names go raw, as GNU tar writes them; a PAX name that is not UTF-8 is announced by hdrcharset=BINARY (POSIX). A field whose value is in a
 * PAX record holds what of it fits, numbers hold 0.
 */
#include "archive/tar_header.h"

#include "util/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PAX_NAME "././@PaxHeader" /* of the header itself; who does not know PAX makes one file of them all */
#define RECORD_MAX (DV_TAR_EXTENSION_MAX - 3 * DV_TAR_BLOCK_SIZE)

static void put_text(uint8_t *block, size_t at, size_t size, const char *text, size_t length)
{
    memcpy(block + at, text, length < size ? length : size);
}

/* Digits up to the field's last byte, which is a NUL. What does not fit is 0: a PAX record has it. */
static void put_octal(uint8_t *block, size_t at, size_t size, uint64_t value)
{
    if (value >> (3 * (size - 1)))
        value = 0;
    for (size_t i = size - 1; i-- > 0; value >>= 3)
        block[at + i] = (uint8_t)('0' + (value & 7));
}

/* Where a name of more than 100 bytes can be split into prefix and name; 0: nowhere. */
static size_t find_split(const char *name, size_t length)
{
    if (length > 155 + 1 + 100)
        return 0;
    for (size_t i = length < 156 ? length - 1 : 155; i > 0 && length - i - 1 <= 100; i--)
        if (name[i] == '/' && i + 1 < length)
            return i;
    return 0;
}

static bool name_fits(const char *name)
{
    const size_t length = strlen(name);
    return length <= 100 || find_split(name, length) > 0;
}

static void put_name(uint8_t *block, const char *name)
{
    const size_t length = strlen(name);
    const size_t split = length > 100 ? find_split(name, length) : 0;
    put_text(block, DV_TAR_PREFIX, 155, name, split);
    if (split)
        name += split + 1;
    put_text(block, DV_TAR_NAME_AT, name, strlen(name));
}

static bool time_fits(const dv_tar_time *t)
{
    return t->ns == 0 && t->s >= 0 && (uint64_t)t->s <= DV_TAR_OCTAL_11_MAX;
}

static void seal(uint8_t *block)
{
    memcpy(block + DV_TAR_MAGIC, "ustar\00000", 8);
    put_octal(block, 148, 7, (uint64_t)dv_tar_block_sum(block, false));
    block[155] = ' ';
}

static char type_letter(dv_tar_type type)
{
    static const char letters[] = {
        [DV_TAR_FILE] = '0',  [DV_TAR_HARDLINK] = '1',  [DV_TAR_SYMLINK] = '2', [DV_TAR_CHAR] = '3',
        [DV_TAR_BLOCK] = '4', [DV_TAR_DIRECTORY] = '5', [DV_TAR_FIFO] = '6',
    };
    return letters[type];
}

static int write_ustar(dv_sink *to, const dv_tar_entry *e, davit_error **err)
{
    uint8_t block[DV_TAR_BLOCK_SIZE] = {0};
    put_name(block, e->name);
    put_text(block, DV_TAR_LINK_AT, e->link, strlen(e->link));
    put_octal(block, DV_TAR_MODE_AT, e->mode);
    put_octal(block, DV_TAR_UID_AT, e->uid);
    put_octal(block, DV_TAR_GID_AT, e->gid);
    put_octal(block, DV_TAR_SIZE_AT, e->size);
    put_octal(block, DV_TAR_MTIME_AT, e->mtime.s >= 0 ? (uint64_t)e->mtime.s : 0);
    put_octal(block, DV_TAR_MAJOR_AT, e->major);
    put_octal(block, DV_TAR_MINOR_AT, e->minor);
    block[DV_TAR_TYPE] = (uint8_t)type_letter(e->type);
    seal(block);
    return dv_sink_write(to, block, sizeof(block), err);
}

/* "LENGTH KEY=VALUE\n", where the length counts its own digits. */
static void put_record(dv_buf *out, const char *prefix, const char *key, const void *value, size_t size)
{
    const size_t rest = strlen(prefix) + strlen(key) + size + sizeof(" =\n") - 1;
    size_t length = rest + 1;
    for (size_t limit = 10; length >= limit; limit *= 10)
        length++;
    dv_buf_printf(out, "%zu %s%s=", length, prefix, key);
    dv_buf_append(out, value, size);
    dv_buf_putc(out, '\n');
}

static void put_text_record(dv_buf *out, const char *key, const char *value)
{
    if (!dv_utf8_is_valid(value))
        put_record(out, "", "hdrcharset", "BINARY", sizeof("BINARY") - 1);
    put_record(out, "", key, value, strlen(value));
}

static void put_number_record(dv_buf *out, const char *key, uint64_t value)
{
    char digits[24];
    const int length = snprintf(digits, sizeof(digits), "%" PRIu64, value);
    put_record(out, "", key, digits, (size_t)length);
}

/* Seconds before 1970 with a fraction: -1.5 is s = -2 and half a second. */
static void put_time_record(dv_buf *out, const char *key, const dv_tar_time *t)
{
    char text[40];
    const bool negative = t->s < 0;
    const bool borrow = negative && t->ns > 0;
    const uint64_t seconds = negative ? -(uint64_t)t->s - borrow : (uint64_t)t->s;
    const uint32_t ns = borrow ? 1000000000u - t->ns : t->ns;
    int length = snprintf(text, sizeof(text), "%s%" PRIu64 ".%09" PRIu32, negative ? "-" : "", seconds, ns);
    while (text[length - 1] == '0')
        length--;
    if (text[length - 1] == '.')
        length--;
    put_record(out, "", key, text, (size_t)length);
}

static int put_xattrs(dv_buf *out, const dv_tar_entry *e, davit_error **err)
{
    for (size_t i = 0; i < e->xattr_count; i++) {
        const dv_tar_xattr *x = &e->xattrs[i];
        if (!*x->name || strchr(x->name, '='))
            return dv_error_set(err, DAVIT_EFORMAT,
                                "tar entry \"%.200s\": an xattr named \"%.200s\" cannot be written", e->name,
                                x->name);
        put_record(out, "SCHILY.xattr.", x->name, x->value, x->size);
    }
    return 0;
}

static int put_records(dv_buf *out, const dv_tar_entry *e, davit_error **err)
{
    if (!name_fits(e->name))
        put_text_record(out, "path", e->name);
    if (strlen(e->link) > 100)
        put_text_record(out, "linkpath", e->link);
    if (e->size > DV_TAR_OCTAL_11_MAX)
        put_number_record(out, "size", e->size);
    if (e->uid > DV_TAR_OCTAL_7_MAX)
        put_number_record(out, "uid", e->uid);
    if (e->gid > DV_TAR_OCTAL_7_MAX)
        put_number_record(out, "gid", e->gid);
    if (!time_fits(&e->mtime))
        put_time_record(out, "mtime", &e->mtime);
    if (e->atime.set)
        put_time_record(out, "atime", &e->atime);
    int r = put_xattrs(out, e, err);
    if (r == 0 && out->failed == DAVIT_ETOOBIG)
        r = dv_error_set(err, DAVIT_ETOOBIG, "tar entry \"%.200s\": names and xattrs of more than %u bytes",
                         e->name, RECORD_MAX);
    else if (r == 0 && out->failed)
        r = dv_error_oom(err);
    return r;
}

static int write_pax(dv_sink *to, const dv_buf *records, davit_error **err)
{
    uint8_t block[DV_TAR_BLOCK_SIZE] = {0};
    put_text(block, DV_TAR_NAME_AT, PAX_NAME, sizeof(PAX_NAME) - 1);
    put_octal(block, DV_TAR_MODE_AT, 0644);
    put_octal(block, DV_TAR_UID_AT, 0);
    put_octal(block, DV_TAR_GID_AT, 0);
    put_octal(block, DV_TAR_SIZE_AT, records->size);
    put_octal(block, DV_TAR_MTIME_AT, 0);
    block[DV_TAR_TYPE] = 'x';
    seal(block);
    int r = dv_sink_write(to, block, sizeof(block), err);
    if (r == 0)
        r = dv_sink_write(to, records->data, records->size, err);
    return r < 0 ? r : dv_tar_write_padding(to, records->size, err);
}

int dv_tar_write_header(dv_sink *to, const dv_tar_entry *entry, davit_error **err)
{
    DV_AUTO(dv_buf) records = DV_BUF_INIT(RECORD_MAX);
    if (entry->major > DV_TAR_OCTAL_7_MAX || entry->minor > DV_TAR_OCTAL_7_MAX)
        return dv_error_set(err, DAVIT_EFORMAT, "tar entry \"%.200s\": its device number cannot be written",
                            entry->name);
    int r = put_records(&records, entry, err);
    if (r == 0 && records.size > 0)
        r = write_pax(to, &records, err);
    return r < 0 ? r : write_ustar(to, entry, err);
}

int dv_tar_write_padding(dv_sink *to, uint64_t data_size, davit_error **err)
{
    static const uint8_t zeros[DV_TAR_BLOCK_SIZE];
    return dv_sink_write(to, zeros, -data_size % DV_TAR_BLOCK_SIZE, err);
}

int dv_tar_write_end(dv_sink *to, davit_error **err)
{
    static const uint8_t zeros[2 * DV_TAR_BLOCK_SIZE];
    return dv_sink_write(to, zeros, sizeof(zeros), err);
}

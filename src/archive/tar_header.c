/*
 * archive/tar_header.c - one header block: which tar it is (v7, ustar, star, GNU), its checksum, its fields.
 *
 * Fields are read as Go's archive/tar does, which is what decides about images elsewhere, less its leniency: what is no number
 * in full is refused. Bytes behind the NUL of a name are left alone, as every reader does.
 */
#include "archive/tar_header.h"

#include <inttypes.h>
#include <string.h>

typedef enum tar_format { FORMAT_V7, FORMAT_USTAR, FORMAT_STAR, FORMAT_GNU } tar_format;

bool dv_tar_block_is_zero(const uint8_t *block)
{
    static const uint8_t zeros[DV_TAR_BLOCK_SIZE];
    return memcmp(block, zeros, DV_TAR_BLOCK_SIZE) == 0;
}

static int64_t sum_range(const uint8_t *block, size_t from, size_t to, bool as_signed)
{
    int64_t sum = 0;
    if (as_signed)
        for (size_t i = from; i < to; i++)
            sum += (int8_t)block[i];
    else
        for (size_t i = from; i < to; i++)
            sum += block[i];
    return sum;
}

int64_t dv_tar_block_sum(const uint8_t *block, bool as_signed)
{
    return sum_range(block, 0, 148, as_signed) + 8 * ' ' +
           sum_range(block, 156, DV_TAR_BLOCK_SIZE, as_signed);
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\0';
}

/* Octal digits between spaces and NULs; nothing at all is 0 (device numbers of files are often left blank). */
static bool parse_octal(const uint8_t *block, size_t at, size_t size, int64_t *out)
{
    const uint8_t *field = block + at;
    uint64_t value = 0;
    size_t i = 0;
    while (i < size && is_blank(field[i]))
        i++;
    for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
        value = value << 3 | (uint64_t)(field[i] - '0'); /* at most 12 digits: 36 bits */
    while (i < size && is_blank(field[i]))
        i++;
    if (i < size)
        return false;
    *out = (int64_t)value;
    return true;
}

/* GNU's binary form: the first bit says so, the rest is a big-endian number in two's complement. */
static bool parse_base256(const uint8_t *block, size_t at, size_t size, int64_t *out)
{
    const uint8_t *field = block + at;
    const bool negative = field[0] & 0x40;
    const uint8_t flip = negative ? 0xff : 0;
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        const uint8_t byte = (uint8_t)((field[i] ^ flip) & (i == 0 ? 0x7f : 0xff));
        if (value >> 55)
            return false;
        value = value << 8 | byte;
    }
    *out = negative ? -(int64_t)value - 1 : (int64_t)value;
    return true;
}

static bool parse_number(const uint8_t *block, size_t at, size_t size, int64_t *out)
{
    return block[at] & 0x80 ? parse_base256(block, at, size, out) : parse_octal(block, at, size, out);
}

/* A number that cannot be negative. */
static int need_number(const uint8_t *block, size_t at, size_t size, const char *what, int64_t *out,
                       davit_error **err)
{
    int64_t value = 0;
    if (!parse_number(block, at, size, &value))
        return dv_error_set(err, DAVIT_EFORMAT, "its %s is not a number", what);
    if (value < 0)
        return dv_error_set(err, DAVIT_EFORMAT, "its %s is negative: %" PRId64, what, value);
    *out = value;
    return 0;
}

/* Append a field up to its first NUL; gives the new end. */
static char *append_text(char *to, const uint8_t *block, size_t at, size_t size)
{
    const size_t n = strnlen((const char *)block + at, size);
    memcpy(to, block + at, n);
    to[n] = '\0';
    return to + n;
}

static tar_format find_format(const uint8_t *block)
{
    const uint8_t *magic = block + DV_TAR_MAGIC;
    if (memcmp(magic, "ustar  ", 8) == 0)
        return FORMAT_GNU;
    if (memcmp(magic, "ustar", 6) != 0)
        return FORMAT_V7;
    return memcmp(block + 508, "tar", 4) == 0 ? FORMAT_STAR : FORMAT_USTAR;
}

static bool parse_atime(const uint8_t *block, size_t at, dv_tar_time *out)
{
    int64_t seconds = 0;
    if (block[at] == '\0')
        return true;
    if (!parse_number(block, at, 12, &seconds))
        return false;
    *out = (dv_tar_time){.s = seconds, .set = true};
    return true;
}

static bool is_ascii(const uint8_t *field, size_t size)
{
    for (size_t i = 0; i < size && field[i]; i++)
        if (field[i] & 0x80)
            return false;
    return true;
}

/*
 * Where ustar has the prefix, GNU has atime and ctime. Go before 1.8 wrote prefixes under GNU's magic: what is no pair of times
 * there is one (store.md 9.2).
 */
static size_t find_prefix(const uint8_t *block, tar_format format, dv_tar_time *atime)
{
    dv_tar_time ctime;
    switch (format) {
    case FORMAT_V7:
        return 0;
    case FORMAT_USTAR:
        return 155;
    case FORMAT_STAR:
        (void)parse_atime(block, 476, atime);
        return 131;
    case FORMAT_GNU:
        if (parse_atime(block, DV_TAR_PREFIX, atime) && parse_atime(block, DV_TAR_PREFIX + 12, &ctime))
            return 0;
        *atime = (dv_tar_time){0};
        return is_ascii(block + DV_TAR_PREFIX, 155) ? 155 : 0;
    }
    return 0;
}

static int parse_names(const uint8_t *block, tar_format format, dv_tar_header *out, davit_error **err)
{
    char *end = out->name;
    const size_t prefix = find_prefix(block, format, &out->atime);
    if (prefix && block[DV_TAR_PREFIX]) {
        end = append_text(end, block, DV_TAR_PREFIX, prefix);
        *end++ = '/';
    }
    append_text(end, block, DV_TAR_NAME_AT);
    append_text(out->link, block, DV_TAR_LINK_AT);
    /* With another version than "00" GNU tar takes the prefix for a part of the name and Go does not. */
    if (format == FORMAT_USTAR && end != out->name && memcmp(block + DV_TAR_MAGIC + 6, "00", 2) != 0)
        return dv_error_set(err, DAVIT_EFORMAT, "its header has a prefix and an unknown version of ustar");
    return 0;
}

static int parse_devices(const uint8_t *block, dv_tar_header *out, davit_error **err)
{
    int64_t major = 0, minor = 0;
    int r = need_number(block, DV_TAR_MAJOR_AT, "major device number", &major, err);
    if (r == 0)
        r = need_number(block, DV_TAR_MINOR_AT, "minor device number", &minor, err);
    if (r < 0)
        return r;
    if (major > UINT32_MAX || minor > UINT32_MAX)
        return dv_error_set(err, DAVIT_EFORMAT, "its device number is out of range");
    out->major = (uint32_t)major;
    out->minor = (uint32_t)minor;
    return 0;
}

static int parse_numbers(const uint8_t *block, dv_tar_header *out, davit_error **err)
{
    int64_t mode = 0, size = 0;
    int r = need_number(block, DV_TAR_MODE_AT, "mode", &mode, err);
    if (r == 0)
        r = need_number(block, DV_TAR_SIZE_AT, "size", &size, err);
    if (r < 0)
        return r;
    if (!parse_number(block, DV_TAR_UID_AT, &out->uid) || !parse_number(block, DV_TAR_GID_AT, &out->gid))
        return dv_error_set(err, DAVIT_EFORMAT, "its owner is not a number");
    if (!parse_number(block, DV_TAR_MTIME_AT, &out->mtime.s))
        return dv_error_set(err, DAVIT_EFORMAT, "its time is not a number");
    out->mtime.set = true;
    out->mode = (uint32_t)mode & 07777;
    out->size = (uint64_t)size;
    return 0;
}

static int check_sum(const uint8_t *block, davit_error **err)
{
    int64_t sum = 0;
    if (!parse_octal(block, DV_TAR_CHECKSUM_AT, &sum))
        return dv_error_set(err, DAVIT_EFORMAT, "its checksum is not a number");
    if (sum != dv_tar_block_sum(block, false) && sum != dv_tar_block_sum(block, true))
        return dv_error_set(err, DAVIT_EFORMAT, "its checksum is wrong: this is no tar header");
    return 0;
}

int dv_tar_header_parse(const uint8_t *block, dv_tar_header *out, davit_error **err)
{
    const tar_format format = find_format(block);
    out->name[0] = '\0';
    int r = check_sum(block, err);
    if (r < 0)
        return r;
    out->type = block[DV_TAR_TYPE];
    out->mtime = out->atime = (dv_tar_time){0};
    out->major = out->minor = 0;
    r = parse_names(block, format, out, err);
    if (r == 0)
        r = parse_numbers(block, out, err);
    if (r == 0 && format != FORMAT_V7 && (out->type == '3' || out->type == '4'))
        r = parse_devices(block, out, err);
    return r;
}

/* Unit tests of archive/tar_reader.c: which archives are read as what, and which are refused (store.md 9.2; threats D1, D8, D9). */
#include "../../support/tar_blocks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef void build_fn(dv_buf *tar);

/* What the reader tells, fed whole and in every small piece, must be the same. */
static int read_all_ways(const dv_buf *tar, dv_buf *log, davit_error **err)
{
    static const size_t chunks[] = {1, 3, 511, 512, 513, 1000, 4096};
    int r = tar_read(tar->data, tar->size, tar->size + 1, log, err);
    for (size_t i = 0; i < DV_COUNT(chunks); i++) {
        DV_AUTO(dv_buf) again = DV_BUF_INIT(TAR_TEXT_MAX);
        DV_AUTOPTR(davit_error) other = NULL;
        assert_int_equal(tar_read(tar->data, tar->size, chunks[i], &again, &other), r);
        assert_string_equal(dv_buf_text(&again), dv_buf_text(log));
        assert_string_equal(davit_error_message(other), davit_error_message(err ? *err : NULL));
    }
    return r;
}

static void check_log(const char *name, build_fn *build, const char *expected)
{
    DV_AUTO(dv_buf) tar = DV_BUF_INIT(TAR_TEXT_MAX);
    DV_AUTO(dv_buf) log = DV_BUF_INIT(TAR_TEXT_MAX);
    DV_AUTOPTR(davit_error) err = NULL;
    build(&tar);
    if (read_all_ways(&tar, &log, &err) < 0)
        fail_msg("%s: %s", name, davit_error_message(err));
    if (strcmp(dv_buf_text(&log), expected) != 0)
        fail_msg("%s: expected\n%sgot\n%s", name, expected, dv_buf_text(&log));
}

static void check_refused(const char *name, build_fn *build, int code, const char *text)
{
    DV_AUTO(dv_buf) tar = DV_BUF_INIT(TAR_TEXT_MAX);
    DV_AUTO(dv_buf) log = DV_BUF_INIT(TAR_TEXT_MAX);
    DV_AUTOPTR(davit_error) err = NULL;
    build(&tar);
    int r = read_all_ways(&tar, &log, &err);
    if (r != code || !strstr(davit_error_message(err), text))
        fail_msg("%s: %d, %s", name, r, davit_error_message(err));
}

/* --- archives that are read --- */

static void nothing(dv_buf *tar)
{
}

static void one_file(dv_buf *tar)
{
    tar_block(tar, '0', "a/b", 5);
    tar_data(tar, "hello", 5);
    tar_end(tar);
}

static void every_type(dv_buf *tar)
{
    tar_block(tar, '0', "file", 1);
    tar_data(tar, "1", 1);
    tar_block(tar, '7', "contiguous", 1);
    tar_data(tar, "7", 1);
    tar_block(tar, '\0', "old", 1);
    tar_data(tar, "o", 1);
    tar_block(tar, '\0', "olddir/", 0);
    tar_block(tar, '0', "slash/", 0);
    tar_block(tar, '1', "hard", 0);
    tar_link(tar, "file");
    tar_block(tar, '2', "soft", 0);
    tar_link(tar, "/../x");
    tar_block(tar, '3', "null", 0);
    tar_patch(tar, 329, "0000001\0", 8);
    tar_patch(tar, 337, "0000003\0", 8);
    tar_block(tar, '4', "disk", 0);
    tar_patch(tar, 329, "0000010\0", 8);
    tar_patch(tar, 337, "\x80\0\0\0\0\x0f\xff\xff", 8);
    tar_block(tar, '5', "dir", 0);
    tar_block(tar, '6', "fifo", 0);
    tar_end(tar);
}
static const char every_type_log[] = "file file 644 size=1 1.\n"
                                     "file contiguous 644 size=1 7.\n"
                                     "file old 644 size=1 o.\n"
                                     "directory olddir/ 644 .\n"
                                     "file slash/ 644 .\n"
                                     "hardlink hard -> file 644 .\n"
                                     "symlink soft -> /../x 644 .\n"
                                     "char null 644 dev=1,3 .\n"
                                     "block disk 644 dev=8,1048575 .\n"
                                     "directory dir 644 .\n"
                                     "fifo fifo 644 .\n";

/* v7 has no magic: what stands behind the link is not looked at. */
static void v7(dv_buf *tar)
{
    tar_block(tar, '\0', "old", 1);
    tar_patch(tar, 257, "\0\0\0\0\0\0\0\0", 8);
    tar_patch(tar, 345, "prefix", 6);
    tar_data(tar, "x", 1);
    tar_block(tar, '3', "device", 0);
    tar_patch(tar, 257, "\0\0\0\0\0\0\0\0", 8);
    tar_patch(tar, 329, "garbage!", 8);
    tar_end(tar);
}

static void prefixes(dv_buf *tar)
{
    char full[156];
    tar_block(tar, '0', "name", 0);
    tar_patch(tar, 345, "pre/fix", 7);
    memset(full, 'n', sizeof(full));
    tar_block(tar, '0', "", 0);
    tar_patch(tar, 0, full, 100);
    tar_patch(tar, 345, "p", 1);
    tar_block(tar, '0', "star", 0); /* 131 bytes of prefix, then atime */
    tar_patch(tar, 345, "p", 1);
    tar_patch(tar, 476, "00000000012", 12);
    tar_patch(tar, 508, "tar\0", 4);
    tar_block(tar, '0', "gnu", 0);
    tar_patch(tar, 257, "ustar  ", 8);
    tar_patch(tar, 345, "00000000017", 12);
    tar_patch(tar, 357, "00000000020", 12);
    tar_block(tar, '0', "gnu-prefix", 0);
    tar_patch(tar, 257, "ustar  ", 8);
    tar_patch(tar, 345, "usr/share", 9);
    tar_block(tar, '0', "gnu-not-ascii", 0);
    tar_patch(tar, 257, "ustar  ", 8);
    tar_patch(tar, 345, "\xc3\xa4", 2);
    tar_end(tar);
}
static const char prefixes_log[] =
    "file pre/fix/name 644 .\n"
    "file p/nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
    "nnnnnnnnnnnnnnnnnnnnnnnn 644 .\n"
    "file p/star 644 atime=10.000000000 .\n"
    "file gnu 644 atime=15.000000000 .\n"
    "file usr/share/gnu-prefix 644 .\n"
    "file gnu-not-ascii 644 .\n";

static void gnu_long(dv_buf *tar)
{
    tar_extension(tar, 'K', "long/link", 10);
    tar_extension(tar, 'L', "long/name", 10);
    tar_block(tar, '2', "short", 0);
    tar_link(tar, "short");
    tar_extension(tar, 'L', "without-nul", 11);
    tar_block(tar, '0', "short", 0);
    tar_extension(tar, 'L', "many-nuls\0\0\0\0", 13);
    tar_block(tar, '\0', "dir/", 0);
    tar_extension(tar, 'L', "dir/", 5);
    tar_block(tar, '\0', "short", 0);
    tar_block(tar, '0', "plain", 0);
    tar_end(tar);
}
static const char gnu_long_log[] = "symlink long/name -> long/link 644 .\n"
                                   "file without-nul 644 .\n"
                                   "file many-nuls 644 .\n"
                                   "directory dir/ 644 .\n"
                                   "file plain 644 .\n";

static void numbers(dv_buf *tar)
{
    tar_block(tar, '0', "blank", 0);
    tar_patch(tar, 100, "        ", 8);
    tar_patch(tar, 108, "\0\0\0\0\0\0\0\0", 8);
    tar_block(tar, '0', "spaces", 3);
    tar_patch(tar, 100, "  755 \0", 8);
    tar_patch(tar, 108, "    12 \0", 8);
    tar_patch(tar, 116, "\0   17\0 ", 8);
    tar_patch(tar, 124, "          3 ", 12);
    tar_data(tar, "abc", 3);
    tar_block(tar, '0', "full", 3);
    tar_patch(tar, 108, "37777776", 8);
    tar_patch(tar, 124, "000000000003", 12);
    tar_data(tar, "abc", 3);
    tar_block(tar, '0', "base-256", 3);
    tar_patch(tar, 108, "\x80\0\0\0\xff\xff\xff\xfe", 8);
    tar_patch(tar, 116, "\x80\0\0\0\0\x20\0\0", 8);
    tar_patch(tar, 124, "\x80\0\0\0\0\0\0\0\0\0\0\x03", 12);
    tar_patch(tar, 136, "\x80\0\0\0\0\0\0\x01\0\0\0\0", 12);
    tar_data(tar, "abc", 3);
    tar_block(tar, '0', "before-1970", 0);
    tar_patch(tar, 136, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 12);
    tar_block(tar, '0', "mode-type-bits", 0);
    tar_patch(tar, 100, "0104755\0", 8);
    tar_end(tar);
}
static const char numbers_log[] =
    "file blank 0 .\n"
    "file spaces 755 10:15 size=3 abc.\n"
    "file full 644 8388606:0 size=3 abc.\n"
    "file base-256 644 4294967294:2097152 size=3 mtime=4294967296.000000000 abc.\n"
    "file before-1970 644 mtime=-1.000000000 .\n"
    "file mode-type-bits 4755 .\n";

static void pax(dv_buf *tar)
{
    DV_AUTO(dv_buf) r = DV_BUF_INIT(TAR_TEXT_MAX);
    tar_record(&r, "path", "pax/name", 8);
    tar_record(&r, "size", "4", 1);
    tar_record(&r, "uid", "4294967294", 10);
    tar_record(&r, "gid", "007", 3);
    tar_record(&r, "mtime", "12.3", 4);
    tar_record(&r, "atime", "-0.25", 5);
    tar_record(&r, "ctime", "garbage", 7);
    tar_record(&r, "uname", "n\0ul", 4);
    tar_record(&r, "comment", "a=b\nc", 5);
    tar_record(&r, "SCHILY.xattr.user.a", "1\n\0=2", 5);
    tar_record(&r, "SCHILY.xattr.user.empty", "", 0);
    tar_record(&r, "LIBARCHIVE.xattr.user.a", "eA", 2);
    tar_extension(tar, 'x', r.data, r.size);
    tar_block(tar, '0', "short", 0);
    tar_patch(tar, 108, "\xff\xff\xff\xff\xff\xff\xff\xff", 8); /* overridden: any number will do */
    tar_data(tar, "data", 4);
    tar_block(tar, '0', "next", 2); /* nothing of it is left */
    tar_data(tar, "xy", 2);
    tar_pax(tar, "linkpath", "pax/link");
    tar_block(tar, '1', "hard", 0);
    tar_extension(tar, 'x', "", 0);
    tar_block(tar, '0', "empty-pax", 0);
    tar_end(tar);
}
static const char pax_log[] = "file pax/name 644 4294967294:7 size=4 mtime=12.300000000 atime=-1.750000000"
                              " user.a=1\\x0A\\x00=2 user.empty= data.\n"
                              "file next 644 size=2 xy.\n"
                              "hardlink hard -> pax/link 644 .\n"
                              "file empty-pax 644 .\n";

static void pax_repeated(dv_buf *tar)
{
    DV_AUTO(dv_buf) r = DV_BUF_INIT(TAR_TEXT_MAX);
    tar_record(&r, "path", "one", 3);
    tar_record(&r, "SCHILY.xattr.user.a", "1", 1);
    tar_record(&r, "SCHILY.xattr.user.b", "2", 1);
    tar_record(&r, "path", "two", 3);
    tar_record(&r, "uid", "5", 1);
    tar_record(&r, "uid", "", 0); /* taken back */
    tar_record(&r, "SCHILY.xattr.user.a", "3", 1);
    tar_extension(tar, 'x', r.data, r.size);
    tar_block(tar, '0', "short", 0);
    tar_pax(tar, "path", "");
    tar_block(tar, '0', "own-name", 0);
    tar_end(tar);
}

static void global(dv_buf *tar)
{
    DV_AUTO(dv_buf) r = DV_BUF_INIT(TAR_TEXT_MAX);
    tar_record(&r, "path", "everyone", 8);
    tar_record(&r, "size", "100", 3);
    tar_record(&r, "GNU.sparse.major", "1", 1);
    tar_extension(tar, 'g', r.data, r.size);
    tar_block(tar, '0', "own", 1);
    tar_data(tar, "x", 1);
    tar_extension(tar, 'g', "not even records", 16);
    tar_extension(tar, 'x', "", 0);
    tar_block(tar, '0', "end", 0);
    tar_extension(tar, 'g', "", 0);
    tar_end(tar);
}

/* GNU tar, Go and Python agree: no data follows a link, directory or device, whatever size it claims. */
static void sizes_without_data(dv_buf *tar)
{
    tar_block(tar, '1', "hard", 512);
    tar_link(tar, "x");
    tar_block(tar, '5', "dir", 4096);
    tar_block(tar, '3', "null", 1);
    tar_pax(tar, "size", "99999");
    tar_block(tar, '2', "soft", 0);
    tar_link(tar, "x");
    tar_block(tar, '0', "file", 1);
    tar_data(tar, "x", 1);
    tar_end(tar);
}

/* Old tars summed signed bytes. */
static void signed_checksum(dv_buf *tar)
{
    char digits[16];
    tar_block(tar, '0', "n\xc3\xa4me", 0);
    uint8_t *block = (uint8_t *)tar->data;
    snprintf(digits, sizeof(digits), "%06o", (unsigned)dv_tar_block_sum(block, true));
    memcpy(block + 148, digits, 7);
    tar_end(tar);
}

static void zeros_behind_the_end(dv_buf *tar)
{
    static const char zeros[30001];
    one_file(tar);
    dv_buf_append(tar, zeros, sizeof(zeros));
}

static void without_end(dv_buf *tar)
{
    one_file(tar);
    tar->size -= 1024;
}

static void without_padding(dv_buf *tar)
{
    one_file(tar);
    tar->size -= 1024 + 507;
}

static void with_half_the_padding(dv_buf *tar)
{
    one_file(tar);
    tar->size -= 1024 + 200;
}

static void padding_of_anything(dv_buf *tar)
{
    one_file(tar);
    memset(tar->data + 512 + 5, 'x', 507);
}

static void lone_zero_at_the_end(dv_buf *tar)
{
    one_file(tar);
    tar->size -= 512;
}

static void odd_names(dv_buf *tar)
{
    tar_block(tar, '0', "", 0);
    tar_block(tar, '0', "/abs/../..//x", 0);
    tar_block(tar, '0', "./a", 0);
    tar_patch(tar, 4, "behind the NUL", 14);
    tar_end(tar);
}

static void tar_reader__reads(void **state)
{
    static const struct {
        const char *name;
        build_fn *build;
        const char *log;
    } rows[] = {
        {"nothing at all", nothing, ""},
        {"only the end", tar_end, ""},
        {"one file", one_file, "file a/b 644 size=5 hello.\n"},
        {"every type", every_type, every_type_log},
        {"v7", v7, "file old 644 size=1 x.\nchar device 644 .\n"},
        {"prefixes", prefixes, prefixes_log},
        {"GNU long names", gnu_long, gnu_long_log},
        {"numbers", numbers, numbers_log},
        {"pax", pax, pax_log},
        {"the last of repeated pax records counts", pax_repeated,
         "file two 644 user.a=3 user.b=2 .\nfile own-name 644 .\n"},
        {"global headers are skipped", global, "file own 644 size=1 x.\nfile end 644 .\n"},
        {"sizes without data", sizes_without_data,
         "hardlink hard -> x 644 .\ndirectory dir 644 .\nchar null 644 .\nsymlink soft -> x 644 .\nfile file "
         "644 size=1 x.\n"},
        {"a checksum of signed bytes", signed_checksum, "file n\xc3\xa4me 644 .\n"},
        {"any number of zeros behind the end", zeros_behind_the_end, "file a/b 644 size=5 hello.\n"},
        {"no end marker", without_end, "file a/b 644 size=5 hello.\n"},
        {"no padding", without_padding, "file a/b 644 size=5 hello.\n"},
        {"half the padding", with_half_the_padding, "file a/b 644 size=5 hello.\n"},
        {"padding that is not zero", padding_of_anything, "file a/b 644 size=5 hello.\n"},
        {"one zero block at the end", lone_zero_at_the_end, "file a/b 644 size=5 hello.\n"},
        {"names as they stand", odd_names, "file  644 .\nfile /abs/../..//x 644 .\nfile ./a 644 .\n"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        check_log(rows[i].name, rows[i].build, rows[i].log);
}

/* --- archives that are refused --- */

#define PATCHED(function, type, at, bytes)                  \
    static void function(dv_buf *tar)                       \
    {                                                       \
        tar_block(tar, type, "victim", 0);                  \
        tar_patch(tar, at, "" bytes, sizeof("" bytes) - 1); \
        tar_end(tar);                                       \
    }
#define PAX_TEXT(function, text)                               \
    static void function(dv_buf *tar)                          \
    {                                                          \
        tar_extension(tar, 'x', "" text, sizeof("" text) - 1); \
        tar_block(tar, '0', "victim", 0);                      \
        tar_end(tar);                                          \
    }
#define PAX_RECORD(function, key, value)  \
    static void function(dv_buf *tar)     \
    {                                     \
        tar_pax(tar, key, value);         \
        tar_block(tar, '0', "victim", 0); \
        tar_end(tar);                     \
    }
/* uids and sizes in the header */
PATCHED(uid_minus_one, '0', 108, "\x80\0\0\0\xff\xff\xff\xff")
PATCHED(uid_2_32, '0', 108, "\x80\0\0\x01\0\0\0\0")
PATCHED(uid_negative, '0', 108, "\xff\xff\xff\xff\xff\xff\xff\xff")
PATCHED(gid_negative, '0', 116, "\xff\xff\xff\xff\xff\xff\xff\xfe")
PATCHED(uid_letters, '0', 108, "000root")
PATCHED(uid_decimal, '0', 108, "0000008")
PATCHED(uid_minus_sign, '0', 108, "     -1")
PATCHED(uid_two_numbers, '0', 108, "12 34")
PATCHED(gid_behind_nul, '0', 116, "12\0x")
PATCHED(size_negative, '0', 124, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe")
PATCHED(size_too_big, '0', 124, "\x80\0\0\0\x80\0\0\0\0\0\0\0")
PATCHED(size_letters, '0', 124, "0x10")
PATCHED(mode_negative, '0', 100, "\xff\xff\xff\xff\xff\xff\xff\xff")
PATCHED(mode_letters, '0', 100, "rwxr-xr")
PATCHED(mtime_letters, '0', 136, "yesterday")
PATCHED(major_letters, '3', 329, "major")
PATCHED(minor_negative, '4', 337, "\xff\xff\xff\xff\xff\xff\xff\xff")
PATCHED(minor_too_big, '4', 337, "\x80\0\0\x01\0\0\0\0")
PATCHED(prefix_of_unknown_ustar, '0', 262, "\0  \0")
/* types */
PATCHED(type_sparse, 'S', 0, "sparse")
PATCHED(type_volume, 'V', 0, "volume")
PATCHED(type_multi, 'M', 0, "multi")
PATCHED(type_dump, 'D', 0, "dump")
PATCHED(type_solaris, 'X', 0, "solaris")
PATCHED(type_255, 255, 0, "unknown")
/* the text of pax records */
PAX_TEXT(pax_no_length, "path=x\n")
PAX_TEXT(pax_length_zero, "0 path=x\n")
PAX_TEXT(pax_length_short, "3 path=x\n")
PAX_TEXT(pax_length_long, "11 path=x\n")
PAX_TEXT(pax_length_one_short, "8 path=x\n")
PAX_TEXT(pax_length_huge, "99999999999999999999999999999999999 path=x\n")
PAX_TEXT(pax_length_wraps, "18446744073709551626 path=x\n")
PAX_TEXT(pax_length_negative, "-10 path=x\n")
PAX_TEXT(pax_length_sign, "+10 path=x\n")
PAX_TEXT(pax_length_only, "10")
PAX_TEXT(pax_no_equals, "9 path.x\n")
PAX_TEXT(pax_no_key, "6 =xy\n")
PAX_TEXT(pax_no_newline, "10 path=xy")
PAX_TEXT(pax_nul_behind, "10 path=x\n\0\0\0")
PAX_TEXT(pax_nul_in_key, "11 pa\0th=x\n")
PAX_TEXT(pax_nul_in_path, "12 path=a\0b\n")
PAX_TEXT(pax_nul_in_link, "16 linkpath=a\0b\n")
PAX_TEXT(pax_nul_in_uid, "11 uid=1\0"
                         "2\n")
PAX_TEXT(pax_equals_in_next, "6 path\n6 a=b\n")
PAX_RECORD(pax_uid_minus_one, "uid", "-1")
PAX_RECORD(pax_uid_2_32_less_1, "uid", "4294967295")
PAX_RECORD(pax_uid_2_32, "uid", "4294967296")
PAX_RECORD(pax_gid_2_64, "gid", "18446744073709551616")
PAX_RECORD(pax_uid_hex, "uid", "0x0")
PAX_RECORD(pax_size_negative, "size", "-1")
PAX_RECORD(pax_size_2_63, "size", "9223372036854775808")
PAX_RECORD(pax_size_letters, "size", "1k")
PAX_RECORD(pax_mtime_letters, "mtime", "now")
PAX_RECORD(pax_mtime_two_points, "mtime", "1.2.3")
PAX_RECORD(pax_atime_exponent, "atime", "1e3")
PAX_RECORD(pax_xattr_no_name, "SCHILY.xattr.", "x")
PAX_RECORD(pax_sparse_major, "GNU.sparse.major", "1")
PAX_RECORD(pax_sparse_map, "GNU.sparse.map", "0,1")
PAX_RECORD(pax_sparse_name, "GNU.sparse.name", "other")

static void checksum_wrong(dv_buf *tar)
{
    one_file(tar);
    tar->data[0] ^= 1;
}

static void checksum_blank(dv_buf *tar)
{
    one_file(tar);
    memset(tar->data + 148, 0, 8);
}

static void checksum_letters(dv_buf *tar)
{
    one_file(tar);
    memset(tar->data + 148, 'z', 8);
}

static void second_header_is_noise(dv_buf *tar)
{
    one_file(tar);
    tar->size -= 1024;
    for (size_t i = 0; i < 512; i++)
        dv_buf_putc(tar, (char)('a' + i % 20));
}

static void cut_in_first_header(dv_buf *tar)
{
    one_file(tar);
    tar->size = 511;
}

static void cut_in_data(dv_buf *tar)
{
    one_file(tar);
    tar->size = 512 + 4;
}

static void cut_in_end_marker(dv_buf *tar)
{
    one_file(tar);
    tar->size -= 1;
}

static void cut_in_pax(dv_buf *tar)
{
    tar_pax(tar, "path", "name");
    tar->size = 512 + 3;
}

static void pax_without_entry(dv_buf *tar)
{
    tar_pax(tar, "path", "name");
}

static void pax_before_the_end(dv_buf *tar)
{
    tar_pax(tar, "path", "name");
    tar_end(tar);
}

static void long_name_before_the_end(dv_buf *tar)
{
    tar_extension(tar, 'L', "name", 5);
    tar_end(tar);
}

static void long_name_empty(dv_buf *tar)
{
    tar_extension(tar, 'L', "\0\0", 2);
    tar_block(tar, '0', "victim", 0);
}

static void long_name_with_nul(dv_buf *tar)
{
    tar_extension(tar, 'L', "good\0/../bad", 13);
    tar_block(tar, '0', "victim", 0);
}

static void long_name_twice(dv_buf *tar)
{
    tar_extension(tar, 'L', "one", 4);
    tar_extension(tar, 'L', "two", 4);
    tar_block(tar, '0', "victim", 0);
}

static void pax_twice(dv_buf *tar)
{
    tar_pax(tar, "path", "one");
    tar_pax(tar, "path", "one");
    tar_block(tar, '0', "victim", 0);
}

static void pax_then_global(dv_buf *tar)
{
    tar_pax(tar, "path", "one");
    tar_extension(tar, 'g', "", 0);
    tar_block(tar, '0', "victim", 0);
}

static void pax_and_gnu_disagree(dv_buf *tar)
{
    tar_pax(tar, "path", "one");
    tar_extension(tar, 'L', "two", 4);
    tar_block(tar, '0', "victim", 0);
}

static void sizes_disagree(dv_buf *tar)
{
    tar_pax(tar, "size", "1");
    tar_block(tar, '0', "victim", 1024);
}

static void lone_zero(dv_buf *tar)
{
    static const char zeros[512];
    dv_buf_append(tar, zeros, sizeof(zeros));
    one_file(tar);
}

static void second_archive(dv_buf *tar)
{
    one_file(tar);
    one_file(tar);
}

static void one_byte_behind(dv_buf *tar)
{
    zeros_behind_the_end(tar);
    dv_buf_putc(tar, '1');
}

/* A link that did bring data: the next header is where nobody finds it. */
static void data_of_a_link(dv_buf *tar)
{
    tar_block(tar, '1', "hard", 9);
    tar_link(tar, "x");
    tar_data(tar, "some text", 9);
    tar_end(tar);
}

static void tar_reader__refuses(void **state)
{
    static const struct {
        const char *name;
        build_fn *build;
        const char *text;
    } rows[] = {
        {"uid 2^32-1, threat D8", uid_minus_one, "tar entry \"victim\": its uid 4294967295 is out of range"},
        {"uid 2^32, threat D8", uid_2_32, "\"victim\": its uid 4294967296 is out of range"},
        {"uid -1, threat D8", uid_negative, "\"victim\": its uid -1 is out of range"},
        {"gid -2, threat D8", gid_negative, "\"victim\": its gid -2 is out of range"},
        {"uid of letters", uid_letters, "\"victim\": its owner is not a number"},
        {"uid with an 8", uid_decimal, "its owner is not a number"},
        {"uid with a sign", uid_minus_sign, "its owner is not a number"},
        {"uid of two numbers", uid_two_numbers, "its owner is not a number"},
        {"gid with more behind the NUL", gid_behind_nul, "its owner is not a number"},
        {"negative size", size_negative, "\"victim\": its size is negative: -2"},
        {"size of 2^63", size_too_big, "its size is not a number"},
        {"size in hex", size_letters, "its size is not a number"},
        {"negative mode", mode_negative, "its mode is negative"},
        {"mode of letters", mode_letters, "its mode is not a number"},
        {"time of letters", mtime_letters, "its time is not a number"},
        {"device of letters", major_letters, "its major device number is not a number"},
        {"negative device", minor_negative, "its minor device number is negative"},
        {"device of 2^32", minor_too_big, "its device number is out of range"},
        {"sparse file", type_sparse, "\"sparse\": a sparse file"},
        {"volume label", type_volume, "\"volume\": unhandled tar header type 86"},
        {"multi-volume", type_multi, "unhandled tar header type 77"},
        {"dump directory", type_dump, "unhandled tar header type 68"},
        {"Solaris extension", type_solaris, "unhandled tar header type 88"},
        {"type 255", type_255, "unhandled tar header type 255"},
        {"pax without length", pax_no_length, "a pax record whose length is wrong"},
        {"pax of length 0", pax_length_zero, "a pax record whose length is wrong"},
        {"pax of length 3", pax_length_short, "a pax record whose length is wrong"},
        {"pax length over the end", pax_length_long, "a pax record whose length is wrong"},
        {"pax length one short", pax_length_one_short, "a pax record without its newline"},
        {"pax length of 35 digits", pax_length_huge, "a pax record whose length is wrong"},
        {"pax length of 2^64 + 10", pax_length_wraps, "a pax record whose length is wrong"},
        {"pax length -10", pax_length_negative, "a pax record whose length is wrong"},
        {"pax length +10", pax_length_sign, "a pax record whose length is wrong"},
        {"pax of a length only", pax_length_only, "a pax record whose length is wrong"},
        {"pax without =", pax_no_equals, "a pax record without '='"},
        {"pax without key", pax_no_key, "a pax record without '='"},
        {"pax whose = is in the next record", pax_equals_in_next, "a pax record"},
        {"pax without newline", pax_no_newline, "a pax record without its newline"},
        {"pax with NULs behind", pax_nul_behind, "a pax record whose length is wrong"},
        {"pax with NUL in a key", pax_nul_in_key, "a NUL in the key"},
        {"pax with NUL in the path, threat D1", pax_nul_in_path, "pax record path holds a NUL"},
        {"pax with NUL in the link, threat D1", pax_nul_in_link, "pax record linkpath holds a NUL"},
        {"pax with NUL in uid", pax_nul_in_uid, "pax record uid holds a NUL"},
        {"pax uid -1, threat D8", pax_uid_minus_one, "pax record uid=-1"},
        {"pax uid 2^32-1, threat D8", pax_uid_2_32_less_1, "\"victim\": its uid 4294967295 is out of range"},
        {"pax uid 2^32, threat D8", pax_uid_2_32, "\"victim\": its uid 4294967296 is out of range"},
        {"pax gid 2^64, threat D8", pax_gid_2_64, "pax record gid="},
        {"pax uid in hex", pax_uid_hex, "pax record uid=0x0"},
        {"pax size -1, threat D9", pax_size_negative, "pax record size=-1"},
        {"pax size 2^63, threat D9", pax_size_2_63, "pax record size=9223372036854775808"},
        {"pax size of letters", pax_size_letters, "pax record size=1k"},
        {"pax time of letters", pax_mtime_letters, "pax record mtime=now: not a time"},
        {"pax time with two points", pax_mtime_two_points, "pax record mtime=1.2.3: not a time"},
        {"pax time with exponent", pax_atime_exponent, "pax record atime=1e3: not a time"},
        {"pax xattr without name", pax_xattr_no_name, "an xattr without a name"},
        {"pax sparse 1.0, threat D9", pax_sparse_major, "a sparse file (GNU.sparse.major)"},
        {"pax sparse 0.1, threat D9", pax_sparse_map, "a sparse file (GNU.sparse.map)"},
        {"pax sparse name, threat D9", pax_sparse_name, "a sparse file (GNU.sparse.name)"},
        {"wrong checksum", checksum_wrong, "tar header at 0: its checksum is wrong"},
        {"no checksum", checksum_blank, "tar header at 0: its checksum is wrong"},
        {"checksum of letters", checksum_letters, "tar header at 0: its checksum is not a number"},
        {"noise for a header", second_header_is_noise, "tar header at 1024: its checksum"},
        {"a header cut short", cut_in_first_header, "unexpected EOF in a header, after 511 bytes"},
        {"data cut short", cut_in_data, "tar entry \"a/b\": unexpected EOF, 1 bytes of its data are missing"},
        {"an end marker cut short", cut_in_end_marker, "unexpected EOF"},
        {"a pax header cut short", cut_in_pax, "unexpected EOF"},
        {"a pax header alone", pax_without_entry, "unexpected EOF"},
        {"a pax header before the end", pax_before_the_end, "tar: the end at 1024, after an extension header"},
        {"a long name before the end", long_name_before_the_end, "the end at 1024, after an extension header"},
        {"a long name that is empty", long_name_empty, "an empty long name"},
        {"a long name with a NUL, threat D1", long_name_with_nul, "a NUL in a long name"},
        {"two long names", long_name_twice, "a second extension header of type L"},
        {"two pax headers", pax_twice, "a second extension header of type x"},
        {"a global header between", pax_then_global, "a global header between"},
        {"pax and GNU disagree", pax_and_gnu_disagree, "\"victim\": its pax header and its GNU header"},
        {"sizes that disagree, threat D9", sizes_disagree,
         "\"victim\": its pax header says 1 bytes, its header 1024"},
        {"a lone zero block", lone_zero, "a lone zero block before 512"},
        {"a second archive", second_archive, "more than zeros behind its end marker, at 2048"},
        {"a byte behind the zeros", one_byte_behind, "more than zeros behind its end marker, at 32049"},
        {"data of a link", data_of_a_link, "tar header at 512: its checksum"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        check_refused(rows[i].name, rows[i].build, DAVIT_EFORMAT, rows[i].text);
}

static void tar_reader__a_prefix_under_an_unknown_ustar_is_refused(void **state)
{
    DV_AUTO(dv_buf) tar = DV_BUF_INIT(TAR_TEXT_MAX), log = DV_BUF_INIT(TAR_TEXT_MAX);
    DV_AUTOPTR(davit_error) err = NULL;
    prefix_of_unknown_ustar(&tar);
    assert_int_equal(read_all_ways(&tar, &log, &err), 0); /* without a prefix nobody disagrees */
    tar.size = 512;
    dv_buf_reset(&log);
    tar_patch(&tar, 345, "etc", 3);
    assert_int_equal(read_all_ways(&tar, &log, &err), DAVIT_EFORMAT);
    assert_non_null(strstr(davit_error_message(err), "a prefix and an unknown version of ustar"));
}

/* --- ceilings --- */

static void extension_of(dv_buf *tar, unsigned char type, size_t size)
{
    DV_AUTOFREE char *text = malloc(size);
    assert_non_null(text);
    memset(text, 'n', size);
    tar_extension(tar, type, text, size);
}

static void pax_of(dv_buf *tar, const char *key, size_t size)
{
    DV_AUTO(dv_buf) records = DV_BUF_INIT(TAR_TEXT_MAX);
    DV_AUTOFREE char *value = malloc(size);
    assert_non_null(value);
    memset(value, 'v', size);
    tar_record(&records, key, value, size);
    tar_extension(tar, 'x', records.data, records.size);
}

static void name_at_limit(dv_buf *tar)
{
    extension_of(tar, 'L', DV_TAR_NAME_MAX);
    tar_block(tar, '0', "x", 0);
    pax_of(tar, "path", DV_TAR_NAME_MAX);
    tar_block(tar, '0', "x", 0);
}

static void name_over_limit(dv_buf *tar)
{
    extension_of(tar, 'L', DV_TAR_NAME_MAX + 1);
    tar_block(tar, '0', "x", 0);
}

static void pax_name_over_limit(dv_buf *tar)
{
    pax_of(tar, "linkpath", DV_TAR_NAME_MAX + 1);
    tar_block(tar, '2', "x", 0);
}

static void pax_at_limit(dv_buf *tar)
{
    pax_of(tar, "comment", DV_TAR_EXTENSION_MAX - 512 - sizeof("1048064 comment=\n") + 1);
    tar_block(tar, '0', "x", 0);
}

static void pax_over_limit(dv_buf *tar)
{
    pax_of(tar, "comment", DV_TAR_EXTENSION_MAX - 512 - sizeof("1048064 comment=\n") + 2);
    tar_block(tar, '0', "x", 0);
}

/* What it claims is refused before any of it is taken. */
static void pax_claims_8_gib(dv_buf *tar)
{
    tar_block(tar, 'x', "x", 077777777777);
}

static void global_claims_2_62(dv_buf *tar)
{
    tar_block(tar, 'g', "x", 0);
    tar_patch(tar, 124, "\x80\0\0\0\x40\0\0\0\0\0\0\0", 12);
}

static void together_over_limit(dv_buf *tar)
{
    extension_of(tar, 'g', 600000);
    extension_of(tar, 'g', 600000);
}

static void global_without_end(dv_buf *tar)
{
    for (int i = 0; i < 3000; i++)
        tar_extension(tar, 'g', "", 0);
}

static void many_xattrs(dv_buf *tar, unsigned count, size_t size)
{
    DV_AUTO(dv_buf) records = DV_BUF_INIT(TAR_TEXT_MAX);
    char name[40];
    DV_AUTOFREE char *value = calloc(1, size + 1);
    assert_non_null(value);
    for (unsigned i = 0; i < count; i++) {
        snprintf(name, sizeof(name), "SCHILY.xattr.user.%02u", i);
        tar_record(&records, name, value, size);
    }
    tar_extension(tar, 'x', records.data, records.size);
    tar_block(tar, '0', "x", 0);
}

static void xattrs_at_limit(dv_buf *tar)
{
    many_xattrs(tar, 64, 128 * 1024 / 64 - 7);
}

static void xattrs_over_count(dv_buf *tar)
{
    many_xattrs(tar, 65, 1);
}

static void xattrs_over_bytes(dv_buf *tar)
{
    many_xattrs(tar, 64, 128 * 1024 / 64 - 6);
}

static void tar_reader__ceilings_hold_threats_D7_D9(void **state)
{
    static const struct {
        const char *name;
        build_fn *build;
        const char *text; /* NULL: fine */
    } rows[] = {
        {"names of 64 KiB", name_at_limit, NULL},
        {"a GNU name longer than that", name_over_limit, "a name or link of 65537 bytes"},
        {"a pax link longer than that", pax_name_over_limit, "a name or link of 65537 bytes"},
        {"extension headers of 1 MiB", pax_at_limit, NULL},
        {"one byte more", pax_over_limit, "extension headers of more than 1048576 bytes"},
        {"a claim of 8 GiB", pax_claims_8_gib, "extension headers of more than 1048576 bytes"},
        {"a claim of 2^62 bytes", global_claims_2_62, "extension headers of more than 1048576 bytes"},
        {"several together", together_over_limit, "extension headers of more than 1048576 bytes"},
        {"global headers for ever", global_without_end, "extension headers of more than 1048576 bytes"},
        {"64 xattrs of 128 KiB", xattrs_at_limit, NULL},
        {"65 xattrs", xattrs_over_count, "more than 64 xattrs"},
        {"xattrs of more bytes", xattrs_over_bytes, "xattrs of 131136 bytes"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) tar = DV_BUF_INIT(TAR_TEXT_MAX), log = DV_BUF_INIT(TAR_TEXT_MAX);
        DV_AUTOPTR(davit_error) err = NULL;
        rows[i].build(&tar);
        int r = tar_read(tar.data, tar.size, tar.size, &log, &err);
        if (r != (rows[i].text ? DAVIT_ETOOBIG : 0) ||
            (err && !strstr(davit_error_message(err), rows[i].text)))
            fail_msg("%s: %d, %s", rows[i].name, r, davit_error_message(err));
    }
}

/* --- what it tells besides --- */

static const char six_hundred[600] = "bytes";

static int note_offset(void *user, const dv_tar_entry *e, davit_error **err)
{
    dv_buf_printf(user, "%s@%u ", e->name, (unsigned)e->offset);
    return 0;
}

static int ignore_data(void *user, const void *bytes, size_t size, davit_error **err)
{
    return 0;
}

static int ignore_end(void *user, davit_error **err)
{
    return 0;
}

static void tar_reader__offsets_begin_with_the_extension_headers(void **state)
{
    static const dv_tar_handler handler = {note_offset, ignore_data, ignore_end};
    DV_AUTO(dv_buf) tar = DV_BUF_INIT(TAR_TEXT_MAX), log = DV_BUF_INIT(TAR_TEXT_MAX);
    DV_AUTOPTR(dv_tar_reader) reader = NULL;
    tar_block(&tar, '0', "a", 600);
    tar_data(&tar, six_hundred, sizeof(six_hundred));
    tar_extension(&tar, 'g', "", 0);
    tar_extension(&tar, 'K', "l", 1);
    tar_pax(&tar, "path", "b");
    tar_block(&tar, '1', "x", 7);
    tar_block(&tar, '5', "c", 0);
    assert_int_equal(dv_tar_reader_new(&handler, &log, &reader, NULL), 0);
    assert_int_equal(dv_sink_write(dv_tar_reader_sink(reader), tar.data, tar.size, NULL), 0);
    assert_string_equal(dv_buf_text(&log), "a@0 b@2048 c@4608 ");
    assert_int_equal(dv_tar_reader_entry_count(reader), 3);
    assert_int_equal(dv_tar_reader_size_sum(reader), 607);
}

static const uint8_t *expected_at;

static int compare_place(void *user, const void *bytes, size_t size, davit_error **err)
{
    assert_ptr_equal(bytes, expected_at);
    assert_int_equal(size, 600);
    return 0;
}

static int ignore_entry(void *user, const dv_tar_entry *e, davit_error **err)
{
    return 0;
}

static void tar_reader__data_is_handed_on_from_where_it_lies(void **state)
{
    static const dv_tar_handler handler = {ignore_entry, compare_place, ignore_end};
    DV_AUTO(dv_buf) tar = DV_BUF_INIT(TAR_TEXT_MAX);
    DV_AUTOPTR(dv_tar_reader) reader = NULL;
    tar_block(&tar, '0', "a", 600);
    tar_data(&tar, six_hundred, sizeof(six_hundred));
    expected_at = (const uint8_t *)tar.data + 512;
    assert_int_equal(dv_tar_reader_new(&handler, NULL, &reader, NULL), 0);
    assert_int_equal(dv_sink_write(dv_tar_reader_sink(reader), tar.data, tar.size, NULL), 0);
}

static int refuse_entry(void *user, const dv_tar_entry *e, davit_error **err)
{
    return dv_error_set(err, DAVIT_EBUSY, "not now");
}

static int refuse_data(void *user, const void *bytes, size_t size, davit_error **err)
{
    return dv_error_set(err, DAVIT_EBUSY, "not now");
}

static int refuse_end(void *user, davit_error **err)
{
    return dv_error_set(err, DAVIT_EBUSY, "not now");
}

static void tar_reader__errors_of_the_handler_come_back_unchanged(void **state)
{
    static const dv_tar_handler handlers[] = {
        {refuse_entry, ignore_data, ignore_end},
        {ignore_entry, refuse_data, ignore_end},
        {ignore_entry, ignore_data, refuse_end},
    };
    DV_AUTO(dv_buf) tar = DV_BUF_INIT(TAR_TEXT_MAX);
    one_file(&tar);
    for (size_t i = 0; i < DV_COUNT(handlers); i++) {
        DV_AUTOPTR(dv_tar_reader) reader = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        assert_int_equal(dv_tar_reader_new(&handlers[i], NULL, &reader, NULL), 0);
        assert_int_equal(dv_sink_write(dv_tar_reader_sink(reader), tar.data, tar.size, &err), DAVIT_EBUSY);
        assert_string_equal(davit_error_message(err), "not now");
    }
}

static void tar_reader__a_long_name_is_cut_in_messages(void **state)
{
    DV_AUTO(dv_buf) tar = DV_BUF_INIT(TAR_TEXT_MAX), log = DV_BUF_INIT(TAR_TEXT_MAX);
    DV_AUTOPTR(davit_error) err = NULL;
    extension_of(&tar, 'L', 60000);
    tar_block(&tar, 'S', "x", 0);
    assert_int_equal(tar_read(tar.data, tar.size, tar.size, &log, &err), DAVIT_EFORMAT);
    assert_true(strlen(davit_error_message(err)) < 300);
    assert_non_null(strstr(davit_error_message(err), "nnn\"...: a sparse file"));
}

/* Cut anywhere: an error, or what was complete by then. */
static void tar_reader__cut_anywhere_it_tells_only_what_is_there(void **state)
{
    DV_AUTO(dv_buf) tar = DV_BUF_INIT(TAR_TEXT_MAX), whole = DV_BUF_INIT(TAR_TEXT_MAX);
    gnu_long(&tar);
    tar.size -= 1024;
    pax(&tar);
    tar.size -= 1024;
    every_type(&tar);
    assert_int_equal(tar_read(tar.data, tar.size, tar.size, &whole, NULL), 0);
    for (size_t size = 0; size < tar.size; size++) {
        DV_AUTO(dv_buf) log = DV_BUF_INIT(TAR_TEXT_MAX);
        (void)tar_read(tar.data, size, size + 1, &log, NULL);
        assert_true(log.size <= whole.size);
        assert_memory_equal(dv_buf_text(&log), dv_buf_text(&whole), log.size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tar_reader__reads),
        cmocka_unit_test(tar_reader__refuses),
        cmocka_unit_test(tar_reader__a_prefix_under_an_unknown_ustar_is_refused),
        cmocka_unit_test(tar_reader__ceilings_hold_threats_D7_D9),
        cmocka_unit_test(tar_reader__offsets_begin_with_the_extension_headers),
        cmocka_unit_test(tar_reader__data_is_handed_on_from_where_it_lies),
        cmocka_unit_test(tar_reader__errors_of_the_handler_come_back_unchanged),
        cmocka_unit_test(tar_reader__a_long_name_is_cut_in_messages),
        cmocka_unit_test(tar_reader__cut_anywhere_it_tells_only_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

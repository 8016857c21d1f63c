/* Unit tests of archive/tar_writer.c: what is written is read back as it was, as plain ustar wherever that can say it. */
#include "../../support/tar_blocks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TEN "0123456789"
#define FIFTY TEN TEN TEN TEN TEN
#define HUNDRED FIFTY FIFTY
#define TIME(seconds, nanoseconds)                       \
    {                                                    \
        .s = (seconds), .ns = (nanoseconds), .set = true \
    }

static void write_header(tar_memory *m, const dv_tar_entry *e)
{
    DV_AUTOPTR(davit_error) err = NULL;
    if (dv_tar_write_header(&m->sink, e, &err) < 0)
        fail_msg("%.60s: %s", e->name, davit_error_message(err));
}

static void read_one(const tar_memory *m, dv_buf *log)
{
    DV_AUTOPTR(davit_error) err = NULL;
    if (tar_read(m->bytes.data, m->bytes.size, m->bytes.size, log, &err) < 0)
        fail_msg("%s", davit_error_message(err));
}

static const dv_tar_xattr two_xattrs[] = {{"user.a", "1\n\0=2", 5}, {"user.empty", "", 0}};

static const struct {
    dv_tar_entry entry;
    const char *records; /* NULL: plain ustar */
    const char *log;
} rows[] = {
    {{.type = DV_TAR_FILE, .name = "a", .link = "", .mode = 04755, .uid = 1000, .gid = 50, .mtime = TIME(7, 0)},
     NULL,
     "file a 4755 1000:50 mtime=7.000000000 .\n"},
    {{.type = DV_TAR_HARDLINK, .name = "b", .link = "a", .mode = 0644}, NULL, "hardlink b -> a 644 .\n"},
    {{.type = DV_TAR_SYMLINK, .name = "c", .link = "/x/../y", .mode = 0777},
     NULL,
     "symlink c -> /x/../y 777 .\n"},
    {{.type = DV_TAR_CHAR, .name = "d", .link = "", .major = 1, .minor = 3}, NULL, "char d 0 dev=1,3 .\n"},
    {{.type = DV_TAR_BLOCK, .name = "e", .link = "", .major = 07777777, .minor = 07777777},
     NULL,
     "block e 0 dev=2097151,2097151 .\n"},
    {{.type = DV_TAR_DIRECTORY, .name = "f/", .link = "", .mode = 01777}, NULL, "directory f/ 1777 .\n"},
    {{.type = DV_TAR_FIFO, .name = "g", .link = ""}, NULL, "fifo g 0 .\n"},
    {{.type = DV_TAR_FILE, .name = "n\xc3\xa4me \xff\n", .link = ""}, NULL, "file n\xc3\xa4me \xff\n 0 .\n"},
    {{.type = DV_TAR_FILE, .name = HUNDRED, .link = ""}, NULL, "file " HUNDRED " 0 .\n"},
    {{.type = DV_TAR_FILE, .name = HUNDRED "/" HUNDRED, .link = ""},
     NULL,
     "file " HUNDRED "/" HUNDRED " 0 .\n"},
    {{.type = DV_TAR_FILE,
      .name = "0",
      .link = "",
      .uid = 07777777,
      .gid = 07777777,
      .mtime = TIME(077777777777, 0)},
     NULL,
     "file 0 0 2097151:2097151 mtime=8589934591.000000000 .\n"},
    {{.type = DV_TAR_SYMLINK, .name = "s", .link = HUNDRED}, NULL, "symlink s -> " HUNDRED " 0 .\n"},

    {{.type = DV_TAR_FILE, .name = HUNDRED "x", .link = ""},
     "111 path=" HUNDRED "x\n",
     "file " HUNDRED "x 0 .\n"},
    {{.type = DV_TAR_DIRECTORY, .name = HUNDRED "/", .link = ""},
     "111 path=" HUNDRED "/\n",
     "directory " HUNDRED "/ 0 .\n"},
    {{.type = DV_TAR_FILE, .name = HUNDRED "\xff", .link = ""},
     "21 hdrcharset=BINARY\n111 path=" HUNDRED "\xff\n",
     "file " HUNDRED "\xff 0 .\n"},
    {{.type = DV_TAR_SYMLINK, .name = "s", .link = HUNDRED "y"},
     "115 linkpath=" HUNDRED "y\n",
     "symlink s -> " HUNDRED "y 0 .\n"},
    {{.type = DV_TAR_FILE, .name = "u", .link = "", .uid = 010000000, .gid = 4294967294},
     "15 uid=2097152\n18 gid=4294967294\n",
     "file u 0 2097152:4294967294 .\n"},
    {{.type = DV_TAR_FILE, .name = "t", .link = "", .mtime = TIME(5, 20000000)},
     "14 mtime=5.02\n",
     "file t 0 mtime=5.020000000 .\n"},
    {{.type = DV_TAR_FILE, .name = "t", .link = "", .mtime = TIME(5, 1), .atime = TIME(6, 0)},
     "21 mtime=5.000000001\n11 atime=6\n",
     "file t 0 mtime=5.000000001 atime=6.000000000 .\n"},
    {{.type = DV_TAR_FILE, .name = "t", .link = "", .mtime = TIME(-1, 0)},
     "12 mtime=-1\n",
     "file t 0 mtime=-1.000000000 .\n"},
    {{.type = DV_TAR_FILE, .name = "t", .link = "", .mtime = TIME(-2, 250000000), .atime = TIME(-1, 500000000)},
     "15 mtime=-1.75\n14 atime=-0.5\n",
     "file t 0 mtime=-2.250000000 atime=-1.500000000 .\n"},
    {{.type = DV_TAR_FILE, .name = "t", .link = "", .mtime = TIME(0100000000000, 0)},
     "20 mtime=8589934592\n",
     "file t 0 mtime=8589934592.000000000 .\n"},
    {{.type = DV_TAR_FILE, .name = "x", .link = "", .xattrs = two_xattrs, .xattr_count = 2},
     "29 SCHILY.xattr.user.a=1\n\0=2\n28 SCHILY.xattr.user.empty=\n",
     "file x 0 user.a=1\\x0A\\x00=2 user.empty= .\n"},
};

static void tar_writer__what_is_written_is_read_and_pax_only_where_it_must_be(void **state)
{
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        tar_memory m = TAR_MEMORY_INIT;
        DV_AUTO(dv_buf) log = DV_BUF_INIT(TAR_TEXT_MAX);
        write_header(&m, &rows[i].entry);
        read_one(&m, &log);
        if (strcmp(dv_buf_text(&log), rows[i].log) != 0)
            fail_msg("row %zu: expected %sgot %s", i, rows[i].log, dv_buf_text(&log));
        if (m.bytes.size != (rows[i].records ? 3 * 512 : 512))
            fail_msg("row %zu: %zu bytes", i, m.bytes.size);
        if (rows[i].records && memcmp(m.bytes.data + 512, rows[i].records, strlen(rows[i].records)) != 0)
            fail_msg("row %zu: expected records %s, got %.300s", i, rows[i].records, m.bytes.data + 512);
        dv_buf_clear(&m.bytes);
    }
}

static void tar_writer__names_of_every_length_and_shape_come_back(void **state)
{
    for (size_t length = 1; length <= 600; length++)
        for (size_t slash = 0; slash < length; slash += 1 + length / 23) {
            tar_memory m = TAR_MEMORY_INIT;
            DV_AUTO(dv_buf) log = DV_BUF_INIT(TAR_TEXT_MAX);
            char name[601], expected[700];
            memset(name, 'n', length);
            name[length] = '\0';
            name[slash] = '/';
            const dv_tar_entry e = {.type = DV_TAR_SYMLINK, .name = name, .link = name};
            snprintf(expected, sizeof(expected), "symlink %.300s -> %.300s 0 .\n", name, name);
            write_header(&m, &e);
            read_one(&m, &log);
            assert_string_equal(dv_buf_text(&log), expected);
            dv_buf_clear(&m.bytes);
        }
}

static void tar_writer__a_whole_archive(void **state)
{
    tar_memory m = TAR_MEMORY_INIT;
    DV_AUTO(dv_buf) log = DV_BUF_INIT(TAR_TEXT_MAX);
    static const char data[512] = "0123456789";
    static const size_t sizes[] = {0, 1, 511, 512};
    for (size_t i = 0; i < DV_COUNT(sizes); i++) {
        const dv_tar_entry e = {.type = DV_TAR_FILE, .name = "f", .link = "", .size = sizes[i]};
        write_header(&m, &e);
        assert_int_equal(dv_sink_write(&m.sink, data, sizes[i], NULL), 0);
        assert_int_equal(dv_tar_write_padding(&m.sink, sizes[i], NULL), 0);
    }
    assert_int_equal(dv_tar_write_end(&m.sink, NULL), 0);
    assert_int_equal(m.bytes.size, 512 * (4 + 3 + 2));
    read_one(&m, &log);
    dv_buf_clear(&m.bytes);
}

/* 8 GiB is more than the field can say; the header alone is looked at. */
static void tar_writer__big_sizes_are_pax_records(void **state)
{
    tar_memory m = TAR_MEMORY_INIT;
    const dv_tar_entry fits = {.type = DV_TAR_FILE, .name = "f", .link = "", .size = 077777777777};
    const dv_tar_entry big = {.type = DV_TAR_FILE, .name = "f", .link = "", .size = 0100000000000};
    write_header(&m, &fits);
    assert_int_equal(m.bytes.size, 512);
    assert_memory_equal(m.bytes.data + 124, "77777777777", 12);
    dv_buf_reset(&m.bytes);
    write_header(&m, &big);
    assert_int_equal(m.bytes.size, 3 * 512);
    assert_memory_equal(m.bytes.data + 512, "19 size=8589934592\n", 20);
    assert_memory_equal(m.bytes.data + 1024 + 124, "00000000000", 12);
    dv_buf_clear(&m.bytes);
}

static void tar_writer__the_header_is_ustar_to_the_byte(void **state)
{
    tar_memory m = TAR_MEMORY_INIT;
    const dv_tar_entry e = {
        .type = DV_TAR_FILE, .name = "etc/passwd", .link = "", .mode = 0644, .size = 3, .mtime = TIME(1, 0)};
    uint8_t block[512] = "etc/passwd";
    memcpy(block + 100, "0000644", 7);
    memcpy(block + 108, "0000000", 7);
    memcpy(block + 116, "0000000", 7);
    memcpy(block + 124, "00000000003", 11);
    memcpy(block + 136, "00000000001", 11);
    memcpy(block + 148, "011176\0 ", 8);
    block[156] = '0';
    memcpy(block + 257, "ustar\00000", 8);
    memcpy(block + 329, "0000000", 7);
    memcpy(block + 337, "0000000", 7);
    write_header(&m, &e);
    assert_int_equal(m.bytes.size, 512);
    assert_memory_equal(m.bytes.data, block, 512);
    dv_buf_clear(&m.bytes);
}

static void tar_writer__what_no_tar_can_say_is_refused(void **state)
{
    static const dv_tar_xattr equals = {"user.a=b", "x", 1}, nameless = {"", "x", 1};
    static const dv_tar_entry entries[] = {
        {.type = DV_TAR_FILE, .name = "x", .link = "", .xattrs = &equals, .xattr_count = 1},
        {.type = DV_TAR_FILE, .name = "x", .link = "", .xattrs = &nameless, .xattr_count = 1},
        {.type = DV_TAR_CHAR, .name = "x", .link = "", .major = 07777777 + 1},
        {.type = DV_TAR_BLOCK, .name = "x", .link = "", .minor = UINT32_MAX},
    };
    for (size_t i = 0; i < DV_COUNT(entries); i++) {
        tar_memory m = TAR_MEMORY_INIT;
        assert_int_equal(dv_tar_write_header(&m.sink, &entries[i], NULL), DAVIT_EFORMAT);
        assert_int_equal(m.bytes.size, 0);
    }
}

static void tar_writer__more_than_the_reader_takes_is_refused(void **state)
{
    tar_memory m = TAR_MEMORY_INIT;
    const size_t size = DV_TAR_EXTENSION_MAX;
    DV_AUTOFREE char *value = calloc(1, size);
    assert_non_null(value);
    const dv_tar_xattr big = {"user.a", value, size};
    const dv_tar_entry e = {.type = DV_TAR_FILE, .name = "x", .link = "", .xattrs = &big, .xattr_count = 1};
    assert_int_equal(dv_tar_write_header(&m.sink, &e, NULL), DAVIT_ETOOBIG);
    assert_int_equal(m.bytes.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tar_writer__what_is_written_is_read_and_pax_only_where_it_must_be),
        cmocka_unit_test(tar_writer__names_of_every_length_and_shape_come_back),
        cmocka_unit_test(tar_writer__a_whole_archive),
        cmocka_unit_test(tar_writer__big_sizes_are_pax_records),
        cmocka_unit_test(tar_writer__the_header_is_ustar_to_the_byte),
        cmocka_unit_test(tar_writer__what_no_tar_can_say_is_refused),
        cmocka_unit_test(tar_writer__more_than_the_reader_takes_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

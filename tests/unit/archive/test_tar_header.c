/* Unit tests of archive/tar_header.c: one block by itself. What archives make of it is in test_tar_reader.c. */
#include "../../support/tar_blocks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* mtime takes any number there is. */
static void tar_header__numbers(void **state)
{
    static const struct {
        const char *name, *field; /* 12 bytes */
        int64_t value;
        bool refused;
    } rows[] = {
        {"digits and NUL", "00000000017\0", 15, false},
        {"digits and space", "00000000017 ", 15, false},
        {"twelve digits", "777777777777", 0777777777777, false},
        {"spaces before", "         17\0", 15, false},
        {"NULs before", "\0\0\0\0\0\0\0\0\00017\0", 15, false},
        {"spaces behind", "17          ", 15, false},
        {"NUL, spaces and NULs behind", "17\0  \0\0     ", 15, false},
        {"all spaces", "            ", 0, false},
        {"all NULs", "\0\0\0\0\0\0\0\0\0\0\0\0", 0, false},
        {"binary", "\x80\0\0\0\0\0\0\0\0\0\0\x2a", 42, false},
        {"binary, largest", "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", INT64_MAX, false},
        {"binary, 2^63", "\x80\0\0\0\x80\0\0\0\0\0\0\0", 0, true},
        {"binary, 2^94", "\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 0, true},
        {"binary, -1", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", -1, false},
        {"binary, smallest", "\xff\xff\xff\xff\x80\0\0\0\0\0\0\0", INT64_MIN, false},
        {"binary, one less", "\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 0, true},
        {"binary, -2^94", "\xc0\0\0\0\0\0\0\0\0\0\0\0", 0, true},
        {"an 8", "00000000018\0", 0, true},
        {"a sign", "        -17\0", 0, true},
        {"a second number", "17 17       ", 0, true},
        {"text behind the NUL", "17\0garbage  ", 0, true},
        {"a tab", "\t17\0        ", 0, true},
        {"a point", "1.7         ", 0, true},
        {"hexadecimal", "0x17        ", 0, true},
        {"old GNU base-64", "-AAAAAAAAAAB", 0, true},
        {"a high byte later", "000000\x80\0\0\0\0\0", 0, true},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) tar = DV_BUF_INIT(TAR_TEXT_MAX);
        dv_tar_header h;
        tar_block(&tar, '0', "n", 0);
        tar_patch(&tar, 136, rows[i].field, 12);
        int r = dv_tar_header_parse((const uint8_t *)tar.data, &h, NULL);
        if (r != (rows[i].refused ? DAVIT_EFORMAT : 0) || (r == 0 && h.mtime.s != rows[i].value))
            fail_msg("%s: %d, %lld", rows[i].name, r, (long long)(r == 0 ? h.mtime.s : 0));
    }
}

static void tar_header__full_fields_need_no_NUL(void **state)
{
    DV_AUTO(dv_buf) tar = DV_BUF_INIT(TAR_TEXT_MAX);
    char text[156];
    dv_tar_header h;
    memset(text, 't', sizeof(text));
    tar_block(&tar, '2', "n", 0);
    tar_patch(&tar, 0, text, 100);
    tar_patch(&tar, 157, text, 100);
    tar_patch(&tar, 345, text, 155);
    assert_int_equal(dv_tar_header_parse((const uint8_t *)tar.data, &h, NULL), 0);
    assert_int_equal(strlen(h.name), 256);
    assert_int_equal(h.name[155], '/');
    assert_int_equal(strlen(h.link), 100);
}

/* Whatever one byte is changed to, either the sum tells or the block was sealed again. */
static void tar_header__any_changed_byte_breaks_the_checksum(void **state)
{
    DV_AUTO(dv_buf) tar = DV_BUF_INIT(TAR_TEXT_MAX);
    dv_tar_header h;
    tar_block(&tar, '0', "name", 7);
    for (size_t i = 0; i < 512; i++) {
        if (i >= 148 && i < 156)
            continue;
        tar.data[i] ^= 0x41;
        assert_int_equal(dv_tar_header_parse((const uint8_t *)tar.data, &h, NULL), DAVIT_EFORMAT);
        assert_string_equal(h.name, "");
        tar.data[i] ^= 0x41;
    }
}

static void tar_header__checksums_as_real_tars_write_them(void **state)
{
    DV_AUTO(dv_buf) tar = DV_BUF_INIT(TAR_TEXT_MAX);
    tar_block(&tar, '0', "name", 7);
    const unsigned sum = (unsigned)dv_tar_block_sum((const uint8_t *)tar.data, false);
    char rows[5][9] = {{0}};
    snprintf(rows[0], 9, "%06o", sum);
    snprintf(rows[1], 9, "%07o", sum);
    snprintf(rows[2], 9, "%6o", sum);
    snprintf(rows[3], 9, "%7o ", sum);
    snprintf(rows[4], 9, "%o  ", sum);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        dv_tar_header h;
        memcpy(tar.data + 148, rows[i], 8);
        if (dv_tar_header_parse((const uint8_t *)tar.data, &h, NULL) < 0)
            fail_msg("\"%s\" was refused", rows[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tar_header__numbers),
        cmocka_unit_test(tar_header__full_fields_need_no_NUL),
        cmocka_unit_test(tar_header__any_changed_byte_breaks_the_checksum),
        cmocka_unit_test(tar_header__checksums_as_real_tars_write_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of archive/tar_extension.c: times of PAX records, and values that replace a header's. */
#include "archive/tar_extension.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void tar_time_parse__to_nanoseconds(void **state)
{
    static const struct {
        const char *text;
        int64_t s;
        uint32_t ns;
    } rows[] = {
        {"0", 0, 0},
        {"00012", 12, 0},
        {"1.", 1, 0},
        {"1350244992.023960108", 1350244992, 23960108},
        {"1350244992.02396010", 1350244992, 23960100},
        {"1350244992.0239601089999", 1350244992, 23960108},
        {"1.3", 1, 300000000},
        {"0.0000000009", 0, 0},
        {"-1", -1, 0},
        {"-1.0", -1, 0},
        {"-1.5", -2, 500000000},
        {"-0.5", -1, 500000000},
        {"-0.000000001", -1, 999999999},
        {"-1350244992.000000001", -1350244993, 999999999},
        {"9223372036854775807.999999999", INT64_MAX, 999999999},
        {"-9223372036854775807.5", INT64_MIN, 500000000},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        dv_tar_time t = {0};
        if (!dv_tar_time_parse(rows[i].text, &t) || t.s != rows[i].s || t.ns != rows[i].ns || !t.set)
            fail_msg("%s: %lld and %u ns", rows[i].text, (long long)t.s, t.ns);
    }
}

static void tar_time_parse__refuses_all_else(void **state)
{
    static const char *const rows[] = {
        "",
        ".",
        ".5",
        "-",
        "-.5",
        "+1",
        " 1",
        "1 ",
        "1.2.3",
        "1.-2",
        "1e3",
        "0x10",
        "1,5",
        "--1",
        "1.5\n",
        "NaN",
        "9223372036854775808",
        "-9223372036854775808",
        "99999999999999999999999999",
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        dv_tar_time t = {.s = 42};
        if (dv_tar_time_parse(rows[i], &t) || t.s != 42)
            fail_msg("\"%s\" was parsed", rows[i]);
    }
}

static void take(dv_tar_extension *e, unsigned char type, const char *text)
{
    assert_int_equal(dv_tar_extension_open(e, type, strlen(text), NULL), 0);
    assert_int_equal(dv_tar_extension_append(e, text, strlen(text), NULL), 0);
    assert_int_equal(dv_tar_extension_close(e, NULL), 0);
}

/* store.md 9.2: path, linkpath, size, uid, gid, mtime, atime override the header's fields. */
static void tar_extension_apply__every_known_record_replaces_a_field(void **state)
{
    dv_tar_extension e = DV_TAR_EXTENSION_INIT;
    const dv_tar_header h = {.name = "n", .link = "l", .uid = 1, .gid = 2, .mtime = {.s = 3, .set = true}};
    dv_tar_entry out = {0};
    take(&e, 'x', "9 path=N\n14 linkpath=L\n15 size=123456\n9 uid=11\n9 gid=12\n12 mtime=13\n12 atime=14\n");
    assert_true(dv_tar_extension_pending(&e));
    assert_int_equal(dv_tar_extension_apply(&e, &h, &out, NULL), 0);
    assert_string_equal(out.name, "N");
    assert_string_equal(out.link, "L");
    assert_int_equal(out.size, 123456);
    assert_int_equal(out.uid, 11);
    assert_int_equal(out.gid, 12);
    assert_int_equal(out.mtime.s, 13);
    assert_int_equal(out.atime.s, 14);
    dv_tar_extension_reset(&e);
    assert_false(dv_tar_extension_pending(&e));
    assert_int_equal(dv_tar_extension_apply(&e, &h, &out, NULL), 0);
    assert_string_equal(out.name, "n");
    assert_string_equal(out.link, "l");
    assert_int_equal(out.size, 0);
    assert_int_equal(out.uid, 1);
    assert_int_equal(out.gid, 2);
    assert_int_equal(out.mtime.s, 3);
    assert_false(out.atime.set);
    dv_tar_extension_clear(&e);
}

/* What a header cannot say may stand there as anything; two sizes that it can say may not differ (threat D9). */
static void tar_extension_apply__sizes(void **state)
{
    static const struct {
        const char *record;
        uint64_t field, size;
        int code;
    } rows[] = {
        {"10 size=5\n", 5, 5, 0},
        {"10 size=5\n", 0, 5, 0},
        {"10 size=5\n", 6, 0, DAVIT_EFORMAT},
        {"10 size=0\n", 6, 0, DAVIT_EFORMAT},
        {"20 size=08589934592\n", 077777777777, 8589934592, 0},
        {"19 size=8589934592\n", 5, 8589934592, 0},
        {"19 size=8589934591\n", 5, 0, DAVIT_EFORMAT},
        {"8 size=\n", 6, 6, 0},
        {"28 size=9223372036854775807\n", 0, INT64_MAX, 0},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        dv_tar_extension e = DV_TAR_EXTENSION_INIT;
        const dv_tar_header h = {.size = rows[i].field};
        dv_tar_entry out = {0};
        take(&e, 'x', rows[i].record);
        int r = dv_tar_extension_apply(&e, &h, &out, NULL);
        if (r != rows[i].code || (r == 0 && out.size != rows[i].size))
            fail_msg("%sover %llu: %d", rows[i].record, (unsigned long long)rows[i].field, r);
        dv_tar_extension_clear(&e);
    }
}

static void tar_extension_apply__a_gnu_name_and_the_same_pax_name_are_one(void **state)
{
    dv_tar_extension e = DV_TAR_EXTENSION_INIT;
    const dv_tar_header h = {.name = "n"};
    dv_tar_entry out = {0};
    take(&e, 'L', "a/long/name");
    take(&e, 'x', "20 path=a/long/name\n");
    assert_int_equal(dv_tar_extension_apply(&e, &h, &out, NULL), 0);
    assert_string_equal(out.name, "a/long/name");
    dv_tar_extension_clear(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tar_time_parse__to_nanoseconds),
        cmocka_unit_test(tar_time_parse__refuses_all_else),
        cmocka_unit_test(tar_extension_apply__every_known_record_replaces_a_field),
        cmocka_unit_test(tar_extension_apply__sizes),
        cmocka_unit_test(tar_extension_apply__a_gnu_name_and_the_same_pax_name_are_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

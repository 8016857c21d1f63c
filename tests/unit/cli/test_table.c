/* Tables as Docker prints them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/table.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void print(const dv_table *t, const char *expected)
{
    char text[1000] = "";
    dv_output out;
    dv_output_init(&out, memfd_create("table", MFD_CLOEXEC));
    assert_int_equal(dv_table_print(t, &out, NULL), 0);
    assert_int_equal(dv_output_finish(&out, NULL), 0);
    assert_true(pread(out.fd, text, sizeof(text) - 1, 0) >= 0);
    assert_string_equal(text, expected);
    close(out.fd);
    dv_output_clear(&out);
}

static void table_print__columns_are_aligned_and_escaped(void **state)
{
    /* threat C11 */
    static const char *const cells[] = {
        "REPOSITORY", "TAG", "SIZE", "a", "<none>", "1B", "x\x1b[31m/longer-than-that", "3.20", "12.5MB"};
    DV_AUTO(dv_table) t = {.column_count = 3};
    for (size_t i = 0; i < DV_COUNT(cells); i++)
        dv_table_add(&t, cells[i]);
    print(&t, "REPOSITORY                   TAG       SIZE\n"
              "a                            <none>    1B\n"
              "x\\x1B[31m/longer-than-that   3.20      12.5MB\n");
}

static void table_print__characters_count_and_not_bytes(void **state)
{
    static const char *const cells[] = {"NAME", "X", "f\xc3\xbcnf \xe2\x80\xa6 zeichen", "1"};
    DV_AUTO(dv_table) t = {.column_count = 2};
    for (size_t i = 0; i < DV_COUNT(cells); i++)
        dv_table_add(&t, cells[i]);
    print(&t, "NAME             X\n"
              "f\xc3\xbcnf \xe2\x80\xa6 zeichen   1\n");
}

static void table_print__nothing_is_nothing(void **state)
{
    DV_AUTO(dv_table) t = {.column_count = 1};
    print(&t, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_print__columns_are_aligned_and_escaped),
        cmocka_unit_test(table_print__characters_count_and_not_bytes),
        cmocka_unit_test(table_print__nothing_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

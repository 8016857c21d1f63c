/* Unit tests of util/buf.c. */
#include "util/buf.h"

#include "davit/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void buf__holds_what_was_appended(void **state)
{
    DV_AUTO(dv_buf) b = DV_BUF_INIT(1000);
    assert_string_equal(dv_buf_text(&b), "");
    dv_buf_puts(&b, "ab");
    dv_buf_putc(&b, 'c');
    dv_buf_append(&b, "d\0e", 3);
    dv_buf_printf(&b, "-%d-%s", 42, "x");
    assert_int_equal(b.size, 11);
    assert_memory_equal(b.data, "abcd\0e-42-x", 12);
    assert_int_equal(b.failed, 0);
}

static void buf__ceiling_is_exact_and_failure_sticks(void **state)
{
    DV_AUTO(dv_buf) b = DV_BUF_INIT(4);
    dv_buf_puts(&b, "abcd");
    assert_int_equal(b.failed, 0);
    dv_buf_puts(&b, "");
    assert_int_equal(b.failed, 0);
    dv_buf_putc(&b, 'e');
    assert_int_equal(b.failed, DAVIT_ETOOBIG);
    dv_buf_puts(&b, "");
    assert_string_equal(dv_buf_text(&b), "abcd");
    assert_null(dv_buf_take(&b));
    dv_buf_reset(&b);
    assert_int_equal(b.failed, 0);
    dv_buf_printf(&b, "%s", "vwxyz");
    assert_int_equal(b.failed, DAVIT_ETOOBIG);
    dv_buf_reset(&b);
    dv_buf_puts(&b, "ok");
    assert_string_equal(dv_buf_text(&b), "ok");
}

static void buf__grows_to_any_size_below_the_ceiling(void **state)
{
    for (size_t secret = 0; secret < 2; secret++) {
        DV_AUTO(dv_buf) b = DV_BUF_INIT(100000);
        b.secret = secret;
        for (size_t i = 0; i < 100000; i++)
            dv_buf_putc(&b, (char)('a' + i % 26));
        assert_int_equal(b.failed, 0);
        assert_int_equal(b.size, 100000);
        for (size_t i = 0; i < 100000; i += 777)
            assert_int_equal(b.data[i], 'a' + i % 26);
    }
}

static void buf_take__empties_the_buffer(void **state)
{
    DV_AUTO(dv_buf) b = DV_BUF_INIT(10);
    DV_AUTOFREE char *nothing = dv_buf_take(&b);
    assert_string_equal(nothing, "");
    dv_buf_puts(&b, "x");
    DV_AUTOFREE char *x = dv_buf_take(&b);
    assert_string_equal(x, "x");
    assert_null(b.data);
    assert_int_equal(b.size, 0);
    dv_buf_puts(&b, "y");
    assert_string_equal(dv_buf_text(&b), "y");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf__holds_what_was_appended),
        cmocka_unit_test(buf__ceiling_is_exact_and_failure_sticks),
        cmocka_unit_test(buf__grows_to_any_size_below_the_ceiling),
        cmocka_unit_test(buf_take__empties_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

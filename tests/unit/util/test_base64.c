/* Unit tests of util/base64.c. */
#include "util/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void base64__known_vectors_both_ways(void **state)
{
    static const struct {
        const char *plain, *text;
        bool url;
    } rows[] = {
        {"", "", false},
        {"f", "Zg==", false},
        {"fo", "Zm8=", false},
        {"foo", "Zm9v", false},
        {"foob", "Zm9vYg==", false},
        {"fooba", "Zm9vYmE=", false},
        {"foobar", "Zm9vYmFy", false},
        {"u:p", "dTpw", false},
        {"\xfb\xff\xbe", "+/++", false},
        {"\xfb\xff\xbe", "-_--", true},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) text = DV_BUF_INIT(100), plain = DV_BUF_INIT(100);
        dv_base64_encode(&text, rows[i].plain, strlen(rows[i].plain), rows[i].url);
        assert_string_equal(dv_buf_text(&text), rows[i].text);
        assert_true(dv_base64_decode(&plain, rows[i].text, strlen(rows[i].text), rows[i].url));
        assert_string_equal(dv_buf_text(&plain), rows[i].plain);
    }
}

static void base64__nul_bytes_survive(void **state)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(100), plain = DV_BUF_INIT(100);
    dv_base64_encode(&text, "a\0b\0", 4, false);
    assert_true(dv_base64_decode(&plain, dv_buf_text(&text), text.size, false));
    assert_int_equal(plain.size, 4);
    assert_memory_equal(plain.data, "a\0b\0", 4);
}

static void base64_decode__refuses_all_else(void **state)
{
    static const char *const rows[] = {"Z",
                                       "Zg",
                                       "Zg=",
                                       "=",
                                       "====",
                                       "Z===",
                                       "Zg==Zg==",
                                       "Zm9v\n",
                                       "Zm 9",
                                       "Zm9-",
                                       "Zm9_",
                                       "Z=g=",
                                       "Zg=v",
                                       "Zm8=Zm8=",
                                       "\xc3\xa4"
                                       "bc"};
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) plain = DV_BUF_INIT(100);
        if (dv_base64_decode(&plain, rows[i], strlen(rows[i]), false))
            fail_msg("\"%s\" was decoded", rows[i]);
    }
}

static void base64_decode__alphabets_do_not_mix(void **state)
{
    DV_AUTO(dv_buf) plain = DV_BUF_INIT(100);
    assert_false(dv_base64_decode(&plain, "+/++", 4, true));
    assert_false(dv_base64_decode(&plain, "-_--", 4, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(base64__known_vectors_both_ways),
        cmocka_unit_test(base64__nul_bytes_survive),
        cmocka_unit_test(base64_decode__refuses_all_else),
        cmocka_unit_test(base64_decode__alphabets_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

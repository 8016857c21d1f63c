/* Unit tests of util/str.c. */
#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void str__equality_and_prefixes(void **state)
{
    assert_true(dv_str_equal("a", "a"));
    assert_false(dv_str_equal("a", "b"));
    assert_true(dv_str_equal(NULL, NULL));
    assert_false(dv_str_equal(NULL, ""));
    assert_true(dv_str_starts("abc", "ab"));
    assert_true(dv_str_starts("abc", ""));
    assert_false(dv_str_starts("a", "ab"));
    assert_true(dv_str_ends("abc", "bc"));
    assert_false(dv_str_ends("c", "bc"));
    assert_true(dv_str_equal_nocase("AbC-1", "aBc-1"));
    assert_false(dv_str_equal_nocase("abc", "ab"));
    assert_false(dv_str_equal_nocase("ab", "abc"));
    assert_false(dv_str_equal_nocase("a[", "a{"));
    assert_true(dv_str_starts_nocase("Bearer x", "bearer "));
    assert_false(dv_str_starts_nocase("Be", "bearer"));
    char text[] = "AZaz[]09\xc3\x84";
    dv_str_lower(text);
    assert_string_equal(text, "azaz[]09\xc3\x84");
}

static void str_char__classes_are_ascii(void **state)
{
    for (int c = -128; c < 256; c++) {
        bool digit = c >= '0' && c <= '9', alpha = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        assert_int_equal(dv_char_is_digit((char)c), digit);
        assert_int_equal(dv_char_is_alnum((char)c), digit || alpha);
    }
}

static void str_to_u64__whole_decimal_numbers(void **state)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t value;
    } rows[] = {
        {"0", true, 0},
        {"007", true, 7},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false},
        {"99999999999999999999999", false},
        {"", false},
        {"-1", false},
        {"+1", false},
        {" 1", false},
        {"1 ", false},
        {"0x1", false},
        {"1e3", false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        uint64_t v = 77;
        bool good = dv_str_to_u64(rows[i].text, &v);
        if (good != rows[i].good || v != (good ? rows[i].value : 77))
            fail_msg("%s: expected %d, got %d %llu", rows[i].text, rows[i].good, good, (unsigned long long)v);
    }
}

static void utf8_length__strict(void **state)
{
    static const struct {
        const char *bytes;
        size_t expected;
        uint32_t rune;
    } rows[] = {
        {"a", 1, 'a'},
        {"\xc2\x80", 2, 0x80},
        {"\xdf\xbf", 2, 0x7ff},
        {"\xe0\xa0\x80", 3, 0x800},
        {"\xed\x9f\xbf", 3, 0xd7ff},
        {"\xef\xbf\xbf", 3, 0xffff},
        {"\xf0\x90\x80\x80", 4, 0x10000},
        {"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
        {"\x80", 0},
        {"\xc0\x80", 0},
        {"\xc1\xbf", 0},
        {"\xe0\x9f\xbf", 0},
        {"\xed\xa0\x80", 0},
        {"\xf0\x8f\xbf\xbf", 0},
        {"\xf4\x90\x80\x80", 0},
        {"\xf5\x80\x80\x80", 0},
        {"\xff", 0},
        {"\xc3", 0},
        {"\xc3(", 0},
        {"\xe2\x82", 0},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        uint32_t rune = 0;
        size_t n = dv_utf8_length(rows[i].bytes, strlen(rows[i].bytes), &rune);
        if (n != rows[i].expected || (n && rune != rows[i].rune))
            fail_msg("row %zu: expected %zu U+%04x, got %zu U+%04x", i, rows[i].expected, rows[i].rune, n,
                     rune);
    }
}

/* threat C11 */
static void str_escape__nothing_steers_a_terminal(void **state)
{
    static const struct {
        const char *text;
        bool keep_newlines;
        const char *expected;
    } rows[] = {
        {"plain \xc3\xa4 \xf0\x9f\x98\x80", false, "plain \xc3\xa4 \xf0\x9f\x98\x80"},
        {"a\x1b[31mb", false, "a\\x1B[31mb"},
        {"a\nb\tc\rd", false, "a\\x0Ab\\x09c\\x0Dd"},
        {"a\nb\tc\rd", true, "a\nb\tc\\x0Dd"},
        {"\x7f", false, "\\x7F"},
        {"\xc2\x9b", false, "\\xC2\\x9B"},
        {"\xe2\x80\xae", false, "\\xE2\\x80\\xAE"},
        {"\xe2\x81\xa6", false, "\\xE2\\x81\\xA6"},
        {"\xe2\x80\xa8", true, "\\xE2\\x80\\xA8"},
        {"\xef\xbb\xbf", false, "\\xEF\\xBB\\xBF"},
        {"\xff\xc3", false, "\\xFF\\xC3"},
        {"back\\slash", false, "back\\slash"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) b = DV_BUF_INIT(1000);
        dv_str_escape(&b, rows[i].text, strlen(rows[i].text), rows[i].keep_newlines);
        if (strcmp(dv_buf_text(&b), rows[i].expected) != 0)
            fail_msg("row %zu: expected %s, got %s", i, rows[i].expected, dv_buf_text(&b));
    }
    DV_AUTO(dv_buf) b = DV_BUF_INIT(1000);
    dv_str_escape(&b, "a\0b", 3, true);
    assert_string_equal(dv_buf_text(&b), "a\\x00b");
}

static void str_quote__as_go_does(void **state)
{
    static const char *const rows[][2] = {
        {"", "\"\""},
        {"a b", "\"a b\""},
        {"a\"b\\c", "\"a\\\"b\\\\c\""},
        {"\n\t\a\x1b\x7f", "\"\\n\\t\\a\\x1b\\x7f\""},
        {"\xff\xc3\xa4", "\"\\xff\xc3\xa4\""},
        {"\xe2\x80\xae", "\"\\u202e\""},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) b = DV_BUF_INIT(1000);
        dv_str_quote(&b, rows[i][0], strlen(rows[i][0]));
        assert_string_equal(dv_buf_text(&b), rows[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(str__equality_and_prefixes),
        cmocka_unit_test(str_char__classes_are_ascii),
        cmocka_unit_test(str_to_u64__whole_decimal_numbers),
        cmocka_unit_test(utf8_length__strict),
        cmocka_unit_test(str_escape__nothing_steers_a_terminal),
        cmocka_unit_test(str_quote__as_go_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of util/json_names.c. That it finds what the tree has is tests/fuzz/fuzz_json.c's to prove. */
#include "util/json_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const dv_json_limits limits = {.max_bytes = 1000, .max_values = 10};

/* "a,b,-" in brackets, "-" for what is no text; else the message. */
static void show(const char *text, dv_buf *out)
{
    DV_AUTOPTR(dv_json_names) names = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOFREE char *bytes = dv_strdup(text);
    int r = dv_json_names_parse(bytes, strlen(bytes), &limits, "tags", &names, &err);
    if (r < 0) {
        dv_buf_puts(out, davit_error_message(err));
        assert_null(names);
        return;
    }
    dv_buf_putc(out, '[');
    for (size_t i = 0; i < dv_json_names_count(names); i++) {
        const char *name = dv_json_names_at(names, i);
        dv_buf_printf(out, "%s%s", i ? "," : "", name ? name : "-");
    }
    dv_buf_putc(out, ']');
    assert_null(dv_json_names_at(names, dv_json_names_count(names)));
}

static void json_names__what_stands_under_the_key(void **state)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"{\"name\":\"x\",\"tags\":[\"1.0\",\"2.0\"]}", "[1.0,2.0]"},
        {" { \"tags\" : [ \"a\" , \"b\" ] , \"more\" : 1 } \n", "[a,b]"},
        {"{\"tags\":[\"\xc3\xbc\",\"\"]}", "[\xc3\xbc,]"},
        {"{\"tags\":[]}", "[]"},
        {"{\"tags\":null}", "[]"},
        {"{\"name\":[\"x\"]}", "[]"},
        {"{}", "[]"},
        {"[\"tags\",[\"a\"]]", "[]"},
        {"\"tags\"", "[]"},
        {"{\"tags\":[\"a\",null,1,[\"b\"],{\"tags\":[\"c\"]}]}", "[a,-,-,-,-]"},
        {"{\"in\":{\"tags\":[\"a\"]}}", "[]"},
        {"{\"in\":[\"a\"],\"tags\":[\"b\"],\"tagz\":[\"c\"],\"Tags\":[\"d\"]}", "[b]"},
        {"{\"tags\":[\"a\"],\"tags\":[\"b\",\"c\"]}", "[b,c]"},
        {"{\"tags\":1,\"tags\":[\"b\"]}", "[b]"},
        {"{\"tags\":[\"a\"],\"tags\":null}", "[]"},
        /* Escaped somewhere. */
        {"{\"t\\u0061gs\":[\"a\"]}", "[a]"},
        {"{\"tags\":[\"a\\/b\",\"c\",\"\\u0000d\"]}", "[a/b,c,-]"},
        {"{\"tags\":[\"a\"],\"x\":\"\\n\"}", "[a]"},
        {"{\"tags\":\"\\n\"}", "\"tags\" is not an array"},
        /* Refused. */
        {"{\"tags\":\"a\"}", "\"tags\" is not an array"},
        {"{\"tags\":{}}", "\"tags\" is not an array"},
        {"{\"tags\":[\"a\"],\"tags\":true}", "\"tags\" is not an array"},
        {"{\"tags\":[\"a\"]", "malformed JSON at byte 13: it ends too early"},
        {"{\"tags\":[\"\xff\"]}", "malformed JSON at byte 10: not UTF-8"},
        {"{\"tags\":[1,2,3,4,5,6,7,8,9]}", "JSON has more than 10 values"},
        {"", "malformed JSON at byte 0: it ends too early"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DV_AUTO(dv_buf) got = DV_BUF_INIT(1000);
        show(rows[i].text, &got);
        if (strcmp(dv_buf_text(&got), rows[i].expected) != 0)
            fail_msg("%s: %s, expected %s", rows[i].text, dv_buf_text(&got), rows[i].expected);
    }
}

static void json_names__many(void **state)
{
    enum { MANY = 100000 };
    const dv_json_limits wide = {.max_bytes = 8 << 20, .max_values = MANY + 2};
    DV_AUTO(dv_buf) text = DV_BUF_INIT(8 << 20);
    DV_AUTOPTR(dv_json_names) names = NULL;
    dv_buf_puts(&text, "{\"tags\":[");
    for (unsigned i = 0; i < MANY; i++)
        dv_buf_printf(&text, "%s\"%u\"", i ? "," : "", i);
    dv_buf_puts(&text, "]}");
    assert_int_equal(dv_json_names_parse(text.data, text.size, &wide, "tags", &names, NULL), 0);
    assert_int_equal(dv_json_names_count(names), MANY);
    for (unsigned i = 0; i < MANY; i++) {
        char expected[16];
        snprintf(expected, sizeof(expected), "%u", i);
        assert_string_equal(dv_json_names_at(names, i), expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_names__what_stands_under_the_key),
        cmocka_unit_test(json_names__many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of util/json.c and util/json_scan.c. */
#include "util/json_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const dv_json_limits limits = {.max_bytes = 1 << 20};

static const char *const top_keys[] = {"layers", "config", "manifests", "os.version", NULL};
static const char *const config_keys[] = {"digest", "size", NULL};
static const char *const platform_keys[] = {"os", NULL};
static const dv_json_known known[] = {
    {"", top_keys},
    {"config", config_keys},
    {"layers[]", config_keys},
    {"manifests[].platform", platform_keys},
    {NULL, NULL},
};

static int parse(const char *text, size_t size, const dv_json_known *rows, char **message)
{
    DV_AUTOPTR(dv_json) v = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    int r = dv_json_parse(text, size, &limits, rows, &v, &err);
    assert_true((r == 0) == (v != NULL));
    assert_int_equal(davit_error_code(err), r);
    if (message)
        *message = dv_strdup(davit_error_message(err));
    return r;
}

typedef struct row {
    const char *text;
    int expected;
    size_t size; /* 0: strlen */
} row;

static void check_rows(const row *rows, size_t count, const dv_json_known *keys)
{
    for (size_t i = 0; i < count; i++) {
        DV_AUTOFREE char *message = NULL;
        int r = parse(rows[i].text, rows[i].size ? rows[i].size : strlen(rows[i].text), keys, &message);
        if (r != rows[i].expected)
            fail_msg("%s: expected %s, got %s (%s)", rows[i].text, davit_code_name(rows[i].expected),
                     davit_code_name(r), message);
    }
}

static void json_parse__one_document_by_the_grammar(void **state)
{
    static const row rows[] = {
        {"{}", 0},
        {" \t\r\n[1, 2 ,3]\n", 0},
        {"true", 0},
        {"null", 0},
        {"\"x\"", 0},
        {"-0", 0},
        {"1.5e-3", 0},
        {"{\"a\":{\"b\":[]},\"a\":2}", 0},
        {"", DAVIT_EFORMAT},
        {" ", DAVIT_EFORMAT},
        {"{} x", DAVIT_EFORMAT},
        {"{}{}", DAVIT_EFORMAT},
        {"{}\0", DAVIT_EFORMAT, 3},
        {"[1,]", DAVIT_EFORMAT},
        {"[,1]", DAVIT_EFORMAT},
        {"[1 2]", DAVIT_EFORMAT},
        {"[", DAVIT_EFORMAT},
        {"[1", DAVIT_EFORMAT},
        {"[1,", DAVIT_EFORMAT},
        {"]", DAVIT_EFORMAT},
        {"[}", DAVIT_EFORMAT},
        {"{\"a\"}", DAVIT_EFORMAT},
        {"{\"a\":}", DAVIT_EFORMAT},
        {"{\"a\":1,}", DAVIT_EFORMAT},
        {"{\"a\" 1}", DAVIT_EFORMAT},
        {"{a:1}", DAVIT_EFORMAT},
        {"{1:1}", DAVIT_EFORMAT},
        {"{\"a", DAVIT_EFORMAT},
        {"'x'", DAVIT_EFORMAT},
        {"nul", DAVIT_EFORMAT},
        {"nulll", DAVIT_EFORMAT},
        {"True", DAVIT_EFORMAT},
        {"NaN", DAVIT_EFORMAT},
        {"/* */ 1", DAVIT_EFORMAT},
        {"\xef\xbb\xbf{}", DAVIT_EFORMAT},
        {"{\"a\\u0000b\":1}", DAVIT_EFORMAT},
    };
    check_rows(rows, DV_COUNT(rows), NULL);
}

static void json_parse__integers_fit_64_bits(void **state)
{
    static const row rows[] = {
        {"9223372036854775807", 0},
        {"-9223372036854775808", 0},
        {"9223372036854775808", DAVIT_EFORMAT},
        {"-9223372036854775809", DAVIT_EFORMAT},
        {"123456789012345678901234567890", DAVIT_EFORMAT},
        {"01", DAVIT_EFORMAT},
        {"-", DAVIT_EFORMAT},
        {"-01", DAVIT_EFORMAT},
        {"+1", DAVIT_EFORMAT},
        {"1.", DAVIT_EFORMAT},
        {".5", DAVIT_EFORMAT},
        {"1e", DAVIT_EFORMAT},
        {"1e+", DAVIT_EFORMAT},
        {"0x10", DAVIT_EFORMAT},
        {"1e999", DAVIT_EFORMAT},
        {"9223372036854775808.0", 0},
    };
    check_rows(rows, DV_COUNT(rows), NULL);
}

/* What stands under keys that are not ours may be any number of the grammar. */
static void json_parse__any_number_where_the_caller_says_so(void **state)
{
    static const dv_json_limits any = {.max_bytes = 1 << 20, .any_number = true};
    static const struct {
        const char *number;
        dv_json_type type;
    } rows[] = {
        {"9223372036854775807", DV_JSON_INTEGER},
        {"-9223372036854775808", DV_JSON_INTEGER},
        {"0", DV_JSON_INTEGER},
        {"9223372036854775808", DV_JSON_REAL},
        {"-9223372036854775809", DV_JSON_REAL},
        {"123456789012345678901234567890", DV_JSON_REAL},
        {"1e1", DV_JSON_REAL},
        {"1.5", DV_JSON_REAL},
        {"1e999", DV_JSON_REAL},
        {"-1.5E+99999", DV_JSON_REAL},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) text = DV_BUF_INIT(999);
        DV_AUTOPTR(dv_json) v = NULL;
        dv_buf_printf(&text, "{\"a\":\"1e999\",\"x\":[%s,%s],\"b\":7}", rows[i].number, rows[i].number);
        DV_AUTOFREE char *before = dv_strdup(dv_buf_text(&text));
        assert_int_equal(dv_json_parse(dv_buf_text(&text), text.size, &any, known, &v, NULL), 0);
        for (size_t j = 0; j < 2; j++)
            assert_int_equal(dv_json_get_type(dv_json_at(dv_json_get(v, "x"), j)), rows[i].type);
        assert_string_equal(dv_json_string(dv_json_get(v, "a"), NULL), "1e999");
        assert_int_equal(dv_json_integer(dv_json_get(v, "b")), 7);
        assert_string_equal(dv_buf_text(&text), before); /* it is the caller's */
    }
    static const char *const bad[] = {"", "1.", "-", "01", "1e", "[1", "99999999999999999999x"};
    for (size_t i = 0; i < DV_COUNT(bad); i++) {
        DV_AUTOPTR(dv_json) v = NULL;
        assert_int_equal(dv_json_parse(bad[i], strlen(bad[i]), &any, NULL, &v, NULL), DAVIT_EFORMAT);
    }
    const dv_json_limits few = {.max_bytes = 2, .any_number = true};
    DV_AUTOPTR(dv_json) v = NULL;
    assert_int_equal(dv_json_parse("1e1", 3, &few, NULL, &v, NULL), DAVIT_ETOOBIG);
}

static void json_parse__text_is_strict_utf8(void **state)
{
    static const row rows[] = {
        {"\"\xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\"", 0},
        {"\"\\ud83d\\ude00\"", 0},
        {"\"\\uD83D\\uDE00 \\b\\f\\n\\r\\t\\/\\\\\\\"\"", 0},
        {"\"a\\u0000b\"", 0},
        {"\"\xff\"", DAVIT_EFORMAT},
        {"\"\xc0\xaf\"", DAVIT_EFORMAT},
        {"\"\xe2\x82\"", DAVIT_EFORMAT},
        {"\"\xed\xa0\x80\"", DAVIT_EFORMAT},
        {"\"\xf4\x90\x80\x80\"", DAVIT_EFORMAT},
        {"\"\\ud83d\"", DAVIT_EFORMAT},
        {"\"\\ud83dx\"", DAVIT_EFORMAT},
        {"\"\\ud83d\\n\"", DAVIT_EFORMAT},
        {"\"\\ud83d\\ud83d\"", DAVIT_EFORMAT},
        {"\"\\ude00\"", DAVIT_EFORMAT},
        {"\"\\u12\"", DAVIT_EFORMAT},
        {"\"\\u12g4\"", DAVIT_EFORMAT},
        {"\"\\x41\"", DAVIT_EFORMAT},
        {"\"\\", DAVIT_EFORMAT},
        {"\"\\u", DAVIT_EFORMAT},
        {"\"\\ud83d\\u", DAVIT_EFORMAT},
        {"\"a\nb\"", DAVIT_EFORMAT},
        {"\"a\0b\"", DAVIT_EFORMAT, 5},
        {"{\"\xff\":1}", DAVIT_EFORMAT},
    };
    check_rows(rows, DV_COUNT(rows), NULL);
}

/* threat C2 */
static void json_parse__depth_is_limited_without_recursion(void **state)
{
    enum { DEPTH = 100000 };
    DV_AUTOFREE char *deep = malloc(2 * DEPTH);
    memset(deep, '[', DEPTH);
    memset(deep + DEPTH, ']', DEPTH);
    assert_int_equal(parse(deep, 2 * DEPTH, NULL, NULL), DAVIT_ETOOBIG);
    assert_int_equal(parse(deep, DEPTH, NULL, NULL), DAVIT_ETOOBIG);
    assert_int_equal(parse(deep + DEPTH - 32, 64, NULL, NULL), 0);
    assert_int_equal(parse(deep + DEPTH - 33, 66, NULL, NULL), DAVIT_ETOOBIG);
}

/* threats C1, C2 */
static void json_parse__bytes_and_values_are_limited(void **state)
{
    static const struct {
        dv_json_limits limits;
        const char *text;
        int expected;
    } rows[] = {
        {{.max_bytes = 2}, "{}", 0},
        {{.max_bytes = 1}, "{}", DAVIT_ETOOBIG},
        {{.max_bytes = 99, .max_values = 3}, "[1,2]", 0},
        {{.max_bytes = 99, .max_values = 3}, "[1,2,3]", DAVIT_ETOOBIG},
        {{.max_bytes = 99, .max_values = 3}, "[[],{}]", 0},
        {{.max_bytes = 99, .max_depth = 1}, "[1]", 0},
        {{.max_bytes = 99, .max_depth = 1}, "[[1]]", DAVIT_ETOOBIG},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(dv_json) v = NULL;
        int r = dv_json_parse(rows[i].text, strlen(rows[i].text), &rows[i].limits, NULL, &v, NULL);
        if (r != rows[i].expected)
            fail_msg("row %zu %s: expected %d, got %d", i, rows[i].text, rows[i].expected, r);
    }
    enum { COUNT = 100001 };
    DV_AUTOFREE char *wide = malloc(2 * COUNT + 1);
    for (size_t i = 0; i < COUNT; i++)
        memcpy(wide + 2 * i, i ? ",1" : "[1", 3);
    wide[2 * COUNT] = ']';
    assert_int_equal(parse(wide, 2 * COUNT + 1, NULL, NULL), DAVIT_ETOOBIG);
}

/* threat B4 */
static void json_parse__known_keys_stand_once_and_in_one_spelling(void **state)
{
    static const row rows[] = {
        {"{\"layers\":[],\"config\":{}}", 0},
        {"{\"layers\":[],\"layers\":[]}", DAVIT_EFORMAT},
        {"{\"layers\":[],\"Layers\":[]}", DAVIT_EFORMAT},
        {"{\"LAYERS\":[]}", DAVIT_EFORMAT},
        {"{\"layers\":[],\"l\\u0061yers\":[]}", DAVIT_EFORMAT},
        {"{\"l\\u0041yers\":[]}", DAVIT_EFORMAT},
        {"{\"layer\xc5\xbf\":[]}", DAVIT_EFORMAT},
        {"{\"layer\\u017F\":[]}", DAVIT_EFORMAT},
        {"{\"OS.Version\":[]}", DAVIT_EFORMAT},
        {"{\"layer\xc3\x9f\":[]}", 0},
        {"{\"other\":1,\"other\":2,\"Other\":3}", 0},
        {"{\"config\":{\"size\":1,\"size\":2}}", DAVIT_EFORMAT},
        {"{\"config\":{\"Size\":1}}", DAVIT_EFORMAT},
        {"{\"con\\u0066ig\":{\"Size\":1}}", DAVIT_EFORMAT},
        {"{\"other\":{\"Size\":1,\"size\":2,\"size\":3}}", 0},
        {"{\"config\":{\"x\":{\"Size\":1}}}", 0},
        {"{\"config\":{\"config\":{\"Size\":1}}}", 0},
        {"{\"layers\":[{\"size\":1},{\"size\":2}]}", 0},
        {"{\"layers\":[{\"size\":1},{\"size\":2,\"size\":2}]}", DAVIT_EFORMAT},
        {"{\"layers\":{\"Size\":1}}", 0},
        {"{\"layers\":[[{\"Size\":1}]]}", 0},
        {"{\"manifests\":[{\"platform\":{\"os\":1,\"OS\":2}}]}", DAVIT_EFORMAT},
        {"{\"manifests\":[{\"Size\":1,\"platform\":{\"os\":1}},{\"platform\":{\"os\":1}}]}", 0},
        {"{\"\":{\"Layers\":1}}", 0},
        {"{\"manifests[]\":{\"platform\":{\"OS\":2}}}", 0},
        {"[{\"Layers\":1}]", 0},
    };
    check_rows(rows, DV_COUNT(rows), known);
}

static void json_parse__kelvin_sign_is_a_case_of_k(void **state)
{
    static const char *const keys[] = {"token", NULL};
    static const dv_json_known table[] = {{"", keys}, {NULL, NULL}};
    static const row rows[] = {{"{\"to\xe2\x84\xaa"
                                "en\":1}",
                                DAVIT_EFORMAT},
                               {"{\"toen\":1}", 0}};
    check_rows(rows, DV_COUNT(rows), table);
}

static void json_parse__lenient_documents_keep_the_last_of_equal_keys(void **state)
{
    static const char text[] = "{\"a\":1,\"b\":2,\"a\":3}";
    DV_AUTOPTR(dv_json) v = NULL;
    assert_int_equal(dv_json_parse(text, strlen(text), &limits, NULL, &v, NULL), 0);
    assert_int_equal(dv_json_integer(dv_json_get(v, "a")), 3);
    assert_int_equal(dv_json_count(v), 2);
}

static void json_accessors__wrong_types_give_nothing(void **state)
{
    static const char text[] = "{\"z\":[1,\"a\\u0000b\"],\"y\":true,\"x\":null}";
    DV_AUTOPTR(dv_json) v = NULL;
    assert_int_equal(dv_json_parse(text, strlen(text), &limits, NULL, &v, NULL), 0);
    const dv_json *z = dv_json_get(v, "z");
    size_t size = 0;
    assert_memory_equal(dv_json_string(dv_json_at(z, 1), &size), "a\0b", 4);
    assert_int_equal(size, 3);
    assert_null(dv_json_at(z, 2));
    assert_null(dv_json_string(z, NULL));
    assert_null(dv_json_get(z, "z"));
    assert_null(dv_json_get(NULL, "z"));
    assert_false(dv_json_is(NULL, DV_JSON_NULL));
    assert_true(dv_json_is(dv_json_get(v, "x"), DV_JSON_NULL));
    assert_true(dv_json_bool(dv_json_get(v, "y")));
    assert_int_equal(dv_json_integer(z), 0);
    const char *key, *order = "zyx";
    const dv_json *value;
    for (void *iter = NULL; dv_json_next(v, &iter, &key, &value); order++)
        assert_int_equal(*key, *order);
    assert_int_equal(*order, '\0');
}

typedef struct sample {
    const char *name;
    int64_t size;
    bool flag;
    const dv_json *list;
    const dv_json *object;
} sample;

static void json_decode__types_and_required_marks(void **state)
{
    static const dv_json_field fields[] = {
        {"name", DV_FIELD_STRING, offsetof(sample, name), false},
        {"size", DV_FIELD_INT64, offsetof(sample, size), true},
        {"flag", DV_FIELD_BOOL, offsetof(sample, flag), false},
        {"list", DV_FIELD_ARRAY, offsetof(sample, list), false},
        {"object", DV_FIELD_OBJECT, offsetof(sample, object), false},
        {0},
    };
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"{\"size\":1}", NULL},
        {"{\"size\":1,\"name\":null,\"extra\":7}", NULL},
        {"{\"name\":\"x\"}", "\"size\" is missing"},
        {"{\"size\":null}", "\"size\" is missing"},
        {"{\"size\":1.0}", "\"size\" is not an integer"},
        {"{\"size\":\"1\"}", "\"size\" is not an integer"},
        {"{\"size\":1,\"name\":2}", "\"name\" is not a string"},
        {"{\"size\":1,\"name\":\"a\\u0000\"}", "\"name\" is not a string"},
        {"{\"size\":1,\"flag\":0}", "\"flag\" is not true or false"},
        {"{\"size\":1,\"list\":{}}", "\"list\" is not an array"},
        {"{\"size\":1,\"object\":[]}", "\"object\" is not an object"},
        {"[]", "not a JSON object"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(dv_json) v = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        sample s = {.name = "before", .size = -7};
        assert_int_equal(dv_json_parse(rows[i].text, strlen(rows[i].text), &limits, NULL, &v, NULL), 0);
        int r = dv_json_decode(v, fields, &s, &err);
        if (r != (rows[i].message ? DAVIT_EFORMAT : 0) ||
            (rows[i].message && strcmp(rows[i].message, davit_error_message(err)) != 0))
            fail_msg("%s: expected %s, got %s", rows[i].text, rows[i].message, davit_error_message(err));
        assert_int_equal(s.size, r < 0 ? -7 : 1);
        assert_string_equal(s.name, "before");
    }
}

static void json_format__order_indent_and_html(void **state)
{
    DV_AUTOPTR(dv_json) v = dv_json_object_new();
    dv_json *list = dv_json_array_new();
    assert_true(dv_json_append_string(list, "<a&b>\xe2\x80\xa8\xe2\x80\xa9\xe2\x82\xac"));
    assert_true(dv_json_set_integer(v, "z", -5));
    assert_true(dv_json_set(v, "list", list));
    assert_true(dv_json_set_bool(v, "b", true));
    assert_true(dv_json_set_null(v, "n"));
    assert_true(dv_json_set_string(v, "s", "q\"\n"));
    assert_true(dv_json_set(v, "copy", dv_json_copy(dv_json_get(v, "list"))));
    assert_false(dv_json_set_string(v, "bad", "\xff"));
    assert_false(dv_json_set(v, "null", NULL));
    DV_AUTO(dv_buf) out = DV_BUF_INIT(4096);
    dv_json_format(v, 0, true, &out);
    assert_string_equal(
        dv_buf_text(&out),
        "{\"z\":-5,\"list\":[\"\\u003ca\\u0026b\\u003e\\u2028\\u2029\xe2\x82\xac\"],\"b\":true,\"n\":null,"
        "\"s\":\"q\\\"\\n\",\"copy\":[\"\\u003ca\\u0026b\\u003e\\u2028\\u2029\xe2\x82\xac\"]}");
    dv_buf_reset(&out);
    dv_json_format(dv_json_get(v, "list"), 2, false, &out);
    assert_string_equal(dv_buf_text(&out), "[\n  \"<a&b>\xe2\x80\xa8\xe2\x80\xa9\xe2\x82\xac\"\n]");
    DV_AUTO(dv_buf) small = DV_BUF_INIT(8);
    dv_json_format(v, 0, true, &small);
    assert_int_equal(small.failed, DAVIT_ETOOBIG);
}

static void json_scan_first__ends_where_the_first_value_does(void **state)
{
    static const struct {
        const char *text;
        int code;
        dv_json_stop stop;
    } rows[] = {
        {"{\"a\":[1]} trailing", 0, {.at = 9}},
        {" null}", 0, {.at = 5}},
        {"12,", 0, {.at = 2}},
        {"\"x\"\"", 0, {.at = 3}},
        {"", DAVIT_EFORMAT, {.at = 0, .incomplete = true, .no_value = true}},
        {"  ", DAVIT_EFORMAT, {.at = 2, .incomplete = true, .no_value = true}},
        {"{\"a\"", DAVIT_EFORMAT, {.at = 4, .incomplete = true}},
        {"{\"a", DAVIT_EFORMAT, {.at = 3, .incomplete = true}},
        {"[tru", DAVIT_EFORMAT, {.at = 1, .incomplete = true, .no_value = true}},
        {"[trx", DAVIT_EFORMAT, {.at = 1, .no_value = true}},
        {"[1 2]", DAVIT_EFORMAT, {.at = 3}},
        {"not", DAVIT_EFORMAT, {.at = 0, .no_value = true}},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        dv_json_stop stop;
        int r = dv_json_scan_first(rows[i].text, strlen(rows[i].text), &limits, &stop, NULL);
        if (r != rows[i].code || stop.at != rows[i].stop.at || stop.incomplete != rows[i].stop.incomplete ||
            stop.no_value != rows[i].stop.no_value)
            fail_msg("%s: %s at %zu, incomplete %d, no value %d", rows[i].text, davit_code_name(r), stop.at,
                     stop.incomplete, stop.no_value);
    }
}

static void json_write_string__as_go_writes_it(void **state)
{
    DV_AUTO(dv_buf) out = DV_BUF_INIT(999);
    dv_json_write_string(&out, "a\"\\/\b\x1f\x7f<>&\xe2\x80\xa8\xff\xc3\xa4");
    assert_string_equal(dv_buf_text(&out),
                        "\"a\\\"\\\\/\\b\\u001f\x7f\\u003c\\u003e\\u0026\\u2028\\ufffd\xc3\xa4\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_parse__one_document_by_the_grammar),
        cmocka_unit_test(json_parse__integers_fit_64_bits),
        cmocka_unit_test(json_parse__any_number_where_the_caller_says_so),
        cmocka_unit_test(json_parse__text_is_strict_utf8),
        cmocka_unit_test(json_parse__depth_is_limited_without_recursion),
        cmocka_unit_test(json_parse__bytes_and_values_are_limited),
        cmocka_unit_test(json_parse__known_keys_stand_once_and_in_one_spelling),
        cmocka_unit_test(json_parse__kelvin_sign_is_a_case_of_k),
        cmocka_unit_test(json_parse__lenient_documents_keep_the_last_of_equal_keys),
        cmocka_unit_test(json_accessors__wrong_types_give_nothing),
        cmocka_unit_test(json_decode__types_and_required_marks),
        cmocka_unit_test(json_format__order_indent_and_html),
        cmocka_unit_test(json_scan_first__ends_where_the_first_value_does),
        cmocka_unit_test(json_write_string__as_go_writes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

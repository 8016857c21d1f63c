/* Unit tests of registry/search_result.c: search.md 9. */
#include "registry/search_result.h"
#include "util/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ROW(stars, official, name, automated, description)                      \
    "{\"star_count\":" #stars ",\"is_official\":" #official ",\"name\":\"" name \
    "\",\"is_automated\":" #automated ",\"description\":\"" description "\"}"
#define ANSWER(query, number, results) \
    "{\"query\":\"" query "\",\"num_results\":" #number ",\"results\":" results "}"

static void results__read_and_written_again(void **state)
{
    static const struct {
        const char *json, *expected; /* written again */
    } rows[] = {
        {"{\"query\":\"q\",\"num_results\":1,\"results\":[{\"name\":\"n\",\"star_count\":3,\"is_official\":"
         "true,\"description\":\"d\"}]}",
         ANSWER("q", 1, "[" ROW(3, true, "n", false, "d") "]")},
        {"{}", ANSWER("", 0, "null")},
        {"{\"id\":123456789012345678901234567890,\"x\":1e999}", ANSWER("", 0, "null")},
        {"null", ANSWER("", 0, "null")},
        {"{\"results\":null}", ANSWER("", 0, "null")},
        {"{\"results\":[]}", ANSWER("", 0, "[]")},
        {"{\"results\":[{}]}", ANSWER("", 0, "[" ROW(0, false, "", false, "") "]")},
        {"{\"results\":[null]}", ANSWER("", 0, "[" ROW(0, false, "", false, "") "]")},
        {"{\"results\":[{\"name\":null,\"star_count\":null,\"is_official\":null,\"is_automated\":null,"
         "\"description\":null}]}",
         ANSWER("", 0, "[" ROW(0, false, "", false, "") "]")},
        {"{\"results\":[{\"is_automated\":true,\"trusted\":7}],\"page\":{\"x\":[]}}",
         ANSWER("", 0, "[" ROW(0, false, "", true, "") "]")},
        /* key case is ignored; of equal keys the last counts */
        {"{\"QUERY\":\"q\",\"Num_Results\":2,\"Results\":[{\"NAME\":\"n\",\"Star_Count\":1,\"IS_OFFICIAL\":"
         "true,\"Description\":\"d\"}]}",
         ANSWER("q", 2, "[" ROW(1, true, "n", false, "d") "]")},
        {"{\"results\":[{\"name\":\"a\",\"NAME\":\"b\"}]}",
         ANSWER("", 0, "[" ROW(0, false, "b", false, "") "]")},
        {"{\"results\":[{\"name\":\"a\"},{\"name\":\"b\"}],\"RESULTS\":[{\"name\":\"c\"}]}",
         ANSWER("", 0, "[" ROW(0, false, "c", false, "") "]")},
        {"{\"results\":[{\"name\":\"a\"},{\"name\":\"b\"}]}",
         ANSWER("", 0, "[" ROW(0, false, "a", false, "") "," ROW(0, false, "b", false, "") "]")},
        {"{\"num_results\":-1,\"results\":[{\"star_count\":-9223372036854775808}]}",
         ANSWER("", -1, "[" ROW(-9223372036854775808, false, "", false, "") "]")},
        /* written safe for HTML, as the reference writes */
        {"{\"query\":\"<&>\\u2028\"}", ANSWER("\\u003c\\u0026\\u003e\\u2028", 0, "null")},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_search_results) results = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        DV_AUTOFREE char *text = NULL;
        int r = davit_search_results_parse(rows[i].json, strlen(rows[i].json), &results, &err);
        if (r == 0)
            r = davit_search_results_format(results, &text, &err);
        if (r < 0 || strcmp(text, rows[i].expected) != 0)
            fail_msg("%s: expected %s, got %s", rows[i].json, rows[i].expected,
                     text ? text : davit_error_message(err));
    }
}

static void results_parse__what_it_refuses(void **state)
{
    static const struct {
        const char *json, *words;
    } rows[] = {
        {"", ""},
        {"<html>", ""},
        {"[]", "not a JSON object"},
        {"{\"results\":[]", ""},
        {"{} {}", ""},
        {"{\"query\":1}", "\"query\" is not a string"},
        {"{\"query\":\"a\\u0000b\"}", "\"query\" is not a string"},
        {"{\"num_results\":\"1\"}", "\"num_results\" is not an integer"},
        {"{\"num_results\":1.5}", "\"num_results\" is not an integer"},
        {"{\"results\":{}}", "\"results\" is not an array"},
        {"{\"results\":[1]}", "\"results\" is not an array of objects"},
        {"{\"results\":[{\"star_count\":\"3\"}]}", "\"star_count\" is not an integer"},
        {"{\"results\":[{\"star_count\":3.5}]}", "\"star_count\" is not an integer"},
        {"{\"results\":[{\"star_count\":99999999999999999999}]}", ""},
        {"{\"results\":[{\"is_official\":1}]}", "\"is_official\" is not true or false"},
        {"{\"results\":[{\"is_automated\":\"no\"}]}", "\"is_automated\" is not true or false"},
        {"{\"results\":[{\"name\":[]}]}", "\"name\" is not a string"},
        {"{\"results\":[{\"name\":\"ok\"},{\"description\":true}]}", "\"description\" is not a string"},
        {"{\"results\":[{\"name\":\"\xff\"}]}", ""},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_search_results *results = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = davit_search_results_parse(rows[i].json, strlen(rows[i].json), &results, &err);
        if (r != DAVIT_EFORMAT || results || !strstr(davit_error_message(err), rows[i].words))
            fail_msg("%s: expected EFORMAT \"%s\", got %s \"%s\"", rows[i].json, rows[i].words,
                     davit_code_name(r), davit_error_message(err));
    }
}

static void results_parse__a_long_answer_is_refused(void **state)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(2 * (size_t)DV_SEARCH_ANSWER_MAX);
    davit_search_results *results = NULL;
    dv_buf_puts(&text, "{}");
    while (text.size <= DV_SEARCH_ANSWER_MAX)
        dv_buf_puts(&text, "                                                                ");
    assert_int_equal(davit_search_results_parse(dv_buf_text(&text), text.size, &results, NULL), DAVIT_ETOOBIG);
}

static void results_format_list__is_the_array_alone(void **state)
{
    davit_search_result items[] = {{.star_count = 3, .is_official = true}, {0}};
    const davit_search_results none = {0}, two = {.items = items, .count = 2};
    DV_AUTOFREE char *empty = NULL, *list = NULL;
    assert_int_equal(davit_search_results_format_list(&none, &empty, NULL), 0);
    assert_string_equal(empty, "[]");
    assert_int_equal(davit_search_results_format_list(&two, &list, NULL), 0);
    assert_string_equal(list, "[" ROW(3, true, "", false, "") "," ROW(0, false, "", false, "") "]");
    davit_search_results_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results__read_and_written_again),
        cmocka_unit_test(results_parse__what_it_refuses),
        cmocka_unit_test(results_parse__a_long_answer_is_refused),
        cmocka_unit_test(results_format_list__is_the_array_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

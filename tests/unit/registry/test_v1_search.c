/* Unit tests of registry/v1_search.c: registry-v1.md 5, 7, 14. */
#include "v1_test.h"

DV_DEFINE_AUTOPTR(davit_v1_search_results, davit_v1_search_results_free)

#define PAGE                                                                                              \
    "{\"num_pages\":2,\"num_results\":3,\"results\":[{\"name\":\"a/"                                      \
    "b\",\"is_automated\":true,\"is_trusted\":"                                                           \
    "true,\"is_official\":false,\"star_count\":7,\"description\":\"d\"},{\"name\":\"c\",\"description\":" \
    "null}],\"page_size\":2,\"query\":\"q\",\"page\":%s}"

static davit_v1_search_results *parse(const char *text, int expected)
{
    davit_v1_search_results *results = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    int r = davit_v1_search_results_parse(text, strlen(text), &results, &err);
    if (r != expected || !results != (r < 0))
        fail_msg("%s: expected %s, got %s %s", text, davit_code_name(expected), davit_code_name(r),
                 davit_error_message(err));
    return results;
}

static void davit_v1_search_results_parse__page_is_a_text_or_a_number(void **state)
{
    static const char *const pages[] = {"\"1\"", "1"};
    for (size_t i = 0; i < DV_COUNT(pages); i++) {
        DV_AUTO(dv_buf) text = DV_BUF_INIT(4096);
        dv_buf_printf(&text, PAGE, pages[i]);
        DV_AUTOPTR(davit_v1_search_results) results = parse(dv_buf_text(&text), 0);
        assert_int_equal(results->num_pages, 2);
        assert_int_equal(results->num_results, 3);
        assert_int_equal(results->page_size, 2);
        assert_int_equal(results->page, 1);
        assert_string_equal(results->query, "q");
        assert_int_equal(results->count, 2);
        const davit_v1_search_result *one = &results->items[0];
        assert_string_equal(one->name, "a/b");
        assert_string_equal(one->description, "d");
        assert_int_equal(one->star_count, 7);
        assert_true(one->is_automated && one->is_trusted);
        assert_false(one->is_official);
        assert_null(results->items[1].description);
    }
}

static void davit_v1_search_results_parse__a_standalone_registry_counts_nothing(void **state)
{
    DV_AUTOPTR(davit_v1_search_results)
    results = parse(
        "{\"query\":\"q\",\"num_results\":1,\"results\":[{\"name\":\"library/x\",\"description\":\"\"}]}", 0);
    assert_int_equal(results->num_pages, 0);
    assert_int_equal(results->page, 0);
    assert_int_equal(results->count, 1);
    assert_int_equal(results->items[0].star_count, 0);
}

static void davit_v1_search_results_parse__wrong_types_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{\"page\":\"x\"}",
        "{\"page\":\"\"}",
        "{\"page\":[]}",
        "{\"page\":1.5}",
        "{\"results\":{}}",
        "{\"results\":[1]}",
        "{\"results\":[{\"name\":1}]}",
        "{\"results\":[{\"star_count\":\"1\"}]}",
        "{\"results\":[{\"is_official\":1}]}",
        "{\"num_pages\":\"1\"}",
    };
    for (size_t i = 0; i < DV_COUNT(texts); i++)
        parse(texts[i], DAVIT_EFORMAT);
}

static void davit_v1_search_query__sorted_and_escaped_as_a_form(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_search_results) results = NULL;
    v1_open(f, ROWS({NULL, .headers = JSON, .body = "{\"results\":[]}"}));
    assert_ok(davit_v1_search_query(f->v1, "a b/c&d\xc3\xbc", 2, 50, &results, &err));
    assert_request(f->base.one, 0, "GET /v1/search?n=50&page=2&q=a+b%2Fc%26d%C3%BC");
    assert_int_equal(results->count, 0);
}

static void davit_v1_search_query__a_refusal_has_the_query(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_search_results) results = NULL;
    v1_open(f, ROWS({NULL, .status = 404}));
    int r = davit_v1_search_query(f->v1, "q", 1, 25, &results, &err);
    assert_refused(f, r, &err, "GET", "/v1/search?n=25&page=1&q=q", 404, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(davit_v1_search_results_parse__page_is_a_text_or_a_number),
        cmocka_unit_test(davit_v1_search_results_parse__a_standalone_registry_counts_nothing),
        cmocka_unit_test(davit_v1_search_results_parse__wrong_types_are_refused),
        v1_test(davit_v1_search_query__sorted_and_escaped_as_a_form),
        v1_test(davit_v1_search_query__a_refusal_has_the_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of registry/search_filter.c: search.md 2, 7. */
#include "registry/search_filter.h"
#include "util/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What a reading gives, as one text: "official=1 stars>=3", or the error. */
static void describe(const davit_search_filters *filters, bool v25, dv_buf *out)
{
    DV_AUTOPTR(davit_error) err = NULL;
    dv_search_wish wish;
    int r = dv_search_filters_read(filters, v25, &wish, &err);
    if (r < 0) {
        assert_int_equal(r, DAVIT_EINVAL);
        dv_buf_puts(out, davit_error_message(err));
        return;
    }
    if (wish.automated_given)
        dv_buf_printf(out, " automated=%d", wish.automated);
    if (wish.official_given)
        dv_buf_printf(out, " official=%d", wish.official);
    if (wish.stars_given)
        dv_buf_printf(out, " stars>=%lld", (long long)wish.stars);
}

typedef struct json_row {
    const char *json, *expected;
} json_row;

static void check_json(const json_row *row)
{
    DV_AUTOPTR(davit_search_filters) filters = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTO(dv_buf) text = DV_BUF_INIT(1u << 16);
    int r = davit_search_filters_parse(row->json, strlen(row->json), &filters, &err);
    if (r < 0)
        dv_buf_printf(&text, "%s: %s", davit_code_name(r), davit_error_message(err));
    else
        describe(filters, /* v25= */ false, &text);
    if (strcmp(dv_buf_text(&text), row->expected) != 0)
        fail_msg("%s: expected \"%s\", got \"%s\"", row->json, row->expected, dv_buf_text(&text));
}

static void filters_parse__wire_forms(void **state)
{
    static const json_row rows[] = {
        {"", ""},
        {"{}", ""},
        {"null", ""},
        {" {\"is-official\":[\"true\"]} ", " official=1"},
        {"{\"is-official\":{\"true\":true}}", " official=1"},
        {"{\"stars\":{\"10\":true}}", " stars>=10"},
        {"{\"stars\":[\"10\",\"3\"]}", " stars>=10"},
        /* only presence counts, except for booleans */
        {"{\"stars\":{\"10\":false}}", " stars>=10"},
        {"{\"is-official\":{\"true\":false}}", "invalid filter 'is-official=[true]'"},
        {"{\"is-official\":{\"true\":false,\"0\":true}}", " official=0"},
        {"{\"is-official\":{\"true\":null}}", "invalid filter 'is-official=[true]'"},
        /* a key with an empty set exists */
        {"{\"is-official\":{}}", "invalid filter 'is-official'"},
        {"{\"is-official\":[]}", "invalid filter 'is-official'"},
        {"{\"is-official\":null}", "invalid filter 'is-official'"},
        {"{\"stars\":[]}", " stars>=0"},
        {"{\"stars\":[null]}", "invalid filter 'stars=': strconv.Atoi: parsing \"\": invalid syntax"},
        {"not json", "EINVAL: invalid filter"},
        {"[]", "EINVAL: invalid filter"},
        {"\"x\"", "EINVAL: invalid filter"},
        {"{\"stars\":\"10\"}", "EINVAL: invalid filter"},
        {"{\"stars\":{\"10\":1}}", "EINVAL: invalid filter"},
        {"{\"stars\":[10]}", "EINVAL: invalid filter"},
        {"{\"stars\":[\"1\\u0000\"]}", "EINVAL: invalid filter"},
        /* the forms are not mixed */
        {"{\"stars\":[\"1\"],\"is-official\":{\"true\":true}}", "EINVAL: invalid filter"},
        {"{\"stars\":[\"1\"]} x", "EINVAL: invalid filter"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        check_json(&rows[i]);
}

static void filters_parse__too_long(void **state)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(2 * DV_SEARCH_FILTERS_MAX);
    DV_AUTOPTR(davit_search_filters) filters = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    dv_buf_puts(&text, "{}");
    while (text.size <= DV_SEARCH_FILTERS_MAX)
        dv_buf_putc(&text, ' ');
    int r = davit_search_filters_parse(dv_buf_text(&text), text.size, &filters, &err);
    assert_int_equal(r, DAVIT_EINVAL);
    assert_string_equal(davit_error_message(err), "invalid filter");
}

static void filters_new__texts_of_a_command_line(void **state)
{
    static const struct {
        const char *texts[4];
        bool v25;
        const char *expected;
    } rows[] = {
        {{NULL}, false, ""},
        {{"is-official=true"}, false, " official=1"},
        {{"is-official=1"}, false, " official=1"},
        {{"is-official=false"}, false, " official=0"},
        {{"is-official=0"}, false, " official=0"},
        {{"is-official=true", "is-official=1"}, false, " official=1"},
        {{"is-official=true", "is-official=yes"}, false, " official=1"},
        {{" Is-Official = true "}, false, " official=1"},
        {{"is-official=true", "is-official=false"}, false, "invalid filter 'is-official=[true false]'"},
        {{"is-official=yes"}, false, "invalid filter 'is-official=[yes]'"},
        {{"is-official=TRUE"}, false, "invalid filter 'is-official=[TRUE]'"},
        {{"is-official="}, false, "invalid filter 'is-official=[]'"},
        {{"is-official"}, false, "invalid filter 'is-official'"},
        {{"stars=3"}, false, " stars>=3"},
        {{"stars=3", "stars=+7", "stars=-2"}, false, " stars>=7"},
        {{"stars=-2"}, false, " stars>=0"},
        {{"stars=9223372036854775807"}, false, " stars>=9223372036854775807"},
        {{"stars=-9223372036854775808"}, false, " stars>=0"},
        {{"stars=x"}, false, "invalid filter 'stars=x': strconv.Atoi: parsing \"x\": invalid syntax"},
        {{"stars=1.5"}, false, "invalid filter 'stars=1.5': strconv.Atoi: parsing \"1.5\": invalid syntax"},
        {{"stars=1_0"}, false, "invalid filter 'stars=1_0': strconv.Atoi: parsing \"1_0\": invalid syntax"},
        {{"stars=+"}, false, "invalid filter 'stars=+': strconv.Atoi: parsing \"+\": invalid syntax"},
        {{"stars="}, false, "invalid filter 'stars=': strconv.Atoi: parsing \"\": invalid syntax"},
        {{"stars=9223372036854775808"},
         false,
         "invalid filter 'stars=9223372036854775808': strconv.Atoi: parsing \"9223372036854775808\": value "
         "out of range"},
        {{"type=plugin"}, false, "invalid filter 'type'"},
        /* keys are checked before values, and is-automated before the rest */
        {{"stars=x", "type=plugin"}, false, "invalid filter 'type'"},
        {{"stars=x", "is-official=x"}, false, "invalid filter 'is-official=[x]'"},
        {{"is-official=x", "is-automated=x"}, false, "invalid filter 'is-automated=[x]'"},
        {{"is-automated=true", "stars=x", "is-official=x"}, false, " automated=1"},
        {{"is-automated=true", "stars=x"},
         true,
         "invalid filter 'stars=x': strconv.Atoi: parsing \"x\": invalid syntax"},
        {{"is-automated=false"}, false, " automated=0"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_search_filters) filters = NULL;
        DV_AUTO(dv_buf) text = DV_BUF_INIT(1u << 16);
        assert_int_equal(davit_search_filters_new(rows[i].texts, &filters, NULL), 0);
        describe(filters, rows[i].v25, &text);
        if (strcmp(dv_buf_text(&text), rows[i].expected) != 0)
            fail_msg("%s: expected \"%s\", got \"%s\"", rows[i].texts[0] ? rows[i].texts[0] : "none",
                     rows[i].expected, dv_buf_text(&text));
    }
}

static void filters_new__a_key_is_wanted(void **state)
{
    static const char *const texts[] = {"=true", NULL}, *const blank[] = {"", NULL};
    davit_search_filters *filters = NULL;
    assert_int_equal(davit_search_filters_new(texts, &filters, NULL), DAVIT_EINVAL);
    assert_int_equal(davit_search_filters_new(blank, &filters, NULL), DAVIT_EINVAL);
    assert_int_equal(davit_search_filters_new(NULL, &filters, NULL), 0);
    davit_search_filters_free(filters);
    davit_search_filters_free(NULL);
}

static void filters_read__none_are_none(void **state)
{
    dv_search_wish wish = {.stars = 7};
    assert_int_equal(dv_search_filters_read(NULL, false, &wish, NULL), 0);
    assert_true(!wish.automated_given && !wish.official_given && !wish.stars_given && wish.stars == 0);
}

static void wish_keeps__what_was_asked_for(void **state)
{
    static const struct {
        const char *text;
        bool v25;
        davit_search_result result;
        bool kept;
    } rows[] = {
        {NULL, false, {.star_count = 0}, true},
        {"stars=1", false, {.star_count = 0}, false},
        {"stars=1", false, {.star_count = 1}, true},
        {"stars=0", false, {.star_count = -1}, false},
        {"is-official=true", false, {.is_official = true}, true},
        {"is-official=true", false, {.is_official = false}, false},
        {"is-official=false", false, {.is_official = true}, false},
        {"is-official=false", false, {.is_official = false}, true},
        {"is-automated=false", false, {.is_automated = true}, true},
        {"is-automated=false", true, {.is_automated = true}, false},
        {"is-automated=false", true, {.is_automated = false}, true},
        {"is-automated=true", true, {.is_automated = true}, true},
        {"is-automated=true", true, {.is_automated = false}, false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        const char *texts[] = {rows[i].text, NULL};
        DV_AUTOPTR(davit_search_filters) filters = NULL;
        dv_search_wish wish;
        assert_int_equal(davit_search_filters_new(texts, &filters, NULL), 0);
        assert_int_equal(dv_search_filters_read(filters, rows[i].v25, &wish, NULL), 0);
        if (dv_search_wish_keeps(&wish, rows[i].v25, &rows[i].result) != rows[i].kept)
            fail_msg("%s (row %zu): expected %s", rows[i].text ? rows[i].text : "none", i,
                     rows[i].kept ? "kept" : "dropped");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_parse__wire_forms),
        cmocka_unit_test(filters_parse__too_long),
        cmocka_unit_test(filters_new__texts_of_a_command_line),
        cmocka_unit_test(filters_new__a_key_is_wanted),
        cmocka_unit_test(filters_read__none_are_none),
        cmocka_unit_test(wish_keeps__what_was_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

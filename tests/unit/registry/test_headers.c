/* Unit tests of registry/headers.c: service.md 13. */
#include "davit/service.h"

#include "util/alloc.h"
#include "util/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_LINES ((const char *const[]){NULL})

/* The lines of all modifiers, each modifier in brackets. */
static void describe(const davit_header_modifiers *m, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < m->count; i++) {
        used += (size_t)snprintf(out + used, size - used, "[");
        for (char **line = m->items[i].lines; *line; line++)
            used += (size_t)snprintf(out + used, size - used, "%s;", *line);
        used += (size_t)snprintf(out + used, size - used, "]");
    }
}

static void headers__a_modifier_for_each_that_is_given(void **state)
{
    const struct {
        const char *user_agent;
        const char *const *meta;
        const char *expected;
    } rows[] = {
        {"docker/28", NULL, "[User-Agent: docker/28;]"},
        {"", NULL, ""},
        {NULL, NULL, ""},
        {"", NO_LINES, "[]"},
        {"docker/28", NO_LINES, "[User-Agent: docker/28;][]"},
        {NULL, LINES("X-Meta-A: 1", "X-Meta-A: 2", "X-Meta-B:"), "[X-Meta-A: 1;X-Meta-A: 2;X-Meta-B:;]"},
        {"ua (x; y)", LINES("X-Meta-A: 1"), "[User-Agent: ua (x; y);][X-Meta-A: 1;]"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_header_modifiers *m = NULL;
        char got[200];
        assert_int_equal(davit_headers(rows[i].user_agent, rows[i].meta, &m, NULL), 0);
        describe(m, got, sizeof(got));
        assert_string_equal(got, rows[i].expected);
        davit_header_modifiers_free(m);
    }
    davit_header_modifiers_free(NULL);
}

/* threats A10 */
static void headers__lines_that_would_be_more_than_one_are_refused(void **state)
{
    const struct {
        const char *user_agent;
        const char *const *meta;
    } rows[] = {
        {"a\r\nX: y", NULL},       {"a\n", NULL},
        {NULL, LINES("no colon")}, {NULL, LINES("A: b\r\nC: d")},
        {NULL, LINES("A\n: b")},   {NULL, LINES(": b")},
        {NULL, LINES("A b: c")},   {NULL, LINES("X-A: 1", "")},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_header_modifiers *m = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        assert_int_equal(davit_headers(rows[i].user_agent, rows[i].meta, &m, &err), DAVIT_EINVAL);
        assert_null(m);
        assert_non_null(err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers__a_modifier_for_each_that_is_given),
        cmocka_unit_test(headers__lines_that_would_be_more_than_one_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

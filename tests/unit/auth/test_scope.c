/* Unit tests of auth/scope.c (auth.md 8). */
#include "auth/scope.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void scope__texts(void **state)
{
    static const struct {
        const char *class, *name, *actions, *expected;
    } rows[] = {
        {NULL, "foo/bar", "pull", "repository:foo/bar:pull"},
        {"", "foo", "push,pull", "repository:foo:push,pull"},
        {"image", "foo", "pull", "repository:foo:pull"},
        {"plugin", "foo", "pull", "repository(plugin):foo:pull"},
        {NULL, "foo", "", "repository:foo:"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) text = DV_BUF_INIT(100);
        dv_scope_repository(&text, rows[i].class, rows[i].name, rows[i].actions);
        assert_string_equal(dv_buf_text(&text), rows[i].expected);
    }
    DV_AUTO(dv_buf) text = DV_BUF_INIT(100);
    dv_scope_registry(&text, "catalog", "search");
    assert_string_equal(dv_buf_text(&text), "registry:catalog:search");
}

/* threat A13 */
static void scopes_key__is_sorted_without_repetition(void **state)
{
    static const char *const scopes[] = {"b", "a", "b", "c", "a", NULL};
    DV_AUTOFREE char *key = NULL, *none = NULL;
    assert_int_equal(dv_scopes_key(scopes, &key, NULL), 0);
    assert_string_equal(key, "a b c");
    assert_int_equal(dv_scopes_key(NULL, &none, NULL), 0);
    assert_string_equal(none, "");
}

static void scopes_join__keeps_the_order(void **state)
{
    static const char *const scopes[] = {"b", "a", NULL};
    DV_AUTO(dv_buf) text = DV_BUF_INIT(100);
    dv_scopes_join(&text, scopes);
    assert_string_equal(dv_buf_text(&text), "b a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scope__texts),
        cmocka_unit_test(scopes_key__is_sorted_without_repetition),
        cmocka_unit_test(scopes_join__keeps_the_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

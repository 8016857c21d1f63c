/* Unit tests of service/service_config.c (service.md 6). */
#include "service/service_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void service_config__mirrors_are_normal_and_once(void **state)
{
    const char *mirrors[] = {"https://a", "https://a/", "http://b", "https://b//", NULL};
    DV_AUTOPTR(dv_service_config) c = NULL;
    assert_int_equal(dv_service_config_new(&(dv_service_options){.mirrors = mirrors}, &c, NULL), 0);
    assert_int_equal(c->mirror_count, 3);
    assert_string_equal(c->mirrors[0], "https://a/");
    assert_string_equal(c->mirrors[1], "http://b/");
    assert_string_equal(c->mirrors[2], "https://b//");
}

static void service_config__first_error_fails_the_whole(void **state)
{
    const char *mirrors[] = {"https://a", "x", NULL};
    const char *insecure[] = {"ok", "a b", NULL};
    DV_AUTOPTR(dv_service_config) c = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    dv_service_options options = {.mirrors = mirrors, .insecure_registries = insecure};
    assert_int_equal(dv_service_config_new(&options, &c, &err), DAVIT_EINVAL);
    assert_non_null(strstr(davit_error_message(err), "invalid mirror"));
    options.mirrors = NULL;
    assert_int_equal(dv_service_config_new(&options, &c, &err), DAVIT_EINVAL);
    assert_non_null(strstr(davit_error_message(err), "insecure registry a b"));
    assert_null(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(service_config__mirrors_are_normal_and_once),
        cmocka_unit_test(service_config__first_error_fails_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

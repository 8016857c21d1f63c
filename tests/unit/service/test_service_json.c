/* Unit tests of service/service_json.c and config_view.c (service.md 6, 17). */
#include "service/config_view.h"
#include "service/index_info.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void check(const davit_service_config *c, davit_service_config_shape shape, const char *expected)
{
    DV_AUTOFREE char *json = NULL;
    assert_int_equal(davit_service_config_format(c, shape, &json, NULL), 0);
    assert_string_equal(json, expected);
}

static davit_service_config view_of(dv_service_options options, bool v27)
{
    DV_AUTOPTR(dv_service_config) c = NULL;
    davit_service_config view;
    options.v27 = v27;
    assert_int_equal(dv_service_config_new(&options, &c, NULL), 0);
    assert_int_equal(dv_config_view_make(c, &view, NULL), 0);
    return view;
}

static void service_config_format__empty_service(void **state)
{
    DV_AUTO(davit_service_config) v27 = view_of((dv_service_options){0}, true);
    DV_AUTO(davit_service_config) v28 = view_of((dv_service_options){0}, false);
    check(
        &v27, DAVIT_SERVICE_CONFIG_V25,
        "{\"AllowNondistributableArtifactsCIDRs\":null,\"AllowNondistributableArtifactsHostnames\":null,"
        "\"InsecureRegistryCIDRs\":[\"127.0.0.0/8\"],\"IndexConfigs\":{\"docker.io\":{\"Name\":\"docker.io\","
        "\"Mirrors\":[],\"Secure\":true,\"Official\":true}},\"Mirrors\":null}");
    check(&v28, DAVIT_SERVICE_CONFIG_V28,
          "{\"IndexConfigs\":{\"docker.io\":{\"Mirrors\":[],\"Name\":\"docker.io\",\"Official\":true,"
          "\"Secure\":true}},\"InsecureRegistryCIDRs\":[\"::1/128\",\"127.0.0.0/8\"],\"Mirrors\":null}");
}

static void service_config_format__zero_value(void **state)
{
    const davit_service_config zero = DAVIT_SERVICE_CONFIG_INIT;
    check(&zero, DAVIT_SERVICE_CONFIG_V25,
          "{\"AllowNondistributableArtifactsCIDRs\":null,\"AllowNondistributableArtifactsHostnames\":null,"
          "\"InsecureRegistryCIDRs\":null,\"IndexConfigs\":null,\"Mirrors\":null}");
    check(&zero, DAVIT_SERVICE_CONFIG_V28,
          "{\"IndexConfigs\":null,\"InsecureRegistryCIDRs\":null,\"Mirrors\":null}");
}

static void service_config_format__everything(void **state)
{
    const char *mirrors[] = {"https://m.example.com", "http://b&c<d>/x", NULL};
    const char *insecure[] = {
        "zeta.example.com", "10.0.0.0/8", "Alpha.example.com:5000", "docker.io", "index.docker.io",
        "zeta.example.com", NULL};
    const char *artifacts[] = {"art.example.com:5000", "172.16.1.2/12", NULL};
    dv_service_options options = {.insecure_registries = insecure,
                                  .allow_nondistributable_artifacts = artifacts};
    DV_AUTO(davit_service_config) v27 = view_of(options, true);
    check(&v27, DAVIT_SERVICE_CONFIG_V25,
          "{\"AllowNondistributableArtifactsCIDRs\":[\"172.16.0.0/12\"],"
          "\"AllowNondistributableArtifactsHostnames\":[\"art.example.com:5000\"],"
          "\"InsecureRegistryCIDRs\":[\"10.0.0.0/8\",\"127.0.0.0/8\"],\"IndexConfigs\":{"
          "\"Alpha.example.com:5000\":{\"Name\":\"Alpha.example.com:5000\",\"Mirrors\":[],\"Secure\":false,"
          "\"Official\":false},"
          "\"docker.io\":{\"Name\":\"docker.io\",\"Mirrors\":[],\"Secure\":true,\"Official\":true},"
          "\"index.docker.io\":{\"Name\":\"index.docker.io\",\"Mirrors\":[],\"Secure\":false,"
          "\"Official\":false},"
          "\"zeta.example.com\":{\"Name\":\"zeta.example.com\",\"Mirrors\":[],\"Secure\":false,"
          "\"Official\":false}},\"Mirrors\":null}");
    check(&v27, DAVIT_SERVICE_CONFIG_V28,
          "{\"AllowNondistributableArtifactsCIDRs\":[\"172.16.0.0/12\"],"
          "\"AllowNondistributableArtifactsHostnames\":[\"art.example.com:5000\"],\"IndexConfigs\":{"
          "\"Alpha.example.com:5000\":{\"Mirrors\":[],\"Name\":\"Alpha.example.com:5000\",\"Official\":false,"
          "\"Secure\":false},"
          "\"docker.io\":{\"Mirrors\":[],\"Name\":\"docker.io\",\"Official\":true,\"Secure\":true},"
          "\"index.docker.io\":{\"Mirrors\":[],\"Name\":\"index.docker.io\",\"Official\":false,"
          "\"Secure\":false},"
          "\"zeta.example.com\":{\"Mirrors\":[],\"Name\":\"zeta.example.com\",\"Official\":false,"
          "\"Secure\":false}},\"InsecureRegistryCIDRs\":[\"10.0.0.0/8\",\"127.0.0.0/8\"],\"Mirrors\":null}");
    mirrors[1] = "http://b&c/x";
    DV_AUTO(davit_service_config) mirrored = view_of((dv_service_options){.mirrors = mirrors}, false);
    check(
        &mirrored, DAVIT_SERVICE_CONFIG_V28,
        "{\"IndexConfigs\":{\"docker.io\":{\"Mirrors\":[\"https://m.example.com/\",\"http://b\\u0026c/x/\"],"
        "\"Name\":\"docker.io\",\"Official\":true,\"Secure\":true}},"
        "\"InsecureRegistryCIDRs\":[\"::1/128\",\"127.0.0.0/8\"],"
        "\"Mirrors\":[\"https://m.example.com/\",\"http://b\\u0026c/x/\"]}");
}

static void service_config_format__extra_fields(void **state)
{
    static const struct {
        const char *extra, *expected;
    } rows[] = {
        {"{\"AllowNondistributableArtifactsCIDRs\":null,\"AllowNondistributableArtifactsHostnames\":null}",
         "{\"AllowNondistributableArtifactsCIDRs\":null,\"AllowNondistributableArtifactsHostnames\":null,"
         "\"IndexConfigs\":null,\"InsecureRegistryCIDRs\":null,\"Mirrors\":null}"},
        {"{}", "{\"IndexConfigs\":null,\"InsecureRegistryCIDRs\":null,\"Mirrors\":null}"},
        {"{\"Mirrors\":[\"<\"],\"z\":{\"a\":1.5},\"Insecure\":true}",
         "{\"IndexConfigs\":null,\"Insecure\":true,\"InsecureRegistryCIDRs\":null,\"Mirrors\":[\"\\u003c\"],"
         "\"z\":{\"a\":1.5}}"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char extra[200];
        davit_service_config c = DAVIT_SERVICE_CONFIG_INIT;
        c.extra_fields = strcpy(extra, rows[i].extra);
        check(&c, DAVIT_SERVICE_CONFIG_V28, rows[i].expected);
        check(
            &c, DAVIT_SERVICE_CONFIG_V25,
            "{\"AllowNondistributableArtifactsCIDRs\":null,\"AllowNondistributableArtifactsHostnames\":null,"
            "\"InsecureRegistryCIDRs\":null,\"IndexConfigs\":null,\"Mirrors\":null}");
    }
}

static void service_config_format__bad_extra_fields_are_refused(void **state)
{
    static const char *const bad[] = {"", "[]", "5", "{\"a\":", "{} {}"};
    for (size_t i = 0; i < DV_COUNT(bad); i++) {
        char extra[20];
        DV_AUTOPTR(davit_error) err = NULL;
        davit_service_config c = DAVIT_SERVICE_CONFIG_INIT;
        char *json = NULL;
        c.extra_fields = strcpy(extra, bad[i]);
        if (davit_service_config_format(&c, DAVIT_SERVICE_CONFIG_V28, &json, &err) != DAVIT_EINVAL || json)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_memory_equal(davit_error_message(err), "extra fields: ", 14);
    }
}

static void index_info_format__both_orders(void **state)
{
    char *mirrors[] = {(char *)"https://a/", NULL};
    const davit_index_info zero = DAVIT_INDEX_INFO_INIT;
    const davit_index_info rows[] = {
        zero, {(char *)"h\xff\"", NULL, true, false}, {(char *)"x", mirrors, false, true}};
    static const char *const expected[][2] = {
        {"{\"Mirrors\":[],\"Name\":\"\",\"Official\":false,\"Secure\":false}",
         "{\"Name\":\"\",\"Mirrors\":[],\"Secure\":false,\"Official\":false}"},
        {"{\"Mirrors\":[],\"Name\":\"h\\ufffd\\\"\",\"Official\":false,\"Secure\":true}",
         "{\"Name\":\"h\\ufffd\\\"\",\"Mirrors\":[],\"Secure\":true,\"Official\":false}"},
        {"{\"Mirrors\":[\"https://a/\"],\"Name\":\"x\",\"Official\":true,\"Secure\":false}",
         "{\"Name\":\"x\",\"Mirrors\":[\"https://a/\"],\"Secure\":false,\"Official\":true}"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        for (int v27 = 0; v27 < 2; v27++) {
            DV_AUTOFREE char *json = NULL;
            assert_int_equal(davit_index_info_format(&rows[i], v27, &json, NULL), 0);
            assert_string_equal(json, expected[i][v27]);
        }
}

static void config_view__is_a_copy(void **state)
{
    const char *mirrors[] = {"https://a", NULL};
    DV_AUTOPTR(dv_service_config) c = NULL;
    DV_AUTO(davit_service_config) one = DAVIT_SERVICE_CONFIG_INIT;
    DV_AUTO(davit_service_config) two = DAVIT_SERVICE_CONFIG_INIT;
    assert_int_equal(dv_service_config_new(&(dv_service_options){.mirrors = mirrors}, &c, NULL), 0);
    assert_int_equal(dv_config_view_make(c, &one, NULL), 0);
    one.mirrors[0][0] = 'X';
    one.index_configs[0].mirrors[0][0] = 'Y';
    assert_int_equal(dv_config_view_make(c, &two, NULL), 0);
    assert_string_equal(two.mirrors[0], "https://a/");
    assert_string_equal(two.index_configs[0].mirrors[0], "https://a/");
    davit_service_config_clear(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(service_config_format__empty_service),
        cmocka_unit_test(service_config_format__zero_value),
        cmocka_unit_test(service_config_format__everything),
        cmocka_unit_test(service_config_format__extra_fields),
        cmocka_unit_test(service_config_format__bad_extra_fields_are_refused),
        cmocka_unit_test(index_info_format__both_orders),
        cmocka_unit_test(config_view__is_a_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

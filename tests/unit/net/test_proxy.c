/* Unit tests of net/proxy.c. */
#include "net/proxy.h"

#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const *environment; /* name, value, ..., NULL */

static char *get(const char *name)
{
    for (size_t i = 0; environment[i]; i += 2)
        if (strcmp(environment[i], name) == 0)
            return (char *)environment[i + 1];
    return NULL;
}

static dv_proxy_config *config_of(const char *const *values)
{
    dv_proxy_config *c = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    environment = values;
    if (dv_proxy_config_from_environment(get, &c, &err) < 0)
        fail_msg("%s", davit_error_message(err));
    return c;
}

static const char *proxy_for(const dv_proxy_config *c, const char *text)
{
    DV_AUTO(dv_url) url = DV_URL_INIT;
    assert_int_equal(dv_url_parse(text, &url, NULL), 0);
    return dv_proxy_for(c, &url);
}

static void proxy__each_scheme_has_its_own_variable(void **state)
{
    static const struct {
        const char *values[9];
        const char *http, *https;
    } rows[] = {
        {{NULL}, NULL, NULL},
        {{"HTTP_PROXY", "http://p:1", "HTTPS_PROXY", "https://q:2", NULL}, "http://p:1", "https://q:2"},
        {{"http_proxy", "http://p:1", "https_proxy", "socks5h://q:2", NULL}, "http://p:1", "socks5h://q:2"},
        {{"HTTP_PROXY", "http://up", "http_proxy", "http://low", NULL}, "http://up", NULL},
        {{"HTTP_PROXY", "", "http_proxy", "http://low", NULL}, "http://low", NULL},
        {{"HTTPS_PROXY", "proxy.example.com:3128", NULL}, NULL, "http://proxy.example.com:3128"},
        {{"HTTPS_PROXY", "u:p@h", NULL}, NULL, "http://u:p@h"},
        /* httpoxy */
        {{"HTTP_PROXY", "http://p", "HTTPS_PROXY", "http://q", "REQUEST_METHOD", "GET", NULL},
         NULL,
         "http://q"},
        {{"http_proxy", "http://p", "REQUEST_METHOD", "GET", NULL}, NULL, NULL},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(dv_proxy_config) c = config_of(rows[i].values);
        if (!dv_str_equal(proxy_for(c, "http://x.example.com/"), rows[i].http) ||
            !dv_str_equal(proxy_for(c, "https://x.example.com/"), rows[i].https))
            fail_msg("row %zu", i);
    }
    assert_null(proxy_for(NULL, "http://x.example.com/"));
}

static void proxy__no_proxy_by_the_rules_of_go(void **state)
{
    static const struct {
        const char *no_proxy, *url;
        bool direct;
    } rows[] = {
        {"", "http://example.com/", false},
        {"*", "http://example.com/", true},
        {"a.com, *", "http://example.com/", true},
        {"example.com", "http://example.com/", true},
        {"example.com", "http://EXAMPLE.com./", true},
        {"EXAMPLE.com", "http://example.com:81/", true},
        {"example.com", "http://foo.example.com/", true},
        {"example.com", "http://notexample.com/", false},
        {"example.com", "http://example.com.evil.net/", false},
        {".example.com", "http://example.com/", false},
        {".example.com", "http://foo.example.com/", true},
        {"*.example.com", "http://foo.example.com/", true},
        {"*.example.com", "http://example.com/", false},
        {"example.com:8080", "http://example.com:8080/", true},
        {"example.com:8080", "http://example.com/", false},
        {"example.com:80", "http://example.com/", true},
        {"example.com:x", "http://example.com/", false},
        {":80", "http://example.com/", false},
        {",, ,", "http://example.com/", false},
        {" example.com ", "http://example.com/", true},
        {"foo.com,example.com", "http://example.com/", true},
        {"8.8.8.8", "http://8.8.8.8/", true},
        {"8.8.8.8:80", "http://8.8.8.8/", true},
        {"8.8.8.8:81", "http://8.8.8.8/", false},
        {"8.8.8.8", "http://8.8.8.9/", false},
        {"8.8.0.0/16", "http://8.8.9.9/", true},
        {"8.8.0.0/16", "http://8.9.9.9/", false},
        {"8.0.0.0/9", "http://8.127.0.1/", true},
        {"8.0.0.0/9", "http://8.128.0.1/", false},
        {"0.0.0.0/0", "http://1.2.3.4/", true},
        {"0.0.0.0/0", "http://example.com/", false},
        {"8.8.0.0/33", "http://8.8.0.1/", false},
        {"2001:db8::/32", "http://[2001:db8::5]/", true},
        {"2001:db8::1", "http://[2001:db8::1]:99/", true},
        {"[2001:db8::1]", "http://[2001:db8::1]/", true},
        {"[2001:db8::1]:80", "http://[2001:db8::1]/", true},
        {"[2001:db8::1]:81", "http://[2001:db8::1]/", false},
        {"", "http://localhost/", true},
        {"", "http://localhost:5000/", true},
        {"", "http://127.0.0.1:5000/", true},
        {"", "http://127.9.9.9/", true},
        {"", "http://[::1]/", true},
        {"", "http://[::ffff:127.0.0.1]/", true},
        {"", "http://10.0.0.1/", false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        const char *values[] = {"HTTP_PROXY", "http://p", "no_proxy", rows[i].no_proxy, NULL};
        DV_AUTOPTR(dv_proxy_config) c = config_of(values);
        if ((proxy_for(c, rows[i].url) == NULL) != rows[i].direct)
            fail_msg("NO_PROXY=\"%s\" %s: expected %s", rows[i].no_proxy, rows[i].url,
                     rows[i].direct ? "direct" : "proxy");
    }
}

static void proxy__what_is_no_proxy_is_an_error_without_its_text(void **state)
{
    static const char *const rows[] = {"ftp://h",    "http://",          "http://:80",
                                       "http://h x", "http://u:secret@", "http://h\n"};
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        const char *values[] = {"HTTPS_PROXY", rows[i], NULL};
        dv_proxy_config *c = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        environment = values;
        if (dv_proxy_config_from_environment(get, &c, &err) != DAVIT_ECONFIG)
            fail_msg("\"%s\" was taken", rows[i]);
        assert_string_equal(davit_error_message(err), "HTTPS_PROXY: not a proxy URL");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proxy__each_scheme_has_its_own_variable),
        cmocka_unit_test(proxy__no_proxy_by_the_rules_of_go),
        cmocka_unit_test(proxy__what_is_no_proxy_is_an_error_without_its_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

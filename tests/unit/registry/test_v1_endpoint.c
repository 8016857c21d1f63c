/* Unit tests of registry/v1_endpoint.c: search.md 4. Its pings are in test_search.c. */
#include "registry/v1_endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void v1_endpoint_parse__addresses(void **state)
{
    static const struct {
        const char *address, *expected; /* URL, or the error's words */
        int code;
    } rows[] = {
        {"https://index.docker.io/v1/", "https://index.docker.io/v1/", 0},
        {"0.0.0.0:5000", "https://0.0.0.0:5000/v1/", 0},
        {"http://0.0.0.0:5000/v1/", "http://0.0.0.0:5000/v1/", 0},
        {"0.0.0.0:5000/v1", "https://0.0.0.0:5000/v1/", 0},
        {"https://example.com", "https://example.com/v1/", 0},
        {"https://example.com/", "https://example.com/v1/", 0},
        {"https://example.com/base/v1/", "https://example.com/base/v1/", 0},
        {"https://example.com/base/", "https://example.com/base/v1/", 0},
        {"[::1]:5000", "https://[::1]:5000/v1/", 0},
        {"https://0.0.0.0:5000/v2/", "search is not supported on v2 endpoints: https://0.0.0.0:5000/v2/",
         DAVIT_EINVAL},
        {"0.0.0.0:5000/v2", "search is not supported on v2 endpoints: 0.0.0.0:5000/v2", DAVIT_EINVAL},
        {"https://example.com:port", "", DAVIT_EINVAL},
        {"exa mple.com", "", DAVIT_EINVAL},
        {"user@example.com", "", DAVIT_EINVAL},
        /* a scheme is lower case: this names the host "https" with an empty port, as in the reference */
        {"HTTPS://example.com", "https://https//example.com/v1/", 0},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_url) url = DV_URL_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = dv_v1_endpoint_parse(rows[i].address, &url, &err);
        const char *got = r < 0 ? davit_error_message(err) : url.text;
        if (r != rows[i].code || (*rows[i].expected && strcmp(got, rows[i].expected) != 0))
            fail_msg("%s: expected %s \"%s\", got %s \"%s\"", rows[i].address, davit_code_name(rows[i].code),
                     rows[i].expected, davit_code_name(r), got);
    }
}

static void v1_ping_standalone__header_then_body(void **state)
{
    static const struct {
        const char *header, *body; /* header NULL: none */
        bool expected;
    } rows[] = {
        {NULL, "true", true},
        {NULL, "", true},
        {NULL, "<html></html>", true},
        {NULL, "{}", true},
        {NULL, "[]", true},
        {NULL, "{\"standalone\":true}", true},
        {NULL, "{\"standalone\":false}", false},
        {NULL, "{\"Standalone\":false,\"version\":\"0.9\"}", false},
        {NULL, "{\"standalone\":\"false\"}", true},
        {NULL, "{\"standalone\":null}", true},
        {"", "{\"standalone\":false}", false},
        {"1", "{\"standalone\":false}", true},
        {"true", "{\"standalone\":false}", true},
        {"TRUE", "{\"standalone\":false}", true},
        {"True", "", true},
        {"0", "{\"standalone\":true}", false},
        {"false", "true", false},
        {"yes", "true", false},
        {"11", "true", false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_headers) headers = DV_HEADERS_INIT;
        if (rows[i].header)
            dv_headers_add(&headers, "x-docker-registry-standalone", rows[i].header, 0, NULL);
        bool got = dv_v1_ping_standalone(&headers, rows[i].body, strlen(rows[i].body));
        if (got != rows[i].expected)
            fail_msg("%s, %s: expected %d", rows[i].header ? rows[i].header : "none", rows[i].body,
                     rows[i].expected);
    }
}

static void v1_token_of__values_are_joined(void **state)
{
    DV_AUTO(dv_headers) headers = DV_HEADERS_INIT;
    assert_null(dv_v1_token_of(&headers));
    dv_headers_add(&headers, "X-Docker-Token", "signature=a,access=read", 0, NULL);
    dv_headers_add(&headers, "Other", "b", 0, NULL);
    dv_headers_add(&headers, "x-docker-token", "c", 0, NULL);
    DV_AUTOFREE char *token = dv_v1_token_of(&headers);
    assert_string_equal(token, "signature=a,access=read,c");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(v1_endpoint_parse__addresses),
        cmocka_unit_test(v1_ping_standalone__header_then_body),
        cmocka_unit_test(v1_token_of__values_are_joined),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

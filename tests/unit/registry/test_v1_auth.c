/* Unit tests of registry/v1_auth.c: registry-v1.md 3, 6. */
#include "registry_test.h"

#include "registry/v1_auth.h"

#define URL "https://index.example/v1/repositories/a/b/images?x=1"

static void assert_applied(const davit_v1_auth *auth, const char *url, const char *to, const char *value)
{
    DV_AUTOFREE char *got = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    char *authorization = NULL;
    assert_ok(davit_v1_auth_apply(auth, url, &got, &authorization, &err));
    if (strcmp(got, to) != 0 || !authorization != !value || (value && strcmp(value, authorization) != 0))
        fail_msg("%s: expected %s \"%s\", got %s \"%s\"", url, to, value ? value : "none", got,
                 authorization ? authorization : "none");
    davit_secret_free(authorization);
}

static void davit_v1_nil_auth__changes_nothing(void **state)
{
    DV_AUTOPTR(davit_v1_auth) auth = NULL;
    assert_int_equal(davit_v1_nil_auth(&auth, NULL), 0);
    assert_applied(auth, URL, URL, NULL);
    assert_applied(NULL, URL, URL, NULL);
    assert_null(davit_v1_auth_host(auth));
    assert_null(davit_v1_auth_token(auth));
    assert_int_equal(davit_v1_auth_access(auth), DAVIT_V1_ACCESS_NONE);
}

static void davit_v1_basic_auth__is_base64_of_user_and_password(void **state)
{
    DV_AUTOPTR(davit_v1_auth) auth = NULL;
    assert_int_equal(davit_v1_basic_auth("u", "p", &auth, NULL), 0);
    assert_applied(auth, URL, URL, "Basic dTpw");
}

static void davit_v1_basic_auth__refuses_what_no_header_can_hold(void **state)
{
    static const char *const rows[][2] = {{"xyz:b", "p"}, {"xyz\r\nX: y", "p"}, {"xyz", "p\n"}};
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_v1_auth *auth = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        assert_int_equal(davit_v1_basic_auth(rows[i][0], rows[i][1], &auth, &err), DAVIT_EINVAL);
        assert_null(auth);
        assert_null(strstr(davit_error_message(err), "xyz"));
    }
}

/* Scheme, path and query stay those of the request; the text stands as it is behind the word. */
static void davit_v1_token_auth__replaces_the_host(void **state)
{
    static const struct {
        const char *host, *token, *to, *value;
    } rows[] = {
        {"reg.example", "t", "https://reg.example/v1/repositories/a/b/images?x=1", "Token t"},
        {"h:5000", "t", "https://h:5000/v1/repositories/a/b/images?x=1", "Token t"},
        {"[::1]:5000", "t", "https://[::1]:5000/v1/repositories/a/b/images?x=1", "Token t"},
        {"r", "Token signature=S,repository=\"a/b\",access=write", "https://r/v1/repositories/a/b/images?x=1",
         "Token Token signature=S,repository=\"a/b\",access=write"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        const davit_v1_access access = DAVIT_V1_ACCESS_WRITE;
        DV_AUTOPTR(davit_v1_auth) auth = NULL;
        assert_int_equal(davit_v1_token_auth(rows[i].host, rows[i].token, access, &auth, NULL), 0);
        assert_applied(auth, URL, rows[i].to, rows[i].value);
        assert_string_equal(davit_v1_auth_host(auth), rows[i].host);
        assert_string_equal(davit_v1_auth_token(auth), rows[i].token);
        assert_int_equal(davit_v1_auth_access(auth), access);
    }
}

static void davit_v1_token_auth__without_a_registry_cannot_be_used(void **state)
{
    static const char *const hosts[] = {"",           "a/b",   "user@host", "host:port", "a b",
                                        "host:99999", "a?b=c", "a#b",       "\\\\host",  "[::1"};
    for (size_t i = 0; i < DV_COUNT(hosts); i++) {
        DV_AUTOPTR(davit_v1_auth) auth = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        char *url = NULL, *value = NULL;
        assert_int_equal(davit_v1_token_auth(hosts[i], "SECRET", DAVIT_V1_ACCESS_READ, &auth, NULL), 0);
        if (davit_v1_auth_apply(auth, URL, &url, &value, &err) != DAVIT_EPROTOCOL || url || value ||
            strstr(davit_error_message(err), "SECRET"))
            fail_msg("'%s': %s", hosts[i], davit_error_message(err));
    }
}

static void v1_endpoint_host__first_element_without_scheme_and_path(void **state)
{
    static const char *const rows[][2] = {
        {"www.bar.com", "www.bar.com"},
        {"https://registry-1.docker.io/v1/", "registry-1.docker.io"},
        {"http://h:5000", "h:5000"},
        {"h:5000", "h:5000"},
        {"127.0.0.1:5000", "127.0.0.1:5000"},
        {"[::1]:5000", "[::1]:5000"},
        {"a.example, b.example", "a.example"},
        {" a.example\t,b", "a.example"},
        {"https://a.example/v1/,b", "a.example"},
        {"", ""},
        {" , b", ""},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOFREE char *got = dv_v1_endpoint_host(rows[i][0]);
        if (strcmp(got, rows[i][1]) != 0)
            fail_msg("'%s': expected '%s', got '%s'", rows[i][0], rows[i][1], got);
    }
}

static void v1_auth_from_index__headers_are_joined(void **state)
{
    DV_AUTO(dv_headers) headers = DV_HEADERS_INIT;
    DV_AUTOPTR(davit_v1_auth) auth = NULL;
    DV_AUTOPTR(davit_v1_auth) bare = NULL;
    const dv_headers none = DV_HEADERS_INIT;
    dv_headers_add(&headers, "X-Docker-Token", "signature=1,repository=\"a/b\"", 0, NULL);
    dv_headers_add(&headers, "x-docker-token", "access=write", 0, NULL);
    dv_headers_add(&headers, "X-Docker-Endpoints", "one.example", 0, NULL);
    dv_headers_add(&headers, "X-Docker-Endpoints", "two.example", 0, NULL);
    assert_int_equal(dv_v1_auth_from_index(&headers, DAVIT_V1_ACCESS_READ, false, &auth, NULL), 0);
    assert_string_equal(davit_v1_auth_token(auth), "signature=1,repository=\"a/b\",access=write");
    assert_string_equal(davit_v1_auth_host(auth), "one.example");
    assert_int_equal(davit_v1_auth_access(auth), DAVIT_V1_ACCESS_READ); /* the method's, not the text's */
    assert_true(dv_v1_auth_is_of_public_index(auth));
    assert_int_equal(dv_v1_auth_from_index(&none, DAVIT_V1_ACCESS_READ, true, &bare, NULL), 0);
    assert_string_equal(davit_v1_auth_token(bare), "");
    assert_string_equal(davit_v1_auth_host(bare), "");
    assert_false(dv_v1_auth_is_of_public_index(bare));
}

static void davit_v1_auth_apply__wants_a_url(void **state)
{
    char *url = NULL, *value = NULL;
    assert_int_equal(davit_v1_auth_apply(NULL, "ftp://x/", &url, &value, NULL), DAVIT_EINVAL);
    assert_null(url);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(davit_v1_nil_auth__changes_nothing),
        cmocka_unit_test(davit_v1_basic_auth__is_base64_of_user_and_password),
        cmocka_unit_test(davit_v1_basic_auth__refuses_what_no_header_can_hold),
        cmocka_unit_test(davit_v1_token_auth__replaces_the_host),
        cmocka_unit_test(davit_v1_token_auth__without_a_registry_cannot_be_used),
        cmocka_unit_test(v1_endpoint_host__first_element_without_scheme_and_path),
        cmocka_unit_test(v1_auth_from_index__headers_are_joined),
        cmocka_unit_test(davit_v1_auth_apply__wants_a_url),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

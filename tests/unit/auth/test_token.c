/* Unit tests of auth/token.c (auth.md 8). */
#include "auth/token.h"

#include "util/error.h"
#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S(text) ((char *)(text)) /* the fields are for owned text; nothing here is written to */

#define SCOPES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define PULL SCOPES("repository:foo/bar:pull")

static const davit_auth_config password = {.username = S("u"), .password = S("p")};
static const davit_auth_config identity = {.identitytoken = S("R0")};
static const davit_auth_config odd = {.username = S("u&s er"), .password = S("p=w+%")};

static void token_request__url_body_and_headers(void **state)
{
    const struct {
        dv_token_question q;
        const char *url, *body, *authorization;
    } rows[] = {
        /* auth.md 8, scenarios */
        {{.realm = "https://t/token", .service = "registry.test", .scopes = PULL},
         "https://t/token?scope=repository%3Afoo%2Fbar%3Apull&service=registry.test",
         NULL,
         NULL},
        {{.realm = "https://t/token", .service = "registry.test", .credentials = &password, .offline = true},
         "https://t/token?account=u&client_id=docker&offline_token=true&service=registry.test",
         NULL,
         "Basic dTpw"},
        {{.realm = "https://t/token", .service = "registry.test", .scopes = PULL, .credentials = &identity},
         "https://t/token",
         "client_id=docker&grant_type=refresh_token&refresh_token=R0&scope=repository%3Afoo%2Fbar%3Apull&"
         "service=registry.test",
         NULL},
        /* GET */
        {{.realm = "https://t/token"}, "https://t/token", NULL, NULL},
        {{.realm = "https://t"}, "https://t/", NULL, NULL},
        {{.realm = "https://t/token",
          .service = "a b&c",
          .scopes = SCOPES("repository:b:pull", "repository:a:push,pull")},
         "https://t/token?scope=repository%3Ab%3Apull&scope=repository%3Aa%3Apush%2Cpull&service=a+b%26c",
         NULL,
         NULL},
        {{.realm = "https://t/token", .scopes = PULL, .credentials = &password},
         "https://t/token?account=u&scope=repository%3Afoo%2Fbar%3Apull",
         NULL,
         "Basic dTpw"},
        {{.realm = "https://t/token?z=1&a=%20x&scope=first&flag&&=e", .scopes = SCOPES("s")},
         "https://t/token?=e&a=+x&flag=&scope=first&scope=s&z=1",
         NULL,
         NULL},
        {{.realm = "https://t/token?a=%00", .service = "s"}, "https://t/token?a=%2500&service=s", NULL, NULL},
        {{.realm = "https://t/token#f", .service = "s"}, "https://t/token?service=s", NULL, NULL},
        {{.realm = "https://t/", .credentials = &odd},
         "https://t/?account=u%26s+er",
         NULL,
         "Basic dSZzIGVyOnA9dysl"},
        {{.realm = "https://t/", .credentials = &identity, .avoid_oauth = true}, "https://t/", NULL, NULL},
        /* POST */
        {{.realm = "https://t/token?k=v", .credentials = &identity},
         "https://t/token?k=v",
         "client_id=docker&grant_type=refresh_token&refresh_token=R0&scope=&service=",
         NULL},
        {{.realm = "https://t/", .credentials = &identity, .scopes = SCOPES("a", "b"), .client_id = "x y"},
         "https://t/",
         "client_id=x+y&grant_type=refresh_token&refresh_token=R0&scope=a+b&service=",
         NULL},
        {{.realm = "https://t/", .service = "s", .credentials = &odd, .force_oauth = true},
         "https://t/",
         "access_type=offline&client_id=docker&grant_type=password&password=p%3Dw%2B%25&scope=&service=s&"
         "username=u%26s+er",
         NULL},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_token_request) r = DV_TOKEN_REQUEST_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        if (dv_token_request_build(&rows[i].q, &r, &err) < 0)
            fail_msg("row %zu: %s", i, davit_error_message(err));
        if (!dv_str_equal(r.url.text, rows[i].url) || !dv_str_equal(r.body.text, rows[i].body) ||
            !dv_str_equal(dv_headers_get(&r.headers, "authorization"), rows[i].authorization) ||
            r.post != (rows[i].body != NULL))
            fail_msg("row %zu: got %s | %s | %s", i, r.url.text, r.body.text ? r.body.text : "-",
                     dv_headers_get(&r.headers, "authorization"));
        const char *type = dv_headers_get(&r.headers, "content-type");
        assert_true(dv_str_equal(type, r.post ? "application/x-www-form-urlencoded" : NULL));
        assert_int_equal(r.anonymous, !rows[i].body && !rows[i].authorization);
    }
}

/* threat A4: what proves who we are stays with the realm's own origin */
static void token_request__authorization_is_secret_and_for_one_origin(void **state)
{
    DV_AUTO(dv_token_request) r = DV_TOKEN_REQUEST_INIT;
    dv_token_question q = {.realm = "https://t/", .credentials = &password};
    assert_int_equal(dv_token_request_build(&q, &r, NULL), 0);
    for (size_t i = 0; i < r.headers.count; i++)
        if (dv_str_equal_nocase(r.headers.items[i].name, "authorization"))
            assert_true(r.headers.items[i].secret && r.headers.items[i].origin_only);
}

static void token_request__bad_inputs(void **state)
{
    const struct {
        dv_token_question q;
        const char *text;
    } rows[] = {
        {{.realm = NULL}, "no realm specified for token auth challenge"},
        {{.realm = ""}, "no realm specified for token auth challenge"},
        {{.realm = "t/token"}, "invalid token auth challenge realm: "},
        {{.realm = "file:///etc/passwd"}, "invalid token auth challenge realm: "},
        {{.realm = "https://u:p@t/"}, "invalid token auth challenge realm: "},
        {{.realm = "https://t/%zz"}, "invalid token auth challenge realm: "},
        {{.realm = "https://t/", .force_oauth = true}, "no supported grant type"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_token_request) r = DV_TOKEN_REQUEST_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        assert_true(dv_token_request_build(&rows[i].q, &r, &err) < 0);
        if (!dv_str_starts(davit_error_message(err), rows[i].text))
            fail_msg("row %zu: got %s", i, davit_error_message(err));
    }
}

static void token_parse__answers(void **state)
{
    static const struct {
        bool post;
        const char *body;
        const char *token, *refresh;
        int64_t expires_in_s, issued_at_s;
    } rows[] = {
        {false, "{\"token\":\"T\"}", "T", NULL, 60, 0},
        {false, "{\"access_token\":\"A\"}", "A", NULL, 60, 0},
        {false, "{\"token\":\"T\",\"access_token\":\"A\"}", "A", NULL, 60, 0},
        {false, "{\"token\":\"T\",\"access_token\":\"\"}", "T", NULL, 60, 0},
        {false, "{\"token\":\"T\",\"access_token\":null,\"expires_in\":null,\"issued_at\":null}", "T", NULL,
         60, 0},
        {false, "{\"token\":\"T\",\"id\":123456789012345678901234567890,\"x\":1e999}", "T", NULL, 60, 0},
        {false, "{\"token\":\"T\",\"expires_in\":1}", "T", NULL, 60, 0},
        {false, "{\"token\":\"T\",\"expires_in\":0}", "T", NULL, 60, 0},
        {false, "{\"token\":\"T\",\"expires_in\":-5}", "T", NULL, 60, 0},
        {false, "{\"token\":\"T\",\"expires_in\":300}", "T", NULL, 300, 0},
        {false, "{\"token\":\"T\",\"expires_in\":9223372036854775807}", "T", NULL, DV_TOKEN_EXPIRES_MAX_S, 0},
        {false, "{\"token\":\"T\",\"issued_at\":\"2015-10-21T07:28:00Z\"}", "T", NULL, 60, 1445412480},
        {false, "{\"token\":\"T\",\"issued_at\":\"2015-10-21T09:28:00.123456789+02:00\"}", "T", NULL, 60,
         1445412480},
        {false, "{\"token\":\"T\",\"issued_at\":\"0001-01-01T00:00:00Z\"}", "T", NULL, 60, 0},
        {false, "{\"token\":\"T\",\"refresh_token\":\"R\",\"scope\":5,\"x\":[]}", "T", "R", 60, 0},
        {true, "{\"access_token\":\"A\",\"refresh_token\":\"R\",\"expires_in\":90}", "A", "R", 90, 0},
        {true, "{\"token\":\"T\"}", "T", NULL, 60, 0}, /* quirks.md: either field */
        {true, "{}", "", NULL, 60, 0},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_token) t = DV_TOKEN_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        if (dv_token_parse(rows[i].post, rows[i].body, strlen(rows[i].body), &t, &err) < 0)
            fail_msg("%s: %s", rows[i].body, davit_error_message(err));
        if (!dv_str_equal(t.token.text, rows[i].token) ||
            !dv_str_equal(t.refresh_token.text, rows[i].refresh) || t.expires_in_s != rows[i].expires_in_s ||
            t.issued_at_s != rows[i].issued_at_s)
            fail_msg("%s: got %s, %lld, %lld", rows[i].body, t.token.text, (long long)t.expires_in_s,
                     (long long)t.issued_at_s);
    }
}

static void token_parse__refuses(void **state)
{
    static const struct {
        const char *body, *text;
    } rows[] = {
        {"{}", "authorization server did not include a token in the response"},
        {"{\"token\":\"\",\"access_token\":\"\"}",
         "authorization server did not include a token in the response"},
        {"", "unable to decode token response: "},
        {"x", "unable to decode token response: "},
        {"[]", "unable to decode token response: "},
        {"\"T\"", "unable to decode token response: "},
        {"{\"token\":5}", "unable to decode token response: "},
        {"{\"token\":\"T\",\"expires_in\":\"300\"}", "unable to decode token response: "},
        {"{\"token\":\"T\",\"expires_in\":1.5}", "unable to decode token response: "},
        {"{\"token\":\"T\",\"issued_at\":\"yesterday\"}", "unable to decode token response: "},
        {"{\"token\":\"T\",\"issued_at\":1445412480}", "unable to decode token response: "},
        {"{\"token\":\"T\"} {}", "unable to decode token response: "},
        /* threat A10 */
        {"{\"token\":\"a\\r\\nX: y\"}", "authorization server sent a token that no header can hold"},
        {"{\"token\":\"a b\"}", "authorization server sent a token that no header can hold"},
        {"{\"token\":\"a\\u0000b\"}", "unable to decode token response: "},
        {"{\"token\":\"\\u00e4\"}", "authorization server sent a token that no header can hold"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_token) t = DV_TOKEN_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = dv_token_parse(false, rows[i].body, strlen(rows[i].body), &t, &err);
        if (r != DAVIT_EPROTOCOL || !dv_str_starts(davit_error_message(err), rows[i].text))
            fail_msg("%s: got %d %s", rows[i].body, r, davit_error_message(err));
    }
}

/* threat C1 */
static void token_parse__size_has_a_ceiling(void **state)
{
    size_t size = DV_TOKEN_ANSWER_MAX + 1;
    DV_AUTOFREE char *body = malloc(size);
    DV_AUTO(dv_token) t = DV_TOKEN_INIT;
    memset(body, ' ', size);
    memcpy(body, "{\"token\":\"T\"}", 13);
    assert_int_equal(dv_token_parse(false, body, size, &t, NULL), DAVIT_ETOOBIG);
    assert_int_equal(dv_token_parse(false, body, size - 1, &t, NULL), 0);
    dv_token_clear(&t);
    memset(body, 'a', size);
    memcpy(body, "{\"token\":\"", 10);
    memcpy(body + DV_TOKEN_MAX + 11, "\"}", 2);
    assert_int_equal(dv_token_parse(false, body, DV_TOKEN_MAX + 13, &t, NULL), DAVIT_ETOOBIG);
}

/* threat C2 */
static void token_parse__deep_json_is_refused(void **state)
{
    DV_AUTOFREE char *body = malloc(100000);
    DV_AUTO(dv_token) t = DV_TOKEN_INIT;
    memset(body, '[', 100000);
    assert_int_equal(dv_token_parse(false, body, 100000, &t, NULL), DAVIT_EPROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(token_request__url_body_and_headers),
        cmocka_unit_test(token_request__authorization_is_secret_and_for_one_origin),
        cmocka_unit_test(token_request__bad_inputs),
        cmocka_unit_test(token_parse__answers),
        cmocka_unit_test(token_parse__refuses),
        cmocka_unit_test(token_parse__size_has_a_ceiling),
        cmocka_unit_test(token_parse__deep_json_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of net/error_body.c (registry-v2.md 9.1, auth.md 9). */
#include "net/error_body.h"

#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define JSON "application/json"
#define FULL DV_ERROR_REGISTRY_FULL
#define BARE DV_ERROR_REGISTRY_BARE

static davit_error *make(int status, const char *type, const char *challenge, const char *body, int *r)
{
    DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
    davit_error *err = NULL;
    if (type)
        assert_int_equal(dv_headers_add(&h, "Content-Type", type, 0, NULL), 0);
    if (challenge)
        assert_int_equal(dv_headers_add(&h, "Www-Authenticate", challenge, 0, NULL), 0);
    *r = dv_error_body_set(&err, status, &h, body, strlen(body));
    return err;
}

typedef struct row {
    int status;
    const char *type, *challenge, *body;
    const char *text; /* ends with "*": only that beginning */
    int code;
    dv_error_kind kind;
    const char *registry_code;
    bool final;
} row;

static const row rows[] = {
    /* auth.md 9 */
    {401, "text/plain", NULL, "nope", "unauthorized: nope", DAVIT_EUNAUTHORIZED, FULL, "UNAUTHORIZED", true},
    {401, JSON, NULL,
     "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"authentication required\",\"detail\":null}]}",
     "unauthorized", DAVIT_EUNAUTHORIZED, BARE, "UNAUTHORIZED", false},
    {401, JSON, NULL, "{\"details\":\"incorrect username or password\"}",
     "unauthorized: incorrect username or password", DAVIT_EUNAUTHORIZED, FULL, "UNAUTHORIZED", true},
    {403, JSON, NULL, "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no access\"}]}", "denied: no access",
     DAVIT_EDENIED, FULL, "DENIED", true},
    {500, NULL, NULL, "x", "received unexpected HTTP status: 500 Internal Server Error", DAVIT_EUNAVAILABLE,
     DV_ERROR_UNEXPECTED, NULL, false},
    /* statuses */
    {503, JSON, NULL, "{\"errors\":[{\"code\":\"UNAVAILABLE\"}]}",
     "received unexpected HTTP status: 503 Service Unavailable", DAVIT_EUNAVAILABLE, DV_ERROR_UNEXPECTED,
     NULL, false},
    {304, NULL, NULL, "", "received unexpected HTTP status: 304 Not Modified", DAVIT_EREGISTRY,
     DV_ERROR_UNEXPECTED, NULL, true},
    {404, "text/plain; charset=utf-8", NULL, "404 page not found\n", "unknown: 404 page not found",
     DAVIT_ENOTFOUND, FULL, "UNKNOWN", false},
    {403, NULL, NULL, "go away", "denied: go away", DAVIT_EDENIED, FULL, "DENIED", true},
    {429, NULL, NULL, "slow down", "toomanyrequests: slow down", DAVIT_ERATELIMIT, FULL, "TOOMANYREQUESTS",
     false},
    {400, "text/html", NULL, "<html>", "unknown: <html>", DAVIT_EREGISTRY, FULL, "UNKNOWN", false},
    {404, NULL, NULL, "", "unknown: HTTP status 404 Not Found", DAVIT_ENOTFOUND, FULL, "UNKNOWN", false},
    {401, NULL, NULL, "", "unauthorized: authentication required", DAVIT_EUNAUTHORIZED, FULL, "UNAUTHORIZED",
     true},
    {400, "nonsense", NULL, "x", "failed parsing content-type: *", DAVIT_EREGISTRY, DV_ERROR_PLAIN, NULL,
     false},
    /* lists */
    {404, JSON, NULL, "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\"}]}",
     "manifest unknown", DAVIT_ENOTFOUND, BARE, "MANIFEST_UNKNOWN", false},
    {404, JSON,
     NULL, "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest unknown\",\"detail\":{\"Tag\":\"x\"}}]}",
     "manifest unknown: manifest unknown", DAVIT_ENOTFOUND, FULL, "MANIFEST_UNKNOWN", false},
    {404, JSON, NULL, "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\"}]}", "manifest unknown", DAVIT_ENOTFOUND,
     BARE, "MANIFEST_UNKNOWN", false},
    {404, "application/vnd.api+json; charset=utf-8", NULL,
     "{\"errors\":[{\"code\":\"NAME_UNKNOWN\",\"message\":\"no such repository\"}]}",
     "name unknown: no such repository", DAVIT_ENOTFOUND, FULL, "NAME_UNKNOWN", true},
    {404, JSON, NULL, "{\"errors\":[{\"code\":\"NOT_FOUND\",\"message\":\"artifact a not found\"}]}",
     "unknown: artifact a not found", DAVIT_ENOTFOUND, FULL, "NOT_FOUND", false},
    {404, JSON, NULL, "{\"errors\":[{\"code\":404,\"message\":\"x\"}]}", "unknown: x", DAVIT_ENOTFOUND, FULL,
     "UNKNOWN", false}, /* registry.redhat.io */
    {400, JSON, NULL, "{\"errors\":[{\"code\":\"a\\u0000b\",\"message\":7}]}", "unknown", DAVIT_EREGISTRY,
     BARE, "UNKNOWN", false},
    {400, JSON, NULL, "{\"errors\":[null,5]}", "errors:\nunknown\nunknown\n", DAVIT_EREGISTRY, BARE,
     "UNKNOWN", false},
    {429, JSON, NULL, "{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"pull rate limit\"}]}",
     "toomanyrequests: pull rate limit", DAVIT_ERATELIMIT, FULL, "TOOMANYREQUESTS", false},
    {404, JSON, NULL, "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no\"}]}", "denied: no", DAVIT_EDENIED,
     FULL, "DENIED", true},
    {400, JSON, NULL, "{\"errors\":[{\"code\":\"UNSUPPORTED\",\"message\":\"m\"}]}", "unsupported: m",
     DAVIT_EREGISTRY, FULL, "UNSUPPORTED", true},
    {403, JSON, NULL, "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"a\"},{\"code\":\"BLOB_UNKNOWN\"}]}",
     "errors:\ndenied: a\nblob unknown\n", DAVIT_EDENIED, FULL, "DENIED", true},
    /* nothing in it */
    {404, JSON, NULL, "{\"errors\":[]}",
     "error parsing HTTP 404 response body: no error details found in HTTP response body: "
     "\"{\\\"errors\\\":[]}\"",
     DAVIT_ENOTFOUND, DV_ERROR_UNEXPECTED, NULL, true},
    {404, JSON, NULL, "{}",
     "error parsing HTTP 404 response body: no error details found in HTTP response body: \"{}\"",
     DAVIT_ENOTFOUND, DV_ERROR_UNEXPECTED, NULL, true},
    {400, JSON, NULL, "oops", "error parsing HTTP 400 response body: *", DAVIT_EREGISTRY, DV_ERROR_UNEXPECTED,
     NULL, true},
    {400, JSON, NULL, "{\"errors\":\"x\"}", "error parsing HTTP 400 response body: *", DAVIT_EREGISTRY,
     DV_ERROR_UNEXPECTED, NULL, true},
    {401, JSON, NULL, "oops", "unauthorized: authentication required", DAVIT_EUNAUTHORIZED, FULL,
     "UNAUTHORIZED", true},
    {401, JSON, NULL, "{\"details\":5,\"errors\":[]}", "unauthorized: authentication required",
     DAVIT_EUNAUTHORIZED, FULL, "UNAUTHORIZED", true},
    /* challenges */
    {401, "text/plain", "Bearer realm=\"https://t/\",error=\"insufficient_scope\"", "nope",
     "errors:\ndenied: requested access to the resource is denied\nunauthorized: nope\n", DAVIT_EDENIED, FULL,
     "DENIED", true},
    {401, "text/plain", "Bearer error=\"invalid_token\",error_description=\"too old\"", "nope",
     "errors:\nunauthorized: too old\nunauthorized: nope\n", DAVIT_EUNAUTHORIZED, FULL, "UNAUTHORIZED", true},
    {401, "text/plain", "Bearer error=\"invalid_request\"", "nope", "unauthorized: nope", DAVIT_EUNAUTHORIZED,
     FULL, "UNAUTHORIZED", true},
    {401, "text/plain", "Basic error=\"invalid_token\"", "nope", "unauthorized: nope", DAVIT_EUNAUTHORIZED,
     FULL, "UNAUTHORIZED", true},
    {403, "text/plain", "Bearer error=\"invalid_token\"", "nope", "denied: nope", DAVIT_EDENIED, FULL,
     "DENIED", true},
};

static void error_body__answers_become_errors(void **state)
{
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        const row *w = &rows[i];
        int r;
        DV_AUTOPTR(davit_error) err = make(w->status, w->type, w->challenge, w->body, &r);
        const char *text = davit_error_message(err);
        size_t n = strlen(w->text);
        bool fits = w->text[n - 1] == '*' ? strncmp(text, w->text, n - 1) == 0 : strcmp(text, w->text) == 0;
        if (!fits)
            fail_msg("%d %s: expected \"%s\", got \"%s\"", w->status, w->body, w->text, text);
        if (r != w->code || davit_error_code(err) != w->code || err->kind != w->kind ||
            err->http_status != w->status ||
            !dv_str_equal(davit_error_registry_code(err), w->registry_code) || err->final != w->final ||
            err->retry_after_s != -1)
            fail_msg("%d %s: got %s, kind %d, code %s, final %d", w->status, w->body, davit_code_name(r),
                     err->kind, err->registry_code, err->final);
    }
}

static void error_body__retry_after_is_kept(void **state)
{
    static const int statuses[] = {429, 503, 401};
    for (size_t i = 0; i < DV_COUNT(statuses); i++) {
        DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        assert_int_equal(dv_headers_add(&h, "Retry-After", "17", 0, NULL), 0);
        dv_error_body_set(&err, statuses[i], &h, NULL, 0);
        assert_int_equal(err->retry_after_s, 17);
    }
}

/* threat C1 */
static void error_body__text_is_cut_at_one_kilobyte(void **state)
{
    static const char *const types[] = {NULL, JSON, "text/html"};
    DV_AUTOFREE char *body = malloc(200001);
    memset(body, 'x', 200000);
    body[200000] = '\0';
    for (size_t i = 0; i < DV_COUNT(types); i++) {
        int r;
        DV_AUTOPTR(davit_error) err = make(400, types[i], NULL, body, &r);
        assert_true(strlen(davit_error_message(err)) < 1400);
        assert_true(dv_str_ends(davit_error_message(err), "..."));
    }
}

static void error_body__many_entries_are_cut(void **state)
{
    DV_AUTO(dv_buf) body = DV_BUF_INIT(1 << 20);
    dv_buf_puts(&body, "{\"errors\":[");
    for (int i = 0; i < 1000; i++)
        dv_buf_printf(&body, "%s{\"code\":\"DENIED\",\"message\":\"no access to this one\"}", i ? "," : "");
    dv_buf_puts(&body, "]}");
    int r;
    DV_AUTOPTR(davit_error) err = make(403, JSON, NULL, dv_buf_text(&body), &r);
    assert_int_equal(r, DAVIT_EDENIED);
    assert_true(strlen(davit_error_message(err)) < 4096);
}

static void error_body__is_cut_between_characters(void **state)
{
    DV_AUTO(dv_buf) body = DV_BUF_INIT(1 << 20);
    for (int i = 0; i < 1000; i++)
        dv_buf_puts(&body, i ? "\xe2\x82\xac" : "x"); /* a euro sign */
    int r;
    DV_AUTOPTR(davit_error) err = make(400, NULL, NULL, dv_buf_text(&body), &r);
    const char *p = davit_error_message(err);
    for (size_t n = strlen(p), step; n > 0; p += step, n -= step)
        assert_true((step = dv_utf8_length(p, n, NULL)) > 0);
}

/* threat C2 */
static void error_body__deep_json_is_no_trouble(void **state)
{
    DV_AUTOFREE char *body = malloc(60001);
    memset(body, '[', 60000);
    body[60000] = '\0';
    int r;
    DV_AUTOPTR(davit_error) err = make(404, JSON, NULL, body, &r);
    assert_int_equal(r, DAVIT_ENOTFOUND);
    assert_int_equal(err->kind, DV_ERROR_UNEXPECTED);
}

static void error_body__nul_bytes_do_not_end_the_text(void **state)
{
    DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    dv_error_body_set(&err, 400, &h, "a\0b", 3);
    assert_string_equal(davit_error_message(err), "unknown: a?b");
    assert_int_equal(dv_error_body_set(NULL, 404, &h, "x", 1), DAVIT_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_body__answers_become_errors),
        cmocka_unit_test(error_body__retry_after_is_kept),
        cmocka_unit_test(error_body__text_is_cut_at_one_kilobyte),
        cmocka_unit_test(error_body__many_entries_are_cut),
        cmocka_unit_test(error_body__is_cut_between_characters),
        cmocka_unit_test(error_body__deep_json_is_no_trouble),
        cmocka_unit_test(error_body__nul_bytes_do_not_end_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of registry/v1_client.c: registry-v1.md 2, 4, 12, 14; threats A1, A4, A7, A14. */
#include "v1_test.h"

static int ask_tags(davit_v1_client *c, const davit_v1_auth *auth, davit_error **err)
{
    DV_AUTOPTR(davit_v1_tags) tags = NULL;
    return davit_v1_repository_list_tags(c, "foo/bar", auth, &tags, err);
}

/* --- where requests go --------------------------------------------------------------------------------------------- */

static void v1_client__the_default_is_the_hub(void **state)
{
    v1_fixture *f = *state;
    assert_int_equal(davit_v1_client_new(f->base.client, NULL, &f->v1, NULL), 0);
    assert_string_equal(davit_v1_client_base_url(f->v1), "https://index.docker.io/v1/");
}

static void v1_client__paths_are_resolved_against_the_base(void **state)
{
    static const char *const rows[][2] = {
        {"/v1/", "/v1/_ping"}, {"/v1", "/_ping"}, {"", "/_ping"}, {"/a/b/v1/", "/a/b/v1/_ping"}};
    v1_fixture *f = *state;
    f->base.one = script_start(ROWS({NULL, .body = "{}"}));
    for (unsigned i = 0; i < DV_COUNT(rows); i++) {
        char base[128], expected[128];
        DV_AUTOPTR(davit_error) err = NULL;
        DV_AUTOPTR(davit_v1_client) c = NULL;
        snprintf(base, sizeof(base), "http://%s%s", script_host(f->base.one), rows[i][0]);
        snprintf(expected, sizeof(expected), "GET %s", rows[i][1]);
        assert_ok(davit_v1_client_new(f->base.client, base, &c, &err));
        assert_ok(davit_v1_ping(c, NULL, &err));
        assert_request(f->base.one, i, expected);
    }
}

static void v1_client__a_url_that_is_none_is_refused(void **state)
{
    static const char *const urls[] = {"", "index.docker.io", "ftp://h/v1/", "http://u:p@127.0.0.1/v1/",
                                       "http://127.0.0.1:0/v1/"};
    v1_fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(urls); i++)
        if (davit_v1_client_new(f->base.client, urls[i], &f->v1, NULL) != DAVIT_EINVAL || f->v1)
            fail_msg("%s: not refused", urls[i]);
}

static void v1_client__an_unmarked_host_has_no_plain_http(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    assert_int_equal(davit_v1_client_new(f->base.client, "http://registry.example:5000/v1/", &f->v1, &err),
                     DAVIT_EINVAL);
    assert_string_equal(davit_error_message(err), "plain http is for hosts that are marked as insecure: "
                                                  "--insecure-registry registry.example:5000");
}

/* Nor may a token lead there, whatever its index says. */
static void v1_client__a_token_leads_to_no_plain_http_of_an_unmarked_host(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_auth) token = NULL;
    v1_open(f, ROWS({NULL}));
    assert_int_equal(davit_v1_token_auth("registry.example", "t", DAVIT_V1_ACCESS_READ, &token, NULL), 0);
    assert_int_equal(ask_tags(f->v1, token, &err), DAVIT_EINVAL);
    assert_int_equal(script_count(f->base.one, "", NULL), 0);
}

static void v1_client__names_stay_parts_of_the_path(void **state)
{
    static const char *const parts[] = {"",     ".",     "..",  "a/../b", "../a", "a/..", "/a", "a/",
                                        "a//b", "a?b=c", "a#b", "a b",    "a\nb", "a\\b", "./a"};
    v1_fixture *f = *state;
    v1_open(f, ROWS({NULL, .body = "{}"}));
    for (size_t i = 0; i < DV_COUNT(parts); i++) {
        DV_AUTOPTR(davit_v1_tags) tags = NULL;
        DV_AUTOPTR(davit_v1_image_json) json = NULL;
        const davit_v1_auth *nobody = NULL;
        if (davit_v1_repository_list_tags(f->v1, parts[i], nobody, &tags, NULL) != DAVIT_EINVAL ||
            davit_v1_image_get_json(f->v1, parts[i], nobody, &json, NULL) != DAVIT_EINVAL ||
            davit_v1_repository_delete_tag(f->v1, "a", parts[i], nobody, NULL) != DAVIT_EINVAL)
            fail_msg("'%s' is not refused", parts[i]);
    }
    assert_int_equal(script_count(f->base.one, "", NULL), 0);
}

/* --- refusals ------------------------------------------------------------------------------------------------------ */

static void registry_error__has_code_method_url_and_the_registrys_words(void **state)
{
    static const struct {
        int status, code;
        const char *body, *detail;
    } rows[] = {
        {400, DAVIT_EREGISTRY, "{\"error\":\"Image is being uploaded, retry later\"}",
         "Image is being uploaded, retry later"},
        {401, DAVIT_EUNAUTHORIZED, "{\"error\":\"Requires authorization\"}", "Requires authorization"},
        {403, DAVIT_EDENIED, "no", NULL},
        {404, DAVIT_ENOTFOUND, "{\"error\":\"Repository not found\"}", "Repository not found"},
        {404, DAVIT_ENOTFOUND, "{\"error\":5}", NULL},
        {404, DAVIT_ENOTFOUND, "[\"error\"]", NULL},
        {404, DAVIT_ENOTFOUND, "{\"error\":\"\"}", NULL},
        {409, DAVIT_EREGISTRY, "{\"error\":\"Image already exists\"}", "Image already exists"},
        {412, DAVIT_EREGISTRY, "", NULL},
        {416, DAVIT_EREGISTRY, "", NULL},
        {304, DAVIT_EREGISTRY, "", NULL},
        {302, DAVIT_EREGISTRY, "", NULL}, /* without a Location */
        {500, DAVIT_EUNAVAILABLE, "oops", NULL},
    };
    v1_fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        v1_open(f, ROWS({NULL, .status = rows[i].status, .headers = JSON, .body = rows[i].body}));
        int r = ask_tags(f->v1, NULL, &err);
        assert_int_equal(r, rows[i].code);
        assert_refused(f, r, &err, "GET", "/v1/repositories/foo/bar/tags", rows[i].status, rows[i].detail);
    }
}

static void registry_error__stays_one_behind_a_callers_words(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    v1_open(f, ROWS({NULL, .status = 404, .body = "{\"error\":\"words\"}"}));
    int r = ask_tags(f->v1, NULL, &err);
    dv_error_wrap(&err, r, "before");
    assert_true(davit_error_is_v1_registry(err));
    assert_string_equal(davit_v1_error_method(err), "GET");
    assert_string_equal(davit_v1_error_detail(err), "words");
}

static void registry_error__transport_failures_are_none(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    v1_open(f, ROWS({NULL, .status = SCRIPT_SILENT, .then = SCRIPT_RESET}));
    assert_int_equal(ask_tags(f->v1, NULL, &err), DAVIT_ENETWORK);
    assert_false(davit_error_is_v1_registry(err));
    assert_null(davit_v1_error_method(err));
    assert_null(davit_v1_error_url(err));
    assert_null(davit_v1_error_detail(err));
    assert_false(davit_error_is_v1_registry(NULL));
}

static void v1_client__what_may_pass_is_asked_again(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    v1_open(f, ROWS({NULL, .times = 1, .status = 503},
                    {NULL, .times = 1, .status = SCRIPT_SILENT, .then = SCRIPT_RESET},
                    {NULL, .times = 1, .status = 429, .headers = "Retry-After: 0\r\n"}, {NULL, .body = "{}"}));
    assert_ok(ask_tags(f->v1, NULL, &err));
    assert_int_equal(script_count(f->base.one, "GET /v1/repositories/foo/bar/tags ", NULL), 4);
}

static void v1_client__a_refusal_is_not_asked_again(void **state)
{
    v1_fixture *f = *state;
    v1_open(f, ROWS({NULL, .status = 404}));
    assert_int_equal(ask_tags(f->v1, NULL, NULL), DAVIT_ENOTFOUND);
    assert_int_equal(script_count(f->base.one, "", NULL), 1);
}

/* --- redirects, headers, cookies ------------------------------------------------------------------------------------- */

static void v1_client__authorization_does_not_follow_to_another_host(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    char location[256];
    f->base.two = script_start(ROWS({NULL, .body = "{}"}));
    snprintf(location, sizeof(location), "Location: http://%s/else\r\n", script_host(f->base.two));
    v1_open(f, ROWS({NULL, .status = 302, .headers = location}));
    assert_ok(ask_tags(f->v1, f->auth, &err));
    assert_request(f->base.one, 0, "GET /v1/repositories/foo/bar/tags [Authorization: Basic dTpw]");
    assert_request(f->base.two, 0, "GET /else");
}

static void v1_client__a_redirect_makes_no_get_of_a_delete(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    v1_open(f, ROWS({"DELETE", .status = 301, .headers = "Location: /else\r\n"}, {NULL, .body = "true"}));
    assert_int_equal(davit_v1_repository_delete(f->v1, "foo/bar", f->auth, &err), DAVIT_EPROTOCOL);
    assert_int_equal(script_count(f->base.one, "", NULL), 1);
}

static void v1_client__ten_requests_in_all(void **state)
{
    v1_fixture *f = *state;
    v1_open(f, ROWS({NULL, .status = 302, .headers = "Location: /again\r\n"}));
    assert_int_equal(ask_tags(f->v1, NULL, NULL), DAVIT_EPROTOCOL);
    assert_int_equal(script_count(f->base.one, "", NULL), 10);
}

static void v1_client__the_users_headers_go_to_the_base_only(void **state)
{
    static const char *const headers[] = {"X-Who: me", NULL};
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_auth) token = NULL;
    davit_client_options options = quick_options();
    options.headers = headers;
    use_options(&f->base, &options);
    f->base.two = script_start(ROWS({NULL, .body = "{}"}));
    v1_open(f, ROWS({NULL, .body = "{}"}));
    assert_ok(davit_v1_token_auth(script_host(f->base.two), "t", DAVIT_V1_ACCESS_READ, &token, &err));
    assert_ok(ask_tags(f->v1, NULL, &err));
    assert_ok(ask_tags(f->v1, token, &err));
    assert_request(f->base.one, 0, "GET /v1/repositories/foo/bar/tags [X-Who: me]");
    assert_request(f->base.two, 0, "GET /v1/repositories/foo/bar/tags [Authorization: Token t]");
}

/* Registries before 0.7 took it in place of the token. */
static void v1_client__a_cookie_goes_back_to_its_host_and_to_no_other(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_v1_auth) token = NULL;
    f->base.two = script_start(ROWS({NULL, .headers = "Set-Cookie: two=2; Path=/\r\n", .body = "{}"}));
    v1_open(f, ROWS({NULL, .headers = "Set-Cookie: one=1; Path=/\r\n", .body = "{}"}));
    assert_ok(davit_v1_token_auth(script_host(f->base.two), "t", DAVIT_V1_ACCESS_READ, &token, &err));
    for (int i = 0; i < 2; i++) {
        assert_ok(ask_tags(f->v1, f->auth, &err));
        assert_ok(ask_tags(f->v1, token, &err));
    }
    assert_request(f->base.one, 0, "GET /v1/repositories/foo/bar/tags [Authorization: Basic dTpw]");
    assert_request(f->base.one, 1,
                   "GET /v1/repositories/foo/bar/tags [Authorization: Basic dTpw] [Cookie: one=1]");
    assert_request(f->base.two, 0, "GET /v1/repositories/foo/bar/tags [Authorization: Token t]");
    assert_request(f->base.two, 1,
                   "GET /v1/repositories/foo/bar/tags [Authorization: Token t] [Cookie: two=2]");
}

/* --- _ping --------------------------------------------------------------------------------------------------------- */

static void davit_v1_ping__says_whether_it_stands_alone(void **state)
{
    static const struct {
        const char *header, *body;
        bool standalone;
    } rows[] = {
        {"X-Docker-Registry-Standalone: True\r\n", "{}", true},
        {"X-Docker-Registry-Standalone: False\r\n", "{}", false},
        {"X-Docker-Registry-Standalone: mirror\r\n", "{}", false},
        {"", "{\"standalone\":false}", false},
        {"", "true", true},
    };
    v1_fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        bool standalone = !rows[i].standalone;
        v1_open(f, ROWS({NULL, .headers = rows[i].header, .body = rows[i].body}));
        assert_ok(davit_v1_ping(f->v1, &standalone, &err));
        assert_request(f->base.one, 0, "GET /v1/_ping");
        if (standalone != rows[i].standalone)
            fail_msg("%s%s: expected %d", rows[i].header, rows[i].body, rows[i].standalone);
    }
}

static void davit_v1_ping__404_is_no_v1_registry(void **state)
{
    v1_fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    v1_open(f, ROWS({NULL, .status = 404}));
    int r = davit_v1_ping(f->v1, NULL, &err);
    assert_refused(f, r, &err, "GET", "/v1/_ping", 404, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        v1_test(v1_client__the_default_is_the_hub),
        v1_test(v1_client__paths_are_resolved_against_the_base),
        v1_test(v1_client__a_url_that_is_none_is_refused),
        v1_test(v1_client__an_unmarked_host_has_no_plain_http),
        v1_test(v1_client__a_token_leads_to_no_plain_http_of_an_unmarked_host),
        v1_test(v1_client__names_stay_parts_of_the_path),
        v1_test(registry_error__has_code_method_url_and_the_registrys_words),
        v1_test(registry_error__stays_one_behind_a_callers_words),
        v1_test(registry_error__transport_failures_are_none),
        v1_test(v1_client__what_may_pass_is_asked_again),
        v1_test(v1_client__a_refusal_is_not_asked_again),
        v1_test(v1_client__authorization_does_not_follow_to_another_host),
        v1_test(v1_client__a_redirect_makes_no_get_of_a_delete),
        v1_test(v1_client__ten_requests_in_all),
        v1_test(v1_client__the_users_headers_go_to_the_base_only),
        v1_test(v1_client__a_cookie_goes_back_to_its_host_and_to_no_other),
        v1_test(davit_v1_ping__says_whether_it_stands_alone),
        v1_test(davit_v1_ping__404_is_no_v1_registry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of auth/authorizer.c (auth.md 7, 8; threats A1, A13; quirks.md). */
#include "auth/authorizer.h"

#include "util/error.h"
#include "util/log.h"
#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S(text) ((char *)(text)) /* the fields are for owned text; nothing here is written to */

#define BEARER "Bearer realm=\"https://auth.example.com/token\",service=\"reg\""
#define SCOPE_ERROR ",error=\"insufficient_scope\""

static const davit_auth_config password = {.username = S("u"), .password = S("p")};
static const davit_auth_config identity = {.identitytoken = S("R0")};
static const davit_auth_config both = {.username = S("u"), .password = S("p"), .identitytoken = S("R0")};
static const davit_auth_config ready = {.registrytoken = S("RT")};
static const davit_auth_config user_only = {.username = S("u")};

static const char *const pull[] = {"repository:foo:pull", NULL};
static const char *const other[] = {"repository:bar:pull", NULL};

static dv_authorizer *new_for(const char *origin, const davit_auth_config *credentials, const char *trusted)
{
    DV_AUTO(dv_url) url = DV_URL_INIT;
    dv_authorizer *a = NULL;
    const char *list[] = {trusted, NULL};
    assert_int_equal(dv_url_parse(origin, &url, NULL), 0);
    dv_authorizer_options options = {
        .origin = &url, .credentials = credentials, .trusted_realms = trusted ? list : NULL};
    assert_int_equal(dv_authorizer_new(&options, &a, NULL), 0);
    return a;
}

static dv_authorizer *new_one(const davit_auth_config *credentials)
{
    return new_for("https://reg.example.com", credentials, NULL);
}

/* What a 401 with these challenges leads to. */
static int challenge(dv_authorizer *a, const char *one, const char *two, const char *const *scopes,
                     const char *sent, uint64_t now_ms, dv_auth_step *step, dv_token_request *request,
                     davit_error **err)
{
    DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
    DV_AUTO(dv_secret) value = DV_SECRET_INIT;
    if (one)
        assert_int_equal(dv_headers_add(&h, "WWW-Authenticate", one, 0, NULL), 0);
    if (two)
        assert_int_equal(dv_headers_add(&h, "WWW-Authenticate", two, 0, NULL), 0);
    if (sent)
        assert_true(dv_secret_set(&value, sent, strlen(sent)));
    dv_token_request_clear(request);
    return dv_authorizer_challenged(a, &h, scopes, sent ? &value : NULL, now_ms, step, request, err);
}

static int answer(dv_authorizer *a, const dv_token_request *request, const char *body, uint64_t now_ms)
{
    DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
    DV_AUTO(dv_token_request) again = DV_TOKEN_REQUEST_INIT;
    return dv_authorizer_token_answered(a, request, 200, &h, body, strlen(body), now_ms, &again, NULL);
}

/* The value that fits now, "" for none. Good until the next call. */
static const char *get(dv_authorizer *a, const char *const *scopes, uint64_t now_ms)
{
    static dv_secret value;
    dv_secret_clear(&value);
    return dv_authorizer_get(a, scopes, now_ms, &value) ? value.text : "";
}

static void accept_value(dv_authorizer *a, const char *text)
{
    DV_AUTO(dv_secret) value = DV_SECRET_INIT;
    assert_true(dv_secret_set(&value, text, strlen(text)));
    dv_authorizer_accepted(a, &value);
}

/* Challenge and get a token. */
static void fetch(dv_authorizer *a, const char *const *scopes, const char *sent, const char *body,
                  uint64_t now_ms)
{
    DV_AUTO(dv_token_request) request = DV_TOKEN_REQUEST_INIT;
    dv_auth_step step = DV_AUTH_RESEND;
    assert_int_equal(challenge(a, BEARER, NULL, scopes, sent, now_ms, &step, &request, NULL), 0);
    assert_int_equal(step, DV_AUTH_FETCH_TOKEN);
    assert_int_equal(answer(a, &request, body, now_ms), 0);
}

static void authorizer__nothing_is_sent_before_a_challenge(void **state)
{
    static const davit_auth_config *const all[] = {NULL, &password, &identity, &ready};
    for (size_t i = 0; i < DV_COUNT(all); i++) {
        DV_AUTOPTR(dv_authorizer) a = new_one(all[i]);
        DV_AUTO(dv_token_request) request = DV_TOKEN_REQUEST_INIT;
        assert_string_equal(get(a, pull, 0), "");
        assert_int_equal(dv_authorizer_prepare(a, pull, 0, &request, NULL), 0);
    }
}

/* What the first 401 leads to, by credentials and offered schemes. */
static void authorizer__choice_of_scheme(void **state)
{
    static const struct {
        const davit_auth_config *credentials;
        const char *one, *two;
        const char *value;      /* resent with this */
        const char *url, *body; /* or a token is asked for */
        const char *text;       /* or this error */
    } rows[] = {
        {&password, "Basic realm=x", NULL, "Basic dTpw"},
        {NULL, "Basic realm=x", NULL, .text = "no basic auth credentials"},
        {&user_only, "Basic realm=x", NULL, .text = "no basic auth credentials"},
        {&identity, "Basic realm=x", NULL, .text = "no basic auth credentials"},
        {NULL, BEARER, NULL,
         .url = "https://auth.example.com/token?scope=repository%3Afoo%3Apull&service=reg"},
        {&user_only, BEARER, NULL,
         .url = "https://auth.example.com/token?scope=repository%3Afoo%3Apull&service=reg"},
        {&password, BEARER, NULL,
         .url = "https://auth.example.com/token?account=u&scope=repository%3Afoo%3Apull&service=reg"},
        {&identity, BEARER, NULL, .url = "https://auth.example.com/token",
         .body = "client_id=docker&grant_type=refresh_token&refresh_token=R0&scope=repository%3Afoo%3Apull&"
                 "service=reg"},
        {&both, BEARER, NULL, .url = "https://auth.example.com/token",
         .body = "client_id=docker&grant_type=refresh_token&refresh_token=R0&scope=repository%3Afoo%3Apull&"
                 "service=reg"},
        /*
         * both offered: Basic overwrites the token (auth.md 7); without a password the token is what is
         * left
         */
        {&password, BEARER, "Basic realm=x", "Basic dTpw"},
        {&password, "Basic realm=x", BEARER, "Basic dTpw"},
        {NULL, BEARER, "Basic realm=x",
         .url = "https://auth.example.com/token?scope=repository%3Afoo%3Apull&service=reg"},
        {&identity, "Basic realm=x", BEARER, .url = "https://auth.example.com/token",
         .body = "client_id=docker&grant_type=refresh_token&refresh_token=R0&scope=repository%3Afoo%3Apull&"
                 "service=reg"},
        /* registrytoken answers Bearer only */
        {&ready, BEARER, NULL, "Bearer RT"},
        {&ready, BEARER, "Basic realm=x", "Bearer RT"},
        {&ready, "Basic realm=x", NULL, .text = "unauthorized: authentication required"},
        /* the challenge's own scope is ignored, unknown schemes too */
        {NULL, BEARER ",scope=\"repository:evil:push\"", NULL,
         .url = "https://auth.example.com/token?scope=repository%3Afoo%3Apull&service=reg"},
        {&password, "Negotiate", "Basic realm=x", "Basic dTpw"},
        {&password, "Negotiate", NULL, .text = "unauthorized: authentication required"},
        {&password, NULL, NULL, .text = "unauthorized: authentication required"},
        {NULL, "Bearer service=s", NULL, .text = "no realm specified for token auth challenge"},
        {NULL, "Bearer realm=\"ftp://x/\"", NULL,
         .text = "invalid token auth challenge realm: invalid URL: not http or https"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(dv_authorizer) a = new_one(rows[i].credentials);
        DV_AUTO(dv_token_request) request = DV_TOKEN_REQUEST_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        dv_auth_step step = DV_AUTH_RESEND;
        int r = challenge(a, rows[i].one, rows[i].two, pull, NULL, 0, &step, &request, &err);
        if (rows[i].text) {
            if (r >= 0 || !dv_str_equal(davit_error_message(err), rows[i].text))
                fail_msg("row %zu: got %d %s", i, r, davit_error_message(err));
        } else if (rows[i].value) {
            if (r < 0 || step != DV_AUTH_RESEND || strcmp(get(a, pull, 0), rows[i].value) != 0)
                fail_msg("row %zu: got %d %d %s", i, r, step, get(a, pull, 0));
        } else if (r < 0 || step != DV_AUTH_FETCH_TOKEN || !dv_str_equal(request.url.text, rows[i].url) ||
                   !dv_str_equal(request.body.text, rows[i].body)) {
            fail_msg("row %zu: got %d %d %s %s", i, r, step, request.url.text, request.body.text);
        }
    }
}

static void authorizer__no_credentials_is_final(void **state)
{
    DV_AUTOPTR(dv_authorizer) a = new_one(NULL);
    DV_AUTO(dv_token_request) request = DV_TOKEN_REQUEST_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    dv_auth_step step;
    assert_int_equal(challenge(a, "Basic realm=x", NULL, pull, NULL, 0, &step, &request, &err),
                     DAVIT_EUNAUTHORIZED);
    assert_true(err->final);
    assert_int_equal(err->http_status, 401);
}

static void authorizer__refused_basic_is_final(void **state)
{
    DV_AUTOPTR(dv_authorizer) a = new_one(&password);
    DV_AUTO(dv_token_request) request = DV_TOKEN_REQUEST_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    dv_auth_step step;
    assert_int_equal(challenge(a, "Basic realm=x", NULL, pull, "Basic dTpw", 0, &step, &request, &err),
                     DAVIT_EUNAUTHORIZED);
    assert_true(err->final);
    assert_int_equal(challenge(a, BEARER, NULL, pull, NULL, 0, &step, &request, NULL), 0);
}

/* expires_in 1 is raised to 60 s; the registry's own limit is anticipated by DV_AUTH_RENEW_EARLY_MS */
static void authorizer__token_is_kept_until_shortly_before_its_end(void **state)
{
    DV_AUTOPTR(dv_authorizer) a = new_one(NULL);
    DV_AUTO(dv_token_request) request = DV_TOKEN_REQUEST_INIT;
    fetch(a, pull, NULL, "{\"token\":\"T\",\"expires_in\":1}", 1000);
    assert_string_equal(get(a, pull, 1000), "Bearer T");
    assert_string_equal(get(a, pull, 30000), "Bearer T");
    assert_string_equal(get(a, pull, 61000 - DV_AUTH_RENEW_EARLY_MS), "Bearer T");
    assert_int_equal(dv_authorizer_prepare(a, pull, 30000, &request, NULL), 0);
    assert_string_equal(get(a, pull, 61001 - DV_AUTH_RENEW_EARLY_MS), "");
    assert_int_equal(dv_authorizer_prepare(a, pull, 62000, &request, NULL), 1);
    assert_string_equal(request.url.text,
                        "https://auth.example.com/token?scope=repository%3Afoo%3Apull&service=reg");
}

/* quirks.md, clock skew: only the server's own two times are compared */
static void authorizer__issued_at_counts_by_the_servers_clock(void **state)
{
    static const struct {
        const char *issued_at, *date;
        uint64_t last_ms; /* the token is used up to here */
    } rows[] = {
        {"2015-10-21T07:28:00Z", "Wed, 21 Oct 2015 07:28:00 GMT", 300000},
        {"2015-10-21T07:28:00Z", "Wed, 21 Oct 2015 07:29:40 GMT", 200000},
        {"2015-10-21T07:28:00Z", NULL, 300000},
        {"2035-10-21T07:28:00Z", "Wed, 21 Oct 2015 07:28:00 GMT", 300000},
        {"2015-10-21T07:28:00Z", "garbage", 300000},
        {"2014-10-21T07:28:00Z", "Wed, 21 Oct 2015 07:28:00 GMT", 10000}, /* expired on arrival: still used */
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(dv_authorizer) a = new_one(NULL);
        DV_AUTO(dv_token_request) request = DV_TOKEN_REQUEST_INIT, again = DV_TOKEN_REQUEST_INIT;
        DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
        DV_AUTO(dv_buf) body = DV_BUF_INIT(1000);
        dv_auth_step step;
        assert_int_equal(challenge(a, BEARER, NULL, pull, NULL, 0, &step, &request, NULL), 0);
        if (rows[i].date)
            assert_int_equal(dv_headers_add(&h, "Date", rows[i].date, 0, NULL), 0);
        dv_buf_printf(&body, "{\"token\":\"T\",\"expires_in\":300,\"issued_at\":\"%s\"}", rows[i].issued_at);
        assert_int_equal(
            dv_authorizer_token_answered(a, &request, 200, &h, body.data, body.size, 0, &again, NULL), 0);
        uint64_t last_ms = rows[i].last_ms - DV_AUTH_RENEW_EARLY_MS;
        if (strcmp(get(a, pull, last_ms), "Bearer T") != 0 || strcmp(get(a, pull, last_ms + 1), "") != 0)
            fail_msg("row %zu", i);
    }
}

/* threat A13 */
static void authorizer__token_fits_its_own_scopes_only(void **state)
{
    static const char *const more[] = {"repository:bar:pull", "repository:foo:pull", NULL};
    DV_AUTOPTR(dv_authorizer) a = new_one(NULL);
    fetch(a, pull, NULL, "{\"token\":\"T\"}", 0);
    assert_string_equal(get(a, pull, 0), "Bearer T");
    assert_string_equal(get(a, other, 0), "");
    assert_string_equal(get(a, more, 0), "");
    assert_string_equal(get(a, NULL, 0), "");
    fetch(a, other, NULL, "{\"token\":\"U\"}", 0);
    assert_string_equal(get(a, pull, 0), "Bearer T");
    assert_string_equal(get(a, other, 0), "Bearer U");
}

/* threat A13: another service is another token */
static void authorizer__token_fits_its_own_service_only(void **state)
{
    DV_AUTOPTR(dv_authorizer) a = new_one(NULL);
    DV_AUTO(dv_token_request) request = DV_TOKEN_REQUEST_INIT;
    dv_auth_step step;
    fetch(a, pull, NULL, "{\"token\":\"T\"}", 0);
    const char *second = "Bearer realm=\"https://auth.example.com/token\",service=\"second\"";
    assert_int_equal(challenge(a, second, NULL, pull, "Bearer T", 0, &step, &request, NULL), 0);
    assert_int_equal(step, DV_AUTH_FETCH_TOKEN);
    assert_string_equal(get(a, pull, 0), "");
}

static void authorizer__number_of_tokens_is_limited(void **state)
{
    DV_AUTOPTR(dv_authorizer) a = new_one(NULL);
    for (unsigned i = 0; i < DV_AUTH_TOKENS_MAX + 1; i++) {
        char scope[40];
        const char *const scopes[] = {scope, NULL};
        snprintf(scope, sizeof(scope), "repository:r%u:pull", i);
        fetch(a, scopes, NULL, "{\"token\":\"T\"}", i);
        assert_string_equal(get(a, scopes, i), "Bearer T");
    }
    static const char *const first[] = {"repository:r0:pull", NULL};
    static const char *const second[] = {"repository:r1:pull", NULL};
    assert_string_equal(get(a, first, 100), "");
    assert_string_equal(get(a, second, 100), "Bearer T");
}

/* A token that expires in the middle of a pull, again and again. */
static void authorizer__token_that_worked_is_renewed(void **state)
{
    DV_AUTOPTR(dv_authorizer) a = new_one(NULL);
    fetch(a, pull, NULL, "{\"token\":\"T0\"}", 0);
    for (char i = '0'; i < '9'; i++) {
        char sent[] = "Bearer T0", body[] = "{\"token\":\"T0\"}";
        sent[8] = i;
        body[11] = (char)(i + 1);
        accept_value(a, sent);
        fetch(a, pull, sent, body, 0);
    }
    assert_string_equal(get(a, pull, 0), "Bearer T9");
}

static void authorizer__others_use_the_token_that_one_renewed(void **state)
{
    DV_AUTOPTR(dv_authorizer) a = new_one(NULL);
    DV_AUTO(dv_token_request) one = DV_TOKEN_REQUEST_INIT, two = DV_TOKEN_REQUEST_INIT;
    dv_auth_step step;
    fetch(a, pull, NULL, "{\"token\":\"T1\"}", 0);
    accept_value(a, "Bearer T1");
    assert_int_equal(challenge(a, BEARER, NULL, pull, "Bearer T1", 0, &step, &one, NULL), 0);
    assert_int_equal(challenge(a, BEARER, NULL, pull, "Bearer T1", 0, &step, &two, NULL), 0);
    assert_string_equal(one.key, two.key); /* while it is under way: the same question */
    assert_int_equal(answer(a, &one, "{\"token\":\"T2\"}", 0), 0);
    assert_int_equal(challenge(a, BEARER, NULL, pull, "Bearer T1", 0, &step, &two, NULL), 0);
    assert_int_equal(step, DV_AUTH_RESEND);
    assert_int_equal(challenge(a, BEARER, NULL, pull, NULL, 0, &step, &two, NULL), 0);
    assert_int_equal(step, DV_AUTH_RESEND);
    assert_string_equal(get(a, pull, 0), "Bearer T2");
}

/* A fresh token gets one successor (GitLab, quirks.md), no more. */
static void authorizer__fresh_token_refused_twice_is_final(void **state)
{
    DV_AUTOPTR(dv_authorizer) a = new_one(NULL);
    DV_AUTO(dv_token_request) request = DV_TOKEN_REQUEST_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    dv_auth_step step;
    fetch(a, pull, NULL, "{\"token\":\"T1\"}", 0);
    fetch(a, pull, "Bearer T1", "{\"token\":\"T2\"}", 0);
    assert_int_equal(challenge(a, BEARER, NULL, pull, "Bearer T2", 0, &step, &request, &err),
                     DAVIT_EUNAUTHORIZED);
    assert_true(err->final);
    assert_int_equal(err->kind, DV_ERROR_REGISTRY_FULL);
    /* who sent the same token at the same time is told the same */
    assert_int_equal(challenge(a, BEARER, NULL, pull, "Bearer T2", 0, &step, &request, NULL),
                     DAVIT_EUNAUTHORIZED);
    /* another call may try again from the start */
    assert_int_equal(challenge(a, BEARER, NULL, pull, NULL, 0, &step, &request, NULL), 0);
    assert_int_equal(step, DV_AUTH_FETCH_TOKEN);
}

/* The token server gave all it gives: no second question. */
static void authorizer__insufficient_scope_of_a_fresh_token_is_final(void **state)
{
    DV_AUTOPTR(dv_authorizer) a = new_one(NULL);
    DV_AUTO(dv_token_request) request = DV_TOKEN_REQUEST_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    dv_auth_step step;
    fetch(a, pull, NULL, "{\"token\":\"T1\"}", 0);
    assert_int_equal(challenge(a, BEARER SCOPE_ERROR, NULL, pull, "Bearer T1", 0, &step, &request, &err),
                     DAVIT_EUNAUTHORIZED);
    assert_string_equal(davit_error_registry_code(err), "DENIED");
}

static void authorizer__refused_registry_token_is_final(void **state)
{
    DV_AUTOPTR(dv_authorizer) a = new_one(&ready);
    DV_AUTO(dv_token_request) request = DV_TOKEN_REQUEST_INIT;
    dv_auth_step step;
    assert_int_equal(challenge(a, BEARER, NULL, pull, NULL, 0, &step, &request, NULL), 0);
    assert_int_equal(challenge(a, BEARER, NULL, pull, "Bearer RT", 0, &step, &request, NULL),
                     DAVIT_EUNAUTHORIZED);
}

static void count_warning(davit_log_level level, const char *line, void *user_data)
{
    assert_non_null(strstr(line, "--trust-realm evil.example.net"));
    assert_null(strstr(line, "dTpw"));
    ++*(int *)user_data;
}

/* threat A1 */
static void authorizer__foreign_realm_gets_no_credentials_and_one_warning(void **state)
{
    static const davit_auth_config *const all[] = {&password, &identity, &both};
    static const char foreign[] = "Bearer realm=\"https://evil.example.net/token\",service=\"reg\"";
    for (size_t i = 0; i < DV_COUNT(all); i++) {
        DV_AUTOPTR(dv_authorizer) a = new_one(all[i]);
        DV_AUTO(dv_token_request) request = DV_TOKEN_REQUEST_INIT;
        dv_auth_step step;
        int warnings = 0;
        davit_log_set(count_warning, DAVIT_LOG_WARNING, &warnings);
        for (int n = 0; n < 3; n++) {
            assert_int_equal(challenge(a, foreign, NULL, pull, NULL, 0, &step, &request, NULL), 0);
            assert_int_equal(step, DV_AUTH_FETCH_TOKEN);
            assert_true(request.anonymous && !request.post);
            assert_null(dv_headers_get(&request.headers, "Authorization"));
            assert_string_equal(request.url.text,
                                "https://evil.example.net/token?scope=repository%3Afoo%3Apull&service=reg");
        }
        davit_log_set(NULL, DAVIT_LOG_ERROR, NULL);
        assert_int_equal(warnings, 1);
    }
}

/* threat A1 */
static void authorizer__trusted_realm_gets_credentials(void **state)
{
    DV_AUTOPTR(dv_authorizer) a = new_for("https://reg.example.com", &password, "auth.example.net");
    DV_AUTO(dv_token_request) request = DV_TOKEN_REQUEST_INIT;
    dv_auth_step step;
    assert_int_equal(challenge(a, "Bearer realm=\"https://auth.example.net/token\"", NULL, pull, NULL, 0,
                               &step, &request, NULL),
                     0);
    assert_string_equal(dv_headers_get(&request.headers, "Authorization"), "Basic dTpw");
}

/* threats A3, A7 */
static void authorizer__refused_realm_is_an_error(void **state)
{
    static const struct {
        const char *challenge, *text;
    } rows[] = {
        {"Bearer realm=\"http://reg.example.com/token\"",
         "reg.example.com sends for tokens to reg.example.com, over plain http: refused"},
        {"Bearer realm=\"https://169.254.169.254/token\"",
         "reg.example.com sends for tokens to 169.254.169.254, over a private address: refused; allow it "
         "with "
         "--trust-realm 169.254.169.254"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(dv_authorizer) a = new_one(NULL);
        DV_AUTO(dv_token_request) request = DV_TOKEN_REQUEST_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        dv_auth_step step;
        assert_int_equal(challenge(a, rows[i].challenge, NULL, pull, NULL, 0, &step, &request, &err),
                         DAVIT_EUNAUTHORIZED);
        assert_string_equal(davit_error_message(err), rows[i].text);
        assert_true(err->final);
    }
}

/* threat A7 */
static void authorizer__private_registry_may_name_a_private_realm(void **state)
{
    DV_AUTOPTR(dv_authorizer) a = new_one(&password);
    DV_AUTO(dv_token_request) request = DV_TOKEN_REQUEST_INIT;
    dv_auth_step step;
    dv_authorizer_set_origin_private(a, true);
    assert_int_equal(
        challenge(a, "Bearer realm=\"https://10.0.0.1/t\"", NULL, pull, NULL, 0, &step, &request, NULL), 0);
    assert_true(request.anonymous);
}

/* threats A1, A4: the origin changes its scheme, never its host */
static void authorizer_set_origin__same_host_only(void **state)
{
    static const struct {
        const char *from, *to;
        int expected;
    } rows[] = {
        {"https://reg.example.com", "http://reg.example.com/v2/", 0},
        {"https://reg.example.com:5000", "http://reg.example.com:5000/", 0},
        {"https://reg.example.com:5000", "http://reg.example.com:5001/", DAVIT_EUNAUTHORIZED},
        {"https://reg.example.com", "http://evil.example.net/", DAVIT_EUNAUTHORIZED},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(dv_authorizer) a = new_for(rows[i].from, &password, NULL);
        DV_AUTO(dv_token_request) request = DV_TOKEN_REQUEST_INIT;
        DV_AUTO(dv_url) to = DV_URL_INIT;
        dv_auth_step step;
        assert_int_equal(dv_url_parse(rows[i].to, &to, NULL), 0);
        assert_int_equal(dv_authorizer_set_origin(a, &to, NULL), rows[i].expected);
        /* what a plain realm on the target's host then gets */
        DV_AUTO(dv_buf) line = DV_BUF_INIT(1000);
        dv_buf_printf(&line, "Bearer realm=\"http://%s/token\"", to.host);
        int r = challenge(a, dv_buf_text(&line), NULL, pull, NULL, 0, &step, &request, NULL);
        assert_int_equal(r, rows[i].expected);
        assert_int_equal(r == 0 && !request.anonymous, rows[i].expected == 0);
    }
}

static void authorizer_new__refuses_a_malformed_trusted_realm(void **state)
{
    DV_AUTO(dv_url) url = DV_URL_INIT;
    dv_authorizer *a = NULL;
    const char *list[] = {"https://x/", NULL};
    assert_int_equal(dv_url_parse("https://reg.example.com", &url, NULL), 0);
    dv_authorizer_options options = {.origin = &url, .trusted_realms = list};
    assert_int_equal(dv_authorizer_new(&options, &a, NULL), DAVIT_EINVAL);
}

/* quirks.md: ACR 400, Artifactory 401, Harbor 403, GCR 404 */
static void authorizer__refused_post_is_asked_again_by_get(void **state)
{
    static const struct {
        const davit_auth_config *credentials;
        int status, expected;
    } rows[] = {
        {&both, 400, 1},
        {&both, 401, 1},
        {&both, 403, 1},
        {&both, 404, 1},
        {&both, 405, 1},
        {&both, 429, DAVIT_ERATELIMIT},
        {&both, 500, DAVIT_EUNAVAILABLE},
        {&identity, 401, DAVIT_EUNAUTHORIZED},
        {&identity, 404, DAVIT_ENOTFOUND},
        {&password, 401, DAVIT_EUNAUTHORIZED},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(dv_authorizer) a = new_one(rows[i].credentials);
        DV_AUTO(dv_token_request) request = DV_TOKEN_REQUEST_INIT, again = DV_TOKEN_REQUEST_INIT;
        DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
        dv_auth_step step;
        assert_int_equal(challenge(a, BEARER, NULL, pull, NULL, 0, &step, &request, NULL), 0);
        int r = dv_authorizer_token_answered(a, &request, rows[i].status, &h, "no", 2, 0, &again, NULL);
        if (r != rows[i].expected)
            fail_msg("row %zu: got %d", i, r);
        if (r != 1)
            continue;
        assert_string_equal(
            again.url.text,
            "https://auth.example.com/token?account=u&scope=repository%3Afoo%3Apull&service=reg");
        assert_string_equal(dv_headers_get(&again.headers, "Authorization"), "Basic dTpw");
        assert_string_equal(again.key, request.key);
        assert_int_equal(answer(a, &again, "{\"token\":\"T\"}", 0), 0);
        assert_string_equal(get(a, pull, 0), "Bearer T");
        /* and from now on at once */
        assert_int_equal(challenge(a, BEARER, NULL, other, NULL, 0, &step, &request, NULL), 0);
        assert_false(request.post);
    }
}

/* auth.md 9 */
static void authorizer__token_servers_refusal_is_told(void **state)
{
    DV_AUTOPTR(dv_authorizer) a = new_one(&password);
    DV_AUTO(dv_token_request) request = DV_TOKEN_REQUEST_INIT, again = DV_TOKEN_REQUEST_INIT;
    DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    static const char body[] = "{\"details\":\"incorrect username or password\"}";
    dv_auth_step step;
    assert_int_equal(dv_headers_add(&h, "Content-Type", "application/json", 0, NULL), 0);
    assert_int_equal(challenge(a, BEARER, NULL, pull, NULL, 0, &step, &request, NULL), 0);
    assert_int_equal(
        dv_authorizer_token_answered(a, &request, 401, &h, body, sizeof(body) - 1, 0, &again, &err),
        DAVIT_EUNAUTHORIZED);
    assert_string_equal(davit_error_message(err), "unauthorized: incorrect username or password");
    assert_true(err->final);
}

static void authorizer__answer_without_token_is_an_error_and_not_kept(void **state)
{
    DV_AUTOPTR(dv_authorizer) a = new_one(NULL);
    DV_AUTO(dv_token_request) request = DV_TOKEN_REQUEST_INIT;
    dv_auth_step step;
    assert_int_equal(challenge(a, BEARER, NULL, pull, NULL, 0, &step, &request, NULL), 0);
    assert_int_equal(answer(a, &request, "{}", 0), DAVIT_EPROTOCOL);
    assert_string_equal(get(a, pull, 0), "");
    assert_int_equal(answer(a, &request, "{\"token\":\"T\"}", 0), 0);
    assert_string_equal(get(a, pull, 0), "Bearer T");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(authorizer__nothing_is_sent_before_a_challenge),
        cmocka_unit_test(authorizer__choice_of_scheme),
        cmocka_unit_test(authorizer__no_credentials_is_final),
        cmocka_unit_test(authorizer__refused_basic_is_final),
        cmocka_unit_test(authorizer__token_is_kept_until_shortly_before_its_end),
        cmocka_unit_test(authorizer__issued_at_counts_by_the_servers_clock),
        cmocka_unit_test(authorizer__token_fits_its_own_scopes_only),
        cmocka_unit_test(authorizer__token_fits_its_own_service_only),
        cmocka_unit_test(authorizer__number_of_tokens_is_limited),
        cmocka_unit_test(authorizer__token_that_worked_is_renewed),
        cmocka_unit_test(authorizer__others_use_the_token_that_one_renewed),
        cmocka_unit_test(authorizer__fresh_token_refused_twice_is_final),
        cmocka_unit_test(authorizer__insufficient_scope_of_a_fresh_token_is_final),
        cmocka_unit_test(authorizer__refused_registry_token_is_final),
        cmocka_unit_test(authorizer__foreign_realm_gets_no_credentials_and_one_warning),
        cmocka_unit_test(authorizer__trusted_realm_gets_credentials),
        cmocka_unit_test(authorizer__refused_realm_is_an_error),
        cmocka_unit_test(authorizer__private_registry_may_name_a_private_realm),
        cmocka_unit_test(authorizer_set_origin__same_host_only),
        cmocka_unit_test(authorizer_new__refuses_a_malformed_trusted_realm),
        cmocka_unit_test(authorizer__refused_post_is_asked_again_by_get),
        cmocka_unit_test(authorizer__token_servers_refusal_is_told),
        cmocka_unit_test(authorizer__answer_without_token_is_an_error_and_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

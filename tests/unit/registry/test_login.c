/* Unit tests of registry/login.c: what counts as having logged in, who gets the credentials, and the words of a refusal. */
#include "registry_test.h"

#include "auth/auth_config.h"
#include "davit/log.h"
#include "registry/login.h"

DV_DEFINE_AUTO(davit_authenticate_ok_body, davit_authenticate_ok_body_clear)

#define BASIC_UPW "\r\nAuthorization: Basic dTpw\r\n" /* u:p */

/* --- the address ------------------------------------------------------------------------------------------------ */

static void login_host__is_host_and_port_of_the_address(void **state)
{
    static const struct {
        const char *address, *host;
    } rows[] = {
        {NULL, "index.docker.io"},
        {"", "index.docker.io"},
        {"reg.example.com", "reg.example.com"},
        {"reg.example.com:5000", "reg.example.com:5000"},
        {"https://reg.example.com", "reg.example.com"},
        {"http://reg.example.com:5000/v2/", "reg.example.com:5000"},
        {"https://index.docker.io/v1/", "index.docker.io"},
        {"reg.example.com/team/app?x=1#y", "reg.example.com"},
        {"https://Reg.Example.com", "Reg.Example.com"}, /* keys are compared exactly */
        {"[::1]:5000", "[::1]:5000"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOFREE char *host = NULL;
        davit_error *err = NULL;
        assert_ok(dv_login_host(rows[i].address, &host, &err));
        assert_string_equal(host, rows[i].host);
    }
}

static void login_host__refusals_say_that_the_address_is_wrong(void **state)
{
    static const char *const rows[] = {
        "https://",       "http:///v2/",           "HTTPS://reg.example.com",  "reg.example.com:port",
        "reg example.io", "reg.example.com:70000", "u:secret@reg.example.com", "ftp://reg.example.com",
        "a\nb",
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        char *host = NULL;
        if (dv_login_host(rows[i], &host, &err) != DAVIT_EINVAL)
            fail_msg("%s: taken as %s", rows[i], host);
        const char *text = davit_error_message(err);
        if (strncmp(text, "unable to parse server address: ", 32) != 0 || strstr(text, "secret"))
            fail_msg("%s: %s", rows[i], text);
    }
}

/* --- logging in ------------------------------------------------------------------------------------------------- */

typedef struct outcome {
    int r;
    davit_authenticate_ok_body body;
    davit_error *err;
} outcome;

static void outcome_clear(outcome *o)
{
    davit_authenticate_ok_body_clear(&o->body);
    davit_error_free(o->err);
}
DV_DEFINE_AUTO(outcome, outcome_clear)

static outcome log_in_as(fixture *f, const script *s, const char *user, const char *password,
                         const char *identity)
{
    outcome o = {.body = DAVIT_AUTHENTICATE_OK_BODY_INIT};
    const davit_auth_config auth = {.username = (char *)user,
                                    .password = (char *)password,
                                    .identitytoken = (char *)identity,
                                    .serveraddress = (char *)script_host(s)};
    o.r = davit_service_auth(f->client, &auth, &o.body, &o.err);
    return o;
}

static outcome log_in(fixture *f, const script *s)
{
    return log_in_as(f, s, "u", "p", NULL);
}

static void assert_logged_in(const outcome *o, const char *identity)
{
    if (o->r < 0)
        fail_msg("%s: %s", davit_code_name(o->r), davit_error_message(o->err));
    assert_string_equal(o->body.status, "Login Succeeded");
    if (identity)
        assert_string_equal(o->body.identity_token, identity);
    else
        assert_null(o->body.identity_token);
}

/* The message is these words, with the script's host for HOST. */
static void assert_refused(const outcome *o, int code, const script *s, const char *words)
{
    char expected[512];
    if (o->r == 0)
        fail_msg("logged in, expected: %s", words);
    const char *rest = strstr(words, "HOST");
    snprintf(expected, sizeof(expected), "%.*s%s%s", (int)(rest - words), words, script_host(s), rest + 4);
    assert_string_equal(davit_error_message(o->err), expected);
    assert_int_equal(o->r, code);
    assert_null(o->body.status);
}

/* --- Basic, and nothing at all ---------------------------------------------------------------------------------- */

static atomic_uint warnings;

static void count_warnings(davit_log_level level, const char *line, void *user)
{
    if (level == DAVIT_LOG_WARNING && strstr(line, "did not ask for the credentials"))
        atomic_fetch_add(&warnings, 1);
}

static void login__a_registry_that_asks_nobody_succeeds_with_a_warning(void **state)
{
    fixture *f = *state;
    f->one = script_start(ROWS({.request = "GET /v2/ "}));
    atomic_store(&warnings, 0);
    davit_log_set(count_warnings, DAVIT_LOG_WARNING, NULL);
    DV_AUTO(outcome) o = log_in(f, f->one);
    davit_log_set(NULL, DAVIT_LOG_ERROR, NULL);
    assert_logged_in(&o, NULL);
    assert_int_equal(script_count(f->one, "", "uthorization"), 0);
    assert_int_equal(atomic_load(&warnings), 1);
}

static void login__basic(void **state)
{
    fixture *f = *state;
    f->one = script_start(
        ROWS({.request = "GET /v2/ ", .with = BASIC_UPW},
             {.request = "GET /v2/ ", .status = 401, .headers = "WWW-Authenticate: Basic realm=\"r\"\r\n"}));
    DV_AUTO(outcome) o = log_in(f, f->one);
    assert_logged_in(&o, NULL);
    assert_int_equal(script_count(f->one, "GET /v2/ ", NULL), 2);
}

static void login__basic_refused(void **state)
{
    fixture *f = *state;
    f->one = script_start(ROWS({.status = 401, .headers = "WWW-Authenticate: Basic realm=\"r\"\r\n"}));
    DV_AUTO(outcome) o = log_in(f, f->one);
    assert_refused(&o, DAVIT_EUNAUTHORIZED, f->one,
                   "login attempt to http://HOST/v2/ failed with status: 401 Unauthorized");
    assert_int_equal(davit_error_http_status(o.err), 401);
    assert_int_equal(script_count(f->one, "GET /v2/ ", "uthorization"), 1);
}

static void login__without_a_password_nothing_is_sent(void **state)
{
    static const struct {
        const char *user, *password;
    } rows[] = {{NULL, NULL}, {"u", NULL}, {"u", ""}, {"", "p"}};
    fixture *f = *state;
    f->one = script_start(ROWS({.status = 401, .headers = "WWW-Authenticate: Basic realm=\"r\"\r\n"}));
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(outcome) o = log_in_as(f, f->one, rows[i].user, rows[i].password, NULL);
        assert_refused(&o, DAVIT_EUNAUTHORIZED, f->one, "Get \"http://HOST/v2/\": no basic auth credentials");
    }
    assert_int_equal(script_count(f->one, "", "uthorization"), 0);
}

/* A registry that asks nobody the second time has not looked at the password either. */
static void login__an_anonymous_200_after_a_refusal_is_none(void **state)
{
    fixture *f = *state;
    f->one = script_start(ROWS({.request = "GET /v2/ ",
                                .with = "uthorization",
                                .status = 401,
                                .headers = "WWW-Authenticate: Basic realm=\"r\"\r\n"},
                               {.request = "GET /v2/ ",
                                .times = 1,
                                .status = 401,
                                .headers = "WWW-Authenticate: Basic realm=\"r\"\r\n"},
                               {.request = "GET /v2/ "}));
    DV_AUTO(outcome) o = log_in(f, f->one);
    assert_refused(&o, DAVIT_EUNAUTHORIZED, f->one,
                   "login attempt to http://HOST/v2/ failed with status: 401 Unauthorized");
}

static void login__other_statuses(void **state)
{
    static const struct {
        int status, code;
        const char *words;
    } rows[] = {
        {204, DAVIT_EREGISTRY, "204 No Content"},
        {400, DAVIT_EREGISTRY, "400 Bad Request"},
        {401, DAVIT_EUNAUTHORIZED, "401 Unauthorized"}, /* without a challenge */
        {403, DAVIT_EDENIED, "403 Forbidden"},
        {404, DAVIT_ENOTFOUND, "404 Not Found"},
        {429, DAVIT_ERATELIMIT, "429 Too Many Requests"},
        {500, DAVIT_EUNAVAILABLE, "500 Internal Server Error"},
        {503, DAVIT_EUNAVAILABLE, "503 Service Unavailable"},
        {599, DAVIT_EUNAVAILABLE, "599"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char text[128];
        script *s = script_start(ROWS({.status = rows[i].status}));
        DV_AUTO(outcome) o = log_in(f, s);
        snprintf(text, sizeof(text), "login attempt to http://HOST/v2/ failed with status: %s", rows[i].words);
        assert_refused(&o, rows[i].code, s, text);
        assert_int_equal(script_count(s, "GET /v2/ ", NULL), 1);
        script_stop(s);
    }
}

/* After the credentials: what the registry then says is not a login. */
static void login__a_status_behind_good_credentials_counts_too(void **state)
{
    fixture *f = *state;
    f->one = script_start(
        ROWS({.request = "GET /v2/ ", .with = BASIC_UPW, .status = 403},
             {.request = "GET /v2/ ", .status = 401, .headers = "WWW-Authenticate: Basic realm=\"r\"\r\n"}));
    DV_AUTO(outcome) o = log_in(f, f->one);
    assert_refused(&o, DAVIT_EDENIED, f->one,
                   "login attempt to http://HOST/v2/ failed with status: 403 Forbidden");
}

/* --- tokens ------------------------------------------------------------------------------------------------------ */

/* A registry that wants Bearer T of a realm; %s is the realm's host:port. The token rows come first. */
static script *start_bearer(const script_row *rows, size_t count, const char *realm_host)
{
    char line[200];
    script *s = script_start(rows, count);
    snprintf(line, sizeof(line), "WWW-Authenticate: Bearer realm=\"http://%s/token\",service=\"reg\"\r\n",
             realm_host ? realm_host : script_host(s));
    script_add(s, &(script_row){.request = "GET /v2/ ", .with = "\r\nAuthorization: Bearer T\r\n"});
    script_add(s, &(script_row){.request = "GET /v2/ ", .status = 401, .headers = line});
    return s;
}

static void login__token_with_a_refresh_token(void **state)
{
    fixture *f = *state;
    f->one =
        start_bearer(ROWS({.request = "GET /token?account=u&client_id=docker&offline_token=true&service=reg ",
                           .with = BASIC_UPW,
                           .headers = JSON,
                           .body = "{\"token\":\"T\",\"refresh_token\":\"R\"}"}),
                     NULL);
    DV_AUTO(outcome) o = log_in(f, f->one);
    assert_logged_in(&o, "R");
    assert_int_equal(script_count(f->one, "GET /token", NULL), 1);
}

static void login__token_without_a_refresh_token(void **state)
{
    fixture *f = *state;
    f->one = start_bearer(
        ROWS(
            {.request = "GET /token", .with = BASIC_UPW, .headers = JSON, .body = "{\"access_token\":\"T\"}"}),
        NULL);
    DV_AUTO(outcome) o = log_in(f, f->one);
    assert_logged_in(&o, NULL);
}

/* The identity token of a login is the one that came, else the one that was brought and worked. */
static void login__identity_tokens(void **state)
{
    static const struct {
        const char *password; /* beside the identity token R0 */
        int post_status;
        const char *post_answer;
        const char *get_answer;
        const char *identity;
    } rows[] = {
        {NULL, 200, "{\"access_token\":\"T\"}", NULL, "R0"},
        {NULL, 200, "{\"access_token\":\"T\",\"refresh_token\":\"R1\"}", NULL, "R1"},
        {"p", 200, "{\"access_token\":\"T\"}", NULL, "R0"},
        {"p", 405, "", "{\"token\":\"T\"}", NULL}, /* R0 was refused: it is no result */
        {"p", 401, "", "{\"token\":\"T\",\"refresh_token\":\"R2\"}", "R2"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        script *s = start_bearer(ROWS({.request = "POST /token ",
                                       .with = "client_id=docker&grant_type=refresh_token&refresh_token=R0&"
                                               "scope=&service=reg",
                                       .status = rows[i].post_status,
                                       .headers = JSON,
                                       .body = rows[i].post_answer},
                                      {.request = "GET /token?account=u&client_id=docker&offline_token=true&",
                                       .with = BASIC_UPW,
                                       .status = rows[i].get_answer ? 200 : 500,
                                       .headers = JSON,
                                       .body = rows[i].get_answer}),
                                 NULL);
        DV_AUTO(outcome) o = log_in_as(f, s, "u", rows[i].password, "R0");
        assert_logged_in(&o, rows[i].identity);
        script_stop(s);
    }
}

static void login__a_token_server_that_refuses_is_named(void **state)
{
    static const struct {
        int status;
        const char *headers, *body;
        int code;
        const char *words;
    } rows[] = {
        {401, "Content-Type: text/plain\r\n", "nope", DAVIT_EUNAUTHORIZED, "unauthorized: nope"},
        {401, JSON, "{\"details\":\"incorrect username or password\"}", DAVIT_EUNAUTHORIZED,
         "unauthorized: incorrect username or password"},
        {401, JSON, "{\"errors\":[{\"code\":\"UNAUTHORIZED\",\"message\":\"authentication required\"}]}",
         DAVIT_EUNAUTHORIZED, "unauthorized"},
        {401, JSON, "garbage", DAVIT_EUNAUTHORIZED, "unauthorized: authentication required"},
        {403, JSON, "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"no access\"}]}", DAVIT_EDENIED,
         "denied: no access"},
        {403, "", "no", DAVIT_EDENIED, "denied: no"},
        {200, JSON, "{}", DAVIT_EPROTOCOL, "authorization server did not include a token in the response"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char text[256];
        script *s = start_bearer(ROWS({.request = "GET /token",
                                       .status = rows[i].status,
                                       .headers = rows[i].headers,
                                       .body = rows[i].body}),
                                 NULL);
        DV_AUTO(outcome) o = log_in(f, s);
        snprintf(text, sizeof(text), "Get \"http://HOST/v2/\": token server 127.0.0.1: %s", rows[i].words);
        assert_refused(&o, rows[i].code, s, text);
        assert_int_equal(script_count(s, "GET /token", NULL), 1);
        script_stop(s);
    }
}

static void login__a_registry_that_refuses_the_token(void **state)
{
    fixture *f = *state;
    f->one =
        start_bearer(ROWS({.request = "GET /token", .headers = JSON, .body = "{\"token\":\"no\"}"}), NULL);
    DV_AUTO(outcome) o = log_in(f, f->one);
    assert_refused(&o, DAVIT_EUNAUTHORIZED, f->one,
                   "login attempt to http://HOST/v2/ failed with status: 401 Unauthorized");
}

static void login__a_challenge_without_realm(void **state)
{
    fixture *f = *state;
    f->one = script_start(ROWS({.status = 401, .headers = "WWW-Authenticate: Bearer service=\"s\"\r\n"}));
    DV_AUTO(outcome) o = log_in(f, f->one);
    assert_refused(&o, DAVIT_EPROTOCOL, f->one,
                   "Get \"http://HOST/v2/\": no realm specified for token auth challenge");
}

/* Without credentials there is nothing to prove: an anonymous token is not even asked for. */
static void login__an_anonymous_token_is_none(void **state)
{
    fixture *f = *state;
    f->one =
        start_bearer(ROWS({.request = "GET /token", .headers = JSON, .body = "{\"token\":\"T\"}"}), NULL);
    DV_AUTO(outcome) o = log_in_as(f, f->one, "u", NULL, NULL);
    assert_int_equal(o.r, DAVIT_EUNAUTHORIZED);
    assert_int_equal(script_count(f->one, "GET /token", NULL), 0);
}

/* threat A1: the realm is on a host of another name. */
static void login__a_realm_that_is_not_trusted_gets_nothing(void **state)
{
    fixture *f = *state;
    char realm[64];
    f->two = script_start(ROWS({.request = "GET /token", .headers = JSON, .body = "{\"token\":\"T\"}"}));
    snprintf(realm, sizeof(realm), "localhost%s", strchr(script_host(f->two), ':'));
    f->one = start_bearer(NULL, 0, realm);
    {
        DV_AUTO(outcome) o = log_in(f, f->one);
        assert_refused(
            &o, DAVIT_EUNAUTHORIZED, f->one,
            "Get \"http://HOST/v2/\": 127.0.0.1 sends for tokens to localhost, which is not known to "
            "belong to it: your credentials were not sent there; allow it with --trust-realm "
            "localhost");
        assert_int_equal(script_count(f->two, "", NULL), 0);
    }
    davit_client_options options = quick_options();
    options.trusted_realms = (const char *const[]){"localhost", NULL};
    use_options(f, &options);
    DV_AUTO(outcome) o = log_in(f, f->one);
    assert_logged_in(&o, NULL);
    assert_int_equal(script_count(f->two, "GET /token", BASIC_UPW), 1);
}

/* --- schemes, limits, cancelling -------------------------------------------------------------------------------- */

static void login__over_tls_the_password_stays_there(void **state)
{
    fixture *f = *state;
    f->one = script_start_tls(
        ROWS({.request = "GET /v2/ ", .over = SCRIPT_OVER_TLS, .with = BASIC_UPW, .status = 403},
             {.request = "GET /v2/ ", .status = 401, .headers = "WWW-Authenticate: Basic realm=\"r\"\r\n"}),
        0);
    DV_AUTO(outcome) o = log_in(f, f->one);
    assert_refused(&o, DAVIT_EDENIED, f->one,
                   "login attempt to https://HOST/v2/ failed with status: 403 Forbidden");
    assert_int_equal(script_count(f->one, "GET /v2/ ", "uthorization"), 0);
    assert_int_equal(script_count(f->one, "TLS GET /v2/ ", "uthorization"), 1);
}

static void login__nobody_there(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    char prefix[128];
    f->one = script_start(NULL, 0);
    DV_AUTOFREE char *host = dv_strdup(script_host(f->one));
    script_stop(f->one);
    f->one = NULL;
    char user[] = "u", password[] = "p";
    const davit_auth_config auth = {.username = user, .password = password, .serveraddress = host};
    davit_authenticate_ok_body body = DAVIT_AUTHENTICATE_OK_BODY_INIT;
    assert_int_equal(davit_service_auth(f->client, &auth, &body, &err), DAVIT_ENETWORK);
    snprintf(prefix, sizeof(prefix), "Get \"http://%s/v2/\": ", host);
    if (strncmp(davit_error_message(err), prefix, strlen(prefix)) != 0)
        fail_msg("%s", davit_error_message(err));
    davit_error_free(err);
}

static void login__bad_address(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    char user[] = "u", password[] = "p", address[] = "https://a b";
    const davit_auth_config auth = {.username = user, .password = password, .serveraddress = address};
    davit_authenticate_ok_body body = DAVIT_AUTHENTICATE_OK_BODY_INIT;
    assert_int_equal(davit_service_auth(f->client, &auth, &body, &err), DAVIT_EINVAL);
    assert_int_equal(strncmp(davit_error_message(err), "unable to parse server address: ", 32), 0);
    davit_error_free(err);
}

/* The limit of a login's requests, shorter. */
static void login__a_request_has_a_limit_and_is_not_repeated(void **state)
{
    static const script_row rows[] = {
        {.status = SCRIPT_SILENT, .then = SCRIPT_HOLD},
        {.body = "slow", .cut = SCRIPT_CUT_HEAD, .then = SCRIPT_HOLD},
        {.body = "x", .endless = true, .drip_ms = 20},
    };
    fixture *f = *state;
    for (size_t i = 0; i < 2 * DV_COUNT(rows); i++) {
        DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        const char *scheme = i % 2 ? "http" : "https"; /* the second with a race before it */
        script *s = script_start(&rows[i / 2], 1);
        dv_registry *reg = open_at(f, s, scheme, "/", false);
        const dv_call_spec spec = {
            .method = "GET", .path = "v2/", .body_max = 1u << 16, .any_status = true, .limit_ms = 200};
        assert_int_equal(dv_call_wait(reg, &spec, &res, &err), DAVIT_ETIMEOUT);
        assert_non_null(strstr(davit_error_message(err), "127.0.0.1: no answer within "));
        assert_int_equal(script_count(s, "GET /v2/ ", NULL), 1);
        dv_registry_close(reg);
        script_stop(s);
    }
}

static void *cancel_soon(void *client)
{
    usleep(100000);
    davit_client_cancel(client);
    return NULL;
}

static void login__can_be_cancelled(void **state)
{
    fixture *f = *state;
    pthread_t thread;
    f->one = script_start(ROWS({.status = SCRIPT_SILENT, .then = SCRIPT_HOLD}));
    assert_int_equal(pthread_create(&thread, NULL, cancel_soon, f->client), 0);
    DV_AUTO(outcome) o = log_in(f, f->one);
    pthread_join(thread, NULL);
    assert_int_equal(o.r, DAVIT_ECANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(login_host__is_host_and_port_of_the_address),
        cmocka_unit_test(login_host__refusals_say_that_the_address_is_wrong),
        client_test(login__a_registry_that_asks_nobody_succeeds_with_a_warning),
        client_test(login__basic),
        client_test(login__basic_refused),
        client_test(login__without_a_password_nothing_is_sent),
        client_test(login__an_anonymous_200_after_a_refusal_is_none),
        client_test(login__other_statuses),
        client_test(login__a_status_behind_good_credentials_counts_too),
        client_test(login__token_with_a_refresh_token),
        client_test(login__token_without_a_refresh_token),
        client_test(login__identity_tokens),
        client_test(login__a_token_server_that_refuses_is_named),
        client_test(login__a_registry_that_refuses_the_token),
        client_test(login__a_challenge_without_realm),
        client_test(login__an_anonymous_token_is_none),
        client_test(login__a_realm_that_is_not_trusted_gets_nothing),
        client_test(login__over_tls_the_password_stays_there),
        client_test(login__nobody_there),
        client_test(login__bad_address),
        client_test(login__a_request_has_a_limit_and_is_not_repeated),
        client_test(login__can_be_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

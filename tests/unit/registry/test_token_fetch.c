/* Unit tests of registry/token_fetch.c: one token request for each set of scopes, and what its failures become. */
#include "registry_test.h"

#define TOKEN_JSON "{\"token\":\"T1\",\"expires_in\":300}"

/* A registry that wants tokens of its own /token. More rows stand before the registry's own. */
static script *start_registry(const script_row *rows, size_t count)
{
    char line[160];
    script *s = script_start(rows, count);
    snprintf(line, sizeof(line), "WWW-Authenticate: Bearer realm=\"http://%s/token\",service=\"reg\"\r\n",
             script_host(s));
    script_add(
        s, &(script_row){.request = "GET /v2/", .with = "\r\nAuthorization: Bearer T1\r\n", .body = "in"});
    script_add(s, &(script_row){.request = "GET /v2/", .status = 401, .headers = line});
    return s;
}

static void token__is_asked_for_once_and_kept(void **state)
{
    fixture *f = *state;
    f->one = start_registry(ROWS({.request = "GET /token", .headers = JSON, .body = TOKEN_JSON}));
    assert_text(open_plain(f, f->one), "v2/app/x", "in");
    assert_text(f->registry, "v2/app/y", "in");
    assert_int_equal(script_count(f->one, "GET /token", NULL), 1);
    assert_int_equal(script_count(f->one, "GET /v2/", NULL), 3);
    DV_AUTOFREE char *sent = script_request(f->one, "GET /token", 0);
    assert_non_null(strstr(sent, "service=reg"));
    assert_true(strstr(sent, "scope=repository%3Aapp%3Apull") || strstr(sent, "scope=repository:app:pull"));
    assert_null(strstr(sent, "uthorization"));
}

static void token__many_calls_wait_for_one(void **state)
{
    enum { THREADS = 8 };
    fixture *f = *state;
    asker askers[THREADS];
    f->one =
        start_registry(ROWS({.request = "GET /token", .headers = JSON, .body = TOKEN_JSON, .delay_ms = 60}));
    open_plain(f, f->one);
    for (size_t i = 0; i < THREADS; i++)
        asker_start(&askers[i], f->registry, "v2/app/x");
    for (size_t i = 0; i < THREADS; i++) {
        asker_join(&askers[i]);
        if (askers[i].result < 0)
            fail_msg("%s", davit_error_message(askers[i].err));
        assert_string_equal(askers[i].text, "in");
        asker_clear(&askers[i]);
    }
    assert_int_equal(script_count(f->one, "GET /token", NULL), 1);
    assert_int_equal(script_count(f->one, "GET /v2/", "uthorization"), THREADS);
}

/* What goes wrong reaches every call that waits; what may pass is repeated by the client's policy. */
static void token__failures(void **state)
{
    static const struct {
        script_row row;
        int code;
        unsigned asked;
        const char *words;
    } rows[] = {
        {{.status = 503},
         DAVIT_EUNAVAILABLE,
         5,
         "token server 127.0.0.1: received unexpected HTTP status: 503"},
        {{.status = SCRIPT_SILENT, .then = SCRIPT_RESET}, DAVIT_ENETWORK, 5, "token server 127.0.0.1: "},
        {{.status = 401, .headers = JSON, .body = "{\"details\":\"incorrect username or password\"}"},
         DAVIT_EUNAUTHORIZED,
         1,
         "incorrect username or password"},
        {{.status = 403}, DAVIT_EDENIED, 1, ""},
        {{.headers = JSON, .body = "{}"},
         DAVIT_EPROTOCOL,
         1,
         "authorization server did not include a token in the response"},
        {{.headers = JSON, .body = "{\"token\":"}, DAVIT_EPROTOCOL, 1, "token server 127.0.0.1: "},
        {{.headers = JSON, .body = "{\"token\":\"a\\r\\nX: y\"}"}, DAVIT_EPROTOCOL, 1, ""}, /* threat A10 */
        {{.headers = JSON, .body = " ", .endless = true}, DAVIT_ETOOBIG, 1, "longer than"}, /* threat C1 */
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        asker askers[2];
        script_row row = rows[i].row;
        row.request = "GET /token";
        row.delay_ms = 20; /* so that both calls wait for it */
        script *s = start_registry(&row, 1);
        open_plain(f, s);
        for (size_t k = 0; k < 2; k++)
            asker_start(&askers[k], f->registry, "v2/app/x");
        for (size_t k = 0; k < 2; k++)
            asker_join(&askers[k]);
        /* libcurl itself repeats what a connection that was kept open lost. */
        unsigned asked = script_count(s, "GET /token", NULL), spare = row.then == SCRIPT_RESET ? 2 : 0;
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(s);
        for (size_t k = 0; k < 2; k++)
            if (askers[k].result != rows[i].code || asked < rows[i].asked || asked > rows[i].asked + spare ||
                !strstr(davit_error_message(askers[k].err), rows[i].words))
                fail_msg("row %zu: expected %s, %u requests, \"%s\"; got %s, %u, \"%s\"", i,
                         davit_code_name(rows[i].code), rows[i].asked, rows[i].words,
                         davit_code_name(askers[k].result), asked, davit_error_message(askers[k].err));
        for (size_t k = 0; k < 2; k++)
            asker_clear(&askers[k]);
    }
}

static void token__a_busy_server_is_asked_again(void **state)
{
    fixture *f = *state;
    f->one = start_registry(ROWS({.request = "GET /token", .times = 2, .status = 503},
                                 {.request = "GET /token", .headers = JSON, .body = TOKEN_JSON}));
    assert_text(open_plain(f, f->one), "v2/app/x", "in");
    assert_int_equal(script_count(f->one, "GET /token", NULL), 3);
}

/* quirks.md: a server that does not know the POST is asked by GET. */
static void token__a_refused_post_becomes_a_get(void **state)
{
    static const int statuses[] = {400, 401, 403, 404, 405};
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(statuses); i++) {
        script *s = start_registry(ROWS({.request = "POST /token", .status = statuses[i]},
                                        {.request = "GET /token", .headers = JSON, .body = TOKEN_JSON}));
        use_credentials(f, s, "\"username\":\"u\",\"password\":\"p\",\"identitytoken\":\"I\"");
        DV_AUTOPTR(davit_error) err = NULL;
        DV_AUTOFREE char *text = ask_text(open_plain(f, s), "v2/app/x", &err);
        unsigned posts = script_count(s, "POST /token", "refresh_token=I"),
                 gets = script_count(s, "GET /token", NULL);
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(s);
        unlink(f->authfile);
        if (!text || posts != 1 || gets != 1)
            fail_msg("%d: %u POST, %u GET, %s", statuses[i], posts, gets, davit_error_message(err));
    }
}

/* threat A1: the realm of another name gets a question without credentials. */
static void token__credentials_stay_with_the_registry(void **state)
{
    fixture *f = *state;
    char line[160];
    f->two = script_start(ROWS({.request = "GET /token", .headers = JSON, .body = TOKEN_JSON}));
    snprintf(line, sizeof(line), "WWW-Authenticate: Bearer realm=\"http://localhost:%s/token\"\r\n",
             strchr(script_host(f->two), ':') + 1);
    f->one = script_start(
        ROWS({.with = "\r\nAuthorization: Bearer T1\r\n", .body = "in"}, {.status = 401, .headers = line}));
    use_credentials(f, f->one, "\"username\":\"u\",\"password\":\"p\"");
    assert_text(open_plain(f, f->one), "v2/app/x", "in");
    assert_int_equal(script_count(f->two, "GET /token", NULL), 1);
    assert_int_equal(script_count(f->two, "GET /token", "uthorization"), 0);
    assert_int_equal(script_count(f->two, "GET /token", "account"), 0);
    assert_int_equal(script_count(f->one, "GET", "Basic"), 0);
}

static void token__credentials_go_to_the_registrys_own_realm(void **state)
{
    fixture *f = *state;
    f->one = start_registry(ROWS({.request = "GET /token", .headers = JSON, .body = TOKEN_JSON}));
    use_credentials(f, f->one, "\"username\":\"u\",\"password\":\"p\"");
    assert_text(open_plain(f, f->one), "v2/app/x", "in");
    assert_int_equal(script_count(f->one, "GET /token", "\r\nAuthorization: Basic dTpw\r\n"), 1);
    assert_int_equal(script_count(f->one, "GET /v2/", "Basic"), 0);
}

/* A token that the registry took and later does not take any more is renewed. */
static void token__is_renewed_in_the_middle(void **state)
{
    fixture *f = *state;
    f->one = script_start(
        ROWS({.request = "GET /token", .times = 1, .headers = JSON, .body = "{\"token\":\"T0\"}"},
             {.request = "GET /token", .headers = JSON, .body = TOKEN_JSON},
             {.request = "GET /v2/", .with = "\r\nAuthorization: Bearer T0\r\n", .times = 1, .body = "in"},
             {.request = "GET /v2/", .with = "\r\nAuthorization: Bearer T1\r\n", .body = "in"}));
    char line[160];
    snprintf(line, sizeof(line), "WWW-Authenticate: Bearer realm=\"http://%s/token\"\r\n",
             script_host(f->one));
    script_add(f->one, &(script_row){.request = "GET /v2/", .status = 401, .headers = line});
    assert_text(open_plain(f, f->one), "v2/app/x", "in");
    assert_text(f->registry, "v2/app/y", "in");
    assert_int_equal(script_count(f->one, "GET /token", NULL), 2);
}

/* A token that is never taken ends it: no request goes round in circles. */
static void token__that_is_never_accepted_ends_the_call(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    f->one =
        start_registry(ROWS({.request = "GET /token", .headers = JSON, .body = "{\"token\":\"wrong\"}"}));
    DV_AUTOFREE char *text = ask_text(open_plain(f, f->one), "v2/app/x", &err);
    assert_null(text);
    assert_int_equal(davit_error_code(err), DAVIT_EUNAUTHORIZED);
    assert_in_range(script_count(f->one, "GET /token", NULL), 1, 2);
    assert_in_range(script_count(f->one, "GET /v2/", NULL), 2, 3);
}

/* What a cancelled call leaves behind ends with its registry. */
static void token__a_request_under_way_ends_with_the_registry(void **state)
{
    fixture *f = *state;
    asker a;
    f->one = start_registry(ROWS({.request = "GET /token", .status = SCRIPT_SILENT, .then = SCRIPT_HOLD}));
    asker_start(&a, open_plain(f, f->one), "v2/app/x");
    assert_true(script_wait(f->one, "GET /token", 1, 4000));
    davit_client_cancel(f->client);
    asker_join(&a);
    assert_int_equal(a.result, DAVIT_ECANCELLED);
    asker_clear(&a);
    dv_registry_close(DV_STEAL(f->registry));
    for (unsigned i = 0; i < 400 && script_left_early(f->one) == 0; i++)
        dv_sleep_ms(5);
    assert_int_equal(script_left_early(f->one), 1);
}

/* Pushing, mounting and deleting: each with the scopes that it needs, and a token for each set of them. */
static void token__scopes_of_what_changes_something(void **state)
{
    static const struct {
        const char *from, *actions;
        const char *scopes[3];
    } rows[] = {
        {NULL, NULL, {"repository%3Aapp%3Apull%2Cpush"}},
        {NULL, NULL, {NULL}}, /* it is there */
        {"base", NULL, {"repository%3Aapp%3Apull%2Cpush", "repository%3Abase%3Apull"}},
        {"aaa", NULL, {"repository%3Aaaa%3Apull", "repository%3Aapp%3Apull%2Cpush"}},
        {"base", NULL, {NULL}},
        {NULL, "delete", {"repository%3Aapp%3Adelete"}},
    };
    fixture *f = *state;
    unsigned tokens = 0;
    davit_error *err = NULL;
    char line[160];
    f->one = script_start(ROWS({.request = "GET /token", .headers = JSON, .body = TOKEN_JSON},
                               {.with = "\r\nAuthorization: Bearer T1\r\n", .body = "in"}));
    snprintf(line, sizeof(line), "WWW-Authenticate: Bearer realm=\"http://%s/token\",service=\"reg\"\r\n",
             script_host(f->one));
    script_add(f->one, &(script_row){.status = 401, .headers = line});
    assert_ok(dv_registry_set_actions(open_plain(f, f->one), "pull,push", &err));
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
        assert_ok(dv_call_wait(f->registry,
                               &(dv_call_spec){.method = "POST",
                                               .path = "v2/app/blobs/uploads/",
                                               .from = rows[i].from,
                                               .actions = rows[i].actions,
                                               .body_max = 99},
                               &res, &err));
        tokens += rows[i].scopes[0] != NULL;
        assert_int_equal(script_count(f->one, "GET /token", NULL), tokens);
        if (!rows[i].scopes[0])
            continue;
        DV_AUTOFREE char *asked = script_request(f->one, "GET /token", tokens - 1);
        for (size_t n = 0; n < 2; n++) {
            const char *scope = strstr(asked, "scope=");
            for (size_t skip = 0; skip < n && scope; skip++)
                scope = strstr(scope + 1, "scope=");
            if (!scope != !rows[i].scopes[n] ||
                (scope && strncmp(scope + 6, rows[i].scopes[n], strlen(rows[i].scopes[n])) != 0))
                fail_msg("row %zu, scope %zu: %.*s", i, n, (int)strcspn(asked, "\r"), asked);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        client_test(token__scopes_of_what_changes_something),
        client_test(token__is_asked_for_once_and_kept),
        client_test(token__many_calls_wait_for_one),
        client_test(token__failures),
        client_test(token__a_busy_server_is_asked_again),
        client_test(token__a_refused_post_becomes_a_get),
        client_test(token__credentials_stay_with_the_registry),
        client_test(token__credentials_go_to_the_registrys_own_realm),
        client_test(token__is_renewed_in_the_middle),
        client_test(token__that_is_never_accepted_ends_the_call),
        client_test(token__a_request_under_way_ends_with_the_registry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

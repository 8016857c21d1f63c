/* Unit tests of registry/call.c: repeats, headers, Basic, and cancelling. */
#include "registry_test.h"

static void call__the_question_as_it_goes_out(void **state)
{
    static const char *const accept[] = {"a/b", "c/d", NULL};
    fixture *f = *state;
    davit_error *err = NULL;
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    f->one = script_start(ROWS({.body = "answer"}));
    f->registry = open_at(f, f->one, "http", "/mirror//", false);
    const dv_call_spec spec = {.method = "GET",
                               .path = "v2/app/tags/list",
                               .query = "n=5",
                               .accept = accept,
                               .range = "bytes=5-",
                               .body_max = 99};
    assert_ok(dv_call_wait(f->registry, &spec, &res, &err));
    assert_string_equal(dv_buf_text(&res.body), "answer");
    assert_string_equal(res.url.path, "/mirror/v2/app/tags/list");
    DV_AUTOFREE char *sent = script_request(f->one, "GET /mirror/v2/app/tags/list?n=5 HTTP/1.1\r\n", 0);
    assert_non_null(sent);
    assert_non_null(strstr(sent, "\r\nAccept: a/b\r\nAccept: c/d\r\n"));
    assert_non_null(strstr(sent, "\r\nAccept-Encoding: identity\r\n"));
    assert_non_null(strstr(sent, "\r\nRange: bytes=5-\r\n"));
    assert_non_null(strstr(sent, "\r\nUser-Agent: davit/" DAVIT_VERSION "\r\n"));
    assert_null(strstr(sent, "uthorization"));
}

#define FULL(code, message) "{\"errors\":[{\"code\":\"" code "\",\"message\":\"" message "\"}]}"

/* What an error status becomes, and how often it is asked: five attempts for what may pass (DESIGN 5). */
static void call__errors_and_repeats(void **state)
{
    static const struct {
        script_row row;
        int code;
        unsigned asked;
        const char *words;
    } rows[] = {
        {{.status = 404, .headers = JSON, .body = FULL("MANIFEST_UNKNOWN", "gone")},
         DAVIT_ENOTFOUND,
         1,
         "manifest unknown: gone"},
        {{.status = 403, .headers = JSON, .body = FULL("DENIED", "no")}, DAVIT_EDENIED, 1, "denied: no"},
        {{.status = 400, .headers = JSON, .body = FULL("NAME_INVALID", "bad")},
         DAVIT_EREGISTRY,
         1,
         "name invalid: bad"},
        {{.status = 401, .headers = JSON, .body = FULL("UNAUTHORIZED", "who")},
         DAVIT_EUNAUTHORIZED,
         1,
         "unauthorized: who"},
        {{.status = 500}, DAVIT_EUNAVAILABLE, 5, "received unexpected HTTP status: 500 Internal Server Error"},
        {{.status = 503}, DAVIT_EUNAVAILABLE, 5, "503 Service Unavailable"},
        {{.status = 429, .headers = JSON, .body = FULL("TOOMANYREQUESTS", "slow down")},
         DAVIT_ERATELIMIT,
         5,
         "toomanyrequests: slow down"},
        {{.status = 503, .headers = "Retry-After: 100\r\n"},
         DAVIT_EUNAVAILABLE,
         1,
         "asks to wait 100 s, longer than 60 s"},
        {{.status = SCRIPT_SILENT, .then = SCRIPT_CLOSE}, DAVIT_ENETWORK, 5, "ended early"},
        {{.status = SCRIPT_SILENT, .then = SCRIPT_RESET}, DAVIT_ENETWORK, 5, "reset"},
        {{.body = "half", .cut = 2, .then = SCRIPT_CLOSE}, DAVIT_ENETWORK, 5, "ended early"},
        {{.body = "x", .endless = true}, DAVIT_ETOOBIG, 1, "longer than 65536 bytes"},
        {{.status = 304}, DAVIT_EPROTOCOL, 1, "304"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        script *s = script_start(&rows[i].row, 1);
        DV_AUTOFREE char *text = ask_text(open_plain(f, s), "v2/app/x", &err);
        unsigned asked = script_count(s, "GET /v2/app/x", NULL);
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(s);
        if (davit_error_code(err) != rows[i].code || asked != rows[i].asked ||
            !strstr(davit_error_message(err), rows[i].words))
            fail_msg("row %zu: expected %s %u times, \"%s\"; got %s %u times, \"%s\"", i,
                     davit_code_name(rows[i].code), rows[i].asked, rows[i].words,
                     davit_code_name(davit_error_code(err)), asked, davit_error_message(err));
    }
}

static void call__comes_through_what_passes(void **state)
{
    static const script_row rows[] = {
        {.request = "GET /v2/app/busy", .times = 2, .status = 503},
        {.request = "GET /v2/app/reset", .times = 2, .status = SCRIPT_SILENT, .then = SCRIPT_RESET},
        {.request = "GET /v2/app/half", .times = 2, .body = "half", .cut = 2, .then = SCRIPT_CLOSE},
        {.body = "here"},
    };
    fixture *f = *state;
    f->one = script_start(rows, DV_COUNT(rows));
    open_plain(f, f->one);
    assert_text(f->registry, "v2/app/busy", "here");
    assert_text(f->registry, "v2/app/reset", "here");
    assert_text(f->registry, "v2/app/half", "here");
    assert_int_equal(script_count(f->one, "GET", NULL), 9);
}

static void call__waits_as_long_as_retry_after_says(void **state)
{
    fixture *f = *state;
    f->one =
        script_start(ROWS({.times = 1, .status = 429, .headers = "Retry-After: 1\r\n"}, {.body = "here"}));
    uint64_t begin = dv_clock_ms();
    assert_text(open_plain(f, f->one), "v2/app/x", "here");
    uint64_t took = dv_clock_ms() - begin;
    assert_in_range(took, 1000, 1500);
}

/* threat A4: the user's own headers, to the registry's own origin only. */
static void call__extra_headers_stay_with_the_origin(void **state)
{
    static const char *const headers[] = {"X-Key: secret", NULL};
    fixture *f = *state;
    davit_client_options options = quick_options();
    options.headers = headers;
    use_options(f, &options);
    char line[64];
    f->two = script_start(ROWS({.body = "there"}));
    snprintf(line, sizeof(line), "Location: http://%s/there\r\n", script_host(f->two));
    f->one =
        script_start(ROWS({.request = "GET /v2/app/away", .status = 307, .headers = line}, {.body = "here"}));
    assert_text(open_plain(f, f->one), "v2/app/away", "there");
    assert_int_equal(script_count(f->one, "GET /v2/app/away", "\r\nX-Key: secret\r\n"), 1);
    assert_int_equal(script_count(f->two, "GET /there", "X-Key"), 0);
    dv_registry_close(f->registry);
    f->registry = open_at(f, f->one, "http", "/", /* mirror= */ true); /* threat A15 */
    assert_text(f->registry, "v2/app/mirrored", "here");
    assert_int_equal(script_count(f->one, "GET /v2/app/mirrored", "X-Key"), 0);
}

/* --- Basic ---------------------------------------------------------------------------------------------------- */

#define BASIC "WWW-Authenticate: Basic realm=\"r\"\r\n"
#define USER "\"username\":\"u\",\"password\":\"p\""
#define USER_HEADER "\r\nAuthorization: Basic dTpw\r\n"

static void call__basic_is_sent_once_it_is_asked_for(void **state)
{
    fixture *f = *state;
    f->one = script_start(ROWS({.without = "uthorization", .status = 401, .headers = BASIC}, {.body = "in"}));
    use_credentials(f, f->one, USER);
    assert_text(open_plain(f, f->one), "v2/app/x", "in");
    assert_text(f->registry, "v2/app/x", "in");
    assert_int_equal(script_count(f->one, "GET /v2/app/x", NULL), 3);
    assert_int_equal(script_count(f->one, "GET /v2/app/x", USER_HEADER), 2);
}

static void call__refused_credentials_are_not_tried_again(void **state)
{
    static const struct {
        const char *credentials, *challenge;
        unsigned asked;
        const char *words;
    } rows[] = {
        {USER, BASIC, 2, ""},
        {NULL, BASIC, 1, ""},
        {USER, "", 1, ""},
        {USER, "WWW-Authenticate: Negotiate\r\n", 1, ""},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        script *s = script_start(ROWS({.status = 401, .headers = rows[i].challenge}));
        if (rows[i].credentials)
            use_credentials(f, s, rows[i].credentials);
        DV_AUTOFREE char *text = ask_text(open_plain(f, s), "v2/app/x", &err);
        unsigned asked = script_count(s, "GET", NULL);
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(s);
        unlink(f->authfile);
        if (davit_error_code(err) != DAVIT_EUNAUTHORIZED || asked != rows[i].asked ||
            !strstr(davit_error_message(err), rows[i].words))
            fail_msg("row %zu: expected %u requests and \"%s\", got %u, %s \"%s\"", i, rows[i].asked,
                     rows[i].words, asked, davit_code_name(davit_error_code(err)), davit_error_message(err));
    }
}

/* threats A1, A4: a 401 behind a redirect is somebody else's. */
static void call__a_challenge_of_another_origin_gets_nothing(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    char line[64];
    f->two = script_start(ROWS({.status = 401, .headers = BASIC}));
    snprintf(line, sizeof(line), "Location: http://%s/there\r\n", script_host(f->two));
    f->one = script_start(ROWS({.status = 302, .headers = line}));
    use_credentials(f, f->one, USER);
    DV_AUTOFREE char *text = ask_text(open_plain(f, f->one), "v2/app/x", &err);
    assert_null(text);
    assert_int_equal(davit_error_code(err), DAVIT_EUNAUTHORIZED);
    davit_error_free(err);
    assert_int_equal(script_count(f->one, "GET", NULL), 1);
    assert_int_equal(script_count(f->two, "GET", NULL), 1);
    assert_int_equal(script_count(f->two, "GET", "uthorization"), 0);
}

/* --- cancelling ------------------------------------------------------------------------------------------------- */

/* davit_client_cancel(): within 200 ms, from any state. */
static void call_wait__ends_when_the_client_is_cancelled(void **state)
{
    static const struct {
        const char *what;
        script_row row;
    } rows[] = {
        {"no answer", {.status = SCRIPT_SILENT, .then = SCRIPT_HOLD}},
        {"half a body", {.body = "half", .cut = 2, .then = SCRIPT_HOLD}},
        {"waiting to repeat", {.status = 503, .headers = "Retry-After: 50\r\n"}},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        const davit_client_options options = quick_options();
        use_options(f, &options);
        asker a;
        script *s = script_start(&rows[i].row, 1);
        asker_start(&a, open_plain(f, s), "v2/app/x");
        assert_true(script_wait(s, "GET /v2/app/x", 1, 4000));
        dv_sleep_ms(20);
        uint64_t begin = dv_clock_ms();
        davit_client_cancel(f->client);
        asker_join(&a);
        uint64_t took = dv_clock_ms() - begin;
        if (a.result != DAVIT_ECANCELLED || took > 250)
            fail_msg("%s: %s after %u ms", rows[i].what, davit_code_name(a.result), (unsigned)took);
        asker_clear(&a);
        DV_AUTOPTR(davit_error) err = NULL;
        assert_null(ask_text(f->registry, "v2/app/later", &err));
        assert_int_equal(davit_error_code(err), DAVIT_ECANCELLED);
        assert_int_equal(script_count(s, "GET /v2/app/later", NULL), 0);
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(s);
    }
}

static void call_wait__many_threads_at_once(void **state)
{
    enum { THREADS = 8 };
    fixture *f = *state;
    asker askers[THREADS];
    f->one = script_start(ROWS({.body = "here", .delay_ms = 5}));
    open_plain(f, f->one);
    for (size_t i = 0; i < THREADS; i++)
        asker_start(&askers[i], f->registry, "v2/app/x");
    for (size_t i = 0; i < THREADS; i++) {
        asker_join(&askers[i]);
        assert_int_equal(askers[i].result, 0);
        assert_string_equal(askers[i].text, "here");
        asker_clear(&askers[i]);
    }
    assert_int_equal(script_count(f->one, "GET", NULL), THREADS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        client_test(call__the_question_as_it_goes_out),
        client_test(call__errors_and_repeats),
        client_test(call__comes_through_what_passes),
        client_test(call__waits_as_long_as_retry_after_says),
        client_test(call__extra_headers_stay_with_the_origin),
        client_test(call__basic_is_sent_once_it_is_asked_for),
        client_test(call__refused_credentials_are_not_tried_again),
        client_test(call__a_challenge_of_another_origin_gets_nothing),
        client_test(call_wait__ends_when_the_client_is_cancelled),
        client_test(call_wait__many_threads_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

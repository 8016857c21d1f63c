/* Unit tests of registry/v2_ping.c: davit_ping_v2_registry(), service.md 14. */
#include "davit/service.h"

#include "registry_test.h"

#define BEARER "WWW-Authenticate: Bearer realm=\"https://t/\",service=\"s\"\r\n"
#define BASIC "WWW-Authenticate: Basic realm=r\r\n"

/* "scheme realm service;" of each challenge. */
static void describe(const davit_challenges *c, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; i < c->count; i++)
        used += (size_t)snprintf(out + used, size - used, "%s %s %s;", c->items[i].scheme,
                                 c->items[i].realm ? c->items[i].realm : "-",
                                 c->items[i].service ? c->items[i].service : "-");
}

static davit_challenges *ping(fixture *f, const char *scheme, const script *s, const char *path,
                              davit_error **err)
{
    davit_challenges *challenges = NULL;
    char url[200];
    snprintf(url, sizeof(url), "%s://%s%s", scheme, script_host(s), path);
    int r = davit_ping_v2_registry(f->client, url, &challenges, err);
    assert_true((r == 0) == (challenges != NULL));
    return challenges;
}

static void ping__any_answer_is_a_success(void **state)
{
    static const struct {
        script_row row;
        const char *expected;
    } rows[] = {
        {{.status = 401, .headers = BEARER}, "bearer https://t/ s;"},
        {{.status = 200}, ""},
        {{.status = 200, .headers = BEARER}, ""},
        {{.status = 403, .headers = BASIC}, ""},
        {{.status = 404}, ""},
        {{.status = 429}, ""},
        {{.status = 500}, ""},
        {{.status = 503, .headers = "Retry-After: 100\r\n"}, ""},
        {{.status = 401}, ""},
        {{.status = 401, .headers = BASIC BEARER "WWW-Authenticate: ,\r\n"}, "basic r -;bearer https://t/ s;"},
        {{.status = 401, .headers = "WWW-Authenticate: Negotiate\r\n"}, "negotiate - -;"},
        {{.status = 401, .headers = BEARER, .body = "x", .endless = true}, "bearer https://t/ s;"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_error *err = NULL;
        char got[200], url[100];
        script *s = script_start(&rows[i].row, 1);
        davit_challenges *c = ping(f, "http", s, "//", &err);
        if (!c)
            fail_msg("row %zu: %s", i, davit_error_message(err));
        describe(c, got, sizeof(got));
        assert_string_equal(got, rows[i].expected);
        snprintf(url, sizeof(url), "http://%s/v2/", script_host(s));
        assert_string_equal(c->url, url);
        assert_int_equal(script_count(s, "GET /v2/ ", NULL), 1); /* once, and no token was asked for */
        assert_int_equal(script_count(s, "", NULL), 1);
        davit_challenges_free(c);
        script_stop(s);
    }
    davit_challenges_free(NULL);
}

static void ping__the_challenges_are_those_of_the_url_that_answered(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    char line[100], url[100];
    f->two = script_start(ROWS({.status = 401, .headers = BEARER}));
    snprintf(line, sizeof(line), "Location: http://%s/else/where/\r\n" BASIC, script_host(f->two));
    f->one = script_start(ROWS({.status = 307, .headers = line}));
    davit_challenges *c = ping(f, "http", f->one, "/base/", &err);
    assert_non_null(c);
    snprintf(url, sizeof(url), "http://%s/else/where/", script_host(f->two));
    assert_string_equal(c->url, url);
    assert_int_equal(c->count, 1);
    assert_string_equal(c->items[0].scheme, "bearer");
    assert_int_equal(script_count(f->one, "GET /base/v2/ ", NULL), 1);
    davit_challenges_free(c);
}

static void ping__no_credentials_go_out(void **state)
{
    static const char *const headers[] = {"X-Key: secret", NULL};
    fixture *f = *state;
    davit_error *err = NULL;
    f->one = script_start(ROWS({.status = 401, .headers = BASIC}));
    use_credentials(f, f->one, "\"username\":\"u\",\"password\":\"p\"");
    davit_challenges *c = ping(f, "http", f->one, "", &err);
    assert_non_null(c);
    davit_challenges_free(c);
    davit_client_options options = quick_options();
    options.headers = headers;
    use_options(f, &options);
    c = ping(f, "http", f->one, "", &err);
    assert_non_null(c);
    davit_challenges_free(c);
    assert_int_equal(script_count(f->one, "GET", "uthorization"), 0);
    assert_int_equal(script_count(f->one, "GET", "\r\nX-Key: secret\r\n"), 1);
}

static void ping__the_url_is_used_as_it_is(void **state)
{
    static const struct {
        const char *url, *words;
    } rows[] = {
        {"http://reg.example.com",
         "reg.example.com: plain HTTP is only for a registry that is listed as insecure"},
        {"http://registry-1.docker.io:80/", "registry-1.docker.io:80: plain HTTP"},
        {"reg.example.com", ""},
        {"ftp://127.0.0.1/", ""},
        {"http://u:p@127.0.0.1/", ""},
        {"", ""},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        davit_challenges *c = NULL;
        assert_int_equal(davit_ping_v2_registry(f->client, rows[i].url, &c, &err), DAVIT_EINVAL);
        if (!strstr(davit_error_message(err), rows[i].words))
            fail_msg("%s: %s", rows[i].url, davit_error_message(err));
        assert_false(davit_error_is_ping_response(err));
    }
}

static void ping__what_failed_before_an_answer_is_told(void **state)
{
    fixture *f = *state;
    f->one = script_start(ROWS({.status = SCRIPT_SILENT, .then = SCRIPT_CLOSE}));
    for (int tls = 0; tls < 2; tls++) { /* no plain HTTP in place of TLS, although the host is insecure */
        DV_AUTOPTR(davit_error) err = NULL;
        assert_null(ping(f, tls ? "https" : "http", f->one, "", &err));
        assert_true(err->kind == DV_ERROR_TRANSPORT || davit_error_code(err) == DAVIT_ETLS);
        assert_false(davit_error_is_ping_response(err));
        assert_int_equal(script_count(f->one, "GET", NULL), 1);
    }
    assert_true(script_greetings(f->one) >= 1);
}

static void error_is_ping_response__by_its_kind(void **state)
{
    DV_AUTOPTR(davit_error) err = NULL;
    assert_false(davit_error_is_ping_response(NULL));
    dv_error_set(&err, DAVIT_EPROTOCOL, "x");
    assert_false(davit_error_is_ping_response(err));
    err->kind = DV_ERROR_PING_RESPONSE;
    assert_true(davit_error_is_ping_response(err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        client_test(ping__any_answer_is_a_success),
        client_test(ping__the_challenges_are_those_of_the_url_that_answered),
        client_test(ping__no_credentials_go_out),
        client_test(ping__the_url_is_used_as_it_is),
        client_test(ping__what_failed_before_an_answer_is_told),
        cmocka_unit_test(error_is_ping_response__by_its_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

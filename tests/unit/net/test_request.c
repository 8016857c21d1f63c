/* Unit tests of net/request.c: where redirects lead, and what goes along. */
#include "net/request.h"

#include "../../support/http_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* --- the target: pure ---------------------------------------------------------------------------------------- */

typedef struct target_row {
    const char *from, *location;
    bool deny_private;
    int expected; /* code */
    const char *to;
} target_row;

static void check_target(const target_row *row)
{
    DV_AUTO(dv_url) from = DV_URL_INIT, to = DV_URL_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    assert_int_equal(dv_url_parse(row->from, &from, NULL), 0);
    int r = dv_redirect_target(&from, row->location, row->deny_private, &to, &err);
    const char *got = to.text ? to.text : "nothing";
    if (r != row->expected || (r == 0 && strcmp(got, row->to) != 0) || (r < 0 && (to.text || !err)))
        fail_msg("%s -> %s: expected %s %s, got %s %s (%s)", row->from, row->location,
                 davit_code_name(row->expected), row->to ? row->to : "", davit_code_name(r), got,
                 davit_error_message(err));
}

static void redirect_target__resolves_and_upgrades(void **state)
{
    static const target_row rows[] = {
        {"https://a.example/v2/x", "https://b.example/y?sig=1", false, 0, "https://b.example/y?sig=1"},
        {"https://a.example/v2/x", "/y", false, 0, "https://a.example/y"},
        {"https://a.example/v2/x", "y", false, 0, "https://a.example/v2/y"},
        {"https://a.example/v2/x", "//b.example/y", false, 0, "https://b.example/y"},
        {"https://a.example/v2/x?q", "?r", false, 0, "https://a.example/v2/x?r"},
        {"http://a.example/x", "https://b.example/y", false, 0, "https://b.example/y"},
        {"http://a.example/x", "http://b.example/y", false, 0, "http://b.example/y"},
        /* threats A3, A5: TLS ends at a proxy in front; same host, so TLS is kept */
        {"https://a.example/x", "http://a.example/y?s=1", false, 0, "https://a.example:443/y?s=1"},
        {"https://a.example/x", "http://A.example./y", false, 0, "https://a.example:443/y"},
        {"https://a.example:8443/x", "http://a.example/y", false, 0, "https://a.example:8443/y"},
        {"https://a.example:8443/x", "http://a.example:80/y", false, 0, "https://a.example:8443/y"},
        {"https://a.example:8443/x", "http://a.example:9443/y", false, 0, "https://a.example:9443/y"},
        {"https://[::1]:8443/x", "http://[::1]/y", false, 0, "https://[::1]:8443/y"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        check_target(&rows[i]);
}

static void redirect_target__refuses_what_is_unsafe(void **state)
{
    static const target_row rows[] = {
        {"https://a.example/x", "http://b.example/y", false, DAVIT_EPROTOCOL, NULL}, /* threat A3 */
        {"https://a.example/x", "http://sub.a.example/y", false, DAVIT_EPROTOCOL, NULL},
        {"https://a.example/x", "http://a.example.evil/y", false, DAVIT_EPROTOCOL, NULL},
        {"https://a.example/x", "ftp://a.example/y", false, DAVIT_EPROTOCOL, NULL}, /* threat A6 */
        {"https://a.example/x", "file:///etc/passwd", false, DAVIT_EPROTOCOL, NULL},
        {"https://a.example/x", "https://u:p@b.example/", false, DAVIT_EPROTOCOL, NULL},
        {"https://a.example/x", "https://b.example/\r\nX: y", false, DAVIT_EPROTOCOL, NULL}, /* threat A10 */
        {"https://a.example/x", "https://b.example:0/", false, DAVIT_EPROTOCOL, NULL},
        {"https://a.example/x", "https://", false, DAVIT_EPROTOCOL, NULL},
        /* threat A7 */
        {"https://a.example/x", "https://127.0.0.1/y", true, DAVIT_EDENIED, NULL},
        {"https://a.example/x", "https://10.1.2.3/y", true, DAVIT_EDENIED, NULL},
        {"https://a.example/x", "https://169.254.169.254/latest", true, DAVIT_EDENIED, NULL},
        {"https://a.example/x", "https://[fd00::1]/y", true, DAVIT_EDENIED, NULL},
        {"https://a.example/x", "https://localhost/y", true, DAVIT_EDENIED, NULL},
        {"https://a.example/x", "https://127.0.0.1/y", false, 0, "https://127.0.0.1/y"},
        {"https://10.1.2.3/x", "https://10.1.2.3:444/y", true, 0, "https://10.1.2.3:444/y"}, /* itself */
        {"https://a.example/x", "https://8.8.8.8/y", true, 0, "https://8.8.8.8/y"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        check_target(&rows[i]);
}

/* --- over sockets -------------------------------------------------------------------------------------------- */

typedef struct fixture {
    dv_loop *loop;
    dv_http_client http;
    script *one, *two;
} fixture;

static int set_up(void **state)
{
    fixture *f = dv_new(fixture);
    *state = f;
    if (!f || dv_loop_new(&f->loop, NULL) < 0)
        return -1;
    f->http = (dv_http_client){
        .loop = f->loop,
        .limits = {.connect_timeout_ms = 5000,
                   .first_byte_timeout_ms = 5000,
                   .stall_timeout_ms = 5000,
                   .min_rate = 1,
                   .min_rate_window_ms = 5000},
        .user_agent = dv_strdup("test/1"),
    };
    return 0;
}

static int tear_down(void **state)
{
    fixture *f = *state;
    dv_loop_free(f->loop);
    dv_http_client_clear(&f->http);
    script_stop(f->one);
    script_stop(f->two);
    free(f);
    return 0;
}

/* One request and its end. */
typedef struct asking {
    dv_task task;
    dv_http_client *http;
    dv_request_spec spec;
    dv_url url;
    dv_headers headers;
    dv_queue *ended;
    dv_node end;
    int result;
    davit_error *err;
    dv_response response;
} asking;

static void asking_done(void *user, int r, dv_response *response, davit_error *err)
{
    asking *a = user;
    a->result = r;
    a->err = err;
    a->response = *response;
    *response = (dv_response)DV_RESPONSE_INIT;
    dv_queue_push(a->ended, &a->end);
}

static const dv_request_handler asking_handler = {.on_done = asking_done};

static void asking_run(dv_task *task)
{
    asking *a = (asking *)task;
    dv_request *q;
    a->spec.url = &a->url;
    a->spec.headers = &a->headers;
    a->spec.handler = &asking_handler;
    a->spec.user = a;
    a->result = dv_request_start(a->http, &a->spec, &q, &a->err);
    if (a->result < 0)
        dv_queue_push(a->ended, &a->end);
}

static void asking_clear(asking *a)
{
    dv_url_clear(&a->url);
    dv_headers_clear(&a->headers);
    dv_response_clear(&a->response);
    davit_error_free(a->err);
    dv_queue_free(a->ended);
}
DV_DEFINE_AUTO(asking, asking_clear)

/* Ask a path of a script; false when no end came in time. */
static bool ask(fixture *f, asking *a, const script *s, const char *path)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_URL_MAX);
    dv_buf_printf(&text, "http://%s%s", script_host(s), path);
    assert_int_equal(dv_url_parse(dv_buf_text(&text), &a->url, NULL), 0);
    a->task.run = asking_run;
    a->http = &f->http;
    a->ended = dv_queue_new();
    a->spec.verify_tls = true;
    if (!a->spec.method)
        a->spec.method = "GET";
    if (!a->spec.body_max)
        a->spec.body_max = 1u << 20;
    assert_int_equal(dv_loop_post(f->loop, &a->task, NULL), 0);
    return dv_queue_pop(a->ended, 4000) != NULL;
}

#define assert_asked(f, a, s, path)                                                          \
    do {                                                                                     \
        assert_true(ask(f, a, s, path));                                                     \
        if ((a)->result < 0)                                                                 \
            fail_msg("%s: %s", davit_code_name((a)->result), davit_error_message((a)->err)); \
    } while (0)

/* registry-v2.md 2: ten requests in all, nine redirects are followed. */
static void request__ends_after_ten_requests(void **state)
{
    fixture *f = *state;
    DV_AUTO(asking) a = {0}, b = {0};
    f->one = script_start(
        (script_row[]){{.request = "GET /nine", .times = 9, .status = 302, .headers = "Location: /nine\r\n"},
                       {.request = "GET /nine", .body = "there"},
                       {.request = "GET /loop", .status = 307, .headers = "Location: /loop\r\n"}},
        3);
    assert_asked(f, &a, f->one, "/nine");
    assert_string_equal(dv_buf_text(&a.response.body), "there");
    assert_false(a.response.left_origin);
    assert_true(ask(f, &b, f->one, "/loop"));
    assert_int_equal(b.result, DAVIT_EPROTOCOL);
    assert_non_null(strstr(davit_error_message(b.err), "stopped after 10 redirects"));
    assert_int_equal(script_count(f->one, "GET /loop", NULL), 10);
}

/* A row that sends on to a path of another script. */
static void redirect_to(script *from, const char *request, int status, const script *to, const char *path)
{
    DV_AUTO(dv_buf) line = DV_BUF_INIT(DV_URL_MAX);
    dv_buf_printf(&line, "Location: http://%s%s\r\n", script_host(to), path);
    script_add(from, &(script_row){.request = request, .status = status, .headers = dv_buf_text(&line)});
}

/* threat A4: another port is another origin; once a hop has left, coming back restores nothing. */
static void request__origin_headers_never_return(void **state)
{
    fixture *f = *state;
    DV_AUTO(asking) a = {0};
    f->one = script_start(
        (script_row[]){{.request = "GET /start", .status = 302, .headers = "Location: /same\r\n"},
                       {.request = "GET /back", .body = "home"}},
        2);
    f->two = script_start(NULL, 0);
    redirect_to(f->one, "GET /same", 307, f->two, "/there");
    redirect_to(f->two, "GET /there", 302, f->one, "/back");
    const unsigned secret = DV_HEADER_ORIGIN_ONLY | DV_HEADER_SECRET;
    assert_int_equal(dv_headers_add(&a.headers, "Authorization", "Bearer t", secret, NULL), 0);
    assert_int_equal(dv_headers_add(&a.headers, "Accept", "a/b", 0, NULL), 0);
    assert_asked(f, &a, f->one, "/start");
    assert_string_equal(dv_buf_text(&a.response.body), "home");
    assert_true(a.response.left_origin && a.response.peer_private && !a.response.through_proxy);
    assert_int_equal(script_count(f->one, "GET /start", "\r\nAuthorization: Bearer t\r\n"), 1);
    assert_int_equal(script_count(f->one, "GET /same", "\r\nAuthorization: Bearer t\r\n"), 1);
    assert_int_equal(script_count(f->two, "GET /there", "uthorization"), 0);
    assert_int_equal(script_count(f->one, "GET /back", "uthorization"), 0);
    assert_int_equal(script_count(f->two, "GET /there", "\r\nAccept: a/b\r\n"), 1);
    assert_int_equal(script_count(f->one, "GET /back", "\r\nUser-Agent: test/1\r\n"), 1);
}

static void request__method_and_body_of_a_post(void **state)
{
    static const struct {
        int status;
        const char *second; /* what the second request begins with */
        const char *with;
    } rows[] = {
        {301, "GET /to", NULL},
        {302, "GET /to", NULL},
        {303, "GET /to", NULL},
        {307, "POST /to", "\r\n\r\nname=x"},
        {308, "POST /to", "\r\n\r\nname=x"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(asking) a = {.spec = {.method = "POST", .body = "name=x", .body_size = 6}};
        script *s = script_start(
            (script_row[]){{.request = "POST /from", .status = rows[i].status, .headers = "Location: /to\r\n"},
                           {.body = "done"}},
            2);
        assert_asked(f, &a, s, "/from");
        if (script_count(s, rows[i].second, rows[i].with) != 1 || script_count(s, "", NULL) != 2)
            fail_msg("%d: no %s%s", rows[i].status, rows[i].second, rows[i].with ? rows[i].with : "");
        if (!rows[i].with)
            assert_int_equal(script_count(s, "GET /to", "name=x"), 0);
        script_stop(s);
    }
}

/* threat A5: what was meant for one origin is not posted to another. */
static void request__a_body_does_not_leave_the_origin(void **state)
{
    fixture *f = *state;
    DV_AUTO(asking) a = {.spec = {.method = "POST", .body = "password=x", .body_size = 10}};
    f->one = script_start(NULL, 0);
    f->two = script_start(NULL, 0);
    redirect_to(f->one, "POST /from", 307, f->two, "/to");
    assert_true(ask(f, &a, f->one, "/from"));
    assert_int_equal(a.result, DAVIT_EPROTOCOL);
    assert_int_equal(script_count(f->two, "", NULL), 0);
}

/* threat C1: the registry's words are read up to a limit, and then they are the answer. */
static void request__an_endless_error_body_is_cut(void **state)
{
    fixture *f = *state;
    DV_AUTO(asking) a = {0};
    f->one = script_start(&(script_row){.status = 404, .body = "no such thing, ", .endless = true}, 1);
    assert_asked(f, &a, f->one, "/x");
    assert_int_equal(a.response.status, 404);
    assert_int_equal(a.response.body.size, DV_ERROR_BODY_MAX);
}

static void request__a_body_over_its_limit_is_too_big(void **state)
{
    fixture *f = *state;
    DV_AUTO(asking)
    a = {.spec = {.body_max = 1000}}, b = {.spec = {.body_max = 1000}}, c = {.spec = {.body_max = 15}};
    f->one =
        script_start((script_row[]){{.request = "GET /endless", .body = "again and again", .endless = true},
                                    {.request = "GET /claims",
                                     .headers = "Content-Length: 99999999999999\r\n",
                                     .body = "short",
                                     .then = SCRIPT_CLOSE},
                                    {.request = "GET /fits", .body = "again and again"}},
                     3);
    assert_true(ask(f, &a, f->one, "/endless"));
    assert_int_equal(a.result, DAVIT_ETOOBIG);
    assert_true(ask(f, &b, f->one, "/claims")); /* nothing is allocated from a claimed size */
    assert_int_equal(b.result, DAVIT_ENETWORK);
    assert_asked(f, &c, f->one, "/fits");
}

/* quirks.md: what is no answer to the question is an error, not a document. */
static void request__a_redirect_without_location_is_an_error(void **state)
{
    fixture *f = *state;
    DV_AUTO(asking) a = {0};
    f->one = script_start(&(script_row){.status = 302, .body = "see elsewhere"}, 1);
    assert_true(ask(f, &a, f->one, "/x"));
    assert_int_equal(a.result, DAVIT_EPROTOCOL);
    assert_non_null(strstr(davit_error_message(a.err), "redirect (302) without a Location"));
}

/* threat A7: whether a hop may go to a private address is decided by where the registry is. */
static void request__a_public_demand_is_not_met_by_a_private_address(void **state)
{
    fixture *f = *state;
    DV_AUTO(asking) a = {.spec = {.deny_private = true}};
    f->one = script_start(&(script_row){.body = "x"}, 1);
    assert_true(ask(f, &a, f->one, "/x"));
    assert_int_equal(a.result, DAVIT_EDENIED);
    assert_int_equal(script_count(f->one, "", NULL), 0);
}

/* threat C9: nobody reads on for ever to be sent elsewhere. */
static void request__an_endless_redirect_body_is_left(void **state)
{
    fixture *f = *state;
    DV_AUTO(asking) a = {0};
    f->one = script_start((script_row[]){{.request = "GET /from",
                                          .status = 302,
                                          .headers = "Location: /to\r\n",
                                          .body = "This page has moved. ",
                                          .endless = true},
                                         {.request = "GET /to", .body = "there"}},
                          2);
    assert_asked(f, &a, f->one, "/from");
    assert_string_equal(dv_buf_text(&a.response.body), "there");
}

#define request_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(redirect_target__resolves_and_upgrades),
        cmocka_unit_test(redirect_target__refuses_what_is_unsafe),
        request_test(request__ends_after_ten_requests),
        request_test(request__origin_headers_never_return),
        request_test(request__method_and_body_of_a_post),
        request_test(request__a_body_does_not_leave_the_origin),
        request_test(request__an_endless_error_body_is_cut),
        request_test(request__a_body_over_its_limit_is_too_big),
        request_test(request__a_redirect_without_location_is_an_error),
        request_test(request__an_endless_redirect_body_is_left),
        request_test(request__a_public_demand_is_not_met_by_a_private_address),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

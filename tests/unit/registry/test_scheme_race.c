/* Unit tests of registry/scheme_race.c: DESIGN section 5, threat A14. */
#include "registry_test.h"

#include "registry/v2_blob.h"

static dv_registry *open_either(fixture *f, const script *s)
{
    return f->registry = open_at(f, s, "https", "/", false);
}

/* The client anew, with a header that counts as a credential. */
static void use_key(fixture *f)
{
    static const char *const headers[] = {"X-Key: secret", NULL};
    davit_client_options options = quick_options();
    options.headers = headers;
    use_options(f, &options);
}

static void race__plain_wins_where_nobody_speaks_tls(void **state)
{
    fixture *f = *state;
    f->one = script_start(ROWS({.body = "here"}));
    use_key(f);
    assert_text(open_either(f, f->one), "v2/app/x", "here");
    assert_text(f->registry, "v2/app/x", "here");
    assert_int_equal(script_greetings(f->one), 1); /* it is known from then on */
    assert_int_equal(script_count(f->one, "GET", NULL), 2);
    /* Without credentials as long as TLS may still win, with them once there is none to wait for. */
    assert_int_equal(script_count(f->one, "GET", "X-Key"), 1);
}

static void race__tls_wins_and_http_is_off(void **state)
{
    fixture *f = *state;
    f->one = script_start_tls(ROWS({.over = SCRIPT_OVER_TLS, .body = "secure"}, {.body = "plain"}), 20);
    use_key(f);
    assert_text(open_either(f, f->one), "v2/app/x", "secure"); /* though the plain answer came first */
    unsigned plain = script_count(f->one, "GET", NULL);
    assert_true(plain <= 1);
    assert_int_equal(script_count(f->one, "GET", "X-Key"), 0);
    assert_text(f->registry, "v2/app/y", "secure");
    assert_int_equal(script_count(f->one, "GET", NULL), plain);
    assert_int_equal(script_count(f->one, "TLS GET", "X-Key"), 2);
}

/* TLS has 100 ms more once the plain answer is there. */
static void race__tls_that_takes_too_long_has_lost(void **state)
{
    fixture *f = *state;
    f->one = script_start_tls(ROWS({.over = SCRIPT_OVER_TLS, .body = "secure"}, {.body = "plain"}), 600);
    uint64_t begin = dv_clock_ms();
    assert_text(open_either(f, f->one), "v2/app/x", "plain");
    uint64_t took = dv_clock_ms() - begin;
    assert_in_range(took, 100, 400);
    assert_text(f->registry, "v2/app/y", "plain");
    assert_int_equal(script_greetings(f->one), 1);
}

/* A plain error is an answer too; TLS is waited for all the same. */
static void race__tls_wins_over_a_plain_error(void **state)
{
    fixture *f = *state;
    f->one = script_start_tls(ROWS({.over = SCRIPT_OVER_TLS, .body = "secure"}, {.status = 400}), 20);
    assert_text(open_either(f, f->one), "v2/app/x", "secure");
}

/* threat A14: once TLS was there, no failure behind it leads back to http. */
static void race__a_tls_that_fails_later_does_not_fall_back(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    f->one = script_start_tls(ROWS({.over = SCRIPT_OVER_TLS, .status = 404},
                                   {.over = SCRIPT_OVER_PLAIN, .body = "plain", .delay_ms = 40}),
                              0);
    DV_AUTOFREE char *text = ask_text(open_either(f, f->one), "v2/app/x", &err);
    assert_null(text);
    assert_int_equal(davit_error_code(err), DAVIT_ENOTFOUND);
    davit_error_free(DV_STEAL(err));
    text = ask_text(f->registry, "v2/app/y", &err);
    assert_null(text);
    assert_int_equal(script_count(f->one, "GET /v2/app/y", NULL), 0);
}

static void race__neither_works(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    f->one = script_start(NULL, 0);
    open_either(f, f->one);
    script_stop(DV_STEAL(f->one));
    DV_AUTOFREE char *text = ask_text(f->registry, "v2/app/x", &err);
    assert_null(text);
    assert_int_equal(davit_error_code(err), DAVIT_ENETWORK);
    assert_int_equal(err->kind, DV_ERROR_TRANSPORT);
    assert_non_null(strstr(davit_error_message(err), "Connection refused"));
}

/* Nothing was decided by a race that failed: the next attempt races again. */
static void race__is_run_again_after_a_failure(void **state)
{
    fixture *f = *state;
    f->one =
        script_start(ROWS({.times = 1, .status = SCRIPT_SILENT, .then = SCRIPT_RESET}, {.body = "here"}));
    assert_text(open_either(f, f->one), "v2/app/x", "here");
    assert_int_equal(script_greetings(f->one), 2);
}

static void race__many_calls_run_one(void **state)
{
    enum { THREADS = 8 };
    fixture *f = *state;
    asker askers[THREADS];
    f->one = script_start(ROWS({.times = 1, .body = "here", .delay_ms = 60}, {.body = "here"}));
    open_either(f, f->one);
    for (size_t i = 0; i < THREADS; i++)
        asker_start(&askers[i], f->registry, "v2/app/x");
    for (size_t i = 0; i < THREADS; i++) {
        asker_join(&askers[i]);
        if (askers[i].result < 0)
            fail_msg("%s", davit_error_message(askers[i].err));
        asker_clear(&askers[i]);
    }
    assert_int_equal(script_greetings(f->one), 1);
    assert_int_equal(script_count(f->one, "GET", NULL), THREADS);
}

/* Two registries of one client on the same host: what one learnt the other knows. */
static void race__a_host_is_known_to_the_whole_client(void **state)
{
    fixture *f = *state;
    f->one = script_start(ROWS({.body = "here"}));
    dv_registry *other = open_at(f, f->one, "https", "/", false);
    assert_text(open_either(f, f->one), "v2/app/x", "here");
    assert_text(other, "v2/app/x", "here");
    dv_registry_close(other);
    assert_int_equal(script_greetings(f->one), 1);
}

/* A mirror's URL has a scheme, which somebody wrote: insecure says only that its certificate is not verified. */
static void race__a_mirror_keeps_its_scheme(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(davit_error) err = NULL;
    f->one = script_start(ROWS({.body = "plain"}));
    f->registry = open_at(f, f->one, "https", "/", /* mirror= */ true);
    DV_AUTOFREE char *text = ask_text(f->registry, "v2/app/x", &err);
    assert_null(text);
    assert_int_equal(davit_error_code(err), DAVIT_ETLS);
    assert_int_equal(script_count(f->one, "GET", NULL), 0);
    dv_registry_close(DV_STEAL(f->registry));
    script_stop(DV_STEAL(f->one));

    f->one = script_start_tls(ROWS({.over = SCRIPT_OVER_TLS, .body = "secure"}, {.body = "plain"}), 20);
    f->registry = open_at(f, f->one, "https", "/", /* mirror= */ true);
    assert_text(f->registry, "v2/app/x", "secure");
    assert_int_equal(script_count(f->one, "GET", NULL), 0);
}

static void race__basic_over_plain_once_plain_has_won(void **state)
{
    fixture *f = *state;
    f->one = script_start(
        ROWS({.without = "uthorization", .status = 401, .headers = "WWW-Authenticate: Basic realm=\"r\"\r\n"},
             {.body = "in"}));
    use_credentials(f, f->one, "\"username\":\"u\",\"password\":\"p\"");
    assert_text(open_either(f, f->one), "v2/app/x", "in");
    assert_int_equal(script_count(f->one, "GET", NULL), 2);
    assert_int_equal(script_count(f->one, "GET", "\r\nAuthorization: Basic dTpw\r\n"), 1);
}

/* --- on the loop -------------------------------------------------------------------------------------------------- */

typedef struct two_calls {
    dv_task start, cancel;
    dv_registry *registry;
    dv_call *calls[2];
    int results[2]; /* 1: not ended */
    dv_queue *ended;
    dv_node end;
} two_calls;

static void second_done(void *user, int r, dv_response *response, davit_error *err)
{
    two_calls *t = user;
    t->results[1] = r;
    davit_error_free(err);
    dv_queue_push(t->ended, &t->end);
}

static void first_done(void *user, int r, dv_response *response, davit_error *err)
{
    ((two_calls *)user)->results[0] = r;
    davit_error_free(err);
}

static void start_two(dv_task *task)
{
    static const dv_call_handler handlers[] = {{.on_done = first_done}, {.on_done = second_done}};
    two_calls *t = (two_calls *)((char *)task - offsetof(two_calls, start));
    for (size_t i = 0; i < 2; i++) {
        const dv_call_spec spec = {.method = "GET",
                                   .path = i ? "v2/app/second" : "v2/app/first",
                                   .body_max = 99,
                                   .handler = &handlers[i],
                                   .user = t};
        t->results[i] = dv_call_start(t->registry, &spec, &t->calls[i], NULL) < 0 ? DAVIT_ENOMEM : 1;
    }
}

static void cancel_first(dv_task *task)
{
    two_calls *t = (two_calls *)((char *)task - offsetof(two_calls, cancel));
    dv_call_cancel(t->calls[0]);
}

/* Whoever runs the race may leave; those who wait for it go on. */
static void race__the_next_takes_over_when_the_first_is_cancelled(void **state)
{
    fixture *f = *state;
    f->one = script_start(ROWS({.request = "GET /v2/app/first", .status = SCRIPT_SILENT, .then = SCRIPT_HOLD},
                               {.body = "here"}));
    two_calls t = {.start.run = start_two,
                   .cancel.run = cancel_first,
                   .registry = open_either(f, f->one),
                   .ended = dv_queue_new()};
    assert_int_equal(dv_loop_post(f->client->loop, &t.start, NULL), 0);
    assert_true(script_wait(f->one, "GET /v2/app/first", 1, 4000));
    assert_null(dv_queue_pop(t.ended, 20)); /* the second waits */
    assert_int_equal(script_count(f->one, "GET /v2/app/second", NULL), 0);
    dv_loop_post_again(f->client->loop, &t.cancel);
    assert_non_null(dv_queue_pop(t.ended, 4000));
    dv_queue_free(t.ended);
    assert_int_equal(t.results[0], 1);
    assert_int_equal(t.results[1], 0);
}

/* --- what is streamed cannot be asked twice --------------------------------------------------------------------------- */

typedef struct download {
    dv_task start;
    dv_registry *registry;
    davit_digest digest;
    dv_blob_get *get;
    dv_buf bytes;
    int result;
    dv_queue *ended;
    dv_node end;
} download;

static int blob_answer(void *user, dv_range_answer answer, uint64_t length, davit_error **err)
{
    return 0;
}

static int blob_body(void *user, const void *bytes, size_t size, davit_error **err)
{
    dv_buf_append(&((download *)user)->bytes, bytes, size);
    return 0;
}

static void blob_done(void *user, int r, bool refused, davit_error *err)
{
    download *d = user;
    d->result = r;
    davit_error_free(err);
    dv_queue_push(d->ended, &d->end);
}

static void start_download(dv_task *task)
{
    static const dv_blob_handler handler = {blob_answer, blob_body, blob_done};
    download *d = (download *)task;
    d->result =
        dv_blob_get_start(d->registry, &d->digest, 4, false, &(dv_blob_range){0}, &handler, d, &d->get, NULL);
    if (d->result < 0)
        dv_queue_push(d->ended, &d->end);
}

static void race__a_blob_is_preceded_by_a_ping(void **state)
{
    static const char *const pings[] = {"GET /v2/ HTTP", "GET /v2/ "};
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(pings); i++) {
        const davit_client_options options = quick_options();
        use_options(f, &options); /* knows nothing of the host yet */
        script *s = script_start(ROWS({.request = "GET /v2/ HTTP", .status = i ? 404 : 200},
                                      {.request = "GET /v2/app/blobs/", .body = "blob"}));
        download d = {.start.run = start_download,
                      .registry = open_either(f, s),
                      .bytes = DV_BUF_INIT(99),
                      .ended = dv_queue_new()};
        assert_int_equal(davit_digest_of(DAVIT_SHA256, "blob", 4, &d.digest, NULL), 0);
        assert_int_equal(dv_loop_post(f->client->loop, &d.start, NULL), 0);
        assert_non_null(dv_queue_pop(d.ended, 4000));
        assert_int_equal(d.result, 0);
        assert_string_equal(dv_buf_text(&d.bytes), "blob");
        assert_int_equal(script_count(s, pings[i], NULL), 1);
        assert_int_equal(script_count(s, "GET /v2/app/blobs/sha256:", NULL), 1);
        dv_buf_clear(&d.bytes);
        dv_queue_free(d.ended);
        dv_registry_close(DV_STEAL(f->registry));
        script_stop(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        client_test(race__plain_wins_where_nobody_speaks_tls),
        client_test(race__tls_wins_and_http_is_off),
        client_test(race__tls_that_takes_too_long_has_lost),
        client_test(race__tls_wins_over_a_plain_error),
        client_test(race__a_tls_that_fails_later_does_not_fall_back),
        client_test(race__neither_works),
        client_test(race__is_run_again_after_a_failure),
        client_test(race__many_calls_run_one),
        client_test(race__a_host_is_known_to_the_whole_client),
        client_test(race__a_mirror_keeps_its_scheme),
        client_test(race__basic_over_plain_once_plain_has_won),
        client_test(race__the_next_takes_over_when_the_first_is_cancelled),
        client_test(race__a_blob_is_preceded_by_a_ping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

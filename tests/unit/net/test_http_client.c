/* Unit tests of net/http_client.c: limits on headers, framing and every wait (threats C1, C8, C9), pausing, and the end. */
#include "net/http_client.h"

#include "../../support/http_script.h"
#include "util/clock.h"
#include "util/str.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define LIMIT_MS 150

/* One exchange of a loop and client of its own. */
typedef struct talk {
    dv_loop *loop;
    dv_http_client http;
    dv_task start, resume, cancel;
    dv_url url;
    dv_headers headers;
    dv_exchange *exchange;
    bool pause_once, blob, connected;
    dv_body *source;
    const void *sent; /* in its place */
    size_t sent_size;
    dv_queue *ended;
    dv_node end, head;
    int status, result;
    char reason[64];
    dv_buf body;
    davit_error *err;
} talk;

static void on_connected(void *user)
{
    ((talk *)user)->connected = true;
}

static int on_head(void *user, int status, const char *reason, const dv_headers *headers, davit_error **err)
{
    talk *t = user;
    t->status = status;
    snprintf(t->reason, sizeof(t->reason), "%s", reason);
    dv_queue_push(t->ended, &t->head);
    return 0;
}

static int on_body(void *user, const void *bytes, size_t size, davit_error **err)
{
    talk *t = user;
    if (t->pause_once) {
        t->pause_once = false;
        return DV_HTTP_PAUSE;
    }
    dv_buf_append(&t->body, bytes, size);
    return 0;
}

static void on_done(void *user, int r, davit_error *err)
{
    talk *t = user;
    t->exchange = NULL;
    t->result = r;
    t->err = err;
    dv_queue_push(t->ended, &t->end);
}

static const dv_exchange_handler handler = {on_connected, on_head, on_body, on_done};

static void run_start(dv_task *task)
{
    talk *t = (talk *)((char *)task - offsetof(talk, start));
    const dv_exchange_spec spec = {.method = t->source || t->sent ? "PUT" : "GET",
                                   .source = t->source,
                                   .body = t->sent,
                                   .body_size = t->sent_size,
                                   .url = &t->url,
                                   .headers = &t->headers,
                                   .http1_only = t->blob,
                                   .decode = !t->blob,
                                   .handler = &handler,
                                   .user = t};
    t->result = dv_exchange_start(&t->http, &spec, &t->exchange, &t->err);
    if (t->result < 0)
        dv_queue_push(t->ended, &t->end);
}

static void run_resume(dv_task *task)
{
    talk *t = (talk *)((char *)task - offsetof(talk, resume));
    if (t->exchange)
        dv_exchange_resume(t->exchange);
}

static void run_cancel(dv_task *task)
{
    talk *t = (talk *)((char *)task - offsetof(talk, cancel));
    dv_exchange_cancel(t->exchange);
    t->exchange = NULL;
}

static void talk_begin(talk *t, const char *host)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_URL_MAX);
    dv_buf_printf(&text, "http://%s/x", host);
    assert_int_equal(dv_loop_new(&t->loop, NULL), 0);
    assert_int_equal(dv_url_parse(dv_buf_text(&text), &t->url, NULL), 0);
    t->http.loop = t->loop;
    if (!t->http.limits.stall_timeout_ms)
        t->http.limits = (dv_http_limits){.connect_timeout_ms = 5000,
                                          .first_byte_timeout_ms = 5000,
                                          .stall_timeout_ms = 5000,
                                          .min_rate = 1,
                                          .min_rate_window_ms = 5000};
    t->http.user_agent = dv_strdup("test/1");
    t->start.run = run_start;
    t->resume.run = run_resume;
    t->cancel.run = run_cancel;
    t->ended = dv_queue_new();
    t->body = (dv_buf)DV_BUF_INIT(1u << 20);
    assert_int_equal(dv_loop_post(t->loop, &t->start, NULL), 0);
}

/* Whether it ended in time. */
static bool talk_wait(talk *t)
{
    dv_node *node = dv_queue_pop(t->ended, 4000);
    if (node == &t->head)
        node = dv_queue_pop(t->ended, 4000);
    return node == &t->end;
}

static void talk_clear(talk *t)
{
    dv_loop_free(t->loop);
    dv_http_client_clear(&t->http);
    dv_url_clear(&t->url);
    dv_headers_clear(&t->headers);
    dv_buf_clear(&t->body);
    davit_error_free(t->err);
    while (t->ended && dv_queue_pop(t->ended, 0))
        ;
    dv_queue_free(t->ended);
}
DV_DEFINE_AUTO(talk, talk_clear)

/* A server that answers with exactly these bytes. */
static script *raw_server(const char *bytes)
{
    return script_start(&(script_row){.raw = true, .body = bytes, .then = SCRIPT_CLOSE}, 1);
}

typedef struct framing_row {
    const char *answer;
    int expected;
    const char *words; /* in the message, or the body */
} framing_row;

/* threat C8: what two readers could understand differently is an error. */
static void exchange__framing(void **state)
{
    static const framing_row rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 0, "hi"},
        {"HTTP/1.0 200 OK\r\n\r\nhi", 0, "hi"},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 0, "hi"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", 0, "hi"},
        {"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi", 0, "hi"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nhi", DAVIT_EPROTOCOL,
         "contradictory framing"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nhi!", DAVIT_EPROTOCOL, ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
         DAVIT_EPROTOCOL, "contradictory framing"},
        {"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nhi", DAVIT_EPROTOCOL, ""},
        {"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nhi", DAVIT_EPROTOCOL, ""},
        {"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 2\r\n\r\nhi", DAVIT_EPROTOCOL, "folded"},
        {"HTTP/1.1 200 OK\r\nno colon here\r\nContent-Length: 2\r\n\r\nhi", DAVIT_EPROTOCOL, "eader"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhi\r\n0\r\n\r\n", DAVIT_ENETWORK, ""},
        {"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\nhi", DAVIT_EPROTOCOL,
         "Content-Encoding"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhi", DAVIT_ENETWORK, "ended early"},
        {"HTTP/1.1 200 OK\r\nContent-Le", DAVIT_ENETWORK, "ended early"},
        {"HTTP/1.1 100 Continue\r\n\r\n", DAVIT_ENETWORK, "ended early"},
        {"", DAVIT_ENETWORK, "ended early"},
        {"SSH-2.0-OpenSSH_9.2\r\n", DAVIT_EPROTOCOL, ""},
        {"HTTP/1.1 2x0 OK\r\n\r\n", DAVIT_EPROTOCOL, ""},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(talk) t = {0};
        script *s = raw_server(rows[i].answer);
        talk_begin(&t, script_host(s));
        bool ended = talk_wait(&t);
        const char *got = t.result < 0 ? davit_error_message(t.err) : dv_buf_text(&t.body);
        script_stop(s);
        if (!ended || t.result != rows[i].expected || !strstr(got, rows[i].words))
            fail_msg("%s: expected %s %s, got %s %s", rows[i].answer, davit_code_name(rows[i].expected),
                     rows[i].words, ended ? davit_code_name(t.result) : "no end", got);
    }
}

/* threat C1 */
static void exchange__headers_have_a_ceiling(void **state)
{
    static const struct {
        size_t lines, length;
        int expected;
    } rows[] = {
        {1, 16000, 0},
        {1, 17000, DAVIT_ETOOBIG},
        {600, 100, 0},
        {700, 100, DAVIT_ETOOBIG},
        {5000, 100, DAVIT_ETOOBIG},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(talk) t = {0};
        DV_AUTO(dv_buf) answer = DV_BUF_INIT(1u << 20);
        dv_buf_puts(&answer, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n");
        for (size_t k = 0; k < rows[i].lines; k++)
            dv_buf_printf(&answer, "A: %0*u\r\n", (int)rows[i].length - 5, 1u);
        dv_buf_puts(&answer, "\r\n");
        script *s = raw_server(dv_buf_text(&answer));
        talk_begin(&t, script_host(s));
        bool ended = talk_wait(&t);
        script_stop(s);
        if (!ended || t.result != rows[i].expected)
            fail_msg("%zu lines of %zu: expected %s, got %s (%s)", rows[i].lines, rows[i].length,
                     davit_code_name(rows[i].expected), davit_code_name(t.result),
                     davit_error_message(t.err));
    }
}

/* threat C9: each wait has its limit, and the message says which. */
static void exchange__every_wait_ends(void **state)
{
    static const struct {
        const char *what;
        script_row row;
        dv_http_limits limits;
        const char *words;
    } rows[] = {
        {"no answer",
         {.status = SCRIPT_SILENT, .then = SCRIPT_HOLD},
         {5000, LIMIT_MS, 5000, 1, 5000},
         "no answer within 0.15 s"},
        {"silence in the body",
         {.body = "first and second", .cut = 5, .then = SCRIPT_HOLD},
         {5000, 5000, LIMIT_MS, 1, 5000},
         "not a byte within 0.15 s"},
        {"drip",
         {.body = "x", .endless = true, .drip_ms = 10},
         {5000, 5000, 5000, 1000, LIMIT_MS},
         "within 0.15 s"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(talk) t = {.http.limits = rows[i].limits};
        script *s = script_start(&rows[i].row, 1);
        uint64_t begin = dv_clock_ms();
        talk_begin(&t, script_host(s));
        bool ended = talk_wait(&t);
        uint64_t took = dv_clock_ms() - begin;
        script_stop(s);
        if (!ended || t.result != DAVIT_ETIMEOUT || t.err->kind != DV_ERROR_TRANSPORT ||
            !strstr(davit_error_message(t.err), rows[i].words) || took < LIMIT_MS || took > 10 * LIMIT_MS)
            fail_msg("%s: expected \"%s\", got %s \"%s\" after %u ms", rows[i].what, rows[i].words,
                     davit_code_name(t.result), davit_error_message(t.err), (unsigned)took);
    }
}

static void exchange__nobody_listens_or_resets(void **state)
{
    DV_AUTO(talk) refused = {0}, reset = {0};
    char host[32];
    script *s = script_start(NULL, 0);
    snprintf(host, sizeof(host), "%s", script_host(s));
    script_stop(s);
    talk_begin(&refused, host);
    assert_true(talk_wait(&refused));
    assert_int_equal(refused.result, DAVIT_ENETWORK);
    assert_non_null(strstr(davit_error_message(refused.err), "Connection refused"));
    assert_int_equal(refused.err->kind, DV_ERROR_TRANSPORT);
    assert_false(refused.connected);
    s = script_start(&(script_row){.body = "first and second", .cut = 5, .then = SCRIPT_RESET}, 1);
    talk_begin(&reset, script_host(s));
    assert_true(talk_wait(&reset));
    script_stop(s);
    assert_int_equal(reset.result, DAVIT_ENETWORK);
    assert_true(reset.connected);
}

/* While we are the slow ones no limit runs, and no byte is lost. */
static void exchange__a_pause_has_no_limit(void **state)
{
    DV_AUTO(talk) t = {.http.limits = {5000, 5000, LIMIT_MS, 1000, LIMIT_MS}, .pause_once = true};
    script *s = script_start(&(script_row){.body = "every byte of it", .drip_ms = 1, .drip_size = 4}, 1);
    talk_begin(&t, script_host(s));
    assert_ptr_equal(dv_queue_pop(t.ended, 4000), &t.head);
    assert_null(dv_queue_pop(t.ended, 3 * LIMIT_MS));
    dv_loop_post_again(t.loop, &t.resume);
    assert_true(talk_wait(&t));
    assert_int_equal(t.result, 0);
    assert_string_equal(dv_buf_text(&t.body), "every byte of it");
    assert_string_equal(t.reason, "Scripted");
    script_stop(s);
}

/* quirks.md: registry.redhat.io codes documents unasked; a blob's bytes are never decoded (moby/moby#17595). */
static void exchange__decodes_documents_and_never_blobs(void **state)
{
    static const unsigned char gzip[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03, 0xcb,
                                         0xc8, 0x04, 0x00, 0xac, 0x2a, 0x93, 0xd8, 0x02, 0x00, 0x00, 0x00};
    static const struct {
        const char *coding;
        bool blob, decoded;
    } rows[] = {{"gzip", false, true},
                {"x-gzip", false, true},
                {"gzip", true, false},
                {"x-gzip", true, false},
                {"br", true, false}};
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(talk) t = {.blob = rows[i].blob};
        char line[64];
        snprintf(line, sizeof(line), "Content-Encoding: %s\r\n", rows[i].coding);
        script *s = script_start(&(script_row){.headers = line, .body = gzip, .size = sizeof(gzip)}, 1);
        talk_begin(&t, script_host(s));
        bool ended = talk_wait(&t);
        script_stop(s);
        bool same = rows[i].decoded
                        ? strcmp(dv_buf_text(&t.body), "hi") == 0
                        : t.body.size == sizeof(gzip) && memcmp(t.body.data, gzip, sizeof(gzip)) == 0;
        if (!ended || t.result != 0 || !same)
            fail_msg("%s, %s: %s, %zu bytes", rows[i].coding, rows[i].blob ? "blob" : "document",
                     davit_error_message(t.err), t.body.size);
    }
}

static void exchange_cancel__no_callback_follows(void **state)
{
    DV_AUTO(talk) t = {0};
    script *s = script_start(&(script_row){.body = "first and second", .cut = 5, .then = SCRIPT_HOLD}, 1);
    talk_begin(&t, script_host(s));
    assert_ptr_equal(dv_queue_pop(t.ended, 4000), &t.head);
    dv_loop_post_again(t.loop, &t.cancel);
    dv_loop_barrier(t.loop);
    script_release(s);
    assert_null(dv_queue_pop(t.ended, 50));
    script_stop(s);
}

/* --- sending -------------------------------------------------------------------------------------------------------- */

#define TURN_MS 20
#define LATE_MS 100 /* a quarter of the limits */

/* A peer that takes `rate` bytes each turn (0: none), then answers. */
typedef struct slow_peer {
    pthread_t thread;
    int listener, peer;
    char host[32];
    size_t expect, rate;
    uint64_t longest_turn_ms; /* what the machine made of them */
    atomic_bool stop;
} slow_peer;

static void *take_slowly(void *arg)
{
    static const char answer[] = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
    slow_peer *p = arg;
    size_t got = 0;
    char *bytes = malloc(p->rate + 1);
    p->peer = accept(p->listener, NULL, NULL);
    for (uint64_t now, before = dv_clock_ms(); bytes && !atomic_load(&p->stop) && got < p->expect;
         before = now) {
        dv_sleep_ms(TURN_MS);
        ssize_t n = p->rate ? recv(p->peer, bytes, p->rate, MSG_DONTWAIT) : 0;
        got += n > 0 ? (size_t)n : 0;
        now = dv_clock_ms();
        if (now - before > p->longest_turn_ms)
            p->longest_turn_ms = now - before;
    }
    if (got >= p->expect)
        assert_true(send(p->peer, answer, sizeof(answer) - 1, MSG_NOSIGNAL) > 0);
    free(bytes);
    return NULL;
}

/* window: bytes that its kernel takes ahead. */
static void slow_peer_start(slow_peer *p, size_t expect, size_t rate, int window)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    *p = (slow_peer){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0),
                     .peer = -1,
                     .expect = expect,
                     .rate = rate};
    setsockopt(p->listener, SOL_SOCKET, SO_RCVBUF, &window, sizeof(window));
    assert_int_equal(bind(p->listener, (struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(p->listener, 4), 0);
    assert_int_equal(getsockname(p->listener, (struct sockaddr *)&at, &size), 0);
    snprintf(p->host, sizeof(p->host), "127.0.0.1:%u", ntohs(at.sin_port));
    assert_int_equal(pthread_create(&p->thread, NULL, take_slowly, p), 0);
}

static void slow_peer_stop(slow_peer *p)
{
    atomic_store(&p->stop, true);
    pthread_join(p->thread, NULL);
    close(p->peer);
    close(p->listener);
}

typedef struct sending_row {
    const char *what;
    size_t size, rate;
    int code;
    const char *words;
    int window;        /* 0: 32 KiB */
    uint32_t min_rate; /* 0: 1 byte/s */
    bool whole;        /* the body is no source, but given whole */
} sending_row;

/* Whether it went as it should. out_late: if not, that says nothing, since the peer was late itself. */
static bool send_slowly(const sending_row *row, bool *out_late)
{
    slow_peer p;
    DV_AUTO(talk) t = {0};
    dv_memory_body body;
    DV_AUTOFREE char *bytes = calloc(1, row->size);
    dv_memory_body_init(&body, bytes, row->size);
    t.source = row->whole ? NULL : &body.body;
    t.sent = row->whole ? bytes : NULL;
    t.sent_size = row->size;
    t.http.limits = (dv_http_limits){.connect_timeout_ms = 2000,
                                     .first_byte_timeout_ms = 400,
                                     .stall_timeout_ms = 400,
                                     .min_rate = row->min_rate ? row->min_rate : 1,
                                     .min_rate_window_ms = row->min_rate ? 600 : 5000};
    slow_peer_start(&p, row->size + (strstr(row->words, "no answer") ? 1u << 20 : 0), row->rate,
                    row->window ? row->window : 32 << 10);
    talk_begin(&t, p.host);
    bool ended = talk_wait(&t);
    slow_peer_stop(&p);
    bool right = ended && t.result == row->code && (t.result < 0 || t.status == 201) &&
                 strstr(davit_error_message(t.err), row->words);
    if (!right)
        print_message("%s: %s %s, status %d; a turn of the peer took up to %u ms\n", row->what,
                      ended ? davit_code_name(t.result) : "no end", davit_error_message(t.err), t.status,
                      (unsigned)p.longest_turn_ms);
    *out_late = p.longest_turn_ms > LATE_MS;
    return right;
}

static void exchange__waits_while_sending(void **state)
{
    static const sending_row rows[] = {
        {"a peer that takes nothing", 16u << 20, 0, DAVIT_ETIMEOUT, "silence: not a byte"},
        /* All of it is in the kernel at once, and takes three times the limit from there. */
        {"a slow link", 600u << 10, 20u << 10, 0, ""},
        /* One piece that libcurl reads takes three times the limit, and the last one too. */
        {"a slower link", 240u << 10, 2u << 10, 0, "", 4 << 10},
        {"too slow a link", 240u << 10, 1u << 10, DAVIT_ETIMEOUT, "not the lowest rate", 4 << 10, 100000},
        {"a peer that stops within the last piece", 100u << 10, 0, DAVIT_ETIMEOUT, "silence: not a byte",
         4 << 10},
        {"a peer that has taken all and says nothing", 10, 1, DAVIT_ETIMEOUT, "no answer"},
        {"a whole body over a slow link", 100u << 10, 2u << 10, 0, "", 4 << 10, .whole = true},
        {"a whole body and no answer", 10, 1, DAVIT_ETIMEOUT, "no answer", .whole = true},
        {"a larger one and no answer", 100u << 10, 1u << 20, DAVIT_ETIMEOUT, "no answer", 4 << 10,
         .whole = true},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        bool right = false, late = true;
        for (unsigned tries = 0; !right && late && tries < 10; tries++)
            right = send_slowly(&rows[i], &late);
        assert_true(right);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exchange__framing),
        cmocka_unit_test(exchange__headers_have_a_ceiling),
        cmocka_unit_test(exchange__every_wait_ends),
        cmocka_unit_test(exchange__nobody_listens_or_resets),
        cmocka_unit_test(exchange__a_pause_has_no_limit),
        cmocka_unit_test(exchange__decodes_documents_and_never_blobs),
        cmocka_unit_test(exchange_cancel__no_callback_follows),
        cmocka_unit_test(exchange__waits_while_sending),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * net/http_client.c - see http_client.h.
 *
 * States of an exchange: connecting (libcurl's connect timeout), sending a body (stall and rate limits), waiting (request sent, no
 * byte yet: first-byte limit), receiving (stall and rate limits), paused (no limit: we are the slow ones). The watchdog timer
 * knows which one.
 *
 * What counts as sent is what the peer has acknowledged, as the kernel tells: libcurl reads pieces of 128 KiB and the kernel keeps as many
 * bytes, so over a slow link one piece may take longer than any limit though bytes go out all the time.
 */
#include "net/http_client.h"

#include "net/address.h"
#include "net/loop_internal.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/str.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define BUFFER_SMALL (16L << 10) /* of each of several ranges, and of documents */
#define BUFFER_LARGE (128L << 10)
#define BUFFER_UPLOAD (128L << 10)
#define BUFFER_UPLOAD_SMALL (16L << 10) /* of bodies under 1 MiB, of which many are under way at once */
/*
 * Bytes of a body that the kernel may hold back. Left to itself it takes megabytes, which go out for longer over a slow link than an
 * answer may take, with nobody who sees that they do.
 */
#define UNSENT_MAX (128 << 10)
/* How often the kernel is asked what it still has to send; an eighth of the limits, when these are short. */
#define LOOK_MAX_MS 1000
/* A larger body waits for the registry's word (100 Continue): a refusal then costs no more than the round trip. */
#define EXPECT_MIN (16u << 20)

typedef enum exchange_state {
    STATE_CONNECTING,
    STATE_SENDING,
    STATE_WAITING,
    STATE_RECEIVING
} exchange_state;

struct dv_exchange {
    dv_loop_transfer transfer; /* first: what libcurl's handle points at */
    dv_http_client *client;
    const dv_exchange_handler *handler;
    void *user;
    CURL *easy;
    struct curl_slist *lines;
    char *host;
    davit_tls_config *tls;
    dv_tls_session *tls_session; /* NULL: nothing of its own */
    dv_tls_shown tls_shown;
    exchange_state state;
    dv_body *source;
    uint64_t source_at; /* where the body began */
    size_t body_size;   /* of one that is no source */
    uint64_t taken;     /* bytes of the body that the peer has acknowledged */
    int socket;    /* over which the body goes; -1: not known, and then what libcurl read counts as sent */
    bool all_read; /* what is left of the body is in libcurl or the kernel */
    uint32_t answer_limit_ms;
    bool once; /* no second time for what went out of source */
    bool large, paused, read_paused, cookies, head_done, decode, deny_private, denied, proxied;
    int result; /* negative: why a callback ended it */
    davit_error *err;
    int status;
    char reason[64];
    dv_headers headers;
    size_t header_bytes;
    dv_timer watchdog;
    uint64_t last_ms; /* of the last byte, or of the state's begin */
    uint64_t window_ms, window_bytes;
    char curl_error[CURL_ERROR_SIZE];
};

static void exchange_free(dv_exchange *x)
{
    dv_http_client *c = x->client;
    dv_timer_stop(&x->watchdog);
    if (x->source)
        x->source->on_wake = NULL;
    if (x->easy) {
        curl_multi_remove_handle(dv_loop_multi(c->loop), x->easy);
        if (!x->large && !x->cookies && c->idle_count < DV_COUNT(c->idle)) {
            curl_easy_reset(x->easy);
            c->idle[c->idle_count++] = x->easy;
        } else {
            curl_easy_cleanup(x->easy); /* a large one would keep its buffer, another its cookies */
        }
    }
    for (struct curl_slist *l = x->lines; l; l = l->next)
        explicit_bzero(l->data, strlen(l->data)); /* Authorization is among them */
    curl_slist_free_all(x->lines);
    dv_headers_clear(&x->headers);
    davit_error_free(x->err);
    dv_tls_session_unref(x->tls_session);
    davit_tls_config_free(x->tls);
    free(x->host);
    free(x);
}

void dv_http_client_clear(dv_http_client *c)
{
    while (c->idle_count > 0)
        curl_easy_cleanup(c->idle[--c->idle_count]);
    dv_socket_set_clear(&c->sockets);
    free(c->user_agent);
    free(c->ca_file);
    dv_tls_roots_free(c->roots);
    dv_proxy_config_free(c->proxies);
}

/* A dv_cookies is what libcurl calls a share: handles that have it see the same cookies. */
dv_cookies *dv_cookies_new(void)
{
    CURLSH *share = curl_share_init();
    if (share && curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_COOKIE) != CURLSHE_OK) {
        curl_share_cleanup(share);
        share = NULL;
    }
    return (dv_cookies *)share;
}

void dv_cookies_free(dv_cookies *cookies)
{
    if (cookies)
        curl_share_cleanup((CURLSH *)cookies);
}

/* --- the waits ------------------------------------------------------------------------------------------------- */

static void finish(dv_exchange *x, int r, davit_error *err)
{
    const dv_exchange_handler *handler = x->handler;
    void *user = x->user;
    exchange_free(x);
    handler->on_done(user, r, err);
}

static void fail_wait(dv_exchange *x, const char *what, uint32_t limit_ms)
{
    davit_error *err = NULL;
    int r = dv_error_set(&err, DAVIT_ETIMEOUT, "%s: %s within %.3g s", x->host, what, limit_ms / 1000.0);
    if (davit_error_code(err) != DAVIT_ENOMEM)
        err->kind = DV_ERROR_TRANSPORT;
    finish(x, r, err);
}

static bool is_measured(const dv_exchange *x)
{
    return x->socket >= 0;
}

/* What went out since the last look; true when nothing of the body is left here. */
static bool note_sent(dv_exchange *x, uint64_t now)
{
    curl_off_t given = 0; /* to the kernel */
    int64_t held;
    if (!is_measured(x))
        return false;
    held = dv_socket_held(x->socket);
    if (held < 0 || curl_easy_getinfo(x->easy, CURLINFO_SIZE_UPLOAD_T, &given) != CURLE_OK) {
        x->socket = -1;
        x->last_ms = now;
        return x->all_read;
    }
    uint64_t taken = given > held ? (uint64_t)(given - held) : 0; /* TLS makes a little more of it */
    if (taken > x->taken) {
        x->window_bytes += taken - x->taken;
        x->taken = taken;
        x->last_ms = now;
    }
    uint64_t size = x->source ? x->source->at - x->source_at : x->body_size;
    return x->all_read && held == 0 && (uint64_t)given >= size;
}

static uint64_t look_ms(const dv_exchange *x)
{
    uint64_t stall = x->client->limits.stall_timeout_ms;
    uint64_t ms = (stall < x->answer_limit_ms ? stall : x->answer_limit_ms) / 8;
    return ms < LOOK_MAX_MS ? ms : LOOK_MAX_MS;
}

static void watch(dv_timer *timer)
{
    dv_exchange *x = (dv_exchange *)((char *)timer - offsetof(dv_exchange, watchdog));
    const dv_http_limits *limits = &x->client->limits;
    uint64_t now = dv_loop_now_ms(x->client->loop);
    uint64_t next = limits->stall_timeout_ms;
    if (x->state == STATE_SENDING && !x->read_paused && note_sent(x, now))
        x->state = STATE_WAITING; /* since the last bytes were taken */
    if (x->state == STATE_WAITING) {
        uint64_t until = x->last_ms + x->answer_limit_ms;
        if (now >= until) {
            fail_wait(x, "no answer", x->answer_limit_ms);
            return;
        }
        next = until - now;
    } else if ((x->state == STATE_RECEIVING && !x->paused) || (x->state == STATE_SENDING && !x->read_paused)) {
        uint64_t until = x->last_ms + limits->stall_timeout_ms;
        if (now >= until) {
            fail_wait(x, "silence: not a byte", limits->stall_timeout_ms);
            return;
        }
        next = until - now;
        uint64_t window_end = x->window_ms + limits->min_rate_window_ms;
        if (now >= window_end) {
            if (x->window_bytes < (uint64_t)limits->min_rate * limits->min_rate_window_ms / 1000) {
                fail_wait(x, "too slow: not the lowest rate", limits->min_rate_window_ms);
                return;
            }
            x->window_ms = now;
            x->window_bytes = 0;
            window_end = now + limits->min_rate_window_ms;
        }
        if (window_end - now < next)
            next = window_end - now;
        if (x->state == STATE_SENDING && is_measured(x) && look_ms(x) < next)
            next = look_ms(x);
    }
    dv_timer_start(x->client->loop, &x->watchdog, next ? next : 1);
}

static void enter(dv_exchange *x, exchange_state state)
{
    const dv_http_limits *limits = &x->client->limits;
    x->state = state;
    x->last_ms = x->window_ms = dv_clock_ms();
    x->window_bytes = 0;
    uint64_t limit = state == STATE_WAITING ? x->answer_limit_ms : limits->stall_timeout_ms;
    if (limits->min_rate_window_ms < limit && (state == STATE_RECEIVING || state == STATE_SENDING))
        limit = limits->min_rate_window_ms;
    if (state == STATE_SENDING && is_measured(x) && look_ms(x) < limit)
        limit = look_ms(x);
    dv_timer_start(x->client->loop, &x->watchdog, limit);
}

static void received(dv_exchange *x, size_t size)
{
    if (x->state != STATE_RECEIVING)
        enter(x, STATE_RECEIVING);
    x->last_ms = dv_loop_now_ms(x->client->loop);
    x->window_bytes += size;
}

/* --- libcurl's callbacks ------------------------------------------------------------------------------------------- */

static int on_prerequest(void *user, char *remote, char *local, int remote_port, int local_port)
{
    dv_exchange *x = user;
    bool body = x->source || x->body_size > 0;
    x->tls_shown = dv_tls_session_shown(x->tls_session, x->easy);
    x->taken = 0;
    x->socket = body ? dv_socket_set_find(&x->client->sockets, local, local_port, remote, remote_port) : -1;
    x->all_read = !x->source;
    enter(x, x->source || (body && is_measured(x)) ? STATE_SENDING : STATE_WAITING);
    if (x->handler->on_connected)
        x->handler->on_connected(x->user);
    return CURL_PREREQFUNC_OK;
}

/* Names were checked before; here the addresses they stand for in this very resolution (threats A2, A7). */
static curl_socket_t on_open_socket(void *user, curlsocktype purpose, struct curl_sockaddr *address)
{
    dv_exchange *x = user;
    if (x->deny_private && !x->proxied && dv_address_is_private(&address->addr)) {
        x->denied = true;
        return CURL_SOCKET_BAD;
    }
    int fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (fd >= 0)
        dv_socket_set_add(&x->client->sockets, fd);
    if (fd >= 0) /* where it is not known, only the limits are less exact */
        setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &(int){UNSENT_MAX}, sizeof(int));
    return fd;
}

/* Remember the failure and make libcurl end the transfer. */
static size_t refuse(dv_exchange *x, int r)
{
    x->result = r;
    return 0;
}

static bool parse_status_line(dv_exchange *x, const char *line, size_t size)
{
    const char *space = memchr(line, ' ', size);
    if (!space || (size_t)(space - line) + 4 > size)
        return false;
    int status = 0;
    for (int i = 1; i <= 3; i++) {
        if (!dv_char_is_digit(space[i]))
            return false;
        status = status * 10 + (space[i] - '0');
    }
    const char *reason = space + 4;
    size_t left = size - (size_t)(reason - line);
    while (left > 0 && *reason == ' ') {
        reason++;
        left--;
    }
    size_t n = left < sizeof(x->reason) - 1 ? left : sizeof(x->reason) - 1;
    memcpy(x->reason, reason, n);
    x->reason[n] = '\0';
    x->status = status;
    return true;
}

static int end_of_head(dv_exchange *x)
{
    if (x->status < 200)
        return 0; /* 100 Continue and its like; the real one follows */
    const char *length = dv_headers_get(&x->headers, "Content-Length");
    if (dv_headers_get_nth(&x->headers, "Content-Length", 1) ||
        (length && dv_headers_get(&x->headers, "Transfer-Encoding")))
        return dv_error_set(&x->err, DAVIT_EPROTOCOL, "%s: answer with contradictory framing", x->host);
    uint64_t ignored;
    if (length && !dv_str_to_u64(length, &ignored))
        return dv_error_set(&x->err, DAVIT_EPROTOCOL, "%s: answer with a malformed Content-Length", x->host);
    const char *coding = dv_headers_get(&x->headers, "Content-Encoding");
    if (x->decode && coding &&
        (dv_headers_get_nth(&x->headers, "Content-Encoding", 1) ||
         (!dv_str_equal_nocase(coding, "gzip") && !dv_str_equal_nocase(coding, "x-gzip") &&
          !dv_str_equal_nocase(coding, "identity"))))
        return dv_error_set(&x->err, DAVIT_EPROTOCOL,
                            "%s: answer with Content-Encoding that was not asked for", x->host);
    x->head_done = true;
    return x->handler->on_head(x->user, x->status, x->reason, &x->headers, &x->err);
}

static int add_header_line(dv_exchange *x, const char *line, size_t size)
{
    const char *colon = memchr(line, ':', size);
    if (*line == ' ' || *line == '\t')
        return dv_error_set(&x->err, DAVIT_EPROTOCOL, "%s: answer with a folded header line", x->host);
    if (!colon)
        return dv_error_set(&x->err, DAVIT_EPROTOCOL, "%s: answer with a malformed header line", x->host);
    const char *value = colon + 1, *end = line + size;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    DV_AUTOFREE char *name_text = dv_strndup(line, (size_t)(colon - line));
    DV_AUTOFREE char *value_text = dv_strndup(value, (size_t)(end - value));
    if (!name_text || !value_text)
        return dv_error_oom(&x->err);
    if (dv_headers_add(&x->headers, name_text, value_text, 0, NULL) == DAVIT_ENOMEM)
        return dv_error_oom(&x->err);
    return 0; /* a header that our own writer would refuse is not kept */
}

static size_t on_header(char *bytes, size_t one, size_t size, void *user)
{
    dv_exchange *x = user;
    received(x, size);
    x->header_bytes += size;
    if (size > DV_HTTP_HEADER_LINE_MAX || x->header_bytes > DV_HTTP_HEADERS_MAX)
        return refuse(x, dv_error_set(&x->err, DAVIT_ETOOBIG, "%s: answer with too long a header", x->host));
    size_t n = size;
    while (n > 0 && (bytes[n - 1] == '\n' || bytes[n - 1] == '\r'))
        n--;
    if (x->head_done)
        return size; /* trailers */
    int r = 0;
    if (n > 5 && memcmp(bytes, "HTTP/", 5) == 0) {
        dv_headers_clear(&x->headers);
        if (!parse_status_line(x, bytes, n))
            r = dv_error_set(&x->err, DAVIT_EPROTOCOL, "%s: malformed status line", x->host);
    } else {
        r = n == 0 ? end_of_head(x) : add_header_line(x, bytes, n);
    }
    return r < 0 ? refuse(x, r) : size;
}

static size_t on_body(char *bytes, size_t one, size_t size, void *user)
{
    dv_exchange *x = user;
    if (x->result < 0)
        return 0; /* refused within curl_easy_pause(), which goes on regardless */
    int r = x->handler->on_body(x->user, bytes, size, &x->err);
    if (r == DV_HTTP_PAUSE) {
        x->paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    received(x, size);
    return r < 0 ? refuse(x, r) : size;
}

static size_t on_read(char *into, size_t one, size_t size, void *user)
{
    dv_exchange *x = user;
    int64_t n = dv_body_read(x->source, into, one * size, &x->err);
    if (n == DV_BODY_LATER) {
        x->read_paused = true;
        return CURL_READFUNC_PAUSE;
    }
    if (n < 0) {
        x->result = (int)n;
        return CURL_READFUNC_ABORT;
    }
    bool last = n == 0 || (x->source->size != DAVIT_SIZE_UNKNOWN && x->source->at >= x->source->size);
    x->all_read = last;
    if (last && !is_measured(x))
        enter(x, STATE_WAITING);
    else if (x->state != STATE_SENDING) /* behind the 100 Continue */
        enter(x, STATE_SENDING);
    if (!is_measured(x))
        x->window_bytes += (uint64_t)n;
    if (!is_measured(x) || x->taken == 0)
        x->last_ms = dv_loop_now_ms(x->client->loop);
    return (size_t)n;
}

/*
 * libcurl sends a request again when a kept connection ends before the answer. What was sent of a PATCH may have been taken then, so it
 * is not to come twice.
 */
static int on_seek(void *user, curl_off_t offset, int origin)
{
    dv_exchange *x = user;
    if (origin != SEEK_SET || offset < 0 || (x->once && x->source->at != x->source_at + (uint64_t)offset))
        return CURL_SEEKFUNC_FAIL;
    davit_error *err = NULL;
    x->taken = 0;
    x->all_read = false;
    int r = dv_body_seek(x->source, x->source_at + (uint64_t)offset, &err);
    davit_error_free(err);
    return r < 0 ? CURL_SEEKFUNC_FAIL : CURL_SEEKFUNC_OK;
}

/* The body has bytes again. */
static void on_source(void *user)
{
    dv_exchange *x = user;
    if (!x->read_paused)
        return;
    x->read_paused = false;
    enter(x, STATE_SENDING);
    curl_easy_pause(x->easy, x->paused ? CURLPAUSE_RECV : CURLPAUSE_CONT);
}

static int on_debug(CURL *easy, curl_infotype type, char *text, size_t size, void *user)
{
    dv_exchange *x = user;
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        size--;
    if (x->cookies && memmem(text, size, "cookie", 6))
        return 0; /* it would show their values */
    if (memmem(text, size, "://", 3) && memchr(text, '?', size))
        return 0; /* a URL with its query, which may be signed (threats A12) */
    if (type == CURLINFO_TEXT && size < 400)
        dv_trace(HTTP, "%s: %.*s", x->host, (int)size, text);
    return 0;
}

/* --- the end --------------------------------------------------------------------------------------------------- */

/*
 * Whether a failure is about our client certificate. With TLS 1.3 a server refuses only after the handshake is done for us, so
 * it may look like any other end of a connection. Without one, whatever ended it before an answer came was this; with one, only
 * an alert tells.
 */
static bool certificate_was_refused(dv_exchange *x, CURLcode result, const char *why)
{
    if (x->state == STATE_CONNECTING)
        x->tls_shown = dv_tls_session_shown(x->tls_session, x->easy);
    if (!x->tls || !x->tls_shown.asked || x->status)
        return false;
    bool alert = strstr(why, "alert") != NULL;
    switch (result) {
    case CURLE_SSL_CLIENTCERT:
        return true;
    case CURLE_SSL_CONNECT_ERROR:
        return alert;
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_HTTP2:
        return alert || !x->tls_shown.shown;
    default:
        return false;
    }
}

static int transport_error(dv_exchange *x, CURLcode result, davit_error **err)
{
    const char *why = x->curl_error[0] ? x->curl_error : curl_easy_strerror(result);
    if (certificate_was_refused(x, result, why))
        return dv_tls_refused(x->tls, x->host, &x->tls_shown, why, err);
    long os_errno = 0;
    curl_easy_getinfo(x->easy, CURLINFO_OS_ERRNO, &os_errno);
    const dv_http_limits *limits = &x->client->limits;
    int code = DAVIT_ENETWORK;
    switch (result) {
    case CURLE_OUT_OF_MEMORY:
        return dv_error_oom(err);
    case CURLE_COULDNT_RESOLVE_HOST:
        dv_error_set(err, code, "%s: no such host", x->host);
        break;
    case CURLE_COULDNT_RESOLVE_PROXY:
        dv_error_set(err, code, "%s: the proxy's host does not exist", x->host);
        break;
    case CURLE_COULDNT_CONNECT:
        if (x->denied)
            code = dv_error_set(
                err, DAVIT_EDENIED,
                "%s: has a private address, and a registry on a public one may not send us there", x->host);
        else if (os_errno)
            dv_error_errno(err, code, (int)os_errno, "%s: cannot connect", x->host);
        else
            dv_error_set(err, code, "%s: cannot connect: %s", x->host, why);
        break;
    case CURLE_OPERATION_TIMEDOUT:
        code = dv_error_set(err, DAVIT_ETIMEOUT, "%s: no connection within %.3g s", x->host,
                            limits->connect_timeout_ms / 1000.0);
        break;
    case CURLE_SSL_CACERT_BADFILE:
        code =
            dv_error_set(err, DAVIT_ECONFIG,
                         "%s: the CA certificates cannot be read (package ca-certificates, or the file that "
                         "SSL_CERT_FILE names)",
                         x->host);
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
        code = dv_tls_untrusted(x->tls, x->easy, x->host, why, err);
        break;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CLIENTCERT:
        code = dv_error_set(err, DAVIT_ETLS, "%s: TLS failed: %s", x->host, why);
        break;
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_CONTENT_ENCODING:
        code = dv_error_set(err, DAVIT_EPROTOCOL, "%s: %s", x->host, why);
        break;
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_FAIL_REWIND:
        dv_error_set(err, code, "%s: the connection ended early", x->host);
        break;
    default:
        if (os_errno)
            dv_error_errno(err, code, (int)os_errno, "%s: connection lost", x->host);
        else
            dv_error_set(err, code, "%s: connection lost: %s", x->host, why);
    }
    if (davit_error_code(*err) != DAVIT_ENOMEM)
        (*err)->kind = DV_ERROR_TRANSPORT;
    return code;
}

static void on_ended(dv_loop_transfer *transfer, CURLcode result)
{
    dv_exchange *x = (dv_exchange *)transfer;
    davit_error *err = NULL;
    int r = 0;
    if (x->result < 0)
        r = dv_error_move(&err, &x->err, x->result);
    else if (result != CURLE_OK)
        r = transport_error(x, result, &err);
    else if (!x->head_done) /* libcurl takes an end within the header for the end of the answer */
        r = transport_error(x, CURLE_GOT_NOTHING, &err);
    if (r < 0)
        dv_trace(HTTP, "%s: %s", x->host, davit_error_message(err));
    finish(x, r, err);
}

/* --- the beginning --------------------------------------------------------------------------------------------- */

static int add_line(dv_exchange *x, const char *line, davit_error **err)
{
    struct curl_slist *lines = curl_slist_append(x->lines, line);
    if (!lines)
        return dv_error_oom(err);
    x->lines = lines;
    return 0;
}

/* What libcurl would add of itself to a request with a body, even an empty one: a form's type, and a wait of a second. */
static int drop_lines(dv_exchange *x, const dv_exchange_spec *spec, davit_error **err)
{
    bool waits = spec->source && spec->source->size - spec->source->at >= EXPECT_MIN;
    int r = waits ? 0 : add_line(x, "Expect:", err);
    if (r == 0 && !dv_headers_get(spec->headers, "Content-Type"))
        r = add_line(x, "Content-Type:", err);
    return r;
}

static int add_lines(dv_exchange *x, const dv_headers *headers, davit_error **err)
{
    for (size_t i = 0; i < headers->count; i++) {
        const dv_header *h = &headers->items[i];
        DV_AUTO(dv_buf) line = {.max = 2 * DV_HTTP_HEADER_LINE_MAX, .secret = h->secret};
        dv_buf_printf(&line, h->value[0] ? "%s: %s" : "%s;%s", h->name, h->value);
        struct curl_slist *lines = line.failed ? NULL : curl_slist_append(x->lines, dv_buf_text(&line));
        if (!lines)
            return line.failed == DAVIT_ETOOBIG
                       ? dv_error_set(err, DAVIT_ETOOBIG, "header %s is too long", h->name)
                       : dv_error_oom(err);
        x->lines = lines;
    }
    return 0;
}

static void set_source(dv_exchange *x, const dv_exchange_spec *spec)
{
    uint64_t size = spec->source->size;
    x->source = spec->source;
    x->source_at = spec->source->at;
    x->once = spec->once;
    x->source->on_wake = on_source;
    x->source->wake_user = x;
    curl_easy_setopt(x->easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(x->easy, CURLOPT_INFILESIZE_LARGE,
                     size == DAVIT_SIZE_UNKNOWN ? (curl_off_t)-1 : (curl_off_t)(size - x->source_at));
    curl_easy_setopt(x->easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(x->easy, CURLOPT_READDATA, x);
    curl_easy_setopt(x->easy, CURLOPT_SEEKFUNCTION, on_seek);
    curl_easy_setopt(x->easy, CURLOPT_SEEKDATA, x);
    curl_easy_setopt(x->easy, CURLOPT_UPLOAD_BUFFERSIZE,
                     size < 1u << 20 ? BUFFER_UPLOAD_SMALL : BUFFER_UPLOAD);
    curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, spec->method);
}

static void set_method(dv_exchange *x, const dv_exchange_spec *spec)
{
    if (spec->source) {
        set_source(x, spec);
        return;
    }
    x->body_size = spec->body ? spec->body_size : 0;
    if (spec->body || strcmp(spec->method, "POST") == 0 || strcmp(spec->method, "PUT") == 0 ||
        strcmp(spec->method, "DELETE") == 0) {
        curl_easy_setopt(x->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)spec->body_size);
        curl_easy_setopt(x->easy, CURLOPT_POSTFIELDS, spec->body ? spec->body : "");
    }
    if (strcmp(spec->method, "HEAD") == 0)
        curl_easy_setopt(x->easy, CURLOPT_NOBODY, 1L);
    else
        curl_easy_setopt(x->easy, CURLOPT_CUSTOMREQUEST, spec->method);
}

static void set_callbacks(dv_exchange *x)
{
    curl_easy_setopt(x->easy, CURLOPT_PRIVATE, (char *)x);
    curl_easy_setopt(x->easy, CURLOPT_ERRORBUFFER, x->curl_error);
    curl_easy_setopt(x->easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(x->easy, CURLOPT_HEADERDATA, x);
    curl_easy_setopt(x->easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(x->easy, CURLOPT_WRITEDATA, x);
    curl_easy_setopt(x->easy, CURLOPT_PREREQFUNCTION, on_prerequest);
    curl_easy_setopt(x->easy, CURLOPT_PREREQDATA, x);
    curl_easy_setopt(x->easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(x->easy, CURLOPT_OPENSOCKETDATA, x);
    if (atomic_load_explicit(&dv_trace_mask, memory_order_relaxed) & DV_TRACE_HTTP) {
        curl_easy_setopt(x->easy, CURLOPT_DEBUGFUNCTION, on_debug);
        curl_easy_setopt(x->easy, CURLOPT_DEBUGDATA, x);
        curl_easy_setopt(x->easy, CURLOPT_VERBOSE, 1L);
    }
}

static int set_options(dv_exchange *x, const dv_exchange_spec *spec, davit_error **err)
{
    dv_http_client *c = x->client;
    const char *proxy = dv_proxy_for(c->proxies, spec->url);
    x->proxied = proxy != NULL;
    curl_easy_setopt(x->easy, CURLOPT_URL, spec->url->text);
    curl_easy_setopt(x->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(x->easy, CURLOPT_PROXY, proxy ? proxy : "");
    curl_easy_setopt(x->easy, CURLOPT_NOPROXY, "");
    curl_easy_setopt(x->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    curl_easy_setopt(x->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(x->easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(x->easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(x->easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(x->easy, CURLOPT_FRESH_CONNECT, spec->fresh ? 1L : 0L);
    curl_easy_setopt(x->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)c->limits.connect_timeout_ms);
    curl_easy_setopt(x->easy, CURLOPT_HAPPY_EYEBALLS_TIMEOUT_MS, 250L);
    curl_easy_setopt(x->easy, CURLOPT_USERAGENT, c->user_agent);
    curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER, x->lines);
    curl_easy_setopt(x->easy, CURLOPT_BUFFERSIZE, spec->large ? BUFFER_LARGE : BUFFER_SMALL);
    curl_easy_setopt(x->easy, CURLOPT_HTTP_VERSION,
                     (long)(spec->http1_only ? CURL_HTTP_VERSION_1_1 : CURL_HTTP_VERSION_2TLS));
    if (spec->cookies) {
        curl_easy_setopt(x->easy, CURLOPT_SHARE, (CURLSH *)spec->cookies);
        curl_easy_setopt(x->easy, CURLOPT_COOKIEFILE, ""); /* starts libcurl's cookies; reads no file */
    }
    /* Documents are decoded though identity was asked for (quirks.md, registry.redhat.io); blobs never are. */
    if (x->decode)
        curl_easy_setopt(x->easy, CURLOPT_ACCEPT_ENCODING, "gzip");
    else
        curl_easy_setopt(x->easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
    return dv_tls_apply(x->easy,
                        &(dv_tls){.verify = spec->verify_tls,
                                  .ca_file = c->ca_file,
                                  .config = spec->tls,
                                  .show_client = spec->client_certificate,
                                  .roots = &c->roots},
                        &x->tls_session, err);
}

static void trace_start(const dv_exchange_spec *spec)
{
    if (!(atomic_load_explicit(&dv_trace_mask, memory_order_relaxed) & DV_TRACE_HTTP))
        return;
    DV_AUTO(dv_buf) url = DV_BUF_INIT(DV_URL_MAX);
    dv_url_redacted(spec->url, &url);
    dv_trace(HTTP, "> %s %s", spec->method, dv_buf_text(&url));
    for (size_t i = 0; i < spec->headers->count; i++) {
        const dv_header *h = &spec->headers->items[i];
        dv_trace(HTTP, "> %s: %s", h->name, h->secret ? "***" : h->value);
    }
}

int dv_exchange_start(dv_http_client *c, const dv_exchange_spec *spec, dv_exchange **out, davit_error **err)
{
    dv_exchange *x = dv_new(dv_exchange);
    if (!x)
        return dv_error_oom(err);
    x->transfer.ended = on_ended;
    x->client = c;
    x->handler = spec->handler;
    x->user = spec->user;
    x->watchdog.fire = watch;
    x->socket = -1;
    x->decode = spec->decode;
    x->large = spec->large;
    x->cookies = spec->cookies != NULL;
    x->deny_private = spec->deny_private;
    x->answer_limit_ms = c->limits.first_byte_timeout_ms + spec->more_time_ms;
    x->tls = dv_tls_config_ref(spec->tls);
    DV_AUTO(dv_buf) host = DV_BUF_INIT(DV_URL_MAX);
    dv_url_origin_text(spec->url, &host);
    const char *text = strstr(dv_buf_text(&host), "://");
    x->host = dv_strdup(text ? text + 3 : dv_buf_text(&host));
    x->easy = c->idle_count > 0 ? c->idle[--c->idle_count] : curl_easy_init();
    int r = x->host && x->easy ? add_lines(x, spec->headers, err) : dv_error_oom(err);
    if (r == 0)
        r = drop_lines(x, spec, err);
    if (r == 0) {
        set_method(x, spec);
        set_callbacks(x);
        r = set_options(x, spec, err);
        trace_start(spec);
        if (r == 0 && curl_multi_add_handle(dv_loop_multi(c->loop), x->easy) != CURLM_OK)
            r = dv_error_oom(err);
    }
    if (r < 0) {
        exchange_free(x);
        return r;
    }
    enter(x, STATE_CONNECTING);
    *out = x;
    return 0;
}

void dv_exchange_cancel(dv_exchange *x)
{
    exchange_free(x);
}

void dv_exchange_resume(dv_exchange *x)
{
    if (!x->paused)
        return;
    x->paused = false;
    enter(x, STATE_RECEIVING);
    curl_easy_pause(x->easy, x->read_paused ? CURLPAUSE_SEND : CURLPAUSE_CONT);
    if (x->result < 0)
        on_ended(&x->transfer,
                 CURLE_WRITE_ERROR); /* refused within: libcurl itself would only see it with the next bytes */
}

bool dv_exchange_peer_is_private(const dv_exchange *x)
{
    char *text = NULL;
    if (x->proxied || curl_easy_getinfo(x->easy, CURLINFO_PRIMARY_IP, &text) != CURLE_OK || !text)
        return false;
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return dv_address_is_private((const struct sockaddr *)&v4);
    return inet_pton(AF_INET6, text, &v6.sin6_addr) == 1 &&
           dv_address_is_private((const struct sockaddr *)&v6);
}

bool dv_exchange_uses_proxy(const dv_exchange *x)
{
    return x->proxied;
}

dv_tls_shown dv_exchange_tls_shown(const dv_exchange *x)
{
    return x->tls_shown;
}

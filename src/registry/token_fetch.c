/*
 * registry/token_fetch.c - token requests: one for each set of scopes, however many calls wait for it.
 *
 * What is asked and what the answer means is auth/'s decision; here it is sent, limited in time, and repeated when the token
 * server is the one that fails.
 */
#include "auth/realm.h"
#include "registry/call_private.h"
#include "util/clock.h"
#include "util/hex.h"
#include "util/log.h"

#include <string.h>

struct dv_token_fetch {
    dv_registry *registry;
    dv_token_fetch *next;
    dv_token_request wanted;
    dv_call *waiting;
    dv_request *request;
    dv_timer limit, again;
    uint32_t attempt;
};

static void fetch_unlink(dv_token_fetch *f)
{
    for (dv_token_fetch **link = &f->registry->fetches; *link; link = &(*link)->next)
        if (*link == f) {
            *link = f->next;
            return;
        }
}

static void fetch_free(dv_token_fetch *f)
{
    dv_timer_stop(&f->limit);
    dv_timer_stop(&f->again);
    if (f->request)
        dv_request_cancel(f->request);
    dv_token_request_clear(&f->wanted);
    free(f);
}

/* Every waiting call goes on: to ask again, or with a copy of the error. */
static void fetch_end(dv_token_fetch *f, int r, davit_error *err)
{
    fetch_unlink(f);
    dv_call *calls = NULL;
    while (f->waiting) {
        dv_call *c = f->waiting;
        dv_call_unlink(c);
        dv_call_link(c, &calls);
    }
    fetch_free(f);
    while (calls) {
        dv_call *c = calls;
        dv_call_unlink(c);
        if (r < 0)
            dv_call_end(c, r, NULL, dv_error_copy(err));
        else
            dv_call_ask(c);
    }
    davit_error_free(err);
}

static int send_request(dv_token_fetch *f, davit_error **err);

static void fetch_failed(dv_token_fetch *f, int r, davit_error *err)
{
    uint32_t jitter;
    dv_random_bytes(&jitter, sizeof(jitter));
    int64_t delay = err ? dv_retry_delay_ms(&f->registry->client->retry, f->attempt + 1, err, jitter) : -1;
    if (delay < 0) {
        fetch_end(f, r, err);
        return;
    }
    dv_trace(AUTH, "token: again in %lld ms: %s", (long long)delay, davit_error_message(err));
    davit_error_free(err);
    f->attempt++;
    dv_timer_stop(&f->limit);
    dv_timer_start(f->registry->client->loop, &f->again, (uint64_t)delay);
}

static void on_again(dv_timer *timer)
{
    dv_token_fetch *f = (dv_token_fetch *)((char *)timer - offsetof(dv_token_fetch, again));
    davit_error *err = NULL;
    int r = send_request(f, &err);
    if (r < 0)
        fetch_end(f, r, err);
}

static void on_limit(dv_timer *timer)
{
    dv_token_fetch *f = (dv_token_fetch *)((char *)timer - offsetof(dv_token_fetch, limit));
    davit_error *err = NULL;
    int r = dv_error_set(&err, DAVIT_ETIMEOUT, "token server %s: no token within %d s", f->wanted.url.host,
                         DV_TOKEN_TIMEOUT_MS / 1000);
    fetch_end(f, r, err);
}

static void on_done(void *user, int r, dv_response *response, davit_error *err)
{
    dv_token_fetch *f = user;
    DV_AUTO(dv_token_request) other = DV_TOKEN_REQUEST_INIT;
    f->request = NULL;
    response->body.secret = true;
    if (r == 0)
        r = dv_response_refuses_certificate(response, f->registry->endpoint.tls, &err);
    if (r == 0)
        r = dv_authorizer_token_answered(f->registry->authorizer, &f->wanted, response->status,
                                         &response->headers, dv_buf_text(&response->body),
                                         response->body.size, dv_clock_ms(), &other, &err);
    if (r < 0) {
        dv_error_wrap(&err, r, "token server %s", f->wanted.url.host);
        fetch_failed(f, r, err);
    } else if (r > 0) {
        dv_token_request_clear(&f->wanted);
        f->wanted = other;
        other = (dv_token_request)DV_TOKEN_REQUEST_INIT;
        r = send_request(f, &err);
        if (r < 0)
            fetch_end(f, r, err);
    } else {
        fetch_end(f, 0, NULL);
    }
}

static const dv_request_handler handler = {.on_done = on_done};

/* A client certificate says who we are as credentials do, so it goes where they may go (threats A1, A3). */
static bool may_see_certificate(const dv_registry *reg, const dv_url *url)
{
    const dv_realm_question q = {
        .origin = &reg->endpoint.url,
        .realm = url,
        .trusted = (const char *const *)reg->client->trusted_realms,
        .origin_private = reg->host->peer_known && reg->host->peer_private,
    };
    return dv_realm_judge(&q, NULL) == DV_REALM_TRUSTED;
}

static int send_request(dv_token_fetch *f, davit_error **err)
{
    dv_registry *reg = f->registry;
    const dv_token_request *t = &f->wanted;
    DV_AUTO(dv_headers) headers = DV_HEADERS_INIT;
    int r = dv_headers_copy(&t->headers, &headers, err);
    if (r == 0)
        r = dv_headers_add(&headers, "Accept-Encoding", "identity", 0, err);
    if (r < 0)
        return r;
    bool elsewhere = strcmp(t->url.host, reg->endpoint.url.host) != 0;
    dv_timer_start(reg->client->loop, &f->limit, DV_TOKEN_TIMEOUT_MS);
    return dv_request_start(
        &reg->client->http,
        &(dv_request_spec){
            .method = t->post ? "POST" : "GET",
            .url = &t->url,
            .headers = &headers,
            .body = t->post ? t->body.text : NULL,
            .body_size = t->post ? t->body.size : 0,
            .body_max = DV_TOKEN_ANSWER_MAX,
            .decode = true,
            .verify_tls = !reg->endpoint.insecure,
            .tls = reg->endpoint.tls, /* threats A3 */
            .client_certificate = may_see_certificate(reg, &t->url),
            .deny_private = elsewhere && !t->configured && reg->host->peer_known && !reg->host->peer_private,
            .trust_hops = reg->host->peer_known && reg->host->peer_private,
            .handler = &handler,
            .user = f,
        },
        &f->request, err);
}

void dv_token_fetch_join(dv_call *c, dv_token_request *wanted)
{
    dv_registry *reg = c->registry;
    for (dv_token_fetch *f = reg->fetches; f; f = f->next)
        if (strcmp(f->wanted.key, wanted->key) == 0) {
            dv_call_link(c, &f->waiting);
            return;
        }
    davit_error *err = NULL;
    dv_token_fetch *f = dv_new(dv_token_fetch);
    if (!f) {
        dv_call_end(c, dv_error_oom(&err), NULL, err);
        return;
    }
    f->registry = reg;
    f->attempt = 1;
    f->limit.fire = on_limit;
    f->again.fire = on_again;
    f->wanted = *wanted;
    *wanted = (dv_token_request)DV_TOKEN_REQUEST_INIT;
    f->next = reg->fetches;
    reg->fetches = f;
    dv_call_link(c, &f->waiting);
    dv_trace(AUTH, "token from %s", f->wanted.url.host);
    int r = send_request(f, &err);
    if (r < 0)
        fetch_end(f, r, err);
}

typedef struct cancel_task {
    dv_task task;
    dv_registry *registry;
} cancel_task;

static void cancel_all(dv_task *task)
{
    dv_registry *reg = ((cancel_task *)task)->registry;
    while (reg->fetches) {
        dv_token_fetch *f = reg->fetches;
        fetch_unlink(f);
        fetch_free(f);
    }
}

void dv_token_fetches_cancel(dv_registry *reg)
{
    if (!reg->host)
        return; /* never used */
    cancel_task t = {{.run = cancel_all}, reg};
    dv_loop_post_again(reg->client->loop, &t.task);
    dv_loop_barrier(reg->client->loop);
}

/*
 * registry/call.c - see call.h. Everything but dv_call_wait() runs on the loop thread.
 *
 * Leaves to others: what may be sent (auth/authorizer.c), whether to repeat (net/retry.c), which scheme (scheme_race.c).
 */
#include "registry/call.h"

#include "auth/scope.h"
#include "net/address.h"
#include "net/error_body.h"
#include "registry/call_private.h"
#include "util/clock.h"
#include "util/hex.h"
#include "util/log.h"
#include "util/str.h"

#include <string.h>

static void call_free(dv_call *c)
{
    dv_timer_stop(&c->timer);
    dv_timer_stop(&c->limit);
    dv_call_unlink(c);
    dv_race_free(c);
    if (c->request)
        dv_request_cancel(c->request);
    free(c->path);
    free(c->query);
    free(c->range);
    dv_url_clear(&c->url);
    dv_headers_clear(&c->headers);
    for (size_t i = 0; i < DV_COUNT(c->scopes); i++)
        free(c->scopes[i]);
    dv_secret_clear(&c->sent);
    free(c);
}

void dv_call_end(dv_call *c, int r, dv_response *response, davit_error *err)
{
    const dv_call_handler *handler = c->handler;
    void *user = c->user;
    c->request = NULL;
    call_free(c);
    dv_response none = DV_RESPONSE_INIT;
    handler->on_done(user, r, response ? response : &none, err);
}

/* --- asking ---------------------------------------------------------------------------------------------------- */

static void on_timer(dv_timer *timer)
{
    dv_call *c = (dv_call *)((char *)timer - offsetof(dv_call, timer));
    dv_call_ask(c);
}

/* Not repeated: it had its time. */
static void on_limit(dv_timer *timer)
{
    dv_call *c = (dv_call *)((char *)timer - offsetof(dv_call, limit));
    davit_error *err = NULL;
    if (c->request)
        dv_request_cancel(c->request);
    c->request = NULL;
    int r = dv_error_set(&err, DAVIT_ETIMEOUT, "%s: no answer within %u s", c->registry->endpoint.url.host,
                         c->limit_ms / 1000);
    dv_call_end(c, r, NULL, err);
}

/* An attempt failed: repeat later, or end. Takes err. */
void dv_call_failed(dv_call *c, int r, davit_error *err)
{
    dv_retry_policy policy = c->registry->client->retry;
    dv_timer_stop(&c->limit);
    if (c->attempts)
        policy.attempts = c->attempts;
    if (strcmp(c->method, "PATCH") == 0 || (c->body && c->body->at > 0 && !c->body->seek))
        policy.attempts = 1;
    uint32_t jitter;
    dv_random_bytes(&jitter, sizeof(jitter));
    int64_t delay = r == DAVIT_ENOMEM ? -1 : dv_retry_delay_ms(&policy, c->attempt + 1, err, jitter);
    if (delay < 0) {
        if (err && err->retry_after_s > (int)policy.retry_after_max_s)
            dv_error_wrap(&err, r, "the registry asks to wait %d s, longer than %u s", err->retry_after_s,
                          policy.retry_after_max_s);
        dv_call_end(c, r, NULL, err);
        return;
    }
    dv_trace(HTTP, "%s: again in %lld ms: %s", c->path ? c->path : c->url.path, (long long)delay,
             davit_error_message(err));
    davit_error_free(err);
    c->attempt++;
    c->fresh = true; /* whatever broke it may have broken the kept connections too */
    c->auth_rounds = 0;
    dv_timer_start(c->registry->client->loop, &c->timer, (uint64_t)delay);
}

void dv_call_note_peer(dv_call *c, const dv_response *response)
{
    dv_host *host = c->registry->host;
    if (c->url.text && response->left_origin)
        return; /* somebody else's */
    host->peer_known = !response->through_proxy;
    host->peer_private = response->peer_private;
    if (host->peer_known)
        dv_authorizer_set_origin_private(c->registry->authorizer, host->peer_private);
}

static int on_head(void *user, const dv_response *response, davit_error **err)
{
    dv_call *c = user;
    dv_call_note_peer(c, response);
    if (response->status != 401 && dv_secret_is_set(&c->sent)) { /* now: a long body may outlive its token */
        dv_authorizer_accepted(c->registry->authorizer, &c->sent);
        c->registry->authorized = true;
    }
    bool answer = response->status < 300 || (c->any_status && response->status != 401);
    return answer && c->handler->on_head ? c->handler->on_head(c->user, response, err) : 0;
}

static int on_body(void *user, const void *bytes, size_t size, davit_error **err)
{
    dv_call *c = user;
    return c->handler->on_body(c->user, bytes, size, err);
}

static void challenged(dv_call *c, dv_response *response);

static void on_done(void *user, int r, dv_response *response, davit_error *err)
{
    dv_call *c = user;
    c->request = NULL;
    if (r < 0)
        dv_call_failed(c, r, err);
    else
        dv_call_answered(c, response);
}

void dv_call_answered(dv_call *c, dv_response *response)
{
    davit_error *err = NULL;
    dv_timer_stop(&c->limit);
    if (response->status == 401 && !response->left_origin && c->auth_rounds < DV_AUTH_ROUNDS_MAX &&
        dv_headers_get(&response->headers, "WWW-Authenticate")) {
        challenged(c, response);
        return;
    }
    int refused = c->any_status && !c->login
                      ? 0
                      : dv_response_refuses_certificate(response, c->registry->endpoint.tls, &err);
    if (refused < 0) {
        dv_call_failed(c, refused, err);
        return;
    }
    if (response->status >= 300 && !c->any_status) {
        int r = response->status >= 400
                    ? dv_error_body_set(&err, response->status, &response->headers,
                                        dv_buf_text(&response->body), response->body.size)
                    : dv_error_set(&err, DAVIT_EPROTOCOL, "received unexpected HTTP status: %d %s",
                                   response->status, dv_http_reason(response->status));
        dv_call_failed(c, r, err);
        return;
    }
    dv_call_end(c, 0, response, NULL);
}

static const dv_request_handler call_request_handler = {
    .on_head = on_head, .on_body = on_body, .on_done = on_done};

int dv_call_build_url(const dv_call *c, bool tls, dv_url *out, davit_error **err)
{
    if (c->url.text)
        return dv_url_copy(&c->url, out, err);
    const dv_url *base = &c->registry->endpoint.url;
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_URL_MAX);
    bool plain = !tls && strcmp(base->scheme, "https") == 0;
    uint16_t port = base->port;
    if (plain && !base->explicit_port)
        port = 80;
    dv_buf_printf(&text, "%s://%s", plain ? "http" : base->scheme, base->host);
    if (base->explicit_port)
        dv_buf_printf(&text, ":%u", port);
    size_t n = strlen(base->path);
    while (n > 0 && base->path[n - 1] == '/')
        n--;
    dv_buf_append(&text, base->path, n);
    dv_buf_printf(&text, "/%s", c->path);
    if (c->query)
        dv_buf_printf(&text, "?%s", c->query);
    if (text.failed)
        return text.failed == DAVIT_ETOOBIG ? dv_error_set(err, DAVIT_EINVAL, "URL is too long")
                                            : dv_error_oom(err);
    return dv_url_parse(dv_buf_text(&text), out, err);
}

int dv_call_build_headers(const dv_call *c, bool credentials, dv_headers *out, davit_error **err)
{
    dv_registry *reg = c->registry;
    int r = dv_headers_add(out, "Accept-Encoding", "identity", 0, err);
    for (const char *const *a = c->accept; r == 0 && a && *a; a++)
        r = dv_headers_add(out, "Accept", *a, 0, err);
    if (r == 0 && !c->accept)
        r = dv_headers_add(out, "Accept", "*/*", 0, err);
    if (r == 0 && c->range)
        r = dv_headers_add(out, "Range", c->range, 0, err);
    for (size_t i = 0; r == 0 && i < c->headers.count; i++)
        r = dv_headers_add(out, c->headers.items[i].name, c->headers.items[i].value, 0, err);
    const dv_headers *extra[] = {&reg->client->extra_headers, &reg->meta_headers};
    for (size_t k = 0; credentials && !reg->endpoint.mirror && k < DV_COUNT(extra); k++)
        for (size_t i = 0; r == 0 && i < extra[k]->count; i++)
            r = dv_headers_add(out, extra[k]->items[i].name, extra[k]->items[i].value,
                               DV_HEADER_ORIGIN_ONLY | DV_HEADER_SECRET, err);
    if (r == 0 && credentials && dv_secret_is_set(&c->sent))
        r = dv_headers_add(out, "Authorization", c->sent.text, DV_HEADER_ORIGIN_ONLY | DV_HEADER_SECRET, err);
    return r;
}

static const char *const *call_scopes(const dv_call *c)
{
    return (const char *const *)c->scopes;
}

/* Whether a Location leads away from the registry: then it gets nothing that is the registry's (threats A5). */
static bool is_elsewhere(const dv_call *c, bool tls)
{
    if (!c->url.text)
        return false;
    dv_url origin = c->registry->endpoint.url; /* a view */
    char plain[] = "http";
    if (!tls && strcmp(origin.scheme, "https") == 0) {
        origin.scheme = plain;
        origin.port = origin.explicit_port ? origin.port : 80;
    }
    return !dv_url_same_origin(&origin, &c->url);
}

void dv_call_prepare_authorization(dv_call *c)
{
    dv_registry *reg = c->registry;
    dv_secret_clear(&c->sent);
    dv_authorizer_get(reg->authorizer, call_scopes(c), dv_clock_ms(), &c->sent);
}

int dv_call_send(dv_call *c, bool tls, bool credentials, const dv_request_handler *handler, void *user,
                 dv_request **out, davit_error **err)
{
    DV_AUTO(dv_url) url = DV_URL_INIT;
    DV_AUTO(dv_headers) headers = DV_HEADERS_INIT;
    int r = dv_call_build_url(c, tls, &url, err);
    if (r == 0)
        r = dv_call_build_headers(c, credentials, &headers, err);
    if (r < 0)
        return r;
    const dv_registry *reg = c->registry;
    bool elsewhere = is_elsewhere(c, tls);
    bool private =
        (reg->host->peer_known && reg->host->peer_private) || dv_host_is_private(reg->endpoint.url.host);
    return dv_request_start(
        &reg->client->http,
        &(dv_request_spec){
            .method = c->method,
            .url = &url,
            .headers = &headers,
            .source = c->body,
            .once = c->attempts == 1 || strcmp(c->method, "PATCH") == 0,
            .more_time_ms = c->more_time_ms,
            .body_may_leave = true,
            .keeps_method = true,
            .left_origin = elsewhere,
            .deny_private = elsewhere && !private && strcmp(url.host, reg->endpoint.url.host) != 0,
            .trust_hops = elsewhere && private,
            .body_max = c->body_max,
            .blob = c->blob,
            .decode = !c->encoded,
            .fresh = c->fresh,
            .large = c->large,
            .verify_tls = !reg->endpoint.insecure,
            .tls = reg->endpoint.tls,
            .client_certificate = true,
            .handler = handler,
            .user = user,
        },
        out, err);
}

static dv_host *find_host(davit_client *client, const dv_url *url)
{
    DV_AUTO(dv_buf) name = DV_BUF_INIT(DV_URL_MAX);
    dv_buf_printf(&name, "%s:%u", url->host, url->port);
    for (dv_host *h = client->hosts; h; h = h->next)
        if (strcmp(h->name, dv_buf_text(&name)) == 0)
            return h;
    dv_host *h = dv_new(dv_host);
    if (!h || !(h->name = dv_buf_take(&name))) {
        free(h);
        return NULL;
    }
    h->next = client->hosts;
    client->hosts = h;
    return h;
}

void dv_call_ask(dv_call *c)
{
    dv_registry *reg = c->registry;
    davit_error *err = NULL;
    if (!reg->host)
        reg->host = find_host(reg->client, &reg->endpoint.url);
    if (!reg->host) {
        int r = dv_error_oom(&err);
        dv_call_end(c, r, NULL, err);
        return;
    }
    bool tls = strcmp(reg->endpoint.url.scheme, "https") == 0;
    if (c->limit_ms)
        dv_timer_start(reg->client->loop, &c->limit, c->limit_ms);
    if (reg->endpoint.insecure && tls && !reg->endpoint.mirror) { /* a mirror keeps its scheme */
        if (reg->host->scheme == DV_SCHEME_UNDECIDED) {
            dv_race_or_wait(c);
            return;
        }
        tls = reg->host->scheme == DV_SCHEME_HTTPS;
    }
    reg->plain = !tls;
    if (tls && c->url.text && strcmp(c->url.scheme, "http") == 0) { /* of a time before TLS (threats A3) */
        int r = dv_error_set(&err, DAVIT_EPROTOCOL,
                             "%s: an upload that was begun over http is not gone on with", c->url.host);
        dv_call_end(c, r, NULL, err);
        return;
    }
    DV_AUTO(dv_token_request) wanted = DV_TOKEN_REQUEST_INIT;
    bool elsewhere = is_elsewhere(c, tls);
    int r =
        elsewhere ? 0 : dv_authorizer_prepare(reg->authorizer, call_scopes(c), dv_clock_ms(), &wanted, &err);
    if (r > 0) {
        dv_timer_stop(&c->limit);
        dv_token_fetch_join(c, &wanted); /* a 401 that can be foreseen is not waited for */
        return;
    }
    davit_error_free(DV_STEAL(err));
    dv_secret_clear(&c->sent);
    if (!elsewhere)
        dv_call_prepare_authorization(c);
    r = dv_call_send(c, tls, !elsewhere, &call_request_handler, c, &c->request, &err);
    c->fresh = false;
    if (r < 0)
        dv_call_end(c, r, NULL, err);
}

static int set_scopes(dv_call *c, const dv_call_spec *spec, davit_error **err)
{
    DV_AUTO(dv_buf) own = DV_BUF_INIT(DV_SCOPES_TEXT_MAX);
    DV_AUTO(dv_buf) from = DV_BUF_INIT(DV_SCOPES_TEXT_MAX);
    if (spec->without_scope)
        return 0;
    if (spec->actions)
        dv_scope_repository(&own, NULL, c->registry->path, spec->actions);
    else
        dv_buf_puts(&own, c->registry->scope);
    if (spec->from)
        dv_scope_repository(&from, NULL, spec->from, "pull");
    if (!(c->scopes[0] = dv_buf_take(&own)) || (spec->from && !(c->scopes[1] = dv_buf_take(&from))))
        return dv_error_oom(err);
    if (spec->from && strcmp(c->scopes[0], c->scopes[1]) > 0) {
        char *first = c->scopes[1];
        c->scopes[1] = c->scopes[0];
        c->scopes[0] = first;
    }
    return 0;
}

static int copy_spec(dv_call *c, const dv_call_spec *spec, davit_error **err)
{
    int r = set_scopes(c, spec, err);
    if (r == 0 && spec->url)
        r = dv_url_copy(spec->url, &c->url, err);
    for (size_t i = 0; r == 0 && i < spec->header_count; i++)
        r = dv_headers_add(&c->headers, spec->headers[i].name, spec->headers[i].value, 0, err);
    if (r < 0)
        return r;
    c->path = dv_strdup(spec->path);
    c->query = dv_strdup(spec->query);
    c->range = dv_strdup(spec->range);
    bool failed = (spec->path && !c->path) || (spec->query && !c->query) || (spec->range && !c->range);
    return failed ? dv_error_oom(err) : 0;
}

int dv_call_start(dv_registry *reg, const dv_call_spec *spec, dv_call **out, davit_error **err)
{
    dv_call *c = dv_new(dv_call);
    if (!c)
        return dv_error_oom(err);
    c->registry = reg;
    c->handler = spec->handler;
    c->user = spec->user;
    c->method = spec->method;
    c->accept = spec->accept;
    c->body_max = spec->body_max;
    c->blob = spec->blob;
    c->large = spec->large;
    c->encoded = spec->encoded;
    c->fresh = spec->fresh;
    c->any_status = spec->any_status;
    c->without_scope = spec->without_scope;
    c->login = spec->login;
    c->attempts = spec->attempts;
    c->limit_ms = spec->limit_ms;
    c->attempt = 1;
    c->timer.fire = on_timer;
    c->limit.fire = on_limit;
    c->body = spec->body;
    c->more_time_ms = spec->more_time_ms;
    int r = copy_spec(c, spec, err);
    if (r < 0) {
        call_free(c);
        return r;
    }
    /* The first try waits for the next turn, so that no callback comes before the caller has the handle. */
    dv_timer_start(reg->client->loop, &c->timer, 0);
    *out = c;
    return 0;
}

void dv_call_cancel(dv_call *c)
{
    call_free(c);
}

void dv_call_resume(dv_call *c)
{
    if (c->request)
        dv_request_resume(c->request);
}

/* --- 401 ------------------------------------------------------------------------------------------------------- */

static void challenged(dv_call *c, dv_response *response)
{
    dv_registry *reg = c->registry;
    davit_error *err = NULL;
    dv_auth_step step;
    DV_AUTO(dv_token_request) wanted = DV_TOKEN_REQUEST_INIT;
    int r = 0;
    if (!reg->challenged && strcmp(response->url.scheme, reg->endpoint.url.scheme) != 0)
        r = dv_authorizer_set_origin(reg->authorizer, &response->url,
                                     &err); /* the plain side of an insecure host */
    c->auth_rounds++;
    reg->challenged = true;
    if (r == 0)
        r = dv_authorizer_challenged(reg->authorizer, &response->headers, call_scopes(c), &c->sent,
                                     dv_clock_ms(), &step, &wanted, &err);
    if (r < 0) {
        /* Nothing more fits. Of what was sent the registry knows best what is wrong, when it says something. */
        davit_error *told = NULL;
        int told_r = dv_error_body_set(&told, response->status, &response->headers,
                                       dv_buf_text(&response->body), response->body.size);
        bool ours = c->login && err && err->kind == DV_ERROR_PLAIN; /* else it refused what it was shown */
        bool better = !ours && dv_secret_is_set(&c->sent) && told && told->kind == DV_ERROR_REGISTRY_FULL;
        bool answer = c->any_status && !ours;
        davit_error_free(better ? err : told);
        if (answer)
            davit_error_free(better ? told : err);
        if (answer)
            dv_call_end(c, 0, response, NULL);
        else
            dv_call_failed(c, better ? told_r : r, better ? told : err);
        return;
    }
    if (step == DV_AUTH_RESEND)
        dv_call_ask(c);
    else
        dv_token_fetch_join(c, &wanted);
}

/* --- waiting for it ---------------------------------------------------------------------------------------------- */

typedef struct waiter {
    dv_task task, cancel;
    dv_node done;
    dv_queue *queue;
    dv_registry *registry;
    dv_call_spec spec;
    dv_call *call;
    int result;
    dv_response response;
    davit_error *err;
    bool ended;
} waiter;

static void waiter_wake(waiter *w)
{
    w->ended = true;
    w->call = NULL;
    dv_queue_push(w->queue, &w->done);
}

static void waiter_done(void *user, int r, dv_response *response, davit_error *err)
{
    waiter *w = user;
    w->result = r;
    w->err = err;
    w->response = *response;
    *response = (dv_response)DV_RESPONSE_INIT;
    waiter_wake(w);
}

static const dv_call_handler waiter_handler = {.on_done = waiter_done};

static void waiter_start(dv_task *task)
{
    waiter *w = (waiter *)task;
    w->spec.handler = &waiter_handler;
    w->spec.user = w;
    w->result = dv_call_start(w->registry, &w->spec, &w->call, &w->err);
    if (w->result < 0)
        waiter_wake(w);
}

static void waiter_cancel(dv_task *task)
{
    waiter *w = (waiter *)((char *)task - offsetof(waiter, cancel));
    if (w->ended)
        return;
    dv_call_cancel(w->call);
    w->result = dv_error_set(&w->err, DAVIT_ECANCELLED, "cancelled");
    waiter_wake(w);
}

int dv_call_wait(dv_registry *reg, const dv_call_spec *spec, dv_response *out, davit_error **err)
{
    davit_client *client = reg->client;
    int r = dv_client_check_cancelled(client, err);
    if (r < 0)
        return r;
    waiter w = {.task.run = waiter_start, .cancel.run = waiter_cancel, .registry = reg, .spec = *spec};
    w.queue = dv_queue_new();
    if (!w.queue)
        return dv_error_oom(err);
    r = dv_loop_post(client->loop, &w.task, err);
    if (r == 0) {
        bool cancelling = false;
        while (!dv_queue_pop(w.queue, cancelling ? -1 : 100)) {
            if (!atomic_load(&client->cancelled))
                continue;
            cancelling = true;
            dv_loop_post_again(client->loop, &w.cancel);
        }
        /* A cancellation that came too late is still queued at the loop: let it pass before w goes. */
        if (cancelling)
            dv_loop_barrier(client->loop);
        r = w.result;
        if (r == 0)
            *out = w.response;
        else
            dv_error_move(err, &w.err, r);
    }
    dv_queue_free(w.queue);
    return r;
}

int dv_call_delete(dv_registry *reg, const char *path, davit_error **err)
{
    static const char *const actions[] = {"delete", "pull,push"};
    DV_AUTOPTR(davit_error) first = NULL;
    int r = 0;
    for (size_t i = 0; i < DV_COUNT(actions); i++) {
        DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
        DV_AUTOPTR(davit_error) why = NULL;
        int now = dv_call_wait(
            reg,
            &(dv_call_spec){
                .method = "DELETE", .path = path, .actions = actions[i], .body_max = DV_ERROR_BODY_MAX},
            &res, &why);
        if (now == 0)
            return 0;
        if (i == 0) {
            r = now;
            first = DV_STEAL(why);
        }
        if (r != DAVIT_EUNAUTHORIZED && r != DAVIT_EDENIED)
            break;
    }
    int status = davit_error_http_status(first);
    if (status == 405 || status == 501 || dv_str_equal(davit_error_registry_code(first), "UNSUPPORTED"))
        return dv_error_set(err, DAVIT_EUNSUPPORTED, "%s does not delete: %s", reg->domain,
                            davit_error_message(first));
    return dv_error_move(err, &first, r);
}

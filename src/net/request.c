/*
 * net/request.c - see request.h.
 *
 * States: one hop's exchange is running; its answer is either a redirect, whose body is thrown away and which starts the next
 * hop, or final. Leaves to others: authorisation, retries, what the answer means.
 */
#include "net/request.h"

#include "net/address.h"
#include "util/log.h"
#include "util/str.h"

#include <string.h>

struct dv_request {
    dv_http_client *client;
    const dv_request_handler *handler;
    void *user;
    dv_exchange *exchange;
    char *method;
    dv_headers headers;
    dv_url origin; /* of the first hop */
    const void *body;
    size_t body_size, body_max;
    dv_body *source;
    uint32_t more_time_ms;
    bool once, body_may_leave, keeps_method, bare_redirect;
    dv_cookies *cookies;
    davit_tls_config *tls;
    bool blob, decode, fresh, large, verify_tls, client_certificate, deny_private, trust_hops;
    unsigned hops;
    size_t skipped; /* bytes of a redirect's own body */
    bool redirecting, streaming;
    dv_response response;
};

void dv_response_clear(dv_response *r)
{
    dv_headers_clear(&r->headers);
    dv_buf_clear(&r->body);
    dv_url_clear(&r->url);
}

/*
 * nginx lets the handshake succeed and then answers 400 with a page of its own, "No required SSL certificate was sent" or "The
 * SSL certificate error". A registry's 400 is JSON, and about something else.
 */
int dv_response_refuses_certificate(const dv_response *r, const davit_tls_config *tls, davit_error **err)
{
    const char *body = dv_buf_text(&r->body);
    bool shown = r->tls_shown.shown > 0;
    if (!tls || r->status != 400 || !r->tls_shown.asked ||
        (shown ? !strstr(body, "SSL certificate") : body[strspn(body, " \t\r\n")] == '{'))
        return 0;
    DV_AUTO(dv_buf) host = DV_BUF_INIT(DV_URL_MAX);
    dv_url_origin_text(&r->url, &host);
    if (host.failed)
        return dv_error_oom(err);
    const char *text = strstr(dv_buf_text(&host), "://");
    return dv_tls_refused(tls, text ? text + 3 : r->url.host, &r->tls_shown, "status 400", err);
}

static void request_free(dv_request *q)
{
    if (q->exchange)
        dv_exchange_cancel(q->exchange);
    free(q->method);
    dv_headers_clear(&q->headers);
    dv_url_clear(&q->origin);
    dv_response_clear(&q->response);
    davit_tls_config_free(q->tls);
    free(q);
}

int dv_redirect_target(const dv_url *from, const char *location, bool deny_private, dv_url *out,
                       davit_error **err)
{
    DV_AUTO(dv_url) to = DV_URL_INIT;
    int r = dv_url_resolve(from, location, &to, err);
    if (r < 0)
        return dv_error_wrap(err, r, "%s: redirect", from->host);
    if (strcmp(from->scheme, "https") == 0 && strcmp(to.scheme, "http") == 0) {
        if (strcmp(from->host, to.host) != 0)
            return dv_error_set(err, DAVIT_EPROTOCOL, "%s: redirect from https to http on %s refused",
                                from->host, to.host);
        /* TLS ends at a proxy that does not tell its server: same host, so keep TLS, and our port unless one is named. */
        DV_AUTO(dv_buf) upgraded = DV_BUF_INIT(DV_URL_MAX);
        uint16_t port = to.explicit_port && to.port != 80 ? to.port : from->port;
        dv_buf_printf(&upgraded, "https://%s:%u%s%s%s", to.host, port, to.path, to.query ? "?" : "",
                      to.query ? to.query : "");
        if (upgraded.failed == DAVIT_ENOMEM)
            return dv_error_oom(err);
        if (upgraded.failed)
            return dv_error_set(err, DAVIT_EPROTOCOL, "%s: redirect to too long a URL", from->host);
        dv_url_clear(&to);
        r = dv_url_parse(dv_buf_text(&upgraded), &to, err);
        if (r < 0)
            return r;
    }
    if (deny_private && strcmp(from->host, to.host) != 0 && dv_host_is_private(to.host))
        return dv_error_set(err, DAVIT_EDENIED, "%s: redirect to the private address %s refused", from->host,
                            to.host);
    *out = to;
    to = (dv_url)DV_URL_INIT;
    return 0;
}

static int start_hop(dv_request *q, const dv_url *url, davit_error **err);

static void end(dv_request *q, int r, davit_error *err)
{
    const dv_request_handler *handler = q->handler;
    void *user = q->user;
    dv_response response = q->response;
    q->response = (dv_response)DV_RESPONSE_INIT;
    request_free(q);
    handler->on_done(user, r, &response, err);
    dv_response_clear(&response);
}

static bool is_redirect(int status)
{
    return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

static void on_connected(void *user)
{
    dv_request *q = user;
    if (q->hops == 1 && q->handler->on_connected)
        q->handler->on_connected(q->user);
}

static int on_head(void *user, int status, const char *reason, const dv_headers *headers, davit_error **err)
{
    dv_request *q = user;
    q->response.status = status;
    q->response.tls_shown = dv_exchange_tls_shown(q->exchange);
    memcpy(q->response.reason, reason, strlen(reason) + 1);
    dv_headers_clear(&q->response.headers);
    int r = dv_headers_copy(headers, &q->response.headers, err);
    if (r < 0)
        return r;
    if (q->hops == 1) {
        q->response.through_proxy = dv_exchange_uses_proxy(q->exchange);
        q->response.peer_private = dv_exchange_peer_is_private(q->exchange);
    }
    q->redirecting =
        is_redirect(status) && (!q->bare_redirect || dv_headers_get(headers, "Location") != NULL);
    if (q->redirecting && !dv_headers_get(headers, "Location"))
        return dv_error_set(err, DAVIT_EPROTOCOL, "%s: redirect (%d) without a Location",
                            q->response.url.host, status);
    if (q->redirecting)
        return 0;
    bool success = status < 300;
    dv_buf_clear(&q->response.body);
    q->response.body = (dv_buf)DV_BUF_INIT(success ? q->body_max : DV_ERROR_BODY_MAX);
    r = q->handler->on_head ? q->handler->on_head(q->user, &q->response, err) : 0;
    q->streaming = r > 0;
    return r < 0 ? r : 0;
}

static int on_body(void *user, const void *bytes, size_t size, davit_error **err)
{
    dv_request *q = user;
    if (q->redirecting) {
        /* A short body is read, which keeps the connection; the rest of a long one is not: see on_done(). */
        q->skipped += size;
        return q->skipped > DV_ERROR_BODY_MAX ? DAVIT_ETOOBIG : 0;
    }
    if (q->streaming)
        return q->handler->on_body(q->user, bytes, size, err);
    dv_buf *body = &q->response.body;
    bool success = q->response.status < 300;
    if (!success && body->size + size > body->max)
        size = body->max - body->size; /* the rest of an error's body is not read: see below */
    dv_buf_append(body, bytes, size);
    if (body->failed == DAVIT_ETOOBIG)
        return dv_error_set(err, DAVIT_ETOOBIG, "%s: answer is longer than %zu bytes", q->response.url.host,
                            body->max);
    if (body->failed)
        return dv_error_oom(err);
    return !success && body->size == body->max ? DAVIT_ETOOBIG : 0;
}

static int next_hop(dv_request *q, davit_error **err)
{
    DV_AUTO(dv_url) to = DV_URL_INIT;
    const char *location = dv_headers_get(&q->response.headers, "Location");
    if (q->hops == DV_REQUESTS_MAX)
        return dv_error_set(err, DAVIT_EPROTOCOL, "%s: stopped after %d redirects", q->origin.host,
                            DV_REQUESTS_MAX);
    bool deny = !q->trust_hops && !q->response.peer_private && !dv_host_is_private(q->origin.host);
    int r = dv_redirect_target(&q->response.url, location, deny, &to, err);
    if (r < 0)
        return r;
    int status = q->response.status;
    bool keeps_method =
        strcmp(q->method, "GET") == 0 || strcmp(q->method, "HEAD") == 0 || status == 307 || status == 308;
    if (!keeps_method && q->keeps_method)
        return dv_error_set(err, DAVIT_EPROTOCOL, "%s: redirect (%d) of a %s to %s, as a GET, refused",
                            q->origin.host, status, q->method, to.host);
    if (!keeps_method) {
        char *get = dv_strdup("GET");
        if (!get)
            return dv_error_oom(err);
        free(q->method);
        q->method = get;
        q->body = NULL;
        q->body_size = 0;
        q->source = NULL;
    }
    if (!dv_url_same_origin(&q->origin, &to))
        q->response.left_origin = true;
    if ((q->body || q->source) && q->response.left_origin && !q->body_may_leave)
        return dv_error_set(err, DAVIT_EPROTOCOL, "%s: redirect of a request with a body to %s refused",
                            q->origin.host, to.host);
    q->deny_private = deny && strcmp(to.host, q->origin.host) != 0;
    return start_hop(q, &to, err);
}

static void on_done(void *user, int r, davit_error *err)
{
    dv_request *q = user;
    q->exchange = NULL;
    /* Enough of an error's body was read: what is there serves as the whole. */
    if (r == DAVIT_ETOOBIG && !err && q->response.status >= 300)
        r = 0;
    if (r == 0 && q->redirecting) {
        r = next_hop(q, &err);
        if (r == 0)
            return;
    }
    if (r < 0 && r != DAVIT_ENOMEM && err && err->http_status == 0 && q->response.status >= 400)
        err->http_status = q->response.status;
    end(q, r, err);
}

static const dv_exchange_handler hop_handler = {on_connected, on_head, on_body, on_done};

static int start_hop(dv_request *q, const dv_url *url, davit_error **err)
{
    DV_AUTO(dv_headers) headers = DV_HEADERS_INIT;
    DV_AUTO(dv_url) copy = DV_URL_INIT;
    int r = dv_url_copy(url, &copy, err);
    for (size_t i = 0; r == 0 && i < q->headers.count; i++) {
        const dv_header *h = &q->headers.items[i];
        if (!h->origin_only || !q->response.left_origin)
            r = dv_headers_add(&headers, h->name, h->value, h->secret ? DV_HEADER_SECRET : 0, err);
    }
    if (r == 0 && q->source)
        r = dv_body_seek(q->source, 0, err);
    if (r < 0)
        return r;
    dv_url_clear(&q->response.url);
    q->response.url = copy;
    copy = (dv_url)DV_URL_INIT;
    q->hops++;
    q->redirecting = q->streaming = false;
    q->skipped = 0;
    return dv_exchange_start(q->client,
                             &(dv_exchange_spec){
                                 .method = q->method,
                                 .url = &q->response.url,
                                 .headers = &headers,
                                 .body = q->body,
                                 .body_size = q->body_size,
                                 .source = q->source,
                                 .once = q->once,
                                 .more_time_ms = q->more_time_ms,
                                 .http1_only = q->blob,
                                 .decode = q->decode,
                                 .fresh = q->fresh,
                                 .large = q->large,
                                 .verify_tls = q->verify_tls,
                                 .tls = q->tls,
                                 .client_certificate = q->client_certificate && !q->response.left_origin,
                                 .deny_private = q->deny_private,
                                 .cookies = q->response.left_origin ? NULL : q->cookies,
                                 .handler = &hop_handler,
                                 .user = q,
                             },
                             &q->exchange, err);
}

int dv_request_start(dv_http_client *c, const dv_request_spec *spec, dv_request **out, davit_error **err)
{
    dv_request *q = dv_new(dv_request);
    if (!q)
        return dv_error_oom(err);
    q->client = c;
    q->handler = spec->handler;
    q->user = spec->user;
    q->body = spec->body;
    q->body_size = spec->body_size;
    q->body_max = spec->body_max;
    q->source = spec->source;
    q->once = spec->once;
    q->more_time_ms = spec->more_time_ms;
    q->body_may_leave = spec->body_may_leave;
    q->keeps_method = spec->keeps_method;
    q->bare_redirect = spec->bare_redirect;
    q->response.left_origin = spec->left_origin;
    q->blob = spec->blob;
    q->decode = spec->decode;
    q->fresh = spec->fresh;
    q->large = spec->large;
    q->verify_tls = spec->verify_tls;
    q->tls = dv_tls_config_ref(spec->tls);
    q->client_certificate = spec->client_certificate;
    q->deny_private = spec->deny_private;
    q->cookies = spec->cookies;
    q->trust_hops = spec->trust_hops;
    q->method = dv_strdup(spec->method);
    int r = q->method ? dv_headers_copy(spec->headers, &q->headers, err) : dv_error_oom(err);
    if (r == 0)
        r = dv_url_copy(spec->url, &q->origin, err);
    if (r == 0)
        r = start_hop(q, spec->url, err);
    if (r < 0) {
        request_free(q);
        return r;
    }
    *out = q;
    return 0;
}

void dv_request_cancel(dv_request *q)
{
    request_free(q);
}

void dv_request_resume(dv_request *q)
{
    if (q->exchange)
        dv_exchange_resume(q->exchange);
}

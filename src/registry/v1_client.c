/*
 * registry/v1_client.c - see v1_client.h.
 *
 * Cookies are kept for each origin apart, so that none reaches another host whatever its Domain says. A host's TLS configuration is
 * looked up for each request: the service's configuration may change.
 */
#include "registry/v1_client.h"

#include "net/address.h"
#include "registry/request_wait.h"
#include "registry/v1_endpoint.h"
#include "util/clock.h"
#include "util/str.h"

#include <string.h>

#define ORIGINS_MAX 64 /* hosts of one client; more share no cookies */

typedef struct origin {
    dv_url url; /* of the first request there */
    dv_cookies *cookies;
} origin;

struct davit_v1_client {
    davit_client *client;
    dv_url base;
    origin *origins;
    size_t origin_count;
    bool peer_known, peer_private; /* of the base URL's host */
};

void davit_v1_client_free(davit_v1_client *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->origin_count; i++) {
        dv_url_clear(&c->origins[i].url);
        dv_cookies_free(c->origins[i].cookies);
    }
    free(c->origins);
    dv_url_clear(&c->base);
    free(c);
}

const char *davit_v1_client_base_url(const davit_v1_client *c)
{
    return c->base.text;
}

davit_client *dv_v1_client_of(const davit_v1_client *c)
{
    return c->client;
}

bool dv_v1_client_is_private(const davit_v1_client *c)
{
    return (c->peer_known && c->peer_private) || dv_host_is_private(c->base.host);
}

/* What the service knows of a URL's host. An unmarked host has no plain http (threats A14). */
static int find_endpoint(const davit_v1_client *c, const dv_url *url, dv_endpoints *out, davit_error **err)
{
    DV_AUTOPTR(dv_service_config) config = dv_service_snapshot(c->client->service);
    DV_AUTO(dv_buf) host = DV_BUF_INIT(DV_URL_MAX);
    dv_buf_puts(&host, url->host);
    if (url->explicit_port)
        dv_buf_printf(&host, ":%u", url->port);
    if (host.failed)
        return dv_error_oom(err);
    int r = dv_endpoints_for_push(config, dv_buf_text(&host), out, err);
    if (r < 0)
        return r;
    if (out->count == 0)
        return dv_error_set(err, DAVIT_EINVAL, "%s is not a registry host", dv_buf_text(&host));
    if (!out->items[0].insecure && strcmp(url->scheme, "http") == 0)
        return dv_error_set(err, DAVIT_EINVAL,
                            "plain http is for hosts that are marked as insecure: --insecure-registry %s",
                            dv_buf_text(&host));
    return 0;
}

int davit_v1_client_new(davit_client *client, const char *base_url, davit_v1_client **out, davit_error **err)
{
    DV_AUTOPTR(davit_v1_client) c = dv_new(davit_v1_client);
    DV_AUTO(dv_endpoints) found = DV_ENDPOINTS_INIT;
    DV_AUTOPTR(davit_error) why = NULL;
    if (!c)
        return dv_error_oom(err);
    c->client = client;
    int r = dv_url_parse(base_url ? base_url : DAVIT_V1_BASE_URL, &c->base, &why);
    if (r < 0)
        return r == DAVIT_ENOMEM ? dv_error_oom(err)
                                 : dv_error_set(err, DAVIT_EINVAL, "%s", davit_error_message(why));
    r = find_endpoint(c, &c->base, &found, err);
    if (r < 0)
        return r;
    *out = DV_STEAL(c);
    return 0;
}

/* --- paths --------------------------------------------------------------------------------------------------------- */

/* A segment that is "." or "..", or nothing at all, would lead elsewhere. */
static bool stays_a_part(const char *part)
{
    if (!*part || part[strcspn(part, "?#\\")])
        return false;
    for (const char *p = part;;) {
        size_t n = strcspn(p, "/");
        if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
            return false;
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)p[i] <= 0x20 || p[i] == 0x7f)
                return false;
        if (!p[n])
            return true;
        p += n + 1;
    }
}

int dv_v1_path_add(dv_buf *path, const char *what, const char *part, davit_error **err)
{
    if (!stays_a_part(part))
        return dv_error_set(err, DAVIT_EINVAL, "'%.300s' cannot be %s", part, what);
    dv_buf_puts(path, part);
    if (path->failed == DAVIT_ETOOBIG)
        return dv_error_set(err, DAVIT_EINVAL, "%s of %zu bytes is too long", what, strlen(part));
    return path->failed ? dv_error_oom(err) : 0;
}

int dv_v1_path_make(dv_buf *path, const char *before, const char *what, const char *part, const char *behind,
                    davit_error **err)
{
    dv_buf_puts(path, before);
    int r = dv_v1_path_add(path, what, part, err);
    if (r < 0)
        return r;
    dv_buf_puts(path, behind);
    return path->failed ? dv_error_set(err, DAVIT_EINVAL, "%s is too long", what) : 0;
}

/* --- refusals ------------------------------------------------------------------------------------------------------ */

/* Who says our own secret back to us is not quoted (threats A12). */
static bool tells_secret(const davit_v1_auth *auth, const char *detail)
{
    const char *secret = auth ? dv_v1_auth_secret(auth) : NULL;
    return secret && *secret && strstr(detail, secret);
}

/* The text of {"error":"..."}, cut; nothing when there is none. */
static void read_detail(const dv_buf *body, const davit_v1_auth *auth, dv_buf *out)
{
    static const dv_json_limits limits = {.max_bytes = DV_ERROR_BODY_MAX, .any_number = true};
    DV_AUTOPTR(dv_json) document = NULL;
    size_t size = 0;
    if (dv_json_parse(dv_buf_text(body), body->size, &limits, NULL, &document, NULL) < 0)
        return;
    const char *text = dv_json_string(dv_json_get(document, "error"), &size);
    if (text && strlen(text) == size && !tells_secret(auth, text))
        dv_buf_append(out, text, size < DV_ERROR_TEXT_MAX ? size : DV_ERROR_TEXT_MAX);
}

static int refuse(const dv_v1_call *call, const dv_url *url, const dv_response *res, davit_error **err)
{
    DV_AUTO(dv_buf) more = DV_BUF_INIT(DV_URL_MAX + 2 * DV_ERROR_TEXT_MAX);
    int code = dv_error_of_status(res->status);
    dv_buf_append(&more, call->method, strlen(call->method) + 1);
    dv_buf_append(&more, url->text, strlen(url->text) + 1);
    read_detail(&res->body, call->auth, &more);
    dv_buf_putc(&more, '\0');
    if (more.failed)
        return dv_error_oom(err);
    dv_error_set(err, code, "%s %s returned %d", call->method, url->text, res->status);
    if (davit_error_code(*err) == code)
        dv_error_set_more(err, more.data, more.size);
    if (davit_error_code(*err) != code) /* no memory: a static error, not ours to fill */
        return davit_error_code(*err);
    (*err)->kind = DV_ERROR_V1_REGISTRY;
    (*err)->http_status = res->status;
    (*err)->retry_after_s = (int)dv_header_retry_after_s(&res->headers, dv_wall_time_s());
    return code;
}

bool davit_error_is_v1_registry(const davit_error *err)
{
    return err && err->kind == DV_ERROR_V1_REGISTRY;
}

/* The nth text of what refuse() kept. */
static const char *part_of(const davit_error *err, unsigned n)
{
    size_t size = 0;
    const char *more = davit_error_is_v1_registry(err) ? dv_error_more(err, &size) : NULL;
    for (; more && n > 0; n--)
        more += strlen(more) + 1;
    return more;
}

const char *davit_v1_error_method(const davit_error *err)
{
    return part_of(err, 0);
}

const char *davit_v1_error_url(const davit_error *err)
{
    return part_of(err, 1);
}

const char *davit_v1_error_detail(const davit_error *err)
{
    const char *detail = part_of(err, 2);
    return detail && *detail ? detail : NULL;
}

/* --- asking ------------------------------------------------------------------------------------------------------------ */

/* NULL without memory, which costs the cookies only. */
static dv_cookies *cookies_of(davit_v1_client *c, const dv_url *url)
{
    for (size_t i = 0; i < c->origin_count; i++)
        if (dv_url_same_origin(&c->origins[i].url, url))
            return c->origins[i].cookies;
    if (c->origin_count == ORIGINS_MAX)
        return NULL;
    origin *origins = dv_realloc_array(c->origins, c->origin_count + 1, sizeof(*origins));
    if (!origins)
        return NULL;
    c->origins = origins;
    origin *one = &origins[c->origin_count];
    *one = (origin){.cookies = dv_cookies_new()};
    if (!one->cookies || dv_url_copy(url, &one->url, NULL) < 0) {
        dv_cookies_free(one->cookies);
        return NULL;
    }
    c->origin_count++;
    return one->cookies;
}

static int build_headers(const davit_v1_client *c, const dv_v1_call *call, const dv_url *url,
                         const dv_secret *authorization, dv_headers *out, davit_error **err)
{
    const dv_headers *extra = &c->client->extra_headers;
    int r = dv_headers_add(out, "Accept-Encoding", "identity", 0, err);
    for (size_t i = 0; r == 0 && i < DV_COUNT(call->header) && call->header[i][0]; i++)
        r = dv_headers_add(out, call->header[i][0], call->header[i][1], 0, err);
    for (size_t i = 0; r == 0 && dv_url_same_origin(url, &c->base) && i < extra->count; i++)
        r = dv_headers_add(out, extra->items[i].name, extra->items[i].value,
                           DV_HEADER_ORIGIN_ONLY | DV_HEADER_SECRET, err);
    if (r == 0 && dv_secret_is_set(authorization))
        r = dv_headers_add(out, "Authorization", authorization->text,
                           DV_HEADER_ORIGIN_ONLY | DV_HEADER_SECRET, err);
    return r;
}

static int send_once(davit_v1_client *c, const dv_v1_call *call, const dv_url *url, const dv_headers *headers,
                     bool fresh, dv_response *out, davit_error **err)
{
    DV_AUTO(dv_endpoints) found = DV_ENDPOINTS_INIT;
    int r = find_endpoint(c, url, &found, err);
    if (r < 0)
        return r;
    bool elsewhere = strcmp(url->host, c->base.host) != 0;
    bool sends = call->ends && call->ends->read;
    const dv_request_spec spec = {
        .method = call->method,
        .url = url,
        .headers = headers,
        .body = call->body,
        .body_size = call->body_size,
        .body_max = call->body_max ? call->body_max : DV_V1_ANSWER_MAX,
        .once = sends,
        .keeps_method = true,
        .bare_redirect = true,
        .blob = call->ends != NULL,
        .large = call->ends && call->ends->write,
        .decode = !call->ends,
        .fresh = fresh,
        .verify_tls = !found.items[0].insecure,
        .tls = found.items[0].tls,
        .client_certificate = true,
        .deny_private = elsewhere && dv_v1_auth_is_of_public_index(call->auth) && !found.items[0].insecure,
        .cookies = cookies_of(c, url),
    };
    r = call->ends ? dv_request_stream(c->client, &spec, call->ends, out, err)
                   : dv_request_wait(c->client, &spec, NULL, out, err);
    if (r < 0)
        return r;
    if (!elsewhere) {
        c->peer_known = !out->through_proxy;
        c->peer_private = out->peer_private;
    }
    return dv_response_refuses_certificate(out, found.items[0].tls, err);
}

static int try_once(davit_v1_client *c, const dv_v1_call *call, const dv_url *url, const dv_headers *headers,
                    bool fresh, dv_response *out, davit_error **err)
{
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    int r = send_once(c, call, url, headers, fresh, &res, err);
    if (r < 0)
        return r == DAVIT_ECANCELLED || r == DAVIT_ENOMEM
                   ? r
                   : dv_error_wrap(err, r, "%s %s", call->method, url->text);
    if (res.status < 200 || res.status > 299)
        return refuse(call, url, &res, err);
    if (out) {
        *out = res;
        res = (dv_response)DV_RESPONSE_INIT;
    }
    return 0;
}

int dv_v1_ask(davit_v1_client *c, const dv_v1_call *call, dv_response *out, davit_error **err)
{
    DV_AUTO(dv_url) url = DV_URL_INIT, to = DV_URL_INIT;
    DV_AUTO(dv_secret) authorization = DV_SECRET_INIT;
    DV_AUTO(dv_headers) headers = DV_HEADERS_INIT;
    int r = dv_url_resolve(&c->base, call->path, &url, err);
    if (r < 0)
        return r == DAVIT_ENOMEM
                   ? r
                   : dv_error_set(err, DAVIT_EINVAL, "'%.300s' cannot be the path of a request", call->path);
    r = dv_v1_auth_apply(call->auth, &url, &to, &authorization, err);
    if (r == 0)
        r = build_headers(c, call, &to, &authorization, &headers, err);
    if (r < 0)
        return r;
    for (uint32_t attempt = 1;; attempt++) {
        DV_AUTOPTR(davit_error) why = NULL;
        r = try_once(c, call, &to, &headers, /* fresh= */ attempt > 1, out, &why);
        if (r == 0)
            return 0;
        if (call->once || !dv_request_wait_again(c->client, attempt + 1, why))
            return dv_error_move(err, &why, r);
    }
}

int dv_v1_ask_json(davit_v1_client *c, const dv_v1_call *call, const char *what, dv_json **out,
                   davit_error **err)
{
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    int r = dv_v1_ask(c, call, &res, err);
    if (r < 0)
        return r;
    return dv_v1_answer_parse(dv_buf_text(&res.body), res.body.size, call->body_max, what, out, err);
}

/* --- whether it is there ------------------------------------------------------------------------------------------------- */

int davit_v1_ping(davit_v1_client *c, bool *out_standalone, davit_error **err)
{
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    const dv_v1_call call = {.method = "GET", .path = "_ping", .body_max = DV_V1_PING_MAX};
    int r = dv_v1_ask(c, &call, &res, err);
    if (r < 0)
        return r;
    if (out_standalone)
        *out_standalone = dv_v1_ping_standalone(&res.headers, dv_buf_text(&res.body), res.body.size);
    return 0;
}

int dv_v1_says_standalone(davit_v1_client *c, bool *out, davit_error **err)
{
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    DV_AUTOPTR(davit_error) why = NULL;
    const dv_v1_call call = {.method = "GET", .path = "_ping", .body_max = DV_V1_PING_MAX};
    int r = dv_v1_ask(c, &call, &res, &why);
    if (r < 0 && !davit_error_is_v1_registry(why))
        return dv_error_move(err, &why, r);
    *out = r == 0 && dv_headers_get(&res.headers, "X-Docker-Registry-Standalone") &&
           dv_v1_ping_standalone(&res.headers, "", 0);
    return 0;
}

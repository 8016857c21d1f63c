/* registry/v1_endpoint.c - see v1_endpoint.h. */
#include "registry/v1_endpoint.h"

#include "registry/request_wait.h"
#include "service/service.h"
#include "util/json.h"
#include "util/str.h"

#include <string.h>

#define DV_TOKEN_LINE_MAX (16u << 10)

void dv_v1_endpoint_clear(dv_v1_endpoint *e)
{
    dv_url_clear(&e->url);
    dv_url_clear(&e->registry.url);
    davit_tls_config_free(e->registry.tls);
    if (e->token)
        explicit_bzero(e->token, strlen(e->token));
    free(e->token);
    *e = (dv_v1_endpoint)DV_V1_ENDPOINT_INIT;
}

/* --- values -------------------------------------------------------------------------------------------------------- */

static int parse_url(const char *text, dv_url *out, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_url_parse(text, out, &why);
    if (r == DAVIT_ENOMEM)
        return dv_error_oom(err);
    return r < 0 ? dv_error_set(err, DAVIT_EINVAL, "%.300s: %s", text, davit_error_message(why)) : 0;
}

int dv_v1_endpoint_parse(const char *address, dv_url *out, davit_error **err)
{
    bool has_scheme = dv_str_starts(address, "http://") || dv_str_starts(address, "https://");
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_URL_MAX);
    size_t size = strlen(address);
    if (size > 0 && address[size - 1] == '/')
        size--;
    if (size >= 3 && memcmp(address + size - 3, "/v2", 3) == 0)
        return dv_error_set(err, DAVIT_EINVAL, "search is not supported on v2 endpoints: %s", address);
    if (size >= 3 && memcmp(address + size - 3, "/v1", 3) == 0)
        size -= 3;
    dv_buf_puts(&text, has_scheme ? "" : "https://");
    dv_buf_append(&text, address, size);
    dv_buf_puts(&text, "/v1/");
    if (text.failed == DAVIT_ENOMEM)
        return dv_error_oom(err);
    return text.failed ? dv_error_set(err, DAVIT_EINVAL, "%.300s: too long", address)
                       : parse_url(dv_buf_text(&text), out, err);
}

bool dv_v1_ping_standalone(const dv_headers *headers, const void *body, size_t size)
{
    static const dv_json_limits limits = {.max_bytes = DV_V1_PING_MAX};
    DV_AUTOPTR(dv_json) object = NULL;
    const char *said = dv_headers_get(headers, "X-Docker-Registry-Standalone");
    if (said && *said)
        return dv_str_equal(said, "1") || dv_str_equal_nocase(said, "true");
    bool standalone = true;
    void *iter = NULL;
    const char *key;
    const dv_json *v;
    if (dv_json_parse(body, size, &limits, NULL, &object, NULL) < 0 || !dv_json_is(object, DV_JSON_OBJECT))
        return true;
    while (dv_json_next(object, &iter, &key, &v))
        if (dv_str_equal_nocase(key, "standalone") && dv_json_is(v, DV_JSON_BOOL))
            standalone = dv_json_bool(v);
    return standalone;
}

char *dv_v1_token_of(const dv_headers *headers)
{
    DV_AUTO(dv_buf) text = {.max = DV_TOKEN_LINE_MAX, .secret = true};
    const char *value;
    for (size_t i = 0; (value = dv_headers_get_nth(headers, "X-Docker-Token", i)); i++)
        dv_buf_printf(&text, "%s%s", i ? "," : "", value);
    return text.size > 0 && !text.failed ? dv_buf_take(&text) : NULL;
}

/* The same URL with another scheme; a port that was not named is the scheme's own. */
static int set_scheme(dv_url *url, const char *scheme, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_URL_MAX);
    DV_AUTO(dv_url) other = DV_URL_INIT;
    dv_buf_printf(&text, "%s://%s", scheme, url->host);
    if (url->explicit_port)
        dv_buf_printf(&text, ":%u", url->port);
    dv_buf_puts(&text, url->path);
    int r = text.failed ? dv_error_oom(err) : parse_url(dv_buf_text(&text), &other, err);
    if (r < 0)
        return r;
    dv_url_clear(url);
    *url = other;
    other = (dv_url)DV_URL_INIT;
    return 0;
}

/* --- asking -------------------------------------------------------------------------------------------------------- */

static int ping_once(davit_client *c, const dv_v1_endpoint *e, const dv_headers *headers, bool fresh,
                     dv_response *out, davit_error **err)
{
    static const dv_request_wait_options options = {.head_is_enough = true};
    DV_AUTO(dv_url) url = DV_URL_INIT;
    int r = dv_url_resolve(&e->url, "_ping", &url, err);
    return r < 0 ? r
                 : dv_request_wait(c,
                                   &(dv_request_spec){.method = "GET",
                                                      .url = &url,
                                                      .headers = headers,
                                                      .body_max = DV_V1_PING_MAX,
                                                      .decode = true,
                                                      .fresh = fresh,
                                                      .verify_tls = !e->registry.insecure,
                                                      .tls = e->registry.tls,
                                                      .client_certificate = true},
                                   &options, out, err);
}

static int ping(davit_client *c, dv_v1_endpoint *e, const dv_headers *headers, bool repeat, davit_error **err)
{
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    for (uint32_t attempt = 1;; attempt++) {
        DV_AUTOPTR(davit_error) why = NULL;
        int r = ping_once(c, e, headers, /* fresh= */ attempt > 1, &res, &why);
        if (r == 0)
            break;
        if (repeat && dv_request_wait_again(c, attempt + 1, why))
            continue;
        dv_error_move(err, &why, r);
        return r == DAVIT_ECANCELLED || r == DAVIT_ENOMEM
                   ? r
                   : dv_error_wrap(err, r, "Get \"%s_ping\"", e->url.text);
    }
    e->standalone = dv_v1_ping_standalone(&res.headers, dv_buf_text(&res.body), res.body.size);
    e->peer_known = !res.through_proxy;
    e->peer_private = res.peer_private;
    free(e->token);
    e->token = res.left_origin ? NULL : dv_v1_token_of(&res.headers);
    return 0;
}

int dv_v1_endpoint_ping(davit_client *c, dv_v1_endpoint *e, const dv_headers *headers, davit_error **err)
{
    return ping(c, e, headers, /* repeat= */ true, err);
}

/* host[:port] as it stands in the URL. */
static const char *host_of(const dv_url *url, dv_buf *out)
{
    dv_url_origin_text(url, out);
    const char *text = strstr(dv_buf_text(out), "://");
    return text ? text + 3 : url->host;
}

static int refuse_secure(const dv_v1_endpoint *e, int r, const davit_error *why, davit_error **err)
{
    DV_AUTO(dv_buf) origin = DV_BUF_INIT(DV_URL_MAX);
    const char *host = host_of(&e->url, &origin);
    return dv_error_set(
        err, r,
        "invalid registry endpoint %s: %s. If this private registry supports only HTTP or HTTPS with an "
        "unknown CA certificate, please add `--insecure-registry %s` to the daemon's arguments. In the case "
        "of HTTPS, if you have access to the registry's CA certificate, no need for the flag; simply place "
        "the CA certificate at /etc/docker/certs.d/%s/ca.crt",
        e->url.text, davit_error_message(why), host, host);
}

/* Over https, and for an insecure host else over http. */
static int discover(davit_client *c, dv_v1_endpoint *e, const dv_headers *headers, davit_error **err)
{
    static const dv_headers nothing = DV_HEADERS_INIT;
    DV_AUTOPTR(davit_error) https = NULL;
    DV_AUTOPTR(davit_error) http = NULL;
    int r = set_scheme(&e->url, "https", err);
    if (r < 0)
        return r;
    r = ping(c, e, headers, /* repeat= */ !e->registry.insecure, &https);
    if (r == 0)
        return 0;
    if (r == DAVIT_ECANCELLED || r == DAVIT_ENOMEM)
        return dv_error_move(err, &https, r);
    if (!e->registry.insecure)
        return refuse_secure(e, r, https, err);
    r = set_scheme(&e->url, "http", err);
    if (r < 0)
        return r;
    r = ping(c, e, &nothing, /* repeat= */ true, &http);
    if (r == 0)
        return 0;
    if (r == DAVIT_ECANCELLED || r == DAVIT_ENOMEM)
        return dv_error_move(err, &http, r);
    return dv_error_set(err, r, "invalid registry endpoint \"%s\". HTTPS attempt: %s. HTTP attempt: %s",
                        e->url.text, davit_error_message(https), davit_error_message(http));
}

/* What the service knows of the host: security and TLS configuration. */
static int look_up(davit_client *c, const char *index, dv_v1_endpoint *e, davit_error **err)
{
    DV_AUTOPTR(dv_service_config) config = dv_service_snapshot(c->service);
    DV_AUTO(dv_endpoints) found = DV_ENDPOINTS_INIT;
    int r = dv_endpoints_for_push(config, index, &found, err);
    if (r < 0)
        return r;
    if (found.count == 0)
        return dv_error_set(err, DAVIT_EINVAL, "%s is not a registry host", index);
    e->registry = found.items[0];
    found.items[0] = (dv_endpoint){0};
    e->official = e->registry.official;
    return 0;
}

int dv_v1_endpoint_find(davit_client *c, const char *index, const dv_headers *headers, dv_v1_endpoint *out,
                        davit_error **err)
{
    DV_AUTO(dv_v1_endpoint) e = DV_V1_ENDPOINT_INIT;
    int r = look_up(c, index, &e, err);
    if (r == 0)
        r = dv_v1_endpoint_parse(e.official ? DAVIT_INDEX_SERVER : index, &e.url, err);
    if (r == 0 && !e.official)
        r = discover(c, &e, headers, err);
    if (r < 0)
        return r;
    *out = e;
    e = (dv_v1_endpoint)DV_V1_ENDPOINT_INIT;
    return 0;
}

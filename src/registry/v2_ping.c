/*
 * registry/v2_ping.c - see v2_ping.h. Every HTTP answer is an answer; only a transport failure is an error.
 *
 * dv_v2_ping() asks as every other question is asked, with credentials. davit_ping_v2_registry() is the reference's: one request
 * to the URL as it stands, without credentials and without answering a challenge, for what the registry wants to know.
 */
#include "registry/v2_ping.h"

#include "auth/challenge.h"
#include "registry/call.h"
#include "registry/request_wait.h"
#include "service/service.h"

#include <stdio.h>
#include <string.h>

static void list_schemes(int status, const dv_headers *headers, char *out, size_t size)
{
    DV_AUTO(dv_challenges) challenges = DV_CHALLENGES_INIT;
    size_t used = 0;
    out[0] = '\0';
    if (dv_challenges_parse(status, headers, &challenges, NULL) < 0)
        return;
    for (size_t i = 0; i < challenges.count && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i ? ", " : "", challenges.items[i].scheme);
}

int dv_v2_ping(dv_registry *reg, davit_ping_result *out, davit_error **err)
{
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    int r = dv_call_wait(reg,
                         &(dv_call_spec){.method = "GET",
                                         .path = "v2/",
                                         .body_max = DV_ERROR_BODY_MAX,
                                         .any_status = true,
                                         .without_scope = true},
                         &res, err);
    if (r < 0)
        return r;
    *out = (davit_ping_result){.status = res.status, .tls = strcmp(res.url.scheme, "https") == 0};
    out->authenticated = res.status == 200 && reg->challenged;
    list_schemes(res.status, &res.headers, out->challenge, sizeof(out->challenge));
    snprintf(out->url, sizeof(out->url), "%s", res.url.query ? "" : res.url.text);
    return 0;
}

/* --- what it asks for ------------------------------------------------------------------------------------------------ */

DV_DEFINE_AUTOPTR(davit_challenges, davit_challenges_free)

void davit_challenges_free(davit_challenges *challenges)
{
    if (!challenges)
        return;
    for (size_t i = 0; i < challenges->count; i++) {
        free(challenges->items[i].scheme);
        free(challenges->items[i].realm);
        free(challenges->items[i].service);
    }
    free(challenges->items);
    free(challenges->url);
    free(challenges);
}

/* In place of the allocator's error: the registry did answer. */
static davit_error not_recorded = {.code = DAVIT_ENOMEM,
                                   .kind = DV_ERROR_PING_RESPONSE,
                                   .retry_after_s = -1,
                                   .final = true,
                                   .message = "out of memory"};

static int fail_to_record(davit_error **err)
{
    if (err) {
        davit_error_free(*err);
        *err = &not_recorded;
    }
    return DAVIT_ENOMEM;
}

bool davit_error_is_ping_response(const davit_error *err)
{
    return err && err->kind == DV_ERROR_PING_RESPONSE;
}

static bool copy_challenge(const dv_auth_params *from, davit_challenge *to)
{
    const char *realm = dv_auth_params_get(from, "realm"), *service = dv_auth_params_get(from, "service");
    to->scheme = dv_strdup(from->scheme);
    to->realm = dv_strdup(realm);
    to->service = dv_strdup(service);
    return to->scheme && (to->realm || !realm) && (to->service || !service);
}

int dv_ping_record(const dv_url *url, int status, const dv_headers *headers, davit_challenges **out,
                   davit_error **err)
{
    DV_AUTO(dv_challenges) parsed = DV_CHALLENGES_INIT;
    DV_AUTOPTR(davit_challenges) made = dv_new(davit_challenges);
    if (!made || dv_challenges_parse(status, headers, &parsed, NULL) < 0)
        return fail_to_record(err);
    made->url = dv_strdup(url->text);
    made->items = dv_new_array(davit_challenge, parsed.count + 1);
    if (!made->url || !made->items)
        return fail_to_record(err);
    for (; made->count < parsed.count; made->count++)
        if (!copy_challenge(&parsed.items[made->count], &made->items[made->count])) {
            made->count++;
            return fail_to_record(err);
        }
    *out = DV_STEAL(made);
    return 0;
}

/* URL without the slashes at its end, and /v2/. */
static int ping_url(const char *url, dv_url *out, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_URL_MAX);
    DV_AUTOPTR(davit_error) why = NULL;
    size_t n = strlen(url);
    while (n > 0 && url[n - 1] == '/')
        n--;
    dv_buf_append(&text, url, n);
    dv_buf_puts(&text, "/v2/");
    if (text.failed)
        return text.failed == DAVIT_ETOOBIG ? dv_error_set(err, DAVIT_EINVAL, "URL is too long")
                                            : dv_error_oom(err);
    int r = dv_url_parse(dv_buf_text(&text), out, &why);
    if (r == DAVIT_ENOMEM)
        return dv_error_oom(err);
    return r < 0 ? dv_error_set(err, DAVIT_EINVAL, "%s", davit_error_message(why)) : 0;
}

/* The host's own endpoint: how far TLS is trusted there. Its URL does not matter. */
static int find_endpoint(davit_client *client, const dv_url *url, dv_endpoints *out, davit_error **err)
{
    DV_AUTO(dv_buf) host = DV_BUF_INIT(DV_URL_MAX);
    DV_AUTOPTR(dv_service_config) config = dv_service_snapshot(client->service);
    dv_buf_puts(&host, url->host);
    if (url->explicit_port)
        dv_buf_printf(&host, ":%u", url->port);
    if (host.failed)
        return dv_error_oom(err);
    int r = dv_endpoints_for_push(config, dv_buf_text(&host), out, err);
    if (r < 0)
        return r;
    if (strcmp(url->scheme, "http") == 0 && !out->items[0].insecure)
        return dv_error_set(err, DAVIT_EINVAL,
                            "%s: plain HTTP is only for a registry that is listed as insecure",
                            dv_buf_text(&host));
    return 0;
}

/* As registry/call.c's questions have them, without a proof of who asks. */
static int ping_headers(const davit_client *client, dv_headers *out, davit_error **err)
{
    const dv_headers *extra = &client->extra_headers;
    int r = dv_headers_add(out, "Accept", "*/*", 0, err);
    if (r == 0)
        r = dv_headers_add(out, "Accept-Encoding", "identity", 0, err);
    for (size_t i = 0; r == 0 && i < extra->count; i++)
        r = dv_headers_add(out, extra->items[i].name, extra->items[i].value,
                           DV_HEADER_ORIGIN_ONLY | DV_HEADER_SECRET, err);
    return r;
}

int davit_ping_v2_registry(davit_client *client, const char *url, davit_challenges **out, davit_error **err)
{
    DV_AUTO(dv_url) target = DV_URL_INIT;
    DV_AUTO(dv_endpoints) endpoints = DV_ENDPOINTS_INIT;
    DV_AUTO(dv_headers) headers = DV_HEADERS_INIT;
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    int r = ping_url(url, &target, err);
    if (r == 0)
        r = find_endpoint(client, &target, &endpoints, err);
    if (r == 0)
        r = ping_headers(client, &headers, err);
    if (r < 0)
        return r;
    const dv_endpoint *own = &endpoints.items[0];
    const dv_request_spec spec = {.method = "GET",
                                  .url = &target,
                                  .headers = &headers,
                                  .body_max = DV_ERROR_BODY_MAX,
                                  .verify_tls = !own->insecure,
                                  .tls = own->tls,
                                  .client_certificate = true};
    const dv_request_wait_options options = {.limit_ms = DV_PING_TIMEOUT_MS, .head_is_enough = true};
    r = dv_request_wait(client, &spec, &options, &res, err);
    return r < 0 ? r : dv_ping_record(&res.url, res.status, &res.headers, out, err);
}

/* registry/v1_session.c - see v1_session.h. */
#include "registry/v1_session.h"

#include "auth/auth_config.h"
#include "auth/authorizer.h"
#include "auth/scope.h"
#include "registry/request_wait.h"
#include "util/clock.h"
#include "util/str.h"

#include <string.h>

#define SCOPE_ACTIONS "search"

typedef enum method {
    METHOD_PLAIN,  /* Basic when a token is asked for and there is a user, else the token that was given */
    METHOD_BASIC,  /* Basic always */
    METHOD_BEARER, /* what the v2 side of the registry asks for */
} method;

struct dv_v1_session {
    davit_client *client;
    dv_v1_endpoint endpoint;
    davit_auth_config auth;
    bool has_auth;
    dv_headers headers;
    dv_cookies *cookies;
    method method;
    dv_secret token;       /* of X-Docker-Token answers */
    dv_headers challenge;  /* of the 401 that /v2/ answered; empty: it asks for nothing */
    bool challenged;       /* the challenge was answered */
    dv_authorizer *bearer; /* METHOD_BEARER */
    char *scope;
};

void dv_v1_session_close(dv_v1_session *s)
{
    if (!s)
        return;
    dv_v1_endpoint_clear(&s->endpoint);
    davit_auth_config_clear(&s->auth);
    dv_headers_clear(&s->headers);
    dv_cookies_free(s->cookies);
    dv_secret_clear(&s->token);
    dv_headers_clear(&s->challenge);
    dv_authorizer_free(s->bearer);
    free(s->scope);
    free(s);
}

int dv_v1_session_open(davit_client *c, const char *index, const davit_auth_config *auth,
                       const dv_headers *headers, dv_v1_session **out, davit_error **err)
{
    DV_AUTOPTR(dv_v1_session) s = dv_new(dv_v1_session);
    if (!s)
        return dv_error_oom(err);
    s->client = c;
    s->has_auth = auth != NULL;
    int r = davit_auth_config_copy(auth, &s->auth, err);
    if (r == 0)
        r = dv_headers_copy(headers, &s->headers, err);
    if (r == 0)
        r = dv_v1_endpoint_find(c, index, &s->headers, &s->endpoint, err);
    if (r < 0)
        return r;
    *out = DV_STEAL(s);
    return 0;
}

/* --- requests ------------------------------------------------------------------------------------------------------ */

/* One request, once; authorization may be NULL. Its headers are the user's and what every request has. */
static int send_once(dv_v1_session *s, const dv_url *url, const dv_secret *authorization, bool ask_token,
                     dv_request_spec spec, dv_response *out, davit_error **err)
{
    DV_AUTO(dv_headers) headers = DV_HEADERS_INIT;
    int r = dv_headers_copy(&s->headers, &headers, err);
    if (r == 0)
        r = dv_headers_add(&headers, "Accept-Encoding", "identity", 0, err);
    if (r == 0 && ask_token)
        r = dv_headers_add(&headers, "X-Docker-Token", "true", 0, err);
    if (r == 0 && authorization && dv_secret_is_set(authorization))
        r = dv_headers_add(&headers, "Authorization", authorization->text,
                           DV_HEADER_ORIGIN_ONLY | DV_HEADER_SECRET, err);
    spec.method = "GET";
    spec.url = url;
    spec.headers = &headers;
    spec.decode = true;
    spec.verify_tls = !s->endpoint.registry.insecure;
    spec.tls = s->endpoint.registry.tls;
    spec.client_certificate = true;
    return r < 0 ? r : dv_request_wait(s->client, &spec, NULL, out, err);
}

/* 501 is a registry that has no search. */
static int status_code(int status)
{
    return status == 501 ? DAVIT_EUNSUPPORTED : dv_error_of_status(status);
}

static int name_url(const dv_url *url, int r, davit_error **err)
{
    bool ours = r == DAVIT_ECANCELLED || r == DAVIT_ENOMEM;
    return ours ? r : dv_error_wrap(err, r, "Get \"%s\"", url->text);
}

static int refuse_status(const dv_response *res, davit_error **err)
{
    int code = status_code(res->status);
    dv_error_set(err, code, "Unexpected status code %d", res->status);
    if (davit_error_code(*err) != code) /* no memory: a static error, not ours to fill */
        return davit_error_code(*err);
    (*err)->kind = DV_ERROR_UNEXPECTED;
    (*err)->http_status = res->status;
    (*err)->retry_after_s = (int)dv_header_retry_after_s(&res->headers, dv_wall_time_s());
    return code;
}

/* --- bearer: what the v2 side asks for ------------------------------------------------------------------------------ */

static int ask_v2(dv_v1_session *s, const dv_url *url, davit_error **err)
{
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    dv_request_spec spec = {.body_max = DV_ERROR_BODY_MAX};
    for (uint32_t attempt = 1;; attempt++) {
        DV_AUTOPTR(davit_error) why = NULL;
        spec.fresh = attempt > 1;
        int r = send_once(s, url, NULL, /* ask_token= */ false, spec, &res, &why);
        if (r == 0)
            break;
        if (!dv_request_wait_again(s->client, attempt + 1, why)) {
            dv_error_move(err, &why, r);
            return name_url(url, r, err);
        }
    }
    if (res.status != 401 || res.left_origin)
        return 0;
    s->challenge = res.headers;
    res.headers = (dv_headers)DV_HEADERS_INIT;
    return 0;
}

static int start_bearer(dv_v1_session *s, davit_error **err)
{
    DV_AUTO(dv_url) v2 = DV_URL_INIT;
    DV_AUTO(dv_buf) scope = DV_BUF_INIT(DV_SCOPES_TEXT_MAX);
    int r = dv_url_resolve(&s->endpoint.url, "../v2/", &v2, err);
    if (r == 0)
        r = dv_authorizer_new(
            &(dv_authorizer_options){
                .origin = &s->endpoint.url,
                .credentials = &s->auth,
                .trusted_realms = (const char *const *)s->client->trusted_realms,
                .origin_private = s->endpoint.peer_known && s->endpoint.peer_private,
            },
            &s->bearer, err);
    if (r < 0)
        return r;
    dv_scope_registry(&scope, "catalog", SCOPE_ACTIONS);
    s->scope = dv_buf_take(&scope);
    return s->scope ? ask_v2(s, &v2, err) : dv_error_oom(err);
}

static int send_token_request(dv_v1_session *s, const dv_token_request *t, dv_response *out, davit_error **err)
{
    static const dv_request_wait_options options = {.limit_ms = DV_TOKEN_TIMEOUT_MS};
    const dv_v1_endpoint *e = &s->endpoint;
    bool elsewhere = strcmp(t->url.host, e->url.host) != 0;
    DV_AUTO(dv_headers) headers = DV_HEADERS_INIT;
    int r = dv_headers_copy(&t->headers, &headers, err);
    if (r == 0)
        r = dv_headers_add(&headers, "Accept-Encoding", "identity", 0, err);
    if (r < 0)
        return r;
    return dv_request_wait(
        s->client,
        &(dv_request_spec){
            .method = t->post ? "POST" : "GET",
            .url = &t->url,
            .headers = &headers,
            .body = t->post ? t->body.text : NULL,
            .body_size = t->post ? t->body.size : 0,
            .body_max = DV_TOKEN_ANSWER_MAX,
            .decode = true,
            .verify_tls = !e->registry.insecure,
            .tls = e->registry.tls, /* threats A3 */
            .client_certificate = !t->anonymous,
            .deny_private = elsewhere && !t->configured && e->peer_known && !e->peer_private,
            .trust_hops = e->peer_known && e->peer_private,
        },
        &options, out, err);
}

/* Fetch a token; the authorizer has it then. Takes what wanted holds. */
static int fetch_token(dv_v1_session *s, dv_token_request *wanted, davit_error **err)
{
    for (uint32_t attempt = 1;;) {
        DV_AUTOPTR(davit_error) why = NULL;
        DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
        DV_AUTO(dv_token_request) other = DV_TOKEN_REQUEST_INIT;
        int r = send_token_request(s, wanted, &res, &why);
        res.body.secret = true;
        if (r == 0)
            r = dv_response_refuses_certificate(&res, s->endpoint.registry.tls, &why);
        if (r == 0)
            r = dv_authorizer_token_answered(s->bearer, wanted, res.status, &res.headers,
                                             dv_buf_text(&res.body), res.body.size, dv_clock_ms(), &other,
                                             &why);
        if (r == 0)
            return 0;
        if (r > 0) {
            dv_token_request_clear(wanted);
            *wanted = other;
            other = (dv_token_request)DV_TOKEN_REQUEST_INIT; /* moved */
        } else if (!dv_request_wait_again(s->client, ++attempt, why)) {
            return dv_error_move(err, &why, r);
        }
    }
}

/* Answer the challenge of /v2/, once. */
static int answer_challenge(dv_v1_session *s, davit_error **err)
{
    const char *scopes[] = {s->scope, NULL};
    DV_AUTO(dv_token_request) wanted = DV_TOKEN_REQUEST_INIT;
    dv_auth_step step = DV_AUTH_RESEND;
    int r = 0;
    if (s->challenged || !dv_headers_get(&s->challenge, "WWW-Authenticate"))
        return 0;
    r = dv_authorizer_challenged(s->bearer, &s->challenge, scopes, NULL, dv_clock_ms(), &step, &wanted, err);
    if (r == 0 && step == DV_AUTH_FETCH_TOKEN)
        r = fetch_token(s, &wanted, err);
    s->challenged = r == 0;
    return r;
}

/* --- who we are ----------------------------------------------------------------------------------------------------- */

static bool is_set(const char *text)
{
    return text && *text;
}

static int remember_token(dv_v1_session *s, char *token, davit_error **err)
{
    bool kept = !token || dv_secret_set(&s->token, token, strlen(token));
    if (token)
        explicit_bzero(token, strlen(token));
    free(token);
    return kept ? 0 : dv_error_oom(err);
}

int dv_v1_session_authorize(dv_v1_session *s, davit_error **err)
{
    if (is_set(s->auth.identitytoken) && is_set(s->auth.username)) {
        s->method = METHOD_BEARER;
        return start_bearer(s, err);
    }
    s->cookies = dv_cookies_new();
    if (!s->cookies)
        return dv_error_oom(err);
    if (!s->endpoint.official && strcmp(s->endpoint.url.scheme, "https") == 0) {
        int r = dv_v1_endpoint_ping(s->client, &s->endpoint, &s->headers, err);
        if (r < 0)
            return r;
        s->method = s->endpoint.standalone && s->has_auth ? METHOD_BASIC : METHOD_PLAIN;
    }
    return remember_token(s, DV_STEAL(s->endpoint.token), err);
}

static int token_authorization(const dv_v1_session *s, dv_secret *out, davit_error **err)
{
    DV_AUTO(dv_buf) text = {.max = 2 * DV_HTTP_HEADER_LINE_MAX, .secret = true};
    dv_buf_printf(&text, "Token %s", s->token.text);
    return text.failed || !dv_secret_set(out, dv_buf_text(&text), text.size) ? dv_error_oom(err) : 0;
}

static int authorization(dv_v1_session *s, dv_secret *out, davit_error **err)
{
    const davit_auth_config *a = &s->auth;
    const char *scopes[] = {s->scope, NULL};
    if (s->method == METHOD_BEARER) {
        dv_authorizer_get(s->bearer, scopes, dv_clock_ms(), out);
        return 0;
    }
    if (s->method == METHOD_BASIC || is_set(a->username))
        return dv_basic_authorization(a->username ? a->username : "", a->password ? a->password : "", out,
                                      err);
    return dv_secret_is_set(&s->token) ? token_authorization(s, out, err) : 0;
}

/* --- the question --------------------------------------------------------------------------------------------------- */

static int get_once(dv_v1_session *s, const dv_url *url, size_t body_max, bool fresh, dv_response *out,
                    davit_error **err)
{
    DV_AUTO(dv_secret) value = DV_SECRET_INIT;
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    int r = authorization(s, &value, err);
    if (r == 0)
        r = send_once(s, url, &value, /* ask_token= */ true,
                      (dv_request_spec){.body_max = body_max, .fresh = fresh, .cookies = s->cookies}, &res,
                      err);
    if (r < 0)
        return name_url(url, r, err);
    if (!res.left_origin)
        r = remember_token(s, dv_v1_token_of(&res.headers), err);
    if (r == 0)
        r = dv_response_refuses_certificate(&res, s->endpoint.registry.tls, err);
    if (r == 0 && res.status != 200)
        r = refuse_status(&res, err);
    if (r < 0)
        return r;
    *out = res;
    res = (dv_response)DV_RESPONSE_INIT; /* moved */
    return 0;
}

/* A registry that asks for more patience than we have: say how much. */
static int name_wait(const dv_v1_session *s, int r, davit_error **err)
{
    uint32_t max = s->client->retry.retry_after_max_s;
    if (*err && (*err)->retry_after_s > (int)max)
        return dv_error_wrap(err, r, "the registry asks to wait %d s, longer than %u s",
                             (*err)->retry_after_s, max);
    return r;
}

int dv_v1_session_get(dv_v1_session *s, const char *path, size_t body_max, dv_response *out, davit_error **err)
{
    DV_AUTO(dv_url) url = DV_URL_INIT;
    int r = dv_url_resolve(&s->endpoint.url, path, &url, err);
    if (r < 0)
        return r;
    r = answer_challenge(s, err);
    if (r < 0)
        return name_url(&url, r, err);
    for (uint32_t attempt = 1;; attempt++) {
        DV_AUTOPTR(davit_error) why = NULL;
        r = get_once(s, &url, body_max, /* fresh= */ attempt > 1, out, &why);
        if (r == 0)
            return 0;
        if (dv_request_wait_again(s->client, attempt + 1, why))
            continue;
        name_wait(s, r, &why);
        return dv_error_move(err, &why, r);
    }
}

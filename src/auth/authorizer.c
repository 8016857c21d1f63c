/*
 * auth/authorizer.c - see authorizer.h.
 *
 * mode says what the registry asked for last. Where it offers Bearer and Basic, Basic is used when there is
 * a password (auth.md 7: it overwrites the token there too, so the token need not be fetched), else Bearer.
 */
#include "auth/authorizer.h"

#include "auth/auth_config.h"
#include "auth/challenge.h"
#include "auth/realm.h"
#include "auth/scope.h"
#include "auth/token_cache.h"
#include "net/error_body.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/str.h"

#include <string.h>

/* A token that is old when it arrives (issued_at) is used all the same for a while. */
#define TOKEN_USE_MIN_MS (DV_AUTH_RENEW_EARLY_MS + 5000)

typedef enum mode {
    MODE_UNKNOWN, /* nothing asked yet: requests go without */
    MODE_BASIC,
    MODE_BEARER,
} mode;

struct dv_authorizer {
    dv_url origin;
    davit_auth_config credentials;
    char **trusted; /* NULL-terminated, NULL for none */
    bool origin_private;
    bool login; /* the credentials themselves are the question */
    mode mode;
    dv_secret basic; /* value for MODE_BASIC; unset without a password */
    dv_secret ready; /* "Bearer <registrytoken>"; unset without one */
    char *realm;     /* of MODE_BEARER, as the challenge has it */
    char *service;   /* "" without one */
    dv_token_cache tokens;
    bool post_failed; /* the token server does not take POST: renew by GET */
    bool warned;      /* about a realm that gets no credentials */
};

void dv_authorizer_free(dv_authorizer *a)
{
    if (!a)
        return;
    dv_url_clear(&a->origin);
    davit_auth_config_clear(&a->credentials);
    for (size_t i = 0; a->trusted && a->trusted[i]; i++)
        free(a->trusted[i]);
    free(a->trusted);
    dv_secret_clear(&a->basic);
    dv_secret_clear(&a->ready);
    free(a->realm);
    free(a->service);
    dv_token_cache_clear(&a->tokens);
    free(a);
}

/* --- making one ------------------------------------------------------------------------------------------------ */

static int copy_trusted(dv_authorizer *a, const char *const *trusted, davit_error **err)
{
    size_t count = 0;
    while (trusted && trusted[count])
        count++;
    a->trusted = dv_new_array(char *, count + 1);
    for (size_t i = 0; a->trusted && i < count; i++) {
        a->trusted[i] = dv_strdup(trusted[i]);
        if (!a->trusted[i])
            return dv_error_oom(err);
    }
    return a->trusted ? dv_realm_trusted_check(trusted, err) : dv_error_oom(err);
}

static int bearer_value(const char *token, dv_secret *out, davit_error **err)
{
    DV_AUTO(dv_buf) text = {.max = DV_TOKEN_MAX + 16, .secret = true};
    dv_buf_printf(&text, "Bearer %s", token);
    if (text.failed == DAVIT_ETOOBIG)
        return dv_error_set(err, DAVIT_ETOOBIG, "token is longer than %u bytes", DV_TOKEN_MAX);
    return text.failed || !dv_secret_set(out, dv_buf_text(&text), text.size) ? dv_error_oom(err) : 0;
}

static int take_credentials(dv_authorizer *a, const davit_auth_config *credentials, davit_error **err)
{
    int r = davit_auth_config_copy(credentials, &a->credentials, err);
    if (r == 0 && dv_auth_config_has_password(&a->credentials))
        r = dv_basic_authorization(a->credentials.username, a->credentials.password, &a->basic, err);
    if (r == 0 && dv_auth_config_has_registry_token(&a->credentials))
        r = bearer_value(a->credentials.registrytoken, &a->ready, err);
    return r;
}

int dv_authorizer_new(const dv_authorizer_options *options, dv_authorizer **out, davit_error **err)
{
    DV_AUTOPTR(dv_authorizer) a = dv_new(dv_authorizer);
    if (!a)
        return dv_error_oom(err);
    a->tokens.max = DV_AUTH_TOKENS_MAX;
    a->origin_private = options->origin_private;
    int r = dv_url_copy(options->origin, &a->origin, err);
    if (r == 0)
        r = copy_trusted(a, options->trusted_realms, err);
    if (r == 0)
        r = take_credentials(a, options->credentials, err);
    if (r < 0)
        return r;
    *out = DV_STEAL(a);
    return 0;
}

int dv_authorizer_set_origin(dv_authorizer *a, const dv_url *origin, davit_error **err)
{
    DV_AUTO(dv_url) copy = DV_URL_INIT;
    bool same_port = !a->origin.explicit_port || a->origin.port == origin->port;
    if (strcmp(a->origin.host, origin->host) != 0 || !same_port)
        return dv_error_set(err, DAVIT_EUNAUTHORIZED, "%s sends to %s, which asks for credentials: refused",
                            a->origin.host, origin->host);
    int r = dv_url_copy(origin, &copy, err);
    if (r < 0)
        return r;
    dv_url_clear(&a->origin);
    a->origin = copy;
    copy = (dv_url)DV_URL_INIT; /* moved */
    return 0;
}

void dv_authorizer_set_origin_private(dv_authorizer *a, bool yes)
{
    a->origin_private = yes;
}

void dv_authorizer_set_login(dv_authorizer *a)
{
    a->login = true;
}

const char *dv_authorizer_identity(const dv_authorizer *a)
{
    return dv_auth_config_has_identity(&a->credentials) ? a->credentials.identitytoken : NULL;
}

/* --- tokens ---------------------------------------------------------------------------------------------------- */

static int make_key(const char *realm, const char *service, const char *const *scopes, char **out,
                    davit_error **err)
{
    DV_AUTOFREE char *set = NULL;
    DV_AUTO(dv_buf) key = DV_BUF_INIT(64u << 10);
    int r = dv_scopes_key(scopes, &set, err);
    if (r < 0)
        return r;
    dv_buf_printf(&key, "%s\n%s\n%s", realm, service, set);
    *out = dv_buf_take(&key);
    return *out ? 0 : dv_error_oom(err);
}

static bool is_usable(const dv_cached_token *t, uint64_t now_ms)
{
    return t && dv_secret_is_set(&t->value) && now_ms + DV_AUTH_RENEW_EARLY_MS <= t->expires_ms;
}

static bool same_secret(const dv_secret *a, const dv_secret *b)
{
    return a && b && dv_secret_is_set(a) && a->size == b->size && memcmp(a->text, b->text, a->size) == 0;
}

bool dv_authorizer_get(dv_authorizer *a, const char *const *scopes, uint64_t now_ms, dv_secret *out_value)
{
    if (a->mode == MODE_BASIC)
        return dv_secret_is_set(&a->basic) && dv_secret_copy(out_value, &a->basic);
    if (a->mode != MODE_BEARER)
        return false;
    if (dv_secret_is_set(&a->ready))
        return dv_secret_copy(out_value, &a->ready);
    DV_AUTOFREE char *key = NULL;
    if (make_key(a->realm, a->service, scopes, &key, NULL) < 0)
        return false;
    const dv_cached_token *t = dv_token_cache_find(&a->tokens, key);
    return is_usable(t, now_ms) && dv_secret_copy(out_value, &t->value);
}

void dv_authorizer_accepted(dv_authorizer *a, const dv_secret *sent_value)
{
    for (size_t i = 0; i < a->tokens.count; i++)
        if (same_secret(sent_value, &a->tokens.items[i].value)) {
            a->tokens.items[i].accepted = true;
            a->tokens.items[i].refusals = 0;
        }
}

/* --- asking ---------------------------------------------------------------------------------------------------- */

/* Say once that a realm gets no credentials, and how to change that. */
static void warn_withheld(dv_authorizer *a, const dv_url *realm)
{
    if (a->warned)
        return;
    a->warned = true;
    dv_warn("%s sends for tokens to %s, which is not known to belong to it: asking there without your "
            "credentials (--trust-realm %s allows them)",
            a->origin.host, realm->host, realm->host);
}

static int refuse_realm(const dv_authorizer *a, const dv_url *realm, const char *why, davit_error **err)
{
    bool plain = strcmp(why, "plain http") == 0;
    dv_error_set(err, DAVIT_EUNAUTHORIZED, "%s sends for tokens to %s, over %s: refused%s%s", a->origin.host,
                 realm->host, why, plain ? "" : "; allow it with --trust-realm ", plain ? "" : realm->host);
    if (err && davit_error_code(*err) == DAVIT_EUNAUTHORIZED)
        (*err)->final = true;
    return DAVIT_EUNAUTHORIZED;
}

/* Logging in with an anonymous token would prove nothing. */
static int refuse_anonymous(const dv_authorizer *a, const dv_url *realm, bool known, davit_error **err)
{
    if (!known)
        dv_error_set(err, DAVIT_EUNAUTHORIZED,
                     "%s sends for tokens to %s, but there are no credentials for that", a->origin.host,
                     realm->host);
    else
        dv_error_set(
            err, DAVIT_EUNAUTHORIZED,
            "%s sends for tokens to %s, which is not known to belong to it: your credentials were not sent "
            "there; allow it with --trust-realm %s",
            a->origin.host, realm->host, realm->host);
    if (err && davit_error_code(*err) == DAVIT_EUNAUTHORIZED)
        (*err)->final = true;
    return DAVIT_EUNAUTHORIZED;
}

/* Build the request for scopes by the current challenge. */
static int ask(dv_authorizer *a, const char *const *scopes, dv_token_request *out, davit_error **err)
{
    DV_AUTO(dv_url) realm = DV_URL_INIT;
    DV_AUTO(dv_token_request) request = DV_TOKEN_REQUEST_INIT;
    const char *why = "";
    int r = dv_token_realm(a->realm, &realm, err);
    if (r < 0)
        return r;
    dv_realm_question q = {.origin = &a->origin,
                           .realm = &realm,
                           .trusted = (const char *const *)a->trusted,
                           .origin_private = a->origin_private};
    dv_realm_trust trust = dv_realm_judge(&q, &why);
    if (trust == DV_REALM_REFUSED)
        return refuse_realm(a, &realm, why, err);
    bool known = !davit_auth_config_is_anonymous(&a->credentials);
    if (a->login && !(known && trust == DV_REALM_TRUSTED))
        return refuse_anonymous(a, &realm, known, err);
    if (known && trust != DV_REALM_TRUSTED)
        warn_withheld(a, &realm);
    dv_token_question question = {.realm = a->realm,
                                  .service = a->service,
                                  .scopes = scopes,
                                  .credentials = known && trust == DV_REALM_TRUSTED ? &a->credentials : NULL,
                                  .offline = a->login,
                                  .avoid_oauth =
                                      a->post_failed && dv_auth_config_has_password(&a->credentials)};
    r = dv_token_request_build(&question, &request, err);
    if (r == 0)
        r = make_key(a->realm, a->service, scopes, &request.key, err);
    if (r < 0)
        return r;
    dv_trace(AUTH, "%s: %s token from %s for \"%s\"", a->origin.host,
             request.anonymous ? "anonymous" : "authorized", realm.host, request.scopes);
    request.configured = dv_realm_is_configured(&q);
    *out = request;
    request = (dv_token_request)DV_TOKEN_REQUEST_INIT; /* moved */
    return 0;
}

int dv_authorizer_prepare(dv_authorizer *a, const char *const *scopes, uint64_t now_ms,
                          dv_token_request *out_request, davit_error **err)
{
    DV_AUTO(dv_secret) value = DV_SECRET_INIT;
    if (a->mode != MODE_BEARER || dv_secret_is_set(&a->ready) || dv_authorizer_get(a, scopes, now_ms, &value))
        return 0;
    int r = ask(a, scopes, out_request, err);
    return r < 0 ? r : 1;
}

/* --- a 401 ----------------------------------------------------------------------------------------------------- */

static int fail_final(davit_error **err, const char *text)
{
    dv_error_set(err, DAVIT_EUNAUTHORIZED, "%s", text);
    if (err && davit_error_code(*err) == DAVIT_EUNAUTHORIZED) {
        (*err)->final = true;
        (*err)->http_status = 401;
    }
    return DAVIT_EUNAUTHORIZED;
}

/* Nothing more can be tried: the registry's own words, as far as its header has them. */
static int refused(const dv_headers *answer, davit_error **err)
{
    int r = dv_error_body_set(err, 401, answer, NULL, 0);
    if (r == DAVIT_ENOMEM)
        return r;
    if (err && *err && davit_error_code(*err) != DAVIT_ENOMEM) {
        (*err)->code = DAVIT_EUNAUTHORIZED;
        (*err)->final = true;
    }
    return DAVIT_EUNAUTHORIZED;
}

/* Remember what a Bearer challenge says. */
static int learn_bearer(dv_authorizer *a, const dv_auth_params *challenge, davit_error **err)
{
    const char *realm = dv_auth_params_get(challenge, "realm");
    const char *service = dv_auth_params_get(challenge, "service");
    DV_AUTO(dv_url) url = DV_URL_INIT;
    int r = dv_token_realm(realm, &url, err);
    if (r < 0)
        return r;
    char *new_realm = dv_strdup(realm);
    char *new_service = dv_strdup(service ? service : "");
    if (!new_realm || !new_service) {
        free(new_realm);
        free(new_service);
        return dv_error_oom(err);
    }
    free(a->realm);
    free(a->service);
    a->realm = new_realm;
    a->service = new_service;
    a->mode = MODE_BEARER;
    return 0;
}

static int use_basic(dv_authorizer *a, const dv_headers *answer, const dv_secret *sent, davit_error **err)
{
    if (!dv_secret_is_set(&a->basic))
        return fail_final(err, "no basic auth credentials");
    if (same_secret(sent, &a->basic))
        return refused(answer, err);
    a->mode = MODE_BASIC;
    return 0;
}

static int use_ready(dv_authorizer *a, const dv_headers *answer, const dv_auth_params *bearer,
                     const dv_secret *sent, davit_error **err)
{
    if (!bearer || same_secret(sent, &a->ready))
        return refused(answer, err);
    return learn_bearer(a, bearer, err);
}

/*
 * Whether the refusal of this token is the end. A token that worked before has expired: renew it. One that
 * never worked gets one successor (GitLab's first answer, quirks.md), unless the registry says that its
 * scope is not enough: the token server has given all it gives.
 */
static bool is_final(dv_cached_token *t, const dv_auth_params *challenge, const dv_secret *sent)
{
    if (!t || same_secret(sent, &t->dead))
        return t != NULL;
    if (!same_secret(sent, &t->value))
        return false;
    bool hopeless = dv_str_equal(dv_auth_params_get(challenge, "error"), "insufficient_scope");
    t->refusals = t->accepted ? 0 : t->refusals + 1;
    bool end = !t->accepted && (hopeless || t->refusals >= 2);
    if (end) {
        dv_secret_move(&t->dead, &t->value);
        t->refusals = 0;
    }
    dv_secret_clear(&t->value);
    return end;
}

static int use_bearer(dv_authorizer *a, const dv_headers *answer, const dv_auth_params *challenge,
                      const char *const *scopes, const dv_secret *sent, uint64_t now_ms,
                      dv_auth_step *out_step, dv_token_request *out_request, davit_error **err)
{
    DV_AUTOFREE char *key = NULL;
    int r = learn_bearer(a, challenge, err);
    if (r == 0)
        r = make_key(a->realm, a->service, scopes, &key, err);
    if (r < 0)
        return r;
    dv_cached_token *t = dv_token_cache_find(&a->tokens, key);
    if (is_final(t, challenge, sent))
        return refused(answer, err);
    if (is_usable(t, now_ms)) { /* another request has fetched one meanwhile */
        *out_step = DV_AUTH_RESEND;
        return 0;
    }
    r = ask(a, scopes, out_request, err);
    if (r == 0)
        *out_step = DV_AUTH_FETCH_TOKEN;
    return r;
}

int dv_authorizer_challenged(dv_authorizer *a, const dv_headers *answer, const char *const *scopes,
                             const dv_secret *sent_value, uint64_t now_ms, dv_auth_step *out_step,
                             dv_token_request *out_request, davit_error **err)
{
    DV_AUTO(dv_challenges) challenges = DV_CHALLENGES_INIT;
    int r = dv_challenges_parse(401, answer, &challenges, err);
    if (r < 0)
        return r;
    const dv_auth_params *bearer = dv_challenges_find(&challenges, "bearer");
    const dv_auth_params *basic = dv_challenges_find(&challenges, "basic");
    if (!bearer && !basic)
        return refused(answer, err);
    if (dv_secret_is_set(&a->ready))
        r = use_ready(a, answer, bearer, sent_value, err);
    else if (basic && (!bearer || dv_secret_is_set(&a->basic)))
        r = use_basic(a, answer, sent_value, err);
    else
        return use_bearer(a, answer, bearer, scopes, sent_value, now_ms, out_step, out_request, err);
    if (r == 0)
        *out_step = DV_AUTH_RESEND;
    return r;
}

/* --- the token server's answer --------------------------------------------------------------------------------- */

/*
 * Seconds that a token had lived when it was sent, by the server's clock alone: ours may be wrong
 * (quirks.md, clock skew).
 */
static int64_t age_s(const dv_token *t, const dv_headers *headers)
{
    const char *date = dv_headers_get(headers, "Date");
    int64_t sent_s;
    if (t->issued_at_s <= 0 || !date || dv_time_parse_http(date, &sent_s) < 0 || sent_s <= t->issued_at_s)
        return 0;
    return sent_s - t->issued_at_s;
}

static void set_identity(dv_authorizer *a, char *identity)
{
    char *before = a->credentials.identitytoken;
    if (before)
        explicit_bzero(before, strlen(before));
    free(before);
    a->credentials.identitytoken = identity;
}

/* A login's result. The private copy of the credentials keeps it (auth.md 4, the login store). */
static int keep_identity(dv_authorizer *a, const dv_token *token, davit_error **err)
{
    if (!a->login || !dv_secret_is_set(&token->refresh_token))
        return 0;
    char *identity = dv_strndup(token->refresh_token.text, token->refresh_token.size);
    if (!identity)
        return dv_error_oom(err);
    set_identity(a, identity);
    return 0;
}

static int keep_token(dv_authorizer *a, const dv_token_request *request, const dv_headers *headers,
                      const void *body, size_t size, uint64_t now_ms, davit_error **err)
{
    DV_AUTO(dv_token) token = DV_TOKEN_INIT;
    DV_AUTO(dv_secret) value = DV_SECRET_INIT;
    int r = dv_token_parse(request->post, body, size, &token, err);
    if (r == 0)
        r = bearer_value(token.token.text, &value, err);
    if (r == 0)
        r = keep_identity(a, &token, err);
    if (r < 0)
        return r;
    int64_t left_ms = (token.expires_in_s - age_s(&token, headers)) * 1000;
    if (left_ms < TOKEN_USE_MIN_MS)
        left_ms = TOKEN_USE_MIN_MS;
    return dv_token_cache_put(&a->tokens, request->key, &value, now_ms + (uint64_t)left_ms, err);
}

/* Servers without OAuth2 refuse the POST in their several ways; a GET with the password may still do. */
static bool wants_get(const dv_authorizer *a, const dv_token_request *request, int status)
{
    bool refusal = status == 400 || status == 401 || status == 403 || status == 404 || status == 405;
    return request->post && refusal && dv_auth_config_has_password(&a->credentials);
}

/* The same question by GET. It went to a trusted realm with credentials before, so it may again. */
static int ask_by_get(dv_authorizer *a, const dv_token_request *request, dv_token_request *out,
                      davit_error **err)
{
    DV_AUTO(dv_token_request) again = DV_TOKEN_REQUEST_INIT;
    DV_AUTOFREE char *texts = dv_strdup(request->scopes);
    DV_AUTOFREE const char **scopes = dv_new_array(const char *, strlen(request->scopes) / 2 + 2);
    if (!texts || !scopes)
        return dv_error_oom(err);
    size_t count = 0;
    char *rest = NULL;
    for (char *one = strtok_r(texts, " ", &rest); one; one = strtok_r(NULL, " ", &rest))
        scopes[count++] = one;
    dv_token_question q = {.realm = request->realm,
                           .service = request->service,
                           .scopes = scopes,
                           .credentials = &a->credentials,
                           .offline = a->login,
                           .avoid_oauth = true};
    int r = dv_token_request_build(&q, &again, err);
    if (r < 0)
        return r;
    again.key = dv_strdup(request->key);
    if (!again.key)
        return dv_error_oom(err);
    again.configured = request->configured;
    a->post_failed = true;
    if (a->login)
        set_identity(a, NULL); /* it was refused: no result of this login */
    *out = again;
    again = (dv_token_request)DV_TOKEN_REQUEST_INIT; /* moved */
    return 1;
}

int dv_authorizer_token_answered(dv_authorizer *a, const dv_token_request *request, int status,
                                 const dv_headers *headers, const void *body, size_t size, uint64_t now_ms,
                                 dv_token_request *out_again, davit_error **err)
{
    if (status >= 200 && status <= 399)
        return keep_token(a, request, headers, body, size, now_ms, err);
    if (wants_get(a, request, status))
        return ask_by_get(a, request, out_again, err);
    return dv_error_body_set(err, status, headers, body, size);
}

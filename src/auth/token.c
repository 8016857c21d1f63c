/* auth/token.c - see token.h. */
#include "auth/token.h"

#include "auth/auth_config.h"
#include "auth/scope.h"
#include "util/base64.h"
#include "util/clock.h"
#include "util/json.h"
#include "util/str.h"

#include <string.h>

#define FORM_MAX (256u << 10) /* bytes of a form; passwords and refresh tokens are in it */
#define DEFAULT_CLIENT_ID "docker"

/* One name and value of a query or form, decoded; what is sent is sorted by name. */
typedef struct pair {
    char *name;
    char *value;
} pair;

typedef struct pairs {
    pair *items;
    size_t count;
} pairs;

static void wipe(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

static void pairs_clear(pairs *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->items[i].name);
        wipe(p->items[i].value);
    }
    free(p->items);
}
DV_DEFINE_AUTO(pairs, pairs_clear)

/* Keeps the order of equal names. False without memory. */
static bool pairs_add(pairs *p, const char *name, const char *value)
{
    pair *items = dv_realloc_array(p->items, p->count + 1, sizeof(*items));
    if (!items)
        return false;
    p->items = items;
    pair one = {.name = dv_strdup(name), .value = dv_strdup(value)};
    if (!one.name || !one.value) {
        free(one.name);
        wipe(one.value);
        return false;
    }
    size_t at = p->count++;
    for (; at > 0 && strcmp(items[at - 1].name, name) > 0; at--)
        items[at] = items[at - 1];
    items[at] = one;
    return true;
}

static void pairs_format(const pairs *p, dv_buf *out)
{
    for (size_t i = 0; i < p->count; i++) {
        if (i > 0)
            dv_buf_putc(out, '&');
        dv_url_escape(out, p->items[i].name, /* form= */ true);
        dv_buf_putc(out, '=');
        dv_url_escape(out, p->items[i].value, /* form= */ true);
    }
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/*
 * Decode a part of a query. The URL's percent encoding was checked; a NUL is left encoded, so that no text
 * ends early.
 */
static char *form_decode(const char *s, size_t n)
{
    char *out = malloc(n + 1);
    size_t size = 0;
    for (size_t i = 0; out && i < n; i++) {
        int high = i + 2 < n && s[i] == '%' ? hex_value(s[i + 1]) : -1;
        int low = high >= 0 ? hex_value(s[i + 2]) : -1;
        if (low >= 0 && high + low > 0) {
            out[size++] = (char)(high << 4 | low);
            i += 2;
        } else {
            out[size++] = s[i] == '+' ? ' ' : s[i];
        }
    }
    if (out)
        out[size] = '\0';
    return out;
}

/* The realm's own parameters, which are kept. */
static int add_query(pairs *p, const char *query, davit_error **err)
{
    while (query && *query) {
        size_t n = strcspn(query, "&");
        const char *equals = memchr(query, '=', n);
        size_t name_size = equals ? (size_t)(equals - query) : n;
        size_t value_size = equals ? n - name_size - 1 : 0;
        if (n > 0) {
            DV_AUTOFREE char *name = form_decode(query, name_size);
            DV_AUTOFREE char *value = form_decode(equals ? equals + 1 : query, value_size);
            if (!name || !value || !pairs_add(p, name, value))
                return dv_error_oom(err);
        }
        query += n + (query[n] == '&');
    }
    return 0;
}

void dv_token_request_clear(dv_token_request *r)
{
    dv_url_clear(&r->url);
    dv_headers_clear(&r->headers);
    dv_secret_clear(&r->body);
    free(r->key);
    free(r->realm);
    free(r->service);
    free(r->scopes);
    *r = (dv_token_request)DV_TOKEN_REQUEST_INIT;
}

void dv_token_clear(dv_token *t)
{
    dv_secret_clear(&t->token);
    dv_secret_clear(&t->refresh_token);
}

int dv_token_realm(const char *realm, dv_url *out, davit_error **err)
{
    if (!realm || !*realm)
        return dv_error_set(err, DAVIT_EPROTOCOL, "no realm specified for token auth challenge");
    int r = dv_url_parse(realm, out, err);
    return r < 0 ? dv_error_wrap(err, r, "invalid token auth challenge realm") : 0;
}

int dv_basic_authorization(const char *username, const char *password, dv_secret *out, davit_error **err)
{
    DV_AUTO(dv_buf) plain = {.max = FORM_MAX, .secret = true};
    DV_AUTO(dv_buf) text = {.max = 2 * FORM_MAX, .secret = true};
    dv_buf_printf(&plain, "%s:%s", username, password);
    dv_buf_puts(&text, "Basic ");
    dv_base64_encode(&text, dv_buf_text(&plain), plain.size, /* url_alphabet= */ false);
    if (plain.failed == DAVIT_ETOOBIG || text.failed == DAVIT_ETOOBIG)
        return dv_error_set(err, DAVIT_ETOOBIG, "user name and password are too long");
    if (plain.failed || text.failed || !dv_secret_set(out, dv_buf_text(&text), text.size))
        return dv_error_oom(err);
    return 0;
}

static bool is_set(const char *text)
{
    return text && *text;
}

/* The URL again with another query. */
static int set_query(dv_url *url, const pairs *query, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(2 * DV_URL_MAX);
    DV_AUTO(dv_url) whole = DV_URL_INIT;
    dv_buf_append(&text, url->text, strcspn(url->text, "?"));
    if (query->count > 0) {
        dv_buf_putc(&text, '?');
        pairs_format(query, &text);
    }
    if (text.failed == DAVIT_ENOMEM)
        return dv_error_oom(err);
    int r = text.failed ? dv_error_set(err, DAVIT_EPROTOCOL, "too long")
                        : dv_url_parse(dv_buf_text(&text), &whole, err);
    if (r < 0)
        return dv_error_wrap(err, r, "token request");
    dv_url_clear(url);
    *url = whole;
    whole = (dv_url)DV_URL_INIT; /* moved */
    return 0;
}

static int build_get(const dv_token_question *q, dv_token_request *r, davit_error **err)
{
    DV_AUTO(pairs) query = {0};
    bool known = q->credentials && dv_auth_config_has_password(q->credentials);
    int rc = add_query(&query, r->url.query, err);
    if (rc < 0)
        return rc;
    bool ok = !is_set(q->service) || pairs_add(&query, "service", q->service);
    for (size_t i = 0; ok && q->scopes && q->scopes[i]; i++)
        ok = pairs_add(&query, "scope", q->scopes[i]);
    if (ok && q->offline)
        ok = pairs_add(&query, "offline_token", "true") &&
             pairs_add(&query, "client_id", q->client_id ? q->client_id : DEFAULT_CLIENT_ID);
    if (ok && known)
        ok = pairs_add(&query, "account", q->credentials->username);
    if (!ok)
        return dv_error_oom(err);
    rc = set_query(&r->url, &query, err);
    if (rc < 0 || !known)
        return rc;
    r->anonymous = false;
    DV_AUTO(dv_secret) basic = DV_SECRET_INIT;
    rc = dv_basic_authorization(q->credentials->username, q->credentials->password, &basic, err);
    return rc < 0 ? rc
                  : dv_headers_add(&r->headers, "Authorization", basic.text,
                                   DV_HEADER_ORIGIN_ONLY | DV_HEADER_SECRET, err);
}

/* Who asks, in a POST: by refresh token or by password. */
static bool add_grant(const dv_token_question *q, pairs *form)
{
    const davit_auth_config *c = q->credentials;
    if (dv_auth_config_has_identity(c))
        return pairs_add(form, "grant_type", "refresh_token") &&
               pairs_add(form, "refresh_token", c->identitytoken);
    return pairs_add(form, "grant_type", "password") && pairs_add(form, "access_type", "offline") &&
           pairs_add(form, "username", c->username ? c->username : "") &&
           pairs_add(form, "password", c->password ? c->password : "");
}

static int build_post(const dv_token_question *q, dv_token_request *r, davit_error **err)
{
    DV_AUTO(pairs) form = {0};
    if (!q->credentials)
        return dv_error_set(err, DAVIT_EINVAL, "no supported grant type");
    bool ok = pairs_add(&form, "client_id", q->client_id ? q->client_id : DEFAULT_CLIENT_ID) &&
              pairs_add(&form, "scope", r->scopes) &&
              pairs_add(&form, "service", q->service ? q->service : "") && add_grant(q, &form);
    DV_AUTO(dv_buf) text = {.max = FORM_MAX, .secret = true};
    pairs_format(&form, &text);
    if (text.failed == DAVIT_ETOOBIG)
        return dv_error_set(err, DAVIT_ETOOBIG, "token request: the form is too long");
    if (!ok || text.failed || !dv_secret_set(&r->body, dv_buf_text(&text), text.size))
        return dv_error_oom(err);
    r->post = true;
    r->anonymous = false;
    return dv_headers_add(&r->headers, "Content-Type", "application/x-www-form-urlencoded",
                          DV_HEADER_ORIGIN_ONLY, err);
}

int dv_token_request_build(const dv_token_question *q, dv_token_request *out, davit_error **err)
{
    DV_AUTO(dv_token_request) r = {.anonymous = true};
    DV_AUTO(dv_buf) scopes = DV_BUF_INIT(DV_SCOPES_TEXT_MAX);
    int rc = dv_token_realm(q->realm, &r.url, err);
    if (rc < 0)
        return rc;
    dv_scopes_join(&scopes, q->scopes);
    if (scopes.failed == DAVIT_ETOOBIG)
        return dv_error_set(err, DAVIT_EINVAL, "too many scopes");
    r.scopes = dv_buf_take(&scopes);
    r.realm = dv_strdup(q->realm);
    r.service = dv_strdup(q->service ? q->service : "");
    if (!r.scopes || !r.realm || !r.service)
        return dv_error_oom(err);
    bool refresh = q->credentials && dv_auth_config_has_identity(q->credentials) && !q->avoid_oauth;
    rc = dv_headers_add(&r.headers, "Accept", "application/json", 0, err);
    if (rc == 0)
        rc = refresh || q->force_oauth ? build_post(q, &r, err) : build_get(q, &r, err);
    if (rc < 0)
        return rc;
    *out = r;
    r = (dv_token_request)DV_TOKEN_REQUEST_INIT; /* moved */
    return 0;
}

typedef struct token_fields {
    const char *token;
    const char *access_token;
    const char *refresh_token;
    int64_t expires_in;
    const char *issued_at;
} token_fields;

static const dv_json_field fields[] = {
    {"token", DV_FIELD_STRING, offsetof(token_fields, token), false},
    {"access_token", DV_FIELD_STRING, offsetof(token_fields, access_token), false},
    {"refresh_token", DV_FIELD_STRING, offsetof(token_fields, refresh_token), false},
    {"expires_in", DV_FIELD_INT64, offsetof(token_fields, expires_in), false},
    {"issued_at", DV_FIELD_STRING, offsetof(token_fields, issued_at), false},
    {0},
};

/* A token goes into a header line: visible ASCII only (threats A10). */
static bool is_header_safe(const char *token)
{
    for (; *token; token++)
        if (*token <= 0x20 || *token >= 0x7f)
            return false;
    return true;
}

/* issued_at is only read for its age by the server's own Date; Go's zero time counts as absent. */
static int read_issued_at(const char *text, int64_t *out, davit_error **err)
{
    if (!text || strcmp(text, "0001-01-01T00:00:00Z") == 0)
        return 0;
    if (dv_time_parse_rfc3339(text, out) < 0)
        return dv_error_set(err, DAVIT_EPROTOCOL, "unable to decode token response: issued_at is not a time");
    return 0;
}

static int take_token(const token_fields *f, bool post, dv_token *t, davit_error **err)
{
    const char *token = is_set(f->access_token) ? f->access_token : f->token ? f->token : "";
    if (!*token && !post) {
        dv_error_set(err, DAVIT_EPROTOCOL, "authorization server did not include a token in the response");
        if (err && davit_error_code(*err) == DAVIT_EPROTOCOL)
            (*err)->final = true; /* pull.md 3.2 */
        return DAVIT_EPROTOCOL;
    }
    if (strlen(token) > DV_TOKEN_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "authorization server sent a token of more than %u bytes",
                            DV_TOKEN_MAX);
    if (!is_header_safe(token))
        return dv_error_set(err, DAVIT_EPROTOCOL, "authorization server sent a token that no header can hold");
    const char *refresh = f->refresh_token ? f->refresh_token : "";
    if (!dv_secret_set(&t->token, token, strlen(token)) ||
        (*refresh && !dv_secret_set(&t->refresh_token, refresh, strlen(refresh))))
        return dv_error_oom(err);
    int64_t s = f->expires_in;
    t->expires_in_s = s < DV_TOKEN_EXPIRES_MIN_S   ? DV_TOKEN_EXPIRES_MIN_S
                      : s > DV_TOKEN_EXPIRES_MAX_S ? DV_TOKEN_EXPIRES_MAX_S
                                                   : s;
    return 0;
}

int dv_token_parse(bool post, const void *body, size_t size, dv_token *out, davit_error **err)
{
    DV_AUTOPTR(dv_json_secret) document = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    DV_AUTO(dv_token) t = DV_TOKEN_INIT;
    token_fields f = {0};
    dv_json_limits limits = {.max_bytes = DV_TOKEN_ANSWER_MAX, .any_number = true};
    if (size > DV_TOKEN_ANSWER_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "token answer is longer than %u bytes", DV_TOKEN_ANSWER_MAX);
    int r = dv_json_parse(body, size, &limits, NULL, &document, &why);
    if (r == 0)
        r = dv_json_is(document, DV_JSON_OBJECT) ? dv_json_decode(document, fields, &f, &why)
                                                 : dv_error_set(&why, DAVIT_EFORMAT, "not an object");
    if (r == DAVIT_ENOMEM)
        return dv_error_oom(err);
    if (r < 0)
        return dv_error_set(err, DAVIT_EPROTOCOL, "unable to decode token response: %s",
                            davit_error_message(why));
    r = read_issued_at(f.issued_at, &t.issued_at_s, err);
    if (r == 0)
        r = take_token(&f, post, &t, err);
    if (r < 0)
        return r;
    *out = t;
    t = (dv_token)DV_TOKEN_INIT; /* moved */
    return 0;
}

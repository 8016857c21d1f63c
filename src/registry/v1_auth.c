/* registry/v1_auth.c - see v1_auth.h. */
#include "registry/v1_auth.h"

#include "auth/token.h"
#include "registry/v1_endpoint.h"
#include "util/str.h"

#include <string.h>

#define AUTHORIZATION_MAX (2 * DV_HTTP_HEADER_LINE_MAX)

struct davit_v1_auth {
    dv_secret value; /* of the Authorization; unset: nobody */
    bool is_token;
    char *host; /* of a token */
    dv_secret token;
    davit_v1_access access;
    bool of_public_index;
};

void davit_v1_auth_free(davit_v1_auth *auth)
{
    if (!auth)
        return;
    dv_secret_clear(&auth->value);
    dv_secret_clear(&auth->token);
    free(auth->host);
    free(auth);
}

const char *davit_v1_auth_host(const davit_v1_auth *auth)
{
    return auth->is_token ? auth->host : NULL;
}

const char *davit_v1_auth_token(const davit_v1_auth *auth)
{
    if (!auth->is_token)
        return NULL;
    return auth->token.text ? auth->token.text : "";
}

davit_v1_access davit_v1_auth_access(const davit_v1_auth *auth)
{
    return auth->access;
}

const char *dv_v1_auth_secret(const davit_v1_auth *auth)
{
    const char *space = auth->value.text ? strchr(auth->value.text, ' ') : NULL;
    return space ? space + 1 : NULL;
}

bool dv_v1_auth_is_of_public_index(const davit_v1_auth *auth)
{
    return auth && auth->of_public_index;
}

/* --- making ---------------------------------------------------------------------------------------------------------- */

int davit_v1_nil_auth(davit_v1_auth **out, davit_error **err)
{
    *out = dv_new(davit_v1_auth);
    return *out ? 0 : dv_error_oom(err);
}

static bool has_control_byte(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

int davit_v1_basic_auth(const char *user, const char *password, davit_v1_auth **out, davit_error **err)
{
    DV_AUTOPTR(davit_v1_auth) auth = NULL;
    if (strchr(user, ':') || has_control_byte(user) || has_control_byte(password))
        return dv_error_set(err, DAVIT_EINVAL,
                            "the user name holds a colon, or it or the password a control character");
    auth = dv_new(davit_v1_auth);
    if (!auth)
        return dv_error_oom(err);
    int r = dv_basic_authorization(user, password, &auth->value, err);
    if (r < 0)
        return r;
    *out = DV_STEAL(auth);
    return 0;
}

int davit_v1_token_auth(const char *host, const char *token, davit_v1_access access, davit_v1_auth **out,
                        davit_error **err)
{
    DV_AUTO(dv_buf) value = {.max = AUTHORIZATION_MAX, .secret = true};
    DV_AUTOPTR(davit_v1_auth) auth = NULL;
    if (has_control_byte(host) || has_control_byte(token))
        return dv_error_set(err, DAVIT_EINVAL, "a token or its registry holds a control character");
    auth = dv_new(davit_v1_auth);
    if (!auth)
        return dv_error_oom(err);
    dv_buf_printf(&value, "Token %s", token);
    if (value.failed == DAVIT_ETOOBIG)
        return dv_error_set(err, DAVIT_EINVAL, "token of %zu bytes is too long", strlen(token));
    auth->is_token = true;
    auth->access = access;
    auth->host = dv_strdup(host);
    if (value.failed || !auth->host || !dv_secret_set(&auth->token, token, strlen(token)) ||
        !dv_secret_set(&auth->value, dv_buf_text(&value), value.size))
        return dv_error_oom(err);
    *out = DV_STEAL(auth);
    return 0;
}

/* --- an index's answer -------------------------------------------------------------------------------------------------- */

char *dv_v1_joined_header(const dv_headers *headers, const char *name)
{
    DV_AUTO(dv_buf) text = {.max = DV_HTTP_HEADERS_MAX, .secret = true};
    const char *value;
    for (size_t i = 0; (value = dv_headers_get_nth(headers, name, i)); i++)
        dv_buf_printf(&text, "%s%s", i ? "," : "", value);
    return dv_buf_take(&text);
}

char *dv_v1_endpoint_host(const char *value)
{
    const char *end = value + strcspn(value, ",");
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    if (dv_str_starts_nocase(value, "https://"))
        value += strlen("https://");
    else if (dv_str_starts_nocase(value, "http://"))
        value += strlen("http://");
    size_t size = strcspn(value, "/?#,");
    while (size > 0 && (value[size - 1] == ' ' || value[size - 1] == '\t'))
        size--;
    return dv_strndup(value, size);
}

int dv_v1_auth_from_index(const dv_headers *headers, davit_v1_access access, bool index_private,
                          davit_v1_auth **out, davit_error **err)
{
    DV_AUTOFREE char *endpoints = dv_v1_joined_header(headers, "X-Docker-Endpoints");
    DV_AUTOFREE char *host = endpoints ? dv_v1_endpoint_host(endpoints) : NULL;
    char *token = dv_v1_joined_header(headers, "X-Docker-Token");
    int r = host && token ? davit_v1_token_auth(host, token, access, out, err) : dv_error_oom(err);
    davit_secret_free(token);
    if (r == 0)
        (*out)->of_public_index = !index_private;
    return r;
}

/* --- applying ------------------------------------------------------------------------------------------------------------ */

/* The same URL at another host. */
static int move_url(const dv_url *url, const char *host, dv_url *out, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_URL_MAX);
    DV_AUTOPTR(davit_error) why = NULL;
    if (!*host)
        return dv_error_set(err, DAVIT_EPROTOCOL,
                            "the index %s named no registry for its token (X-Docker-Endpoints)", url->host);
    if (host[strcspn(host, "/?#@\\ \t")])
        return dv_error_set(err, DAVIT_EPROTOCOL, "'%.300s' is no registry for a token", host);
    dv_buf_printf(&text, "%s://%s%s%s%s", url->scheme, host, url->path, url->query ? "?" : "",
                  url->query ? url->query : "");
    if (text.failed == DAVIT_ENOMEM)
        return dv_error_oom(err);
    int r = text.failed ? DAVIT_EPROTOCOL : dv_url_parse(dv_buf_text(&text), out, &why);
    if (r == DAVIT_ENOMEM)
        return dv_error_oom(err);
    return r < 0 ? dv_error_set(err, DAVIT_EPROTOCOL, "'%.300s' is no registry for a token", host) : 0;
}

int dv_v1_auth_apply(const davit_v1_auth *auth, const dv_url *url, dv_url *out_url, dv_secret *out_value,
                     davit_error **err)
{
    DV_AUTO(dv_url) to = DV_URL_INIT;
    bool moves = auth && auth->is_token;
    int r = moves ? move_url(url, auth->host, &to, err) : dv_url_copy(url, &to, err);
    if (r < 0)
        return r;
    if (auth && dv_secret_is_set(&auth->value) && !dv_secret_copy(out_value, &auth->value))
        return dv_error_oom(err);
    *out_url = to;
    to = (dv_url)DV_URL_INIT;
    return 0;
}

int davit_v1_auth_apply(const davit_v1_auth *auth, const char *url, char **out_url, char **out_authorization,
                        davit_error **err)
{
    DV_AUTO(dv_url) from = DV_URL_INIT, to = DV_URL_INIT;
    DV_AUTO(dv_secret) value = DV_SECRET_INIT;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_url_parse(url, &from, &why);
    if (r < 0)
        return r == DAVIT_ENOMEM ? dv_error_oom(err)
                                 : dv_error_set(err, DAVIT_EINVAL, "%s", davit_error_message(why));
    r = dv_v1_auth_apply(auth, &from, &to, &value, err);
    if (r < 0)
        return r;
    DV_AUTOFREE char *text = dv_strdup(to.text);
    char *authorization = value.text ? dv_strdup(value.text) : NULL;
    if (!text || (value.text && !authorization)) {
        davit_secret_free(authorization);
        return dv_error_oom(err);
    }
    *out_url = DV_STEAL(text);
    *out_authorization = authorization;
    return 0;
}

/* registry/registry.c - see registry.h. */
#include "registry/registry.h"

#include "auth/auth_config.h"
#include "auth/scope.h"
#include "registry/call_private.h"

#include <string.h>

static int new_authorizer(dv_registry *reg, const davit_auth_config *credentials, davit_error **err)
{
    int r = dv_hmac_key(credentials, reg->hmac_key, err);
    if (r < 0)
        return r;
    reg->has_auth_info = credentials && (dv_auth_config_has_password(credentials) ||
                                         dv_auth_config_has_registry_token(credentials));
    return dv_authorizer_new(
        &(dv_authorizer_options){
            .origin = &reg->endpoint.url,
            .credentials = credentials,
            .trusted_realms = (const char *const *)reg->client->trusted_realms,
        },
        &reg->authorizer, err);
}

static int use_stored_credentials(dv_registry *reg, davit_error **err)
{
    davit_client *c = reg->client;
    DV_AUTO(davit_auth_config) credentials = DAVIT_AUTH_CONFIG_INIT;
    DV_AUTO(dv_buf) mirror = DV_BUF_INIT(DV_URL_MAX);
    /* A mirror has credentials of its own or none (threats A15). */
    dv_url_origin_text(&reg->endpoint.url, &mirror);
    if (mirror.failed)
        return dv_error_oom(err);
    const char *host = strstr(dv_buf_text(&mirror), "://") + 3;
    int r = dv_client_find_credentials(c, reg->endpoint.mirror ? host : reg->domain,
                                       reg->path[0] ? reg->path : NULL, &credentials, err);
    if (r < 0)
        return r;
    return new_authorizer(reg, r > 0 ? &credentials : NULL, err);
}

int dv_registry_open(davit_client *c, const dv_endpoint *endpoint, const char *domain, const char *path,
                     const davit_auth_config *credentials, dv_registry **out, davit_error **err)
{
    DV_AUTOPTR(dv_registry) reg = dv_new(dv_registry);
    DV_AUTO(dv_buf) scope = DV_BUF_INIT(DV_SCOPES_TEXT_MAX);
    if (!reg)
        return dv_error_oom(err);
    reg->client = c;
    reg->endpoint = *endpoint;
    reg->endpoint.url = (dv_url)DV_URL_INIT;
    dv_tls_config_ref(reg->endpoint.tls);
    reg->domain = dv_strdup(domain);
    reg->path = dv_strdup(path);
    dv_scope_repository(&scope, NULL, path, "pull");
    reg->scope = path[0] ? dv_buf_take(&scope) : dv_strdup("");
    if (!reg->domain || !reg->path || !reg->scope)
        return dv_error_oom(err);
    int r = dv_url_copy(&endpoint->url, &reg->endpoint.url, err);
    if (r == 0)
        r = credentials && !endpoint->mirror ? new_authorizer(reg, credentials, err)
                                             : use_stored_credentials(reg, err);
    if (r < 0)
        return r;
    *out = DV_STEAL(reg);
    return 0;
}

int dv_registry_set_actions(dv_registry *reg, const char *actions, davit_error **err)
{
    DV_AUTO(dv_buf) scope = DV_BUF_INIT(DV_SCOPES_TEXT_MAX);
    dv_scope_repository(&scope, NULL, reg->path, actions);
    char *text = dv_buf_take(&scope);
    if (!text)
        return dv_error_oom(err);
    free(reg->scope);
    reg->scope = text;
    return 0;
}

int dv_registry_set_meta_headers(dv_registry *reg, const char *const *lines, davit_error **err)
{
    int r = 0;
    for (; r == 0 && lines && *lines; lines++)
        r = dv_client_add_header(&reg->meta_headers, *lines, err);
    return r;
}

void dv_registry_close(dv_registry *reg)
{
    if (!reg)
        return;
    dv_token_fetches_cancel(reg);
    dv_authorizer_free(reg->authorizer);
    dv_headers_clear(&reg->meta_headers);
    dv_url_clear(&reg->endpoint.url);
    davit_tls_config_free(reg->endpoint.tls);
    free(reg->domain);
    free(reg->path);
    free(reg->scope);
    free(reg);
}

/* auth/auth_config.c - see davit/auth.h. Secrets are wiped before their memory is given up. */
#include "auth/auth_config.h"

#include <string.h>

void davit_secret_free(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

static void wipe(char **text)
{
    davit_secret_free(*text);
    *text = NULL;
}

void davit_auth_config_init(davit_auth_config *config)
{
    *config = (davit_auth_config)DAVIT_AUTH_CONFIG_INIT;
}

void davit_auth_config_clear(davit_auth_config *config)
{
    if (!config)
        return;
    wipe(&config->username);
    wipe(&config->password);
    wipe(&config->auth);
    wipe(&config->email);
    wipe(&config->serveraddress);
    wipe(&config->identitytoken);
    wipe(&config->registrytoken);
}

static bool copy(char **to, const char *from)
{
    *to = dv_strdup(from);
    return *to || !from;
}

int davit_auth_config_copy(const davit_auth_config *from, davit_auth_config *out, davit_error **err)
{
    DV_AUTO(davit_auth_config) c = DAVIT_AUTH_CONFIG_INIT;
    if (from && (!copy(&c.username, from->username) || !copy(&c.password, from->password) ||
                 !copy(&c.auth, from->auth) || !copy(&c.email, from->email) ||
                 !copy(&c.serveraddress, from->serveraddress) ||
                 !copy(&c.identitytoken, from->identitytoken) || !copy(&c.registrytoken, from->registrytoken)))
        return dv_error_oom(err);
    *out = c;
    davit_auth_config_init(&c); /* moved */
    return 0;
}

static bool is_set(const char *text)
{
    return text && *text;
}

bool dv_auth_config_has_password(const davit_auth_config *config)
{
    return is_set(config->username) && is_set(config->password);
}

bool dv_auth_config_has_identity(const davit_auth_config *config)
{
    return is_set(config->identitytoken);
}

bool dv_auth_config_has_registry_token(const davit_auth_config *config)
{
    return is_set(config->registrytoken);
}

int dv_auth_config_request(davit_request_auth_config_fn request, void *user_data, davit_auth_config *out,
                           davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    char *header = NULL;
    davit_auth_config_init(out);
    int r = request(user_data, &header, &why);
    if (r >= 0)
        r = davit_auth_config_decode(header, out, &why);
    else if (!why)
        dv_error_set(&why, r, "refused by the registry, and no other credentials were given");
    davit_secret_free(header);
    return r < 0 ? dv_error_move(err, &why, r) : 0;
}

bool davit_auth_config_is_anonymous(const davit_auth_config *config)
{
    return !config || !(dv_auth_config_has_password(config) || dv_auth_config_has_identity(config) ||
                        dv_auth_config_has_registry_token(config));
}

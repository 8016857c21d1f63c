/*
 * auth/credential_store.c - the credential store that gives everyone the same answer (auth.md 4). What is stored in files and
 * helpers is the client's (config_file.c).
 */
#include "auth/auth_config.h"

#include <stdlib.h>

static int copy_text(const char *from, char **out, davit_error **err)
{
    char *copy = dv_strdup(from ? from : "");
    if (!copy)
        return dv_error_oom(err);
    *out = copy;
    return 0;
}

static int static_basic(void *user_data, const char *url, char **out_username, char **out_password,
                        davit_error **err)
{
    const davit_auth_config *auth = user_data;
    char *username = NULL;
    int r = copy_text(auth->username, &username, err);
    if (r == 0)
        r = copy_text(auth->password, out_password, err);
    if (r == 0)
        *out_username = username;
    else
        davit_secret_free(username);
    return r;
}

static int static_refresh_token(void *user_data, const char *url, const char *service, char **out_token,
                                davit_error **err)
{
    const davit_auth_config *auth = user_data;
    return copy_text(auth->identitytoken, out_token, err);
}

static void static_set_refresh_token(void *user_data, const char *realm, const char *service,
                                     const char *token)
{
    /* It is given out, and takes nothing in. */
}

static void static_release(void *user_data)
{
    davit_auth_config_clear(user_data);
    free(user_data);
}

int davit_static_credential_store_init(const davit_auth_config *auth, davit_credential_store *out,
                                       davit_error **err)
{
    davit_auth_config *copy = dv_new(davit_auth_config);
    if (!copy)
        return dv_error_oom(err);
    int r = davit_auth_config_copy(auth, copy, err);
    if (r < 0) {
        free(copy);
        return r;
    }
    *out = (davit_credential_store){
        .size = sizeof(*out),
        .user_data = copy,
        .basic = static_basic,
        .refresh_token = static_refresh_token,
        .set_refresh_token = static_set_refresh_token,
        .release = static_release,
    };
    return 0;
}

void davit_credential_store_clear(davit_credential_store *store)
{
    if (!store)
        return;
    if (store->release)
        store->release(store->user_data);
    *store = (davit_credential_store){0};
}

/*
 * davit/auth.h - credentials of one registry (AuthConfig).
 */
#ifndef DAVIT_AUTH_H
#define DAVIT_AUTH_H

#include <davit/error.h>

DAVIT_BEGIN_DECLS

/**
 * Stored credentials of one registry. Each text is NULL when unset, or memory of malloc() that the struct
 * owns.
 *
 * Spec: auth.md 1
 */
typedef struct davit_auth_config {
    char *username;      /**< account name for Basic and for the token server */
    char *password;      /**< its secret */
    char *auth;          /**< base64 of "user:password"; only in config files, ignored elsewhere */
    char *email;         /**< carried only */
    char *serveraddress; /**< the registry these are for */
    char *identitytoken; /**< OAuth2 refresh token */
    char *registrytoken; /**< a ready bearer token, sent to the registry as it is */
} davit_auth_config;

#define DAVIT_AUTH_CONFIG_INIT                   \
    {                                            \
        NULL, NULL, NULL, NULL, NULL, NULL, NULL \
    }

/** Make it empty, like DAVIT_AUTH_CONFIG_INIT, without looking at what was there. Threads: any. */
DAVIT_API void davit_auth_config_init(davit_auth_config *config);

/** Wipe and release every text and leave it empty; NULL is fine. Threads: any. */
DAVIT_API void davit_auth_config_clear(davit_auth_config *config);

/**
 * Copy every text.
 *
 * @param from  borrowed; NULL gives an empty one
 * @param out   set on success, what it held is not looked at; clear with davit_auth_config_clear()
 *
 * Errors:  DAVIT_ENOMEM
 * Threads: any
 */
DAVIT_API int davit_auth_config_copy(const davit_auth_config *from, davit_auth_config *out, davit_error **err);

/** Whether it holds nothing that proves who one is: no user with password and neither token. Threads: any. */
DAVIT_API bool davit_auth_config_is_anonymous(const davit_auth_config *config);

DAVIT_END_DECLS

#endif

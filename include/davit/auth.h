/*
 * davit/auth.h - credentials of one registry (AuthConfig): their JSON, the X-Registry-Auth header, and where they are stored.
 */
#ifndef DAVIT_AUTH_H
#define DAVIT_AUTH_H

#include <davit/client.h>

DAVIT_BEGIN_DECLS

/** The HTTP header that carries an encoded AuthConfig (the reference's AuthHeader). */
#define DAVIT_AUTH_HEADER "X-Registry-Auth"

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

/* --- JSON and the header ------------------------------------------------------------------------------------------ */

/**
 * Write the JSON object: fixed order, empty members left out, HTML-safe escapes.
 *
 * @param config  borrowed; NULL counts as empty
 * @param out     set on success; new text, wipe it and release it with davit_secret_free()
 *
 * Errors:  DAVIT_ENOMEM
 * Threads: any
 * Spec:    auth.md 1
 */
DAVIT_API int davit_auth_config_format(const davit_auth_config *config, char **out, davit_error **err);

/**
 * The value of an X-Registry-Auth header (EncodeAuthConfig): base64url with padding of the JSON.
 *
 * @param out  set on success; release with davit_secret_free()
 *
 * Errors:  DAVIT_ENOMEM
 * Threads: any
 * Spec:    auth.md 2
 */
DAVIT_API int davit_auth_config_encode(const davit_auth_config *config, char **out, davit_error **err);

/**
 * Read an X-Registry-Auth header (DecodeAuthConfig).
 *
 * @param value  borrowed; NULL or "" is an empty AuthConfig
 * @param out    always set, also on failure: then it is empty. Clear with davit_auth_config_clear()
 *
 * Limits:  4 MiB
 * Errors:  DAVIT_EINVAL "invalid X-Registry-Auth header: ...", DAVIT_ENOMEM
 * Threads: any
 * Spec:    auth.md 2
 */
DAVIT_API int davit_auth_config_decode(const char *value, davit_auth_config *out, davit_error **err);

/**
 * Read an AuthConfig from a request body (DecodeAuthConfigBody): the same without base64.
 *
 * Parameters, limits, errors, threads: as davit_auth_config_decode(); an empty body is an error.
 */
DAVIT_API int davit_auth_config_decode_body(const void *bytes, size_t size, davit_auth_config *out,
                                            davit_error **err);

/** Wipe and release a text that holds a secret; NULL is fine. Threads: any. */
DAVIT_API void davit_secret_free(char *text);

/** The answer to a login (AuthenticateOKBody). Texts as in davit_auth_config. Spec: auth.md 1 */
typedef struct davit_authenticate_ok_body {
    char *identity_token; /**< to be kept in place of the password; NULL when the registry gave none */
    char *status;         /**< "Login Succeeded" */
} davit_authenticate_ok_body;

#define DAVIT_AUTHENTICATE_OK_BODY_INIT \
    {                                   \
        NULL, NULL                      \
    }

/** Wipe and release; NULL is fine. Threads: any. */
DAVIT_API void davit_authenticate_ok_body_clear(davit_authenticate_ok_body *body);

/**
 * Write {"IdentityToken":...,"Status":...}.
 *
 * @param out  set on success; release with davit_secret_free()
 *
 * Errors:  DAVIT_ENOMEM
 * Threads: any
 */
DAVIT_API int davit_authenticate_ok_body_format(const davit_authenticate_ok_body *body, char **out,
                                                davit_error **err);

/**
 * Supplies a new X-Registry-Auth value after a registry refused the one at hand (RequestAuthConfig, PrivilegeFunc).
 *
 * Called at most once for each operation, on the calling thread. Gives 0 and new text from malloc() in @p out_header, which
 * the caller wipes and frees, or a negative davit_code, which becomes the operation's.
 */
typedef int (*davit_request_auth_config_fn)(void *user_data, char **out_header, davit_error **err);

/* --- keys --------------------------------------------------------------------------------------------------------- */

/**
 * The host of a key of a credential file (ConvertToHostname): without one leading "http://" or "https://", up to the first
 * "/".
 *
 * @param out  set on success; free with free()
 *
 * Errors:  DAVIT_ENOMEM
 * Threads: any
 * Spec:    auth.md 3
 */
DAVIT_API int davit_convert_to_hostname(const char *url, char **out, davit_error **err);

struct davit_index_info;

/**
 * The key under which an index's credentials are stored (GetAuthConfigKey). Borrowed, from @p index or static.
 *
 * Threads: any
 * Spec:    auth.md 3
 */
DAVIT_API const char *davit_get_auth_config_key(const struct davit_index_info *index);

/** One entry of a map from keys to AuthConfigs. */
typedef struct davit_auth_entry {
    const char *key;
    const davit_auth_config *config;
} davit_auth_entry;

/**
 * Choose the credentials for an index (ResolveAuthConfig).
 *
 * @return borrowed from @p entries; NULL when nothing fits (the reference's empty AuthConfig)
 *
 * Threads: any
 * Spec:    auth.md 3
 */
DAVIT_API const davit_auth_config *davit_resolve_auth_config(const davit_auth_entry *entries, size_t count,
                                                             const struct davit_index_info *index);

/* --- credential stores -------------------------------------------------------------------------------------------- */

/**
 * Where an embedder keeps credentials. Functions may be NULL: nothing known. They are called on the thread that made the
 * request of the client, one at a time for each call.
 *
 * Spec: auth.md 4
 */
typedef struct davit_credential_store {
    size_t size; /**< sizeof(davit_credential_store) */
    void *user_data;
    /** User and password for a registry ("https://host[:port]"); new texts, which the caller wipes and frees; NULL: none. */
    int (*basic)(void *user_data, const char *url, char **out_username, char **out_password,
                 davit_error **err);
    /** The refresh token; new text or NULL. */
    int (*refresh_token)(void *user_data, const char *url, const char *service, char **out_token,
                         davit_error **err);
    /** A new refresh token was given. */
    void (*set_refresh_token)(void *user_data, const char *realm, const char *service, const char *token);
    /** Release user_data. */
    void (*release)(void *user_data);
} davit_credential_store;

/**
 * A store that gives the same credentials to everyone who asks and keeps no new token (NewStaticCredentialStore): only for
 * what talks to one registry.
 *
 * @param auth  copied; NULL is an empty one
 * @param out   filled on success; end it with davit_credential_store_clear()
 *
 * Errors:  DAVIT_ENOMEM
 * Threads: any
 * Spec:    auth.md 4
 */
DAVIT_API int davit_static_credential_store_init(const davit_auth_config *auth, davit_credential_store *out,
                                                 davit_error **err);

/** Release what it holds; NULL is fine. Threads: any. */
DAVIT_API void davit_credential_store_clear(davit_credential_store *store);

/* --- what the user has stored ------------------------------------------------------------------------------------- */

/** Where davit_client_put_credentials() put a secret. */
typedef enum davit_credential_place {
    DAVIT_CREDENTIALS_FILE,   /**< in the file, readable by who can read the file */
    DAVIT_CREDENTIALS_HELPER, /**< with a credential helper */
} davit_credential_place;

/**
 * Look for the stored credentials of a registry, in the client's order of files and through credential helpers.
 *
 * @param server  host[:port] as in a reference; "docker.io" for Docker Hub
 * @param out     set on success, empty when there are none; clear with davit_auth_config_clear()
 *
 * Limits:  30 s and 1 MiB for a helper's answer
 * Errors:  DAVIT_EINVAL (not a host), DAVIT_ECONFIG (a file or a helper that cannot be used), DAVIT_ETIMEOUT
 * Threads: any; blocks
 * Spec:    auth.md 5, DESIGN 4, threats A9-A11
 */
DAVIT_API int davit_client_get_credentials(davit_client *client, const char *server, davit_auth_config *out,
                                           davit_error **err);

/**
 * Store credentials: with the helper that the configuration file names for this registry, else in the file, which keeps every
 * other entry and key.
 *
 * @param server       as above
 * @param auth         borrowed; with an identity token the password is not stored
 * @param out_place    NULL, or set on success
 * @param out_where    NULL, or set on success: the file's path or the helper's program name, free with free()
 *
 * Errors:  DAVIT_EINVAL, DAVIT_ECONFIG, DAVIT_EIO, DAVIT_ETIMEOUT. Nothing is changed then
 * Threads: any; blocks. Two programs that write one file do not lose each other's entries
 * Spec:    auth.md 5, DESIGN 4, threats A11, A12
 */
DAVIT_API int davit_client_put_credentials(davit_client *client, const char *server,
                                           const davit_auth_config *auth, davit_credential_place *out_place,
                                           char **out_where, davit_error **err);

/**
 * Remove what is stored for a registry from that place.
 *
 * @param out_found  NULL, or set on success: whether there was anything
 *
 * Errors, threads: as davit_client_put_credentials()
 */
DAVIT_API int davit_client_delete_credentials(davit_client *client, const char *server, bool *out_found,
                                              char **out_where, davit_error **err);

/**
 * Remove what is stored for every registry: the entries of the file, what the helpers of its "credHelpers" keep for the registries that these
 * are for, and all that the one of its "credsStore" lists. Other keys of the file stay. What can be removed is, even when something fails.
 *
 * @param out_found  NULL, or set on success: whether there was anything
 * @param out_where  NULL, or set on success: the file's path, free with free()
 *
 * Errors, threads: as davit_client_put_credentials()
 * Spec:    auth.md 5, DESIGN 4
 */
DAVIT_API int davit_client_delete_all_credentials(davit_client *client, bool *out_found, char **out_where,
                                                  davit_error **err);

DAVIT_END_DECLS

#endif

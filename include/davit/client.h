/*
 * davit/client.h - the object that owns threads, connections, credentials and limits.
 *
 * One client may be used from many threads at once. It starts one loop thread for all sockets and a few workers, when they
 * are first needed.
 */
#ifndef DAVIT_CLIENT_H
#define DAVIT_CLIENT_H

#include <davit/error.h>

DAVIT_BEGIN_DECLS

typedef struct davit_client davit_client;
struct davit_service;          /* davit/service.h */
struct davit_credential_store; /* davit/auth.h */

/** davit_client_options.flags */
#define DAVIT_CLIENT_TLS_NO_VERIFY (1u << 0) /**< every registry counts as insecure */
/** No proxies, credentials or configuration files of the user and the system; directories of certificates stay. */
#define DAVIT_CLIENT_NO_ENVIRONMENT (1u << 1)
#define DAVIT_CLIENT_STORE_READ_ONLY (1u << 2) /**< open the store for reading only */

#define DAVIT_CLIENT_OPTIONS_VERSION 1u

/**
 * Everything is borrowed during davit_client_new() only. Zero or NULL is the default, given behind each field. Lists end
 * with NULL. Times are milliseconds.
 */
typedef struct davit_client_options {
    uint32_t version; /**< DAVIT_CLIENT_OPTIONS_VERSION */
    uint32_t flags;
    const char *store_dir;                  /**< NULL: calls that need a store fail with DAVIT_EINVAL */
    const char *user_agent;                 /**< "davit/VERSION" */
    const char *authfile;                   /**< credential file that comes before all others */
    const char *const *insecure_registries; /**< host[:port] or CIDR, added to 127.0.0.0/8 and ::1 */
    const char *const *registry_mirrors;    /**< URLs, in order, for docker.io */
    const char *const *trusted_realms; /**< hosts that may be given passwords as token servers (threats A1) */
    const char *const *headers; /**< "Name: value", sent to the named registry's own origin only (threats A4) */
    uint32_t max_concurrent_downloads; /**< 0: 3 large ones, 16 small ones; a number: at most that of both */
    uint32_t max_download_attempts;    /**< 5 */
    uint32_t connect_timeout_ms;       /**< 10 000 */
    uint32_t first_byte_timeout_ms;    /**< 30 000, from the request sent to the first byte of the answer */
    uint32_t stall_timeout_ms;         /**< 30 000 without a byte that came, or was sent and acknowledged */
    uint32_t min_rate;                 /**< 1024 bytes/s, averaged over min_rate_window_ms */
    uint32_t min_rate_window_ms;       /**< twice stall_timeout_ms */
    uint32_t retry_delay_ms;           /**< 500, doubled each time, at most 10 000 */
    uint32_t retry_after_max_s;        /**< 60: a longer Retry-After fails at once */
    /**
     * A configuration file with Docker's keys (daemon.json). NULL: /etc/davit/daemon.json, else /etc/docker/daemon.json,
     * whichever is there. What stands in these options is added to its lists and goes before its numbers.
     */
    const char *config_file;
    const char *certs_dir; /**< with a directory of certificates for each host[:port]; davit_certs_dir() */
    /** A service to use in place of one made from this and the configuration file; the client keeps a reference. */
    struct davit_service *service;
    /** Asked before all credential files, copied; the client releases it. davit_client_free() ends it. */
    const struct davit_credential_store *credential_store;
    uint32_t max_concurrent_uploads; /**< 0: 5 large ones, 16 small ones; a number: at most that of both */
    uint32_t helper_timeout_ms;      /**< 30 000, for all that a credential helper does for one question */
} davit_client_options;

#define DAVIT_CLIENT_OPTIONS_INIT    \
    {                                \
        DAVIT_CLIENT_OPTIONS_VERSION \
    }

/**
 * Make a client.
 *
 * @param options  NULL for defaults
 * @param out      set on success; free with davit_client_free()
 *
 * Errors:  DAVIT_EINVAL (version, flags, a malformed list entry), DAVIT_ECONFIG, DAVIT_ENOMEM
 * Threads: any. Reads environment variables unless DAVIT_CLIENT_NO_ENVIRONMENT: HTTP_PROXY, HTTPS_PROXY, NO_PROXY in either
 *          spelling, REGISTRY_AUTH_FILE, DOCKER_AUTH_CONFIG, DOCKER_CONFIG, HOME, XDG_RUNTIME_DIR, XDG_CONFIG_HOME,
 *          ROOTLESSKIT_STATE_DIR, SSL_CERT_FILE
 * Spec:    DESIGN 4, 5
 */
DAVIT_API int davit_client_new(const davit_client_options *options, davit_client **out, davit_error **err);

/** End its threads and connections; NULL is fine. No call may be running. Partial downloads stay for the next time. */
DAVIT_API void davit_client_free(davit_client *client);

/**
 * Make every running and future call of this client fail with DAVIT_ECANCELLED, within 200 ms.
 *
 * Threads: any
 */
DAVIT_API void davit_client_cancel(davit_client *client);

/** One value that is in force, and who said so. A list has a row for each entry. */
typedef struct davit_setting {
    const char *key;    /**< Docker's word, such as "registry-mirrors" */
    const char *value;  /**< text; no secrets */
    const char *origin; /**< a file's path, a variable such as "$HTTPS_PROXY", "option", or "default" */
} davit_setting;

typedef struct davit_settings {
    const davit_setting *items; /**< in a fixed order of keys */
    size_t count;
} davit_settings;

/**
 * What the client goes by, and where each value came from.
 *
 * @param out  set on success; free with davit_settings_free()
 *
 * Errors:  DAVIT_ENOMEM
 * Threads: any
 * Spec:    DESIGN 4
 */
DAVIT_API int davit_client_settings(davit_client *client, davit_settings **out, davit_error **err);
DAVIT_API void davit_settings_free(davit_settings *settings); /**< NULL is fine */

DAVIT_END_DECLS

#endif

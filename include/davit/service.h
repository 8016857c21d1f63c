/*
 * davit/service.h - the registry service: its configuration, what is secure, which endpoints a registry has, logging in.
 *
 * Constants, types and functions of the reference's `registry` package under its words. Everything but davit_service_auth()
 * and davit_ping_v2_registry() works without the network, except that a host name is looked up when a network beyond the
 * built-in ones is listed as insecure. For every function here: threads: any. "v27" marks what only the reference's older
 * version did; DAVIT_SERVICE_V27 asks for it.
 */
#ifndef DAVIT_SERVICE_H
#define DAVIT_SERVICE_H

#include <davit/auth.h>
#include <davit/reference.h>

DAVIT_BEGIN_DECLS

#define DAVIT_DEFAULT_NAMESPACE "docker.io"
#define DAVIT_DEFAULT_REGISTRY_HOST "registry-1.docker.io"
#define DAVIT_INDEX_HOSTNAME "index.docker.io"
#define DAVIT_INDEX_SERVER "https://index.docker.io/v1/"
#define DAVIT_INDEX_NAME "docker.io"
#define DAVIT_AUTH_CLIENT_ID "docker"
#define DAVIT_DEFAULT_V2_REGISTRY "https://registry-1.docker.io"

/* --- values ------------------------------------------------------------------------------------------------------- */

/** An IP network (NetIPNet). Spec: service.md 17 */
typedef struct davit_net_ip_net {
    uint8_t size; /**< bytes of an address: 4 or 16; 0 is no network */
    uint8_t address[16];
    uint8_t mask[16];
} davit_net_ip_net;

#define DAVIT_NET_IP_NET_TEXT_MAX 96 /**< bytes, with the NUL */

/** "10.0.0.0/8"; "ip/hexmask" for a mask with holes; "<nil>" for no network (NetIPNet.String). Gives @p out back. */
DAVIT_API const char *davit_net_ip_net_text(const davit_net_ip_net *net, char out[DAVIT_NET_IP_NET_TEXT_MAX]);
/** The JSON string (NetIPNet.MarshalJSON); free with free(). */
DAVIT_API int davit_net_ip_net_format(const davit_net_ip_net *net, char **out, davit_error **err);
/**
 * Read the JSON string (NetIPNet.UnmarshalJSON). Host bits are cleared, an IPv4-mapped network becomes IPv4.
 *
 * Errors: DAVIT_EINVAL "invalid CIDR address: ..." or another value than a string, DAVIT_EFORMAT (no JSON), DAVIT_ENOMEM
 */
DAVIT_API int davit_net_ip_net_parse(const char *json, size_t size, davit_net_ip_net *out, davit_error **err);

/** What is known of an index (IndexInfo). Texts are owned. Spec: service.md 8 */
typedef struct davit_index_info {
    char *name;     /**< "docker.io", or host[:port] */
    char **mirrors; /**< ends with NULL; NULL: none */
    bool secure;
    bool official;
} davit_index_info;

#define DAVIT_INDEX_INFO_INIT    \
    {                            \
        NULL, NULL, false, false \
    }

/** Release; NULL is fine. */
DAVIT_API void davit_index_info_clear(davit_index_info *index);
/** The JSON object; free with free(). Keys in v25's order with @p v27, else sorted. */
DAVIT_API int davit_index_info_format(const davit_index_info *index, bool v27, char **out, davit_error **err);

/** A repository and its index (RepositoryInfo). Spec: service.md 8 */
typedef struct davit_repository_info {
    davit_reference *name; /**< without tag and digest */
    davit_index_info index;
    bool official;
    char *repository_class; /**< always "" */
} davit_repository_info;

#define DAVIT_REPOSITORY_INFO_INIT               \
    {                                            \
        NULL, DAVIT_INDEX_INFO_INIT, false, NULL \
    }

/** Release; NULL is fine. */
DAVIT_API void davit_repository_info_clear(davit_repository_info *info);

/** A version of the registry protocol (APIVersion). */
typedef enum davit_api_version {
    DAVIT_API_VERSION_NONE,
    DAVIT_API_VERSION_1,
    DAVIT_API_VERSION_2
} davit_api_version;

/** "v1", "v2", or "" (APIVersion.String); static. */
DAVIT_API const char *davit_api_version_text(davit_api_version version);

/* --- TLS of a host ------------------------------------------------------------------------------------------------ */

/** What TLS demands of a peer and shows to it: extra roots, client certificates, whether anything is verified. */
typedef struct davit_tls_config davit_tls_config;

DAVIT_API int davit_tls_config_new(davit_tls_config **out, davit_error **err);
DAVIT_API void davit_tls_config_free(davit_tls_config *tls);
/** Whether the peer's certificate is not verified, which also says that plain HTTP is allowed (InsecureSkipVerify). */
DAVIT_API bool davit_tls_config_is_insecure(const davit_tls_config *tls);
/** Whether roots were added to the system's (the reference's RootCAs is set). */
DAVIT_API bool davit_tls_config_has_roots(const davit_tls_config *tls);
/** Roots that were added. */
DAVIT_API size_t davit_tls_config_root_count(const davit_tls_config *tls);
/** Client certificates with their keys. */
DAVIT_API size_t davit_tls_config_client_certificate_count(const davit_tls_config *tls);

/**
 * The directory with a directory of certificates for each registry (CertsDir). Borrowed; lives as long as the process.
 *
 * The first call of this or of davit_set_certs_dir() decides for the process: what was set, else
 * "<config home>/docker/certs.d" under rootlesskit, else "/etc/docker/certs.d".
 * Spec: service.md 11
 */
DAVIT_API const char *davit_certs_dir(void);
/** Decide it (SetCertsDir), when nothing has been decided; "" computes the default. */
DAVIT_API int davit_set_certs_dir(const char *path, davit_error **err);
/** The directory of one host[:port] (HostCertsDir), cleaned; free with free(). */
DAVIT_API int davit_host_certs_dir(const char *host, char **out, davit_error **err);
/**
 * Add what a directory holds to @p tls (ReadCertsDirectory): NAME.crt are roots, NAME.cert with NAME.key a client certificate.
 * A missing directory is fine. The first error ends it; what was added before stays.
 *
 * Not for a configuration that is in use already: it may change until it is shared.
 *
 * Limits: 1 MiB a file, 1000 files
 * Errors: DAVIT_EINVAL naming the file; DAVIT_EIO, DAVIT_ETOOBIG, DAVIT_ECERTIFICATE (not a certificate, a key that does not
 *         fit or is encrypted)
 * Spec:   service.md 11
 */
DAVIT_API int davit_read_certs_directory(davit_tls_config *tls, const char *directory, davit_error **err);

/* --- options and configuration -------------------------------------------------------------------------------------- */

/**
 * Check a mirror's URL (ValidateMirror); gives it with exactly one "/" at its end, free with free().
 *
 * Errors: DAVIT_EINVAL "invalid mirror: ..."
 * Spec:   service.md 3
 */
DAVIT_API int davit_validate_mirror(const char *text, char **out, davit_error **err);
/**
 * Check the name of an index (ValidateIndexName); "index.docker.io" becomes "docker.io". Free with free().
 *
 * Errors: DAVIT_EINVAL "invalid index name (...). Cannot begin or end with a hyphen"
 * Spec:   service.md 4
 */
DAVIT_API int davit_validate_index_name(const char *text, char **out, davit_error **err);

/** davit_service_options.flags */
#define DAVIT_SERVICE_V27 (1u << 0) /**< the older version's networks, texts and endpoint fields */
#define DAVIT_SERVICE_SKIP_TLS_VERIFY (1u << 1) /**< every registry but Docker Hub counts as insecure */

#define DAVIT_SERVICE_OPTIONS_VERSION 1u

/** What a service is made from (ServiceOptions). Lists end with NULL and may be NULL; everything is borrowed during the call. */
typedef struct davit_service_options {
    uint32_t version; /**< DAVIT_SERVICE_OPTIONS_VERSION */
    uint32_t flags;
    const char *const *mirrors;                          /**< URLs, in order, for docker.io */
    const char *const *insecure_registries;              /**< host[:port] or CIDR */
    const char *const *allow_nondistributable_artifacts; /**< host[:port] or CIDR */
    const char *const *digest_only_mirrors; /**< of the mirrors, those never asked what a tag is */
    const char *certs_dir;                  /**< in place of davit_certs_dir(); NULL */
} davit_service_options;

#define DAVIT_SERVICE_OPTIONS_INIT    \
    {                                 \
        DAVIT_SERVICE_OPTIONS_VERSION \
    }

/** A snapshot of a service's configuration (ServiceConfig). Spec: service.md 6, 17 */
typedef struct davit_service_config {
    davit_net_ip_net *allow_nondistributable_artifacts_cidrs;
    size_t allow_nondistributable_artifacts_cidr_count;
    char **allow_nondistributable_artifacts_hostnames; /**< ends with NULL; NULL: none */
    davit_net_ip_net *insecure_registry_cidrs;
    size_t insecure_registry_cidr_count;
    davit_index_info *index_configs; /**< sorted by name; NULL is JSON's null */
    size_t index_config_count;
    char **mirrors;     /**< ends with NULL; NULL: none */
    char *extra_fields; /**< text of a JSON object whose members are merged last and override; NULL */
} davit_service_config;

#define DAVIT_SERVICE_CONFIG_INIT                   \
    {                                               \
        NULL, 0, NULL, NULL, 0, NULL, 0, NULL, NULL \
    }

/** Release what it holds; NULL is fine. */
DAVIT_API void davit_service_config_clear(davit_service_config *config);

/** How a ServiceConfig is written. */
typedef enum davit_service_config_shape {
    DAVIT_SERVICE_CONFIG_V28, /**< sorted keys, the nondistributable ones only when set, extra fields */
    DAVIT_SERVICE_CONFIG_V25, /**< five keys in the order of the struct, always */
} davit_service_config_shape;

/**
 * The JSON object (ServiceConfig.MarshalJSON); free with free().
 *
 * Errors: DAVIT_EINVAL (extra_fields), DAVIT_ETOOBIG (64 MiB), DAVIT_ENOMEM
 */
DAVIT_API int davit_service_config_format(const davit_service_config *config,
                                          davit_service_config_shape shape, char **out, davit_error **err);

/* --- the service ------------------------------------------------------------------------------------------------------ */

typedef struct davit_service davit_service;

/**
 * Make a service (NewService). The first bad entry fails the whole.
 *
 * @param options  NULL for defaults
 * @param out      set on success; release with davit_service_unref()
 *
 * Errors:  DAVIT_EINVAL with the specification's texts
 * Spec:    service.md 6
 */
DAVIT_API int davit_service_new(const davit_service_options *options, davit_service **out, davit_error **err);
DAVIT_API davit_service *davit_service_ref(davit_service *service);
DAVIT_API void davit_service_unref(davit_service *service); /**< NULL is fine */

/** A configuration that was checked and waits to be put in force. */
typedef struct davit_service_commit davit_service_commit;

/**
 * Prepare another configuration (Service.ReplaceConfig). Until the commit runs the old one is in force; on an error nothing
 * changes. Pending commits are independent: the last one that runs wins.
 *
 * @param out  set on success; free with davit_service_commit_free()
 *
 * Errors: as davit_service_new()
 * Spec:   service.md 10
 */
DAVIT_API int davit_service_replace_config(davit_service *service, const davit_service_options *options,
                                           davit_service_commit **out, davit_error **err);
/** Put it in force at once and for everyone; may be repeated. What was looked up before is not affected. */
DAVIT_API void davit_service_commit_run(davit_service_commit *commit);
DAVIT_API void davit_service_commit_free(davit_service_commit *commit); /**< NULL is fine; changes nothing */

/** A copy of the configuration in force (Service.ServiceConfig); clear with davit_service_config_clear(). */
DAVIT_API int davit_service_get_config(davit_service *service, davit_service_config *out, davit_error **err);

/** Whether unverified TLS and plain HTTP will do for a host[:port] (Service.IsInsecureRegistry). May look a name up. */
DAVIT_API bool davit_service_is_insecure_registry(davit_service *service, const char *host);

/** What the service knows of a reference's repository and index (Service.ResolveRepository). */
DAVIT_API int davit_service_resolve_repository(davit_service *service, const davit_reference *ref,
                                               davit_repository_info *out, davit_error **err);

/** The same without a configuration: no mirrors, and what resolves to a loopback address is insecure (ParseRepositoryInfo). */
DAVIT_API int davit_parse_repository_info(const davit_reference *ref, davit_repository_info *out,
                                          davit_error **err);

/** The index of a search term, without a configuration (ParseSearchIndexInfo). Spec: service.md 8 */
DAVIT_API int davit_parse_search_index_info(const char *term, davit_index_info *out, davit_error **err);

/** Choose credentials for a reference (Service.ResolveAuthConfig); as davit_resolve_auth_config(). */
DAVIT_API int davit_service_resolve_auth_config(davit_service *service, const davit_auth_entry *entries,
                                                size_t count, const davit_reference *ref,
                                                const davit_auth_config **out, davit_error **err);

/** A base URL of a registry with what it takes to talk to it (APIEndpoint). */
typedef struct davit_api_endpoint {
    char *url;          /**< a mirror's with its path */
    bool mirror;        /**< tried before the registry itself */
    bool official;      /**< Docker Hub itself */
    bool trim_hostname; /**< v27: true */
    bool allow_nondistributable_artifacts;
    davit_api_version api_version; /**< v27: DAVIT_API_VERSION_2 */
    davit_tls_config *tls_config;
} davit_api_endpoint;

typedef struct davit_api_endpoints {
    davit_api_endpoint *items;
    size_t count;
} davit_api_endpoints;

DAVIT_API void davit_api_endpoints_free(davit_api_endpoints *endpoints); /**< NULL is fine */

/**
 * Where to pull from, in order (Service.LookupPullEndpoints): mirrors and Docker Hub, or the host with https and, when it is
 * insecure, http. davit's own transfers try these two at once (DESIGN 5).
 *
 * @param host  host[:port]; "docker.io" or "index.docker.io" for Docker Hub
 * @param out   set on success; free with davit_api_endpoints_free()
 *
 * Errors: DAVIT_EINVAL; a certificates directory that cannot be used fails the lookup
 * Spec:   service.md 9
 */
DAVIT_API int davit_service_lookup_pull_endpoints(davit_service *service, const char *host,
                                                  davit_api_endpoints **out, davit_error **err);
/** The same without mirrors (Service.LookupPushEndpoints). */
DAVIT_API int davit_service_lookup_push_endpoints(davit_service *service, const char *host,
                                                  davit_api_endpoints **out, davit_error **err);

/* --- questions to a registry ------------------------------------------------------------------------------------------ */

/** The service of a client: borrowed, lives with it. Give davit_client_options.service to bring one. */
DAVIT_API davit_service *davit_client_service(davit_client *client);

/**
 * Log in (Service.Auth): prove the credentials to the registry in @p auth->serveraddress, Docker Hub without one. Nothing is
 * stored.
 *
 * @param out  set on success; clear with davit_authenticate_ok_body_clear()
 *
 * Limits:  15 s for each request
 * Errors:  DAVIT_EINVAL (the address), DAVIT_EUNAUTHORIZED, DAVIT_EDENIED, the network's (davit/registry.h)
 * Threads: any; blocks
 * Spec:    auth.md 10
 */
DAVIT_API int davit_service_auth(davit_client *client, const davit_auth_config *auth,
                                 davit_authenticate_ok_body *out, davit_error **err);

/** One challenge of a 401 answer. */
typedef struct davit_challenge {
    char *scheme; /**< lower case */
    char *realm;  /**< NULL: none */
    char *service;
} davit_challenge;

typedef struct davit_challenges {
    char *url; /**< that answered, after redirects; the challenges hold for it */
    davit_challenge *items;
    size_t count;
} davit_challenges;

DAVIT_API void davit_challenges_free(davit_challenges *challenges); /**< NULL is fine */

/**
 * GET URL/v2/ and keep what it asks for (PingV2Registry). Any HTTP answer is a success. The URL is used as it is: plain HTTP
 * only for a host that counts as insecure.
 *
 * Errors:  DAVIT_EINVAL (the URL), the network's; davit_error_is_ping_response() tells those after an answer (the reference's
 *          PingResponseError) from those without one
 * Threads: any; blocks
 * Spec:    service.md 14
 */
DAVIT_API int davit_ping_v2_registry(davit_client *client, const char *url, davit_challenges **out,
                                     davit_error **err);
/** Whether a ping failed after the registry had answered (PingResponseError). */
DAVIT_API bool davit_error_is_ping_response(const davit_error *err);

/** A header to add to every request, as "Name: value" texts; ends with NULL. */
typedef struct davit_header_modifier {
    char **lines;
} davit_header_modifier;

typedef struct davit_header_modifiers {
    davit_header_modifier *items;
    size_t count;
} davit_header_modifiers;

/**
 * What is added to the headers of each request (Headers): the user agent when it is not empty, and the meta headers when
 * @p meta_headers is not NULL, also when it is an empty list.
 *
 * @param user_agent    NULL or "": none
 * @param meta_headers  "Name: value" texts, ends with NULL; NULL: none
 * @param out           set on success; free with davit_header_modifiers_free()
 *
 * Errors: DAVIT_EINVAL (CR, LF or no colon), DAVIT_ENOMEM
 * Spec:   service.md 13
 */
DAVIT_API int davit_headers(const char *user_agent, const char *const *meta_headers,
                            davit_header_modifiers **out, davit_error **err);
DAVIT_API void davit_header_modifiers_free(davit_header_modifiers *modifiers); /**< NULL is fine */

DAVIT_END_DECLS

#endif

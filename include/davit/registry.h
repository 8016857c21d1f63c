/*
 * davit/registry.h - questions to one registry and changes of it, without a store.
 *
 * "The network's" errors below are DAVIT_ENETWORK, DAVIT_ETIMEOUT, DAVIT_ETLS, DAVIT_ECERTIFICATE, DAVIT_EUNAVAILABLE,
 * DAVIT_ERATELIMIT, DAVIT_EPROTOCOL, DAVIT_EREGISTRY and DAVIT_ECANCELLED. For every function here: threads: any, blocks within
 * the client's limits; sizes are bytes.
 */
#ifndef DAVIT_REGISTRY_H
#define DAVIT_REGISTRY_H

#include <davit/auth.h>
#include <davit/client.h>
#include <davit/image_config.h>
#include <davit/manifest.h>
#include <davit/reference.h>

DAVIT_BEGIN_DECLS

/**
 * Ask what a reference names now, with one HEAD (a GET where the registry needs it).
 *
 * @param ref             borrowed; name-only means :latest
 * @param platform        NULL: what the name is, an index whole; else the manifest of this platform (an index is fetched)
 * @param out_media_type  NULL, or set on success to new text, free with free()
 * @param out_size        NULL, or set on success, bytes
 *
 * Errors:  DAVIT_ENOTFOUND, DAVIT_EUNAUTHORIZED, DAVIT_EDENIED, DAVIT_EPLATFORM, the network's
 * Threads: any; blocks
 * Spec:    registry-v2.md 4.2
 */
DAVIT_API int davit_registry_resolve(davit_client *client, const davit_reference *ref,
                                     const davit_platform *platform, davit_digest *out_digest,
                                     char **out_media_type, uint64_t *out_size, davit_error **err);

/**
 * Fetch a manifest and verify its bytes.
 *
 * Asks by the digest in @p ref when it has one, else by its tag; the answer is checked against that digest, or against
 * Docker-Content-Digest when the registry sends one.
 *
 * @param platform  NULL: what the name is, an index whole; else the manifest of this platform
 * @param out       set on success; free with davit_manifest_free()
 *
 * Limits:  DAVIT_MANIFEST_MAX
 * Errors:  DAVIT_ENOTFOUND, DAVIT_EUNAUTHORIZED, DAVIT_EDENIED, DAVIT_EDIGEST, DAVIT_EFORMAT, DAVIT_ETOOBIG,
 *          DAVIT_EPLATFORM, the network's
 * Threads: any; blocks
 * Spec:    registry-v2.md 4.3; pull.md 4, 5
 */
DAVIT_API int davit_registry_get_manifest(davit_client *client, const davit_reference *ref,
                                          const davit_platform *platform, davit_manifest **out,
                                          davit_error **err);

/**
 * Fetch the image config of a reference, verified.
 *
 * @param platform  NULL: the host's
 * @param out       set on success; free with davit_image_config_free()
 *
 * Errors, threads: as davit_registry_get_manifest(). Configs of artifacts are not image configs: see
 *                  davit_registry_get_config_bytes().
 */
DAVIT_API int davit_registry_get_config(davit_client *client, const davit_reference *ref,
                                        const davit_platform *platform, davit_image_config **out,
                                        davit_error **err);

/**
 * The exact bytes of the config, whatever its type.
 *
 * @param out_bytes  set on success; free with free()
 * Limits:  DAVIT_IMAGE_CONFIG_MAX
 */
DAVIT_API int davit_registry_get_config_bytes(davit_client *client, const davit_reference *ref,
                                              const davit_platform *platform, void **out_bytes,
                                              size_t *out_size, davit_error **err);

/** Takes a piece of a blob; 0, or a negative davit_code that ends the transfer. Called on the calling thread. */
typedef int (*davit_write_fn)(const void *bytes, size_t size, void *user_data);

/**
 * Stream one blob, resuming over cut connections.
 *
 * The bytes reach @p write before the digest is known; at the end a wrong size or digest is DAVIT_EDIGEST. A failure that
 * would need bytes again that were passed on already ends the transfer.
 *
 * @param ref       names the repository; tag and digest are ignored
 * @param out_size  NULL, or set on success
 *
 * Errors:  DAVIT_ENOTFOUND "unknown blob", DAVIT_EDIGEST, what @p write returned, the network's
 * Threads: any; blocks
 * Spec:    registry-v2.md 5
 */
DAVIT_API int davit_registry_get_blob(davit_client *client, const davit_reference *ref,
                                      const davit_digest *digest, davit_write_fn write, void *user_data,
                                      uint64_t *out_size, davit_error **err);

/** Takes one tag, in the registry's order; a non-zero answer ends the listing without an error. */
typedef int (*davit_tag_fn)(const char *tag, void *user_data);

/**
 * List the tags of a repository, page by page. Null entries are skipped; names that are no valid tags are passed on.
 *
 * Limits:  8 MiB a page, 10 000 pages
 * Errors:  DAVIT_ENOTFOUND, DAVIT_EUNAUTHORIZED, DAVIT_EDENIED, DAVIT_EPROTOCOL (pages that repeat), the network's
 * Threads: any; blocks; @p fn runs on the calling thread
 * Spec:    registry-v2.md 7; threats A8, C4
 */
DAVIT_API int davit_registry_tags(davit_client *client, const davit_reference *ref, davit_tag_fn fn,
                                  void *user_data, davit_error **err);

#define DAVIT_LIST_OPTIONS_VERSION 1u

/** Which part of a list of names is wanted. */
typedef struct davit_list_options {
    uint32_t version; /**< DAVIT_LIST_OPTIONS_VERSION */
    uint32_t flags;   /**< none yet */
    uint64_t limit;   /**< at most so many names; 0: all */
    const char *last; /**< only what comes behind this name, which need not exist; NULL: from the beginning */
} davit_list_options;

#define DAVIT_LIST_OPTIONS_INIT    \
    {                              \
        DAVIT_LIST_OPTIONS_VERSION \
    }

/**
 * List a part of the tags of a repository, as davit_registry_tags() lists them all. Where the registry does not know parts, what comes
 * before is left out here, by the order of bytes.
 *
 * @param options  NULL: all
 *
 * Limits, errors, threads: as davit_registry_tags(); DAVIT_EINVAL for options
 * Spec:    registry-v2.md 7; threats A8, C4
 */
DAVIT_API int davit_registry_list_tags(davit_client *client, const davit_reference *ref,
                                       const davit_list_options *options, davit_tag_fn fn, void *user_data,
                                       davit_error **err);

/** What refers to a manifest: an entry of its list of referrers. */
typedef struct davit_referrer {
    davit_descriptor descriptor;         /**< artifact_type NULL when the registry says none */
    const davit_annotation *annotations; /**< in the registry's order */
    size_t annotation_count;
} davit_referrer;

/** Takes one referrer, borrowed for the call; a non-zero answer ends the listing without an error. */
typedef int (*davit_referrer_fn)(const davit_referrer *referrer, void *user_data);

/**
 * List what refers to a manifest: signatures, attestations, artifacts. From the registry's API, or from the list that clients keep under
 * a tag where there is none.
 *
 * @param ref            borrowed; a tag is looked up first; name-only means :latest
 * @param artifact_type  only those of this type; NULL: all
 * @param out_subject    NULL, or set on success: what they refer to
 *
 * Limits:  10 000 referrers, DAVIT_MANIFEST_MAX a page
 * Errors:  DAVIT_ENOTFOUND for a tag that is not there (a manifest nothing refers to is none), DAVIT_EFORMAT, DAVIT_ETOOBIG,
 *          DAVIT_EUNAUTHORIZED, DAVIT_EDENIED, the network's
 * Threads: any; blocks; @p fn runs on the calling thread
 * Spec:    registry-v2.md 8; threats A8, C3, C4
 */
DAVIT_API int davit_registry_referrers(davit_client *client, const davit_reference *ref,
                                       const char *artifact_type, davit_referrer_fn fn, void *user_data,
                                       davit_digest *out_subject, davit_error **err);

/** A platform as a registry's document names it, in that spelling; all empty for an index entry without one. */
typedef struct davit_inspect_platform {
    davit_platform platform;
    char **os_features; /**< ends with NULL; NULL: none */
} davit_inspect_platform;

/** What a registry says of a reference without its content (DistributionInspect). Spec: engine-api.md 10 */
typedef struct davit_distribution_inspect {
    char *media_type;
    davit_digest digest;
    uint64_t size;                     /**< bytes of the manifest or index */
    davit_inspect_platform *platforms; /**< NULL: none are known (JSON's null) */
    size_t platform_count;
} davit_distribution_inspect;

/**
 * Ask for the descriptor of a reference and the platforms behind it: those of an index's entries, that of a Docker image when
 * its config can be had and names one, and none of an OCI image.
 *
 * @param ref   borrowed; name-only means :latest
 * @param auth  borrowed; for the registry itself, never for a mirror. NULL: the stored credentials
 * @param out   set on success; free with davit_distribution_inspect_free()
 *
 * Errors:  as davit_registry_get_manifest(); DAVIT_EINVAL ("'scratch' is a reserved name"), DAVIT_EUNSUPPORTED for schema 1
 * Threads: any; blocks
 * Spec:    engine-api.md 10
 */
DAVIT_API int davit_registry_inspect(davit_client *client, const davit_reference *ref,
                                     const davit_auth_config *auth, davit_distribution_inspect **out,
                                     davit_error **err);
/** Write {"Descriptor":{...},"Platforms":[...]|null}; free with free(). */
DAVIT_API int davit_distribution_inspect_format(const davit_distribution_inspect *inspect, char **out,
                                                davit_error **err);
DAVIT_API void davit_distribution_inspect_free(davit_distribution_inspect *inspect); /**< NULL is fine */

typedef struct davit_ping_result {
    int status; /**< HTTP status of GET /v2/: 200 works, 401 wants credentials, 404 is no v2 registry */
    bool tls;   /**< spoken to over TLS */
    bool authenticated; /**< 200 with the credentials at hand */
    char challenge[64]; /**< schemes that a 401 offered, such as "bearer, basic" */
    char url[512];      /**< what was asked */
} davit_ping_result;

/**
 * Ask a registry whether it speaks the v2 protocol.
 *
 * @param host  host[:port], as in a reference; "docker.io" for Docker Hub
 * @param out   set on success: any HTTP answer
 *
 * Errors:  DAVIT_EINVAL (not a host), the network's
 * Threads: any; blocks
 * Spec:    registry-v2.md 3
 */
DAVIT_API int davit_registry_ping(davit_client *client, const char *host, davit_ping_result *out,
                                  davit_error **err);

/*
 * --- changing one registry ---
 *
 * What follows is asked of the registry itself, never of a mirror. DAVIT_EUNSUPPORTED: the registry does not do that at all.
 */

/**
 * Push a manifest or index, byte for byte.
 *
 * A manifest with a subject is listed as its referrer, by the registry or in the list under a tag where the registry has no such API.
 *
 * @param ref         borrowed; where it goes: a tag (name-only means :latest), a digest, or a tag with the digest to check
 * @param media_type  what it is pushed as; NULL: what the document says
 * @param out_digest  set on success
 *
 * Limits:  DAVIT_MANIFEST_MAX
 * Errors:  DAVIT_EDIGEST (the bytes are not what @p ref says, before anything is sent; the registry stored others), DAVIT_EFORMAT,
 *          DAVIT_ETOOBIG, DAVIT_EUNAUTHORIZED, DAVIT_EDENIED, DAVIT_ECONFLICT (pushed, but others keep changing the list of referrers),
 *          DAVIT_EREGISTRY (refused, a blob or child is missing), the network's
 * Threads: any; blocks
 * Spec:    registry-v2.md 4.5, 8
 */
DAVIT_API int davit_registry_put_manifest(davit_client *client, const davit_reference *ref, const void *bytes,
                                          size_t size, const char *media_type, davit_digest *out_digest,
                                          davit_error **err);

/**
 * Delete a manifest, and with it every tag that names it; its entry in a list of referrers under a tag too.
 *
 * @param ref  borrowed; has a digest
 *
 * Errors:  DAVIT_EINVAL without a digest, DAVIT_ENOTFOUND, DAVIT_EUNSUPPORTED, DAVIT_EUNAUTHORIZED, DAVIT_EDENIED, the network's
 * Threads: any; blocks
 * Spec:    registry-v2.md 4.6, 8
 */
DAVIT_API int davit_registry_delete_manifest(davit_client *client, const davit_reference *ref,
                                             davit_error **err);

/**
 * Delete a tag and nothing else. A registry that deletes only manifests is left as it is.
 *
 * @param ref  borrowed; has a tag and no digest
 *
 * Errors:  DAVIT_EINVAL, DAVIT_ENOTFOUND, DAVIT_EUNSUPPORTED (says what else would be deleted), DAVIT_EUNAUTHORIZED, DAVIT_EDENIED, the network's
 * Threads: any; blocks
 * Spec:    registry-v2.md 4.6
 */
DAVIT_API int davit_registry_delete_tag(davit_client *client, const davit_reference *ref, davit_error **err);

/**
 * Ask whether a repository has a blob, and how long it is.
 *
 * @param ref       names the repository; tag and digest are ignored
 * @param out_size  set on success
 *
 * Errors:  DAVIT_ENOTFOUND "unknown blob", DAVIT_EUNAUTHORIZED, DAVIT_EDENIED, the network's
 * Threads: any; blocks
 * Spec:    registry-v2.md 5
 */
DAVIT_API int davit_registry_stat_blob(davit_client *client, const davit_reference *ref,
                                       const davit_digest *digest, uint64_t *out_size, davit_error **err);

/**
 * Push one blob out of a file, unless the repository has it; or out of a pipe, as the bytes come.
 *
 * @param ref         names the repository; tag and digest are ignored
 * @param fd          borrowed; a regular file is read from its beginning, anything else to its end
 * @param expected    NULL, or the digest that it must have
 * @param out_digest  set on success
 * @param out_size    NULL, or set on success
 *
 * Limits:  memory does not grow with the blob
 * Errors:  DAVIT_EDIGEST (not what is expected: the repository does not get it), DAVIT_EIO, DAVIT_EUNAUTHORIZED, DAVIT_EDENIED, the network's
 * Threads: any; blocks
 * Spec:    registry-v2.md 6
 */
DAVIT_API int davit_registry_put_blob(davit_client *client, const davit_reference *ref, int fd,
                                      const davit_digest *expected, davit_digest *out_digest,
                                      uint64_t *out_size, davit_error **err);

/**
 * Delete a blob from a repository, whatever still needs it.
 *
 * @param ref  names the repository; tag and digest are ignored
 *
 * Errors:  DAVIT_ENOTFOUND "unknown blob", DAVIT_EUNSUPPORTED, DAVIT_EUNAUTHORIZED, DAVIT_EDENIED, the network's
 * Threads: any; blocks
 * Spec:    registry-v2.md 5
 */
DAVIT_API int davit_registry_delete_blob(davit_client *client, const davit_reference *ref,
                                         const davit_digest *digest, davit_error **err);

DAVIT_END_DECLS

#endif

/*
 * davit/pull.h - fetch images from a registry into the store.
 */
#ifndef DAVIT_PULL_H
#define DAVIT_PULL_H

#include <davit/auth.h>
#include <davit/client.h>
#include <davit/manifest.h>
#include <davit/progress.h>
#include <davit/reference.h>

DAVIT_BEGIN_DECLS

/** davit_pull_options.flags */
#define DAVIT_PULL_ALL_TAGS (1u << 0) /**< every tag of the repository; the reference must be name-only */
#define DAVIT_PULL_ALL_PLATFORMS (1u << 1) /**< every entry of an index, as content */
#define DAVIT_PULL_DRY_RUN (1u << 2) /**< manifests only, into memory; store nothing, say what is missing */

#define DAVIT_PULL_OPTIONS_VERSION 1u

typedef struct davit_pull_options {
    uint32_t version; /**< DAVIT_PULL_OPTIONS_VERSION */
    uint32_t flags;
    const davit_platform *platform; /**< NULL: the host's */
    davit_progress_fn progress;     /**< NULL: no events */
    void *user_data;                /**< for progress and verify */
    /**
     * May refuse an image before anything of it is recorded (threats B11): called on the calling thread with the manifest
     * that was chosen, 0 to accept; any other value fails the pull with DAVIT_EDENIED. NULL accepts everything.
     */
    int (*verify)(const davit_reference *ref, const davit_manifest *manifest, void *user_data);
    /** Credentials for this pull's registry, never for its mirrors, in place of the stored ones; NULL: the stored ones. */
    const davit_auth_config *auth;
    /** Asked once for others after the registry refused those at hand; gets user_data. NULL: the refusal is the answer. */
    davit_request_auth_config_fn request_auth_config;
} davit_pull_options;

#define DAVIT_PULL_OPTIONS_INIT    \
    {                              \
        DAVIT_PULL_OPTIONS_VERSION \
    }

/** What a pull did, or with DAVIT_PULL_DRY_RUN would do. Counts are of blobs and manifests, bytes as stored. */
typedef struct davit_pull_result {
    davit_digest digest;                   /**< of the last reference's manifest or index */
    bool updated;                          /**< some reference names something else than before */
    uint32_t tag_count;                    /**< references pulled */
    uint64_t fetched_count, fetched_bytes; /**< what was, or would be, transferred */
    uint64_t present_count, present_bytes; /**< what was in the store already */
} davit_pull_result;

/**
 * Pull an image, or all tags of a repository.
 *
 * Nothing half-done is visible: a blob gets its name and the tag moves only after every byte was checked and is on disk.
 * Killed at any moment, the next pull goes on where this one stopped.
 *
 * @param ref      borrowed; name-only is DAVIT_EINVAL without DAVIT_PULL_ALL_TAGS ("latest" is the caller's business)
 * @param options  NULL for defaults
 * @param out      NULL, or set on success
 *
 * Limits:  memory does not grow with the image; manifests and configs 4 MiB, 4096 layers
 * Errors:  DAVIT_ENOTFOUND, DAVIT_EUNAUTHORIZED, DAVIT_EDENIED, DAVIT_EDIGEST, DAVIT_EPLATFORM, DAVIT_EUNSUPPORTED,
 *          DAVIT_EFORMAT, DAVIT_ENETWORK, DAVIT_ETIMEOUT, DAVIT_EUNAVAILABLE, DAVIT_ERATELIMIT, DAVIT_ENOSPACE, DAVIT_ESTORE,
 *          DAVIT_EFORBIDDEN ("'scratch' is a reserved name"), DAVIT_ECANCELLED
 * Threads: any; blocks; callbacks run on the calling thread
 * Spec:    pull.md
 */
DAVIT_API int davit_pull(davit_client *client, const davit_reference *ref, const davit_pull_options *options,
                         davit_pull_result *out, davit_error **err);

DAVIT_END_DECLS

#endif

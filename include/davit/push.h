/*
 * davit/push.h - send images of the store to a registry.
 */
#ifndef DAVIT_PUSH_H
#define DAVIT_PUSH_H

#include <davit/auth.h>
#include <davit/client.h>
#include <davit/platform.h>
#include <davit/progress.h>
#include <davit/reference.h>

DAVIT_BEGIN_DECLS

/** davit_push_options.flags */
#define DAVIT_PUSH_ALL_TAGS (1u << 0)     /**< every tag of the repository; the reference must be name-only */
#define DAVIT_PUSH_SPARSE (1u << 1)       /**< an index as it is, though the store lacks some of its images */
#define DAVIT_PUSH_SKIP_FOREIGN (1u << 2) /**< layers that may not be distributed stay where they are */
#define DAVIT_PUSH_ALL_PLATFORMS \
    (1u << 3) /**< an index whole: DAVIT_ENOTFOUND when the store lacks something of it */

#define DAVIT_PUSH_OPTIONS_VERSION 1u

typedef struct davit_push_options {
    uint32_t version; /**< DAVIT_PUSH_OPTIONS_VERSION */
    uint32_t flags;
    const davit_platform *platform; /**< of an index this image alone, under the tag; NULL: all that is there */
    davit_progress_fn progress;     /**< NULL: no events */
    void *user_data;                /**< for the callbacks */
    /** Credentials for this push, in place of the stored ones; NULL: the stored ones. */
    const davit_auth_config *auth;
    /** Asked once for others after the registry refused those at hand; gets user_data. NULL: the refusal is the answer. */
    davit_request_auth_config_fn request_auth_config;
    /** A tag is there: on the calling thread, with the manifest that it means now, size bytes long. NULL: nothing is told. */
    void (*pushed)(const davit_reference *ref, const davit_digest *digest, uint64_t size, void *user_data);
} davit_push_options;

#define DAVIT_PUSH_OPTIONS_INIT    \
    {                              \
        DAVIT_PUSH_OPTIONS_VERSION \
    }

/** What a push did. Counts are of blobs, each once; bytes as stored. */
typedef struct davit_push_result {
    davit_digest digest; /**< of the last tag's manifest or index, as the registry has it now */
    uint32_t tag_count;  /**< tags pushed */
    uint64_t sent_count, sent_bytes;
    uint64_t mounted_count, mounted_bytes; /**< the registry had them in another repository */
    uint64_t present_count, present_bytes; /**< they were there */
} davit_push_result;

/**
 * Push an image, or all tags of a repository, from the store.
 *
 * The manifest's bytes go as they are, and so do blobs. Nothing is visible under the tag before all that it needs is there: blobs,
 * then the manifests of an index, the index, and last the tag. What the registry has is not sent; what another repository of it has is
 * mounted. A tag that means the image already is one question; one that means the index, a question more for each manifest that goes with it,
 * since it may be there sparse. Killed at any moment, the next push goes on where this one stopped, if the registry kept the upload.
 *
 * Of an index whose images are not all in the store, the one that is goes under the tag, which a warning says; several need a platform or
 * DAVIT_PUSH_SPARSE. With DAVIT_PUSH_ALL_PLATFORMS anything but the whole is an error.
 *
 * @param ref      borrowed; with a tag, or name-only together with DAVIT_PUSH_ALL_TAGS. All tags go in the order of their texts, the
 *                 first failure ends it
 * @param options  NULL for defaults
 * @param out      NULL, or set on success
 *
 * Limits:  memory does not grow with the image
 * Errors:  DAVIT_ENOTFOUND ("An image does not exist locally with the tag: NAME", "tag does not exist: REF"), DAVIT_EINVAL ("cannot push a
 *          digest reference"), DAVIT_EPLATFORM, DAVIT_EFORBIDDEN ("'scratch' is a reserved name"), DAVIT_EUNAUTHORIZED,
 *          DAVIT_EDENIED, DAVIT_EREGISTRY, DAVIT_EDIGEST, DAVIT_ENETWORK, DAVIT_ETIMEOUT, DAVIT_EUNAVAILABLE, DAVIT_ERATELIMIT,
 *          DAVIT_ESTORE, DAVIT_ECANCELLED
 * Threads: any; blocks; callbacks run on the calling thread
 * Spec:    push.md
 */
DAVIT_API int davit_push(davit_client *client, const davit_reference *ref, const davit_push_options *options,
                         davit_push_result *out, davit_error **err);

DAVIT_END_DECLS

#endif

/*
 * davit/distribution.h - pull, push, tags and repositories for embedders that have stores of their own.
 *
 * The tables are in davit/own_stores.h and davit/layer.h. Without any of them these functions are davit_pull() and davit_push(), on the
 * client's store.
 */
#ifndef DAVIT_DISTRIBUTION_H
#define DAVIT_DISTRIBUTION_H

#include <davit/own_stores.h>
#include <davit/pull.h>
#include <davit/push.h>

DAVIT_BEGIN_DECLS

#define DAVIT_DISTRIBUTION_CONFIG_VERSION 1u

/**
 * What pull and push have in common (Config). Everything is borrowed until they return.
 *
 * Spec: pull.md 1; push.md 1
 */
typedef struct davit_distribution_config {
    uint32_t version; /**< DAVIT_DISTRIBUTION_CONFIG_VERSION */
    uint32_t flags;   /**< none yet: 0 */
    /** "Name: value" texts for the registry's own origin, never for a mirror; ends with NULL; NULL: none. */
    const char *const *meta_headers;
    /** Credentials, in place of the stored ones and of the resolver's; NULL: those. */
    const davit_auth_config *auth;
    /** Asked once for others after the registry refused those at hand. NULL: the refusal is the answer. */
    davit_request_auth_config_fn request_auth_config;
    davit_progress_fn progress; /**< NULL: no events */
    /** "pull" or "push" succeeded: familiar reference and familiar name. NULL: nobody is told. */
    void (*log_image_event)(const char *event, const char *ref, const char *name, void *user_data);
    void *user_data;                         /**< for the callbacks */
    const davit_registry_resolver *resolver; /**< NULL: the client's service */
    const davit_metadata_store *metadata;    /**< with stores of one's own; NULL: nothing is remembered */
    const davit_image_config_store *images;  /**< with stores of one's own */
    const davit_reference_store *references; /**< with stores of one's own */
} davit_distribution_config;

#define DAVIT_DISTRIBUTION_CONFIG_INIT    \
    {                                     \
        DAVIT_DISTRIBUTION_CONFIG_VERSION \
    }

/* --- pull ---------------------------------------------------------------------------------------------------------------- */

/** davit_image_pull_config.flags */
#define DAVIT_IMAGE_PULL_NO_LAYERS \
    (1u << 0) /**< into a content store of one's own: config and manifests only */

#define DAVIT_IMAGE_PULL_CONFIG_VERSION 1u

/** What to pull (ImagePullConfig). Spec: pull.md 1 */
typedef struct davit_image_pull_config {
    uint32_t version; /**< DAVIT_IMAGE_PULL_CONFIG_VERSION */
    uint32_t flags;
    const davit_distribution_config *config; /**< NULL: defaults */
    const davit_platform *platform;          /**< NULL: the host's */
    /** Config types of Docker schema 2 manifests that are taken; ends with NULL; NULL: those of images (pull.md 4). */
    const char *const *config_types;
    /** As davit_pull_options.verify; gets the user_data of config. */
    int (*verify)(const davit_reference *ref, const davit_manifest *manifest, void *user_data);
} davit_image_pull_config;

#define DAVIT_IMAGE_PULL_CONFIG_INIT    \
    {                                   \
        DAVIT_IMAGE_PULL_CONFIG_VERSION \
    }

/**
 * Pull an image (Pull): what a tag or a digest names, or all tags of a name.
 *
 * With a content store of one's own nothing goes into the client's store. Manifests and layers go to @p content, and the config to the image
 * config store, without one to @p content too. Each blob is streamed, hashed on the way, and committed only when digest and size are
 * right; what breaks off is gone on with, after a failure by the next pull. Order: config in memory and checked, layers, manifests
 * with what is listed before what lists, the image config, and last the references; what fails ends it there. Layers come one after the
 * other. An image that the image config store has is not fetched again; without a reference store every pull counts as newer. With a
 * metadata store each layer is inflated on the way, held against the config's diff_id, and remembered.
 *
 * @param ref      borrowed; canonical, as davit_reference_parse() gives it
 * @param config   NULL for defaults
 * @param content  NULL: the client's store, and then all tables of config but its resolver are NULL
 * @param out      NULL, or set on success
 *
 * Limits:  as davit_pull(); 1 MiB of memory at a time for a layer, and an inflater's 33 MiB
 * Errors:  DAVIT_EINVAL (tables that do not go together or lack a function), what tables return, and as davit_pull();
 *          davit_error_is_deprecated_schema1_image(), davit_error_is_ai_model_not_supported()
 * Threads: any; blocks; callbacks and tables run on the calling thread
 * Spec:    pull.md; store.md 3 to 7
 */
DAVIT_API int davit_distribution_pull(davit_client *client, const davit_reference *ref,
                                      const davit_image_pull_config *config,
                                      const davit_content_store *content, davit_pull_result *out,
                                      davit_error **err);

/** Whether an image was refused for its manifest of the first schema (DeprecatedSchema1ImageError). Threads: any. Spec: pull.md 3.3 */
DAVIT_API bool davit_error_is_deprecated_schema1_image(const davit_error *err);
/** Whether it was refused for being an AI model (AIModelNotSupportedError). Threads: any. Spec: pull.md 3.3 */
DAVIT_API bool davit_error_is_ai_model_not_supported(const davit_error *err);

/* --- push ---------------------------------------------------------------------------------------------------------------- */

/** davit_image_push_config.flags */
#define DAVIT_IMAGE_PUSH_SKIP_FOREIGN (1u << 0) /**< as DAVIT_PUSH_SKIP_FOREIGN */

#define DAVIT_IMAGE_PUSH_CONFIG_VERSION 1u

/** What to push (ImagePushConfig). Spec: push.md 1 */
typedef struct davit_image_push_config {
    uint32_t version; /**< DAVIT_IMAGE_PUSH_CONFIG_VERSION */
    uint32_t flags;
    const davit_distribution_config *config; /**< NULL: defaults */
    const davit_layer_provider *layers;      /**< whose layers; NULL: the client's store */
    /** Of the config in the manifest. NULL: that of an image of the manifest's kind. With layers of one's own. */
    const char *config_media_type;
    /** What is made: DAVIT_MANIFEST_DOCKER (0 too) or DAVIT_MANIFEST_OCI. With layers of one's own. */
    davit_manifest_kind kind;
} davit_image_push_config;

#define DAVIT_IMAGE_PUSH_CONFIG_INIT    \
    {                                   \
        DAVIT_IMAGE_PUSH_CONFIG_VERSION \
    }

/**
 * Push an image (Push): what a tag names, or all tags of a name in the order of their texts.
 *
 * With layers of one's own, reference store and image config store are needed too: tag, config by image id, layers by the chain ids of the
 * config. Layers are asked for in other repositories and mounted by what the metadata store knows, and else compressed on the way;
 * the manifest is made here. Then name\@digest is added to the reference store.
 *
 * @param ref     borrowed; canonical; a digest is refused
 * @param config  NULL for defaults; without layers all tables but the resolver are NULL
 * @param out     NULL, or set on success
 *
 * Limits:  memory does not grow with layers; 64 MiB of configs together
 * Errors:  DAVIT_EINVAL (tables that do not go together or lack a function), what tables return, "could not find image from tag REF:
 *          CAUSE", "failed to get top layer from image: CAUSE", and as davit_push()
 * Threads: any; blocks; callbacks, reference store, image config store and resolver run on the calling thread, streams of layers and
 *          the metadata store on others
 * Spec:    push.md
 */
DAVIT_API int davit_distribution_push(davit_client *client, const davit_reference *ref,
                                      const davit_image_push_config *config, davit_push_result *out,
                                      davit_error **err);

/* --- tags and repositories ------------------------------------------------------------------------------------------------ */

/**
 * Tell the tags of a repository, in the order of the first endpoint that works (Tags).
 *
 * @param ref     name, anything behind it does not matter
 * @param config  NULL for defaults; tables of stores are not used
 * @param fn      called on this thread when the list is complete; non-zero ends it
 *
 * Limits:  8 MiB of tags
 * Errors:  as davit_registry_tags()
 * Threads: any; blocks
 * Spec:    pull.md 1
 */
DAVIT_API int davit_distribution_tags(davit_client *client, const davit_reference *ref,
                                      const davit_distribution_config *config, davit_tag_fn fn,
                                      void *user_data, davit_error **err);

/** A repository at one endpoint that answers. */
typedef struct davit_repository davit_repository;
typedef struct davit_repository_list davit_repository_list;

/**
 * Find the endpoints of a repository that can be reached (GetRepositories), in order; the others are skipped. No meta headers are sent.
 *
 * @param ref  name, anything behind it does not matter
 * @param out  set on success; free with davit_repository_list_free(), before the client
 *
 * Errors:  DAVIT_EINVAL ("'scratch' is a reserved name"); the last endpoint's when none can be reached
 * Threads: any; blocks
 * Spec:    pull.md 1
 */
DAVIT_API int davit_distribution_get_repositories(davit_client *client, const davit_reference *ref,
                                                  const davit_distribution_config *config,
                                                  davit_repository_list **out, davit_error **err);
/** How many. Threads: any. */
DAVIT_API size_t davit_repository_list_count(const davit_repository_list *list);
/** Borrowed; NULL beyond the end. Threads: any. */
DAVIT_API davit_repository *davit_repository_list_at(const davit_repository_list *list, size_t index);
/** Release; NULL is fine. Threads: any, when no question is under way. */
DAVIT_API void davit_repository_list_free(davit_repository_list *list);

/** Whole name: "docker.io/library/busybox". Borrowed from the list. Threads: any. */
DAVIT_API const char *davit_repository_name(const davit_repository *repository);
/** Base URL of its endpoint. Borrowed from the list. Threads: any. */
DAVIT_API const char *davit_repository_url(const davit_repository *repository);

/**
 * Ask this very endpoint for a manifest.
 *
 * @param name  tag, or a digest's text, which the bytes are held against
 * @param out   set on success; free with davit_manifest_free()
 *
 * Errors:  as davit_registry_get_manifest()
 * Threads: one at a time; blocks
 * Spec:    registry-v2.md 4
 */
DAVIT_API int davit_repository_get_manifest(davit_repository *repository, const char *name,
                                            davit_manifest **out, davit_error **err);
/** Ask it for the tags, page by page. As davit_registry_tags(). Threads: one at a time; blocks. Spec: registry-v2.md 7 */
DAVIT_API int davit_repository_tags(davit_repository *repository, davit_tag_fn fn, void *user_data,
                                    davit_error **err);
/** Ask it for a blob. As davit_registry_get_blob(). Threads: one at a time; blocks. Spec: registry-v2.md 5 */
DAVIT_API int davit_repository_get_blob(davit_repository *repository, const davit_digest *digest,
                                        davit_write_fn write, void *user_data, uint64_t *out_size,
                                        davit_error **err);

DAVIT_END_DECLS

#endif

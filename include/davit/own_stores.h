/*
 * davit/own_stores.h - tables of functions by which an embedder brings stores, and a registry resolver, of its own.
 *
 * Every function gets its table's user_data first and returns 0 or a negative davit_code, with a story through @p err if it has one
 * (davit_error_set()). Whatever it returns ends what was under way with one error, and nothing that comes later happens. A function that
 * is NULL has nothing to say: each says what that means. Texts and digests are borrowed for the call, what is handed out too.
 *
 * Threads: all but davit_metadata_store's are called from the thread that called the library, one at a time.
 */
#ifndef DAVIT_OWN_STORES_H
#define DAVIT_OWN_STORES_H

#include <davit/auth.h>
#include <davit/layer.h>
#include <davit/reference.h>
#include <davit/registry.h>
#include <davit/service.h>

DAVIT_BEGIN_DECLS

/* --- content: manifests, indexes, and the blobs of images ------------------------------------------------------------- */

/**
 * One blob that is being written (an ingest). Nobody sees it before commit.
 *
 * Spec: store.md 7
 */
typedef struct davit_content_writer {
    size_t size; /**< sizeof(davit_content_writer) */
    void *user_data;
    /** Bytes that an earlier writer of this key left. They are read back and hashed, and only the rest is fetched. */
    uint64_t offset;
    /** Bytes from @p at on: 0 and *out_size > 0. NULL: what is there cannot be used, and it begins anew. */
    int (*read_back)(void *user_data, uint64_t at, void *bytes, size_t size, size_t *out_size,
                     davit_error **err);
    /** More bytes, behind those that are there. */
    int (*write)(void *user_data, const void *bytes, size_t size, davit_error **err);
    /** Drop all bytes: it begins anew. NULL: then it fails. */
    int (*restart)(void *user_data, davit_error **err);
    /** All bytes are there; they have this digest and number, which was checked. Make the blob visible. Called once, or never. */
    int (*commit)(void *user_data, const davit_digest *digest, uint64_t size_bytes, davit_error **err);
    /** Always the last. Without a commit, bytes are kept for the next writer of this key, or not. */
    void (*close)(void *user_data);
} davit_content_writer;

#define DAVIT_CONTENT_WRITER_INIT \
    {                             \
        0                         \
    }

/**
 * Where manifests, indexes and blobs go (ContentStore). What is read from it is hashed again before it is believed.
 *
 * Spec: store.md 7; pull.md 4.1
 */
typedef struct davit_content_store {
    size_t size; /**< sizeof(davit_content_store) */
    void *user_data;
    /** Whether it has the blob, and its size in bytes. DAVIT_ENOTFOUND: it has not. Never NULL. */
    int (*info)(void *user_data, const davit_digest *digest, uint64_t *out_size, davit_error **err);
    /** Read the blob from its start; the caller ends it with davit_layer_stream_clear(). Never NULL. */
    int (*open)(void *user_data, const davit_digest *digest, davit_layer_stream *out, davit_error **err);
    /**
     * Begin, or go on with, a blob. @p key is its kind and digest ("layer-sha256:..."). DAVIT_EEXIST: the store has the blob already.
     * Never NULL.
     */
    int (*writer)(void *user_data, const char *key, const davit_descriptor *descriptor,
                  davit_content_writer *out, davit_error **err);
    /** Drop what a closed writer left: it was wrong. NULL: nothing is left. */
    int (*abort)(void *user_data, const char *key, davit_error **err);
    /**
     * Give the text of a blob's label, in any pieces; none: do not call @p give. NULL: no labels, so a manifest that is asked for by digest
     * is asked of the registry each time.
     */
    int (*get_label)(void *user_data, const davit_digest *digest, const char *label, davit_write_fn give,
                     void *give_data, davit_error **err);
    /** Set a label. NULL: none are kept. */
    int (*set_label)(void *user_data, const davit_digest *digest, const char *label, const char *value,
                     davit_error **err);
} davit_content_store;

#define DAVIT_CONTENT_STORE_INIT \
    {                            \
        0                        \
    }

/* --- image configs ------------------------------------------------------------------------------------------------------ */

/**
 * Image configs by image id (ImageConfigStore). An image that is here is whole: it is put last.
 *
 * Spec: store.md 3; pull.md 6
 */
typedef struct davit_image_config_store {
    size_t size; /**< sizeof(davit_image_config_store) */
    void *user_data;
    /** Keep an image: the bytes hash to @p id, which was checked. Putting one again is fine. NULL: DAVIT_EUNSUPPORTED. */
    int (*put)(void *user_data, const davit_digest *id, const void *bytes, size_t size, davit_error **err);
    /** Give the bytes, in any pieces. DAVIT_ENOTFOUND. NULL: it has none. */
    int (*get)(void *user_data, const davit_digest *id, davit_write_fn give, void *give_data,
               davit_error **err);
} davit_image_config_store;

#define DAVIT_IMAGE_CONFIG_STORE_INIT \
    {                                 \
        0                             \
    }

/**
 * The image configs of a store as a table (NewImageConfigStoreFromStore). What is put is checked as an image config; it is kept as a blob, which
 * davit_store_prune() removes while no image of the store has it.
 *
 * @param store  borrowed: it outlives the table
 * @param out    filled; nothing to release
 *
 * Errors:  of put: DAVIT_EFORMAT, DAVIT_EUNSUPPORTED (DAVIT_DIGEST_NONE, sha384), the store's; of get: DAVIT_ENOTFOUND "failed to get digest ID",
 *          DAVIT_EDIGEST
 * Threads: any, and so are its functions
 * Spec:    store.md 3
 */
DAVIT_API void davit_store_get_image_config_store(davit_store *store, davit_image_config_store *out);

/* --- references --------------------------------------------------------------------------------------------------------- */

/** One association; non-zero ends the list. */
typedef int (*davit_association_fn)(const davit_reference *ref, const davit_digest *id, void *give_data);

/**
 * Image ids by reference (the reference store). References are whole: "docker.io/library/busybox:latest".
 *
 * Spec: store.md 5
 */
typedef struct davit_reference_store {
    size_t size; /**< sizeof(davit_reference_store) */
    void *user_data;
    /** What a reference with a tag or digest names. DAVIT_ENOTFOUND. Never NULL. */
    int (*get)(void *user_data, const davit_reference *ref, davit_digest *out_id, davit_error **err);
    /** Every association of this very repository, in any order. Needed for a push. */
    int (*by_name)(void *user_data, const davit_reference *name, davit_association_fn give, void *give_data,
                   davit_error **err);
    /** Let a tag name an image. @p force: also when it names another. Needed for a pull by tag. */
    int (*add_tag)(void *user_data, const davit_reference *ref, const davit_digest *id, bool force,
                   davit_error **err);
    /** The same for name@digest. One that names another image stays as it is: DAVIT_ECONFLICT. NULL: these are not kept. */
    int (*add_digest)(void *user_data, const davit_reference *ref, const davit_digest *id, bool force,
                      davit_error **err);
} davit_reference_store;

#define DAVIT_REFERENCE_STORE_INIT \
    {                              \
        0                          \
    }

/* --- what is known of layers elsewhere ---------------------------------------------------------------------------------- */

/**
 * A cache of texts by name space and key (the metadata store): "v2metadata-by-diffid" and "diffid-by-digest", keys like
 * "sha256/<hex>". Losing an entry costs transfers, never correctness; a function that fails is logged, and that is all.
 *
 * Threads: a pull calls it from the calling thread; a push from several others, several at once, never twice at once with one key
 * Spec:    store.md 6; push.md 5
 */
typedef struct davit_metadata_store {
    size_t size; /**< sizeof(davit_metadata_store) */
    void *user_data;
    /** Give the text, in any pieces. DAVIT_ENOTFOUND. NULL: it has none. */
    int (*get)(void *user_data, const char *name_space, const char *key, davit_write_fn give, void *give_data,
               davit_error **err);
    /** NULL: nothing is kept. */
    int (*set)(void *user_data, const char *name_space, const char *key, const void *bytes, size_t size,
               davit_error **err);
    /** One that is not there is fine. NULL: nothing is removed. */
    int (*remove)(void *user_data, const char *name_space, const char *key, davit_error **err);
} davit_metadata_store;

#define DAVIT_METADATA_STORE_INIT \
    {                             \
        0                         \
    }

/* --- which registry ------------------------------------------------------------------------------------------------------ */

/** One endpoint; copied. Non-zero ends the list. */
typedef int (*davit_api_endpoint_fn)(const davit_api_endpoint *endpoint, void *give_data);

/**
 * Where a repository is, and whose credentials go there (RegistryResolver), in place of the client's service.
 *
 * Spec: pull.md 2; push.md 2; service.md 9
 */
typedef struct davit_registry_resolver {
    size_t size; /**< sizeof(davit_registry_resolver) */
    void *user_data;
    /**
     * Give the endpoints to pull from, in order; @p host is the reference's domain. An https endpoint and the http one behind it of the same
     * host are tried at once (DESIGN 5). NULL: the client's.
     */
    int (*lookup_pull_endpoints)(void *user_data, const char *host, davit_api_endpoint_fn give,
                                 void *give_data, davit_error **err);
    /** The same to push to; those that are mirrors are left out. NULL: the client's. */
    int (*lookup_push_endpoints)(void *user_data, const char *host, davit_api_endpoint_fn give,
                                 void *give_data, davit_error **err);
    /** Whether unverified TLS will do for a host. NULL: what the endpoint's tls_config says. */
    bool (*is_insecure_registry)(void *user_data, const char *host);
    /**
     * Fill @p out with the credentials for a reference, or leave it empty; the caller clears it. Not asked when the configuration has some.
     * NULL: the stored ones.
     */
    int (*resolve_auth_config)(void *user_data, const davit_reference *ref, davit_auth_config *out,
                               davit_error **err);
} davit_registry_resolver;

#define DAVIT_REGISTRY_RESOLVER_INIT \
    {                                \
        0                            \
    }

DAVIT_END_DECLS

#endif

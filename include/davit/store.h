/*
 * davit/store.h - looking at what is in a local store.
 *
 * For every function here: threads: any; those that take a davit_store may wait for the disk and, at most 10 s, for another
 * process. Sizes are bytes. All of them may also fail with DAVIT_ENOMEM, DAVIT_EIO or DAVIT_ESTORE.
 */
#ifndef DAVIT_STORE_H
#define DAVIT_STORE_H

#include <davit/image_config.h>
#include <davit/manifest.h>
#include <davit/reference.h>

DAVIT_BEGIN_DECLS

typedef struct davit_store davit_store;

#define DAVIT_STORE_READ_ONLY (1u << 0) /**< write nothing; works on a read-only mount */
#define DAVIT_STORE_CREATE (1u << 1)    /**< make it when it is missing */

/**
 * Open a store. A client has one of its own; this one is for looking.
 *
 * Errors:  DAVIT_ENOTFOUND, DAVIT_ESTORE (newer layout, damaged, read-only), DAVIT_EIO
 * Threads: any; a store may be used by several threads
 * Spec:    DESIGN 6
 */
DAVIT_API int davit_store_open(const char *dir, uint32_t flags, davit_store **out, davit_error **err);
/** Release; NULL is fine. */
DAVIT_API void davit_store_free(davit_store *store);

/** One image in the store: one manifest. Texts are owned by the list or image it came in. */
typedef struct davit_image {
    davit_digest manifest;
    davit_digest config; /**< the image id */
    davit_digest index;  /**< algorithm DAVIT_DIGEST_NONE when pulled without an index */
    davit_platform platform;
    uint64_t size;           /**< bytes of config and layers as stored */
    int64_t pulled_at_s;     /**< seconds since 1970 */
    const char *const *tags; /**< full tag references naming it ("docker.io/library/alpine:3.20") */
    size_t tag_count;
    const char *const *digests; /**< full digest references naming it or its index */
    size_t digest_count;
} davit_image;

typedef struct davit_image_list davit_image_list;

/**
 * List all images, newest first.
 *
 * @param out  set on success; free with davit_image_list_free()
 * Threads: any
 */
DAVIT_API int davit_store_images(davit_store *store, davit_image_list **out, davit_error **err);
DAVIT_API size_t davit_image_list_count(const davit_image_list *list);
/** Borrowed. */
DAVIT_API const davit_image *davit_image_list_at(const davit_image_list *list, size_t index);
DAVIT_API void davit_image_list_free(davit_image_list *list);

/**
 * Find an image by reference, image id, or unique prefix of an id.
 *
 * @param name      as a user types it
 * @param platform  which image of an index; NULL: the host's, else the first pulled
 * @param out       set on success to a list of exactly one; free with davit_image_list_free()
 *
 * Errors:  DAVIT_ENOTFOUND "No such image: NAME", DAVIT_EINVAL "ambiguous digest string"
 * Spec:    store.md 3, 5
 */
DAVIT_API int davit_store_find(davit_store *store, const char *name, const davit_platform *platform,
                               davit_image_list **out, davit_error **err);

/** What a reference names: the manifest, or the index whole. As davit_store_find() otherwise. */
DAVIT_API int davit_store_resolve(davit_store *store, const char *name, davit_digest *out, davit_error **err);

/** The manifest or index with this digest, verified. Errors: DAVIT_ENOTFOUND, DAVIT_EDIGEST. */
DAVIT_API int davit_store_get_manifest(davit_store *store, const davit_digest *digest, davit_manifest **out,
                                       davit_error **err);
/** The image config with this digest, verified. Errors: DAVIT_ENOTFOUND, DAVIT_EDIGEST, DAVIT_EFORMAT. */
DAVIT_API int davit_store_get_config(davit_store *store, const davit_digest *digest, davit_image_config **out,
                                     davit_error **err);
/** Open a blob for reading; the file descriptor is the caller's. Errors: DAVIT_ENOTFOUND. */
DAVIT_API int davit_store_open_blob(davit_store *store, const davit_digest *digest, int *out_fd,
                                    uint64_t *out_size, davit_error **err);

DAVIT_END_DECLS

#endif

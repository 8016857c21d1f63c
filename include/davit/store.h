/*
 * davit/store.h - the local store: looking at it, naming and removing images, and its care.
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

#define DAVIT_TAG_NO_REPLACE (1u << 0) /**< a tag that names another image is left alone */

/**
 * Give an image another tag.
 *
 * The tag names what @p source names, an index whole; an image id names its manifest. A tag that names another image is moved, and
 * that image stays, perhaps without any.
 *
 * @param source  reference, image id, or unique prefix of an id
 * @param target  the new tag; without one, latest
 *
 * Errors:  DAVIT_ENOTFOUND   "No such image: NAME"
 *          DAVIT_EINVAL      "ambiguous digest string", "refusing to create a tag with a digest reference", "refusing to
 *                            create an ambiguous tag using digest algorithm as name", or no reference at all
 *          DAVIT_ECONFLICT   with DAVIT_TAG_NO_REPLACE: "tag TAG is already set to image ID, use the force option to
 *                            replace it"
 *          DAVIT_ESTORE      also a store that is open for reading only
 * Threads: any
 * Spec:    store.md 5; engine-api.md 17
 */
DAVIT_API int davit_store_tag(davit_store *store, const char *source, const char *target, uint32_t flags,
                              davit_error **err);

/** What a removal did, one step. */
typedef enum davit_removal_kind {
    DAVIT_REMOVAL_UNTAGGED = 1, /**< text: the reference, familiar */
    DAVIT_REMOVAL_DELETED =
        2, /**< text: an image id, or behind it the chain id of a layer that went with it */
    DAVIT_REMOVAL_FAILED = 3, /**< text: why; code: a davit_code */
} davit_removal_kind;

typedef struct davit_removal {
    davit_removal_kind kind;
    int code; /**< 0 unless it failed */
    const char *text;
} davit_removal;

/** What went from the disk, or with a dry run would go. */
typedef struct davit_reclaimed {
    uint64_t blobs, blob_bytes;
    uint64_t ingests, ingest_bytes; /**< unfinished downloads */
    uint64_t layers, layer_bytes;   /**< unpacked layers, as the file system takes them */
} davit_reclaimed;

typedef struct davit_removal_list davit_removal_list;

/** How many steps. Threads: any. */
DAVIT_API size_t davit_removal_list_count(const davit_removal_list *list);
/** Borrowed; NULL beyond the end. Threads: any. */
DAVIT_API const davit_removal *davit_removal_list_at(const davit_removal_list *list, size_t index);
/** Borrowed. Threads: any. */
DAVIT_API const davit_reclaimed *davit_removal_list_reclaimed(const davit_removal_list *list);
/** Release; NULL is fine. Threads: any. */
DAVIT_API void davit_removal_list_free(davit_removal_list *list);

#define DAVIT_REMOVE_FORCE (1u << 0)      /**< an id also when several repositories or tags name it */
#define DAVIT_REMOVE_KEEP_BLOBS (1u << 1) /**< leave what is unneeded then to the next davit_store_prune() */

/**
 * Remove images by reference, image id, or unique prefix of an id, and what only they needed.
 *
 * A reference is untagged, and the image goes with its last one. An id takes all its references along. What fails for one name
 * is a step of its own, DAVIT_REMOVAL_FAILED, and does not stop the others: DAVIT_ENOTFOUND "No such image: NAME",
 * DAVIT_EINVAL "ambiguous digest string", DAVIT_ECONFLICT "conflict: unable to delete ID (must be forced) - image is
 * referenced in multiple repositories". A blob that a pull in another process wants is kept.
 *
 * @param names  as a user types them
 * @param out    set on success; free with davit_removal_list_free()
 *
 * Errors:  DAVIT_EINVAL (flags), DAVIT_ESTORE
 * Threads: any
 * Spec:    store.md 8; DESIGN 6
 */
DAVIT_API int davit_store_remove(davit_store *store, const char *const *names, size_t count, uint32_t flags,
                                 davit_removal_list **out, davit_error **err);

#define DAVIT_PRUNE_ALL (1u << 0)     /**< tagged images too: nothing here runs, so nothing is in use */
#define DAVIT_PRUNE_DRY_RUN (1u << 1) /**< only say what would go */

#define DAVIT_PRUNE_OPTIONS_VERSION 1
typedef struct davit_prune_options {
    uint32_t version; /**< DAVIT_PRUNE_OPTIONS_VERSION */
    uint32_t flags;
    int64_t until_s; /**< only images made before, by their config, in seconds since 1970; 0: all */
} davit_prune_options;
#define DAVIT_PRUNE_OPTIONS_INIT     \
    {                                \
        DAVIT_PRUNE_OPTIONS_VERSION, \
    }

/**
 * Remove dangling images (those without a tag), unpacked layers that no image has and nobody holds, blobs that no image needs and no
 * running process wants, downloads that nobody continues, and what dead processes left.
 *
 * @param options  NULL for defaults
 * @param out      set on success; free with davit_removal_list_free()
 *
 * Where blobs cannot be removed, for a damaged manifest whose blobs are not known or for the disk, that is the last step,
 * DAVIT_REMOVAL_FAILED; the images are gone all the same.
 *
 * Errors:  DAVIT_EINVAL (options), DAVIT_ESTORE
 * Threads: any
 * Spec:    store.md 8; DESIGN 5, 6
 */
DAVIT_API int davit_store_prune(davit_store *store, const davit_prune_options *options,
                                davit_removal_list **out, davit_error **err);

/** What takes room in a store. */
typedef enum davit_usage_kind {
    DAVIT_USAGE_IMAGES = 0,        /**< every blob that an image or reference needs; images are counted */
    DAVIT_USAGE_LAYERS = 1,        /**< layers among them */
    DAVIT_USAGE_SHARED_LAYERS = 2, /**< layers that several images have */
    DAVIT_USAGE_UNNEEDED = 3, /**< blobs that no image needs; what running processes want is not reclaimable */
    DAVIT_USAGE_INGESTS = 4,  /**< unfinished downloads with their journals */
    DAVIT_USAGE_UNPACKED = 5, /**< unpacked layers */
    DAVIT_USAGE_DATABASE = 6,
    DAVIT_USAGE_TOTAL = 7, /**< everything; blobs and files are counted */
    DAVIT_USAGE_KINDS = 8,
} davit_usage_kind;

typedef struct davit_usage_part {
    uint64_t count;
    uint64_t size;        /**< bytes in files */
    uint64_t disk_size;   /**< bytes that the file system takes for them */
    uint64_t reclaimable; /**< of size, what davit_store_prune() would remove by default */
} davit_usage_part;

/** One image. */
typedef struct davit_usage_image {
    const davit_image *image;
    uint64_t size;        /**< bytes of manifest, config and layers that are there */
    uint64_t shared_size; /**< of these, what other images have too */
} davit_usage_image;

typedef struct davit_usage davit_usage;

/**
 * Find out what takes room. What other processes change meanwhile is counted as it was met.
 *
 * @param out  set on success; free with davit_usage_free()
 *
 * Errors:  DAVIT_ESTORE, DAVIT_EIO
 * Threads: any; reads every manifest, and the names of all blobs
 * Spec:    DESIGN 6
 */
DAVIT_API int davit_store_get_usage(davit_store *store, davit_usage **out, davit_error **err);
/** Borrowed. NULL for a kind that is none. Threads: any. */
DAVIT_API const davit_usage_part *davit_usage_get_part(const davit_usage *usage, davit_usage_kind kind);
/** As many as davit_store_images() gives, in its order. Threads: any. */
DAVIT_API size_t davit_usage_image_count(const davit_usage *usage);
/** Borrowed; NULL beyond the end. Threads: any. */
DAVIT_API const davit_usage_image *davit_usage_image_at(const davit_usage *usage, size_t index);
/** Release; NULL is fine. Threads: any. */
DAVIT_API void davit_usage_free(davit_usage *usage);

/** What kind of thing a check found. */
typedef enum davit_fsck_kind {
    DAVIT_FSCK_DATABASE = 1, /**< the database itself is damaged */
    DAVIT_FSCK_ROW = 2,      /**< a row of it makes no sense; repaired by deleting it */
    DAVIT_FSCK_BLOB = 3,     /**< a blob is not what its name says; repaired by removing it */
    DAVIT_FSCK_IMAGE = 4,    /**< an image or reference lacks something; remedy says how to fetch it */
    DAVIT_FSCK_STRAY =
        5, /**< a file that is not davit's; removed by a repair, but directories and what lies beside blobs/ */
    DAVIT_FSCK_LEFTOVER = 6, /**< of a process that died, which harms nobody; removed by a repair */
} davit_fsck_kind;

/** Texts are owned by the report; subjects are paths in the store, references, or digests. */
typedef struct davit_fsck_finding {
    davit_fsck_kind kind;
    bool damage; /**< the store is not whole for it; false: merely untidy */
    bool repaired;
    const char *subject;
    const char *message;
    const char *remedy; /**< a command, or "" */
} davit_fsck_finding;

typedef struct davit_fsck_counts {
    uint64_t images, blobs; /**< looked at */
    uint64_t hashed_bytes;
    uint64_t damage;   /**< findings that are damage and were not repaired */
    uint64_t repaired; /**< findings that were */
} davit_fsck_counts;

typedef struct davit_fsck_report davit_fsck_report;

#define DAVIT_FSCK_FULL \
    (1u << 0) /**< hash every blob, not only manifests and configs; compare unpacked layers with theirs */
#define DAVIT_FSCK_REPAIR (1u << 1) /**< forget what is bad, tidy up */

/**
 * Check a store: its database, that every row names something, that what images need is there and of the right size, that
 * manifests and configs are what their digests say, and that nothing else lies about.
 *
 * Safe while other processes use the store. A repair never removes a good blob; an image that lacked or lost one stays known, so
 * that pulling it again completes it.
 *
 * @param flags  DAVIT_FSCK_*
 * @param out    set on success, damage or not; free with davit_fsck_report_free()
 *
 * Errors:  DAVIT_EINVAL (flags), DAVIT_ESTORE (for a repair: open for reading only), DAVIT_EIO (a directory cannot be read)
 * Threads: any; may take long
 * Spec:    DESIGN 6; threats B8
 */
DAVIT_API int davit_store_fsck(davit_store *store, uint32_t flags, davit_fsck_report **out, davit_error **err);
/** Threads: any. */
DAVIT_API size_t davit_fsck_report_count(const davit_fsck_report *report);
/** Borrowed; NULL beyond the end. Threads: any. */
DAVIT_API const davit_fsck_finding *davit_fsck_report_at(const davit_fsck_report *report, size_t index);
/** Borrowed. Threads: any. */
DAVIT_API const davit_fsck_counts *davit_fsck_report_counts(const davit_fsck_report *report);
/** Release; NULL is fine. Threads: any. */
DAVIT_API void davit_fsck_report_free(davit_fsck_report *report);

DAVIT_END_DECLS

#endif

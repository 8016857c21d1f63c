/*
 * davit/copy.h - move images between registries, the store, layouts and archives, byte for byte.
 */
#ifndef DAVIT_COPY_H
#define DAVIT_COPY_H

#include <davit/client.h>
#include <davit/digest.h>
#include <davit/platform.h>
#include <davit/progress.h>

DAVIT_BEGIN_DECLS

/** davit_copy_options.flags */
#define DAVIT_COPY_ALL_TAGS \
    (1u << 0) /**< every name of the source, each under itself; no tag on either side */
#define DAVIT_COPY_ALL_PLATFORMS (1u << 1) /**< an index with an absent child is an error */
#define DAVIT_COPY_SPARSE \
    (1u << 2) /**< an index as it is, with the chosen children, or those that are there */
#define DAVIT_COPY_REFERRERS (1u << 3)  /**< signatures and whatever else refers to the image, too */
#define DAVIT_COPY_DRY_RUN (1u << 4)    /**< look, count, and change nothing */
#define DAVIT_COPY_NO_REPLACE (1u << 5) /**< a name that stands for something else is an error */

#define DAVIT_COPY_OPTIONS_VERSION 1u

typedef struct davit_copy_options {
    uint32_t version; /**< DAVIT_COPY_OPTIONS_VERSION */
    uint32_t flags;
    /**
     * Of an index: one platform gives its image by itself, several a new index of these, or with DAVIT_COPY_SPARSE the index as it is with
     * these children. NULL: everything.
     */
    const davit_platform *platforms;
    size_t platform_count;
    davit_progress_fn progress; /**< NULL: no events */
    void *user_data;
} davit_copy_options;

#define DAVIT_COPY_OPTIONS_INIT    \
    {                              \
        DAVIT_COPY_OPTIONS_VERSION \
    }

/** What a copy did, or with DAVIT_COPY_DRY_RUN would do. Counts are of blobs; bytes as stored. */
typedef struct davit_copy_result {
    davit_digest digest;        /**< of what the last name stands for at the target */
    davit_digest source_digest; /**< of what it is at the source; another one after a choice of platforms */
    bool updated;               /**< some name stands for something else than before */
    uint32_t name_count;        /**< names copied */
    uint32_t manifest_count;    /**< manifests and indexes written */
    uint32_t referrer_count;    /**< of these, those that refer to others */
    uint64_t copied_count, copied_bytes;   /**< transferred */
    uint64_t mounted_count, mounted_bytes; /**< taken over by the registry itself */
    uint64_t present_count, present_bytes; /**< at the target already */
} davit_copy_result;

/**
 * Copy what a name is, an index whole, keeping bytes and digests.
 *
 * From a registry to a registry no image touches the disk; within one registry blobs are mounted. What the target has is not sent again.
 * The name at the target moves last: until then, and after any failure, it is what it was. An archive is there whole or not at all.
 * Killed, the next copy into a registry goes on within a layer that was on its way, if the registry kept it, and if the client has a store
 * that exists and can be written, where this is remembered; none is made for it.
 * An image of the store that is removed meanwhile is copied whole, unless the client opens its store for reading only.
 *
 * Layers of a registry of the first version (v1://) have no digest before they were fetched: they go through the client's store, and leave it at the
 * end unless something else in it needs them. What the store knows of an image there is not asked for again.
 *
 * @param source   "docker://REF", "store:REF|ID", "oci:DIR[:NAME]", "oci:DIR@DIGEST", "oci-archive:FILE[:NAME]",
 *                 "docker-archive:FILE[:REF]", "dir:DIR", "v1://[HOST/]REPOSITORY[:TAG|@ID]"; without a transport a registry's reference
 * @param target   the same, without a digest, and no v1://
 * @param options  NULL for defaults
 * @param out      NULL, or set on success
 *
 * Limits:  memory does not grow with the images; 16384 manifests and blobs, 32 MiB of manifests for one name
 * Errors:  DAVIT_EINVAL (arguments; source and target are the same), DAVIT_ENOTFOUND, DAVIT_EEXIST (DAVIT_COPY_NO_REPLACE; an archive
 *          with other images), DAVIT_EFORMAT (a layout or archive that is none), DAVIT_EPLATFORM, DAVIT_EDIGEST, DAVIT_EUNSUPPORTED,
 *          DAVIT_EUNAUTHORIZED, DAVIT_EDENIED, DAVIT_EBUSY (a layout is locked), DAVIT_EIO, DAVIT_ENOSPACE, DAVIT_ESTORE, DAVIT_ETOOBIG, the
 *          network's, DAVIT_ECANCELLED
 * Threads: any; blocks; callbacks run on the calling thread
 * Spec:    registry-v2.md 4 to 8; store.md 10, 11
 */
DAVIT_API int davit_copy(davit_client *client, const char *source, const char *target,
                         const davit_copy_options *options, davit_copy_result *out, davit_error **err);

DAVIT_END_DECLS

#endif

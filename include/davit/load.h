/*
 * davit/load.h - take images out of archives and layouts into the store.
 *
 * For every function here: threads: any; blocks; callbacks run on the calling thread. Sizes are bytes.
 */
#ifndef DAVIT_LOAD_H
#define DAVIT_LOAD_H

#include <davit/client.h>
#include <davit/platform.h>
#include <davit/progress.h>

DAVIT_BEGIN_DECLS

#define DAVIT_LOAD_OPTIONS_VERSION 1u

typedef struct davit_load_options {
    uint32_t version;               /**< DAVIT_LOAD_OPTIONS_VERSION */
    uint32_t flags;                 /**< none yet */
    const davit_platform *platform; /**< only images of this platform; NULL: all */
    /**
     * DAVIT_PROGRESS_LAYER while a blob passes; DAVIT_PROGRESS_MESSAGE, when all is recorded, for each line of the result ("Loaded
     * image: busybox:latest"). NULL: no events.
     */
    davit_progress_fn progress;
    void *user_data;
    uint64_t max_bytes; /**< of a compressed archive when inflated; 0: 64 GiB */
} davit_load_options;

#define DAVIT_LOAD_OPTIONS_INIT    \
    {                              \
        DAVIT_LOAD_OPTIONS_VERSION \
    }

/** What a load did. */
typedef struct davit_load_result {
    uint32_t image_count; /**< images recorded */
    uint32_t tag_count;   /**< tags set */
} davit_load_result;

/**
 * Load an archive: a docker-archive as `docker save`, davit or skopeo write it, old ones with a directory for each layer, an OCI archive, or
 * both in one; plain or compressed by gzip, zstd, xz or bzip2. It is read once, from the first byte to the last, and goes nowhere but into
 * the store.
 *
 * Nothing is visible before all of it was checked: the digest of each blob, the diff_id of each layer, names. A tag that named another image is
 * moved. An image that comes without a manifest gets one, always the same; its id is the digest of its config.
 *
 * @param read     called until the end
 * @param options  NULL for defaults
 * @param out      NULL, or set on success
 *
 * Limits:  memory does not grow with the archive; 65 536 names, documents 4 MiB, 4096 images, 4096 layers each
 * Errors:  DAVIT_EFORMAT (no image archive; damaged; "invalid manifest, layers length mismatch: ..."; "invalid diffID for layer ..." is
 *          DAVIT_EDIGEST; "invalid tag ..."), DAVIT_EDIGEST, DAVIT_ENOTFOUND (the archive lacks a part), DAVIT_EINVAL (options), DAVIT_ETOOBIG,
 *          DAVIT_EUNSUPPORTED ("cannot load <os> image on <host>"), DAVIT_ENOSPACE, DAVIT_ESTORE, DAVIT_ECANCELLED, what @p read returned
 * Threads: any; blocks
 * Spec:    store.md 10, 11
 */
DAVIT_API int davit_load(davit_client *client, davit_read_fn read, void *read_data,
                         const davit_load_options *options, davit_load_result *out, davit_error **err);

/**
 * Load all that the index.json of an OCI image layout names. No link in it is followed out of @p dir. Blobs that the store has are not read.
 *
 * @param dir      a directory with oci-layout, index.json and blobs
 * @param options  NULL for defaults
 * @param out      NULL, or set on success
 *
 * Errors:  as davit_load()
 * Threads: any; blocks
 * Spec:    store.md 11
 */
DAVIT_API int davit_load_layout(davit_client *client, const char *dir, const davit_load_options *options,
                                davit_load_result *out, davit_error **err);

DAVIT_END_DECLS

#endif

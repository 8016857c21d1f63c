/*
 * davit/save.h - write images of the store as one archive.
 */
#ifndef DAVIT_SAVE_H
#define DAVIT_SAVE_H

#include <davit/client.h>
#include <davit/platform.h>
#include <davit/progress.h>
#include <davit/registry.h>

DAVIT_BEGIN_DECLS

typedef enum davit_save_format {
    DAVIT_SAVE_DOCKER = 0, /**< what `docker save` writes: for docker, podman, skopeo; layers are inflated */
    DAVIT_SAVE_OCI = 1,    /**< a tar of an OCI layout: every blob, manifest and index byte for byte */
} davit_save_format;

/** davit_save_options.flags, for DAVIT_SAVE_OCI */
#define DAVIT_SAVE_ALL_PLATFORMS (1u << 0) /**< an index whole; children that are absent are an error */
#define DAVIT_SAVE_SPARSE (1u << 1)        /**< an index as it is, with those children that are there */

#define DAVIT_SAVE_OPTIONS_VERSION 1u

typedef struct davit_save_options {
    uint32_t version; /**< DAVIT_SAVE_OPTIONS_VERSION */
    uint32_t flags;
    davit_save_format format;
    /**
     * Which image of an index. NULL: for DAVIT_SAVE_DOCKER the host's, else the first that was pulled; for DAVIT_SAVE_OCI the index
     * whole when all of it is there, else the one image that is there.
     */
    const davit_platform *platform;
    davit_progress_fn
        progress; /**< DAVIT_PROGRESS_LAYER while a blob passes, DAVIT_PROGRESS_WARNING; NULL: no events */
    void *user_data;
} davit_save_options;

#define DAVIT_SAVE_OPTIONS_INIT    \
    {                              \
        DAVIT_SAVE_OPTIONS_VERSION \
    }

/**
 * Write images as one archive, from its first byte to its last, the same bytes for the same images and names.
 *
 * Everything is looked for before the first byte is written. Layers are checked against their digests and, where they are inflated, against the
 * image's config; what is wrong ends the archive without its end. A client whose store is open for reading only is enough.
 *
 * @param names    as a user types them: a name (all its tags), name:tag, name@digest (without a tag), an image id or a prefix of one
 * @param options  NULL for defaults
 * @param write    takes a piece of the archive; what it returns but 0 ends the save
 *
 * Limits:  memory does not grow with the images
 * Errors:  DAVIT_ENOTFOUND ("No such image: NAME"; a blob is absent), DAVIT_EINVAL (options; "ambiguous digest string"), DAVIT_EUNSUPPORTED
 *          ("empty export - not implemented"), DAVIT_EPLATFORM ("no suitable export target found for platform <p>"; several images of an index are there),
 *          DAVIT_EDIGEST (a stored blob is damaged, or a layer is not what the config says), DAVIT_EFORMAT, DAVIT_ESTORE,
 *          DAVIT_ECANCELLED, what @p write returned
 * Threads: any; blocks; callbacks run on the calling thread
 * Spec:    store.md 10, 11; DESIGN 6
 */
DAVIT_API int davit_save(davit_client *client, const char *const *names, size_t count,
                         const davit_save_options *options, davit_write_fn write, void *write_data,
                         davit_error **err);

DAVIT_END_DECLS

#endif

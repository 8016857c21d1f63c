/*
 * davit/unpack.h - an image's layers as files.
 *
 * Sizes are bytes.
 */
#ifndef DAVIT_UNPACK_H
#define DAVIT_UNPACK_H

#include <davit/auth.h>
#include <davit/client.h>
#include <davit/manifest.h>
#include <davit/platform.h>
#include <davit/progress.h>
#include <davit/reference.h>
#include <davit/registry.h>

DAVIT_BEGIN_DECLS

/** When a registry is asked for an image that the store may have. */
typedef enum davit_pull_when {
    DAVIT_PULL_MISSING = 0, /**< the store when it has the name (and the platform), else a registry */
    DAVIT_PULL_ALWAYS = 1,  /**< a registry; blobs that the store has are not fetched again */
    DAVIT_PULL_NEVER = 2,   /**< the store */
} davit_pull_when;

/** What becomes of device nodes. */
typedef enum davit_unpack_devices {
    DAVIT_DEVICES_KEEP = 0,   /**< made; rootless: left out and reported */
    DAVIT_DEVICES_SKIP = 1,   /**< left out and reported */
    DAVIT_DEVICES_REJECT = 2, /**< an image that has one is DAVIT_EUNSUPPORTED */
} davit_unpack_devices;

/** davit_unpack_options.flags */
#define DAVIT_UNPACK_ROOTLESS \
    (1u << 0) /**< owners are recorded, not set; what every user but root gets anyway */
#define DAVIT_UNPACK_FORCE (1u << 1)    /**< a target that is not empty is replaced */
#define DAVIT_UNPACK_BUNDLE (1u << 2)   /**< the target gets rootfs/ and an OCI runtime config.json */
#define DAVIT_UNPACK_NO_STORE (1u << 3) /**< ask a registry, and keep nothing but the files */

#define DAVIT_UNPACK_SIZE_MAX (64ull << 30) /* default of max_size_bytes (threats C5) */
#define DAVIT_ZSTD_WINDOW_MIN (1u << 20)    /* of zstd_window_bytes */
#define DAVIT_ZSTD_WINDOW_MAX (128u << 20)  /* (threats C6) */

#define DAVIT_UNPACK_OPTIONS_VERSION 1u

typedef struct davit_unpack_options {
    uint32_t version; /**< DAVIT_UNPACK_OPTIONS_VERSION */
    uint32_t flags;
    const davit_platform *platform; /**< NULL: the host's */
    davit_pull_when pull;
    davit_unpack_devices devices;
    uint32_t layers;            /**< only the lowest ones; 0: all */
    uint32_t zstd_window_bytes; /**< 0: 32 MiB; what a frame may ask for; rounded down to a power of two */
    uint64_t max_size_bytes;    /**< of all layers inflated; 0: DAVIT_UNPACK_SIZE_MAX */
    /** Extended attributes to keep beyond user.* and security.capability: names, or patterns that end with '*'; ends with
     *  NULL. NULL: none */
    const char *const *xattrs;
    davit_progress_fn progress; /**< NULL: no events */
    void *user_data;            /**< for all callbacks */
    /** As in davit_pull_options; ref is NULL for a place of files. What the store has was asked about when it came. */
    int (*verify)(const davit_reference *ref, const davit_manifest *manifest, void *user_data);
    const davit_auth_config *auth;
    davit_request_auth_config_fn request_auth_config;
} davit_unpack_options;

#define DAVIT_UNPACK_OPTIONS_INIT    \
    {                                \
        DAVIT_UNPACK_OPTIONS_VERSION \
    }

/** Something that is not in the target as the image says. Texts are the image's: escape them before a terminal sees them. */
typedef struct davit_unpack_skip {
    const char *path;
    const char *reason; /**< "device", "xattr security.ima", "owner 0:0" ... */
} davit_unpack_skip;

/** What was unpacked. Counts are of entries that were applied; a file that an upper layer replaces counts twice. */
typedef struct davit_unpack_result {
    davit_digest manifest;
    davit_digest config; /**< the image id */
    bool from_store;     /**< the store had it; false also for a place of files */
    uint32_t layer_count;
    uint64_t file_count, directory_count, symlink_count, hardlink_count, device_count, whiteout_count;
    uint64_t bytes;                 /**< of the files' content */
    const davit_unpack_skip *skips; /**< the first 1000 */
    size_t skip_count;
    uint64_t skips_total;
} davit_unpack_result;

/**
 * Unpack an image into a directory, which appears whole or not at all.
 *
 * A name without a transport is looked for as options->pull says; "docker://REF" asks a registry, "store:NAME" never does. A place of files
 * (davit/transport.h: "oci:DIR[:NAME]", "oci:DIR@DIGEST", "oci-archive:FILE[:NAME]", "docker-archive:FILE[:REF]", "dir:DIR") is read where it
 * is: no registry is asked (DAVIT_PULL_ALWAYS is refused), the client needs no store, and options->verify gets NULL for the reference.
 *
 * Every layer's content is checked against the config's diff_id, and what a registry sent against its digest, before the
 * target changes. From a registry, fetching and unpacking overlap; the image is recorded in the store as by davit_pull().
 *
 * @param name     borrowed; as a user types it: a reference, an image id or a unique prefix of one that the store has, or any of these places
 * @param target   borrowed; absent, an empty directory, or a mount point; see DAVIT_UNPACK_FORCE
 * @param options  NULL for defaults
 * @param out      NULL, or set on success; free with davit_unpack_result_free()
 *
 * Limits:  memory does not grow with the image (32 MiB, and the window of a zstd layer); 4096 layers, 10 000 000 entries
 * Errors:  DAVIT_EINVAL (name, options, a target in the store or with the image in it, fewer layers than asked for), DAVIT_EEXIST (the
 *          target is not empty), DAVIT_EDIGEST (diff_id, digest), DAVIT_EFORMAT (a layer that is damaged or tries to get out, layers from
 *          manifest don't match image configuration), DAVIT_ETOOBIG, DAVIT_EUNSUPPORTED (also: no openat2), DAVIT_ENOTFOUND,
 *          DAVIT_ENOSPACE, DAVIT_EIO, DAVIT_ESTORE, those of davit_pull(), DAVIT_ECANCELLED
 * Threads: any; blocks; callbacks run on the calling thread
 * Spec:    DESIGN 7, 8; store.md 9; OCI runtime-spec 1.0.2, config.md; threats B7, B10, C5, D
 */
DAVIT_API int davit_unpack(davit_client *client, const char *name, const char *target,
                           const davit_unpack_options *options, davit_unpack_result **out, davit_error **err);
DAVIT_API void davit_unpack_result_free(davit_unpack_result *result); /**< NULL is fine */

#define DAVIT_EXPORT_OPTIONS_VERSION 1u

typedef struct davit_export_options {
    uint32_t version;               /**< DAVIT_EXPORT_OPTIONS_VERSION */
    uint32_t flags;                 /**< none yet */
    const davit_platform *platform; /**< NULL: the host's */
    davit_pull_when pull;
    uint32_t zstd_window_bytes; /**< as in davit_unpack_options */
    uint64_t max_size_bytes;    /**< of all layers inflated; 0: DAVIT_UNPACK_SIZE_MAX */
    davit_progress_fn progress; /**< of a pull, and of what takes longer than a second; NULL: no events */
    void *user_data;            /**< for all callbacks, also for write */
    /** As in davit_unpack_options. */
    int (*verify)(const davit_reference *ref, const davit_manifest *manifest, void *user_data);
    const davit_auth_config *auth;
    davit_request_auth_config_fn request_auth_config;
    const char *const *xattrs; /**< as in davit_unpack_options */
} davit_export_options;

#define DAVIT_EXPORT_OPTIONS_INIT    \
    {                                \
        DAVIT_EXPORT_OPTIONS_VERSION \
    }

/** What was exported. */
typedef struct davit_export_result {
    davit_digest manifest;
    davit_digest config; /**< the image id */
    bool from_store;     /**< as in davit_unpack_result */
    uint32_t layer_count;
    uint64_t entry_count; /**< of the archive */
    uint64_t bytes;       /**< of the files' content */
    uint64_t xattrs_left_out;
} davit_export_result;

/**
 * Write the root file system of an image as one tar archive, without unpacking it.
 *
 * The archive is what unpacking gives, and the same bytes for the same image each time: files stand where the entry stood that gave them
 * their content, lowest layer first; parents come before their children, no name comes twice, names have no leading "./" but the root's,
 * which comes first when the image describes it. Every layer's content was checked against the config's diff_id before the first byte is
 * written. What a registry has is pulled first and kept in the store; a place of files is read where it is.
 *
 * @param name     borrowed; as davit_unpack() takes it
 * @param options  NULL for defaults
 * @param write    gets the archive, piece by piece
 * @param out      NULL, or set on success
 *
 * Limits:  200 bytes of memory for each path, 2 000 000 paths of 4095 bytes; 4096 layers, 10 000 000 entries
 * Errors:  those of davit_unpack(), without a target; what @p write returned
 * Threads: any; blocks; callbacks run on the calling thread
 * Spec:    DESIGN 3, 8; store.md 9.2
 */
DAVIT_API int davit_export(davit_client *client, const char *name, const davit_export_options *options,
                           davit_write_fn write, davit_export_result *out, davit_error **err);

DAVIT_END_DECLS

#endif

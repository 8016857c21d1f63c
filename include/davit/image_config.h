/*
 * davit/image_config.h - the image config JSON: what an image runs as and which layers it is made of.
 *
 * For every function here: threads: any, nothing blocks; a davit_image_config is immutable, and what is borrowed lives as long as
 * it does. Sizes are bytes.
 */
#ifndef DAVIT_IMAGE_CONFIG_H
#define DAVIT_IMAGE_CONFIG_H

#include <davit/digest.h>
#include <davit/platform.h>

DAVIT_BEGIN_DECLS

#define DAVIT_IMAGE_CONFIG_MAX (4u << 20) /* bytes (threats C1) */

typedef struct davit_image_config davit_image_config;

/**
 * Parse an image config.
 *
 * @param bytes  copied
 * @param out    set on success; free with davit_image_config_free()
 *
 * Limits:  DAVIT_IMAGE_CONFIG_MAX bytes, 4096 diff_ids, JSON depth 32, 100 000 values
 * Errors:  DAVIT_ETOOBIG, DAVIT_EFORMAT (among them "invalid rootfs in image configuration")
 * Threads: any
 * Spec:    store.md 1; pull.md 6
 */
DAVIT_API int davit_image_config_parse(const void *bytes, size_t size, davit_image_config **out,
                                       davit_error **err);
/** Release; NULL is fine. */
DAVIT_API void davit_image_config_free(davit_image_config *config);

/** The exact bytes. Borrowed. */
DAVIT_API const void *davit_image_config_bytes(const davit_image_config *config, size_t *out_size);
/** sha256 of the exact bytes: the image id. Borrowed. */
DAVIT_API const davit_digest *davit_image_config_id(const davit_image_config *config);
/** Platform as written, parts empty where absent. Borrowed. */
DAVIT_API const davit_platform *davit_image_config_platform(const davit_image_config *config);
/** rootfs.diff_ids, bottom first. Borrowed. */
DAVIT_API const davit_digest *davit_image_config_diff_ids(const davit_image_config *config, size_t *out_count);
/** "created" as written, or "". Borrowed. */
DAVIT_API const char *davit_image_config_created(const davit_image_config *config);

/** One step of how an image was made. Texts are "" where absent, and borrowed from the config. */
typedef struct davit_history_entry {
    const char *created; /**< RFC 3339, as written */
    const char *created_by;
    const char *author;
    const char *comment;
    bool empty_layer; /**< it made no layer */
} davit_history_entry;

/**
 * "history", oldest first. The entries that made a layer stand for the diff_ids in their order, as far as either goes. Nothing
 * depends on it, so what is malformed counts as absent. Borrowed.
 */
DAVIT_API const davit_history_entry *davit_image_config_history(const davit_image_config *config,
                                                                size_t *out_count);

/**
 * The chain id of the lowest @p count layers.
 *
 * @param diff_ids  bottom first; at least one
 * Errors:  DAVIT_EINVAL for no layers
 * Spec:    store.md 1
 */
DAVIT_API int davit_chain_id(const davit_digest *diff_ids, size_t count, davit_digest *out, davit_error **err);

DAVIT_END_DECLS

#endif

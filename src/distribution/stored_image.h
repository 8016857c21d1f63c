/*
 * distribution/stored_image.h - an image as the store has it, for who reads its layers: found by what a user types, kept from collection while it
 * is read, complete before anything is written, and what is said when it is not.
 *
 * Threads: the calling one.
 */
#ifndef DV_DISTRIBUTION_STORED_IMAGE_H
#define DV_DISTRIBUTION_STORED_IMAGE_H

#include "archive/compress.h"
#include "davit/image_config.h"
#include "davit/manifest.h"
#include "davit/platform.h"
#include "registry/client.h"
#include "store/store.h"

/* The client's, for reading: who may write takes a lease there, and one that cannot be written is fine. DAVIT_ENOTFOUND: there is none. */
int dv_stored_image_open_store(davit_client *client, dv_store **out, davit_error **err);
/* What a name or an id stands for. DAVIT_ENOTFOUND: nothing, which a registry may know; everything else is final. */
int dv_stored_image_find(dv_store *store, const char *name, const davit_platform *platform,
                         davit_manifest **out, davit_error **err);
/* Keeps manifest, config and layers as long as *lease is held, which is opened if need be. A store that nobody can write loses nothing. */
int dv_stored_image_keep(dv_store *store, const davit_manifest *manifest, dv_lease **lease, davit_error **err);
int dv_stored_image_read_config(dv_store *store, const davit_manifest *manifest, davit_image_config **out,
                                davit_error **err);
/* Whether these layers are there: the first that is not is told. */
int dv_stored_image_check_layers(dv_store *store, const davit_descriptor *layers, size_t count,
                                 davit_error **err);

/* Whether a failure with this code may be damage of the blob that was read. */
bool dv_layer_may_be_damaged(int code);
/*
 * Why a layer could not be used, from what its reader said (moved to err): the damage of its blob when there is any, else the same with the
 * layer's name.
 */
int dv_stored_image_explain(dv_store *store, const davit_descriptor *layer, int r, davit_error **from,
                            davit_error **err);

/* The limits that a caller may give to unpack and export: DAVIT_EINVAL, or how layers are inflated with them. */
int dv_layer_limits_check(uint32_t zstd_window_bytes, davit_error **err);
dv_inflate_options dv_layer_limits_inflate(uint32_t zstd_window_bytes, uint64_t max_size_bytes);

#endif

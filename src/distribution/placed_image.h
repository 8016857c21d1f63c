/*
 * distribution/placed_image.h - one image where it lies (source.h), for who reads it there: a layout, an archive, a directory; for its documents a
 * registry or the store as well. Nothing of it goes into the store.
 *
 * Threads: the calling one; blocks.
 */
#ifndef DV_DISTRIBUTION_PLACED_IMAGE_H
#define DV_DISTRIBUTION_PLACED_IMAGE_H

#include "davit/image_config.h"
#include "davit/platform.h"
#include "distribution/source.h"

typedef struct dv_placed_image {
    dv_place place;
    dv_source *source;
    davit_manifest *target;   /* what the name is */
    davit_manifest *manifest; /* of the platform; the same where the name is no index */
    davit_image_config *config;
} dv_placed_image;

/* Everything is verified, but that layers are there. p is empty before, must be cleared also after a failure, and is not moved. */
int dv_placed_image_open(dv_placed_image *p, davit_client *client, const char *text,
                         const davit_platform *platform, davit_error **err);
void dv_placed_image_clear(dv_placed_image *p);
DV_DEFINE_AUTO(dv_placed_image, dv_placed_image_clear)

/* As in davit_unpack_options; a place is no reference, so that is NULL. */
typedef int (*dv_verify_fn)(const davit_reference *ref, const davit_manifest *manifest, void *user_data);
/* Whether it can be used as an image here, as a pull would ask (pull.md 6). platform: as above; verify: NULL for none. */
int dv_placed_image_check(const dv_placed_image *p, const davit_platform *platform, dv_verify_fn verify,
                          void *user_data, davit_error **err);

/* --- parts of the above, for who wants less ------------------------------------------------------------------------------------------- */

/* From an index to the manifest of a platform (NULL: the host's); a manifest stays what it is. Takes m over. DAVIT_EPLATFORM. */
int dv_placed_manifest(dv_source *s, davit_manifest *m, const davit_platform *platform, davit_manifest **out,
                       davit_error **err);
/* The bytes of an image's config, whatever its type, verified. */
int dv_placed_config(dv_source *s, const davit_manifest *manifest, dv_buf *out, davit_error **err);

#endif

/*
 * davit/transport.h - images wherever they are: in a registry, the store, a layout, an archive or a directory.
 *
 * A place is text: "docker://REF", "store:REF|ID", "oci:DIR[:NAME]", "oci:DIR@DIGEST", "oci-archive:FILE[:NAME]", "docker-archive:FILE[:REF]",
 * "dir:DIR"; without a transport a registry's reference. (v1:// is for davit_copy() alone.) "What a place fails with" below are DAVIT_EINVAL (the text; an image must be named),
 * DAVIT_ENOTFOUND, DAVIT_EFORMAT (no layout or archive), DAVIT_EDIGEST, DAVIT_EUNSUPPORTED, DAVIT_ETOOBIG, DAVIT_EIO, DAVIT_ESTORE, and the
 * network's. For every function here: threads: any, blocks within the client's limits.
 */
#ifndef DAVIT_TRANSPORT_H
#define DAVIT_TRANSPORT_H

#include <davit/client.h>
#include <davit/image_config.h>
#include <davit/manifest.h>

DAVIT_BEGIN_DECLS

/**
 * What a place stands for, verified.
 *
 * @param platform  NULL: what the name is, an index whole; else the manifest of this platform
 * @param out       set on success; free with davit_manifest_free()
 *
 * Limits:  DAVIT_MANIFEST_MAX
 * Errors:  DAVIT_EPLATFORM, what a place fails with
 * Threads: any; blocks
 * Spec:    store.md 10, 11; registry-v2.md 4
 */
DAVIT_API int davit_transport_get_manifest(davit_client *client, const char *place,
                                           const davit_platform *platform, davit_manifest **out,
                                           davit_error **err);

/**
 * The exact bytes of an image's config, whatever its type, verified.
 *
 * @param platform   of an index; NULL: the host's
 * @param out_bytes  set on success; free with free()
 *
 * Limits:  DAVIT_IMAGE_CONFIG_MAX
 * Errors:  DAVIT_EPLATFORM, what a place fails with
 * Threads: any; blocks
 * Spec:    store.md 10, 11; registry-v2.md 4, 5
 */
DAVIT_API int davit_transport_get_config_bytes(davit_client *client, const char *place,
                                               const davit_platform *platform, void **out_bytes,
                                               size_t *out_size, davit_error **err);

/**
 * The image that a place stands for: what the name is, the manifest for a platform, and its config, all verified. Layers are not looked at.
 *
 * @param platform      of an index; NULL: the host's
 * @param out_target    NULL, or set on success: what the name is, an index whole; free with davit_manifest_free()
 * @param out_manifest  set on success, to the same where the name is no index; free with davit_manifest_free()
 * @param out_config    set on success; free with davit_image_config_free()
 *
 * Limits:  DAVIT_MANIFEST_MAX, DAVIT_IMAGE_CONFIG_MAX
 * Errors:  DAVIT_EPLATFORM, DAVIT_EFORMAT (also: the config is no image's), what a place fails with
 * Threads: any; blocks
 * Spec:    store.md 10, 11; registry-v2.md 4, 5
 */
DAVIT_API int davit_transport_get_image(davit_client *client, const char *place,
                                        const davit_platform *platform, davit_manifest **out_target,
                                        davit_manifest **out_manifest, davit_image_config **out_config,
                                        davit_error **err);

DAVIT_END_DECLS

#endif

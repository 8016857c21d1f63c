/* oci/manifest_build.h - the manifest of an image that has none yet, byte for byte as Docker's push writes it (push.md 9). */
#ifndef DV_OCI_MANIFEST_BUILD_H
#define DV_OCI_MANIFEST_BUILD_H

#include "davit/manifest.h"
#include "util/buf.h"

typedef struct dv_build_layer {
    davit_descriptor descriptor; /* media_type is written as it is */
    const char *const *urls;     /* of a foreign layer; ends with NULL; NULL: none */
} dv_build_layer;

typedef struct dv_manifest_build {
    davit_manifest_kind kind; /* DAVIT_MANIFEST_DOCKER or _OCI: the type of the document */
    davit_descriptor config;
    const dv_build_layer *layers; /* bottom first */
    size_t layer_count;
    const char *const *annotations; /* key, value, key, value, ..., NULL; NULL: none */
} dv_manifest_build;

/* Write the document into out, which is empty. DAVIT_ETOOBIG. */
int dv_manifest_build_format(const dv_manifest_build *b, dv_buf *out, davit_error **err);

/* The type of a gzipped layer (zstd: or of a zstd one), and of a config, in a manifest of this kind. */
const char *dv_manifest_layer_type(davit_manifest_kind kind, bool zstd);
const char *dv_manifest_config_type(davit_manifest_kind kind);

#endif

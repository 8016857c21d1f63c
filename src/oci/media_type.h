/*
 * oci/media_type.h - the media types of the registry world, and which of them davit takes
 * (registry-v2.md 4.1).
 */
#ifndef DV_OCI_MEDIA_TYPE_H
#define DV_OCI_MEDIA_TYPE_H

#include "util/error.h"

#include <stdbool.h>

#define DV_MEDIA_TYPE_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DV_MEDIA_TYPE_DOCKER_LIST "application/vnd.docker.distribution.manifest.list.v2+json"
#define DV_MEDIA_TYPE_OCI_MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define DV_MEDIA_TYPE_OCI_INDEX "application/vnd.oci.image.index.v1+json"
#define DV_MEDIA_TYPE_SCHEMA1_SIGNED "application/vnd.docker.distribution.manifest.v1+prettyjws"
#define DV_MEDIA_TYPE_SCHEMA1 "application/vnd.docker.distribution.manifest.v1+json"

#define DV_MEDIA_TYPE_DOCKER_CONFIG "application/vnd.docker.container.image.v1+json"
#define DV_MEDIA_TYPE_DOCKER_PLUGIN "application/vnd.docker.plugin.v1+json"
#define DV_MEDIA_TYPE_OCI_CONFIG "application/vnd.oci.image.config.v1+json"
#define DV_MEDIA_TYPE_OCI_EMPTY "application/vnd.oci.empty.v1+json"

#define DV_MEDIA_TYPE_DOCKER_LAYER "application/vnd.docker.image.rootfs.diff.tar"
#define DV_MEDIA_TYPE_DOCKER_LAYER_GZIP "application/vnd.docker.image.rootfs.diff.tar.gzip"
#define DV_MEDIA_TYPE_DOCKER_LAYER_ZSTD "application/vnd.docker.image.rootfs.diff.tar.zstd"
#define DV_MEDIA_TYPE_DOCKER_FOREIGN "application/vnd.docker.image.rootfs.foreign.diff.tar"
#define DV_MEDIA_TYPE_DOCKER_FOREIGN_GZIP "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
#define DV_MEDIA_TYPE_OCI_LAYER "application/vnd.oci.image.layer.v1.tar"
#define DV_MEDIA_TYPE_OCI_LAYER_GZIP "application/vnd.oci.image.layer.v1.tar+gzip"
#define DV_MEDIA_TYPE_OCI_LAYER_ZSTD "application/vnd.oci.image.layer.v1.tar+zstd"

#define DV_MEDIA_TYPE_IN_TOTO "application/vnd.in-toto+json"

/* The types of the Accept lines for a manifest, in order; ends with NULL. */
extern const char *const dv_manifest_accept[];

typedef enum dv_media_kind {
    DV_MEDIA_UNKNOWN = 0,
    DV_MEDIA_MANIFEST,
    DV_MEDIA_INDEX,
    DV_MEDIA_LAYER,
    DV_MEDIA_CONFIG,
    DV_MEDIA_ATTESTATION,
} dv_media_kind;

/* What an exact type is, as the ingest keys of pull.md 4.1 name it. */
dv_media_kind dv_media_type_kind(const char *type);
const char *dv_media_kind_name(dv_media_kind kind); /* "manifest", ..., "unknown" */

/* A Content-Type without parameters and space, in lower case. New; NULL without memory. NULL gives "". */
char *dv_media_type_base(const char *content_type);

/* The constant that equals type (""  included), or NULL: known types are shared, not copied. */
const char *dv_media_type_intern(const char *type);

/* Whether type is one of AI models, which get their own message. */
bool dv_media_type_is_ai_model(const char *type);

/*
 * A config or layer type of an image that is to be used (pull.md 6, step 2). DAVIT_EUNSUPPORTED, kind
 * MEDIA_TYPE or plain.
 */
int dv_media_type_acceptable(const char *type, davit_error **err);

/*
 * The config type of a schema 2 manifest (pull.md 4, step 3). accepted: NULL for the default list, else
 * ends with NULL. DAVIT_EUNSUPPORTED.
 */
int dv_media_type_check_config(const char *type, const char *const *accepted, davit_error **err);

#endif

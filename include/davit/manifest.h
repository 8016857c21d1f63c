/*
 * davit/manifest.h - manifests and indexes: parsed views of exact bytes.
 *
 * A davit_manifest is one document by digest, either an image manifest (config and layers) or an index (manifests). It
 * keeps the very bytes it came from; those are what has a digest, is stored and is pushed.
 *
 * For every function here: threads: any, nothing blocks; a davit_manifest is immutable and counted; what is borrowed lives as
 * long as the last handle. Sizes are bytes. Spec: registry-v2.md 4.
 */
#ifndef DAVIT_MANIFEST_H
#define DAVIT_MANIFEST_H

#include <davit/descriptor.h>

DAVIT_BEGIN_DECLS

#define DAVIT_MANIFEST_MAX (4u << 20)  /* bytes (threats C1) */
#define DAVIT_MANIFEST_LAYERS_MAX 4096 /* layers of a manifest, entries of an index (threats C3) */
#define DAVIT_INDEX_DEPTH_MAX 4

typedef struct davit_manifest davit_manifest;

typedef enum davit_manifest_kind {
    DAVIT_MANIFEST_DOCKER = 1, /* application/vnd.docker.distribution.manifest.v2+json */
    DAVIT_MANIFEST_OCI = 2,    /* application/vnd.oci.image.manifest.v1+json */
    DAVIT_MANIFEST_LIST = 3,   /* application/vnd.docker.distribution.manifest.list.v2+json */
    DAVIT_MANIFEST_INDEX = 4,  /* application/vnd.oci.image.index.v1+json */
} davit_manifest_kind;

/**
 * Parse a manifest or index and check it.
 *
 * @param bytes       copied
 * @param media_type  the Content-Type it came with (parameters ignored) or its descriptor's type; NULL or "" detects it from
 *                    the document (pull.md 4.2)
 * @param out         set on success; free with davit_manifest_free()
 *
 * Limits:  DAVIT_MANIFEST_MAX bytes, DAVIT_MANIFEST_LAYERS_MAX layers or entries, JSON depth 32, 100 000 values
 * Errors:  DAVIT_ETOOBIG, DAVIT_EFORMAT (not JSON, wrong types, duplicate or case-variant keys, both kinds in one document),
 *          DAVIT_EUNSUPPORTED (schema 1; unsupported manifest format; AI models)
 * Threads: any
 * Spec:    registry-v2.md 4.3; pull.md 4.2; threats B3, B4, C1-C3
 */
DAVIT_API int davit_manifest_parse(const void *bytes, size_t size, const char *media_type,
                                   davit_manifest **out, davit_error **err);

/** Another handle; free each. */
DAVIT_API davit_manifest *davit_manifest_ref(davit_manifest *m);
/** Release; NULL is fine. */
DAVIT_API void davit_manifest_free(davit_manifest *m);

DAVIT_API davit_manifest_kind davit_manifest_get_kind(const davit_manifest *m);
/** Whether it lists manifests (DAVIT_MANIFEST_LIST, DAVIT_MANIFEST_INDEX). */
DAVIT_API bool davit_manifest_is_index(const davit_manifest *m);
/** The media type it was parsed as. Borrowed. */
DAVIT_API const char *davit_manifest_media_type(const davit_manifest *m);
/** The exact bytes. Borrowed. */
DAVIT_API const void *davit_manifest_bytes(const davit_manifest *m, size_t *out_size);
/** sha256 of the exact bytes. Borrowed. */
DAVIT_API const davit_digest *davit_manifest_digest(const davit_manifest *m);
/** The config of an image manifest, NULL for an index. Borrowed. */
DAVIT_API const davit_descriptor *davit_manifest_config(const davit_manifest *m);
/** Layers, bottom first; none for an index. Borrowed. */
DAVIT_API const davit_descriptor *davit_manifest_layers(const davit_manifest *m, size_t *out_count);
/** Entries of an index in list order; none for an image manifest. Borrowed. */
DAVIT_API const davit_descriptor *davit_manifest_entries(const davit_manifest *m, size_t *out_count);
/** The subject, or NULL. Borrowed. */
DAVIT_API const davit_descriptor *davit_manifest_subject(const davit_manifest *m);
/** artifactType, or NULL. Borrowed. */
DAVIT_API const char *davit_manifest_artifact_type(const davit_manifest *m);

/**
 * Which entries of an index fit a platform, best first.
 *
 * @param platform     NULL or empty for the host
 * @param out_indices  set on success to positions in davit_manifest_entries(), at most out_count; free with free()
 *
 * Threads: any
 * Spec:    pull.md 5.2
 */
DAVIT_API int davit_manifest_choose(const davit_manifest *m, const davit_platform *platform,
                                    size_t **out_indices, size_t *out_count, davit_error **err);

DAVIT_END_DECLS

#endif

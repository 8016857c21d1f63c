/*
 * oci/artifact_manifest.h - OCI manifests that hold files and not an image: built here, and read as a list of titles. Pure.
 * Spec: registry-v2.md 4.1, 8; OCI image-spec 1.1, Guidelines for Artifact Usage.
 */
#ifndef DV_OCI_ARTIFACT_MANIFEST_H
#define DV_OCI_ARTIFACT_MANIFEST_H

#include "davit/manifest.h"
#include "util/json.h"

#define DV_EMPTY_JSON "{}" /* the bytes of the empty blob */
#define DV_EMPTY_DIGEST "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"

/* What an artifact is when nobody says; other clients write the same. */
#define DV_ARTIFACT_TYPE_UNKNOWN "application/vnd.unknown.artifact.v1"
#define DV_ARTIFACT_FILE_TYPE "application/octet-stream"

typedef struct dv_artifact_layer {
    davit_descriptor descriptor;
    const char *title; /* NULL: none */
} dv_artifact_layer;

typedef struct dv_artifact {
    const char *artifact_type;       /* required: the config says nothing */
    const dv_artifact_layer *layers; /* none: the empty blob stands for them */
    size_t layer_count;
    const davit_descriptor *subject;     /* NULL: none */
    const davit_annotation *annotations; /* written in the order of their keys */
    size_t annotation_count;
} dv_artifact;

/* DAVIT_EINVAL: no media type, an annotation twice, text that is not UTF-8. The manifest is checked as any other. */
int dv_artifact_manifest_build(const dv_artifact *a, davit_manifest **out, davit_error **err);

/* Whether this is a media type as RFC 6838 writes one: "type/subtype". */
bool dv_media_type_is_valid(const char *type);

/*
 * The titles of the layers of a manifest, NULL for one that has none. *out_document holds them; free it with dv_json_free().
 * The array is new. DAVIT_EFORMAT: a title that is no text.
 */
int dv_artifact_titles(const davit_manifest *m, dv_json **out_document, const char ***out, davit_error **err);

/* As an object in the order of the keys. DAVIT_EINVAL: one twice, without a key, not UTF-8. */
int dv_annotations_build(const davit_annotation *annotations, size_t count, dv_json **out, davit_error **err);

/* The annotations of a document as an object, NULL: none. Text values only count. Borrowed from document. */
const dv_json *dv_json_annotations(const dv_json *document);

#endif

/*
 * oci/index_build.h - a new index, or a changed copy of one: entries come and go, everything else stays as it was. Pure.
 *
 * Order, annotations and keys that we do not know are kept, and so is the way it was written (indented or not), so that a change is
 * seen as what it is. Spec: registry-v2.md 8; OCI image-spec 1.1, Image Index.
 */
#ifndef DV_OCI_INDEX_BUILD_H
#define DV_OCI_INDEX_BUILD_H

#include "davit/manifest.h"
#include "util/json.h"

typedef struct dv_index_edit dv_index_edit;

/* index NULL: a new OCI index without entries. DAVIT_EINVAL: not an index. */
int dv_index_edit_new(const davit_manifest *index, dv_index_edit **out, davit_error **err);
void dv_index_edit_free(dv_index_edit *e);
DV_DEFINE_AUTOPTR(dv_index_edit, dv_index_edit_free)

size_t dv_index_edit_count(const dv_index_edit *e);
/* Entry i as JSON. Borrowed until the next change. */
const dv_json *dv_index_edit_at(const dv_index_edit *e, size_t i);
/* Its digest and platform. The descriptor's texts are not set. */
int dv_index_edit_read(const dv_index_edit *e, size_t i, davit_descriptor *out, davit_error **err);
/* Position of a digest, or dv_index_edit_count(). */
size_t dv_index_edit_find(const dv_index_edit *e, const davit_digest *digest);
/* Position of the entry for exactly this platform (normalised; "unknown" ones match none), or dv_index_edit_count(). */
size_t dv_index_edit_find_platform(const dv_index_edit *e, const davit_platform *platform);
/* At the end. Takes the entry over, also on failure. */
int dv_index_edit_add(dv_index_edit *e, dv_json *entry, davit_error **err);
int dv_index_edit_remove(dv_index_edit *e, size_t i, davit_error **err);
/* Annotations of the index, in the order of their keys. DAVIT_EINVAL: one twice, not UTF-8. */
int dv_index_edit_annotate(dv_index_edit *e, const davit_annotation *annotations, size_t count,
                           davit_error **err);
/* The document as it is now, checked as any other. */
int dv_index_edit_finish(const dv_index_edit *e, davit_manifest **out, davit_error **err);

/*
 * An entry for one manifest. config: the bytes of its config when it is an image's, which say the platform; NULL: none. with_annotations: those
 * of the manifest too, and artifactType, its own or else the type of its config (for referrers).
 */
int dv_index_entry_build(const davit_manifest *m, const dv_buf *config, bool with_annotations, dv_json **out,
                         davit_error **err);

#endif

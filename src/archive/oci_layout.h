/*
 * archive/oci_layout.h - the documents of an OCI image layout, as a directory or in an archive (store.md 11). Pure.
 */
#ifndef DV_ARCHIVE_OCI_LAYOUT_H
#define DV_ARCHIVE_OCI_LAYOUT_H

#include "davit/manifest.h"
#include "davit/reference.h"
#include "oci/descriptor.h"
#include "util/buf.h"

#define DV_OCI_LAYOUT_FILE "oci-layout"
#define DV_OCI_INDEX_FILE "index.json"
#define DV_OCI_LAYOUT_TEXT \
    "{\"imageLayoutVersion\": \"1.0.0\"}" /* as the reference implementation writes it */
#define DV_OCI_LAYOUT_MAX (64u << 10)     /* bytes of the file oci-layout */

/* DAVIT_EFORMAT, DAVIT_EUNSUPPORTED for another major version than 1. */
int dv_oci_layout_check(const void *bytes, size_t size, davit_error **err);

/* An entry of index.json. */
typedef struct dv_oci_layout_entry {
    davit_descriptor descriptor;
    const char *image_name; /* io.containerd.image.name, or NULL */
    const char *ref_name;   /* org.opencontainers.image.ref.name, or NULL */
} dv_oci_layout_entry;

typedef struct dv_oci_layout_index {
    dv_oci_layout_entry *entries;
    size_t count;
    dv_text_pool texts;
} dv_oci_layout_index;
void dv_oci_layout_index_clear(dv_oci_layout_index *index);
DV_DEFINE_AUTO(dv_oci_layout_index, dv_oci_layout_index_clear)

/* At most DAVIT_MANIFEST_MAX bytes and DAVIT_MANIFEST_LAYERS_MAX entries. DAVIT_EFORMAT, DAVIT_ETOOBIG. */
int dv_oci_layout_index_parse(const void *bytes, size_t size, dv_oci_layout_index *out, davit_error **err);
/* Append index.json: mediaType, digest and size of each entry, and its names. */
int dv_oci_layout_index_format(const dv_oci_layout_entry *entries, size_t count, dv_buf *out,
                               davit_error **err);

/* Append the manifest of an image: a config and its layers, lowest first. */
int dv_oci_manifest_format(const davit_descriptor *config, const davit_descriptor *layers, size_t count,
                           dv_buf *out, davit_error **err);

/*
 * The tagged reference that an entry's names give; NULL for none. The image name counts, else a ref.name that is more than a bare word:
 * "1.0" alone is a tag of nobody knows what (store.md 11). DAVIT_EFORMAT "invalid tag ..." for an image name that is none.
 */
int dv_oci_layout_reference(const dv_oci_layout_entry *entry, davit_reference **out, davit_error **err);

#define DV_OCI_BLOB_PATH_MAX 160
/* "blobs/sha256/<hex>" */
const char *dv_oci_blob_path(const davit_digest *digest, char out[DV_OCI_BLOB_PATH_MAX]);
/* The digest that a clean path of a blob says; false for any other path. */
bool dv_oci_blob_path_parse(const char *path, davit_digest *out);

#endif

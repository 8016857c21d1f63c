/* oci/manifest.h - what a davit_manifest holds, and the steps that manifest.c and index.c share. */
#ifndef DV_OCI_MANIFEST_H
#define DV_OCI_MANIFEST_H

#include "davit/manifest.h"
#include "oci/descriptor.h"

#include <stdatomic.h>

struct davit_manifest {
    atomic_uint refs;
    davit_manifest_kind kind;
    void *bytes;
    size_t size;
    davit_digest digest;
    davit_descriptor *config; /* NULL for an index */
    davit_descriptor *items;  /* layers, or entries of an index */
    size_t item_count;
    davit_descriptor *subject; /* NULL when absent */
    const char *artifact_type; /* NULL when absent */
    dv_text_pool texts;
};

DV_DEFINE_AUTOPTR(davit_manifest, davit_manifest_free)

/* Fill m->items from an array, which may be NULL. At most DAVIT_MANIFEST_LAYERS_MAX. */
int dv_manifest_parse_items(davit_manifest *m, const dv_json *array, const char *label, davit_error **err);

/* Fill m from the document of an index, whose kind is known and checked. */
int dv_index_parse(davit_manifest *m, const dv_json *document, davit_error **err);

/*
 * The type that bytes from the store have (pull.md 4.2): *out is a shared constant, or borrowed from the
 * document. DAVIT_EUNSUPPORTED for schema 1, DAVIT_EFORMAT.
 */
int dv_manifest_detect(const dv_json *document, const char **out, davit_error **err);

/*
 * The error of an index that has nothing for this platform; NULL or without an OS means the host.
 * DAVIT_EPLATFORM.
 */
int dv_index_no_match(const davit_platform *wanted, davit_error **err);

#endif

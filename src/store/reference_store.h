/*
 * store/reference_store.h - which names mean what: tags and digest references (store.md 5). Rows are values; every function
 * is one transaction or joins the one that is open on this thread.
 *
 * A reference with tag and digest counts as the digest reference; one with neither means :latest.
 */
#ifndef DV_STORE_REFERENCE_STORE_H
#define DV_STORE_REFERENCE_STORE_H

#include "davit/descriptor.h"
#include "davit/reference.h"
#include "store/store.h"

/* One stored reference: its full text ("docker.io/library/alpine:3.20" or "...@sha256:...") and what the registry gave. */
typedef struct dv_reference_row {
    char *reference;
    char *media_type;
    davit_digest digest; /* manifest or index */
    uint64_t size;
    int64_t updated_at_s;
} dv_reference_row;

typedef struct dv_reference_rows {
    dv_reference_row *items;
    size_t count;
} dv_reference_rows;
void dv_reference_rows_clear(dv_reference_rows *rows);
DV_DEFINE_AUTO(dv_reference_rows, dv_reference_rows_clear)

/* DAVIT_ENOTFOUND "reference does not exist". On success out has one item. */
int dv_reference_store_get(dv_store *s, const davit_reference *ref, dv_reference_rows *out, davit_error **err);
/* Every reference, ordered by text. */
int dv_reference_store_list(dv_store *s, dv_reference_rows *out, davit_error **err);
/* References naming this manifest or index digest, ordered by text. */
int dv_reference_store_by_digest(dv_store *s, const davit_digest *digest, dv_reference_rows *out,
                                 davit_error **err);
/* References leading to any manifest or index of the image with this id, ordered by text. */
int dv_reference_store_by_image(dv_store *s, const davit_digest *config, dv_reference_rows *out,
                                davit_error **err);
/* References of exactly this repository (full name), ordered by text. */
int dv_reference_store_by_name(dv_store *s, const char *name, dv_reference_rows *out, davit_error **err);

/*
 * Set a tag. *out_changed: it did not name this target before.
 *
 * Errors: DAVIT_EINVAL  a digest reference; the familiar name is "sha256"
 *         DAVIT_ECONFLICT  it names something else and force is false
 */
int dv_reference_store_add_tag(dv_store *s, const davit_reference *ref, const davit_descriptor *target,
                               bool force, bool *out_changed, davit_error **err);
/*
 * Set a digest reference; it never changes. DAVIT_ECONFLICT "cannot overwrite digest <digest>". DAVIT_EINVAL without a
 * digest or for the familiar name "sha256".
 */
int dv_reference_store_add_digest(dv_store *s, const davit_reference *ref, const davit_descriptor *target,
                                  bool *out_changed, davit_error **err);
/* DAVIT_ENOTFOUND "reference does not exist". */
int dv_reference_store_delete(dv_store *s, const davit_reference *ref, davit_error **err);
/* A row by its full text. DAVIT_ENOTFOUND likewise. */
int dv_reference_store_delete_row(dv_store *s, const char *reference, davit_error **err);

#endif

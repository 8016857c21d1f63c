/*
 * store/reference_store.h, image rows and metadata: what davit.db says. Rows are values; every function is one statement or
 * joins the transaction that is open on this thread.
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

/* Tag and digest in one reference: the tag is dropped; name-only means :latest (store.md 5). DAVIT_ENOTFOUND
 * "reference does not exist". On success rows has one item. */
int dv_reference_store_get(dv_store *s, const davit_reference *ref, dv_reference_rows *out, davit_error **err);
/* Every reference, ordered by text. */
int dv_reference_store_list(dv_store *s, dv_reference_rows *out, davit_error **err);
/* References naming this manifest or index digest, ordered by text. */
int dv_reference_store_by_digest(dv_store *s, const davit_digest *digest, dv_reference_rows *out, davit_error **err);

#endif

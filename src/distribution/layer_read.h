/*
 * distribution/layer_read.h - a stored blob through its digest and its codec: for whoever needs a layer's diff_id, size, or bytes, and no files.
 */
#ifndef DV_DISTRIBUTION_LAYER_READ_H
#define DV_DISTRIBUTION_LAYER_READ_H

#include "davit/client.h"
#include "davit/descriptor.h"
#include "store/store.h"
#include "util/sink.h"

#include <stdbool.h>

/* Whether a layer of this type may be somewhere else by its nature: it need not be in a store or an archive. Pure. */
bool dv_layer_is_foreign(const char *media_type);

/* A blob as it is stored, into to, which is not finished. DAVIT_EDIGEST: damaged; to has had its bytes by then. Threads: any; blocks. */
int dv_blob_copy(davit_client *client, dv_store *store, const davit_descriptor *blob, dv_sink *to,
                 davit_error **err);

typedef struct dv_layer_facts {
    davit_digest diff_id;
    uint64_t size; /* inflated */
} dv_layer_facts;

/*
 * Inflate a stored layer into to (NULL: only learn), which is not finished. What was learnt is written down when the store can be written
 * (DESIGN 5: by whoever inflated and hashed that very blob). DAVIT_ENOTFOUND, DAVIT_EDIGEST (the stored blob is damaged), DAVIT_EFORMAT.
 */
int dv_layer_read(davit_client *client, dv_store *store, const davit_descriptor *layer, dv_sink *to,
                  dv_layer_facts *out, davit_error **err);
/* The diff_id alone: remembered, or learnt now. */
int dv_layer_diff_id(davit_client *client, dv_store *store, const davit_descriptor *layer, davit_digest *out,
                     davit_error **err);

#endif

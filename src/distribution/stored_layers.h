/*
 * distribution/stored_layers.h - the layers of an image as the store has them, for a pipeline (layer_pipeline.h).
 *
 * A layer is read once somebody has said that its blob is there, or while it is fetched, behind the writer (growing_blob.h): then only
 * dv_stored_layers_vouched() says whether what was read was the blob. Until either the pipeline waits. Threads: the input's functions run on
 * the inflater's, everything else on the owner's. It must outlive the pipeline.
 */
#ifndef DV_DISTRIBUTION_STORED_LAYERS_H
#define DV_DISTRIBUTION_STORED_LAYERS_H

#include "distribution/growing_blob.h"
#include "distribution/layer_pipeline.h"
#include "store/content_store.h"

typedef struct dv_stored_layers dv_stored_layers;

/* layers are borrowed. */
int dv_stored_layers_new(dv_store *store, const davit_descriptor *layers, size_t count,
                         dv_stored_layers **out, davit_error **err);
void dv_stored_layers_free(dv_stored_layers *s);
DV_DEFINE_AUTOPTR(dv_stored_layers, dv_stored_layers_free)
dv_layer_input dv_stored_layers_input(dv_stored_layers *s);
/* This blob is in the store now. Others than the layers' are fine, and so is saying it twice. */
void dv_stored_layers_arrived(dv_stored_layers *s, const davit_digest *blob);
/* Whether that was said of this layer. */
bool dv_stored_layers_has(const dv_stored_layers *s, size_t layer);
/* For who fetches it, to let it be read meanwhile. NULL: it is no layer's. Borrowed. */
dv_growing *dv_stored_layers_growing(dv_stored_layers *s, const davit_digest *blob);
/* Whether what the pipeline has read of this layer is the blob's for certain. While no pipeline runs. */
bool dv_stored_layers_vouched(const dv_stored_layers *s, size_t layer);
/* For another pipeline, which reads from the store only. While none runs. */
void dv_stored_layers_again(dv_stored_layers *s);

/*
 * Why a layer cannot be read or is not what it should be, when the reason is the store's: DAVIT_ESTORE (its blob is missing) or
 * DAVIT_EDIGEST (damaged), with what mends it. 0: the blob is as it was pulled. Reads all of it.
 */
int dv_stored_layer_examine(dv_store *store, const davit_descriptor *layer, davit_error **err);

#endif

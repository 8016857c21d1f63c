/*
 * distribution/source_layers.h - the layers of an image where they lie, in a layout, an archive or a directory, for a pipeline (layer_pipeline.h).
 *
 * Each is read once, from its range of a file, and hashed as it is read: what it gave counts only when its end was reached without an error. Threads:
 * the input's functions run on the inflater's, everything else on the owner's. It must outlive the pipeline; the source and layers are borrowed.
 */
#ifndef DV_DISTRIBUTION_SOURCE_LAYERS_H
#define DV_DISTRIBUTION_SOURCE_LAYERS_H

#include "distribution/layer_pipeline.h"
#include "distribution/source.h"

typedef struct dv_source_layers dv_source_layers;

/* The source's blobs must be in files: DAVIT_EUNSUPPORTED otherwise. */
int dv_source_layers_new(dv_source *source, const davit_descriptor *layers, dv_source_layers **out,
                         davit_error **err);
void dv_source_layers_free(dv_source_layers *s); /* NULL is fine */
DV_DEFINE_AUTOPTR(dv_source_layers, dv_source_layers_free)
dv_layer_input dv_source_layers_input(dv_source_layers *s);

/* Whether these layers are there with the right sizes: DAVIT_ENOTFOUND, DAVIT_EDIGEST for the first that is not. Reads nothing of them. */
int dv_source_layers_check(dv_source *source, const davit_descriptor *layers, size_t count, davit_error **err);
/* As dv_stored_image_explain(): reads the layer once more where damage may be the reason. */
int dv_source_layer_explain(dv_source *source, const davit_descriptor *layer, int r, davit_error **from,
                            davit_error **err);

#endif

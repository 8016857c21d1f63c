/*
 * distribution/streamed_layers.h - layers as they come from a registry, for a pipeline (layer_pipeline.h): a bounded queue between who receives
 * (the owner) and who inflates. What is beyond the bound waits in the connection.
 */
#ifndef DV_DISTRIBUTION_STREAMED_LAYERS_H
#define DV_DISTRIBUTION_STREAMED_LAYERS_H

#include "distribution/layer_pipeline.h"

#define DV_STREAMED_PIECES 32 /* of DV_STREAMED_PIECE_BYTES: 4 MiB */
#define DV_STREAMED_PIECE_BYTES (128u << 10)

typedef struct dv_streamed_layers dv_streamed_layers;

dv_streamed_layers *dv_streamed_layers_new(void); /* NULL: no memory */
/* After the pipeline. NULL is fine. */
void dv_streamed_layers_free(dv_streamed_layers *s);
DV_DEFINE_AUTOPTR(dv_streamed_layers, dv_streamed_layers_free)
dv_layer_input dv_streamed_layers_input(dv_streamed_layers *s);

/*
 * Bytes of the current layer, copied. Waits for room; turn(user) is called while it waits, and a negative result of it ends that and is
 * given back.
 */
int dv_streamed_layers_put(dv_streamed_layers *s, const void *bytes, size_t size, int (*turn)(void *user),
                           void *user, davit_error **err);
/* All of the current layer was put, and is what it should be; the next one begins. */
int dv_streamed_layers_end_layer(dv_streamed_layers *s, int (*turn)(void *user), void *user,
                                 davit_error **err);

#endif

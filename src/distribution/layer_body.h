/*
 * distribution/layer_body.h - a layer that somebody gives (davit/layer.h) as the source of an upload: compressed on the way when its stream
 * is plain, hashed on both sides.
 *
 * A worker reads, hashes and compresses ahead of the loop by a few pieces and then leaves its thread; the loop takes the pieces as fast as the
 * registry does. Sent again, it is read again: the same stream gives the same bytes.
 */
#ifndef DV_DISTRIBUTION_LAYER_BODY_H
#define DV_DISTRIBUTION_LAYER_BODY_H

#include "davit/layer.h"
#include "distribution/xfer_upload.h"

typedef struct dv_layer_source {
    dv_blob_source source; /* for a watch */
    davit_client *client;
    const davit_push_layer *layer; /* borrowed */
    bool compresses;
    dv_queue *gone; /* a node for each body that is no more */
    atomic_uint open;
} dv_layer_source;

/* Threads: a caller's. DAVIT_EUNSUPPORTED "unsupported layer media type <t>", final: neither plain nor gzip (push.md 8). */
int dv_layer_source_init(dv_layer_source *s, davit_client *client, const davit_push_layer *layer,
                         davit_error **err);
/* Threads: a caller's, when no watch has it any more. Waits until no worker reads the layer. */
void dv_layer_source_clear(dv_layer_source *s);

#endif

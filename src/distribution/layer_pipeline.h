/*
 * distribution/layer_pipeline.h - layers become files, lowest first: inflate, diff_id and apply, each on a thread of its own (DESIGN 7). Or they go
 * to an output, which the owner's thread writes instead of applying.
 *
 * Chunks of inflated bytes go round: the inflater fills them, the hasher and then the applier read them. There are at most
 * DV_PIPELINE_CHUNKS (before an output DV_PIPELINE_OUTPUT_CHUNKS), so the inflater is at most that far ahead, which is into the next layer as soon as one is inflated. The first
 * failure stops all three; it names its layer.
 */
#ifndef DV_DISTRIBUTION_LAYER_PIPELINE_H
#define DV_DISTRIBUTION_LAYER_PIPELINE_H

#include "archive/compress.h"
#include "archive/unpack.h"
#include "davit/descriptor.h"
#include "registry/client.h"

#define DV_PIPELINE_CHUNKS 32 /* of DV_PIPELINE_CHUNK_BYTES: 8 MiB, since making files stalls now and then */
#define DV_PIPELINE_OUTPUT_CHUNKS 8 /* before an output: 2 MiB; more made no export faster */
#define DV_PIPELINE_CHUNK_BYTES (256u << 10)

typedef struct dv_pipeline dv_pipeline;

/*
 * Where a layer's bytes come from as they are stored or sent. Threads: the inflater's, one layer after the other. Waiting is done by
 * dv_pipeline_wait_for(), so that it ends when all else does.
 */
typedef struct dv_layer_input {
    void *user;
    int (*open)(void *user, dv_pipeline *p, size_t layer, davit_error **err);
    /* *out_size 0: the end. *out is borrowed until the next call. */
    int (*read)(void *user, dv_pipeline *p, const void **out, size_t *out_size, davit_error **err);
} dv_layer_input;

/* Where inflated layers go when they do not become files. Threads: the owner's, within dv_pipeline_run(). */
typedef struct dv_layer_output {
    void *user;
    int (*layer)(void *user, size_t layer, dv_sink **out, davit_error **err); /* its finish() ends the layer */
    void (*turn)(void *user);                                                 /* after each chunk */
} dv_layer_output;

/* All borrowed until dv_pipeline_free(). */
typedef struct dv_pipeline_options {
    davit_client *client;          /* its cancellation is ours */
    const dv_layer_output *output; /* NULL: files */
    int root_fd;                   /* for files: an empty directory */
    dv_unpack_options unpack;
    dv_inflate_options inflate;
    dv_layer_input input;
    const davit_descriptor *layers;
    const davit_digest *diff_ids; /* what each must inflate to */
    size_t count;
} dv_pipeline_options;

typedef struct dv_pipeline_progress {
    size_t applied; /* layers */
    size_t reading; /* the layer that is read now; count: all are read */
    uint64_t read;  /* its bytes so far */
} dv_pipeline_progress;

int dv_pipeline_start(const dv_pipeline_options *options, dv_pipeline **out, davit_error **err);
/* With an output: apply the layers, on this thread, until all are or a stage has failed. */
void dv_pipeline_run(dv_pipeline *p);
/* Whether it has ended, after waiting up to timeout_ms for that. Threads: the owner's. */
bool dv_pipeline_ended(dv_pipeline *p, int timeout_ms);
/* Whether a stage has failed, so that it is about to end. Threads: any. */
bool dv_pipeline_has_failed(const dv_pipeline *p);
dv_pipeline_progress dv_pipeline_get_progress(dv_pipeline *p);
/* The code that it failed with, 0 without a failure, and the layer as below. After it has ended or was stopped. */
int dv_pipeline_failure(const dv_pipeline *p, size_t *out_layer);
/* How it ended. *out_layer, when not NULL: the layer that failed, count for none. Moves the error. Threads: the owner's. */
int dv_pipeline_result(dv_pipeline *p, size_t *out_layer, davit_error **err);
/* After a success, of files. Borrowed. */
const dv_unpack_report *dv_pipeline_report(const dv_pipeline *p);
/* The permission bits that the image gives its root. After a success. */
unsigned dv_pipeline_root_mode(const dv_pipeline *p);
/* Stop it if need be, within one chunk's work; afterwards the input is not used any more. NULL is fine. */
void dv_pipeline_stop(dv_pipeline *p);
/* Stops it first. NULL is fine. */
void dv_pipeline_free(dv_pipeline *p);
DV_DEFINE_AUTOPTR(dv_pipeline, dv_pipeline_free)

/*
 * For inputs: the next node of a queue, waiting for up to timeout_ms (-1: as long as it takes); *out NULL: none came. DAVIT_ECANCELLED:
 * the client was cancelled, or another stage failed. Threads: the inflater's.
 */
int dv_pipeline_check(dv_pipeline *p, davit_error **err); /* without waiting */
int dv_pipeline_wait_for(dv_pipeline *p, dv_queue *queue, int timeout_ms, dv_node **out, davit_error **err);

#endif

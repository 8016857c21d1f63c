/*
 * distribution/unpack_private.h - what the stages of one davit_unpack() share: unpack.c (arguments, target, end), unpack_image.c (one image's
 * layers through a pipeline), unpack_pull.c and unpack_stream.c (from a registry, with and without the store), unpack_place.c (from files), bundle.c.
 * Threads: the calling one.
 */
#ifndef DV_DISTRIBUTION_UNPACK_PRIVATE_H
#define DV_DISTRIBUTION_UNPACK_PRIVATE_H

#include "archive/staging.h"
#include "davit/image_config.h"
#include "davit/unpack.h"
#include "distribution/layer_pipeline.h"
#include "distribution/placed_image.h"
#include "distribution/source_layers.h"
#include "distribution/stored_layers.h"
#include "store/store.h"

typedef struct dv_unpacking {
    davit_client *client;
    const davit_unpack_options *options;
    dv_image_name name;
    const char *target;
    dv_store *store; /* NULL: without */
    dv_lease *lease;
    dv_staging *staging;
    int bundle_fd; /* the staging directory's rootfs, when a bundle is made; else -1 */
    bool rootless;
    bool dirty; /* something was unpacked to the staging directory */
    /* The image, once it is known: */
    davit_manifest *manifest;
    davit_image_config *config;
    const davit_descriptor *layers;
    size_t count; /* layers to apply */
    dv_stored_layers *stored;
    dv_placed_image placed; /* of files: where it lies, its layers */
    dv_source_layers *placed_layers;
    dv_pipeline *pipeline; /* NULL: not begun */
    size_t told_applied;
    size_t told_reading;
    uint64_t told_read;
} dv_unpacking;

/* --- unpack.c --- */

/* Make the staging directory, or an empty one in its place. */
int dv_unpacking_stage(dv_unpacking *u, davit_error **err);
/* The target must not be the store, nor stand in it, nor hold it. */
int dv_unpacking_check_target(const dv_unpacking *u, davit_error **err);
/* The same of the client's store when that is not open; and it must not hold the files that the image comes from. */
int dv_unpacking_check_target_of_files(const dv_unpacking *u, davit_error **err);

/* --- unpack_image.c --- */

/* Which image it is. Forgets another one that was begun, and what was staged of it. */
int dv_unpacking_set_manifest(dv_unpacking *u, const davit_manifest *manifest, davit_error **err);
/* Takes config over, also on failure: checks it against manifest and options. */
int dv_unpacking_set_config(dv_unpacking *u, davit_image_config *config, davit_error **err);
/* Begin with the layers. */
int dv_unpacking_start(dv_unpacking *u, const dv_layer_input *input, davit_error **err);
/* Whether there is a failure to be told by dv_unpacking_wait(), now. Tells progress. */
bool dv_unpacking_turn(dv_unpacking *u);
/* Tell progress until the pipeline has ended. */
void dv_unpacking_drain(dv_unpacking *u);

/* What the end of a pipeline that read layers while they were fetched is worth. */
typedef enum dv_verdict {
    DV_VERDICT_FINAL, /* all that mattered was the blobs' bytes */
    DV_VERDICT_LATER, /* a blob that mattered is not here yet */
    DV_VERDICT_VOID,  /* something else was read: unpack again, from the store */
} dv_verdict;
/* After it has ended or was stopped. */
dv_verdict dv_unpacking_judge(const dv_unpacking *u);
/* From an empty staging directory, with the layers that are in the store. */
int dv_unpacking_again(dv_unpacking *u, davit_error **err);
/* Wait for the end and say what went wrong. */
int dv_unpacking_wait(dv_unpacking *u, davit_error **err);
/* From the store: set the config, and let the layers that the store has be read. */
int dv_unpacking_read_config(dv_unpacking *u, davit_error **err);
/* Release manifest, config and pipeline. */
void dv_unpacking_clear_image(dv_unpacking *u);

/* --- unpack_pull.c: pull and unpack at once --- */

int dv_unpacking_pull(dv_unpacking *u, const davit_reference *ref, davit_error **err);

/* --- unpack_stream.c: nothing kept but the files --- */

int dv_unpacking_stream(dv_unpacking *u, const davit_reference *ref, davit_error **err);

/* --- unpack_place.c: from a layout, an archive or a directory --- */

int dv_unpacking_place(dv_unpacking *u, davit_error **err);

/* --- bundle.c --- */

/* Write config.json for the root file system that root_fd is into dir_fd. DAVIT_EFORMAT (config, user), DAVIT_EIO. */
int dv_bundle_write(int dir_fd, int root_fd, const davit_image_config *config, bool rootless,
                    davit_error **err);

#endif

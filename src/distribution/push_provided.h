/*
 * distribution/push_provided.h - push of images whose config and layers somebody else keeps: an embedder's stores (push.md 1). Layers are
 * compressed on the way, and the manifest is made here.
 */
#ifndef DV_DISTRIBUTION_PUSH_PROVIDED_H
#define DV_DISTRIBUTION_PUSH_PROVIDED_H

#include "davit/layer.h"
#include "davit/manifest.h"
#include "davit/push.h"
#include "distribution/own_stores.h"
#include "store/store.h"

/* One image under one tag. All borrowed. */
typedef struct dv_provided_image {
    const davit_reference *reference; /* with the tag */
    const void *config;               /* its very bytes */
    size_t config_size;
} dv_provided_image;

typedef struct dv_push_provider {
    void *user;
    /*
     * The images to push, in order; they live until the push has ended. Called once, behind the line that says where the push goes; so
     * the texts of push.md 2 and 3 for what is not there are this function's. Threads: the calling one.
     */
    int (*find)(void *user, const dv_provided_image **out, size_t *out_count, davit_error **err);
    const davit_layer_provider *layers; /* by chain id */
    const char *config_media_type;      /* NULL: that of a Docker image, or of an OCI one */
    davit_manifest_kind kind;           /* DAVIT_MANIFEST_DOCKER or _OCI: what is made; 0: Docker */
    dv_store *metadata;                 /* what is known of blobs elsewhere; NULL: nothing is */
    const davit_metadata_store *table;  /* the same of an embedder's; NULL */
    const dv_own_stores *own;           /* whose resolver says where it goes; NULL: the client's service */
    const char *const *meta_headers;
} dv_push_provider;

/*
 * As davit_push(): ref names the repository, options->pushed tells what the embedder records, platform and SPARSE do not matter. Threads:
 * a caller's; blocks.
 */
int dv_push_provided(davit_client *client, const davit_reference *ref, const dv_push_provider *provider,
                     const davit_push_options *options, davit_push_result *out, davit_error **err);

#endif

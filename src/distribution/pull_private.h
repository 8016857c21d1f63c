/*
 * distribution/pull_private.h - what the stages of one pull share: pull.c (endpoints, tags, status), pull_v2.c (one
 * reference: manifests, choice, record), pull_blobs.c (config and layers). Threads: the calling one.
 */
#ifndef DV_DISTRIBUTION_PULL_PRIVATE_H
#define DV_DISTRIBUTION_PULL_PRIVATE_H

#include "davit/pull.h"

#include "distribution/own_stores.h"
#include "distribution/xfer.h"
#include "store/content_store.h"

/*
 * Who uses an image while it is pulled (one reference, one platform). A negative result ends the pull with DAVIT_ECANCELLED, whatever the
 * reason was: the follower knows it.
 */
typedef struct dv_pull_follower {
    void *user;
    /* This image is going to be pulled. Again with another one, if the endpoint fails and the next one has another. */
    int (*on_image)(void *user, const davit_manifest *manifest);
    int (*on_blob)(void *user, const davit_digest *blob); /* it is in the store now */
    int (*on_turn)(void *user);                           /* now and then, while it waits for blobs */
    /* Who reads this blob while it is fetched. NULL: nobody. */
    dv_growing *(*growing)(void *user, const davit_digest *blob);
} dv_pull_follower;

/* What an embedder wants besides the options (davit/distribution.h). */
typedef struct dv_pull_terms {
    const dv_own_stores
        *own; /* with a content store: where all of it goes, and the client's store is not opened */
    const char *const *meta_headers;
    const char *const *config_types; /* NULL: those of images */
    bool no_layers;
} dv_pull_terms;

typedef struct dv_pull {
    davit_client *client;
    const davit_pull_options *options;
    const dv_pull_follower *follower; /* NULL: nobody */
    dv_pull_terms terms;
    dv_endpoints endpoints;  /* of the reference, in order */
    dv_transfers *transfers; /* NULL for a dry run */
    dv_store *store;         /* NULL for a dry run where there is no store, and for own stores */
    davit_pull_result result;
} dv_pull;

/* A manifest or index that this pull needs, in memory and checked. */
typedef struct dv_document {
    davit_manifest *manifest;
    davit_digest digest; /* what it was asked by: may be sha512 */
    bool fetched;        /* came over the network */
    bool walked;         /* an index whose entries were followed, or an image that is wanted */
} dv_document;

/* One image that is to be had. */
typedef struct dv_wanted_image {
    const davit_manifest *manifest; /* borrowed from a document */
    davit_digest digest;
    davit_platform platform; /* of its index entry; empty otherwise */
    bool through_index;
} dv_wanted_image;

/* Everything that one reference stands for. */
typedef struct dv_wanted {
    dv_document *documents; /* the target first */
    size_t document_count;
    size_t document_bytes, document_items; /* of all together, which is limited */
    dv_wanted_image *images;
    size_t image_count;
    davit_descriptor *blobs; /* configs and layers, each digest once; media types borrowed from documents */
    bool *is_config;
    bool *present; /* filled by dv_pull_look() */
    size_t blob_count;
} dv_wanted;

void dv_pull_message(const dv_pull *p, const char *id, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void dv_pull_warn(const dv_pull *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* davit_pull() on an embedder's terms. */
int dv_pull_on(davit_client *client, const davit_reference *ref, const davit_pull_options *options,
               const dv_pull_terms *terms, davit_pull_result *out, davit_error **err);

/* davit_pull() with a follower, who may be NULL. */
int dv_pull_followed(davit_client *client, const davit_reference *ref, const davit_pull_options *options,
                     const dv_pull_follower *follower, davit_pull_result *out, davit_error **err);

/* pull_v2.c: an image of a system that is not the host's is not taken unless its platform was asked for. */
int dv_pull_check_system(const davit_platform *asked, const char *os, davit_error **err);

/* pull_v2.c: one reference (with tag or digest) from one registry. */
int dv_pull_reference(dv_pull *p, dv_registry *reg, const davit_reference *ref, davit_error **err);

/* pull_v2.c: an image's config by itself and against its manifest. Its platform becomes the image's, if that has none. */
int dv_pull_check_config(const dv_pull *p, dv_wanted_image *image, const void *bytes, size_t size,
                         davit_error **err);

/* pull_own.c: what pull_v2.c does with the client's store, with an embedder's. */
static inline bool dv_pull_is_own(const dv_pull *p)
{
    return p->terms.own && p->terms.own->has_content;
}
bool dv_pull_own_knows(const dv_pull *p, const davit_reference *ref); /* the tag was pulled before */
int dv_pull_own_look(const dv_pull *p, dv_wanted *w, davit_error **err);
bool dv_pull_own_is_recorded(const dv_pull *p, const davit_reference *ref, const dv_wanted *w);
int dv_pull_own_take(dv_pull *p, dv_registry *reg, const davit_reference *ref, dv_wanted *w, bool quiet,
                     davit_error **err);

int dv_pull_tell_image(const dv_pull *p, const davit_manifest *manifest, davit_error **err);
int dv_pull_tell_blob(const dv_pull *p, const davit_digest *blob, davit_error **err);
int dv_pull_tell_turn(const dv_pull *p, davit_error **err);

/* pull_blobs.c: which blobs the store has; then fetch the others, telling the progress. */
int dv_pull_look(dv_pull *p, dv_wanted *w, davit_error **err);
int dv_pull_fetch(dv_pull *p, dv_registry *reg, const dv_wanted *w, bool quiet, davit_error **err);

#endif

/*
 * distribution/push_private.h - what the stages of one push share: push.c (endpoints, tags), push_v2.c (one reference: what goes, and the
 * manifests), push_blobs.c (configs and layers). Threads: the calling one.
 */
#ifndef DV_DISTRIBUTION_PUSH_PRIVATE_H
#define DV_DISTRIBUTION_PUSH_PRIVATE_H

#include "davit/manifest.h"
#include "davit/push.h"

#include "distribution/own_stores.h"
#include "distribution/xfer_upload.h"

#define DV_PUSH_ID_MAX 13 /* 12 hex digits and a NUL */

typedef struct dv_push {
    davit_client *client;
    const davit_push_options *options;
    const dv_own_stores *own; /* whose resolver says where it goes; NULL: the client's service */
    const char *const *meta_headers;
    const davit_reference *ref; /* as it was given */
    dv_uploads *uploads;
    dv_store *store;
    dv_lease *lease;    /* names what is pushed, once something is */
    davit_digest *done; /* blobs that this endpoint has: no tag asks again (push.md 2) */
    size_t done_count;
    davit_push_result result;
} dv_push;

/* One blob of an image, each digest once. */
typedef struct dv_push_blob {
    davit_descriptor descriptor; /* its media type is borrowed from a document */
    char id[DV_PUSH_ID_MAX];     /* in the progress */
    bool is_layer;
    bool is_listed; /* by an index, as it is */
    bool skipped;   /* a foreign layer that stays where it is */
} dv_push_blob;

/* A manifest or index to put. */
typedef struct dv_push_document {
    davit_manifest *manifest;
    davit_digest digest;
} dv_push_document;

/* Everything that goes with one reference. */
typedef struct dv_push_content {
    dv_push_document *documents; /* what lists comes after what is listed; the last goes under the tag */
    size_t document_count, document_bytes;
    dv_push_blob *blobs; /* layers as they are told, top first, and configs behind them */
    size_t blob_count, blob_capacity;
} dv_push_content;
void dv_push_content_clear(dv_push_content *c);
DV_DEFINE_AUTO(dv_push_content, dv_push_content_clear)

void dv_push_message(const dv_push *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void dv_push_warn(const dv_push *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void dv_push_tell(const dv_push *p, const char *id, const char *action, const dv_upload_event *counts);

/* push.c: what differs between pushes. */
typedef struct dv_push_stages {
    int (*find)(dv_push *p, void *user, davit_error **err); /* what is to be pushed; asks nobody */
    int (*push)(dv_push *p, dv_registry *reg, void *user,
                davit_error **err); /* at one endpoint, from the start */
    void *user;
} dv_push_stages;

/* davit_push() with a resolver and headers of an embedder's; both may be NULL. */
int dv_push_on(davit_client *client, const davit_reference *ref, const davit_push_options *options,
               const dv_own_stores *own, const char *const *meta_headers, davit_push_result *out,
               davit_error **err);

/* Checks, the first line, and the endpoints in order, with other credentials once more. p has client, options and ref. */
int dv_push_over_endpoints(dv_push *p, const dv_push_stages *stages, davit_push_result *out,
                           davit_error **err);

/* push_blobs.c: uploads that are waited for together. */
typedef struct dv_push_run {
    dv_push *push;
    dv_queue *events;
    dv_upload_watch *watches; /* filled by the caller, count of them */
    const char **ids;         /* in the progress; NULL: not told */
    dv_upload_state *states;  /* how each ended */
    size_t count, first_running;
} dv_push_run;

int dv_push_run_init(dv_push_run *run, size_t capacity, davit_error **err);
void dv_push_run_clear(dv_push_run *run);
DV_DEFINE_AUTO(dv_push_run, dv_push_run_clear)
/*
 * Until all are there, or one failed: the error is that of the first in the list, *out_failed. Then nothing of the watches is used any
 * more.
 */
int dv_push_run_wait(dv_push_run *run, size_t *out_failed, davit_error **err);
/* Count a blob that is there. */
void dv_push_count(dv_push *p, dv_upload_state state, uint64_t size);

/* push_v2.c: PUT, and what is said and recorded of it. */
int dv_push_put(dv_registry *reg, const char *name, const dv_push_document *d, davit_error **err);
void dv_push_report(dv_push *p, const davit_reference *ref, const dv_push_document *d);

/* push_v2.c: one tag to one registry. target: what the store has under it. */
int dv_push_reference(dv_push *p, dv_registry *reg, const davit_reference *ref,
                      const davit_descriptor *target, davit_error **err);

typedef enum dv_push_how {
    DV_PUSH_AS_USUAL,
    DV_PUSH_MISSING, /* the registry misses something: mounts are not believed, and nothing counts as done */
} dv_push_how;

/* push_blobs.c: until the registry has all blobs, or one failed: the error is that of the first in the list. */
int dv_push_blobs(dv_push *p, dv_registry *reg, const char *repository, dv_push_content *c, dv_push_how how,
                  davit_error **err);

#endif

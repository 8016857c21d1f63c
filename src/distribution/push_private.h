/*
 * distribution/push_private.h - what the stages of one push share: push.c (endpoints, tags), push_v2.c (one reference: what goes, and the
 * manifests), push_blobs.c (configs and layers). Threads: the calling one.
 */
#ifndef DV_DISTRIBUTION_PUSH_PRIVATE_H
#define DV_DISTRIBUTION_PUSH_PRIVATE_H

#include "davit/manifest.h"
#include "davit/push.h"

#include "distribution/xfer_upload.h"

#define DV_PUSH_ID_MAX 13 /* 12 hex digits and a NUL */

typedef struct dv_push {
    davit_client *client;
    const davit_push_options *options;
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
    bool skipped; /* a foreign layer that stays where it is */
    bool is_done; /* it is there for sure */
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

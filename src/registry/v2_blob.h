/*
 * registry/v2_blob.h - the bytes of a blob, whole or a range. Spec: registry-v2.md 5.
 *
 * One call is one request; going on after a failure is the caller's business (distribution/xfer_download.c). The bytes are
 * not checked against the digest here: that is the ingest's.
 */
#ifndef DV_REGISTRY_V2_BLOB_H
#define DV_REGISTRY_V2_BLOB_H

#include "davit/digest.h"
#include "net/range.h"
#include "registry/call.h"

typedef struct dv_blob_get dv_blob_get;

typedef struct dv_blob_handler {
    /* The answer: whole (from byte 0) or the part that was asked for; length is its Content-Length. Negative ends it. */
    int (*on_answer)(void *user, dv_range_answer answer, uint64_t length, davit_error **err);
    int (*on_body)(void *user, const void *bytes, size_t size, davit_error **err); /* as dv_exchange_handler */
    /* r < 0 and refused: the server does not resume (416, 400, a wrong 206); DAVIT_ENOTFOUND "unknown blob". */
    void (*on_done)(void *user, int r, bool refused, davit_error *err);
} dv_blob_handler;

typedef struct dv_blob_range {
    bool asked; /* false: the whole blob without a Range header */
    uint64_t first;
    uint64_t last; /* DAVIT_SIZE_UNKNOWN: to the end */
    bool fresh;    /* over a new connection: the last one broke */
    bool large;    /* one stream of many bytes: a bigger receive buffer pays */
} dv_blob_range;

/*
 * Threads: loop. size is the blob's or DAVIT_SIZE_UNKNOWN. document: JSON, which some registries gzip unasked (quirks.md); it is
 * decoded and counts as it is then. On failure no callback is called.
 */
int dv_blob_get_start(dv_registry *reg, const davit_digest *digest, uint64_t size, bool document,
                      const dv_blob_range *range, const dv_blob_handler *handler, void *user,
                      dv_blob_get **out, davit_error **err);
/* Threads: loop. No further callback. Not from within one of its own callbacks. */
void dv_blob_get_cancel(dv_blob_get *get);
void dv_blob_get_resume(dv_blob_get *get);

/* --- whether it is there ------------------------------------------------------------------------------------------ */

typedef struct dv_blob_head dv_blob_head;

/* The end; the question is gone. r is 0: it is there and has size bytes; DAVIT_ENOTFOUND "unknown blob". */
typedef void dv_blob_head_fn(void *user, int r, uint64_t size, davit_error *err);

/* Threads: loop. Repeated by the client's policy. On failure no callback is called. */
int dv_blob_head_start(dv_registry *reg, const davit_digest *digest, dv_blob_head_fn *ended, void *user,
                       dv_blob_head **out, davit_error **err);
/* Threads: loop. No further callback. Not from within one of its own callbacks. */
void dv_blob_head_cancel(dv_blob_head *head);

/* Threads: a caller's; block. Texts as above. */
int dv_v2_blob_head(dv_registry *reg, const davit_digest *digest, uint64_t *out_size, davit_error **err);
/* DAVIT_ENOTFOUND "unknown blob"; DAVIT_EUNSUPPORTED: this registry deletes nothing. */
int dv_v2_blob_delete(dv_registry *reg, const davit_digest *digest, davit_error **err);

/* Threads: a caller's; blocks. A small blob whole, in memory, repeated by the client's policy; not verified. */
int dv_v2_blob_read(dv_registry *reg, const davit_digest *digest, size_t max, dv_response *out,
                    davit_error **err);

#endif

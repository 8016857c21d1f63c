/*
 * distribution/own_blob.h - blobs into and out of an embedder's content store (davit/own_stores.h). Nothing is committed that was not hashed
 * here, and nothing is believed that was read. Threads: a caller's; the table is called there.
 */
#ifndef DV_DISTRIBUTION_OWN_BLOB_H
#define DV_DISTRIBUTION_OWN_BLOB_H

#include "distribution/own_stores.h"
#include "registry/registry.h"

/* 1: it is there with this size (or DAVIT_SIZE_UNKNOWN); 0: it is not. */
int dv_own_content_has(const davit_content_store *c, const davit_digest *digest, uint64_t size,
                       davit_error **err);
/* 1: read, and its bytes are right; 0: not there, or damaged. */
int dv_own_content_read(const davit_content_store *c, const davit_digest *digest, size_t max, dv_buf *out,
                        davit_error **err);
/* Bytes that are in memory and were hashed. */
int dv_own_content_put(const davit_content_store *c, const davit_descriptor *descriptor, const void *bytes,
                       davit_error **err);

/* Whether the label of its sources names this repository; then let it. Labels that fail are logged. */
bool dv_own_content_has_source(const davit_content_store *c, const davit_digest *digest,
                               const davit_reference *ref);
void dv_own_content_add_source(const davit_content_store *c, const davit_digest *digest,
                               const davit_reference *ref);

/* One layer from a registry into the content store. */
typedef struct dv_own_fetch {
    const davit_content_store *content;
    const davit_descriptor *layer;
    const davit_digest *diff_id; /* what it must inflate to; NULL: it is not inflated */
    void (*tell)(void *user, uint64_t current, uint64_t total); /* bytes, now and then */
    void (*retrying)(void *user, unsigned seconds);
    void (*verifying)(void *user);
    void *user;
    uint64_t fetched; /* bytes that came over the network; set also on failure */
    bool present;     /* the store had it */
} dv_own_fetch;

/*
 * Goes on where an earlier one stopped, over cut connections, and begins anew at most once where the server or what was left cannot be
 * gone on with. DAVIT_EDIGEST: nothing was committed, and what came was dropped.
 */
int dv_own_blob_fetch(dv_own_fetch *f, dv_registry *reg, davit_error **err);

#endif

/* store/content_store.h - blobs by digest: looking and reading. Bytes enter only through store/ingest.h. */
#ifndef DV_STORE_CONTENT_STORE_H
#define DV_STORE_CONTENT_STORE_H

#include "davit/descriptor.h"
#include "store/store.h"
#include "util/buf.h"

/* 1: there (and of this size, unless DAVIT_SIZE_UNKNOWN); 0: not there (a wrong size counts as not there); < 0: error. */
int dv_content_has(dv_store *s, const davit_digest *digest, uint64_t size, davit_error **err);
/* Open for reading; size is checked when known (threats B8). DAVIT_ENOTFOUND when absent. The fd is the caller's. */
int dv_content_open(dv_store *s, const davit_digest *digest, uint64_t size, int *out_fd, uint64_t *out_size,
                    davit_error **err);
/* Read a small document whole and check its digest. DAVIT_ENOTFOUND, DAVIT_ETOOBIG, DAVIT_EDIGEST. */
int dv_content_read(dv_store *s, const davit_digest *digest, size_t max, dv_buf *out, davit_error **err);
/* Put the leases rows first: name blobs in a lease, one transaction. Before anybody looks for them. */
int dv_lease_add(dv_lease *l, const davit_digest *digests, size_t count, davit_error **err);
/* Make every rename into blobs/ since the last call durable: one fsync per directory touched. */
int dv_content_sync(dv_store *s, davit_error **err);

#endif

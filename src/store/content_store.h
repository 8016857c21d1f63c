/* store/content_store.h - blobs by digest: looking and reading. Bytes enter only through store/ingest.h. */
#ifndef DV_STORE_CONTENT_STORE_H
#define DV_STORE_CONTENT_STORE_H

#include "davit/descriptor.h"
#include "store/store.h"
#include "util/buf.h"

#include <sys/stat.h>

/* 1: there (and of this size, unless DAVIT_SIZE_UNKNOWN); 0: not there (a wrong size counts as not there); < 0: error. */
int dv_content_has(dv_store *s, const davit_digest *digest, uint64_t size, davit_error **err);
/* Open for reading; size is checked when known (threats B8). DAVIT_ENOTFOUND when absent or of another size. The fd is the
 * caller's. */
int dv_content_open(dv_store *s, const davit_digest *digest, uint64_t size, int *out_fd, uint64_t *out_size,
                    davit_error **err);
/* Read a small document whole and check its digest. DAVIT_ENOTFOUND, DAVIT_ETOOBIG, DAVIT_EDIGEST. */
int dv_content_read(dv_store *s, const davit_digest *digest, size_t max, dv_buf *out, davit_error **err);
/* Visit every entry of blobs/ whose name is a digest's, with what lstat() says of it. < 0 from visit ends it. */
typedef int dv_content_visit(dv_store *s, const davit_digest *digest, const struct stat *st, void *user_data,
                             davit_error **err);
int dv_content_walk(dv_store *s, dv_content_visit *visit, void *user_data, davit_error **err);
/*
 * Make every name in blobs/ that this store object gave or relied on (also one that another process gave lately) durable:
 * at most one fsync for each algorithm. Before the row that needs them.
 */
int dv_content_sync(dv_store *s, davit_error **err);

/* For this folder: the path of a blob within the store (DAVIT_EUNSUPPORTED for sha384), and word of a rename into it. */
#define DV_CONTENT_NAME_MAX 160
int dv_content_name(const davit_digest *digest, char out[DV_CONTENT_NAME_MAX], davit_error **err);
void dv_content_renamed(dv_store *s, const davit_digest *digest);

#endif

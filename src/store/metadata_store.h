/* store/metadata_store.h - caches: which repositories hold a blob, and which diff_id a blob has (store.md 6). */
#ifndef DV_STORE_METADATA_STORE_H
#define DV_STORE_METADATA_STORE_H

#include "davit/digest.h"
#include "store/store.h"

#define DV_METADATA_SOURCES_MAX 50 /* repositories remembered for one blob */

/* Repositories (full names) known to hold a blob, newest first. Free with dv_metadata_sources_free(). */
int dv_metadata_sources(dv_store *s, const davit_digest *blob, char ***out, size_t *out_count,
                        davit_error **err);
void dv_metadata_sources_free(char **sources, size_t count);
/* This repository holds these blobs: the newest source of each. One transaction, or joins the one of this thread. */
int dv_metadata_add_sources(dv_store *s, const char *repository, const davit_digest *blobs, size_t count,
                            davit_error **err);
/* The diff_id of a blob that was inflated and hashed here. DAVIT_ENOTFOUND. */
int dv_metadata_get_diff_id(dv_store *s, const davit_digest *blob, davit_digest *out, davit_error **err);
/* Only for code that inflated and hashed that very blob (DESIGN 5). */
int dv_metadata_put_diff_id(dv_store *s, const davit_digest *blob, const davit_digest *diff_id,
                            davit_error **err);

#endif

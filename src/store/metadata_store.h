/* store/metadata_store.h - caches: which repositories hold a blob, and which diff_id a blob has (store.md 6). */
#ifndef DV_STORE_METADATA_STORE_H
#define DV_STORE_METADATA_STORE_H

#include "davit/digest.h"
#include "store/metadata_entry.h"
#include "store/store.h"

#define DV_METADATA_SOURCES_MAX 50 /* remembered for one blob, and used of one layer */

/* Repositories (full names) known to hold a blob, newest first. Free with dv_metadata_sources_free(). */
int dv_metadata_sources(dv_store *s, const davit_digest *blob, char ***out, size_t *out_count,
                        davit_error **err);
void dv_metadata_sources_free(char **sources, size_t count);
/*
 * This repository holds these blobs, seen with the credentials of this key ("" for none): the newest source of each. One transaction, or
 * joins the one of this thread.
 */
int dv_metadata_add_sources(dv_store *s, const char *repository, const char *key, const davit_digest *blobs,
                            size_t count, davit_error **err);

/* Entries of one blob, or of every blob that has this diff_id; oldest first, the newest 50. None is no error. */
int dv_metadata_by_blob(dv_store *s, const davit_digest *blob, dv_metadata_entries *out, davit_error **err);
int dv_metadata_by_diff_id(dv_store *s, const davit_digest *diff_id, dv_metadata_entries *out,
                           davit_error **err);
/*
 * The repository holds the blob, seen with the credentials of this key ("" for none): the newest entry. diff_id: NULL, or that of the
 * blob, which the caller has just compressed from it. repository "" says only that the blob is one of diff_id.
 */
int dv_metadata_add(dv_store *s, const davit_digest *blob, const davit_digest *diff_id,
                    const char *repository, const char *key, davit_error **err);
/* Forget exactly this entry; which diff_id its blob has stays known. */
int dv_metadata_remove(dv_store *s, const dv_metadata_entry *entry, davit_error **err);

/* The diff_id of a blob that was inflated and hashed here. DAVIT_ENOTFOUND. */
int dv_metadata_get_diff_id(dv_store *s, const davit_digest *blob, davit_digest *out, davit_error **err);
/* Only for code that inflated and hashed that very blob (DESIGN 5). */
int dv_metadata_put_diff_id(dv_store *s, const davit_digest *blob, const davit_digest *diff_id,
                            davit_error **err);

#endif

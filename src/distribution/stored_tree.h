/*
 * distribution/stored_tree.h - of a manifest or index and all that it lists: what the store has (DESIGN 6).
 *
 * Threads: a caller's.
 */
#ifndef DV_DISTRIBUTION_STORED_TREE_H
#define DV_DISTRIBUTION_STORED_TREE_H

#include "davit/manifest.h"
#include "store/store.h"

#define DV_STORED_MANIFESTS_MAX 16384 /* followed in one walk (threats C3) */

typedef struct dv_stored_tree {
    dv_store *store; /* borrowed */
    size_t followed;
} dv_stored_tree;

/* A manifest of the store, verified; its digest is before a message. media_type may be NULL. */
int dv_stored_manifest(dv_store *store, const davit_digest *digest, const char *media_type,
                       davit_manifest **out, davit_error **err);
/* Whether an entry of an index is a document that lists others. */
bool dv_stored_is_followed(const davit_descriptor *entry);
/* Whether it is an image of a platform: an attestation is none. */
bool dv_stored_is_image(const davit_descriptor *entry);
/* Whether a platform is the one that is wanted; what is not wanted of it does not matter. */
bool dv_stored_is_platform(const davit_platform *have, const davit_platform *wanted);

/* Count one document more, depth indexes deep. DAVIT_ETOOBIG. */
int dv_stored_follow(dv_stored_tree *t, unsigned depth, davit_error **err);
/* 1: the blob is there; 0: not. */
int dv_stored_has(const dv_stored_tree *t, const davit_descriptor *blob, davit_error **err);
/* 1: the document is there and all that it lists, foreign layers excepted; 0: not. */
int dv_stored_is_complete(dv_stored_tree *t, const davit_descriptor *document, unsigned depth,
                          davit_error **err);
/* The same of the documents that an index lists. */
int dv_stored_index_is_complete(dv_stored_tree *t, const davit_manifest *index, unsigned depth,
                                davit_error **err);

#endif

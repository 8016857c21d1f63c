/*
 * store/gc.h - collection: which blobs nothing needs any more, and their removal.
 *
 * A blob named by a row (or by what a row names) or by a live lease is never collected. Blobs are unlinked only inside a BEGIN
 * IMMEDIATE that has just seen neither reference nor live lease (DESIGN 6); rows that named them are gone from the disk before.
 */
#ifndef DV_STORE_GC_H
#define DV_STORE_GC_H

#include "store/content_graph.h"

#define DV_GC_TURN_MS 2000 /* how long other processes may have to wait for one transaction's unlinking */

typedef struct dv_gc_result {
    uint64_t blobs, bytes;
} dv_gc_result;

/* Which nodes have which reasons to stay. */
enum { DV_GC_NEEDED = 1u << 0, DV_GC_LEASED = 1u << 1 };

/* Add what references, images and unpacked layers name to the graph, and mark it with all that it needs. out_damaged as in mark(). */
int dv_gc_mark_rows(dv_content_graph *g, dv_content_marks *m, const dv_content_node **out_damaged,
                    davit_error **err);
/* Add what leases name to the graph; marks get room for it, and DV_GC_LEASED where they have nothing else. */
int dv_gc_mark_leases(dv_content_graph *g, dv_content_marks *m, davit_error **err);

/*
 * Remove the unneeded ones of these blobs, or of all. The rows that caches have about them go too.
 *
 * dry: count only; joins the transaction that is open on this thread, so that rows deleted in it count as deleted. On failure out
 * says what was removed before it.
 * Errors: DAVIT_ESTORE "... run 'davit fsck --repair'": a document that is needed is damaged, so what it needs is not known.
 */
int dv_gc_collect(dv_store *s, const dv_digest_set *candidates, bool dry, dv_gc_result *out,
                  davit_error **err);

#endif

/* store/removal_list.h - what a removal did, as davit/store.h shows it; and which layers went with the images. */
#ifndef DV_STORE_REMOVAL_LIST_H
#define DV_STORE_REMOVAL_LIST_H

#include "davit/store.h"
#include "store/digest_set.h"
#include "store/image_store.h"

typedef struct dv_removals {
    davit_removal *items; /* texts are owned */
    size_t count;
} dv_removals;
void dv_removals_clear(dv_removals *list);
DV_DEFINE_AUTO(dv_removals, dv_removals_clear)
/* Forget what came behind the first count. */
void dv_removals_cut(dv_removals *list, size_t count);
int dv_removals_add(dv_removals *list, davit_removal_kind kind, const char *text, int code, davit_error **err);

struct davit_removal_list {
    dv_removals removals;
    davit_reclaimed reclaimed;
};

/*
 * How many images have each chain of layers. Counted from the configs when it is first asked, so that a removal which only
 * untags reads none of them.
 */
typedef struct dv_chain_counts {
    bool counted;
    dv_digest_set chains;
    uint32_t *images; /* by number of the chain */
    uint32_t capacity;
} dv_chain_counts;
void dv_chain_counts_clear(dv_chain_counts *c);
DV_DEFINE_AUTO(dv_chain_counts, dv_chain_counts_clear)
/* Of all images that are recorded. */
int dv_chain_counts_fill(dv_store *s, dv_chain_counts *counts, davit_error **err);
/*
 * Add a record for each layer that went with these images, which have no row any more; for each image behind its own record, top
 * first. Their configs are still there.
 */
int dv_removals_add_layers(dv_store *s, dv_chain_counts *counts, const dv_image_digests *deleted,
                           dv_removals *list, davit_error **err);

#endif

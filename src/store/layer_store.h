/*
 * store/layer_store.h - unpacked layers: one row and one directory layers/<chain-hex> each (DESIGN 6; store.md 4).
 *
 * A row names the blob that the layer was made from, which therefore stays. References are rows of a live lease. A directory gets its name, and
 * loses it, only inside the transaction that makes or deletes its row, so that either alone is what a dead process left: layer_sweep.c
 * removes it. In layers/ there are
 *
 *   <64 hex digits>/diff                      a layer
 *   new-<lease>-<number>                      one that is being unpacked by the owner of that lease
 *   <64 hex digits>-<16 hex digits>-removing  one that is being removed
 *
 * layer_store.c gets, lists and releases, layer_register.c makes layers, layer_stream.c reads their tar, layer_provider.c gives them to a push.
 */
#ifndef DV_STORE_LAYER_STORE_H
#define DV_STORE_LAYER_STORE_H

#include "davit/layer.h"
#include "store/digest_set.h"
#include "store/store.h"
#include "util/buf.h"

#include <stdatomic.h>

#define DV_LAYER_NAME_MAX 128 /* of "layers/" and a name with what is below */

struct davit_layer_store {
    atomic_uint references;
    dv_store *store;
    dv_lease *lease;    /* NULL: open for reading only */
    atomic_uint staged; /* how many were begun, for their names */
};

struct davit_layer {
    davit_layer_store *layers;
    davit_layer_info info;
    davit_digest blob;
    unsigned depth; /* 1 at the bottom */
    davit_layer_descriptor descriptor;
    bool has_descriptor;
    char *path;
    atomic_bool held; /* its reference was not given up yet */
};

davit_layer_store *dv_layer_store_ref(davit_layer_store *l);
/* Without finishing what dead processes left. */
int dv_layer_store_open_as_is(dv_store *s, davit_layer_store **out, davit_error **err);
DV_DEFINE_AUTOPTR(davit_layer_store, davit_layer_store_free)
DV_DEFINE_AUTOPTR(davit_layer, davit_layer_free)
DV_DEFINE_AUTOPTR(davit_layer_list, davit_layer_list_free)

/* "layers/<chain-hex>", with "/diff" behind it when asked. */
void dv_layer_name(const davit_digest *chain, bool diff, char out[DV_LAYER_NAME_MAX]);
/* Joins the transaction of this thread. DAVIT_ENOTFOUND "layer does not exist". No reference is taken: held is false. */
int dv_layer_load(davit_layer_store *l, const davit_digest *chain, davit_layer **out, davit_error **err);
int dv_layer_not_there(davit_error **err);

/*
 * Whether its directory holds what its blob says, which is unpacked once more beside it. 1: it does; 0: *out says what differs. A layer that
 * is gone meanwhile is right; so is one whose directory belongs to another user, whom unpacking gives other owners.
 */
int dv_layer_verify(davit_layer_store *l, const davit_digest *chain, dv_buf *out, davit_error **err);

/* The text of a descriptor's row; "" for none. New. */
int dv_layer_descriptor_format(const davit_layer_descriptor *d, char **out, davit_error **err);
/* Into texts of its own. *out_has false for "". */
int dv_layer_descriptor_parse(const char *text, davit_layer_descriptor *out, bool *out_has, davit_error **err);
void dv_layer_descriptor_clear(davit_layer_descriptor *d);

/* --- removing (layer_sweep.c) --- */

typedef struct dv_layer_sweep_result {
    uint64_t layers, bytes; /* as the file system takes them */
} dv_layer_sweep_result;

/* Directories that have lost their name and wait for their removal, after the transaction. */
typedef struct dv_layer_doomed {
    char (*names)[DV_LAYER_NAME_MAX];
    size_t count;
} dv_layer_doomed;
/* Removes them. */
void dv_layer_doomed_finish(dv_store *s, dv_layer_doomed *d);
/* Gives those that were layers their names again, as their rows stay. Within the transaction that fails. */
void dv_layer_doomed_undo(dv_store *s, dv_layer_doomed *d);
void dv_layer_doomed_clear(dv_layer_doomed *d);
DV_DEFINE_AUTO(dv_layer_doomed, dv_layer_doomed_clear)

/* Whether a layer on top or a lease needs it. Within a transaction. 1, 0, < 0. */
int dv_layer_is_needed(dv_store *s, const davit_digest *chain, davit_error **err);
/* Delete its row, and rename its directory. Within a transaction. dry: the row only. */
int dv_layer_doom(dv_store *s, const davit_digest *chain, bool dry, dv_layer_doomed *d, davit_error **err);
/* A directory without row, such as one whose maker died: rename it; absent is fine. Within a transaction. */
int dv_layer_doom_directory(dv_store *s, const davit_digest *chain, dv_layer_doomed *d, davit_error **err);

/* What dead processes left. */
int dv_layer_sweep(dv_store *s, davit_error **err);
/* Chains of the layers that no lease and no image needs, nor any layer that one does. Only looks. */
int dv_layer_unneeded(dv_store *s, dv_digest_set *out, davit_error **err);
/* Removes those. dry: only count; joins the transaction that is open on this thread. */
int dv_layer_prune(dv_store *s, bool dry, dv_layer_sweep_result *out, davit_error **err);

/* What is in layers/ and belongs to nobody alive, or to no row, and rows without their directory: how often. For fsck. */
typedef enum dv_layer_entry {
    DV_LAYER_ENTRY_LAYER,
    DV_LAYER_ENTRY_STAGED,   /* its owner lives */
    DV_LAYER_ENTRY_LEFTOVER, /* dv_layer_sweep() removes it */
    DV_LAYER_ENTRY_STRAY,
} dv_layer_entry;
/* By its name, its owner's lease, and the rows. */
int dv_layer_judge(dv_store *s, const char *name, dv_layer_entry *out, davit_error **err);

#endif

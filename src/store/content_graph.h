/*
 * store/content_graph.h - which blob needs which: manifests and indexes of the store, each read once.
 *
 * A node is a digest; what a document lists are its edges. Digests are hashes of what lists them, so there are no circles.
 * Threads: one at a time.
 */
#ifndef DV_STORE_CONTENT_GRAPH_H
#define DV_STORE_CONTENT_GRAPH_H

#include "davit/descriptor.h"
#include "store/digest_set.h"
#include "store/store.h"

typedef enum dv_content_state {
    DV_CONTENT_LEAF,     /* a config, a layer, anything that lists nothing */
    DV_CONTENT_UNREAD,   /* for this file */
    DV_CONTENT_DOCUMENT, /* read and verified: its edges are known */
    DV_CONTENT_ABSENT,   /* a document that is not in the store */
    DV_CONTENT_DAMAGED, /* its bytes are not what its digest says, or no document: what it lists is not known */
} dv_content_state;

typedef struct dv_content_node {
    uint64_t size;          /* as listed; DAVIT_SIZE_UNKNOWN for a root */
    const char *media_type; /* a constant, or NULL */
    uint32_t first_edge, edge_count;
    uint8_t state;   /* dv_content_state */
    bool is_layer;   /* something lists it as one */
    bool is_foreign; /* a layer that need not be here */
} dv_content_node;

typedef struct dv_content_graph {
    dv_store *store; /* borrowed */
    dv_digest_set digests;
    dv_content_node *nodes; /* by the number of the digest */
    uint32_t node_capacity;
    uint32_t *edges;
    uint32_t edge_count, edge_capacity;
    uint32_t *pending;
    uint32_t pending_count, pending_capacity;
} dv_content_graph;
#define DV_CONTENT_GRAPH_INIT(the_store) \
    {                                    \
        .store = (the_store)             \
    }

void dv_content_graph_clear(dv_content_graph *g);
DV_DEFINE_AUTO(dv_content_graph, dv_content_graph_clear)

/* A blob that lists nothing. */
int dv_content_graph_add_blob(dv_content_graph *g, const davit_digest *digest, uint32_t *out_node,
                              davit_error **err);
/*
 * A manifest or index, and everything it lists, read from the store. media_type may be NULL or "". Damage is a state, not an
 * error; what could not be read is one (DAVIT_EIO), and after one the graph can only be cleared.
 */
int dv_content_graph_add_document(dv_content_graph *g, const davit_digest *digest, const char *media_type,
                                  uint32_t *out_node, davit_error **err);
/* Name all that it has in a lease, which keeps it from then on: what a prune took before is missed where it is read. */
int dv_content_graph_hold(const dv_content_graph *g, dv_lease *lease, davit_error **err);
/* Look once more for documents that were absent or damaged: other processes may have fetched them meanwhile. */
int dv_content_graph_refresh(dv_content_graph *g, davit_error **err);

/* One byte for each node, to be marked; grows with the graph. */
typedef struct dv_content_marks {
    uint8_t *of; /* by node */
    uint32_t capacity;
} dv_content_marks;
void dv_content_marks_clear(dv_content_marks *m);
DV_DEFINE_AUTO(dv_content_marks, dv_content_marks_clear)
/* Room for all nodes, and none of them marked. */
int dv_content_marks_reset(dv_content_marks *m, const dv_content_graph *g, davit_error **err);
/* Mark a node and all that it needs; what is marked is not visited again. *out_damaged: one of them is, else left as it is;
 * may be NULL. */
int dv_content_graph_mark(const dv_content_graph *g, dv_content_marks *m, uint32_t node,
                          const dv_content_node **out_damaged, davit_error **err);

static inline uint32_t dv_content_graph_number(const dv_content_graph *g, const dv_content_node *node)
{
    return (uint32_t)(node - g->nodes);
}

#endif

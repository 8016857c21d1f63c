/*
 * store/content_graph.c - see content_graph.h. Decides what a document needs: of an index its entries, of a manifest its config
 * and layers; not its subject, which lives on its own. Entries that are no manifests are blobs (DESIGN 6).
 */
#include "store/content_graph.h"

#include "davit/manifest.h"
#include "oci/manifest.h"
#include "oci/media_type.h"
#include "store/content_store.h"

#include <string.h>

#define CAPACITY_MIN 64u

void dv_content_graph_clear(dv_content_graph *g)
{
    dv_digest_set_clear(&g->digests);
    free(g->nodes);
    free(g->edges);
    free(g->pending);
    *g = (dv_content_graph){.store = g->store};
}

/* Room for one more; *items of *capacity elements. */
static int reserve(void **items, uint32_t *capacity, uint32_t count, size_t size, davit_error **err)
{
    if (count < *capacity)
        return 0;
    uint32_t wanted = *capacity ? 2 * *capacity : CAPACITY_MIN;
    void *grown = wanted > *capacity ? dv_realloc_array(*items, wanted, size) : NULL;
    if (!grown)
        return dv_error_oom(err);
    *items = grown;
    *capacity = wanted;
    return 0;
}

static int push_pending(dv_content_graph *g, uint32_t node, davit_error **err)
{
    int r = reserve((void **)&g->pending, &g->pending_capacity, g->pending_count, sizeof(*g->pending), err);
    if (r == 0)
        g->pending[g->pending_count++] = node;
    return r;
}

static int push_edge(dv_content_graph *g, uint32_t node, davit_error **err)
{
    int r = reserve((void **)&g->edges, &g->edge_capacity, g->edge_count, sizeof(*g->edges), err);
    if (r == 0)
        g->edges[g->edge_count++] = node;
    return r;
}

/* The node of a digest, made when it is new. Room comes first, so that every digest of the set has a node. */
static int add_node(dv_content_graph *g, const davit_digest *digest, uint32_t *out, davit_error **err)
{
    int r = reserve((void **)&g->nodes, &g->node_capacity, g->digests.count, sizeof(*g->nodes), err);
    if (r == 0)
        r = dv_digest_set_add(&g->digests, digest, out, err);
    if (r == 1)
        g->nodes[*out] = (dv_content_node){.size = DAVIT_SIZE_UNKNOWN};
    return r < 0 ? r : 0;
}

int dv_content_graph_add_blob(dv_content_graph *g, const davit_digest *digest, uint32_t *out_node,
                              davit_error **err)
{
    return add_node(g, digest, out_node, err);
}

/* What is not known yet is read: a leaf that turns out to be a document, and what was not there or not right before. */
static int add_document(dv_content_graph *g, const davit_digest *digest, const char *media_type,
                        uint32_t *out, davit_error **err)
{
    int r = add_node(g, digest, out, err);
    if (r < 0 || g->nodes[*out].state == DV_CONTENT_DOCUMENT || g->nodes[*out].state == DV_CONTENT_UNREAD)
        return r;
    r = push_pending(g, *out, err);
    if (r == 0) {
        g->nodes[*out].state = DV_CONTENT_UNREAD;
        g->nodes[*out].media_type = media_type ? dv_media_type_intern(media_type) : NULL;
    }
    return r;
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

static bool is_document(const char *media_type)
{
    dv_media_kind kind = dv_media_type_kind(media_type ? media_type : "");
    return kind == DV_MEDIA_MANIFEST || kind == DV_MEDIA_INDEX;
}

static bool is_foreign(const char *media_type)
{
    return media_type && (strcmp(media_type, DV_MEDIA_TYPE_DOCKER_FOREIGN) == 0 ||
                          strcmp(media_type, DV_MEDIA_TYPE_DOCKER_FOREIGN_GZIP) == 0);
}

static int list_one(dv_content_graph *g, const davit_descriptor *desc, bool as_entry, bool as_layer,
                    davit_error **err)
{
    uint32_t node;
    int r = as_entry && is_document(desc->media_type)
                ? add_document(g, &desc->digest, desc->media_type, &node, err)
                : add_node(g, &desc->digest, &node, err);
    if (r < 0)
        return r;
    g->nodes[node].size = desc->size;
    g->nodes[node].is_layer |= as_layer;
    g->nodes[node].is_foreign |= as_layer && is_foreign(desc->media_type);
    return push_edge(g, node, err);
}

static int list_all(dv_content_graph *g, uint32_t node, const davit_manifest *m, davit_error **err)
{
    size_t entry_count, layer_count;
    const davit_descriptor *entries = davit_manifest_entries(m, &entry_count);
    const davit_descriptor *layers = davit_manifest_layers(m, &layer_count);
    const davit_descriptor *config = davit_manifest_config(m);
    uint32_t first = g->edge_count;
    int r = config ? list_one(g, config, /* as_entry= */ false, /* as_layer= */ false, err) : 0;
    for (size_t i = 0; r == 0 && i < layer_count; i++)
        r = list_one(g, &layers[i], /* as_entry= */ false, /* as_layer= */ true, err);
    for (size_t i = 0; r == 0 && i < entry_count; i++)
        r = list_one(g, &entries[i], /* as_entry= */ true, /* as_layer= */ false, err);
    g->nodes[node].first_edge = first;
    g->nodes[node].edge_count = g->edge_count - first;
    return r;
}

/* A state, or < 0. */
static int read_document(dv_content_graph *g, uint32_t node, davit_error **err)
{
    davit_digest digest;
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    DV_AUTOPTR(davit_manifest) m = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    dv_digest_set_get(&g->digests, node, &digest);
    int r = dv_content_read(g->store, &digest, DAVIT_MANIFEST_MAX, &bytes, &why);
    if (r == DAVIT_ENOTFOUND || r == DAVIT_EUNSUPPORTED)
        return DV_CONTENT_ABSENT;
    if (r == 0)
        r = davit_manifest_parse(dv_buf_text(&bytes), bytes.size, g->nodes[node].media_type, &m, &why);
    if (r == DAVIT_EDIGEST || r == DAVIT_EFORMAT || r == DAVIT_ETOOBIG || r == DAVIT_EUNSUPPORTED)
        return DV_CONTENT_DAMAGED;
    if (r < 0)
        return dv_error_move(err, &why, r);
    r = list_all(g, node, m, err);
    return r < 0 ? r : DV_CONTENT_DOCUMENT;
}

static int read_pending(dv_content_graph *g, davit_error **err)
{
    while (g->pending_count > 0) {
        uint32_t node = g->pending[--g->pending_count];
        int r = read_document(g, node, err);
        if (r < 0)
            return r;
        g->nodes[node].state = (uint8_t)r;
    }
    return 0;
}

int dv_content_graph_add_document(dv_content_graph *g, const davit_digest *digest, const char *media_type,
                                  uint32_t *out_node, davit_error **err)
{
    int r = add_document(g, digest, media_type, out_node, err);
    return r < 0 ? r : read_pending(g, err);
}

int dv_content_graph_refresh(dv_content_graph *g, davit_error **err)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < g->digests.count; i++) {
        if (g->nodes[i].state != DV_CONTENT_ABSENT && g->nodes[i].state != DV_CONTENT_DAMAGED)
            continue;
        r = push_pending(g, i, err);
        if (r == 0)
            g->nodes[i].state = DV_CONTENT_UNREAD;
    }
    return r < 0 ? r : read_pending(g, err);
}

/* --- marking ------------------------------------------------------------------------------------------------------- */

void dv_content_marks_clear(dv_content_marks *m)
{
    free(m->of);
    *m = (dv_content_marks){0};
}

int dv_content_marks_reset(dv_content_marks *m, const dv_content_graph *g, davit_error **err)
{
    uint32_t count = g->digests.count;
    if (count > m->capacity) {
        uint8_t *grown = dv_realloc_array(m->of, count, 1);
        if (!grown)
            return dv_error_oom(err);
        m->of = grown;
        m->capacity = count;
    }
    if (m->of)
        memset(m->of, 0, m->capacity);
    return 0;
}

typedef struct node_stack {
    uint32_t *items;
    uint32_t count, capacity;
} node_stack;

static int push(node_stack *stack, uint32_t node, davit_error **err)
{
    int r = reserve((void **)&stack->items, &stack->capacity, stack->count, sizeof(*stack->items), err);
    if (r == 0)
        stack->items[stack->count++] = node;
    return r;
}

int dv_content_graph_mark(const dv_content_graph *g, dv_content_marks *m, uint32_t node,
                          const dv_content_node **out_damaged, davit_error **err)
{
    if (m->of[node])
        return 0;
    node_stack stack = {0};
    int r = push(&stack, node, err);
    m->of[node] = r == 0;
    while (r == 0 && stack.count > 0) {
        const dv_content_node *at = &g->nodes[stack.items[--stack.count]];
        if (at->state == DV_CONTENT_DAMAGED && out_damaged)
            *out_damaged = at;
        for (uint32_t i = 0; r == 0 && i < at->edge_count; i++) {
            uint32_t next = g->edges[at->first_edge + i];
            if (m->of[next])
                continue;
            m->of[next] = 1;
            if (g->nodes[next].edge_count > 0 || g->nodes[next].state == DV_CONTENT_DAMAGED)
                r = push(&stack, next, err);
        }
    }
    free(stack.items);
    return r;
}

int dv_content_graph_hold(const dv_content_graph *g, dv_lease *lease, davit_error **err)
{
    DV_AUTOFREE davit_digest *digests = dv_new_array(davit_digest, (size_t)g->digests.count + 1);
    if (!digests)
        return dv_error_oom(err);
    for (uint32_t i = 0; i < g->digests.count; i++)
        dv_digest_set_get(&g->digests, i, &digests[i]);
    return dv_lease_add(lease, digests, g->digests.count, err);
}

/* archive/flatten_tree.c - see flatten_tree.h. The arrays, the names in them, and removing. flatten_resolve.c follows paths. */
#include "archive/flatten_tree.h"

#include "archive/unpack_path.h"
#include "util/hex.h"

#include <string.h>

#define FIRST_CAPACITY 1024

static int too_big(davit_error **err, const char *what, unsigned long long max)
{
    return dv_error_set(err, DAVIT_ETOOBIG, "image has more than %llu %s", max, what);
}

/* --- arrays ---------------------------------------------------------------------------------------------------------- */

/* Half again: what is allocated and not used stays small, and untouched pages cost nothing. */
static int grow(void **items, uint32_t *capacity, size_t item_size, davit_error **err)
{
    uint32_t more = *capacity ? *capacity + *capacity / 2 : FIRST_CAPACITY;
    void *grown = dv_realloc_array(*items, more, item_size);
    if (!grown)
        return dv_error_oom(err);
    *items = grown;
    *capacity = more;
    return 0;
}

static int new_node(dv_flat_tree *t, uint32_t *out, davit_error **err)
{
    if (t->nodes_used >= DV_FLAT_PATHS_MAX)
        return too_big(err, "paths", DV_FLAT_PATHS_MAX);
    if (t->node_free) {
        *out = t->node_free;
        t->node_free = t->nodes[*out].next;
    } else {
        int r = t->node_count < t->node_capacity
                    ? 0
                    : grow((void **)&t->nodes, &t->node_capacity, sizeof(*t->nodes), err);
        if (r < 0)
            return r;
        *out = t->node_count++;
    }
    t->nodes[*out] = (dv_flat_node){0};
    t->nodes_used++;
    return 0;
}

static void release_node(dv_flat_tree *t, uint32_t node)
{
    t->nodes[node] = (dv_flat_node){.next = t->node_free};
    t->node_free = node;
    t->nodes_used--;
}

static int new_inode(dv_flat_tree *t, dv_tar_type type, uint32_t *out, davit_error **err)
{
    if (t->inode_free) {
        *out = t->inode_free;
        t->inode_free = t->inodes[*out].children;
    } else {
        int r = t->inode_count < t->inode_capacity
                    ? 0
                    : grow((void **)&t->inodes, &t->inode_capacity, sizeof(*t->inodes), err);
        if (r < 0)
            return r;
        *out = t->inode_count++;
    }
    t->inodes[*out] = (dv_flat_inode){
        .type = (uint8_t)type, .entry = t->entry, .layer = t->layer, .sequence = t->sequence++};
    return 0;
}

static void release_inode(dv_flat_tree *t, uint32_t inode)
{
    t->inodes[inode] = (dv_flat_inode){.children = t->inode_free};
    t->inode_free = inode;
}

int dv_flat_add_text(dv_flat_tree *t, const void *bytes, size_t size, uint32_t *out, davit_error **err)
{
    if (size > DV_FLAT_TEXT_MAX - t->text_size)
        return too_big(err, "bytes of names, links and xattrs", DV_FLAT_TEXT_MAX);
    while (t->text_capacity - t->text_size < size) {
        size_t more = t->text_capacity ? t->text_capacity + t->text_capacity / 2 : 32u << 10;
        char *grown = dv_realloc_array(t->texts, more, 1);
        if (!grown)
            return dv_error_oom(err);
        t->texts = grown;
        t->text_capacity = more;
    }
    memcpy(t->texts + t->text_size, bytes, size);
    *out = (uint32_t)t->text_size;
    t->text_size += size;
    return 0;
}

static int add_name(dv_flat_tree *t, const char *name, size_t size, uint32_t *out, davit_error **err)
{
    char copy[DV_UNPACK_COMPONENT_MAX + 1];
    memcpy(copy, name, size);
    copy[size] = '\0';
    return dv_flat_add_text(t, copy, size + 1, out, err);
}

/* --- finding names --------------------------------------------------------------------------------------------------- */

/* FNV-1a behind a random start, with the last steps of Murmur3: no secret, only spread. */
static uint32_t bucket_of(const dv_flat_tree *t, uint32_t directory, const char *name, size_t size)
{
    uint64_t h = t->seed ^ (directory * 0x9e3779b97f4a7c15u);
    for (size_t i = 0; i < size; i++)
        h = (h ^ (unsigned char)name[i]) * 0x100000001b3u;
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdu;
    h ^= h >> 33;
    return (uint32_t)h & (t->bucket_count - 1);
}

static uint32_t *bucket_of_node(const dv_flat_tree *t, uint32_t node)
{
    const char *name = dv_flat_text(t, t->nodes[node].name);
    return &t->buckets[bucket_of(t, t->nodes[node].parent, name, strlen(name))];
}

uint32_t dv_flat_lookup(const dv_flat_tree *t, uint32_t directory, const char *name, size_t size)
{
    uint32_t n = t->buckets[bucket_of(t, directory, name, size)];
    for (; n; n = t->nodes[n].chain) {
        const char *other = dv_flat_text(t, t->nodes[n].name);
        if (t->nodes[n].parent == directory && strncmp(other, name, size) == 0 && other[size] == '\0')
            break;
    }
    return n;
}

static void chain_in(dv_flat_tree *t, uint32_t node)
{
    uint32_t *head = bucket_of_node(t, node);
    t->nodes[node].chain = *head;
    *head = node;
}

static void chain_out(dv_flat_tree *t, uint32_t node)
{
    uint32_t *at = bucket_of_node(t, node);
    while (*at != node)
        at = &t->nodes[*at].chain;
    *at = t->nodes[node].chain;
}

/* Room for one more name, which is in no directory yet. Where the table cannot grow its chains do. */
static void widen(dv_flat_tree *t)
{
    if (t->nodes_used < t->bucket_count)
        return;
    uint32_t *buckets = dv_new_array(uint32_t, (size_t)t->bucket_count * 2);
    if (!buckets)
        return;
    free(t->buckets);
    t->buckets = buckets;
    t->bucket_count *= 2;
    for (uint32_t n = DV_FLAT_ASIDE + 1; n < t->node_count; n++)
        if (t->nodes[n].inode)
            chain_in(t, n);
}

/* --- adding ---------------------------------------------------------------------------------------------------------- */

static void join_directory(dv_flat_tree *t, uint32_t node, uint32_t directory)
{
    dv_flat_inode *d = dv_flat_inode_of(t, directory);
    t->nodes[node].parent = directory;
    t->nodes[node].next = d->children;
    if (d->children)
        t->nodes[d->children].previous = node;
    d->children = node;
}

static void join_inode(dv_flat_tree *t, uint32_t node, uint32_t inode)
{
    dv_flat_inode *i = &t->inodes[inode];
    dv_flat_node *n = &t->nodes[node];
    n->inode = inode;
    if (!i->names) {
        i->names = n->next_name = n->previous_name = node;
        return;
    }
    n->next_name = i->names;
    n->previous_name = t->nodes[i->names].previous_name;
    t->nodes[n->previous_name].next_name = node;
    t->nodes[i->names].previous_name = node;
}

int dv_flat_add(dv_flat_tree *t, uint32_t directory, const char *name, size_t size, uint32_t inode,
                dv_tar_type type, uint32_t *out, davit_error **err)
{
    size_t path_size = dv_flat_inode_of(t, directory)->path_size + (directory > DV_FLAT_ASIDE) + size;
    uint32_t node = DV_FLAT_NONE, text = 0, made = inode;
    if (path_size > DV_UNPACK_PATH_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "%.*s: its path is longer than %d bytes", (int)size, name,
                            DV_UNPACK_PATH_MAX);
    int r = add_name(t, name, size, &text, err);
    if (r == 0 && !inode)
        r = new_inode(t, type, &made, err);
    if (r < 0)
        return r;
    r = new_node(t, &node, err);
    if (r < 0) {
        if (!inode)
            release_inode(t, made);
        return r;
    }
    widen(t);
    if (type == DV_TAR_DIRECTORY)
        t->inodes[made].path_size = (uint32_t)path_size;
    t->nodes[node].name = text;
    t->nodes[node].layer = t->layer;
    join_inode(t, node, made);
    join_directory(t, node, directory);
    chain_in(t, node);
    *out = node;
    return 0;
}

/* --- removing -------------------------------------------------------------------------------------------------------- */

static void leave_directory(dv_flat_tree *t, uint32_t node)
{
    const dv_flat_node *n = &t->nodes[node];
    if (n->previous)
        t->nodes[n->previous].next = n->next;
    else
        dv_flat_inode_of(t, n->parent)->children = n->next;
    if (n->next)
        t->nodes[n->next].previous = n->previous;
}

static void leave_inode(dv_flat_tree *t, uint32_t node)
{
    const dv_flat_node *n = &t->nodes[node];
    dv_flat_inode *i = &t->inodes[n->inode];
    if (n->next_name == node) {
        release_inode(t, n->inode);
        return;
    }
    t->nodes[n->previous_name].next_name = n->next_name;
    t->nodes[n->next_name].previous_name = n->previous_name;
    if (i->names == node)
        i->names = n->next_name;
}

static void drop(dv_flat_tree *t, uint32_t node)
{
    chain_out(t, node);
    leave_directory(t, node);
    leave_inode(t, node);
    release_node(t, node);
}

/* Nothing in it is asked about: the layer made the whole directory. */
static bool is_made_by(const dv_flat_tree *t, uint32_t node, uint16_t layer)
{
    return layer && dv_flat_is_directory(t, node) && dv_flat_inode_of(t, node)->layer == layer;
}

static bool is_kept(const dv_flat_tree *t, uint32_t node, uint16_t layer)
{
    return (layer && t->nodes[node].layer == layer) ||
           (dv_flat_is_directory(t, node) && dv_flat_inode_of(t, node)->children);
}

/*
 * Of a directory that was gone through only the layer's is left, so it is the layer's as a whole: the same marker again, a million times, looks
 * into it no more.
 */
static void keep(dv_flat_tree *t, uint32_t node, uint16_t layer)
{
    if (dv_flat_is_directory(t, node))
        dv_flat_inode_of(t, node)->layer = layer;
}

void dv_flat_remove(dv_flat_tree *t, uint32_t node, uint16_t keep_layer)
{
    uint32_t at = node;
    for (;;) {
        while (dv_flat_is_directory(t, at) && !is_made_by(t, at, keep_layer) &&
               dv_flat_inode_of(t, at)->children)
            at = dv_flat_inode_of(t, at)->children;
        /* Everything below is dealt with; the same for the directory when it was the last in it. */
        for (uint32_t next = 0; !next;) {
            const uint32_t done = at, parent = t->nodes[at].parent;
            next = t->nodes[at].next;
            if (is_kept(t, done, keep_layer))
                keep(t, done, keep_layer);
            else
                drop(t, done);
            if (done == node)
                return;
            at = next ? next : parent;
        }
    }
}

void dv_flat_empty(dv_flat_tree *t, uint32_t directory, uint16_t keep_layer)
{
    for (uint32_t n = dv_flat_inode_of(t, directory)->children, next; n; n = next) {
        next = t->nodes[n].next;
        dv_flat_remove(t, n, keep_layer);
    }
    keep(t, directory, keep_layer);
}

/* --- beginning and end ----------------------------------------------------------------------------------------------- */

/* Node and inode 0, which are nothing; the root; what is kept aside. */
static int make_first(dv_flat_tree *t, davit_error **err)
{
    int r = 0;
    uint32_t index;
    for (uint32_t i = DV_FLAT_NONE; r == 0 && i <= DV_FLAT_ASIDE; i++) {
        r = new_node(t, &index, err);
        if (r == 0)
            r = new_inode(t, DV_TAR_DIRECTORY, &index, err);
        if (r == 0 && i != DV_FLAT_NONE) {
            t->inodes[i].names = i;
            t->inodes[i].mode = 0755;
            t->nodes[i] = (dv_flat_node){.inode = i, .parent = i, .next_name = i, .previous_name = i};
        }
    }
    return r;
}

int dv_flat_tree_init(dv_flat_tree *t, davit_error **err)
{
    static const char nothing = '\0';
    *t = (dv_flat_tree){.bucket_count = FIRST_CAPACITY};
    dv_random_bytes(&t->seed, sizeof(t->seed));
    t->buckets = dv_new_array(uint32_t, t->bucket_count);
    uint32_t text;
    int r = t->buckets ? dv_flat_add_text(t, &nothing, 1, &text, err) : dv_error_oom(err);
    return r < 0 ? r : make_first(t, err);
}

void dv_flat_tree_clear(dv_flat_tree *t)
{
    free(t->nodes);
    free(t->inodes);
    free(t->buckets);
    free(t->texts);
    *t = (dv_flat_tree){0};
}

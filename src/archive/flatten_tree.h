/*
 * archive/flatten_tree.h - a tree of files in memory: names, what they stand for, and nothing of their data.
 *
 * It behaves as a file system does: links are followed within the root, several names may stand for one file, and a directory has one. A name
 * remembers the layer that made or described it last, so that whiteouts can act on lower layers only. Everything is an index into an array; 0
 * is none. About 110 bytes for a path, and its last component.
 */
#ifndef DV_ARCHIVE_FLATTEN_TREE_H
#define DV_ARCHIVE_FLATTEN_TREE_H

#include "archive/tar.h"

#define DV_FLAT_PATHS_MAX 2000000u    /* names at one time */
#define DV_FLAT_TEXT_MAX (256u << 20) /* bytes of all names, link targets and xattrs that ever were */
#define DV_FLAT_LINKS_MAX 40          /* symbolic links on the way to one directory: the kernel's number */
#define DV_FLAT_NO_ENTRY UINT32_MAX

enum {
    DV_FLAT_NONE = 0,
    DV_FLAT_ROOT = 1,  /* node of the root */
    DV_FLAT_ASIDE = 2, /* node of a directory beside it: what ".wh..wh.plnk/" keeps for hard links */
};

/* A name in a directory. */
typedef struct dv_flat_node {
    uint32_t name; /* text */
    uint32_t inode;
    uint32_t parent;                   /* node */
    uint32_t chain;                    /* next node of the same bucket */
    uint32_t next, previous;           /* nodes of the same directory */
    uint32_t next_name, previous_name; /* a ring: the names of one inode, as they came */
    uint16_t layer;                    /* that made or described it; counted from 1 */
    bool written;
} dv_flat_node;

/* What a name stands for. */
typedef struct dv_flat_inode {
    uint64_t size; /* bytes of a file; major << 32 | minor of a device */
    int64_t mtime_s;
    uint32_t mtime_ns;
    uint32_t uid, gid;
    uint32_t target;    /* text of a symbolic link */
    uint32_t xattrs;    /* of dv_flat_pack_xattrs(); 0: none */
    uint32_t entry;     /* that made it, counted over all layers */
    uint32_t sequence;  /* in the order they were made */
    uint32_t names;     /* the first node of the ring; 0: unused */
    uint32_t children;  /* of a directory: the first node */
    uint32_t path_size; /* of a directory, in bytes */
    uint16_t mode;      /* 07777 */
    uint16_t layer;     /* that made it, or removed all that others had in this directory */
    uint8_t type;       /* dv_tar_type; never a hard link */
} dv_flat_inode;

typedef struct dv_flat_tree {
    dv_flat_node *nodes;
    dv_flat_inode *inodes;
    uint32_t node_count, node_capacity, node_free, nodes_used;
    uint32_t inode_count, inode_capacity, inode_free;
    uint32_t *buckets;
    uint32_t bucket_count; /* a power of two */
    char *texts;
    size_t text_size, text_capacity;
    uint32_t sequence;
    uint64_t seed;
    /* What new inodes get: */
    uint32_t entry;
    uint16_t layer;
    const char *const *xattrs; /* borrowed: to keep as well (xattr_policy.h) */
} dv_flat_tree;

int dv_flat_tree_init(dv_flat_tree *t, davit_error **err);
void dv_flat_tree_clear(dv_flat_tree *t);

static inline dv_flat_inode *dv_flat_inode_of(const dv_flat_tree *t, uint32_t node)
{
    return &t->inodes[t->nodes[node].inode];
}
static inline const char *dv_flat_text(const dv_flat_tree *t, uint32_t text)
{
    return t->texts + text;
}
static inline bool dv_flat_is_directory(const dv_flat_tree *t, uint32_t node)
{
    return dv_flat_inode_of(t, node)->type == DV_TAR_DIRECTORY;
}

/* Keep bytes. DAVIT_ETOOBIG, DAVIT_ENOMEM. */
int dv_flat_add_text(dv_flat_tree *t, const void *bytes, size_t size, uint32_t *out, davit_error **err);

/* The name in a directory, or DV_FLAT_NONE. */
uint32_t dv_flat_lookup(const dv_flat_tree *t, uint32_t directory, const char *name, size_t size);
/*
 * A new name, for inode or (inode DV_FLAT_NONE) for a new one of this type. Nothing has the name yet. DAVIT_ETOOBIG: too many, or the path is
 * longer than a system call takes.
 */
int dv_flat_add(dv_flat_tree *t, uint32_t directory, const char *name, size_t size, uint32_t inode,
                dv_tar_type type, uint32_t *out, davit_error **err);
/*
 * Remove a name and everything below it, but what keep_layer made or described, and the directories that still hold something then.
 * keep_layer 0: everything goes.
 */
void dv_flat_remove(dv_flat_tree *t, uint32_t node, uint16_t keep_layer);
/* The same for all that is in a directory. */
void dv_flat_empty(dv_flat_tree *t, uint32_t directory, uint16_t keep_layer);

/*
 * The directory that a path leads to, links followed within the root. like NULL: DAVIT_ENOTFOUND for one that is missing; otherwise it is
 * made, 0755 and root's, with the modification time of like. DAVIT_EFORMAT: a file is in the way, links without end.
 */
int dv_flat_resolve(dv_flat_tree *t, const char *path, size_t size, const dv_tar_entry *like, uint32_t *out,
                    davit_error **err);

/* --- extended attributes: a count, then for each the name with its NUL, the size as four bytes, the value --- */

/*
 * Those of the entry that are kept, for an inode of this type; old ones (0: none) stay where the entry has no other value, but capabilities when
 * the owner is a new one. What is left out is counted.
 */
int dv_flat_pack_xattrs(dv_flat_tree *t, const dv_tar_entry *e, dv_tar_type type, uint32_t old,
                        bool new_owner, uint32_t *out, uint64_t *left_out, davit_error **err);
/* Borrowed until the next text is added. */
size_t dv_flat_unpack_xattrs(const dv_flat_tree *t, uint32_t xattrs, dv_tar_xattr out[DV_TAR_XATTRS_MAX]);

#endif

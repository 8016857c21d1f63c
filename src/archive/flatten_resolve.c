/*
 * archive/flatten_resolve.c - where a path leads in a tree in memory, as openat2(RESOLVE_IN_ROOT) would say of the files (DESIGN 8); and the
 * extended attributes of its files.
 */
#include "archive/flatten_tree.h"
#include "archive/unpack_internal.h"
#include "archive/xattr_policy.h"
#include "util/str.h"

#include <linux/limits.h>
#include <string.h>

/* --- paths ----------------------------------------------------------------------------------------------------------- */

/* A path that is being followed: the caller's, or the text of a link. Texts may move, so they are found anew each time. */
typedef struct way {
    const char *path; /* NULL: text */
    uint32_t text;
    size_t at, size;
} way;

typedef struct walk {
    dv_flat_tree *tree;
    way ways[DV_FLAT_LINKS_MAX + 1];
    unsigned depth, links;
    uint32_t directory;
} walk;

static const char *way_text(const walk *w, const way *y)
{
    return y->path ? y->path : dv_flat_text(w->tree, y->text);
}

/* The next component of the innermost way that has one left. False: none has. */
static bool next_component(walk *w, const char **out, size_t *out_size)
{
    while (w->depth > 0) {
        way *y = &w->ways[w->depth - 1];
        const char *path = way_text(w, y);
        while (y->at < y->size && path[y->at] == '/')
            y->at++;
        if (y->at < y->size) {
            size_t end = y->at;
            while (end < y->size && path[end] != '/')
                end++;
            *out = path + y->at;
            *out_size = end - y->at;
            y->at = end;
            return true;
        }
        w->depth--;
    }
    return false;
}

static int refuse(const walk *w, const char *why, davit_error **err)
{
    return dv_error_set(err, DAVIT_EFORMAT, "%.*s: %s", (int)w->ways[0].size, w->ways[0].path, why);
}

static int follow(walk *w, uint32_t link, davit_error **err)
{
    const uint32_t target = dv_flat_inode_of(w->tree, link)->target;
    const char *text = dv_flat_text(w->tree, target);
    if (w->links++ >= DV_FLAT_LINKS_MAX)
        return refuse(w, "too many symbolic links", err);
    if (text[0] == '/')
        w->directory = DV_FLAT_ROOT;
    w->ways[w->depth++] = (way){.text = target, .size = strlen(text)};
    return 0;
}

static int make_directory(walk *w, const char *name, size_t size, const dv_tar_entry *like, davit_error **err)
{
    char copy[DV_UNPACK_COMPONENT_MAX + 1]; /* name may be a text, and texts move */
    struct timespec times[2];
    uint32_t node;
    memcpy(copy, name, size);
    int r = dv_flat_add(w->tree, w->directory, copy, size, DV_FLAT_NONE, DV_TAR_DIRECTORY, &node, err);
    if (r < 0)
        return r;
    dv_flat_inode *i = dv_flat_inode_of(w->tree, node);
    dv_unpack_times(like, times);
    i->mode = 0755;
    i->mtime_s = times[1].tv_sec;
    i->mtime_ns = (uint32_t)times[1].tv_nsec;
    w->directory = node;
    return 0;
}

static int step(walk *w, const char *name, size_t size, const dv_tar_entry *like, davit_error **err)
{
    const bool dots = name[0] == '.' && (size == 1 || (size == 2 && name[1] == '.'));
    if (dots) {
        if (size == 2)
            w->directory = w->tree->nodes[w->directory].parent; /* the root is its own */
        return 0;
    }
    if (size > DV_UNPACK_COMPONENT_MAX)
        return refuse(w, "name is too long", err);
    uint32_t node = dv_flat_lookup(w->tree, w->directory, name, size);
    if (!node)
        return like ? make_directory(w, name, size, like, err)
                    : dv_error_set(err, DAVIT_ENOTFOUND, "there is no directory %.*s", (int)w->ways[0].size,
                                   w->ways[0].path);
    switch (dv_flat_inode_of(w->tree, node)->type) {
    case DV_TAR_DIRECTORY:
        w->directory = node;
        return 0;
    case DV_TAR_SYMLINK:
        return follow(w, node, err);
    default:
        return refuse(w, "not a directory, or below something that is none", err);
    }
}

int dv_flat_resolve(dv_flat_tree *t, const char *path, size_t size, const dv_tar_entry *like, uint32_t *out,
                    davit_error **err)
{
    walk w = {.tree = t, .directory = DV_FLAT_ROOT, .depth = 1};
    w.ways[0] = (way){.path = path, .size = size};
    const char *name;
    size_t name_size;
    while (next_component(&w, &name, &name_size)) {
        int r = step(&w, name, name_size, like, err);
        if (r < 0)
            return r;
    }
    *out = w.directory;
    return 0;
}

/* --- extended attributes --------------------------------------------------------------------------------------------- */

/* The kernel lets nobody set user.* on a link, a device or a pipe. */
static bool is_kept(const dv_flat_tree *t, const char *name, dv_tar_type type)
{
    bool plain = type == DV_TAR_FILE || type == DV_TAR_DIRECTORY;
    return dv_xattr_is_kept(name, t->xattrs) && (plain || !dv_str_starts(name, "user."));
}

/* What the kernel would say when it is set. */
static bool is_malformed(const char *name)
{
    return strcmp(name, "user.") == 0 || strlen(name) > XATTR_NAME_MAX;
}

static bool has(const dv_tar_entry *e, const char *name)
{
    for (size_t i = 0; i < e->xattr_count; i++)
        if (strcmp(e->xattrs[i].name, name) == 0)
            return true;
    return false;
}

static void put(dv_buf *out, const dv_tar_xattr *x)
{
    const uint32_t size = (uint32_t)x->size;
    dv_buf_append(out, x->name, strlen(x->name) + 1);
    dv_buf_append(out, &size, sizeof(size));
    dv_buf_append(out, x->value, x->size);
}

/* Those that stay of an inode that had some. The kernel takes a file's capabilities with its owner. */
static size_t list_old(const dv_flat_tree *t, uint32_t old, bool new_owner,
                       dv_tar_xattr out[DV_TAR_XATTRS_MAX])
{
    const size_t count = dv_flat_unpack_xattrs(t, old, out);
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (!new_owner || strcmp(out[i].name, "security.capability") != 0)
            out[kept++] = out[i];
    return kept;
}

int dv_flat_pack_xattrs(dv_flat_tree *t, const dv_tar_entry *e, dv_tar_type type, uint32_t old,
                        bool new_owner, uint32_t *out, uint64_t *left_out, davit_error **err)
{
    DV_AUTO(dv_buf) packed = DV_BUF_INIT(2 * DV_TAR_XATTR_BYTES_MAX + DV_TAR_EXTENSION_MAX);
    dv_tar_xattr before[DV_TAR_XATTRS_MAX];
    uint8_t count = 0;
    *out = old;
    if (e->xattr_count == 0 && !(old && new_owner))
        return 0;
    const size_t before_count = list_old(t, old, new_owner, before);
    dv_buf_append(&packed, &count, 1);
    for (size_t i = 0; i < before_count; i++)
        if (!has(e, before[i].name) && ++count)
            put(&packed, &before[i]);
    for (size_t i = 0; i < e->xattr_count; i++) {
        if (!is_kept(t, e->xattrs[i].name, type))
            ++*left_out;
        else if (is_malformed(e->xattrs[i].name))
            return dv_error_set(err, DAVIT_EFORMAT, "%s: xattr %s is malformed", e->name, e->xattrs[i].name);
        else if (count >= DV_TAR_XATTRS_MAX)
            return dv_error_set(err, DAVIT_ETOOBIG, "%s: it has more than %d xattrs", e->name,
                                DV_TAR_XATTRS_MAX);
        else if (++count)
            put(&packed, &e->xattrs[i]);
    }
    if (packed.failed)
        return packed.failed == DAVIT_ENOMEM
                   ? dv_error_oom(err)
                   : dv_error_set(err, DAVIT_ETOOBIG, "%s: its xattrs are too long", e->name);
    packed.data[0] = (char)count;
    *out = DV_FLAT_NONE;
    return count ? dv_flat_add_text(t, packed.data, packed.size, out, err) : 0;
}

size_t dv_flat_unpack_xattrs(const dv_flat_tree *t, uint32_t xattrs, dv_tar_xattr out[DV_TAR_XATTRS_MAX])
{
    const char *at = dv_flat_text(t, xattrs);
    const size_t count = (uint8_t)*at++; /* text 0 is a NUL */
    for (size_t i = 0; i < count; i++) {
        uint32_t size;
        const char *name = at;
        at += strlen(at) + 1;
        memcpy(&size, at, sizeof(size));
        at += sizeof(size);
        out[i] = (dv_tar_xattr){.name = name, .value = at, .size = size};
        at += size;
    }
    return count;
}

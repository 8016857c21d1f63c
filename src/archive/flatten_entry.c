/*
 * archive/flatten_entry.c - the first reading: an entry of a layer changes the tree in memory, as unpack_entry.c and unpack_whiteout.c change
 * the files. What those refuse is refused here, in the same words.
 */
#include "archive/flatten_internal.h"

#include "archive/unpack_internal.h"
#include "archive/whiteout.h"
#include "util/str.h"

#include <string.h>

#define PLINK_DIRECTORY ".wh..wh.plnk/"
#define MAJOR_MAX 0xfffu
#define MINOR_MAX 0xfffffu

static const char *base_of(const dv_unpack_path *p)
{
    return p->text + p->base;
}

static size_t base_size(const dv_unpack_path *p)
{
    return p->size - p->base;
}

static int refuse(const dv_flatten *f, const char *why, davit_error **err)
{
    return dv_error_set(err, DAVIT_EFORMAT, "%s: %s", f->current->name, why);
}

/* "before NAME between OTHER", both quoted. */
static int refuse_quoted(const char *before, const char *name, const char *between, const char *other,
                         davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(8 * DV_TAR_NAME_MAX + 64);
    dv_buf_puts(&text, before);
    dv_str_quote(&text, name, strlen(name));
    dv_buf_puts(&text, between);
    dv_str_quote(&text, other, strlen(other));
    return text.failed ? dv_error_oom(err) : dv_error_set(err, DAVIT_EFORMAT, "%s", dv_buf_text(&text));
}

static int invalid_hardlink(const dv_flatten *f, davit_error **err)
{
    return refuse_quoted("invalid hardlink ", f->current->name, " -> ", f->current->link, err);
}

/* The directory that the entry goes into. */
static int resolve_parent(dv_flatten *f, uint32_t *out, davit_error **err)
{
    return dv_flat_resolve(&f->tree, f->path.text, dv_unpack_path_parent(&f->path), f->current, out, err);
}

/* --- metadata -------------------------------------------------------------------------------------------------------- */

static void describe(const dv_flatten *f, dv_flat_inode *i)
{
    const dv_tar_entry *e = f->current;
    struct timespec times[2];
    i->uid = e->uid;
    i->gid = e->gid;
    if (i->type == DV_TAR_SYMLINK && e->type == DV_TAR_HARDLINK)
        return; /* its mode and times are not a hard link's to say */
    dv_unpack_times(e, times);
    i->mode = i->type == DV_TAR_SYMLINK ? 0777 : (uint16_t)e->mode;
    i->mtime_s = times[1].tv_sec;
    i->mtime_ns = (uint32_t)times[1].tv_nsec;
}

/* Owner, mode, times and xattrs; of a hard link's entry they are added to those that are there. */
static int describe_node(dv_flatten *f, uint32_t node, davit_error **err)
{
    const dv_tar_entry *e = f->current;
    const dv_flat_inode *i = dv_flat_inode_of(&f->tree, node);
    const bool new_owner = i->uid != e->uid || i->gid != e->gid;
    uint32_t xattrs, old = e->type == DV_TAR_HARDLINK ? i->xattrs : DV_FLAT_NONE;
    int r = dv_flat_pack_xattrs(&f->tree, e, (dv_tar_type)i->type, old, new_owner, &xattrs,
                                &f->report.xattrs_left_out, err);
    if (r < 0)
        return r;
    dv_flat_inode_of(&f->tree, node)->xattrs = xattrs;
    describe(f, dv_flat_inode_of(&f->tree, node));
    return 0;
}

/* --- kinds ----------------------------------------------------------------------------------------------------------- */

static int apply_root(dv_flatten *f, davit_error **err)
{
    if (f->current->type != DV_TAR_DIRECTORY)
        return refuse(f, "it would replace the root", err);
    f->root_described = true;
    return describe_node(f, DV_FLAT_ROOT, err);
}

static int apply_directory(dv_flatten *f, davit_error **err)
{
    const dv_unpack_path *p = &f->path;
    uint32_t parent;
    int r = resolve_parent(f, &parent, err);
    if (r < 0)
        return r;
    uint32_t node = dv_flat_lookup(&f->tree, parent, base_of(p), base_size(p));
    if (node && !dv_flat_is_directory(&f->tree, node)) {
        dv_flat_remove(&f->tree, node, /* keep_layer= */ 0);
        node = DV_FLAT_NONE;
    }
    if (!node)
        r = dv_flat_add(&f->tree, parent, base_of(p), base_size(p), DV_FLAT_NONE, DV_TAR_DIRECTORY, &node,
                        err);
    if (r < 0)
        return r;
    f->tree.nodes[node].layer = f->tree.layer;
    return describe_node(f, node, err);
}

/* What has the name gives way to a new one. */
static int make(dv_flatten *f, uint32_t parent, uint32_t *out, davit_error **err)
{
    const dv_unpack_path *p = &f->path;
    uint32_t old = dv_flat_lookup(&f->tree, parent, base_of(p), base_size(p));
    if (old)
        dv_flat_remove(&f->tree, old, /* keep_layer= */ 0);
    return dv_flat_add(&f->tree, parent, base_of(p), base_size(p), DV_FLAT_NONE, f->current->type, out, err);
}

static int check_kind(const dv_flatten *f, davit_error **err)
{
    const dv_tar_entry *e = f->current;
    if (e->type == DV_TAR_CHAR && e->major == 0 && e->minor == 0)
        return refuse(f, "a character device 0:0 is a whiteout in disguise", err);
    if ((e->type == DV_TAR_CHAR || e->type == DV_TAR_BLOCK) && (e->major > MAJOR_MAX || e->minor > MINOR_MAX))
        return refuse(f, "device number is out of range", err);
    if (e->type == DV_TAR_SYMLINK && *e->link == '\0')
        return refuse(f, "it is a link to nothing", err);
    if (e->type == DV_TAR_SYMLINK && strlen(e->link) > DV_UNPACK_PATH_MAX)
        return refuse(f, "its target is too long", err);
    return 0;
}

/* Files, links, devices, pipes. aside: a file that is kept for hard links. */
static int apply_plain(dv_flatten *f, bool aside, davit_error **err)
{
    const dv_tar_entry *e = f->current;
    uint32_t parent = DV_FLAT_ASIDE, node, target = DV_FLAT_NONE;
    int r = check_kind(f, err);
    if (r == 0 && !aside)
        r = resolve_parent(f, &parent, err);
    if (r == 0 && e->type == DV_TAR_SYMLINK)
        r = dv_flat_add_text(&f->tree, e->link, strlen(e->link) + 1, &target, err);
    if (r == 0)
        r = make(f, parent, &node, err);
    if (r < 0)
        return r;
    dv_flat_inode *i = dv_flat_inode_of(&f->tree, node);
    i->target = target;
    i->size =
        e->type == DV_TAR_CHAR || e->type == DV_TAR_BLOCK ? (uint64_t)e->major << 32 | e->minor : e->size;
    return describe_node(f, node, err);
}

/* --- hard links ------------------------------------------------------------------------------------------------------ */

/* The name that the link leads to. */
static int find_target(dv_flatten *f, bool *aside, uint32_t *out, davit_error **err)
{
    const dv_unpack_path *t = &f->target;
    uint32_t directory = DV_FLAT_ASIDE;
    DV_AUTOPTR(davit_error) why = NULL;
    if (dv_unpack_path_clean(f->current->link, &f->target) < 0 || f->target.size == 0)
        return invalid_hardlink(f, err);
    if (strcmp(t->text, f->path.text) == 0)
        return refuse(f, "it is a hard link to itself", err);
    *aside = dv_str_starts(t->text, PLINK_DIRECTORY);
    int r = *aside ? 0
                   : dv_flat_resolve(&f->tree, t->text, dv_unpack_path_parent(t), /* like= */ NULL,
                                     &directory, &why);
    if (r == DAVIT_ENOTFOUND || r == DAVIT_EFORMAT)
        return invalid_hardlink(f, err);
    if (r < 0)
        return dv_error_move(err, &why, r);
    *out = dv_flat_lookup(&f->tree, directory, base_of(t), base_size(t));
    if (!*out && *aside)
        return refuse(f, "invalid aufs hardlink", err);
    const int type = *out ? dv_flat_inode_of(&f->tree, *out)->type : DV_TAR_DIRECTORY;
    return type == DV_TAR_FILE || type == DV_TAR_SYMLINK ? 0 : invalid_hardlink(f, err);
}

static int apply_hardlink(dv_flatten *f, davit_error **err)
{
    const dv_unpack_path *p = &f->path;
    uint32_t parent, target, node;
    bool aside = false;
    int r = resolve_parent(f, &parent, err);
    if (r == 0)
        r = find_target(f, &aside, &target, err);
    if (r < 0)
        return r;
    uint32_t old = dv_flat_lookup(&f->tree, parent, base_of(p), base_size(p));
    if (old) { /* which may be, or hold, the target */
        dv_flat_remove(&f->tree, old, /* keep_layer= */ 0);
        r = find_target(f, &aside, &target, err);
    }
    if (r < 0)
        return r;
    const uint32_t inode = f->tree.nodes[target].inode;
    r = dv_flat_add(&f->tree, parent, base_of(p), base_size(p), inode,
                    (dv_tar_type)f->tree.inodes[inode].type, &node, err);
    /* What AUFS keeps has its own entry, which described it. */
    return r < 0 || aside ? r : describe_node(f, node, err);
}

/* --- whiteouts ------------------------------------------------------------------------------------------------------- */

static int apply_whiteout(dv_flatten *f, davit_error **err)
{
    dv_whiteout kind;
    const char *name = NULL;
    uint32_t directory;
    int r = dv_whiteout_classify(base_of(&f->path), &kind, &name, err);
    if (r < 0 || kind == DV_WHITEOUT_IGNORE)
        return r;
    DV_AUTOPTR(davit_error) why = NULL;
    r = resolve_parent(f, &directory, &why);
    if (r == DAVIT_EFORMAT && kind == DV_WHITEOUT_REMOVE)
        return 0; /* as in unpack_whiteout.c */
    if (r < 0)
        return dv_error_move(err, &why, r);
    /* Nothing is below the lowest layer, and nothing of lower layers in a directory that this one made. */
    if (f->tree.layer == 1 || dv_flat_inode_of(&f->tree, directory)->layer == f->tree.layer)
        return 0;
    if (kind == DV_WHITEOUT_OPAQUE) {
        dv_flat_empty(&f->tree, directory, f->tree.layer);
        return 0;
    }
    uint32_t node = dv_flat_lookup(&f->tree, directory, name, strlen(name));
    if (node)
        dv_flat_remove(&f->tree, node, f->tree.layer);
    return 0;
}

/* --- dispatch -------------------------------------------------------------------------------------------------------- */

static int clean_name(dv_flatten *f, davit_error **err)
{
    const dv_tar_entry *e = f->current;
    int r = dv_unpack_path_clean(e->name, &f->path);
    if (r == DAVIT_EFORMAT)
        return refuse_quoted("", e->name, " is outside of ", f->root_name, err);
    if (r < 0)
        return refuse(f, "name is too long", err);
    return e->uid == UINT32_MAX || e->gid == UINT32_MAX ? refuse(f, "owner is out of range", err) : 0;
}

static int apply(dv_flatten *f, davit_error **err)
{
    const dv_unpack_path *p = &f->path;
    int r = clean_name(f, err);
    if (r < 0)
        return r;
    if (p->size == 0)
        return apply_root(f, err);
    /* At the root of the archive, AUFS keeps its books (store.md 9.2 3). */
    if (dv_str_starts(p->text, ".wh..wh.") && strcmp(p->text, ".wh..wh..opq") != 0)
        return dv_str_starts(p->text, PLINK_DIRECTORY) && f->current->type == DV_TAR_FILE
                   ? apply_plain(f, /* aside= */ true, err)
                   : 0;
    if (dv_str_starts(base_of(p), ".wh."))
        return apply_whiteout(f, err);
    switch (f->current->type) {
    case DV_TAR_DIRECTORY:
        return apply_directory(f, err);
    case DV_TAR_HARDLINK:
        return apply_hardlink(f, err);
    default:
        return apply_plain(f, /* aside= */ false, err);
    }
}

static int on_entry(void *user, const dv_tar_entry *entry, davit_error **err)
{
    dv_flatten *f = user;
    if (f->entry >= DV_FLATTEN_ENTRIES_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "image has more than %u entries", DV_FLATTEN_ENTRIES_MAX);
    if (entry->size > f->max_bytes - f->bytes)
        return dv_error_set(err, DAVIT_ETOOBIG, "%s: image holds more than %llu bytes", entry->name,
                            (unsigned long long)f->max_bytes);
    f->bytes += entry->size;
    f->current = entry;
    f->tree.entry = f->entry++;
    return apply(f, err);
}

static int on_data(void *user, const void *bytes, size_t size, davit_error **err)
{
    return 0;
}

static int on_end(void *user, davit_error **err)
{
    return 0;
}

const dv_tar_handler dv_flatten_reading = {.on_entry = on_entry, .on_data = on_data, .on_end = on_end};

void dv_flatten_end_layer(dv_flatten *f)
{
    dv_flat_empty(&f->tree, DV_FLAT_ASIDE, /* keep_layer= */ 0);
}

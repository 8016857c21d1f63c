/*
 * archive/flatten_write.c - the second reading: what is left in the tree is written, each thing when the entry is passed that made it
 * (flatten.h says the order).
 */
#include "archive/flatten_internal.h"

#include <string.h>

void dv_flatten_output_clear(dv_flatten_output *o)
{
    free(o->order);
    free(o->above);
    dv_buf_clear(&o->path);
    dv_buf_clear(&o->link);
}

static bool has_data(const dv_flat_inode *i)
{
    return i->type == DV_TAR_FILE && i->size > 0;
}

/* --- names ----------------------------------------------------------------------------------------------------------- */

/* The directories above a node, nearest first. A path has at most DV_UNPACK_PATH_MAX bytes, so there are not many. */
static int list_above(dv_flatten *f, uint32_t node, uint32_t *out_count, davit_error **err)
{
    dv_flatten_output *o = &f->output;
    uint32_t count = 0;
    for (uint32_t n = f->tree.nodes[node].parent; n != DV_FLAT_ROOT; n = f->tree.nodes[n].parent) {
        if (count == o->above_capacity) {
            uint32_t more = count ? 2 * count : 64;
            uint32_t *grown = dv_realloc_array(o->above, more, sizeof(*grown));
            if (!grown)
                return dv_error_oom(err);
            o->above = grown;
            o->above_capacity = more;
        }
        o->above[count++] = n;
    }
    *out_count = count;
    return 0;
}

/* o->above[0..count) are the directories above the node. */
static int put_path(const dv_flatten *f, uint32_t node, const uint32_t *above, uint32_t count, dv_buf *out,
                    davit_error **err)
{
    dv_buf_reset(out);
    while (count > 0) {
        dv_buf_puts(out, dv_flat_text(&f->tree, f->tree.nodes[above[--count]].name));
        dv_buf_putc(out, '/');
    }
    dv_buf_puts(out, node == DV_FLAT_ROOT ? "." : dv_flat_text(&f->tree, f->tree.nodes[node].name));
    if (dv_flat_is_directory(&f->tree, node))
        dv_buf_putc(out, '/');
    return out->failed ? dv_error_oom(err) : 0;
}

/* --- entries --------------------------------------------------------------------------------------------------------- */

static int write_header(dv_flatten *f, uint32_t node, davit_error **err)
{
    const dv_flat_inode *i = dv_flat_inode_of(&f->tree, node);
    const bool first = i->names == node;
    const bool device = i->type == DV_TAR_CHAR || i->type == DV_TAR_BLOCK;
    dv_tar_xattr xattrs[DV_TAR_XATTRS_MAX];
    const dv_tar_entry e = {
        .type = first ? (dv_tar_type)i->type : DV_TAR_HARDLINK,
        .name = dv_buf_text(&f->output.path),
        .link = !first                      ? dv_buf_text(&f->output.link)
                : i->type == DV_TAR_SYMLINK ? dv_flat_text(&f->tree, i->target)
                                            : "",
        .size = first && i->type == DV_TAR_FILE ? i->size : 0,
        .mode = i->mode,
        .uid = i->uid,
        .gid = i->gid,
        .major = device ? (uint32_t)(i->size >> 32) : 0,
        .minor = device ? (uint32_t)i->size : 0,
        .mtime = {.s = i->mtime_s, .ns = i->mtime_ns, .set = true},
        .xattrs = xattrs,
        .xattr_count = first ? dv_flat_unpack_xattrs(&f->tree, i->xattrs, xattrs) : 0,
    };
    f->tree.nodes[node].written = true;
    f->report.entries++;
    f->report.bytes += e.size;
    return dv_tar_write_header(f->output.to, &e, err);
}

/* The header of one name, behind those of the directories above that are not written yet. */
static int write_name(dv_flatten *f, uint32_t node, davit_error **err)
{
    dv_flatten_output *o = &f->output;
    uint32_t count = 0;
    int r = list_above(f, node, &count, err);
    uint32_t missing = 0;
    while (r == 0 && missing < count && !f->tree.nodes[o->above[missing]].written)
        missing++;
    for (; r == 0 && missing > 0; missing--) {
        const uint32_t *above = o->above + missing;
        r = put_path(f, above[-1], above, count - missing, &o->path, err);
        if (r == 0)
            r = write_header(f, above[-1], err);
    }
    if (r == 0)
        r = put_path(f, node, o->above, count, &o->path, err);
    return r < 0 ? r : write_header(f, node, err);
}

/* The names of a file but the first. */
static int write_links(dv_flatten *f, const dv_flat_inode *i, davit_error **err)
{
    const uint32_t first = i->names;
    uint32_t count = 0, node = f->tree.nodes[first].next_name;
    if (node == first)
        return 0;
    int r = list_above(f, first, &count, err);
    if (r == 0)
        r = put_path(f, first, f->output.above, count, &f->output.link, err);
    for (; r == 0 && node != first; node = f->tree.nodes[node].next_name)
        r = write_name(f, node, err);
    return r;
}

/* A directory may be written already, for what is in it. */
static int write_inode(dv_flatten *f, const dv_flat_inode *i, davit_error **err)
{
    if (f->tree.nodes[i->names].written)
        return 0;
    int r = write_name(f, i->names, err);
    return r < 0 || has_data(i) ? r : write_links(f, i, err);
}

static int changed(const dv_flatten *f, davit_error **err)
{
    return dv_error_set(err, DAVIT_EDIGEST, "it is not what it was when it was read first");
}

/* Everything that entries before this one made, and what this one made up to a file with data. */
static int write_up_to(dv_flatten *f, uint32_t entry, davit_error **err)
{
    dv_flatten_output *o = &f->output;
    for (; o->next < o->count; o->next++) {
        const uint32_t inode = o->order[o->next];
        const dv_flat_inode *i = &f->tree.inodes[inode];
        if (i->entry > entry)
            return 0;
        if (has_data(i)) {
            if (i->entry != entry || f->current->type != DV_TAR_FILE || f->current->size != i->size)
                return changed(f, err);
            o->file = inode;
        }
        int r = write_inode(f, i, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- what the tar reader calls --------------------------------------------------------------------------------------- */

static int on_entry(void *user, const dv_tar_entry *entry, davit_error **err)
{
    dv_flatten *f = user;
    f->current = entry;
    return write_up_to(f, f->entry++, err);
}

static int on_data(void *user, const void *bytes, size_t size, davit_error **err)
{
    dv_flatten *f = user;
    return f->output.file ? dv_sink_write(f->output.to, bytes, size, err) : 0;
}

static int on_end(void *user, davit_error **err)
{
    dv_flatten *f = user;
    if (!f->output.file)
        return 0;
    const dv_flat_inode *i = &f->tree.inodes[f->output.file];
    f->output.file = DV_FLAT_NONE;
    int r = dv_tar_write_padding(f->output.to, i->size, err);
    return r < 0 ? r : write_links(f, i, err);
}

const dv_tar_handler dv_flatten_writing = {.on_entry = on_entry, .on_data = on_data, .on_end = on_end};

/* --- beginning and end ----------------------------------------------------------------------------------------------- */

static int by_sequence(const void *a, const void *b, void *user)
{
    const dv_flat_inode *inodes = user;
    const uint32_t x = inodes[*(const uint32_t *)a].sequence, y = inodes[*(const uint32_t *)b].sequence;
    return (x > y) - (x < y);
}

int dv_flatten_begin(dv_flatten *f, dv_sink *to, davit_error **err)
{
    dv_flatten_output *o = &f->output;
    o->to = to;
    o->order = dv_new_array(uint32_t, f->tree.inode_count);
    if (!o->order)
        return dv_error_oom(err);
    for (uint32_t n = DV_FLAT_ASIDE + 1; n < f->tree.inode_count; n++) {
        const dv_flat_inode *i = &f->tree.inodes[n];
        if (!i->names)
            continue;
        o->order[o->count++] = n;
        if (has_data(i))
            f->wanted[i->layer - 1] = true;
    }
    qsort_r(o->order, o->count, sizeof(*o->order), by_sequence, f->tree.inodes);
    if (!f->root_described)
        return 0;
    int r = put_path(f, DV_FLAT_ROOT, NULL, 0, &o->path, err);
    return r < 0 ? r : write_header(f, DV_FLAT_ROOT, err);
}

int dv_flatten_finish(dv_flatten *f, davit_error **err)
{
    static const dv_tar_entry nothing = {.type = DV_TAR_DIRECTORY};
    f->current = &nothing;
    int r = write_up_to(f, DV_FLAT_NO_ENTRY, err);
    if (r == 0)
        r = dv_tar_write_end(f->output.to, err);
    return r < 0 ? r : dv_sink_finish(f->output.to, err);
}

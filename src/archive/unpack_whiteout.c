/*
 * archive/unpack_whiteout.c - what disappears: whiteouts, opaque directories, and what stands in the way of an entry (DESIGN 8; threats D5).
 *
 * A whiteout acts on lower layers only, wherever it stands in its own: what the marks say that this layer made stays (DESIGN 8 against the
 * positional rule of store.md 9.2 5).
 */
#include "archive/unpack_internal.h"

#include "archive/remove_tree.h"
#include "archive/whiteout.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static bool keeps_entry(void *user, uint64_t directory, const char *name)
{
    const dv_unpack *u = user;
    return dv_unpack_marks_has(&u->marks, directory, name);
}

static bool keeps_all(void *user, uint64_t directory)
{
    const dv_unpack *u = user;
    return dv_unpack_marks_has(&u->marks, directory, NULL);
}

/* What is left of it is this layer's as a whole: the same marker again, a million times, or one for a directory in it, looks into it no more. */
static int on_kept(void *user, uint64_t directory, davit_error **err)
{
    dv_unpack *u = user;
    return dv_unpack_marks_add(&u->marks, directory, NULL, err);
}

static dv_tree_keep keep_own(dv_unpack *u)
{
    return (dv_tree_keep){.user = u, .keeps_entry = keeps_entry, .keeps_all = keeps_all, .on_kept = on_kept};
}

/* Remove name from directory, but what this layer made. where is its path. */
static int remove_lower(dv_unpack *u, const dv_dir_ref *directory, const char *name, const char *where,
                        size_t where_size, davit_error **err)
{
    const dv_tree_keep keep = keep_own(u);
    struct stat st;
    if (fstatat(directory->dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : dv_unpack_failed(u, errno, "cannot look for what it removes", err);
    if (!S_ISDIR(st.st_mode) && dv_unpack_marks_has(&u->marks, directory->dir->inode, name))
        return 0;
    if (S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode)) {
        int r = dv_dirs_forget(&u->dirs, where, where_size, directory->linked, err);
        if (r < 0)
            return r;
    }
    directory->dir->dirty = true;
    int r = dv_tree_remove(directory->dir->fd, name, &keep, err);
    if (r == 0)
        dv_unpack_forget_removed(u, where, where_size);
    return r;
}

/* u->path is the marker's: its last component gives way to the name that is removed. */
static int apply_remove(dv_unpack *u, const dv_dir_ref *directory, const char *name, davit_error **err)
{
    dv_unpack_path *p = &u->target;
    size_t size = strlen(name);
    memcpy(p->text, u->path.text, u->path.base);
    memcpy(p->text + u->path.base, name, size + 1);
    p->base = u->path.base;
    p->size = u->path.base + size;
    return remove_lower(u, directory, name, p->text, p->size, err);
}

static int apply_opaque(dv_unpack *u, const dv_dir_ref *directory, davit_error **err)
{
    const dv_tree_keep keep = keep_own(u);
    int r = dv_dirs_forget(&u->dirs, u->path.text, dv_unpack_path_parent(&u->path), directory->linked, err);
    if (r < 0)
        return r;
    directory->dir->dirty = true;
    r = dv_tree_empty(directory->dir->fd, &keep, err);
    directory->dir->fresh = r == 0;
    return r;
}

/* What is below stays, and is hidden. What the layer took over may go, so that no path through it is known any more. */
static int note_whiteout(dv_unpack *u, const dv_dir_ref *directory, dv_whiteout kind, const char *name,
                         davit_error **err)
{
    const dv_tar_entry *e = u->entry;
    struct stat st;
    bool removes =
        kind == DV_WHITEOUT_OPAQUE || (fstatat(directory->dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                                       (S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode)));
    directory->dir->dirty = true;
    if (removes) {
        size_t parent = dv_unpack_path_parent(&u->path);
        int r = dv_dirs_forget(&u->dirs, u->path.text, parent, directory->linked, err);
        if (r < 0)
            return r;
    }
    return kind == DV_WHITEOUT_OPAQUE
               ? dv_overlay_set_opaque(&u->overlay, directory->dir->fd, err)
               : dv_overlay_whiteout(&u->overlay, directory->dir->fd, name, e->uid, e->gid, err);
}

int dv_unpack_apply_whiteout(dv_unpack *u, davit_error **err)
{
    dv_whiteout kind;
    const char *name = NULL;
    int r = dv_whiteout_classify(u->path.text + u->path.base, &kind, &name, err);
    if (r < 0 || kind == DV_WHITEOUT_IGNORE)
        return r;
    dv_dir_ref directory;
    DV_AUTOPTR(davit_error) why = NULL;
    u->report.whiteouts++;
    r = dv_dirs_get(&u->dirs, u->path.text, dv_unpack_path_parent(&u->path), &directory, &why);
    /* umoci writes the file that took a directory's place, and then whiteouts of what was in the directory. */
    if (r == DAVIT_EFORMAT && kind == DV_WHITEOUT_REMOVE)
        return 0;
    if (r < 0)
        return dv_error_move(err, &why, r);
    if (r == 0 && u->options.overlay)
        r = note_whiteout(u, &directory, kind, name, err);
    /* Nothing is below the lowest layer, and nothing of lower layers in a directory that this one made. */
    if (u->marks.active && !directory.dir->fresh)
        r = kind == DV_WHITEOUT_OPAQUE ? apply_opaque(u, &directory, err)
                                       : apply_remove(u, &directory, name, err);
    dv_dirs_put(&u->dirs, &directory);
    return r;
}

int dv_unpack_clear_way(dv_unpack *u, const dv_dir_ref *parent, davit_error **err)
{
    const char *name = u->path.text + u->path.base;
    struct stat st;
    if (fstatat(parent->dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : dv_unpack_failed(u, errno, "cannot look for what it replaces", err);
    if (u->options.overlay) {
        int r = dv_overlay_replaced(&u->overlay, parent->dir->fd, name, err);
        if (r < 0)
            return r;
    }
    if (S_ISDIR(st.st_mode) || S_ISLNK(st.st_mode)) {
        int r = dv_dirs_forget(&u->dirs, u->path.text, u->path.size, parent->linked, err);
        if (r < 0)
            return r;
    }
    if (S_ISDIR(st.st_mode)) {
        dv_unpack_forget_late(u, u->path.text, u->path.size);
        return dv_tree_remove(parent->dir->fd, name, NULL, err);
    }
    return unlinkat(parent->dir->fd, name, 0) < 0
               ? dv_unpack_failed(u, errno, "cannot remove what it replaces", err)
               : 0;
}

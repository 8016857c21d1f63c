/*
 * archive/unpack_entry.c - an entry of a layer becomes a file (store.md 9.2; DESIGN 8; threats D1, D2, D4, D6, D8).
 *
 * What is refused is refused before the file system is asked. Something is made with O_EXCL, or its like, by one name in an open directory;
 * only when that name is taken is looked what is there, and it goes first.
 */
#include "archive/unpack_internal.h"

#include "archive/whiteout.h"
#include "util/file.h"
#include "util/hex.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/sysmacros.h>

#define HOLE_BLOCK (64u << 10) /* zeros are looked for in pieces of this grid */
#define MAJOR_MAX 0xfffu       /* the kernel cuts what is above, and 4096:0 would be 0:0 */
#define MINOR_MAX 0xfffffu

#define PLINK_DIRECTORY ".wh..wh.plnk"

static const char *base_of(const dv_unpack_path *p)
{
    return p->text + p->base;
}

/* --- names --------------------------------------------------------------------------------- */

static int outside(dv_unpack *u, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(4 * DV_TAR_NAME_MAX + 64);
    dv_str_quote(&text, u->entry->name, strlen(u->entry->name));
    dv_buf_puts(&text, " is outside of ");
    dv_str_quote(&text, u->root_name, strlen(u->root_name));
    return text.failed ? dv_error_oom(err) : dv_error_set(err, DAVIT_EFORMAT, "%s", dv_buf_text(&text));
}

static int invalid_hardlink(dv_unpack *u, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(8 * DV_TAR_NAME_MAX + 64);
    dv_buf_puts(&text, "invalid hardlink ");
    dv_str_quote(&text, u->entry->name, strlen(u->entry->name));
    dv_buf_puts(&text, " -> ");
    dv_str_quote(&text, u->entry->link, strlen(u->entry->link));
    return text.failed ? dv_error_oom(err) : dv_error_set(err, DAVIT_EFORMAT, "%s", dv_buf_text(&text));
}

/* ".wh..wh.plnk/.../<name>" becomes <name> in the directory where this layer's are kept. */
static void move_to_kept(dv_unpack *u, dv_unpack_path *p)
{
    char name[DV_UNPACK_COMPONENT_MAX + 1];
    size_t size = p->size - p->base, above = strlen(u->layer.kept);
    memcpy(name, base_of(p), size);
    if (above == 0) {
        uint8_t random[8];
        memcpy(u->layer.kept, ".davit-plnk-", 12);
        dv_random_bytes(random, sizeof(random));
        dv_hex_encode(random, sizeof(random), u->layer.kept + 12);
        above = strlen(u->layer.kept);
    }
    memcpy(p->text, u->layer.kept, above);
    p->text[above] = '/';
    memcpy(p->text + above + 1, name, size);
    p->base = above + 1;
    p->size = p->base + size;
    p->text[p->size] = '\0';
}

static bool is_kept_file(const dv_unpack_path *p)
{
    return dv_str_starts(p->text, PLINK_DIRECTORY "/");
}

/* At the root of the archive, AUFS keeps its books (store.md 9.2 3). */
static bool is_bookkeeping(const dv_unpack_path *p)
{
    return dv_str_starts(p->text, ".wh..wh.") && strcmp(p->text, ".wh..wh..opq") != 0;
}

static int check_ids(dv_unpack *u, davit_error **err)
{
    /* -1 means "as it is" to chown. The reader refuses it too. */
    return u->entry->uid == UINT32_MAX || u->entry->gid == UINT32_MAX
               ? dv_unpack_refused(u, "owner is out of range", err)
               : 0;
}

/* --- regular files ------------------------------------------------------------------------- */

static int open_file(dv_unpack *u, const dv_dir *parent, mode_t mode)
{
    int fd =
        openat(parent->fd, base_of(&u->path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    return fd < 0 ? -errno : fd;
}

static int make_file(dv_unpack *u, const dv_dir_ref *parent, davit_error **err)
{
    const dv_tar_entry *e = u->entry;
    mode_t mode = e->mode & 0777;
    if (e->xattr_count > 0 || u->options.rootless)
        mode |= 0200; /* to set an xattr its owner must be allowed to write */
    int fd = open_file(u, parent->dir, mode);
    if (fd == -EMFILE || fd == -ENFILE) {
        int r = dv_dirs_flush(&u->dirs, err);
        if (r < 0)
            return r;
        fd = open_file(u, parent->dir, mode);
    }
    if (fd < 0)
        return fd;
    u->file = (dv_unpack_file){
        .fd = fd,
        .made_mode = mode,
        .chown = dv_unpack_needs_owner(u, e, parent->dir),
    };
    u->report.files++;
    u->report.bytes += e->size;
    return 0;
}

static bool is_zero(const char *bytes, size_t size)
{
    return bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0;
}

static int write_run(dv_unpack *u, const char *bytes, size_t size, davit_error **err)
{
    dv_unpack_file *f = &u->file;
    if (size == 0)
        return 0;
    if (!dv_room_take(&u->room, f->fd, size))
        return dv_unpack_no_room(u, err);
    int r = f->hole ? dv_pwrite_all(f->fd, bytes, size, f->offset) : dv_write_all(f->fd, bytes, size);
    if (r < 0)
        return dv_unpack_failed(u, -r, "cannot write", err);
    f->offset += size;
    f->hole_at_end = false;
    return 0;
}

int dv_unpack_write_data(dv_unpack *u, const void *bytes, size_t size, davit_error **err)
{
    dv_unpack_file *f = &u->file;
    const char *p = bytes;
    size_t run = 0; /* bytes from p on that are written at once */
    if (u->entry->size < HOLE_BLOCK)
        return write_run(u, p, size, err);
    while (run < size) {
        uint64_t at = f->offset + run;
        size_t piece = HOLE_BLOCK - (size_t)(at % HOLE_BLOCK);
        if (piece > size - run)
            piece = size - run;
        if (!is_zero(p + run, piece)) {
            run += piece;
            continue;
        }
        int r = write_run(u, p, run, err);
        if (r < 0)
            return r;
        p += run + piece;
        size -= run + piece;
        run = 0;
        f->offset += piece;
        f->hole = f->hole_at_end = true;
    }
    return write_run(u, p, run, err);
}

/* --- other kinds --------------------------------------------------------------------------- */

/* What was just made, without asking: the group only where the directory does not hand on its own. */
static struct stat made_stat(const dv_unpack *u, const dv_dir *parent, mode_t type)
{
    return (struct stat){
        .st_uid = u->euid,
        .st_gid = parent->gid == u->egid ? u->egid : (gid_t)-1,
        .st_mode = type | (dv_unpack_umask_is_zero ? u->entry->mode & 0777 : 0),
    };
}

static int make_symlink(dv_unpack *u, const dv_dir_ref *parent, davit_error **err)
{
    const char *target = u->entry->link;
    if (*target == '\0' || strlen(target) > DV_UNPACK_PATH_MAX)
        return dv_unpack_refused(u, *target ? "its target is too long" : "it is a link to nothing", err);
    if (symlinkat(target, parent->dir->fd, base_of(&u->path)) < 0)
        return -errno;
    u->report.symlinks++;
    struct stat st = made_stat(u, parent->dir, S_IFLNK);
    return dv_unpack_apply_name(u, parent->dir, base_of(&u->path), &st, err);
}

static int make_fifo(dv_unpack *u, const dv_dir_ref *parent, davit_error **err)
{
    if (mkfifoat(parent->dir->fd, base_of(&u->path), u->entry->mode & 0777) < 0) {
        if (errno != EPERM || u->privileged)
            return -errno;
        dv_unpack_skipped(u, "pipe");
        return 0;
    }
    u->report.files++;
    struct stat st = made_stat(u, parent->dir, S_IFIFO);
    return dv_unpack_apply_name(u, parent->dir, base_of(&u->path), &st, err);
}

static int check_device(dv_unpack *u, davit_error **err)
{
    const dv_tar_entry *e = u->entry;
    if (e->type == DV_TAR_CHAR && e->major == 0 && e->minor == 0)
        return dv_unpack_refused(u, "a character device 0:0 is a whiteout in disguise", err);
    if (e->major > MAJOR_MAX || e->minor > MINOR_MAX)
        return dv_unpack_refused(u, "device number is out of range", err);
    if (u->options.devices == DV_DEVICES_REJECT)
        return dv_error_set(err, DAVIT_EUNSUPPORTED, "%s: it is a device, and --devices=reject", e->name);
    return 0;
}

/* Never opened. */
static int make_device(dv_unpack *u, const dv_dir_ref *parent, davit_error **err)
{
    const dv_tar_entry *e = u->entry;
    mode_t type = e->type == DV_TAR_CHAR ? S_IFCHR : S_IFBLK;
    if (u->options.devices == DV_DEVICES_SKIP || u->options.rootless) {
        dv_unpack_skipped(u, "device");
        return dv_unpack_clear_way(u, parent, err);
    }
    if (mknodat(parent->dir->fd, base_of(&u->path), type | (e->mode & 0777), makedev(e->major, e->minor)) <
        0) {
        if (errno != EPERM)
            return -errno;
        dv_unpack_skipped(u, "device"); /* a user namespace, or no CAP_MKNOD */
        return 0;
    }
    u->report.devices++;
    struct stat st = made_stat(u, parent->dir, type);
    return dv_unpack_apply_name(u, parent->dir, base_of(&u->path), &st, err);
}

/* --- hard links ---------------------------------------------------------------------------- */

/* u->target: where the link leads, below the root. *kept: into what AUFS keeps aside. */
static int clean_target(dv_unpack *u, bool *kept, davit_error **err)
{
    if (dv_unpack_path_clean(u->entry->link, &u->target) < 0 || u->target.size == 0)
        return invalid_hardlink(u, err);
    *kept = is_kept_file(&u->target);
    if (*kept)
        move_to_kept(u, &u->target);
    return 0;
}

/* linkat() once, the target being found: a regular file or a link on the same file system. */
static int link_target(dv_unpack *u, const dv_dir_ref *from, const dv_dir_ref *parent, bool kept,
                       davit_error **err)
{
    const char *source = base_of(&u->target);
    struct stat st;
    if (u->options.overlay && faccessat(from->dir->fd, source, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
        errno == ENOENT) {
        int r = dv_overlay_copy_up(&u->overlay, from->dir->fd, source, err);
        if (r < 0)
            return r;
    }
    if (fstatat(from->dir->fd, source, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT && kept ? dv_unpack_refused(u, "invalid aufs hardlink", err)
               : errno == ENOENT       ? invalid_hardlink(u, err)
                                       : dv_unpack_failed(u, errno, "cannot look for its target", err);
    if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        return invalid_hardlink(u, err);
    if (linkat(from->dir->fd, source, parent->dir->fd, base_of(&u->path), 0) < 0)
        return errno == EXDEV ? invalid_hardlink(u, err) : -errno;
    u->report.hardlinks++;
    /* What AUFS keeps has its own entry, which described it. */
    return kept ? 0 : dv_unpack_apply_name(u, parent->dir, base_of(&u->path), &st, err);
}

static int make_hardlink(dv_unpack *u, const dv_dir_ref *parent, davit_error **err)
{
    bool kept;
    int r = clean_target(u, &kept, err);
    if (r < 0)
        return r;
    if (strcmp(u->target.text, u->path.text) == 0)
        return dv_unpack_refused(u, "it is a hard link to itself", err);
    dv_dir_ref from;
    DV_AUTOPTR(davit_error) why = NULL;
    /* The target may be below: what leads to it is taken over. */
    r = u->options.overlay
            ? dv_dirs_get(&u->dirs, u->target.text, dv_unpack_path_parent(&u->target), &from, &why)
            : dv_dirs_find(&u->dirs, u->target.text, dv_unpack_path_parent(&u->target), &from, &why);
    if (r == DAVIT_ENOTFOUND || r == DAVIT_EFORMAT)
        return kept ? dv_unpack_refused(u, "invalid aufs hardlink", err) : invalid_hardlink(u, err);
    if (r < 0)
        return dv_error_move(err, &why, r);
    r = link_target(u, &from, parent, kept, err);
    dv_dirs_put(&u->dirs, &from);
    return r;
}

/* --- directories --------------------------------------------------------------------------- */

/* A hint: what comes of it is read back. */
static mode_t directory_mode(const dv_unpack *u)
{
    return (u->entry->mode & 0777) | (u->privileged ? 0 : 0700);
}

static int make_directory(dv_unpack *u, const dv_dir_ref *parent, dv_dir_ref *out, bool *existed,
                          davit_error **err)
{
    const dv_unpack_path *p = &u->path;
    for (unsigned tries = 0; tries < 2; tries++) {
        int r = dv_dirs_make(&u->dirs, parent, p->text, p->size, base_of(p), directory_mode(u), out, existed,
                             err);
        /* What stood there hid what is below, and the new directory must do the same. */
        if (r == 1 && tries > 0 && u->options.overlay)
            return dv_overlay_set_opaque(&u->overlay, out->dir->fd, err);
        if (r != 0)
            return r < 0 ? r : 0;
        r = dv_unpack_clear_way(u, parent, err);
        if (r < 0)
            return r;
    }
    return dv_unpack_failed(u, EEXIST, "cannot make directory", err);
}

static int apply_directory(dv_unpack *u, davit_error **err)
{
    const dv_unpack_path *p = &u->path;
    dv_dir_ref parent = {0}, directory = {0};
    bool existed = true;
    bool known = dv_dirs_cached(&u->dirs, p->text, p->size, &directory);
    /* It must be noted that this layer has it: it may be a lower one's, emptied by a marker or not. The root needs no note. */
    if (!known || (u->marks.active && p->size > 0)) {
        dv_dirs_put(&u->dirs, &directory);
        int r = dv_dirs_get(&u->dirs, p->text, dv_unpack_path_parent(p), &parent, err);
        if (r == 0)
            r = make_directory(u, &parent, &directory, &existed, err);
        dv_dirs_put(&u->dirs, &parent);
        if (r < 0)
            return r;
    }
    u->report.directories++;
    int r = dv_unpack_apply_directory(u, directory.dir, existed, err);
    dv_dirs_put(&u->dirs, &directory);
    return r;
}

/* --- dispatch ------------------------------------------------------------------------------ */

typedef int make_function(dv_unpack *u, const dv_dir_ref *parent, davit_error **err);

static make_function *const makers[] = {
    [DV_TAR_FILE] = make_file,   [DV_TAR_HARDLINK] = make_hardlink, [DV_TAR_SYMLINK] = make_symlink,
    [DV_TAR_CHAR] = make_device, [DV_TAR_BLOCK] = make_device,      [DV_TAR_FIFO] = make_fifo,
};

/* A maker gives a davit_code with *err set, or -EEXIST and other errnos of the call that makes. */
static int make_with(dv_unpack *u, make_function *make, const dv_dir_ref *parent, davit_error **err)
{
    DV_AUTOPTR(davit_error) story = NULL;
    int r = make(u, parent, &story);
    if (r == -EEXIST && !story) {
        r = dv_unpack_clear_way(u, parent, err);
        if (r < 0)
            return r;
        r = make(u, parent, &story);
    }
    if (story)
        return dv_error_move(err, &story, r);
    return r < 0 ? dv_unpack_failed(u, -r, "cannot make it", err) : 0;
}

static int apply_other(dv_unpack *u, davit_error **err)
{
    const dv_tar_entry *e = u->entry;
    dv_dir_ref parent;
    int r = e->type == DV_TAR_CHAR || e->type == DV_TAR_BLOCK ? check_device(u, err) : 0;
    if (r == 0)
        r = dv_dirs_get(&u->dirs, u->path.text, dv_unpack_path_parent(&u->path), &parent, err);
    if (r < 0)
        return r;
    parent.dir->dirty = true;
    r = make_with(u, makers[e->type], &parent, err);
    if (r == 0 && !parent.dir->fresh)
        r = dv_unpack_marks_add(&u->marks, parent.dir->inode, base_of(&u->path), err);
    dv_dirs_put(&u->dirs, &parent);
    return r;
}

static int apply_root(dv_unpack *u, davit_error **err)
{
    if (u->entry->type != DV_TAR_DIRECTORY)
        return dv_unpack_refused(u, "it would replace the root", err);
    return apply_directory(u, err);
}

static int clean_name(dv_unpack *u, davit_error **err)
{
    int r = dv_unpack_path_clean(u->entry->name, &u->path);
    if (r == DAVIT_EFORMAT)
        return outside(u, err);
    return r < 0 ? dv_unpack_refused(u, "name is too long", err) : 0;
}

int dv_unpack_apply_entry(dv_unpack *u, davit_error **err)
{
    int r = clean_name(u, err);
    if (r == 0)
        r = check_ids(u, err);
    if (r < 0)
        return r;
    if (u->path.size == 0)
        return apply_root(u, err);
    if (is_bookkeeping(&u->path)) {
        if (!is_kept_file(&u->path) || u->entry->type != DV_TAR_FILE)
            return 0;
        move_to_kept(u, &u->path);
    } else if (dv_str_starts(base_of(&u->path), ".wh.")) {
        return dv_unpack_apply_whiteout(u, err);
    }
    return u->entry->type == DV_TAR_DIRECTORY ? apply_directory(u, err) : apply_other(u, err);
}

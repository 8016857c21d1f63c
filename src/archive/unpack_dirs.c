/* archive/unpack_dirs.c - see unpack_dirs.h. */
#include "archive/unpack_dirs.h"

#include "archive/unpack_path.h"
#include "util/buf.h"
#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>

#define LINKS_MAX 40 /* dangling links followed to make one directory; the kernel's number */
#define SPARE_MAX 16 /* descriptors left free for files, for what is made or removed, and for other threads */

static int open_in(int dirfd, const char *path, uint64_t resolve)
{
    return dv_openat2(dirfd, path, O_RDONLY | O_DIRECTORY, resolve);
}

int dv_dirs_open(const dv_dirs *d, const char *path, bool *linked)
{
    const char *name = *path ? path : ".";
    *linked = false;
    int fd = open_in(d->root_fd, name, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
    if (fd != -ELOOP)
        return fd;
    *linked = true;
    return open_in(d->root_fd, name, RESOLVE_IN_ROOT);
}

static int open_failed(davit_error **err, int errnum, const char *path)
{
    switch (errnum) {
    case ENOENT:
        return dv_error_set(err, DAVIT_ENOTFOUND, "there is no directory %s", path);
    case ENOTDIR:
        return dv_error_set(err, DAVIT_EFORMAT, "%s: not a directory, or below something that is none", path);
    case ELOOP:
        return dv_error_set(err, DAVIT_EFORMAT, "%s: too many symbolic links", path);
    case ENAMETOOLONG:
        return dv_error_set(err, DAVIT_EFORMAT, "%s: name is too long", path);
    case ENOSYS:
    case EPERM:
        return dv_error_set(err, DAVIT_EUNSUPPORTED,
                            "cannot unpack safely: the system call openat2 is missing or forbidden here "
                            "(Linux 5.6 or newer has it)");
    default:
        return dv_error_file(err, errnum, "cannot open directory %s", *path ? path : "/");
    }
}

/* --- records ------------------------------------------------------------------------------- */

static void dir_read_stat(dv_dir *dir, const struct stat *st)
{
    dir->inode = st->st_ino;
    dir->uid = st->st_uid;
    dir->gid = st->st_gid;
    dir->mode = st->st_mode & 07777;
    dir->times[0] = st->st_atim;
    dir->times[1] = st->st_mtim;
}

/* Put the times back and close. */
static int dir_close(dv_dir *dir, davit_error **err)
{
    dv_dir closing = *dir;
    DV_AUTOCLOSE fd = closing.fd;
    *dir = (dv_dir){.fd = -1};
    if (closing.dirty && closing.has_times && futimens(fd, closing.times) < 0)
        return dv_error_file(err, errno, "cannot set the times of a directory");
    return 0;
}

static uint32_t hash(const char *path, size_t size)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < size; i++)
        h = (h ^ (unsigned char)path[i]) * 16777619u;
    return h;
}

static bool key_is(const dv_dirs *d, size_t i, const char *path, size_t size, uint32_t h)
{
    const dv_dirs_key *k = &d->keys[i];
    return d->hashes[i] == h && k->dir && k->size == size && memcmp(k->path, path, size) == 0;
}

static bool key_search(dv_dirs *d, const char *path, size_t size, size_t *out)
{
    const dv_dirs_key *last = &d->keys[d->last];
    if (last->dir && last->size == size && memcmp(last->path, path, size) == 0) {
        *out = d->last;
        return true;
    }
    uint32_t h = hash(path, size);
    for (size_t i = 0; i < d->limit; i++)
        if (key_is(d, i, path, size, h)) {
            *out = d->last = i;
            return true;
        }
    return false;
}

/* The key goes; its directory too, when no other key leads there and nobody holds it. */
static int key_drop(dv_dirs *d, size_t i, davit_error **err)
{
    dv_dirs_key k = d->keys[i];
    d->keys[i] = (dv_dirs_key){0};
    d->linked_keys -= k.linked;
    free(k.path);
    if (k.dir == &d->root || k.dir->pins > 0)
        return 0;
    for (size_t other = 0; other < d->limit; other++)
        if (d->keys[other].dir == k.dir)
            return 0;
    return dir_close(k.dir, err);
}

static bool dir_has_key(const dv_dirs *d, const dv_dir *dir)
{
    for (size_t i = 0; i < d->limit; i++)
        if (d->keys[i].dir == dir)
            return true;
    return false;
}

/* A free key: one that is unused, or the one whose last use is longest ago. */
static int key_free(dv_dirs *d, size_t *out, davit_error **err)
{
    size_t oldest = SIZE_MAX;
    for (size_t i = 0; i < d->limit; i++) {
        if (!d->keys[i].dir) {
            *out = i;
            return 0;
        }
        if (d->keys[i].dir->pins == 0 && (oldest == SIZE_MAX || d->keys[i].used < d->keys[oldest].used))
            oldest = i;
    }
    if (oldest == SIZE_MAX)
        return dv_error_set(err, DAVIT_EIO, "too many open directories");
    *out = oldest;
    return key_drop(d, oldest, err);
}

static dv_dir *dir_by_inode(dv_dirs *d, ino_t inode)
{
    if (d->root.inode == inode)
        return &d->root;
    for (size_t i = 0; i < DV_UNPACK_DIRS_MAX; i++)
        if (d->dirs[i].fd >= 0 && d->dirs[i].inode == inode)
            return &d->dirs[i];
    return NULL;
}

static dv_dir *dir_free(dv_dirs *d)
{
    for (size_t i = 0; i < DV_UNPACK_DIRS_MAX; i++)
        if (d->dirs[i].fd < 0)
            return &d->dirs[i];
    return NULL;
}

static dv_dir_ref pin(dv_dirs *d, dv_dir *dir, bool linked)
{
    dir->pins++;
    return (dv_dir_ref){.dir = dir, .linked = linked};
}

/* Takes fd. The directory of that inode is known already, or becomes so. */
static int record(dv_dirs *d, int fd, dv_dir **out, davit_error **err)
{
    DV_AUTOCLOSE owned = fd;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return dv_error_file(err, errno, "cannot read a directory");
    dv_dir *dir = dir_by_inode(d, st.st_ino);
    if (!dir) {
        dir = dir_free(d);
        if (!dir)
            return dv_error_set(err, DAVIT_EIO, "too many open directories");
        *dir = (dv_dir){.fd = fd, .has_times = true};
        dir_read_stat(dir, &st);
        dir->fresh = dv_unpack_marks_has(d->marks, st.st_ino, NULL);
        owned = -1;
    }
    *out = dir;
    return 0;
}

/* Takes fd: path leads to it from now on. */
static int insert(dv_dirs *d, const char *path, size_t size, int fd, bool linked, dv_dir_ref *out,
                  davit_error **err)
{
    DV_AUTOCLOSE owned = fd;
    size_t i;
    int r = key_search(d, path, size, &i) ? key_drop(d, i, err) : 0;
    /* A new descriptor is the lowest that is free: behind it there may be more of others, never fewer. */
    if (r == 0 && (rlim_t)fd + SPARE_MAX >= d->descriptors_max)
        r = dv_dirs_flush(d, err);
    if (r == 0)
        r = key_free(d, &i, err);
    if (r < 0)
        return r;
    char *copy = dv_strndup(path, size);
    if (!copy)
        return dv_error_oom(err);
    dv_dir *dir;
    owned = -1;
    r = record(d, fd, &dir, err);
    if (r < 0) {
        free(copy);
        return r;
    }
    d->keys[i] = (dv_dirs_key){.path = copy, .size = size, .dir = dir, .used = ++d->clock, .linked = linked};
    d->hashes[i] = hash(path, size);
    d->linked_keys += linked;
    d->last = i;
    *out = pin(d, dir, linked);
    return 0;
}

/* --- missing directories ------------------------------------------------------------------- */

/* A directory that no entry describes: 0755, root's. Takes nothing. */
static int adopt_missing(dv_dirs *d, int fd, davit_error **err)
{
    struct stat st;
    int r = 0;
    if (fstat(fd, &st) < 0)
        return dv_error_file(err, errno, "cannot read a directory");
    if (!d->rootless && (st.st_uid != 0 || st.st_gid != 0) && fchown(fd, 0, 0) < 0)
        r = dv_error_file(err, errno, "cannot give a directory to root");
    if (r == 0 && (st.st_mode & 07777) != 0755 && fchmod(fd, 0755) < 0)
        r = dv_error_file(err, errno, "cannot set the mode of a directory");
    return r < 0 ? r : dv_unpack_marks_add(d->marks, st.st_ino, NULL, err);
}

/*
 * A new name in the directory behind fd, which was so before. It may be one that is open here too, which then gets its times back when it is
 * closed; others get them at once.
 */
static int note_change(dv_dirs *d, int fd, const struct stat *before, const char *name, davit_error **err)
{
    const struct timespec times[2] = {before->st_atim, before->st_mtim};
    dv_dir *dir = dir_by_inode(d, before->st_ino);
    if (dir)
        dir->dirty = true;
    else if (futimens(fd, times) < 0)
        return dv_error_file(err, errno, "cannot set the times of a directory");
    return dv_unpack_marks_has(d->marks, before->st_ino, NULL)
               ? 0
               : dv_unpack_marks_add(d->marks, before->st_ino, name, err);
}

static int make_all(dv_dirs *d, const char *path, unsigned links, davit_error **err);

/* name in the directory at was in the way of a mkdir: a link to nothing yet. What it says is made. */
static int make_target(dv_dirs *d, int at, const char *name, const char *path, size_t above, unsigned links,
                       davit_error **err)
{
    char target[PATH_MAX];
    DV_AUTO(dv_buf) whole = DV_BUF_INIT(PATH_MAX - 1);
    ssize_t n = readlinkat(at, name, target, sizeof(target));
    if (n < 0)
        return open_failed(err, errno == EINVAL ? ENOTDIR : errno, path);
    if (links == 0)
        return open_failed(err, ELOOP, path);
    if (n > 0 && target[0] != '/') {
        dv_buf_append(&whole, path, above);
        dv_buf_putc(&whole, '/');
    }
    dv_buf_append(&whole, target, (size_t)n);
    if (whole.failed)
        return whole.failed == DAVIT_ENOMEM ? dv_error_oom(err) : open_failed(err, ENAMETOOLONG, path);
    return make_all(d, dv_buf_text(&whole), links - 1, err);
}

/* mkdir of one component in *at. 0: *at is now the new directory. */
static int make_one(dv_dirs *d, int *at, const char *name, const char *path, davit_error **err)
{
    struct stat before;
    if (fstat(*at, &before) < 0)
        return dv_error_file(err, errno, "cannot read a directory");
    if (mkdirat(*at, name, 0755) < 0)
        return dv_error_file(err, errno, "cannot make directory %s", path);
    if (++d->made > d->made_max)
        return dv_error_set(err, DAVIT_ETOOBIG, "more directories than entries are allowed");
    int r = note_change(d, *at, &before, name, err);
    if (r < 0)
        return r;
    int fd = open_in(*at, name, RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH);
    if (fd < 0)
        return open_failed(err, -fd, path);
    dv_close(at);
    *at = fd;
    return adopt_missing(d, fd, err);
}

/* Step from *at to its component name; path[0..end] is the way from the root up to and with it. */
static int make_step(dv_dirs *d, int *at, const char *name, const char *path, size_t above, size_t end,
                     unsigned links, davit_error **err)
{
    bool up = strcmp(name, "..") == 0;
    int fd = up ? -ELOOP : open_in(*at, name, RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH);
    dv_overlay_brought brought = DV_OVERLAY_NOTHING;
    if (d->overlay && (fd == -ENOENT || fd == -ENOTDIR)) {
        int r = dv_overlay_bring(d->overlay, *at, name, &brought, err);
        if (r < 0)
            return r;
        fd = brought == DV_OVERLAY_BROUGHT  ? open_in(*at, name, RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH)
             : brought == DV_OVERLAY_HIDDEN ? -ENOENT
                                            : fd;
    }
    if (fd == -ENOENT) {
        int r = make_one(d, at, name, path, err);
        return r == 0 && brought == DV_OVERLAY_HIDDEN ? dv_overlay_set_opaque(d->overlay, *at, err) : r;
    }
    if (fd == -ELOOP) {
        DV_AUTOFREE char *prefix = dv_strndup(path, end);
        if (!prefix)
            return dv_error_oom(err);
        fd = open_in(d->root_fd, prefix, RESOLVE_IN_ROOT);
        if (fd == -ENOENT && !up) {
            int r = make_target(d, *at, name, path, above, links, err);
            if (r < 0)
                return r;
            fd = open_in(d->root_fd, prefix, RESOLVE_IN_ROOT);
        }
    }
    if (fd < 0)
        return open_failed(err, -fd, path);
    dv_close(at);
    *at = fd;
    return 0;
}

/* mkdir -p within the root, also through links that point to what is not there yet. path may hold ".." from a link's text. */
static int make_all(dv_dirs *d, const char *path, unsigned links, davit_error **err)
{
    DV_AUTOCLOSE at = open_in(d->root_fd, ".", RESOLVE_IN_ROOT);
    if (at < 0)
        return open_failed(err, -at, "");
    size_t above = 0;
    for (size_t i = 0; path[i] != '\0';) {
        size_t size = (size_t)(strchrnul(path + i, '/') - (path + i));
        char name[DV_UNPACK_COMPONENT_MAX + 1];
        if (size > DV_UNPACK_COMPONENT_MAX)
            return open_failed(err, ENAMETOOLONG, path);
        memcpy(name, path + i, size);
        name[size] = '\0';
        if (size > 1 || (size == 1 && name[0] != '.')) {
            int r = make_step(d, &at, name, path, above, i + size, links, err);
            if (r < 0)
                return r;
            above = i + size;
        }
        i += size;
        i += path[i] == '/';
    }
    return 0;
}

/* --- the interface ------------------------------------------------------------------------- */

int dv_dirs_init(dv_dirs *d, int root_fd, dv_unpack_marks *marks, davit_error **err)
{
    struct stat st;
    struct rlimit limit;
    *d = (dv_dirs){.root_fd = root_fd,
                   .root = {.fd = root_fd},
                   .marks = marks,
                   .made_max = UINT64_MAX,
                   .descriptors_max = RLIM_INFINITY};
    for (size_t i = 0; i < DV_UNPACK_DIRS_MAX; i++)
        d->dirs[i].fd = -1;
    /* Half of a small limit is for everybody else. One more record than keys: a pinned directory may have lost its key. */
    d->limit = DV_UNPACK_DIRS_MAX - 8;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        d->descriptors_max = limit.rlim_cur;
        if (limit.rlim_cur / 2 < d->limit)
            d->limit = limit.rlim_cur / 2 > 8 ? limit.rlim_cur / 2 : 8;
    }
    if (fstat(root_fd, &st) < 0)
        return dv_error_file(err, errno, "cannot read the directory to unpack to");
    dir_read_stat(&d->root, &st);
    return 0;
}

void dv_dirs_clear(dv_dirs *d)
{
    for (size_t i = 0; i < DV_UNPACK_DIRS_MAX; i++) {
        free(d->keys[i].path);
        dv_close(&d->dirs[i].fd);
        d->keys[i] = (dv_dirs_key){0};
    }
    d->linked_keys = 0;
}

static bool known(dv_dirs *d, const char *path, size_t size, dv_dir_ref *out)
{
    size_t i;
    if (size == 0) {
        *out = pin(d, &d->root, false);
        return true;
    }
    if (!key_search(d, path, size, &i))
        return false;
    d->keys[i].used = ++d->clock;
    *out = pin(d, d->keys[i].dir, d->keys[i].linked);
    return true;
}

bool dv_dirs_cached(dv_dirs *d, const char *path, size_t size, dv_dir_ref *out)
{
    size_t i;
    if (size > 0 && key_search(d, path, size, &i) && d->keys[i].linked)
        return false;
    return known(d, path, size, out);
}

static int get(dv_dirs *d, const char *path, size_t size, bool make, dv_dir_ref *out, davit_error **err)
{
    if (known(d, path, size, out))
        return 0;
    DV_AUTOFREE char *copy = dv_strndup(path, size);
    if (!copy)
        return dv_error_oom(err);
    bool linked;
    int r, fd = dv_dirs_open(d, copy, &linked);
    if (fd == -EMFILE || fd == -ENFILE) {
        r = dv_dirs_flush(d, err);
        if (r < 0)
            return r;
        fd = dv_dirs_open(d, copy, &linked);
    }
    if (make && (fd == -ENOENT || (d->overlay && fd == -ENOTDIR))) {
        r = make_all(d, copy, LINKS_MAX, err);
        if (r < 0)
            return r;
        fd = dv_dirs_open(d, copy, &linked);
    }
    if (fd < 0)
        return open_failed(err, -fd, copy);
    return insert(d, path, size, fd, linked, out, err);
}

int dv_dirs_get(dv_dirs *d, const char *path, size_t size, dv_dir_ref *out, davit_error **err)
{
    return get(d, path, size, /* make= */ true, out, err);
}

int dv_dirs_find(dv_dirs *d, const char *path, size_t size, dv_dir_ref *out, davit_error **err)
{
    return get(d, path, size, /* make= */ false, out, err);
}

int dv_dirs_make(dv_dirs *d, const dv_dir_ref *parent, const char *path, size_t size, const char *name,
                 mode_t mode, dv_dir_ref *out, bool *existed, davit_error **err)
{
    out->dir = NULL;
    *existed = mkdirat(parent->dir->fd, name, mode) < 0;
    if (*existed && errno != EEXIST)
        return dv_error_file(err, errno, "cannot make directory %s", path);
    int fd = openat(parent->dir->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && *existed && (errno == ENOTDIR || errno == ELOOP))
        return 0;
    if (fd < 0)
        return dv_error_file(err, errno, "cannot open directory %s", path);
    if (!*existed)
        parent->dir->dirty = true;
    dv_dir_ref ref;
    int r = insert(d, path, size, fd, parent->linked, &ref, err);
    if (r < 0)
        return r;
    if (!parent->dir->fresh)
        r = dv_unpack_marks_add(d->marks, parent->dir->inode, name, err);
    if (r == 0 && !*existed && d->marks->active) {
        r = dv_unpack_marks_add(d->marks, ref.dir->inode, NULL, err);
        ref.dir->fresh = true;
    }
    if (r < 0) {
        dv_dirs_put(d, &ref);
        return r;
    }
    *out = ref;
    return 1;
}

void dv_dirs_put(dv_dirs *d, dv_dir_ref *ref)
{
    dv_dir *dir = ref->dir;
    ref->dir = NULL;
    if (!dir || --dir->pins > 0 || dir == &d->root || dir_has_key(d, dir))
        return;
    dir_close(dir, NULL);
}

static bool is_at_or_below(const dv_dirs_key *k, const char *path, size_t size)
{
    if (size == 0)
        return true;
    return k->size >= size && memcmp(k->path, path, size) == 0 && (k->size == size || k->path[size] == '/');
}

int dv_dirs_forget(dv_dirs *d, const char *path, size_t size, bool linked, davit_error **err)
{
    /* Which paths a link is part of is not recorded: where any is known, every one may be concerned. */
    bool all = linked || d->linked_keys > 0;
    for (size_t i = 0; i < d->limit; i++) {
        if (!d->keys[i].dir || (!all && !is_at_or_below(&d->keys[i], path, size)))
            continue;
        int r = key_drop(d, i, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int dv_dirs_flush(dv_dirs *d, davit_error **err)
{
    for (size_t i = 0; i < d->limit; i++) {
        int r = d->keys[i].dir ? key_drop(d, i, err) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

void dv_dirs_begin_layer(dv_dirs *d)
{
    d->root.fresh = false;
    for (size_t i = 0; i < DV_UNPACK_DIRS_MAX; i++)
        d->dirs[i].fresh = false;
}

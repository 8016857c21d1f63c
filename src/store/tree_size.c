/* store/tree_size.c - see tree_size.h. Each directory is read at once and its subdirectories remembered by name; up again goes by "..". */
#include "store/tree_size.h"

#include "archive/unpack_marks.h"
#include "util/buf.h"
#include "util/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define NAMES_MAX (64u << 20) /* bytes of names of subdirectories in one directory */
#define DEPTH_MAX (1u << 20)

/* A directory on the way down. */
typedef struct level {
    dv_buf names; /* subdirectories, each with its NUL */
    size_t next;
} level;

typedef struct walk {
    int fd;
    level *levels;
    size_t depth, capacity;
    dv_unpack_marks seen; /* files with several names */
    dv_tree_size total;
} walk;

static void walk_clear(walk *w)
{
    for (size_t i = 0; i < w->depth; i++)
        dv_buf_clear(&w->levels[i].names);
    free(w->levels);
    dv_close(&w->fd);
    dv_unpack_marks_clear(&w->seen);
}
DV_DEFINE_AUTO(walk, walk_clear)

static int failed(int errnum, davit_error **err)
{
    return dv_error_file(err, errnum, "cannot measure an unpacked layer");
}

static int count(walk *w, const struct stat *st, davit_error **err)
{
    if (!S_ISDIR(st->st_mode) && st->st_nlink > 1) {
        if (dv_unpack_marks_has(&w->seen, st->st_ino, NULL))
            return 0;
        int r = dv_unpack_marks_add(&w->seen, st->st_ino, NULL, err);
        if (r < 0)
            return r;
    }
    w->total.size += S_ISDIR(st->st_mode) ? 0 : (uint64_t)st->st_size;
    w->total.disk_size += (uint64_t)st->st_blocks * 512;
    return 0;
}

static int read_entry(walk *w, level *l, const char *name, davit_error **err)
{
    struct stat st;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return 0;
    if (fstatat(w->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return failed(errno, err);
    if (S_ISDIR(st.st_mode))
        dv_buf_append(&l->names, name, strlen(name) + 1);
    if (l->names.failed)
        return l->names.failed == DAVIT_ENOMEM ? dv_error_oom(err) : failed(ENAMETOOLONG, err);
    return count(w, &st, err);
}

static int push_level(walk *w, davit_error **err)
{
    if (w->depth == w->capacity) {
        size_t wanted = w->capacity ? 2 * w->capacity : 16;
        level *grown = wanted > DEPTH_MAX ? NULL : dv_realloc_array(w->levels, wanted, sizeof(*grown));
        if (!grown)
            return dv_error_oom(err);
        w->levels = grown;
        w->capacity = wanted;
    }
    w->levels[w->depth++] = (level){.names = DV_BUF_INIT(NAMES_MAX)};
    return 0;
}

/* The directory that was just entered. */
static int read_level(walk *w, davit_error **err)
{
    int r = push_level(w, err), own = r < 0 ? -1 : openat(w->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = own < 0 ? NULL : fdopendir(own);
    if (!dir) {
        int errnum = errno;
        dv_close(&own);
        return r < 0 ? r : failed(errnum, err);
    }
    const struct dirent *entry;
    while (r == 0 && (entry = readdir(dir)))
        r = read_entry(w, &w->levels[w->depth - 1], entry->d_name, err);
    closedir(dir);
    return r;
}

static int enter(walk *w, const char *name, davit_error **err)
{
    int fd = openat(w->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return failed(errno, err);
    dv_close(&w->fd);
    w->fd = fd;
    return 0;
}

int dv_tree_measure(int dirfd, dv_tree_size *out, davit_error **err)
{
    DV_AUTO(walk) w = {.fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (w.fd < 0)
        return failed(errno, err);
    dv_unpack_marks_init(&w.seen);
    dv_unpack_marks_begin(&w.seen, /* active= */ true);
    int r = read_level(&w, err);
    while (r == 0 && w.depth > 0) {
        level *l = &w.levels[w.depth - 1];
        if (l->next < l->names.size) {
            const char *name = l->names.data + l->next;
            l->next += strlen(name) + 1;
            r = enter(&w, name, err);
            if (r == 0)
                r = read_level(&w, err);
        } else {
            dv_buf_clear(&l->names);
            w.depth--;
            r = w.depth > 0 ? enter(&w, "..", err) : 0;
        }
    }
    if (r == 0)
        *out = w.total;
    return r;
}

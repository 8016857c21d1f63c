/* store/tree_walk.c - see tree_walk.h. Each directory is read at once and its subdirectories remembered by name; up again goes by "..". */
#include "store/tree_walk.h"

#include "util/buf.h"
#include "util/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define NAMES_MAX (64u << 20) /* bytes of names of subdirectories in one directory */
#define DEPTH_MAX (1u << 20)

/* A directory on the way down. */
typedef struct level {
    dv_buf names; /* subdirectories, each with its NUL */
    size_t next;
} level;

typedef struct walk {
    const dv_tree_visitor *visitor;
    void *user;
    const char *doing;
    int fd;
    level *levels;
    size_t depth, capacity;
} walk;

static void walk_clear(walk *w)
{
    for (size_t i = 0; i < w->depth; i++)
        dv_buf_clear(&w->levels[i].names);
    free(w->levels);
    dv_close(&w->fd);
}
DV_DEFINE_AUTO(walk, walk_clear)

static int failed(const walk *w, int errnum, davit_error **err)
{
    return dv_error_file(err, errnum, "cannot %s", w->doing);
}

static int read_entry(walk *w, level *l, const char *name, davit_error **err)
{
    struct stat st;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return 0;
    if (fstatat(w->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return failed(w, errno, err);
    if (S_ISDIR(st.st_mode))
        dv_buf_append(&l->names, name, strlen(name) + 1);
    if (l->names.failed)
        return l->names.failed == DAVIT_ENOMEM ? dv_error_oom(err) : failed(w, ENAMETOOLONG, err);
    return w->visitor->entry(w->user, w->fd, name, &st, err);
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
static int read_level(walk *w, const char *name, davit_error **err)
{
    int r = push_level(w, err);
    if (r == 0 && w->visitor->enter)
        r = w->visitor->enter(w->user, w->fd, name, err);
    if (r < 0)
        return r;
    int own = openat(w->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = own < 0 ? NULL : fdopendir(own);
    if (!dir) {
        int errnum = errno;
        dv_close(&own);
        return failed(w, errnum, err);
    }
    const struct dirent *entry;
    while (r == 0 && (entry = readdir(dir)))
        r = read_entry(w, &w->levels[w->depth - 1], entry->d_name, err);
    closedir(dir);
    return r;
}

static int change_to(walk *w, const char *name, davit_error **err)
{
    int fd = openat(w->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return failed(w, errno, err);
    dv_close(&w->fd);
    w->fd = fd;
    return 0;
}

static int leave_level(walk *w, davit_error **err)
{
    dv_buf_clear(&w->levels[--w->depth].names);
    int r = w->visitor->leave ? w->visitor->leave(w->user, err) : 0;
    return r == 0 && w->depth > 0 ? change_to(w, "..", err) : r;
}

int dv_tree_walk(int dirfd, const char *doing, const dv_tree_visitor *visitor, void *user, davit_error **err)
{
    DV_AUTO(walk)
    w = {.visitor = visitor,
         .user = user,
         .doing = doing,
         .fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (w.fd < 0)
        return failed(&w, errno, err);
    int r = read_level(&w, /* name= */ NULL, err);
    while (r == 0 && w.depth > 0) {
        level *l = &w.levels[w.depth - 1];
        if (l->next < l->names.size) {
            const char *name = l->names.data + l->next;
            l->next += strlen(name) + 1;
            r = change_to(&w, name, err);
            if (r == 0)
                r = read_level(&w, name, err);
        } else {
            r = leave_level(&w, err);
        }
    }
    return r;
}

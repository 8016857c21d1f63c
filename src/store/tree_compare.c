/* store/tree_compare.c - see tree_compare.h. The expected tree is walked, and the other one beside it. */
#include "store/tree_compare.h"

#include "store/tree_walk.h"
#include "util/file.h"
#include "util/str.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define DOING "compare an unpacked layer"
#define PIECE (64u << 10)
#define PATH_SHOWN 4096 /* bytes */
#define DIFFERS 1       /* ends the walk, beside errors */

typedef struct comparison {
    int fd;             /* the directory of the other tree */
    dv_buf path;        /* of it, each part with "/" behind; as far as there is room for it */
    size_t depth, lost; /* parts; those that did not fit */
    dv_buf *out;
    char one[PIECE], other[PIECE]; /* of files, targets, or names of attributes */
} comparison;

static void comparison_free(comparison *c)
{
    if (!c)
        return;
    dv_close(&c->fd);
    dv_buf_clear(&c->path);
    free(c);
}
DV_DEFINE_AUTOPTR(comparison, comparison_free)

static int failed(int errnum, davit_error **err)
{
    return dv_error_file(err, errnum, "cannot " DOING);
}

static int differs(comparison *c, const char *name, const char *how)
{
    DV_AUTO(dv_buf) shown = DV_BUF_INIT(4 * PATH_SHOWN);
    dv_str_escape(&shown, dv_buf_text(&c->path), c->path.size, /* keep_newlines= */ false);
    dv_str_escape(&shown, name, strlen(name), /* keep_newlines= */ false);
    dv_buf_printf(c->out, "%s: %s", shown.failed ? "something with a long name" : dv_buf_text(&shown), how);
    return DIFFERS;
}

/* --- what a file or directory is --------------------------------------------------------------------------------------- */

static const char *compare_stat(const struct stat *a, const struct stat *b)
{
    bool file = S_ISREG(a->st_mode) || S_ISLNK(a->st_mode);
    if ((a->st_mode & S_IFMT) != (b->st_mode & S_IFMT))
        return "is of another kind";
    if (a->st_mode != b->st_mode)
        return "has another mode";
    if (a->st_uid != b->st_uid || a->st_gid != b->st_gid)
        return "has another owner";
    if (a->st_rdev != b->st_rdev)
        return "is another device";
    if (file && a->st_size != b->st_size)
        return "has another size";
    if (file && (a->st_mtim.tv_sec != b->st_mtim.tv_sec || a->st_mtim.tv_nsec != b->st_mtim.tv_nsec))
        return "has another time";
    return NULL;
}

/* 1: the same; 0; -errno. */
static int compare_bytes(comparison *c, int one, int other)
{
    for (uint64_t at = 0;; at += PIECE) {
        ssize_t n = dv_pread_all(one, c->one, PIECE, at), m = dv_pread_all(other, c->other, PIECE, at);
        if (n < 0 || m < 0)
            return (int)(n < 0 ? n : m);
        if (n != m || memcmp(c->one, c->other, (size_t)n) != 0)
            return 0;
        if ((size_t)n < PIECE)
            return 1;
    }
}

/* Others are the system's business, such as labels. */
static bool is_ours(const char *name)
{
    return dv_str_starts(name, "user.") || dv_str_starts(name, "trusted.") ||
           strcmp(name, "security.capability") == 0;
}

/* Names with their NULs into a buffer of PIECE. 0 without any; -errno. */
static ssize_t list_attributes(int fd, char *names)
{
    ssize_t size = flistxattr(fd, names, PIECE);
    return size < 0 && errno != ENOTSUP ? -errno : size < 0 ? 0 : size;
}

/* Whether the other one has all of these: 1, 0 or -errno. */
static int has_attributes(comparison *c, int one, int other)
{
    char value[2][1024];
    ssize_t size = list_attributes(one, c->one);
    for (const char *name = c->one; size > 0 && name < c->one + size; name += strlen(name) + 1) {
        if (!is_ours(name))
            continue;
        ssize_t n = fgetxattr(one, name, value[0], sizeof(value[0])), m;
        if (n >= 0) {
            m = fgetxattr(other, name, value[1], sizeof(value[1]));
            if (n != m || memcmp(value[0], value[1], (size_t)n) != 0)
                return 0;
        } else if (errno == ERANGE) { /* a long one: by its size */
            n = fgetxattr(one, name, NULL, 0);
            m = fgetxattr(other, name, NULL, 0);
            if (n != m)
                return 0;
        } else {
            return -errno;
        }
    }
    return size < 0 ? (int)size : 1;
}

static int compare_opened(comparison *c, int one, int other, const struct stat *st, const char *name,
                          davit_error **err)
{
    int r = has_attributes(c, one, other);
    if (r == 1)
        r = has_attributes(c, other, one);
    if (r == 0)
        return differs(c, name, "has other extended attributes");
    if (r == 1 && S_ISREG(st->st_mode))
        r = compare_bytes(c, one, other);
    if (r < 0)
        return failed(-r, err);
    return r == 1 ? 0 : differs(c, name, "has other bytes");
}

static int compare_targets(comparison *c, int dirfd, const char *name, davit_error **err)
{
    ssize_t n = readlinkat(dirfd, name, c->one, PIECE), m = readlinkat(c->fd, name, c->other, PIECE);
    if (n < 0 || m < 0)
        return failed(errno, err);
    return n == m && memcmp(c->one, c->other, (size_t)n) == 0 ? 0 : differs(c, name, "leads elsewhere");
}

static int compare_entry(void *user, int dirfd, const char *name, const struct stat *st, davit_error **err)
{
    comparison *c = user;
    struct stat found;
    if (fstatat(c->fd, name, &found, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? differs(c, name, "is missing") : failed(errno, err);
    const char *how = compare_stat(st, &found);
    if (how)
        return differs(c, name, how);
    if (S_ISLNK(st->st_mode))
        return compare_targets(c, dirfd, name, err);
    if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode))
        return 0;
    DV_AUTOCLOSE one = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (one < 0 && errno == EACCES && S_ISREG(st->st_mode))
        return 0; /* like /etc/shadow of some images: not for its owner to read, unless that is root */
    DV_AUTOCLOSE other = openat(c->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    return one < 0 || other < 0 ? failed(errno, err) : compare_opened(c, one, other, st, name, err);
}

/* --- where we are ---------------------------------------------------------------------------------------------------- */

/* Nothing is there that should not be. */
static int find_strangers(comparison *c, int dirfd, davit_error **err)
{
    int own = openat(c->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
    DIR *dir = own < 0 ? NULL : fdopendir(own);
    if (!dir) {
        int errnum = errno;
        dv_close(&own);
        return failed(errnum, err);
    }
    const struct dirent *entry;
    while (r == 0 && (entry = readdir(dir)))
        if (faccessat(dirfd, entry->d_name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
            r = errno == ENOENT ? differs(c, entry->d_name, "is not of the layer") : failed(errno, err);
    closedir(dir);
    return r;
}

static int enter(void *user, int dirfd, const char *name, davit_error **err)
{
    comparison *c = user;
    if (name) {
        int fd = openat(c->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return failed(errno, err);
        dv_close(&c->fd);
        c->fd = fd;
        c->depth++;
        if (c->lost > 0 || c->path.size + strlen(name) + 1 > PATH_SHOWN)
            c->lost++;
        else
            dv_buf_printf(&c->path, "%s/", name);
        if (c->path.failed)
            return dv_error_oom(err);
    }
    return find_strangers(c, dirfd, err);
}

static int leave(void *user, davit_error **err)
{
    comparison *c = user;
    if (c->depth == 0)
        return 0;
    int fd = openat(c->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return failed(errno, err);
    dv_close(&c->fd);
    c->fd = fd;
    c->depth--;
    if (c->lost > 0) {
        c->lost--;
        return 0;
    }
    c->path.size--; /* the "/" */
    while (c->path.size > 0 && c->path.data[c->path.size - 1] != '/')
        c->path.size--;
    c->path.data[c->path.size] = '\0';
    return 0;
}

int dv_tree_compare(int expected_fd, int found_fd, dv_buf *out, davit_error **err)
{
    static const dv_tree_visitor visitor = {.entry = compare_entry, .enter = enter, .leave = leave};
    DV_AUTOPTR(comparison) c = dv_new(comparison);
    struct stat expected, found;
    if (!c)
        return dv_error_oom(err);
    c->fd = openat(found_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    c->path = (dv_buf)DV_BUF_INIT(PATH_SHOWN + 1);
    c->out = out;
    if (c->fd < 0 || fstat(expected_fd, &expected) < 0 || fstat(found_fd, &found) < 0)
        return failed(errno, err);
    const char *how = compare_stat(&expected, &found);
    int r = how ? differs(c, ".", how) : compare_opened(c, expected_fd, found_fd, &expected, ".", err);
    if (r == 0)
        r = dv_tree_walk(expected_fd, DOING, &visitor, c, err);
    return r < 0 ? r : r == 0;
}

/* tests/support/sandbox.c - see sandbox.h. */
#include "sandbox.h"

#include "archive/staging.h"
#include "util/file.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#define TEXT_MAX (1u << 20)

/* --- the tree as text ---------------------------------------------------------------------- */

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void entry_text(int at, const char *name, const char *path, bool full, dv_buf *out)
{
    static const char letters[] = {[S_IFDIR >> 12] = 'd', [S_IFREG >> 12] = 'f', [S_IFLNK >> 12] = 'l',
                                   [S_IFCHR >> 12] = 'c', [S_IFBLK >> 12] = 'b', [S_IFIFO >> 12] = 'p'};
    struct stat st;
    char text[256] = "";
    assert((fstatat(at, name, &st, AT_SYMLINK_NOFOLLOW)) == 0);
    unsigned mode = st.st_mode & 07777;
    dv_buf_putc(out, letters[st.st_mode >> 12]);
    if (!S_ISLNK(st.st_mode) && mode != (S_ISDIR(st.st_mode) ? 0755u : 0644u))
        dv_buf_printf(out, " %04o", mode);
    if (st.st_uid || st.st_gid)
        dv_buf_printf(out, " %u:%u", st.st_uid, st.st_gid);
    dv_buf_printf(out, " %s", path);
    if (!S_ISDIR(st.st_mode) && st.st_nlink > 1)
        dv_buf_printf(out, " #%u", (unsigned)st.st_nlink);
    if (S_ISLNK(st.st_mode)) {
        ssize_t n = readlinkat(at, name, text, sizeof(text) - 1);
        dv_buf_printf(out, " -> %.*s", (int)n, text);
    } else if (S_ISREG(st.st_mode)) {
        DV_AUTOCLOSE fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        ssize_t n = fd < 0 ? 0 : dv_pread_all(fd, text, 40, 0);
        if (n > 0)
            dv_buf_printf(out, " =%.*s", (int)n, text);
    } else if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
        dv_buf_printf(out, " %u,%u", major(st.st_rdev), minor(st.st_rdev));
    }
    if (full)
        dv_buf_printf(out, " @%lld.%09ld", (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    dv_buf_putc(out, '\n');
}

static void directory_text(int fd, const char *above, bool full, dv_buf *out)
{
    struct dirent **list;
    int count = scandirat(fd, ".", &list, NULL, by_name);
    assert(count >= 0);
    for (int i = 0; i < count; i++) {
        const char *name = list[i]->d_name;
        DV_AUTO(dv_buf) path = DV_BUF_INIT(8192);
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
            dv_buf_printf(&path, "%s%s%s", above, *above ? "/" : "", name);
            entry_text(fd, name, dv_buf_text(&path), full, out);
            DV_AUTOCLOSE child = openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (child >= 0)
                directory_text(child, dv_buf_text(&path), full, out);
        }
        free(list[i]);
    }
    free(list);
}

void tree_text(int fd, bool full, dv_buf *out)
{
    dv_buf_reset(out);
    directory_text(fd, "", full, out);
    assert(!out->failed);
}

/* --- the sandbox --------------------------------------------------------------------------- */

static void outside_text(const sandbox *s, dv_buf *out)
{
    DV_AUTOCLOSE fd = openat(s->fd, "outside", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    assert((fstat(fd, &st)) == 0);
    tree_text(fd, true, out);
    dv_buf_printf(out, "%o %u:%u %lld.%09ld\n", st.st_mode, st.st_uid, st.st_gid,
                  (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

int sandbox_enter(sandbox *s)
{
    return sandbox_enter_in(s, ".");
}

int sandbox_enter_in(sandbox *s, const char *base)
{
    char *absolute = realpath(base, NULL);
    *s = (sandbox){.fd = -1, .root_fd = -1, .before = DV_BUF_INIT(TEXT_MAX)};
    umask(0);
    int n = absolute ? snprintf(s->path, sizeof(s->path), "%s/test-unpack-XXXXXX", absolute) : 0;
    free(absolute);
    if (n <= 0 || (size_t)n >= sizeof(s->path) || !mkdtemp(s->path))
        return -1;
    s->fd = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fchmod(s->fd, 0755) < 0 || mkdirat(s->fd, "root", 0700) < 0 || mkdirat(s->fd, "outside", 0755) < 0 ||
        mkdirat(s->fd, "outside/dir", 0711) < 0)
        return -1;
    if (dv_file_replace(s->fd, "outside/victim", "secret", 6, 0600, NULL) < 0 ||
        dv_file_replace(s->fd, "outside/dir/inner", "inner", 5, 0640, NULL) < 0)
        return -1;
    s->root_fd = openat(s->fd, "root", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    outside_text(s, &s->before);
    return s->root_fd < 0 ? -1 : 0;
}

bool sandbox_leave(sandbox *s)
{
    DV_AUTO(dv_buf) after = DV_BUF_INIT(TEXT_MAX);
    DV_AUTO(dv_buf) top = DV_BUF_INIT(TEXT_MAX);
    struct dirent **list;
    outside_text(s, &after);
    bool same = strcmp(dv_buf_text(&s->before), dv_buf_text(&after)) == 0;
    if (!same)
        fprintf(stderr, "outside was\n%sand is\n%s", dv_buf_text(&s->before), dv_buf_text(&after));
    int count = scandirat(s->fd, ".", &list, NULL, by_name);
    same = same && count == 4; /* ".", "..", "outside", "root" */
    for (int i = 0; i < count; i++)
        free(list[i]);
    free(list);
    dv_buf_clear(&s->before);
    dv_close(&s->root_fd);
    dv_close(&s->fd);
    char *name = strrchr(s->path, '/');
    *name = '\0';
    DV_AUTOCLOSE base = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert(dv_remove_tree(base, name + 1, NULL) == 0);
    return same;
}

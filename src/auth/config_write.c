/* auth/config_write.c - see config_write.h. */
#include "auth/config_write.h"

#include "auth/auth_config.h"
#include "auth/config_edit.h"
#include "auth/config_file.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_TEXT_MAX (64u << 10) /* bytes */
#define LINKS_MAX 40              /* symbolic links that are followed: the kernel's number */
#define LOCK_POLL_MS 10

/* --- which file ----------------------------------------------------------------------------------------------------- */

/* One step: what a symbolic link at path names. 1: *path is that; 0: it is no link. */
static int follow_one(char **path, davit_error **err)
{
    char target[4096];
    ssize_t size = readlink(*path, target, sizeof(target));
    if (size < 0 && (errno == EINVAL || errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (size < 0 || size == (ssize_t)sizeof(target))
        return dv_error_file(err, size < 0 ? errno : ENAMETOOLONG, "cannot write %s", *path);
    DV_AUTO(dv_buf) next = DV_BUF_INIT(PATH_TEXT_MAX);
    const char *slash = strrchr(*path, '/');
    if (target[0] != '/' && slash)
        dv_buf_append(&next, *path, (size_t)(slash + 1 - *path));
    dv_buf_append(&next, target, (size_t)size);
    if (next.failed)
        return dv_error_oom(err);
    free(*path);
    *path = dv_buf_take(&next);
    return *path ? 1 : dv_error_oom(err);
}

static int follow_links(const char *path, char **out, davit_error **err)
{
    DV_AUTOFREE char *at = dv_strdup(path);
    if (!at)
        return dv_error_oom(err);
    for (int i = 0; i < LINKS_MAX; i++) {
        int r = follow_one(&at, err);
        if (r < 0)
            return r;
        if (r == 0) {
            *out = DV_STEAL(at);
            return 0;
        }
    }
    return dv_error_file(err, ELOOP, "cannot write %s", path);
}

static int make_parent(const char *path, davit_error **err)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return 0;
    DV_AUTOFREE char *parent = dv_strndup(path, (size_t)(slash - path));
    return parent ? dv_make_directories(parent, 0700, err) : dv_error_oom(err);
}

static char *beside(const char *path, const char *suffix)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(PATH_TEXT_MAX);
    dv_buf_printf(&text, "%s%s", path, suffix);
    return dv_buf_take(&text);
}

/* --- the lock ------------------------------------------------------------------------------------------------------- */

/* Held as long as fd is open; the file goes with it. */
typedef struct lock {
    char *path;
    int fd;
} lock;

#define LOCK_INIT \
    {             \
        NULL, -1  \
    }

static void lock_clear(lock *l)
{
    if (l->fd >= 0)
        unlink(l->path);
    dv_close(&l->fd);
    free(l->path);
}
DV_DEFINE_AUTO(lock, lock_clear)

/* Whether the locked file is still the one at the path: its last holder removes it. */
static bool is_current(const lock *l, int fd)
{
    struct stat mine, there;
    return fstat(fd, &mine) == 0 && stat(l->path, &there) == 0 && mine.st_ino == there.st_ino &&
           mine.st_dev == there.st_dev;
}

/* 1: locked; 0: somebody else has it. */
static int try_take(lock *l, davit_error **err)
{
    DV_AUTOCLOSE fd = open(l->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return dv_error_file(err, errno, "cannot make %s", l->path);
    int r = dv_try_lock(fd);
    if (r < 0)
        return dv_error_file(err, -r, "cannot lock %s", l->path);
    if (r == 0 || !is_current(l, fd))
        return 0;
    l->fd = fd;
    fd = -1;
    return 1;
}

static int take_lock(const char *path, lock *l, const atomic_bool *cancelled, davit_error **err)
{
    uint64_t started = dv_clock_ms();
    l->path = beside(path, ".davit-lock");
    if (!l->path)
        return dv_error_oom(err);
    for (;;) {
        int r = try_take(l, err);
        if (r != 0)
            return r < 0 ? r : 0;
        if (cancelled && atomic_load(cancelled))
            return dv_error_set(err, DAVIT_ECANCELLED, "cancelled");
        if (dv_clock_ms() - started >= DV_CONFIG_LOCK_TIMEOUT_MS)
            return dv_error_set(err, DAVIT_ETIMEOUT, "%s: another program has held it for %d s", l->path,
                                DV_CONFIG_LOCK_TIMEOUT_MS / 1000);
        dv_sleep_ms(LOCK_POLL_MS);
    }
}

/* --- writing -------------------------------------------------------------------------------------------------------- */

/* Owner and mode of the file that is replaced; a mode that its group had is not given to another group. */
static int copy_owner(int fd, const struct stat *old)
{
    mode_t mode = old->st_mode & 0777;
    if (fchown(fd, old->st_uid, old->st_gid) < 0 && fchown(fd, (uid_t)-1, old->st_gid) < 0)
        mode &= 0700;
    return fchmod(fd, mode);
}

static int fill_file(int fd, const dv_buf *text, const struct stat *old)
{
    if (old && copy_owner(fd, old) < 0)
        return -errno;
    int r = dv_write_all(fd, dv_buf_text(text), text->size);
    return r == 0 && fsync(fd) < 0 ? -errno : r;
}

static int sync_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    DV_AUTOFREE char *parent =
        slash ? dv_strndup(path, slash > path ? (size_t)(slash - path) : 1) : dv_strdup(".");
    DV_AUTOCLOSE fd = parent ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    return !parent ? -ENOMEM : fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

/* The lock is held: what has the temporary name is the rest of a davit that was killed. */
static int replace(const char *path, const dv_buf *text, bool secrets, davit_error **err)
{
    DV_AUTOFREE char *temporary = beside(path, ".davit-new");
    struct stat old;
    bool exists = stat(path, &old) == 0;
    if (!temporary)
        return dv_error_oom(err);
    unlink(temporary);
    DV_AUTOCLOSE fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return dv_error_file(err, errno, "cannot write %s", path);
    int r = fill_file(fd, text, exists ? &old : NULL);
    if (r == 0 && rename(temporary, path) < 0)
        r = -errno;
    if (r < 0) {
        unlink(temporary);
        return dv_error_file(err, -r, "cannot write %s", path);
    }
    if (secrets && exists && old.st_mode & 0077)
        dv_warn("%s: it has credentials, and its mode %03o lets other users read it", path,
                old.st_mode & 0777);
    r = sync_parent(path);
    return r < 0 ? dv_error_file(err, -r, "cannot sync the directory of %s", path) : 0;
}

/* --- a change ------------------------------------------------------------------------------------------------------- */

typedef struct change {
    const char *domain;
    bool removal;
    const davit_auth_config *auth; /* NULL: only the e-mail address */
} change;

/* The new text. 1: it is another one; 0: nothing to do. */
static int apply(const change *c, const dv_config_file *f, const dv_buf *old, dv_buf *out, davit_error **err)
{
    if (c->removal)
        return dv_config_edit_remove(dv_buf_text(old), old->size, c->domain, out, err);
    const char *key = dv_credential_key(c->domain);
    davit_auth_config entry = DAVIT_AUTH_CONFIG_INIT; /* borrows */
    if (c->auth)
        entry = *c->auth;
    if (!entry.email)
        entry.email = (char *)dv_config_file_email(f, c->domain);
    int r = dv_config_edit_put(dv_buf_text(old), old->size, key, &entry, out, err);
    return r < 0 ? r : 1;
}

/* What is written must be readable, whatever was there before. */
static int change_text(const change *c, const char *path, const dv_buf *old, dv_buf *out, davit_error **err)
{
    DV_AUTOPTR(dv_config_file) before = NULL;
    DV_AUTOPTR(dv_config_file) after = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_config_file_parse(path, dv_buf_text(old), old->size, &before, err);
    if (r < 0)
        return r;
    r = apply(c, before, old, out, &why);
    if (r == DAVIT_EINVAL || r == DAVIT_ENOMEM)
        return dv_error_move(err, &why, r);
    if (r < 0)
        return dv_error_set(err, DAVIT_ECONFIG, "%s: %s", path, davit_error_message(why));
    if (r == 0)
        return 0;
    int checked = dv_config_file_parse(path, dv_buf_text(out), out->size, &after, err);
    return checked < 0 ? checked : 1;
}

static int read_old(const char *path, dv_buf *out, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_file_read(AT_FDCWD, path, DV_CONFIG_FILE_MAX, out, &why);
    if (r == DAVIT_ENOMEM)
        return dv_error_oom(err);
    if (r < 0 && r != DAVIT_ENOTFOUND)
        return dv_error_set(err, DAVIT_ECONFIG, "%s", davit_error_message(why));
    return 0;
}

static int write_change(const char *path, const change *c, const atomic_bool *cancelled, davit_error **err)
{
    DV_AUTO(lock) l = LOCK_INIT;
    DV_AUTO(dv_buf) old = {.max = DV_CONFIG_FILE_MAX, .secret = true};
    DV_AUTO(dv_buf) text = {.max = DV_CONFIG_FILE_MAX, .secret = true};
    DV_AUTOFREE char *real = NULL;
    int r = follow_links(path, &real, err);
    if (r == 0 && c->removal && access(real, F_OK) < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (r == 0)
        r = make_parent(real, err);
    if (r == 0)
        r = take_lock(real, &l, cancelled, err);
    if (r == 0)
        r = read_old(real, &old, err);
    if (r == 0)
        r = change_text(c, path, &old, &text, err);
    if (r <= 0)
        return r;
    int written = replace(real, &text, /* secrets= */ c->auth != NULL, err);
    return written < 0 ? written : 1;
}

int dv_config_write_entry(const char *path, const char *domain, const davit_auth_config *auth,
                          const atomic_bool *cancelled, davit_error **err)
{
    int r = write_change(path, &(change){.domain = domain, .auth = auth}, cancelled, err);
    return r < 0 ? r : 0;
}

int dv_config_write_removal(const char *path, const char *domain, const atomic_bool *cancelled,
                            davit_error **err)
{
    return write_change(path, &(change){.domain = domain, .removal = true}, cancelled, err);
}

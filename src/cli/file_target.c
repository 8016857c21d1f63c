/* cli/file_target.c - see file_target.h. */
#include "cli/file_target.h"

#include "util/file.h"
#include "util/hex.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static char *temporary_name(const char *path)
{
    DV_AUTO(dv_buf) name = DV_BUF_INIT(2 * PATH_MAX);
    uint8_t random[8];
    char hex[2 * sizeof(random) + 1];
    dv_random_bytes(random, sizeof(random));
    dv_hex_encode(random, sizeof(random), hex);
    dv_buf_printf(&name, "%s.davit-%s", path, hex);
    return name.failed ? NULL : dv_buf_take(&name);
}

int dv_file_target_open(dv_file_target *t, const char *path, mode_t mode, davit_error **err)
{
    struct stat st;
    DV_AUTO(dv_file_target) made = DV_FILE_TARGET_INIT;
    made.mode = mode;
    made.path = realpath(path, NULL); /* a link stays one, and its target is replaced */
    if (!made.path && errno == ENOENT)
        made.path = dv_strdup(path);
    if (!made.path)
        return dv_error_file(err, errno, "cannot write %s", path);
    bool direct = stat(made.path, &st) == 0 && !S_ISREG(st.st_mode);
    if (!direct && !(made.temporary = temporary_name(made.path)))
        return dv_error_oom(err);
    made.fd = direct ? open(made.path, O_WRONLY | O_CLOEXEC | O_NOCTTY)
                     : open(made.temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (made.fd < 0) {
        int why = errno;
        free(made.temporary);
        made.temporary = NULL;
        return dv_error_file(err, why, "cannot write %s", path);
    }
    *t = made;
    made = (dv_file_target)DV_FILE_TARGET_INIT;
    return 0;
}

int dv_file_target_write(dv_file_target *t, const void *bytes, size_t size, davit_error **err)
{
    int r = dv_write_all(t->fd, bytes, size);
    return r < 0 ? dv_error_file(err, -r, "cannot write %s", t->path) : 0;
}

int dv_file_target_commit(dv_file_target *t, davit_error **err)
{
    bool ok = !t->temporary || (fchmod(t->fd, t->mode) == 0 && fdatasync(t->fd) == 0);
    int why = ok ? 0 : errno;
    if (close(t->fd) < 0 && ok) {
        ok = false;
        why = errno;
    }
    t->fd = -1;
    if (ok && t->temporary && rename(t->temporary, t->path) < 0) {
        ok = false;
        why = errno;
    }
    if (!ok)
        return dv_error_file(err, why, "cannot write %s", t->path);
    free(t->temporary);
    t->temporary = NULL;
    return 0;
}

void dv_file_target_clear(dv_file_target *t)
{
    dv_close(&t->fd);
    if (t->temporary)
        unlink(t->temporary);
    free(t->temporary);
    free(t->path);
    *t = (dv_file_target)DV_FILE_TARGET_INIT;
}

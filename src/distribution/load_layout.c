/*
 * distribution/load_layout.c - a layout in a directory: each path is read when it is asked for, and only below the directory (threats B2,
 * D2). Blobs that the store has are not read at all.
 */
#include "distribution/load_private.h"

#include "archive/oci_layout.h"
#include "registry/client.h"
#include "store/content_store.h"
#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define READ_SIZE (256u << 10) /* bytes at once */

static int copy_file(dv_load *l, int fd, const char *path, dv_load_entry *e, davit_error **err)
{
    DV_AUTOFREE char *bytes = malloc(READ_SIZE);
    if (!bytes)
        return dv_error_oom(err);
    for (uint64_t at = 0;;) {
        int r = dv_client_check_cancelled(l->client, err);
        ssize_t n = r < 0 ? 0 : dv_pread_all(fd, bytes, READ_SIZE, at);
        if (r < 0)
            return r;
        if (n < 0)
            return dv_error_file(err, (int)-n, "cannot read %s", path);
        if (n == 0)
            return 0;
        r = dv_load_entry_write(e, bytes, (size_t)n, err);
        if (r < 0)
            return r;
        at += (uint64_t)n;
    }
}

int dv_load_layout_read(dv_load *l, const char *path, davit_error **err)
{
    DV_AUTOPTR(dv_load_entry) e = NULL;
    dv_load_content *content = NULL;
    struct stat st;
    DV_AUTOCLOSE fd = dv_open_below(l->layout_fd, path, O_RDONLY);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (fd < 0 && (errno == EXDEV || errno == ELOOP))
        return dv_error_set(err, DAVIT_EFORMAT, "%s: a link leads out of the layout, or in circles", path);
    if (fd < 0 || fstat(fd, &st) < 0)
        return dv_error_file(err, errno, "cannot read %s", path);
    if (!S_ISREG(st.st_mode))
        return dv_error_set(err, DAVIT_EFORMAT, "%s is no regular file", path);
    int r = dv_load_entry_new(l, path, (uint64_t)st.st_size, &e, err);
    if (r == 0)
        r = copy_file(l, fd, path, e, err);
    if (r == 0)
        r = dv_load_entry_finish(DV_STEAL(e), &content, err);
    return r < 0 ? r : dv_archive_names_put(l->names, path, content, err);
}

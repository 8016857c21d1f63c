/* distribution/layout_files.c - see layout_files.h. */
#include "distribution/layout_files.h"

#include "davit/manifest.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int dv_fd_read(int fd, uint64_t first, uint64_t size, size_t max, const char *what, dv_buf *out,
               davit_error **err)
{
    if (size > max)
        return dv_error_set(err, DAVIT_ETOOBIG, "%s has %llu bytes, at most %zu are allowed", what,
                            (unsigned long long)size, max);
    DV_AUTOFREE char *bytes = malloc((size_t)size + 1);
    if (!bytes)
        return dv_error_oom(err);
    ssize_t n = dv_pread_all(fd, bytes, (size_t)size, first);
    if (n < 0)
        return dv_error_file(err, (int)-n, "cannot read %s", what);
    if ((uint64_t)n != size)
        return dv_error_set(err, DAVIT_EDIGEST, "%s is cut off", what);
    dv_buf_append(out, bytes, (size_t)n);
    return out->failed ? dv_error_set(err, out->failed, "no room for %s", what) : 0;
}

/* 0: there is no such file. */
static int open_file(int dirfd, const char *path, const char *name, int *out_fd, uint64_t *out_size,
                     davit_error **err)
{
    struct stat st;
    DV_AUTOCLOSE fd = dv_open_below(dirfd, name, O_RDONLY);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return 0;
    if (fd < 0 && (errno == EXDEV || errno == ELOOP))
        return dv_error_set(err, DAVIT_EFORMAT, "%s/%s: a link leads out of the layout, or in circles", path,
                            name);
    if (fd < 0 || fstat(fd, &st) < 0)
        return dv_error_file(err, errno, "cannot read %s/%s", path, name);
    if (!S_ISREG(st.st_mode))
        return dv_error_set(err, DAVIT_EFORMAT, "%s/%s is no regular file", path, name);
    *out_size = (uint64_t)st.st_size;
    *out_fd = fd;
    fd = -1;
    return 1;
}

static int read_file(int dirfd, const char *path, const char *name, size_t max, dv_buf *out, davit_error **err)
{
    DV_AUTOCLOSE fd = -1;
    uint64_t size = 0;
    int r = open_file(dirfd, path, name, &fd, &size, err);
    if (r == 0)
        return dv_error_set(err, DAVIT_EFORMAT, "%s is no OCI image layout: it has no %s", path, name);
    return r < 0 ? r : dv_fd_read(fd, 0, size, max, name, out, err);
}

int dv_layout_open(const char *path, int *out_dirfd, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_OCI_LAYOUT_MAX);
    DV_AUTOCLOSE dirfd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dirfd < 0 && errno == ENOENT)
        return dv_error_set(err, DAVIT_ENOTFOUND, "%s: no such directory", path);
    if (dirfd < 0 && errno == ENOTDIR)
        return dv_error_set(err, DAVIT_EFORMAT, "%s is no OCI image layout: it is no directory", path);
    if (dirfd < 0)
        return dv_error_file(err, errno, "cannot open %s", path);
    int r = read_file(dirfd, path, DV_OCI_LAYOUT_FILE, DV_OCI_LAYOUT_MAX, &text, err);
    if (r < 0)
        return r;
    r = dv_oci_layout_check(dv_buf_text(&text), text.size, err);
    if (r < 0)
        return dv_error_wrap(err, r, "%s", path);
    *out_dirfd = dirfd;
    dirfd = -1;
    return 0;
}

int dv_layout_read_index(int dirfd, const char *path, dv_oci_layout_index *out, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    int r = read_file(dirfd, path, DV_OCI_INDEX_FILE, DAVIT_MANIFEST_MAX, &text, err);
    if (r < 0)
        return r;
    r = dv_oci_layout_index_parse(dv_buf_text(&text), text.size, out, err);
    return r < 0 ? dv_error_wrap(err, r, "%s", path) : 0;
}

int dv_layout_open_blob(int dirfd, const char *path, const davit_digest *digest, int *out_fd,
                        uint64_t *out_size, davit_error **err)
{
    char name[DV_OCI_BLOB_PATH_MAX];
    int r = open_file(dirfd, path, dv_oci_blob_path(digest, name), out_fd, out_size, err);
    if (r == 0)
        return dv_error_set(err, DAVIT_ENOTFOUND, "%s has no blob %s", path, digest->text);
    return r < 0 ? r : 0;
}

int dv_layout_read_document(int dirfd, const char *path, const davit_digest *digest, dv_buf *out,
                            davit_error **err)
{
    DV_AUTOCLOSE fd = -1;
    uint64_t size = 0;
    int r = dv_layout_open_blob(dirfd, path, digest, &fd, &size, err);
    return r < 0 ? r : dv_fd_read(fd, 0, size, DAVIT_MANIFEST_MAX, digest->text, out, err);
}

/* archive/archive_file.c - see archive_file.h. */
#include "archive/archive_file.h"

#include "archive/compress.h"
#include "archive/tar.h"
#include "util/file.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define WINDOW (16u << 10)     /* bytes read at once for headers */
#define READ_SIZE (256u << 10) /* for inflating */

struct dv_archive_file {
    char *path;
    int fd;
    uint64_t size;
    dv_archive_names *names; /* of dv_archive_ranges */
    dv_archive_check_fn check;
    void *user;
    /* The entry whose header came last. */
    char name[DV_TAR_NAME_MAX + 1]; /* clean */
    dv_archive_range *range;        /* NULL: its data are of no use */
    uint64_t at;                    /* of the next byte that the reader gets */
};

void dv_archive_file_close(dv_archive_file *f)
{
    if (!f)
        return;
    dv_close(&f->fd);
    dv_archive_names_free(f->names);
    free(f->range);
    free(f->path);
    free(f);
}

static int check(dv_archive_file *f, davit_error **err)
{
    return f->check ? f->check(f->user, err) : 0;
}

/* --- the pass over the headers ------------------------------------------------------------------------------------------------- */

static int link_entry(dv_archive_file *f, const char *target, davit_error **err)
{
    char clean[DV_TAR_NAME_MAX + 1];
    void *value = NULL;
    int r = dv_archive_name_clean(target, clean, err);
    if (r == 0)
        r = dv_archive_names_find(f->names, clean, &value, err);
    if (r < 0)
        return r;
    void *copy = value ? dv_memdup(value, sizeof(dv_archive_range)) : NULL;
    if (value && !copy)
        return dv_error_oom(err);
    return dv_archive_names_put(f->names, f->name, copy, err);
}

static int on_entry(void *user, const dv_tar_entry *e, davit_error **err)
{
    dv_archive_file *f = user;
    int r = dv_archive_name_clean(e->name, f->name, err);
    if (r < 0 || e->type == DV_TAR_DIRECTORY)
        return r;
    if (!*f->name)
        return dv_error_set(err, DAVIT_EFORMAT, "archive entry \"%.200s\": the root is no file", e->name);
    switch (e->type) {
    case DV_TAR_FILE:
        f->range = dv_new(dv_archive_range);
        if (!f->range)
            return dv_error_oom(err);
        f->range->size = e->size;
        return 0;
    case DV_TAR_SYMLINK:
        return dv_archive_names_put_link(f->names, f->name, e->link, err);
    case DV_TAR_HARDLINK:
        return link_entry(f, e->link, err);
    default:
        return dv_archive_names_put(f->names, f->name, NULL, err); /* devices and the like stand for nothing */
    }
}

static int on_data(void *user, const void *bytes, size_t size, davit_error **err)
{
    (void)user, (void)bytes, (void)size, (void)err; /* all of it is skipped */
    return 0;
}

static int on_end(void *user, davit_error **err)
{
    dv_archive_file *f = user;
    if (!f->range)
        return 0;
    f->range->first = f->at;
    return dv_archive_names_put(f->names, f->name, DV_STEAL(f->range), err);
}

/* Headers come a block at a time, so that data never goes through the reader. */
static int feed(dv_archive_file *f, dv_tar_reader *tar, const char *bytes, size_t size, davit_error **err)
{
    uint64_t skipped = 0;
    f->at += size;
    int r = dv_sink_write(dv_tar_reader_sink(tar), bytes, size, err);
    uint64_t data_size = f->range ? f->range->size : 0;
    if (r == 0 && f->range && data_size > f->size - f->at)
        return dv_error_set(err, DAVIT_EFORMAT,
                            "tar entry \"%.200s\": unexpected EOF, %" PRIu64 " bytes of its data are missing",
                            f->name, data_size - (f->size - f->at));
    if (r == 0)
        r = dv_tar_reader_skip_data(tar, &skipped, err);
    f->at += skipped;
    return r;
}

static int scan(dv_archive_file *f, davit_error **err)
{
    static const dv_tar_handler handler = {.on_entry = on_entry, .on_data = on_data, .on_end = on_end};
    DV_AUTOPTR(dv_tar_reader) tar = NULL;
    char window[WINDOW];
    uint64_t start = 0;
    size_t have = 0;
    int r = dv_tar_reader_new(&handler, f, &tar, err);
    while (r == 0 && f->at < f->size) {
        if (f->at < start || f->at >= start + have) {
            ssize_t n = dv_pread_all(f->fd, window, sizeof(window), f->at);
            if (n < 0)
                return dv_error_file(err, (int)-n, "cannot read %s", f->path);
            if (n == 0)
                break;
            start = f->at;
            have = (size_t)n;
            r = check(f, err);
        }
        size_t offset = (size_t)(f->at - start), left = have - offset;
        if (r == 0)
            r = feed(f, tar, window + offset, left < 512 ? left : 512, err);
    }
    return r < 0 ? r : dv_sink_finish(dv_tar_reader_sink(tar), err);
}

/* --- compressed ones ---------------------------------------------------------------------------------------------------------------- */

typedef struct file_sink {
    dv_sink sink;
    int fd;
} file_sink;

static int write_file(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    int r = dv_write_all(((file_sink *)s)->fd, bytes, size);
    return r < 0 ? dv_error_file(err, -r, "cannot write the inflated archive") : 0;
}

static int finish_file(dv_sink *s, davit_error **err)
{
    (void)s, (void)err;
    return 0;
}

static int open_unnamed(const char *path, davit_error **err)
{
    const char *slash = strrchr(path, '/');
    DV_AUTOFREE char *directory =
        slash ? dv_strndup(path, slash > path ? (size_t)(slash - path) : 1) : dv_strdup(".");
    if (!directory)
        return dv_error_oom(err);
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return fd < 0 ? dv_error_file(err, errno, "cannot inflate it into a file without a name in %s", directory)
                  : fd;
}

static int inflate(dv_archive_file *f, davit_error **err)
{
    const dv_inflate_options options = {.allow_old = true};
    DV_AUTOPTR(dv_inflate) codec = NULL;
    DV_AUTOFREE char *bytes = malloc(READ_SIZE);
    file_sink to = {.sink = {.write = write_file, .finish = finish_file}};
    DV_AUTOCLOSE fd = open_unnamed(f->path, err);
    to.fd = fd;
    if (fd < 0)
        return fd;
    int r = bytes ? dv_inflate_new(&options, &to.sink, &codec, err) : dv_error_oom(err);
    for (uint64_t at = 0; r == 0;) {
        ssize_t n = dv_pread_all(f->fd, bytes, READ_SIZE, at);
        if (n < 0)
            return dv_error_file(err, (int)-n, "cannot read %s", f->path);
        if (n == 0)
            break;
        at += (uint64_t)n;
        r = dv_sink_write(dv_inflate_sink(codec), bytes, (size_t)n, err);
        if (r == 0)
            r = check(f, err);
    }
    if (r == 0)
        r = dv_sink_finish(dv_inflate_sink(codec), err);
    if (r < 0)
        return r;
    f->size = dv_inflate_output_bytes(codec);
    dv_close(&f->fd);
    f->fd = fd;
    fd = -1;
    return 0;
}

/* --- opening -------------------------------------------------------------------------------------------------------------------- */

static int open_archive(dv_archive_file *f, davit_error **err)
{
    char magic[DV_COMPRESSION_MAGIC];
    struct stat st;
    f->fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (f->fd < 0 && errno == ENOENT)
        return dv_error_set(err, DAVIT_ENOTFOUND, "no such file");
    if (f->fd < 0 || fstat(f->fd, &st) < 0)
        return dv_error_file(err, errno, "cannot open it");
    if (!S_ISREG(st.st_mode))
        return dv_error_set(err, DAVIT_EINVAL, "an archive is read from a regular file");
    f->size = (uint64_t)st.st_size;
    ssize_t n = dv_pread_all(f->fd, magic, sizeof(magic), 0);
    if (n <= 0)
        return n < 0 ? dv_error_file(err, (int)-n, "cannot read it")
                     : dv_error_set(err, DAVIT_EFORMAT, "it is empty");
    int r = dv_compression_detect(magic, (size_t)n) != DV_COMPRESSION_NONE ? inflate(f, err) : 0;
    return r < 0 ? r : scan(f, err);
}

int dv_archive_file_open(const char *path, dv_archive_check_fn check_fn, void *user, dv_archive_file **out,
                         davit_error **err)
{
    DV_AUTOPTR(dv_archive_file) f = dv_new(dv_archive_file);
    if (!f)
        return dv_error_oom(err);
    f->fd = -1;
    f->check = check_fn;
    f->user = user;
    f->path = dv_strdup(path);
    f->names = dv_archive_names_new(free);
    if (!f->path || !f->names)
        return dv_error_oom(err);
    int r = open_archive(f, err);
    if (r < 0)
        return dv_error_wrap(err, r, "%s", path);
    *out = DV_STEAL(f);
    return 0;
}

int dv_archive_file_find(const dv_archive_file *f, const char *path, dv_archive_range *out, davit_error **err)
{
    void *value = NULL;
    int r = dv_archive_names_find(f->names, path, &value, err);
    if (r < 0 || !value)
        return r;
    *out = *(const dv_archive_range *)value;
    return 1;
}

int dv_archive_file_read(const dv_archive_file *f, const char *path, size_t max, dv_buf *out,
                         davit_error **err)
{
    dv_archive_range range = {0};
    int r = dv_archive_file_find(f, path, &range, err);
    if (r < 0)
        return r;
    if (r == 0)
        return dv_error_set(err, DAVIT_ENOTFOUND, "%s has no file \"%.200s\"", f->path, path);
    if (range.size > max)
        return dv_error_set(err, DAVIT_ETOOBIG, "%s: \"%.200s\" has %" PRIu64 " bytes, more than %zu",
                            f->path, path, range.size, max);
    DV_AUTOFREE char *bytes = malloc((size_t)range.size + 1);
    if (!bytes)
        return dv_error_oom(err);
    ssize_t n = dv_pread_all(f->fd, bytes, (size_t)range.size, range.first);
    if (n < 0 || (uint64_t)n != range.size)
        return dv_error_file(err, n < 0 ? (int)-n : EIO, "cannot read %s", f->path);
    dv_buf_append(out, bytes, (size_t)n);
    return out->failed ? dv_error_oom(err) : 0;
}

int dv_archive_file_fd(const dv_archive_file *f)
{
    return f->fd;
}

/* cli/input_file.c - see input_file.h. */
#include "cli/input_file.h"

#include "cli/signals.h"
#include "util/file.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#define POLL_MS 100 /* how often a reader that waits looks for a signal */
#define PIECE (64u << 10)

int dv_input_file_open(const char *path, int *out, davit_error **err)
{
    struct stat st;
    bool is_stdin = dv_str_equal(path, "-");
    DV_AUTOCLOSE fd =
        is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3) : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 && errno == ENOENT)
        return dv_error_set(err, DAVIT_ENOTFOUND, "there is no file %s", path);
    if (fd < 0 || fstat(fd, &st) < 0)
        return dv_error_file(err, errno, "cannot read %s", is_stdin ? "standard input" : path);
    if (S_ISDIR(st.st_mode))
        return dv_error_set(err, DAVIT_EIO, "%s is a directory", is_stdin ? "standard input" : path);
    *out = fd;
    fd = -1;
    return 0;
}

/* Bytes, 0 at the end, or negative. */
static ssize_t read_piece(int fd, char *into, size_t size, const char *path, davit_error **err)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (dv_signals_came())
            return dv_error_set(err, DAVIT_ECANCELLED, "cancelled");
        int ready = poll(&p, 1, POLL_MS);
        ssize_t n = ready > 0 ? read(fd, into, size) : -1;
        if (n >= 0)
            return n;
        if (ready != 0 && errno != EINTR && errno != EAGAIN)
            return dv_error_file(err, errno, "cannot read %s", path);
    }
}

int dv_input_file_read(const char *path, dv_buf *out, davit_error **err)
{
    DV_AUTOCLOSE fd = -1;
    char piece[PIECE];
    int r = dv_input_file_open(path, &fd, err);
    if (r < 0)
        return r;
    for (;;) {
        ssize_t n = read_piece(fd, piece, sizeof(piece), path, err);
        if (n <= 0)
            return (int)n;
        dv_buf_append(out, piece, (size_t)n);
        if (out->failed == DAVIT_ETOOBIG)
            return dv_error_set(err, DAVIT_ETOOBIG, "%s is longer than %zu bytes", path, out->max);
        if (out->failed)
            return dv_error_oom(err);
    }
}

/*
 * cli/cmd_load.c - davit load: an archive from a file or standard input, or a layout's directory, and what came of it.
 *
 * The lines of the result go to standard output, the progress to standard error.
 */
#include "cli/cli.h"

#include "cli/signals.h"
#include "davit/load.h"
#include "util/file.h"
#include "util/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#define POLL_MS 100 /* how often a reader that waits looks for a signal */

typedef struct values {
    const char *input;
    davit_platform platform;
} values;

static void on_event(const davit_progress *event, void *user_data)
{
    dv_cli *cli = user_data;
    if (event->kind != DAVIT_PROGRESS_MESSAGE) {
        dv_progress_view_event(event, cli->view);
        return;
    }
    dv_progress_view_settle(cli->view);
    dv_output_text(&cli->out, event->action);
    dv_output_printf(&cli->out, "\n");
}

typedef struct input {
    int fd;
    int error; /* errno of a read that failed */
} input;

/* A davit_read_fn. A pipe that gives nothing must not hold up Ctrl-C. */
static int read_piece(void *bytes, size_t size, size_t *out_size, void *user_data)
{
    input *in = user_data;
    for (;;) {
        struct pollfd p = {.fd = in->fd, .events = POLLIN};
        if (dv_signals_came())
            return DAVIT_ECANCELLED;
        int ready = poll(&p, 1, POLL_MS);
        ssize_t n = ready > 0 ? read(in->fd, bytes, size) : -1;
        if (n >= 0) {
            *out_size = (size_t)n;
            return 0;
        }
        if (ready == 0 || errno == EINTR || errno == EAGAIN)
            continue;
        in->error = errno;
        return DAVIT_EIO;
    }
}

static int load_stream(dv_cli *cli, int fd, const davit_load_options *options, davit_error **err)
{
    input in = {.fd = fd};
    int r = davit_load(cli->client, read_piece, &in, options, NULL, err);
    return in.error ? dv_error_file(err, in.error, "cannot read the archive") : r;
}

static int load_file(dv_cli *cli, const char *path, const davit_load_options *options, davit_error **err)
{
    struct stat st;
    DV_AUTOCLOSE fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 && errno == ENOENT)
        return dv_error_set(err, DAVIT_ENOTFOUND, "no file %s", path);
    if (fd < 0 || fstat(fd, &st) < 0)
        return dv_error_file(err, errno, "cannot read %s", path);
    int r = S_ISDIR(st.st_mode) ? davit_load_layout(cli->client, path, options, NULL, err)
                                : load_stream(cli, fd, options, err);
    return dv_cli_name_error(err, r, path);
}

static int load(dv_cli *cli, const values *v, bool from_file, davit_error **err)
{
    davit_load_options options = DAVIT_LOAD_OPTIONS_INIT;
    options.platform = dv_platform_or_null(&v->platform);
    options.progress = on_event;
    options.user_data = cli;
    int r =
        from_file ? load_file(cli, v->input, &options, err) : load_stream(cli, STDIN_FILENO, &options, err);
    dv_progress_view_settle(cli->view);
    return r;
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const values *v = flags;
    bool from_file = v->input && !dv_str_equal(v->input, "-");
    (void)arguments, (void)count;
    if (!from_file && isatty(STDIN_FILENO) == 1)
        return dv_cli_usage(cli, err,
                            "load: an archive is not read from a terminal: give -i FILE, or redirect one");
    int r = dv_cli_view(cli, err);
    if (r == 0)
        r = dv_cli_client(cli, /* with_store= */ true, DAVIT_CLIENT_NO_ENVIRONMENT, err);
    return r < 0 ? r : load(cli, v, from_file, err);
}

static const dv_option options[] = {
    {"input", 'i', DV_OPTION_TEXT, offsetof(values, input), "FILE",
     "an archive, or the directory of an OCI layout (standard input)"},
    {"platform", 0, DV_OPTION_PLATFORM, offsetof(values, platform), "OS[/ARCH[/VARIANT]]",
     "only images of this platform"},
    {NULL},
};

const dv_command dv_command_load = {
    .name = "load",
    .arguments = "[-i FILE] [-q] [--platform OS[/ARCH[/VARIANT]]]",
    .summary = "take images out of an archive into the store",
    .details =
        "Archives are those of docker save, davit save and skopeo, old and new, and OCI archives; plain or "
        "compressed\n"
        "with gzip, zstd, xz or bzip2. Everything is checked before anything gets a name, and nothing is "
        "written\n"
        "but into the store.",
    .example = "davit load -i images.tar",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 0,
    .max_count = 0,
    .run = run,
};

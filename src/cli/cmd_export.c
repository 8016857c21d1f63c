/* cli/cmd_export.c - davit export: an image's root file system as one tar, to standard output or into a file. */
#include "cli/cli.h"

#include "cli/file_target.h"
#include "cli/layer_args.h"
#include "davit/unpack.h"
#include "util/str.h"

#include <inttypes.h>

typedef struct values {
    dv_layer_values layers;
    const char *output;
} values;

/* Where the archive goes: the callbacks' user data. */
typedef struct target {
    dv_cli *cli;
    bool to_file;
    dv_file_target file;
    davit_error *error; /* of the file */
} target;

/* A davit_write_fn. */
static int write_piece(const void *bytes, size_t size, void *user_data)
{
    target *t = user_data;
    return t->to_file ? dv_file_target_write(&t->file, bytes, size, &t->error)
                      : dv_output_raw(&t->cli->out, bytes, size);
}

static void show(const davit_progress *event, void *user_data)
{
    const target *t = user_data;
    dv_progress_view_event(event, t->cli->view);
}

static void warn_left_out(dv_cli *cli, const davit_export_result *result)
{
    DV_AUTO(dv_buf) line = DV_BUF_INIT(DV_MESSAGE_MAX);
    if (result->xattrs_left_out == 0)
        return;
    dv_buf_printf(&line,
                  "left out: %" PRIu64 " extended attribute%s other than user.* and security.capability",
                  result->xattrs_left_out, result->xattrs_left_out == 1 ? "" : "s");
    dv_progress_view_event(&(davit_progress){.kind = DAVIT_PROGRESS_WARNING, .action = dv_buf_text(&line)},
                           cli->view);
}

static int export(dv_cli *cli, const values *v, const char *text, target *t, davit_error **err)
{
    davit_export_options options = DAVIT_EXPORT_OPTIONS_INIT;
    davit_export_result result;
    DV_AUTO(dv_layer_args) args = {0};
    int r = dv_layer_args_read(cli, &v->layers, /* no_store= */ false, text, &args, err);
    if (r == 0 && !t->to_file && cli->out.terminal)
        r = dv_cli_usage(cli, err,
                         "an archive is not written to a terminal: redirect it, or name a file with -o");
    if (r == 0)
        r = dv_cli_view(cli, err);
    if (r == 0)
        r = dv_cli_client(cli, /* with_store= */ true, /* flags= */ 0, err);
    if (r == 0 && t->to_file)
        r = dv_file_target_open(&t->file, v->output, 0666 & ~cli->umask, err);
    if (r < 0)
        return r;
    options.platform = dv_platform_or_null(&v->layers.platform);
    options.pull = args.pull;
    options.max_size_bytes = args.max_size_bytes;
    options.zstd_window_bytes = args.zstd_window_bytes;
    options.xattrs = args.xattrs;
    options.progress = show;
    options.user_data = t;
    r = davit_export(cli->client, text, &options, write_piece, &result, err);
    if (r == 0 && t->to_file)
        r = dv_file_target_commit(&t->file, err);
    if (t->error) /* says more than that the writing failed */
        dv_error_move(err, &t->error, r);
    dv_progress_view_settle(cli->view);
    if (r < 0)
        dv_progress_view_error(cli->view, davit_error_message(*err));
    else
        warn_left_out(cli, &result);
    return r;
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    values *v = flags;
    target t = {
        .cli = cli,
        .to_file = v->output && !dv_str_equal(v->output, "-"),
        .file = DV_FILE_TARGET_INIT,
    };
    int r = export(cli, v, arguments[0], &t, err);
    dv_file_target_clear(&t.file);
    free(v->layers.xattrs.items);
    return r;
}

static const dv_option options[] = {
    DV_LAYER_OPTIONS_SOURCE,
    DV_LAYER_OPTIONS_CONTENT,
    {"output", 'o', DV_OPTION_TEXT, offsetof(values, output), "FILE", "write there, whole or not at all"},
    {NULL},
};

const dv_command dv_command_export = {
    .name = "export",
    .arguments = "[--platform OS[/ARCH[/VARIANT]]] [--pull missing|always|never] [--xattrs NAME[,NAME]] "
                 "[--max-size BYTES] [--zstd-window BYTES] [-o FILE] IMAGE",
    .summary = "write an image's root file system as one tar",
    .details = "The layers become one archive without being unpacked. The same image gives the same bytes. "
               "IMAGE may\n"
               "be a place of files, such as oci:DIR[:NAME], which are read where they are.",
    .example = "davit export debian:12 | tar -x --delay-directory-restore -C /srv/root",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 1,
    .max_count = 1,
    .run = run,
};

/* cli/cmd_artifact.c - davit artifact push and pull: files in a registry, without an image around them. */
#include "cli/cli.h"

#include "cli/artifact_arg.h"
#include "cli/registry_image.h"
#include "util/str.h"

#include <unistd.h>

typedef struct values {
    const char *type, *output;
    dv_texts annotations;
    davit_platform platform;
    bool force;
} values;

/* --- push ------------------------------------------------------------------------------------------------------------- */

static int push(dv_cli *cli, const values *v, char **arguments, size_t count, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    DV_AUTO(dv_artifact_args) args = DV_ARTIFACT_ARGS_INIT;
    davit_artifact_options options = DAVIT_ARTIFACT_OPTIONS_INIT;
    davit_digest digest;
    if (v->output || v->force || !davit_platform_is_empty(&v->platform))
        return dv_cli_usage(cli, err, "--output, --force and --platform are for artifact pull");
    if (count < 1 || (count == 1 && v->annotations.count == 0))
        return dv_cli_usage(cli, err, "artifact push: a file is missing");
    options.artifact_type = v->type;
    int r = dv_artifact_command_read(cli, arguments, count, &v->annotations, &ref, &args, &options, err);
    if (r == 0)
        r = dv_cli_view_end(cli, davit_artifact_push(cli->client, ref, &options, &digest, err), err);
    return r < 0 ? dv_cli_name_error(err, r, arguments[0]) : dv_print_digest(cli, &digest);
}

/* --- pull ------------------------------------------------------------------------------------------------------------- */

/* A davit_progress_fn. */
static void on_progress(const davit_progress *event, void *user_data)
{
    dv_progress_view_event(event, ((dv_cli *)user_data)->view);
}

/* A davit_artifact_pulled_fn. */
static void say_pulled(const davit_artifact_pulled *pulled, void *user_data)
{
    dv_cli *cli = user_data;
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_MESSAGE_MAX);
    if (pulled->title) {
        dv_output_text(&cli->out, pulled->title);
        dv_output_printf(&cli->out, "\n");
        return;
    }
    dv_buf_printf(&text, "layer %s has no title and was left out", pulled->descriptor.digest.text);
    dv_message_write(STDERR_FILENO, "warning", dv_buf_text(&text));
}

static int pull(dv_cli *cli, const values *v, char **arguments, size_t count, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    davit_artifact_pull_options options = DAVIT_ARTIFACT_PULL_OPTIONS_INIT;
    if (v->type || v->annotations.count > 0)
        return dv_cli_usage(cli, err, "--type and --annotation are for artifact push");
    if (count != 1)
        return dv_cli_usage(cli, err, "artifact pull: one name is wanted");
    options.flags = v->force ? DAVIT_ARTIFACT_PULL_FORCE : 0;
    options.directory = v->output;
    options.platform = dv_platform_or_null(&v->platform);
    options.file_mode = 0666 & ~cli->umask;
    options.pulled = say_pulled;
    options.progress = on_progress;
    options.user_data = cli;
    int r = dv_registry_image_parse(arguments[0], &ref, err);
    if (r == 0)
        r = dv_cli_view(cli, err);
    if (r == 0)
        r = dv_registry_client(cli, err);
    if (r == 0)
        r = dv_cli_view_end(cli, davit_artifact_pull(cli->client, ref, &options, err), err);
    return dv_cli_name_error(err, r, arguments[0]);
}

static int choose(dv_cli *cli, const values *v, char **arguments, size_t count, davit_error **err)
{
    if (dv_str_equal(arguments[0], "push"))
        return push(cli, v, arguments + 1, count - 1, err);
    if (dv_str_equal(arguments[0], "pull"))
        return pull(cli, v, arguments + 1, count - 1, err);
    return dv_cli_usage(cli, err, "artifact: '%s' is neither push nor pull", arguments[0]);
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    values *v = flags;
    int r = choose(cli, v, arguments, count, err);
    free(v->annotations.items);
    return r;
}

static const dv_option options[] = {
    {"type", 0, DV_OPTION_TEXT, offsetof(values, type), "TYPE", "push: the artifact type, a media type"},
    {"annotation", 'a', DV_OPTION_LIST, offsetof(values, annotations), "KEY=VALUE",
     "push: of the manifest; repeatable"},
    {"output", 'o', DV_OPTION_TEXT, offsetof(values, output), "DIR", "pull: where the files go (here)"},
    {"force", 'f', DV_OPTION_FLAG, offsetof(values, force), NULL, "pull: replace files that are there"},
    {"platform", 0, DV_OPTION_PLATFORM, offsetof(values, platform), "OS[/ARCH[/VARIANT]]",
     "pull: which manifest of an index"},
    {NULL},
};

const dv_command dv_command_artifact = {
    .name = "artifact",
    .arguments =
        "push [--type TYPE] [-a KEY=VALUE]... NAME FILE[:MEDIATYPE]... | pull [-o DIR] [--force] NAME",
    .summary = "push files to a registry, or pull them from one",
    .details = "push prints the digest, pull the files that it wrote. Files are named by their titles, never "
               "outside\n"
               "of DIR, and appear when they were verified.",
    .example =
        "davit artifact push --type application/x-notes 127.0.0.1:5000/demo/notes:1 notes.txt:text/plain",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 1,
    .max_count = -1,
    .run = run,
};

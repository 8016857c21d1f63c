/*
 * cli/cmd_save.c - davit save: images as an archive to standard output, or into a file that is whole or not there.
 */
#include "cli/cli.h"

#include "cli/file_target.h"
#include "cli/image_arg.h"
#include "cli/signals.h"
#include "davit/save.h"
#include "util/str.h"

#include <unistd.h>

typedef struct values {
    const char *output, *format;
    davit_platform platform;
    bool all_platforms, sparse;
} values;

/* Where the bytes go. */
typedef struct target {
    dv_output *out; /* NULL: into the file */
    dv_file_target file;
    davit_error *error; /* of the file */
} target;

/* A davit_write_fn. */
static int write_piece(const void *bytes, size_t size, void *user_data)
{
    target *t = user_data;
    if (dv_signals_came())
        return DAVIT_ECANCELLED;
    return t->out ? dv_output_bytes(t->out, bytes, size)
                  : dv_file_target_write(&t->file, bytes, size, &t->error);
}

static int read_format(dv_cli *cli, const values *v, davit_save_options *o, davit_error **err)
{
    bool oci = dv_str_equal(v->format, "oci");
    if (v->format && !oci && !dv_str_equal(v->format, "docker"))
        return dv_cli_usage(cli, err, "--format: '%s' is not docker or oci", v->format);
    o->format = oci ? DAVIT_SAVE_OCI : DAVIT_SAVE_DOCKER;
    o->flags = (v->all_platforms ? DAVIT_SAVE_ALL_PLATFORMS : 0) | (v->sparse ? DAVIT_SAVE_SPARSE : 0);
    o->platform = dv_platform_or_null(&v->platform);
    if (o->flags && !oci)
        return dv_cli_usage(cli, err, "--%s needs --format oci", v->sparse ? "sparse" : "all-platforms");
    if (v->all_platforms + v->sparse + (o->platform != NULL) > 1)
        return dv_cli_usage(cli, err, "--platform, --all-platforms and --sparse exclude each other");
    return 0;
}

static int save(dv_cli *cli, const davit_save_options *options, char **names, size_t count, target *t,
                davit_error **err)
{
    int r = davit_save(cli->client, (const char *const *)names, count, options, write_piece, t, err);
    dv_progress_view_settle(cli->view);
    if (r == 0 && !t->out)
        r = dv_file_target_commit(&t->file, err);
    if (t->error) /* says more than that the writing failed */
        dv_error_move(err, &t->error, r);
    return r;
}

/* The names without their transport. */
static int read_names(char **arguments, size_t count, char **names, davit_error **err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        const char *name;
        r = dv_image_arg_store(arguments[i], &name, err);
        if (r == 0)
            names[i] = arguments[i] + (name - arguments[i]);
    }
    return r;
}

static int open_target(dv_cli *cli, const values *v, target *t, davit_error **err)
{
    if (v->output && !dv_str_equal(v->output, "-")) {
        t->out = NULL;
        return dv_file_target_open(&t->file, v->output, 0666 & ~cli->umask, err);
    }
    t->out = &cli->out;
    if (isatty(STDOUT_FILENO) != 1)
        return 0;
    return dv_cli_usage(cli, err,
                        "save: an archive is not written to a terminal: give -o FILE, or redirect it");
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const values *v = flags;
    davit_save_options options = DAVIT_SAVE_OPTIONS_INIT;
    target t = {.out = NULL, .file = DV_FILE_TARGET_INIT};
    DV_AUTOFREE char **names = dv_new_array(char *, count);
    if (!names)
        return dv_error_oom(err);
    int r = read_format(cli, v, &options, err);
    if (r == 0)
        r = read_names(arguments, count, names, err);
    if (r == 0)
        r = dv_cli_view(cli, err);
    if (r == 0)
        r = dv_cli_client(cli, /* with_store= */ true, DAVIT_CLIENT_NO_ENVIRONMENT, err);
    if (r == 0)
        r = open_target(cli, v, &t, err);
    options.progress = dv_progress_view_event;
    options.user_data = cli->view;
    if (r == 0)
        r = save(cli, &options, names, count, &t, err);
    dv_file_target_clear(&t.file);
    return r;
}

static const dv_option options[] = {
    {"output", 'o', DV_OPTION_TEXT, offsetof(values, output), "FILE",
     "write there, whole or not at all (standard output)"},
    {"format", 0, DV_OPTION_TEXT, offsetof(values, format), "docker|oci", "kind of archive (docker)"},
    {"platform", 0, DV_OPTION_PLATFORM, offsetof(values, platform), "OS[/ARCH[/VARIANT]]",
     "which image of an index"},
    {"all-platforms", 0, DV_OPTION_FLAG, offsetof(values, all_platforms), NULL,
     "an index whole, with every image (oci)"},
    {"sparse", 0, DV_OPTION_FLAG, offsetof(values, sparse), NULL,
     "an index as it is, with the images that are here (oci)"},
    {NULL},
};

const dv_command dv_command_save = {
    .name = "save",
    .arguments =
        "[-o FILE] [--format docker|oci] [--platform OS[/ARCH[/VARIANT]]] [--all-platforms] [--sparse] "
        "NAME[:TAG|@DIGEST]|ID...",
    .summary = "write images of the store as one archive",
    .details =
        "For docker load, podman, skopeo and davit load. Layers are checked while they are written. A name "
        "without a\n"
        "tag means all its tags. The same images and names always give the same bytes.",
    .example = "davit save -o images.tar alpine:3.20 debian:12",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 1,
    .max_count = -1,
    .run = run,
};

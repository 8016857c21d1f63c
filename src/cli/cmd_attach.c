/* cli/cmd_attach.c - davit attach: files that refer to an image or artifact in a registry. */
#include "cli/cli.h"

#include "cli/artifact_arg.h"
#include "cli/registry_image.h"

typedef struct values {
    const char *type;
    dv_texts annotations;
    davit_platform platform;
} values;

static int attach(dv_cli *cli, const values *v, char **arguments, size_t count, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    DV_AUTO(dv_artifact_args) args = DV_ARTIFACT_ARGS_INIT;
    davit_artifact_options options = DAVIT_ARTIFACT_OPTIONS_INIT;
    davit_digest digest;
    if (!v->type)
        return dv_cli_usage(cli, err, "--type is missing: what is attached needs an artifact type");
    if (count == 1 && v->annotations.count == 0)
        return dv_cli_usage(cli, err, "a file or an annotation is missing");
    options.artifact_type = v->type;
    options.platform = dv_platform_or_null(&v->platform);
    int r = dv_artifact_command_read(cli, arguments, count, &v->annotations, &ref, &args, &options, err);
    if (r == 0)
        r = dv_cli_view_end(cli, davit_artifact_attach(cli->client, ref, &options, &digest, err), err);
    return r < 0 ? dv_cli_name_error(err, r, arguments[0]) : dv_print_digest(cli, &digest);
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    values *v = flags;
    int r = attach(cli, v, arguments, count, err);
    free(v->annotations.items);
    return r;
}

static const dv_option options[] = {
    {"type", 0, DV_OPTION_TEXT, offsetof(values, type), "TYPE", "the artifact type, a media type; required"},
    {"annotation", 'a', DV_OPTION_LIST, offsetof(values, annotations), "KEY=VALUE",
     "of the manifest; repeatable"},
    {"platform", 0, DV_OPTION_PLATFORM, offsetof(values, platform), "OS[/ARCH[/VARIANT]]",
     "to the manifest of this platform, not to the index"},
    {NULL},
};

const dv_command dv_command_attach = {
    .name = "attach",
    .arguments = "--type TYPE [-a KEY=VALUE]... [--platform OS[/ARCH[/VARIANT]]] NAME [FILE[:MEDIATYPE]]...",
    .summary = "attach files to an image in a registry",
    .details = "Pushes an artifact that refers to NAME and prints its digest; davit referrers finds it.",
    .example = "davit attach --type application/spdx+json 127.0.0.1:5000/demo/web:1.0 "
               "sbom.json:application/spdx+json",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 1,
    .max_count = -1,
    .run = run,
};

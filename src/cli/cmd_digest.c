/* cli/cmd_digest.c - davit digest: what a name stands for now. Connect and one request; no store is opened. */
#include "cli/cli.h"

#include "cli/image_arg.h"

typedef struct values {
    davit_platform platform;
} values;

static int from_registry(dv_cli *cli, const char *name, const davit_platform *platform, davit_digest *out,
                         davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    int r = davit_reference_parse(name, &ref, err);
    if (r == 0)
        r = dv_cli_client(cli, /* with_store= */ false, /* flags= */ 0, err);
    return r < 0 ? r : davit_registry_resolve(cli->client, ref, platform, out, NULL, NULL, err);
}

static int from_files(dv_cli *cli, const char *place, const davit_platform *platform, davit_digest *out,
                      davit_error **err)
{
    DV_AUTOPTR(davit_manifest) manifest = NULL;
    int r = dv_files_manifest(cli, place, platform, &manifest, err);
    if (r == 0)
        *out = *davit_manifest_digest(manifest);
    return r;
}

static int from(dv_cli *cli, const dv_image_arg *arg, const davit_platform *platform, davit_digest *out,
                davit_error **err)
{
    switch (arg->transport) {
    case DV_TRANSPORT_REGISTRY:
        return from_registry(cli, arg->name, platform, out, err);
    case DV_TRANSPORT_STORE:
        return dv_store_resolve(cli, arg->name, platform, out, err);
    case DV_TRANSPORT_FILES:
        break;
    }
    return from_files(cli, arg->name, platform, out, err);
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const values *v = flags;
    const davit_platform *platform = dv_platform_or_null(&v->platform);
    const dv_image_arg arg = dv_image_arg_read(arguments[0], DV_TRANSPORT_REGISTRY);
    davit_digest digest;
    int r = from(cli, &arg, platform, &digest, err);
    if (r == 0)
        dv_output_printf(&cli->out, "%s\n", digest.text);
    return r;
}

static const dv_option options[] = {
    {"platform", 0, DV_OPTION_PLATFORM, offsetof(values, platform), "OS[/ARCH[/VARIANT]]",
     "the manifest of this platform, not the index"},
    {NULL},
};

const dv_command dv_command_digest = {
    .name = "digest",
    .arguments = "[--platform OS[/ARCH[/VARIANT]]] IMAGE",
    .summary = "print the digest that a name stands for",
    .details = "Of a name that is an index, the index's.",
    .example = "davit digest alpine:3.20",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 1,
    .max_count = 1,
    .run = run,
};

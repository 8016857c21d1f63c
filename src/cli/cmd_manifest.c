/* cli/cmd_manifest.c - davit manifest: the exact bytes of a manifest or index. */
#include "cli/cli.h"

#include "cli/image_arg.h"

typedef struct values {
    davit_platform platform;
} values;

static int from_registry(dv_cli *cli, const char *name, const davit_platform *platform, davit_manifest **out,
                         davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    int r = davit_reference_parse(name, &ref, err);
    if (r == 0)
        r = dv_cli_client(cli, /* with_store= */ false, /* flags= */ 0, err);
    return r < 0 ? r : davit_registry_get_manifest(cli->client, ref, platform, out, err);
}

static int from_store(dv_cli *cli, const char *name, const davit_platform *platform, davit_manifest **out,
                      davit_error **err)
{
    davit_digest digest;
    int r = dv_store_resolve(cli, name, platform, &digest, err);
    return r < 0 ? r : davit_store_get_manifest(cli->store, &digest, out, err);
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const values *v = flags;
    const davit_platform *platform = dv_platform_or_null(&v->platform);
    DV_AUTOPTR(davit_manifest) manifest = NULL;
    dv_image_arg arg;
    int r = dv_image_arg_parse(arguments[0], DV_TRANSPORT_REGISTRY, &arg, err);
    if (r == 0)
        r = arg.transport == DV_TRANSPORT_STORE ? from_store(cli, arg.name, platform, &manifest, err)
                                                : from_registry(cli, arg.name, platform, &manifest, err);
    if (r < 0)
        return r;
    size_t size;
    const void *bytes = davit_manifest_bytes(manifest, &size);
    dv_output_raw(&cli->out, bytes, size);
    return 0;
}

static const dv_option options[] = {
    {"platform", 0, DV_OPTION_PLATFORM, offsetof(values, platform), "OS[/ARCH[/VARIANT]]",
     "the manifest of this platform, not the index"},
    {NULL},
};

const dv_command dv_command_manifest = {
    .name = "manifest",
    .arguments = "[--platform OS[/ARCH[/VARIANT]]] IMAGE",
    .summary = "print the exact bytes of an image's manifest or index",
    .details = "A terminal gets them with control characters escaped.",
    .example = "davit manifest alpine:3.20 | jq .",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 1,
    .max_count = 1,
    .run = run,
};

/* cli/cmd_config.c - davit config: the exact bytes of an image's config, whatever its type. */
#include "cli/cli.h"

#include "cli/image_arg.h"
#include "davit/transport.h"

typedef struct values {
    davit_platform platform;
} values;

static int from_registry(dv_cli *cli, const char *name, const davit_platform *platform, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    DV_AUTOFREE void *bytes = NULL;
    size_t size = 0;
    int r = davit_reference_parse(name, &ref, err);
    if (r == 0)
        r = dv_cli_client(cli, /* with_store= */ false, /* flags= */ 0, err);
    if (r == 0)
        r = davit_registry_get_config_bytes(cli->client, ref, platform, &bytes, &size, err);
    if (r == 0)
        dv_output_raw(&cli->out, bytes, size);
    return r;
}

static int from_store(dv_cli *cli, const char *name, const davit_platform *platform, davit_error **err)
{
    DV_AUTOPTR(davit_image_list) list = NULL;
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    int r = dv_store_find_one(cli, name, platform, &list, err);
    if (r == 0)
        r = dv_store_read_blob(cli, &davit_image_list_at(list, 0)->config, DAVIT_IMAGE_CONFIG_MAX, &bytes,
                               err);
    if (r == 0)
        dv_output_raw(&cli->out, dv_buf_text(&bytes), bytes.size);
    return r;
}

static int from_files(dv_cli *cli, const char *place, const davit_platform *platform, davit_error **err)
{
    DV_AUTOFREE void *bytes = NULL;
    size_t size = 0;
    int r = dv_cli_client(cli, /* with_store= */ false, /* flags= */ 0, err);
    if (r == 0)
        r = davit_transport_get_config_bytes(cli->client, place, platform, &bytes, &size, err);
    if (r == 0)
        dv_output_raw(&cli->out, bytes, size);
    return r;
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const values *v = flags;
    const davit_platform *platform = dv_platform_or_null(&v->platform);
    const dv_image_arg arg = dv_image_arg_read(arguments[0], DV_TRANSPORT_REGISTRY);
    switch (arg.transport) {
    case DV_TRANSPORT_REGISTRY:
        return from_registry(cli, arg.name, platform, err);
    case DV_TRANSPORT_STORE:
        return from_store(cli, arg.name, platform, err);
    case DV_TRANSPORT_FILES:
        break;
    }
    return from_files(cli, arg.name, platform, err);
}

static const dv_option options[] = {
    {"platform", 0, DV_OPTION_PLATFORM, offsetof(values, platform), "OS[/ARCH[/VARIANT]]",
     "which image of an index (the host's)"},
    {NULL},
};

const dv_command dv_command_config = {
    .name = "config",
    .arguments = "[--platform OS[/ARCH[/VARIANT]]] IMAGE",
    .summary = "print the exact bytes of an image's config",
    .details = "A terminal gets them with control characters escaped.",
    .example = "davit config alpine:3.20 | jq .config.Env",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 1,
    .max_count = 1,
    .run = run,
};

/* cli/cmd_manifest.c - davit manifest: the exact bytes of a manifest or index, out of a registry or into one. */
#include "cli/cli.h"

#include "cli/image_arg.h"
#include "cli/input_file.h"
#include "cli/registry_image.h"
#include "util/str.h"

typedef struct values {
    davit_platform platform;
    const char *type;
    bool raw;
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

static int from(dv_cli *cli, const dv_image_arg *arg, const davit_platform *platform, davit_manifest **out,
                davit_error **err)
{
    switch (arg->transport) {
    case DV_TRANSPORT_REGISTRY:
        return from_registry(cli, arg->name, platform, out, err);
    case DV_TRANSPORT_STORE:
        return from_store(cli, arg->name, platform, out, err);
    case DV_TRANSPORT_FILES:
        break;
    }
    return dv_files_manifest(cli, arg->name, platform, out, err);
}

static int print(dv_cli *cli, const values *v, const char *name, davit_error **err)
{
    const davit_platform *platform = dv_platform_or_null(&v->platform);
    DV_AUTOPTR(davit_manifest) manifest = NULL;
    const dv_image_arg arg = dv_image_arg_read(name, DV_TRANSPORT_REGISTRY);
    if (v->type)
        return dv_cli_usage(cli, err, "--type is for manifest put");
    int r = from(cli, &arg, platform, &manifest, err);
    if (r < 0)
        return r;
    size_t size;
    const void *bytes = davit_manifest_bytes(manifest, &size);
    if (v->raw)
        dv_output_bytes(&cli->out, bytes, size);
    else
        dv_output_raw(&cli->out, bytes, size);
    return 0;
}

static int put(dv_cli *cli, const values *v, const char *file, const char *name, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    davit_digest digest;
    if (v->raw || !davit_platform_is_empty(&v->platform))
        return dv_cli_usage(cli, err, "--raw and --platform are not for manifest put");
    int r = dv_registry_image_parse(name, &ref, err);
    if (r == 0)
        r = dv_input_file_read(file, &bytes, err);
    if (r == 0)
        r = dv_registry_client(cli, err);
    if (r == 0)
        r = davit_registry_put_manifest(cli->client, ref, dv_buf_text(&bytes), bytes.size, v->type, &digest,
                                        err);
    return r < 0 ? dv_cli_name_error(err, r, name) : dv_print_digest(cli, &digest);
}

static int run(dv_cli *cli, void *flags, char **arguments, size_t count, davit_error **err)
{
    const values *v = flags;
    bool is_put = dv_str_equal(arguments[0], "put");
    if (is_put && count == 3)
        return put(cli, v, arguments[1], arguments[2], err);
    if (is_put)
        return dv_cli_usage(cli, err, "manifest put: a file and a name are wanted");
    if (count > 1)
        return dv_cli_usage(cli, err, "manifest: '%s' is one argument too many", arguments[1]);
    return print(cli, v, arguments[0], err);
}

static const dv_option options[] = {
    {"platform", 0, DV_OPTION_PLATFORM, offsetof(values, platform), "OS[/ARCH[/VARIANT]]",
     "the manifest of this platform, not the index"},
    {"raw", 0, DV_OPTION_FLAG, offsetof(values, raw), NULL, "the exact bytes on a terminal too"},
    {"type", 0, DV_OPTION_TEXT, offsetof(values, type), "TYPE",
     "put: its media type (what the document says)"},
    {NULL},
};

const dv_command dv_command_manifest = {
    .name = "manifest",
    .arguments = "[--raw] [--platform OS[/ARCH[/VARIANT]]] IMAGE | put [--type TYPE] FILE|- NAME",
    .summary = "print the exact bytes of a manifest or index, or push them",
    .details = "A terminal gets them with control characters escaped. put sends a file as it is to a tag or "
               "a digest,\n"
               "which is checked first, and prints the digest.",
    .example = "davit manifest alpine:3.20 | jq .",
    .options = options,
    .values_size = sizeof(values),
    .min_count = 1,
    .max_count = 3,
    .run = run,
};

/* cli/registry_image.c - see registry_image.h. */
#include "cli/registry_image.h"

#include "cli/image_arg.h"

int dv_registry_image_parse(const char *text, davit_reference **out, davit_error **err)
{
    const char *name;
    int r = dv_image_arg_registry(text, &name, err);
    return r < 0 ? r : davit_reference_parse(name, out, err);
}

int dv_registry_image_pinned(dv_cli *cli, const char *text, davit_reference **out, davit_digest *out_digest,
                             davit_error **err)
{
    int r = dv_registry_image_parse(text, out, err);
    if (r < 0)
        return r;
    if (!davit_reference_digest_text(*out))
        return dv_cli_usage(cli, err, "%s: a digest is needed here, NAME@sha256:...", text);
    return davit_reference_digest(*out, out_digest, err);
}

int dv_registry_client(dv_cli *cli, davit_error **err)
{
    return dv_cli_client(cli, /* with_store= */ false, /* flags= */ 0, err);
}

int dv_registry_upload_client(dv_cli *cli, davit_error **err)
{
    const char *unused;
    return dv_cli_client(cli, /* with_store= */ dv_cli_store_dir(cli, &unused, NULL) == 0, /* flags= */ 0,
                         err);
}

int dv_print_digest(dv_cli *cli, const davit_digest *digest)
{
    return dv_output_printf(&cli->out, "%s\n", digest->text);
}

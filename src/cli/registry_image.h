/* cli/registry_image.h - the name of something in a registry, of commands that change one. */
#ifndef DV_CLI_REGISTRY_IMAGE_H
#define DV_CLI_REGISTRY_IMAGE_H

#include "cli/cli.h"

/* [docker://]NAME, parsed. DAVIT_EINVAL: another transport, no name. */
int dv_registry_image_parse(const char *text, davit_reference **out, davit_error **err);

/* NAME@DIGEST, with a usage error for what has no digest. */
int dv_registry_image_pinned(dv_cli *cli, const char *text, davit_reference **out, davit_digest *out_digest,
                             davit_error **err);

/* cli->client for a registry, without a store. */
int dv_registry_client(dv_cli *cli, davit_error **err);

/* The same, with one to remember in what was sent of a large blob, where there is one. */
int dv_registry_upload_client(dv_cli *cli, davit_error **err);

/* The digest alone on a line of standard output, for scripts. */
int dv_print_digest(dv_cli *cli, const davit_digest *digest);

#endif

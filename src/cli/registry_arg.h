/* cli/registry_arg.h - a registry argument: HOST[:PORT], a URL of which the host counts, or nothing for Docker Hub. */
#ifndef DV_CLI_REGISTRY_ARG_H
#define DV_CLI_REGISTRY_ARG_H

#include "util/error.h"

/*
 * host[:port] as in a reference, "docker.io" for Docker Hub under any of its names; new text. text NULL: Docker Hub. DAVIT_EINVAL: it is
 * none of that; the message repeats no text that may hold a password.
 */
int dv_registry_arg_parse(const char *text, char **out_host, davit_error **err);

#endif

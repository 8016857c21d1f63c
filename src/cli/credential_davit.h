/* cli/credential_davit.h - the program as docker-credential-davit: Docker's credential helper protocol over cli/keyring.h. */
#ifndef DV_CLI_CREDENTIAL_DAVIT_H
#define DV_CLI_CREDENTIAL_DAVIT_H

#include "util/buf.h"

#include <stdbool.h>

#define DV_CREDENTIAL_DAVIT "docker-credential-davit"
#define DV_CREDENTIAL_INPUT_MAX (256u << 10) /* bytes */

/* Whether the program was started under this name. */
bool dv_credential_davit_is_meant(const char *argv0);
/* One verb: standard input to standard output. Gives the exit status. */
int dv_credential_davit_main(int argc, char **argv);

/* The same without descriptors, for the tests: what is printed goes into out. */
int dv_credential_davit_run(int argc, char **argv, const void *input, size_t size, dv_buf *out);

#endif

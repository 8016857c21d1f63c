/*
 * auth/helper_process.h - runs a credential helper as a child process, under limits (threats A11, D12).
 *
 * Decides how a foreign program is started and ended, and knows nothing of what it says. The host process may have any
 * number of threads and any handling of SIGCHLD: a process of our own stands between, which waits for the helper and
 * tells us, so that neither an ignored SIGCHLD nor somebody else's wait() takes the exit status away.
 */
#ifndef DV_AUTH_HELPER_PROCESS_H
#define DV_AUTH_HELPER_PROCESS_H

#include "util/buf.h"
#include "util/error.h"

#include <stdatomic.h>

#define DV_HELPER_SAID_MAX 4096 /* bytes of standard error that are kept */

typedef struct dv_helper_spec {
    const char *program; /* absolute */
    char *const *argv;   /* all that it gets; ends with NULL */
    char *const *environment;
    const void *input; /* its standard input */
    size_t input_size;
    size_t output_max; /* bytes, of standard output and of standard error */
    uint32_t timeout_ms;
    const atomic_bool *cancelled; /* NULL: cannot be cancelled */
} dv_helper_spec;

typedef struct dv_helper_outcome {
    int exit_status; /* -1 when a signal ended it */
    int signal;
    dv_buf output; /* secret */
    dv_buf said;   /* the beginning of standard error; secret */
} dv_helper_outcome;

void dv_helper_outcome_clear(dv_helper_outcome *outcome);
DV_DEFINE_AUTO(dv_helper_outcome, dv_helper_outcome_clear)

/*
 * Run it to its end. The child has the three standard descriptors and no other, an empty signal mask and no ignored
 * signals, "/" as its directory, and a session of its own without a terminal. When it is late, says too much, or the client
 * is cancelled, its process group is killed.
 *
 * Threads: any, blocks. 0: it ended by itself, out is set. DAVIT_ETIMEOUT, DAVIT_ETOOBIG, DAVIT_ECANCELLED, DAVIT_ENOMEM,
 * DAVIT_ECONFIG (cannot be executed), with a reason that the caller puts the name before.
 */
int dv_helper_process_run(const dv_helper_spec *spec, dv_helper_outcome *out, davit_error **err);

#endif

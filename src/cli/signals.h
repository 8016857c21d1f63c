/* cli/signals.h - Ctrl-C ends the program within a second, whatever it is doing. */
#ifndef DV_CLI_SIGNALS_H
#define DV_CLI_SIGNALS_H

#include "davit/client.h"

#include <stdbool.h>

/*
 * Take SIGINT, SIGTERM and SIGHUP (those that are not ignored already) away from this and all later threads and give them to a
 * watcher. The first one cancels the client, if there is one; without a client, after 800 ms, or at the second one, the program
 * ends with status 130.
 */
int dv_signals_start(davit_error **err);
/* The client that the first signal cancels. It must live until dv_signals_stop(). */
void dv_signals_set_client(davit_client *client);
/* Whether one has come. */
bool dv_signals_came(void);
/* End the watcher; from here on signals end the program at once. */
void dv_signals_stop(void);

#endif

/*
 * cli/prompt.h - asking the person at the terminal, on standard error, and reading the answer from standard input.
 *
 * Echo is off while a secret is typed and on again whenever the program ends, stops (Ctrl-Z) or is interrupted.
 */
#ifndef DV_CLI_PROMPT_H
#define DV_CLI_PROMPT_H

#include "util/buf.h"
#include "util/error.h"

#define DV_PROMPT_MAX 4095              /* bytes of a line that a terminal delivers */
#define DV_STDIN_SECRET_MAX (64u << 10) /* bytes of a secret on standard input */

/* Whether there is somebody to ask. */
bool dv_prompt_possible(void);

/*
 * Ask for one line, which is out without its newline; question is shown as it is. DAVIT_EINVAL: no answer (end of input);
 * DAVIT_ECANCELLED: a signal came; DAVIT_EIO.
 */
int dv_prompt_line(const char *question, dv_buf *out, davit_error **err);
/* The same without echo; out wipes itself. */
int dv_prompt_secret(const char *question, dv_buf *out, davit_error **err);

/*
 * All of standard input, less one newline at the end, as a secret that is a text. DAVIT_EINVAL: nothing there, too long, or a NUL byte;
 * DAVIT_EIO.
 */
int dv_prompt_read_secret(dv_buf *out, davit_error **err);

/* Put the terminal back as it was, if that is still to be done. Threads: any; also a signal handler's. */
void dv_prompt_restore(void);

#endif

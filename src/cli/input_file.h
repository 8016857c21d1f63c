/* cli/input_file.h - a FILE argument that is read: a path, or "-" for standard input. */
#ifndef DV_CLI_INPUT_FILE_H
#define DV_CLI_INPUT_FILE_H

#include "util/buf.h"
#include "util/error.h"

/* A descriptor to close. DAVIT_ENOTFOUND, DAVIT_EIO (also a directory). */
int dv_input_file_open(const char *path, int *out, davit_error **err);
/* All of it, at most out->max bytes (DAVIT_ETOOBIG). A pipe that gives nothing does not hold up Ctrl-C. */
int dv_input_file_read(const char *path, dv_buf *out, davit_error **err);

#endif

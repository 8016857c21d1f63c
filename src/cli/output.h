/*
 * cli/output.h - standard output, messages on standard error, and exit statuses.
 *
 * Text that came from elsewhere passes one escaper (threats C11). Raw bytes and JSON documents stay exact, except that
 * raw bytes are escaped on a terminal and JSON writes what could steer one as \uXXXX, which means the same.
 */
#ifndef DV_CLI_OUTPUT_H
#define DV_CLI_OUTPUT_H

#include "util/json.h"

#include <stdbool.h>
#include <stddef.h>

#define DV_MESSAGE_MAX (16u << 10)            /* bytes of a message; the rest is left out */
#define DV_LINE_MAX (4 * DV_MESSAGE_MAX + 64) /* the same escaped, with a prefix */

/* Buffered results. The first failed write is kept, and everything after it is dropped. */
typedef struct dv_output {
    int fd;
    bool terminal;
    int error; /* errno of the failed write, 0 */
    dv_buf pending;
} dv_output;

void dv_output_init(dv_output *o, int fd);
void dv_output_clear(dv_output *o);

/* Exact bytes. 0, DAVIT_EIO or DAVIT_ENOSPACE (also when an earlier write failed). */
int dv_output_bytes(dv_output *o, const void *bytes, size_t size);
/* Exact bytes; a terminal gets them escaped, with newlines kept. */
int dv_output_raw(dv_output *o, const void *bytes, size_t size);
/* Text from elsewhere, escaped always. */
int dv_output_text(dv_output *o, const char *text);
/* Our own words. */
int dv_output_printf(dv_output *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A document, indented, with a newline behind. */
int dv_output_json(dv_output *o, const dv_json *document, davit_error **err);
/* One string as JSON text, quotes and all. */
int dv_output_json_string(dv_output *o, const char *text, davit_error **err);
int dv_output_flush(dv_output *o);
/* Flush; says what went wrong with standard output, if anything did. */
int dv_output_finish(dv_output *o, davit_error **err);

/* The message as one safe line: newlines become "; ". */
void dv_message_format(dv_buf *out, const char *message);
/* Write "PREFIX: MESSAGE" as one line to fd with one write. */
void dv_message_write(int fd, const char *prefix, const char *message);

/* The exit status of a davit_code (DESIGN 3). */
int dv_exit_status(int code);

#endif

/*
 * cli/progress_view.h - shows the events of a pull: bars on a terminal, lines without one, or Docker's JSON stream.
 *
 * Threads: the one that pulls; dv_progress_view_log() any.
 */
#ifndef DV_CLI_PROGRESS_VIEW_H
#define DV_CLI_PROGRESS_VIEW_H

#include "cli/options.h"
#include "davit/progress.h"

typedef struct dv_progress_view dv_progress_view;

typedef struct dv_progress_view_options {
    dv_progress_mode mode; /* DV_PROGRESS_AUTO: TTY when fd is a terminal that can move its cursor, else PLAIN */
    int fd;
    bool quiet;              /* not even warnings */
    unsigned columns, lines; /* 0: ask the terminal each time */
    uint32_t redraw_ms;      /* DV_PROGRESS_REDRAW_MS */
    uint32_t heartbeat_ms;   /* DV_PROGRESS_HEARTBEAT_MS */
    /* Called once when nobody reads the JSON stream any more (pull.md 10.2); NULL is fine. */
    void (*lost)(void *user_data);
    void *user_data;
} dv_progress_view_options;

#define DV_PROGRESS_REDRAW_MS 50
#define DV_PROGRESS_HEARTBEAT_MS 10000

/* NULL: no memory. The fd is borrowed. */
dv_progress_view *dv_progress_view_new(const dv_progress_view_options *options);
/* Leaves the terminal clean. NULL is fine. */
void dv_progress_view_free(dv_progress_view *v);
DV_DEFINE_AUTOPTR(dv_progress_view, dv_progress_view_free)

/* A davit_progress_fn; user_data is the view. */
void dv_progress_view_event(const davit_progress *event, void *user_data);
/* A line of our own in the stream. */
void dv_progress_view_message(dv_progress_view *v, const char *text);
/* The stream's last line after a failure; only JSON has one. */
void dv_progress_view_error(dv_progress_view *v, const char *message);
/* What stands there stays; the next event begins a new block. */
void dv_progress_view_settle(dv_progress_view *v);
/* A line of the log; it is written to standard error where it does not break the bars. */
void dv_progress_view_log(dv_progress_view *v, const char *line);

#endif

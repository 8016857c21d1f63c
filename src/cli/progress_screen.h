/*
 * cli/progress_screen.h - a block of lines on a terminal that is rewritten in place.
 *
 * Between two calls the cursor is always at the start of the line below the block, so the program may end at any moment and
 * leave a clean terminal. No I/O here: everything is appended to a buffer, which the caller writes at once.
 */
#ifndef DV_CLI_PROGRESS_SCREEN_H
#define DV_CLI_PROGRESS_SCREEN_H

#include "cli/progress_rows.h"
#include "util/buf.h"

typedef struct dv_progress_screen {
    unsigned *widths; /* columns of each line that stands there, top first */
    size_t count, capacity;
} dv_progress_screen;

void dv_progress_screen_clear(dv_progress_screen *s);

/* Put the block that shows these rows over the one that stands there. */
void dv_progress_screen_draw(dv_progress_screen *s, const dv_progress_rows *rows, unsigned columns,
                             unsigned lines, dv_buf *out);
/* Take the block away: the cursor is where its first line was. */
void dv_progress_screen_erase(dv_progress_screen *s, unsigned columns, dv_buf *out);
/* Let the block stand for good. */
void dv_progress_screen_leave(dv_progress_screen *s);

#endif

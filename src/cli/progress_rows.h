/* cli/progress_rows.h - the layers of one image and what each was last said to do. */
#ifndef DV_CLI_PROGRESS_ROWS_H
#define DV_CLI_PROGRESS_ROWS_H

#include "davit/progress.h"

#define DV_PROGRESS_ROWS_MAX 16384 /* further layers are counted by nobody and shown by nobody */

typedef struct dv_progress_row {
    char *id, *action; /* escaped */
    uint64_t current, total;
    bool has_counts;
} dv_progress_row;

typedef struct dv_progress_rows {
    dv_progress_row *items;
    size_t count, capacity;
} dv_progress_rows;

/* In the order of their work: what moves, what waits, what is over. */
typedef enum dv_progress_phase { DV_PHASE_ACTIVE, DV_PHASE_WAITING, DV_PHASE_DONE } dv_progress_phase;

/*
 * Take a layer's event in. NULL: no memory or too many. out_news: the action is another one, and not merely the next second of
 * a countdown. The row is valid until the next call.
 */
const dv_progress_row *dv_progress_rows_update(dv_progress_rows *rows, const davit_progress *event,
                                               bool *out_news);
/* Forget all of them; the memory of the table stays. */
void dv_progress_rows_reset(dv_progress_rows *rows);
void dv_progress_rows_clear(dv_progress_rows *rows);

dv_progress_phase dv_progress_row_phase(const dv_progress_row *row);

#endif

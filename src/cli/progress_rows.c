/* cli/progress_rows.c - see progress_rows.h. Decides what counts as news and what as done (pull.md 10.1). */
#include "cli/progress_rows.h"

#include "util/str.h"

#include <string.h>

#define TEXT_MAX 1024 /* bytes of an id or an action, escaped */

static char *escape(const char *s)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(TEXT_MAX);
    dv_str_escape(&text, s, strnlen(s, TEXT_MAX / 4), /* keep_newlines= */ false);
    return dv_buf_take(&text);
}

static dv_progress_row *find(dv_progress_rows *rows, const char *id)
{
    for (size_t i = 0; i < rows->count; i++)
        if (strcmp(rows->items[i].id, id) == 0)
            return &rows->items[i];
    return NULL;
}

static dv_progress_row *add(dv_progress_rows *rows, char *id)
{
    if (rows->count == DV_PROGRESS_ROWS_MAX)
        return NULL;
    if (rows->count == rows->capacity) {
        size_t capacity = rows->capacity ? rows->capacity * 2 : 16;
        dv_progress_row *items = dv_realloc_array(rows->items, capacity, sizeof(*items));
        if (!items)
            return NULL;
        rows->items = items;
        rows->capacity = capacity;
    }
    dv_progress_row *row = &rows->items[rows->count++];
    *row = (dv_progress_row){.id = id};
    return row;
}

/* "Retrying in 4 seconds" after "Retrying in 5 seconds" is the same wait; a larger number is a new one. */
static bool is_countdown(const char *before, const char *now)
{
    static const char prefix[] = "Retrying in ";
    if (!before || !dv_str_starts(before, prefix) || !dv_str_starts(now, prefix))
        return false;
    return strtoul(now + strlen(prefix), NULL, 10) < strtoul(before + strlen(prefix), NULL, 10);
}

const dv_progress_row *dv_progress_rows_update(dv_progress_rows *rows, const davit_progress *event,
                                               bool *out_news)
{
    DV_AUTOFREE char *id = escape(event->id ? event->id : "");
    DV_AUTOFREE char *action = escape(event->action ? event->action : "");
    if (!id || !action)
        return NULL;
    dv_progress_row *row = find(rows, id);
    if (!row) {
        row = add(rows, id);
        if (!row)
            return NULL;
        id = NULL;
    }
    *out_news = !dv_str_equal(row->action, action) && !is_countdown(row->action, action);
    free(row->action);
    row->action = DV_STEAL(action);
    row->has_counts = event->has_counts;
    row->current = event->current;
    row->total = event->total;
    return row;
}

void dv_progress_rows_reset(dv_progress_rows *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        free(rows->items[i].id);
        free(rows->items[i].action);
    }
    rows->count = 0;
}

void dv_progress_rows_clear(dv_progress_rows *rows)
{
    dv_progress_rows_reset(rows);
    free(rows->items);
    *rows = (dv_progress_rows){0};
}

dv_progress_phase dv_progress_row_phase(const dv_progress_row *row)
{
    static const char *const done[] = {"Pull complete", "Already exists", "Download complete"};
    static const char *const waiting[] = {"Pulling fs layer", "Waiting", ""};
    for (size_t i = 0; i < DV_COUNT(done); i++)
        if (dv_str_equal(row->action, done[i]))
            return DV_PHASE_DONE;
    for (size_t i = 0; i < DV_COUNT(waiting); i++)
        if (dv_str_equal(row->action, waiting[i]))
            return DV_PHASE_WAITING;
    return DV_PHASE_ACTIVE;
}

/*
 * cli/progress_screen.c - see progress_screen.h.
 *
 * Decides which layers are shown when not all of them fit, how a line is cut, and how far up the block begins. It leaves the
 * clock and the terminal to progress_view.c, which asks for the size before each call, so that a resize needs no signal.
 */
#include "cli/progress_screen.h"

#include "util/str.h"

#include <string.h>

#define LINE_BYTES_MAX 4096

void dv_progress_screen_clear(dv_progress_screen *s)
{
    free(s->widths);
    *s = (dv_progress_screen){0};
}

void dv_progress_screen_leave(dv_progress_screen *s)
{
    s->count = 0;
}

/*
 * Rows of the terminal that the block takes now. When the window became narrower, terminals wrap what was already written (xterm
 * cuts it instead: there we may eat a line above, which beats leaving shreds behind everywhere else).
 */
static size_t rows_taken(const dv_progress_screen *s, unsigned columns)
{
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++)
        n += s->widths[i] > columns ? (s->widths[i] + columns - 1) / columns : 1;
    return n;
}

static void to_top(const dv_progress_screen *s, unsigned columns, dv_buf *out)
{
    size_t up = rows_taken(s, columns);
    dv_buf_putc(out, '\r');
    if (up)
        dv_buf_printf(out, "\x1b[%zuA", up);
}

/* Line by line: tmux takes "clear to the end" at the top left for "clear the screen" and keeps a copy of it all. */
void dv_progress_screen_erase(dv_progress_screen *s, unsigned columns, dv_buf *out)
{
    size_t rows = rows_taken(s, columns);
    to_top(s, columns, out);
    for (size_t i = 0; i < rows; i++)
        dv_buf_puts(out, "\x1b[K\n");
    if (rows)
        dv_buf_printf(out, "\x1b[%zuA", rows);
    s->count = 0;
}

/*
 * Append as much of a line as fits, leaving the last column free (writing there means something else on every terminal). Characters
 * outside ASCII count as two columns: that is never too little. Gives the columns used.
 */
static unsigned append_cut(dv_buf *out, const dv_buf *line, unsigned columns)
{
    const char *s = dv_buf_text(line);
    size_t left = line->size;
    unsigned used = 0;
    while (left > 0) {
        uint32_t rune;
        size_t n = dv_utf8_length(s, left, &rune);
        unsigned wide = n > 1 ? 2 : 1;
        if (n == 0 || used + wide >= columns)
            break;
        dv_buf_append(out, s, n);
        used += wide;
        s += n;
        left -= n;
    }
    return used;
}

static void put_line(dv_progress_screen *s, const dv_buf *line, unsigned columns, dv_buf *out)
{
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? s->capacity * 2 : 16;
        unsigned *widths = dv_realloc_array(s->widths, capacity, sizeof(*widths));
        if (!widths)
            return;
        s->widths = widths;
        s->capacity = capacity;
    }
    s->widths[s->count++] = append_cut(out, line, columns);
    dv_buf_puts(out, "\x1b[K\n");
}

/* The bar, the counts without a bar, or where even they do not fit the percentage: half a number would be a wrong one. */
static void append_counts(dv_buf *line, const dv_progress_row *row, unsigned columns)
{
    DV_AUTOFREE char *bar = davit_progress_bar(row->current, row->total, columns);
    if (!bar || !*bar)
        return;
    if (line->size + 1 + strlen(bar) < columns || !row->total)
        dv_buf_printf(line, " %s", bar);
    else
        dv_buf_printf(line, " %.0f%%", 100.0 * (double)row->current / (double)row->total);
}

static void put_row(dv_progress_screen *s, const dv_progress_row *row, unsigned columns, dv_buf *out)
{
    DV_AUTO(dv_buf) line = DV_BUF_INIT(LINE_BYTES_MAX);
    dv_buf_printf(&line, "%s: %s", row->id, row->action);
    if (row->has_counts)
        append_counts(&line, row, columns);
    if (!line.failed)
        put_line(s, &line, columns, out);
}

static size_t count_phase(const dv_progress_rows *rows, dv_progress_phase phase)
{
    size_t n = 0;
    for (size_t i = 0; i < rows->count; i++)
        n += dv_progress_row_phase(&rows->items[i]) == phase;
    return n;
}

/* Up to room rows of one phase, in their order; gives how many. */
static size_t put_phase(dv_progress_screen *s, const dv_progress_rows *rows, dv_progress_phase phase,
                        size_t room, unsigned columns, dv_buf *out)
{
    size_t n = 0;
    for (size_t i = 0; i < rows->count && n < room; i++) {
        if (dv_progress_row_phase(&rows->items[i]) != phase)
            continue;
        put_row(s, &rows->items[i], columns, out);
        n++;
    }
    return n;
}

static void put_summary(dv_progress_screen *s, const dv_progress_rows *rows, unsigned columns, dv_buf *out)
{
    DV_AUTO(dv_buf) line = DV_BUF_INIT(LINE_BYTES_MAX);
    dv_buf_printf(&line, "%zu of %zu done", count_phase(rows, DV_PHASE_DONE), rows->count);
    if (!line.failed)
        put_line(s, &line, columns, out);
}

void dv_progress_screen_draw(dv_progress_screen *s, const dv_progress_rows *rows, unsigned columns,
                             unsigned lines, dv_buf *out)
{
    size_t room = lines > 2 ? lines - 1 : 1; /* the cursor stands below */
    to_top(s, columns, out);
    size_t before = s->count;
    s->count = 0;
    if (rows->count <= room) {
        for (size_t i = 0; i < rows->count; i++)
            put_row(s, &rows->items[i], columns, out);
    } else {
        size_t shown = put_phase(s, rows, DV_PHASE_ACTIVE, room - 1, columns, out);
        put_phase(s, rows, DV_PHASE_WAITING, room - 1 - shown, columns, out);
        put_summary(s, rows, columns, out);
    }
    if (before)
        dv_buf_puts(out, "\x1b[J");
}

/*
 * cli/progress_view.c - see progress_view.h.
 *
 * Decides when something is written and in which of the forms; progress_screen.c draws. A failed write is remembered and nothing
 * more is written: progress is never a reason for a pull to fail, except that whoever asked for the JSON stream and went away is
 * taken to have gone.
 */
#include "cli/progress_view.h"

#include "cli/output.h"
#include "cli/progress_screen.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/queue.h"
#include "util/str.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

#define FRAME_MAX (4u << 20) /* bytes of one redraw */

/* A log line on its way to the thread that draws. */
typedef struct log_line {
    dv_node node;
    char text[];
} log_line;

struct dv_progress_view {
    dv_progress_view_options options;
    dv_progress_rows rows;
    dv_progress_screen screen;
    dv_queue *log;
    uint64_t drawn_at_ms, beat_at_ms;
    bool dirty; /* rows say something that the terminal does not show */
    bool failed;
};

static dv_progress_mode choose_mode(const dv_progress_view_options *o)
{
    const char *term = getenv("TERM");
    if (o->mode != DV_PROGRESS_AUTO)
        return o->mode;
    return isatty(o->fd) == 1 && term && !dv_str_equal(term, "dumb") ? DV_PROGRESS_TTY : DV_PROGRESS_PLAIN;
}

dv_progress_view *dv_progress_view_new(const dv_progress_view_options *options)
{
    dv_progress_view *v = dv_new(dv_progress_view);
    if (!v)
        return NULL;
    v->options = *options;
    v->options.mode = choose_mode(options);
    v->beat_at_ms = dv_clock_ms();
    if (v->options.mode == DV_PROGRESS_TTY && !(v->log = dv_queue_new())) {
        free(v);
        return NULL;
    }
    return v;
}

/* --- writing --------------------------------------------------------------------------------------------------- */

/* Like dv_write_all(), and waits where a pipe was made non-blocking by somebody who shares it. */
static int write_patiently(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, bytes, size);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            poll(&p, 1, -1);
        } else if (n < 0 && errno != EINTR) {
            return -errno;
        } else if (n > 0) {
            bytes += n;
            size -= (size_t)n;
        }
    }
    return 0;
}

static void put(dv_progress_view *v, const dv_buf *text)
{
    if (v->failed || text->failed || !text->size ||
        write_patiently(v->options.fd, text->data, text->size) == 0)
        return;
    v->failed = true;
    if (v->options.mode == DV_PROGRESS_JSON && v->options.lost)
        v->options.lost(v->options.user_data);
}

static unsigned columns_of(const dv_progress_view *v, unsigned otherwise, unsigned *out_lines)
{
    struct winsize size = {0};
    if (!v->options.columns)
        (void)!ioctl(v->options.fd, TIOCGWINSZ, &size);
    unsigned lines = v->options.lines ? v->options.lines : size.ws_row;
    unsigned columns = v->options.columns ? v->options.columns : size.ws_col;
    *out_lines = lines ? lines : 24;
    return columns ? columns : otherwise;
}

/* "ID: ACTION", escaped, as one line. */
static void append_line(dv_buf *out, const char *id, const char *action)
{
    if (id && *id) {
        dv_message_format(out, id);
        dv_buf_puts(out, ": ");
    }
    dv_message_format(out, action ? action : "");
    dv_buf_putc(out, '\n');
}

/* --- terminal ------------------------------------------------------------------------------------------------------ */

static void append_log(dv_progress_view *v, dv_buf *out)
{
    dv_node *next;
    for (dv_node *n = dv_queue_take_all(v->log); n; n = next) {
        next = n->next;
        dv_buf_printf(out, "%s\n", ((log_line *)n)->text);
        free(n);
    }
}

static void draw(dv_progress_view *v)
{
    DV_AUTO(dv_buf) frame = DV_BUF_INIT(FRAME_MAX);
    DV_AUTO(dv_buf) log = DV_BUF_INIT(FRAME_MAX);
    unsigned lines, columns = columns_of(v, 80, &lines);
    append_log(v, &log);
    if (!log.failed && log.size) {
        dv_progress_screen_erase(&v->screen, columns, &frame);
        dv_buf_append(&frame, log.data, log.size);
    }
    dv_progress_screen_draw(&v->screen, &v->rows, columns, lines, &frame);
    put(v, &frame);
    v->drawn_at_ms = dv_clock_ms();
    v->dirty = false;
}

void dv_progress_view_settle(dv_progress_view *v)
{
    if (v->options.mode == DV_PROGRESS_TTY) {
        if (v->dirty || v->rows.count)
            draw(v);
        dv_progress_screen_leave(&v->screen);
    }
    dv_progress_rows_reset(&v->rows);
}

/* Messages stand below the layers that came before them; warnings go above, and the layers move on. */
static void tty_event(dv_progress_view *v, const davit_progress *event)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(2 * DV_LINE_MAX);
    unsigned lines, columns = columns_of(v, 80, &lines);
    bool news;
    switch (event->kind) {
    case DAVIT_PROGRESS_MESSAGE:
        dv_progress_view_settle(v);
        append_line(&text, event->id, event->action);
        put(v, &text);
        break;
    case DAVIT_PROGRESS_WARNING:
        dv_progress_screen_erase(&v->screen, columns, &text);
        append_line(&text, "warning", event->action);
        put(v, &text);
        draw(v);
        break;
    case DAVIT_PROGRESS_LAYER:
        if (dv_progress_rows_update(&v->rows, event, &news))
            v->dirty = true;
        if (v->dirty && dv_clock_ms() - v->drawn_at_ms >= v->options.redraw_ms)
            draw(v);
        break;
    default:
        break;
    }
}

/* --- lines ----------------------------------------------------------------------------------------------------------- */

/* "2 layers: Downloading 12MB/40.1MB", or the id of the only one; nothing when none is under way. */
static void append_heartbeat(const dv_progress_view *v, dv_buf *out)
{
    uint64_t current = 0, total = 0;
    const dv_progress_row *only = NULL;
    size_t n = 0;
    bool unknown = false;
    for (size_t i = 0; i < v->rows.count; i++) {
        const dv_progress_row *row = &v->rows.items[i];
        if (!row->has_counts)
            continue;
        only = row;
        n++;
        current += row->current;
        total += row->total;
        unknown = unknown || !row->total;
    }
    if (!n)
        return;
    char counts[32], all[32];
    if (n == 1)
        dv_buf_printf(out, "%s: %s %s", only->id, only->action, davit_human_size((double)current, counts));
    else
        dv_buf_printf(out, "%zu layers: %s %s", n, only->action, davit_human_size((double)current, counts));
    if (!unknown && total >= current)
        dv_buf_printf(out, "/%s", davit_human_size((double)total, all));
    dv_buf_putc(out, '\n');
}

static void plain_layer(dv_progress_view *v, const davit_progress *event, dv_buf *text)
{
    bool news = false;
    const dv_progress_row *row = dv_progress_rows_update(&v->rows, event, &news);
    if (!row)
        return;
    if (!row->has_counts && news)
        append_line(text, row->id, row->action);
    if (row->has_counts && dv_clock_ms() - v->beat_at_ms >= v->options.heartbeat_ms) {
        append_heartbeat(v, text);
        v->beat_at_ms = dv_clock_ms();
    }
}

static void plain_event(dv_progress_view *v, const davit_progress *event)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(2 * DV_LINE_MAX);
    switch (event->kind) {
    case DAVIT_PROGRESS_MESSAGE:
        dv_progress_rows_reset(&v->rows);
        append_line(&text, event->id, event->action);
        break;
    case DAVIT_PROGRESS_WARNING:
        append_line(&text, "warning", event->action);
        break;
    case DAVIT_PROGRESS_LAYER:
        plain_layer(v, event, &text);
        break;
    default:
        break;
    }
    put(v, &text);
}

/* --- JSON -------------------------------------------------------------------------------------------------------------- */

static void put_json(dv_progress_view *v, char *object)
{
    DV_AUTOFREE char *owned = object;
    DV_AUTO(dv_buf) line = DV_BUF_INIT(FRAME_MAX);
    if (!owned)
        return;
    dv_buf_printf(&line, "%s\r\n", owned);
    put(v, &line);
}

static void json_event(dv_progress_view *v, const davit_progress *event)
{
    unsigned lines;
    put_json(v, davit_progress_to_json(event, columns_of(v, DAVIT_PROGRESS_JSON_WIDTH, &lines)));
}

/* --- any form ------------------------------------------------------------------------------------------------------------ */

void dv_progress_view_event(const davit_progress *event, void *user_data)
{
    dv_progress_view *v = user_data;
    switch (v->options.mode) {
    case DV_PROGRESS_TTY:
        tty_event(v, event);
        break;
    case DV_PROGRESS_JSON:
        json_event(v, event);
        break;
    case DV_PROGRESS_NONE:
        if (event->kind == DAVIT_PROGRESS_WARNING && !v->options.quiet)
            dv_message_write(v->options.fd, "warning", event->action);
        break;
    default:
        plain_event(v, event);
        break;
    }
}

void dv_progress_view_message(dv_progress_view *v, const char *text)
{
    dv_progress_view_event(&(davit_progress){.kind = DAVIT_PROGRESS_MESSAGE, .action = text}, v);
}

void dv_progress_view_error(dv_progress_view *v, const char *message)
{
    if (v->options.mode == DV_PROGRESS_JSON)
        put_json(v, davit_progress_error_to_json(message));
}

void dv_progress_view_log(dv_progress_view *v, const char *line)
{
    size_t size = strlen(line) + 1;
    log_line *entry = v->log && !v->failed ? malloc(sizeof(*entry) + size) : NULL;
    if (entry) {
        memcpy(entry->text, line, size);
        dv_queue_push(v->log, &entry->node);
        return;
    }
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_LINE_MAX);
    dv_buf_printf(&text, "%s\n", line);
    if (!text.failed)
        (void)!dv_write_all(STDERR_FILENO, text.data, text.size);
}

void dv_progress_view_free(dv_progress_view *v)
{
    if (!v)
        return;
    dv_progress_view_settle(v);
    if (v->log) {
        DV_AUTO(dv_buf) rest = DV_BUF_INIT(FRAME_MAX);
        append_log(v, &rest);
        put(v, &rest);
        dv_queue_free(v->log);
    }
    dv_progress_rows_clear(&v->rows);
    dv_progress_screen_clear(&v->screen);
    free(v);
}

/* Progress: the lines, the JSON stream, and what stands on a terminal after each redraw (judged by a small screen). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/progress_screen.h"
#include "cli/progress_view.h"
#include "util/alloc.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* --- a screen ---------------------------------------------------------------------------------------------------------- */

#define COLUMNS_MAX 200
#define LINES_MAX 400 /* with what has scrolled away */

typedef struct screen {
    int columns, height;
    char lines[LINES_MAX][COLUMNS_MAX + 1];
    int row, column, wrapped;
} screen;

static void screen_init(screen *s, int columns, int height)
{
    memset(s, 0, sizeof(*s));
    s->columns = columns;
    s->height = height;
}

static int top(const screen *s)
{
    int last = s->row;
    for (int i = s->row; i < LINES_MAX; i++)
        if (s->lines[i][0])
            last = i;
    return last >= s->height ? last - s->height + 1 : 0;
}

static void screen_escape(screen *s, int number, char final)
{
    if (final == 'A') {
        int limit = top(s);
        s->row = s->row - number < limit ? limit : s->row - number;
    } else if (final == 'K') {
        memset(s->lines[s->row] + s->column, 0, (size_t)(COLUMNS_MAX - s->column));
    } else if (final == 'J') {
        memset(s->lines[s->row] + s->column, 0, (size_t)(COLUMNS_MAX - s->column));
        for (int i = s->row + 1; i < LINES_MAX; i++)
            memset(s->lines[i], 0, COLUMNS_MAX);
    } else {
        fail_msg("escape %d%c", number, final);
    }
}

static void screen_put(screen *s, char c)
{
    if (s->column == s->columns) {
        s->wrapped++;
        s->row++;
        s->column = 0;
    }
    assert_true(s->row < LINES_MAX);
    char *line = s->lines[s->row];
    for (int i = 0; i < s->column; i++)
        line[i] = line[i] ? line[i] : ' ';
    line[s->column++] = c;
}

static void screen_feed(screen *s, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\r')
            s->column = 0;
        else if (text[i] == '\n') {
            s->row++;
            s->column = 0;
        } else if (text[i] == '\x1b') {
            int number = 0, used = 0;
            char final = 0;
            if (sscanf(text + i, "\x1b[%d%c%n", &number, &final, &used) < 2)
                sscanf(text + i, "\x1b[%c%n", &final, &used);
            screen_escape(s, number, final);
            i += (size_t)used - 1;
        } else {
            screen_put(s, text[i]);
        }
    }
}

/* Everything that stands there, a line each. */
static const char *screen_text(const screen *s)
{
    static char text[LINES_MAX * COLUMNS_MAX];
    size_t n = 0;
    for (int i = 0; i < LINES_MAX; i++)
        if (s->lines[i][0])
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\n", s->lines[i]);
    text[n] = '\0';
    return text;
}

/* --- a view into memory ------------------------------------------------------------------------------------------------ */

typedef struct fixture {
    dv_progress_view *view;
    int fd;
    off_t read;
    char text[100000];
} fixture;

static void start(fixture *f, dv_progress_view_options options)
{
    f->fd = memfd_create("progress", MFD_CLOEXEC);
    f->read = 0;
    options.fd = f->fd;
    f->view = dv_progress_view_new(&options);
    assert_non_null(f->view);
}

/* What was written since the last time. */
static const char *news(fixture *f)
{
    ssize_t n = pread(f->fd, f->text, sizeof(f->text) - 1, f->read);
    assert_true(n >= 0);
    f->text[n] = '\0';
    f->read += n;
    return f->text;
}

static const char *stop(fixture *f)
{
    dv_progress_view_free(f->view);
    const char *text = news(f);
    close(f->fd);
    return text;
}

static void layer(fixture *f, const char *id, const char *action)
{
    dv_progress_view_event(&(davit_progress){.kind = DAVIT_PROGRESS_LAYER, .id = id, .action = action},
                           f->view);
}

static void counts(fixture *f, const char *id, uint64_t current, uint64_t total)
{
    dv_progress_view_event(&(davit_progress){.kind = DAVIT_PROGRESS_LAYER,
                                             .id = id,
                                             .action = "Downloading",
                                             .current = current,
                                             .total = total,
                                             .has_counts = true},
                           f->view);
}

static void message(fixture *f, const char *id, const char *text)
{
    dv_progress_view_event(&(davit_progress){.kind = DAVIT_PROGRESS_MESSAGE, .id = id, .action = text},
                           f->view);
}

static void warning(fixture *f, const char *text)
{
    dv_progress_view_event(&(davit_progress){.kind = DAVIT_PROGRESS_WARNING, .action = text}, f->view);
}

#define A "aaaaaaaaaaaa"
#define B "bbbbbbbbbbbb"

/* --- plain --------------------------------------------------------------------------------------------------------------- */

static void plain__is_the_transcript_of_the_specification(void **state)
{
    fixture f;
    start(&f, (dv_progress_view_options){.mode = DV_PROGRESS_PLAIN, .heartbeat_ms = 1u << 30});
    message(&f, "1.0", "Pulling from demo/web");
    layer(&f, A, "Already exists");
    layer(&f, B, "Pulling fs layer");
    counts(&f, B, 1, 100);
    counts(&f, B, 100, 100);
    layer(&f, B, "Verifying Checksum");
    layer(&f, B, "Verifying Checksum");
    layer(&f, B, "Download complete");
    layer(&f, B, "Pull complete");
    message(&f, NULL, "Digest: sha256:1111");
    message(&f, NULL, "Status: Downloaded newer image for demo/web:1.0");
    assert_string_equal(stop(&f), "1.0: Pulling from demo/web\n" A ": Already exists\n" B
                                  ": Pulling fs layer\n" B ": Verifying Checksum\n" B
                                  ": Download complete\n" B ": Pull complete\nDigest: sha256:1111\n"
                                  "Status: Downloaded newer image for demo/web:1.0\n");
}

static void plain__a_countdown_is_one_line_for_each_wait(void **state)
{
    fixture f;
    start(&f, (dv_progress_view_options){.mode = DV_PROGRESS_PLAIN, .heartbeat_ms = 1u << 30});
    layer(&f, A, "Retrying in 2 seconds");
    layer(&f, A, "Retrying in 1 second");
    layer(&f, A, "Retrying in 10 seconds");
    layer(&f, A, "Retrying in 9 seconds");
    counts(&f, A, 1, 2);
    layer(&f, A, "Retrying in 3 seconds");
    assert_string_equal(stop(&f), A ": Retrying in 2 seconds\n" A ": Retrying in 10 seconds\n" A
                                    ": Retrying in 3 seconds\n");
}

static void plain__a_heartbeat_has_counts(void **state)
{
    fixture f;
    start(&f, (dv_progress_view_options){.mode = DV_PROGRESS_PLAIN, .heartbeat_ms = 0});
    counts(&f, A, 500, 2000);
    assert_string_equal(news(&f), A ": Downloading 500B/2kB\n");
    counts(&f, B, 1000, 2000);
    assert_string_equal(news(&f), "2 layers: Downloading 1.5kB/4kB\n");
    counts(&f, B, 1000, 0);
    assert_string_equal(news(&f), "2 layers: Downloading 1.5kB\n");
    stop(&f);
}

static void plain__text_of_a_registry_cannot_steer_the_terminal(void **state)
{
    /* threat C11 */
    fixture f;
    start(&f, (dv_progress_view_options){.mode = DV_PROGRESS_PLAIN});
    message(&f, "a\x1b[2J", "b\nc\xc2\x9b");
    layer(&f, "d\x07", "e\r");
    warning(&f, "f\x1b");
    assert_string_equal(stop(&f), "a\\x1B[2J: b; c\\xC2\\x9B\nd\\x07: e\\x0D\nwarning: f\\x1B\n");
}

static void none__shows_warnings_unless_quiet(void **state)
{
    fixture f;
    start(&f, (dv_progress_view_options){.mode = DV_PROGRESS_NONE});
    message(&f, "1.0", "Pulling");
    layer(&f, A, "Pull complete");
    warning(&f, "odd");
    assert_string_equal(stop(&f), "warning: odd\n");
    start(&f, (dv_progress_view_options){.mode = DV_PROGRESS_NONE, .quiet = true});
    warning(&f, "odd");
    assert_string_equal(stop(&f), "");
}

/* --- JSON ---------------------------------------------------------------------------------------------------------------- */

static void json__is_one_object_a_line(void **state)
{
    fixture f;
    start(&f, (dv_progress_view_options){.mode = DV_PROGRESS_JSON});
    message(&f, "latest", "Pulling from library/busybox");
    layer(&f, A, "Pulling fs layer");
    counts(&f, A, 512, 1024);
    dv_progress_view_error(f.view, "no");
    assert_string_equal(
        stop(&f),
        "{\"status\":\"Pulling from library/busybox\",\"id\":\"latest\"}\r\n"
        "{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"" A "\"}\r\n"
        "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":512,\"total\":1024},"
        "\"progress\":\"[=========================\\u003e                         ]     512B/1.024kB\","
        "\"id\":\"" A "\"}\r\n"
        "{\"errorDetail\":{\"message\":\"no\"},\"error\":\"no\"}\r\n");
}

static void count_loss(void *user_data)
{
    ++*(int *)user_data;
}

static void lost_after(dv_progress_mode mode, int expected)
{
    int fds[2], lost = 0;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    close(fds[0]);
    const dv_progress_view_options options = {
        .mode = mode, .fd = fds[1], .lost = count_loss, .user_data = &lost};
    dv_progress_view *view = dv_progress_view_new(&options);
    for (int i = 0; i < 5; i++)
        dv_progress_view_event(
            &(davit_progress){.kind = DAVIT_PROGRESS_LAYER, .id = i % 2 ? A : B, .action = i % 2 ? "x" : "y"},
            view);
    dv_progress_view_message(view, "end");
    dv_progress_view_free(view);
    close(fds[1]);
    assert_int_equal(lost, expected);
}

static void view__a_reader_that_left_is_told_once_and_only_for_json(void **state)
{
    signal(SIGPIPE, SIG_IGN);
    lost_after(DV_PROGRESS_JSON, 1);
    lost_after(DV_PROGRESS_PLAIN, 0);
    lost_after(DV_PROGRESS_TTY, 0);
}

/* --- terminal -------------------------------------------------------------------------------------------------------------- */

static void show(fixture *f, screen *s)
{
    const char *text = news(f);
    screen_feed(s, text, strlen(text));
    assert_int_equal(s->column, 0); /* the program may end at any moment */
}

static void tty__layers_are_rewritten_in_place_between_messages(void **state)
{
    fixture f;
    static screen s;
    screen_init(&s, 120, 24);
    start(&f, (dv_progress_view_options){.mode = DV_PROGRESS_TTY, .columns = 120, .lines = 24});
    message(&f, "1.0", "Pulling from demo/web");
    layer(&f, A, "Pulling fs layer");
    layer(&f, B, "Pulling fs layer");
    show(&f, &s);
    assert_string_equal(screen_text(&s),
                        "1.0: Pulling from demo/web\n" A ": Pulling fs layer\n" B ": Pulling fs layer\n");
    counts(&f, A, 512, 1024);
    show(&f, &s);
    assert_string_equal(screen_text(&s),
                        "1.0: Pulling from demo/web\n" A ": Downloading [=========================>"
                        "                         ]     512B/1.024kB\n" B ": Pulling fs layer\n");
    layer(&f, A, "Pull complete");
    layer(&f, B, "Pull complete");
    message(&f, NULL, "Digest: x");
    message(&f, NULL, "Status: y");
    show(&f, &s);
    assert_string_equal(screen_text(&s), "1.0: Pulling from demo/web\n" A ": Pull complete\n" B
                                         ": Pull complete\nDigest: x\nStatus: y\n");
    layer(&f, A, "Already exists"); /* the next tag has its own block */
    show(&f, &s);
    assert_non_null(strstr(screen_text(&s), "Status: y\n" A ": Already exists\n"));
    stop(&f);
}

static void tty__warnings_and_the_log_go_above_the_layers(void **state)
{
    fixture f;
    static screen s;
    screen_init(&s, 80, 24);
    start(&f, (dv_progress_view_options){.mode = DV_PROGRESS_TTY, .columns = 80, .lines = 24});
    message(&f, "1.0", "Pulling");
    layer(&f, A, "Waiting");
    warning(&f, "odd");
    show(&f, &s);
    assert_string_equal(screen_text(&s), "1.0: Pulling\nwarning: odd\n" A ": Waiting\n");
    dv_progress_view_log(f.view, "warning: even");
    show(&f, &s);
    layer(&f, A, "Pull complete");
    show(&f, &s);
    assert_string_equal(screen_text(&s), "1.0: Pulling\nwarning: odd\nwarning: even\n" A ": Pull complete\n");
    dv_progress_view_log(f.view, "warning: late");
    const char *rest = stop(&f);
    screen_feed(&s, rest, strlen(rest));
    assert_non_null(strstr(screen_text(&s), "warning: late"));
}

static void tty__lines_are_cut_to_the_width(void **state)
{
    for (unsigned columns = 1; columns <= 60; columns++) {
        fixture f;
        static screen s;
        screen_init(&s, (int)columns, 24);
        start(&f, (dv_progress_view_options){.mode = DV_PROGRESS_TTY, .columns = columns, .lines = 24});
        layer(&f, A, "caf\xc3\xa9 \xc3\xa9\xc3\xa9 and more words than fit into so few columns");
        counts(&f, B, 1000, 2000);
        show(&f, &s);
        if (s.wrapped)
            print_error("%u columns: wrapped %d times\n", columns, s.wrapped);
        assert_int_equal(s.wrapped, 0);
        stop(&f);
    }
}

static void tty__counts_that_do_not_fit_become_a_percentage(void **state)
{
    static const struct {
        unsigned columns;
        const char *expected;
    } rows[] = {
        {200, A ": Downloading [========================>                          ]    498kB/1MB\n"},
        {40, A ": Downloading    498kB/1MB\n"},
        {39, A ": Downloading    498kB/1MB\n"},
        {38, A ": Downloading 50%\n"},
        {20, A ": Downl\n"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        fixture f;
        static screen s;
        screen_init(&s, (int)rows[i].columns, 24);
        start(&f,
              (dv_progress_view_options){.mode = DV_PROGRESS_TTY, .columns = rows[i].columns, .lines = 24});
        counts(&f, A, 498000, 1000000);
        show(&f, &s);
        assert_string_equal(screen_text(&s), rows[i].expected);
        stop(&f);
    }
}

static void tty__more_layers_than_rows_show_the_active_ones_and_a_summary(void **state)
{
    fixture f;
    static screen s;
    char id[16];
    screen_init(&s, 60, 6);
    start(&f, (dv_progress_view_options){.mode = DV_PROGRESS_TTY, .columns = 60, .lines = 6});
    message(&f, "1.0", "Pulling");
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof(id), "%012d", i);
        layer(&f, id, "Pulling fs layer");
        show(&f, &s);
    }
    for (int i = 0; i < 50; i++) {
        snprintf(id, sizeof(id), "%012d", i);
        layer(&f, id, "Pull complete");
        show(&f, &s);
    }
    counts(&f, "000000000070", 1, 2);
    show(&f, &s);
    assert_string_equal(
        screen_text(&s),
        "1.0: Pulling\n000000000070: Downloading       1B/2B\n000000000050: Pulling fs layer\n"
        "000000000051: Pulling fs layer\n000000000052: Pulling fs layer\n"
        "50 of 100 done\n");
    for (int i = 50; i < 100; i++) {
        snprintf(id, sizeof(id), "%012d", i);
        layer(&f, id, "Pull complete");
    }
    message(&f, NULL, "Status: y");
    show(&f, &s);
    assert_string_equal(screen_text(&s), "1.0: Pulling\n100 of 100 done\nStatus: y\n");
    stop(&f);
}

static void tty__redraws_are_few(void **state)
{
    fixture f;
    static screen s;
    screen_init(&s, 60, 24);
    start(&f, (dv_progress_view_options){
                  .mode = DV_PROGRESS_TTY, .columns = 60, .lines = 24, .redraw_ms = 1u << 30});
    message(&f, "1.0", "Pulling");
    show(&f, &s);
    for (uint64_t i = 0; i < 1000; i++)
        counts(&f, A, i, 1000);
    const char *between = news(&f);
    assert_true(strlen(between) < 200);
    screen_feed(&s, between, strlen(between));
    layer(&f, A, "Pull complete");
    const char *rest = stop(&f);
    screen_feed(&s, rest, strlen(rest));
    assert_string_equal(screen_text(&s), "1.0: Pulling\n" A ": Pull complete\n");
}

/* Narrowing wraps what stands there, in most terminals. */
static void screen_draw__goes_up_over_lines_that_a_resize_wrapped(void **state)
{
    DV_AUTO(dv_buf) out = DV_BUF_INIT(10000);
    dv_progress_screen s = {0};
    dv_progress_row rows[] = {{.id = (char *)A, .action = (char *)"Verifying Checksum"},
                              {.id = (char *)B, .action = (char *)"x"}};
    const dv_progress_rows table = {.items = rows, .count = 2};
    dv_progress_screen_draw(&s, &table, 100, 24, &out); /* 32 and 15 columns */
    dv_buf_reset(&out);
    dv_progress_screen_draw(&s, &table, 100, 24, &out);
    assert_non_null(strstr(dv_buf_text(&out), "\x1b[2A"));
    dv_buf_reset(&out);
    dv_progress_screen_draw(&s, &table, 10, 24, &out);
    assert_non_null(strstr(dv_buf_text(&out), "\x1b[6A")); /* 4 and 2 rows */
    dv_buf_reset(&out);
    dv_progress_screen_draw(&s, &table, 100, 24, &out);
    assert_non_null(strstr(dv_buf_text(&out), "\x1b[2A"));
    dv_progress_screen_clear(&s);
}

static void view__auto_is_plain_without_a_terminal(void **state)
{
    fixture f;
    start(&f, (dv_progress_view_options){.mode = DV_PROGRESS_AUTO});
    layer(&f, A, "Waiting");
    assert_string_equal(stop(&f), A ": Waiting\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain__is_the_transcript_of_the_specification),
        cmocka_unit_test(plain__a_countdown_is_one_line_for_each_wait),
        cmocka_unit_test(plain__a_heartbeat_has_counts),
        cmocka_unit_test(plain__text_of_a_registry_cannot_steer_the_terminal),
        cmocka_unit_test(none__shows_warnings_unless_quiet),
        cmocka_unit_test(json__is_one_object_a_line),
        cmocka_unit_test(view__a_reader_that_left_is_told_once_and_only_for_json),
        cmocka_unit_test(tty__layers_are_rewritten_in_place_between_messages),
        cmocka_unit_test(tty__warnings_and_the_log_go_above_the_layers),
        cmocka_unit_test(tty__lines_are_cut_to_the_width),
        cmocka_unit_test(tty__counts_that_do_not_fit_become_a_percentage),
        cmocka_unit_test(tty__more_layers_than_rows_show_the_active_ones_and_a_summary),
        cmocka_unit_test(tty__redraws_are_few),
        cmocka_unit_test(screen_draw__goes_up_over_lines_that_a_resize_wrapped),
        cmocka_unit_test(view__auto_is_plain_without_a_terminal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * cli/prompt.c - see prompt.h.
 *
 * The terminal stays line-oriented, so Ctrl-C, Ctrl-Z, erase and Ctrl-D are the kernel's. SIGINT, SIGTERM and SIGHUP belong to the watcher
 * (signals.c), which calls dv_prompt_restore() before it ends the program; SIGTSTP and SIGQUIT get a handler here for as long
 * as echo is off.
 */
#include "cli/prompt.h"

#include "cli/signals.h"
#include "util/file.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define LOOK_MS 50 /* how often a signal is looked for while we wait */

static struct termios before; /* valid while hidden */
static atomic_bool hidden;
static volatile sig_atomic_t stop_wanted;

void dv_prompt_restore(void)
{
    bool yes = true;
    if (atomic_compare_exchange_strong(&hidden, &yes, false))
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

/* --- echo -------------------------------------------------------------------------------------------------------- */

static void on_stop(int number)
{
    stop_wanted = number;
}

static void on_quit(int number)
{
    dv_prompt_restore();
    signal(number, SIG_DFL);
    raise(number);
}

static void take_signal(int number, void (*handler)(int), struct sigaction *old)
{
    struct sigaction action = {.sa_handler = handler};
    sigemptyset(&action.sa_mask);
    if (sigaction(number, NULL, old) == 0 && old->sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

static bool hide(void)
{
    if (tcgetattr(STDIN_FILENO, &before) < 0)
        return false;
    struct termios quiet = before;
    quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
    quiet.c_lflag |= ECHONL | ICANON | ISIG;
    atomic_store(&hidden, true);
    if (tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet) == 0)
        return true;
    atomic_store(&hidden, false);
    return false;
}

/* Ctrl-Z: stop with the terminal as it was; when we go on, ask again. */
static int stop_and_ask_again(const char *question, davit_error **err)
{
    bool secret = atomic_load(&hidden);
    dv_prompt_restore();
    stop_wanted = 0;
    signal(SIGTSTP, SIG_DFL);
    raise(SIGTSTP);
    struct sigaction unused;
    take_signal(SIGTSTP, on_stop, &unused);
    if (secret && !hide())
        return dv_error_errno(err, DAVIT_EIO, errno, "cannot turn off the terminal's echo");
    dv_write_all(STDERR_FILENO, question, strlen(question));
    return 0;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* Wait until the terminal has something. 1, 0: look again, or negative. */
static int wait_readable(const char *question, davit_error **err)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    int n = poll(&p, 1, LOOK_MS);
    if (dv_signals_came())
        return dv_error_set(err, DAVIT_ECANCELLED, "interrupted");
    if (stop_wanted)
        return stop_and_ask_again(question, err);
    if (n < 0 && errno != EINTR)
        return dv_error_errno(err, DAVIT_EIO, errno, "standard input");
    return n > 0 ? 1 : 0;
}

/* What the terminal gives at once: a line, or what stood in it when Ctrl-D was typed. 1: there may be more of the line. */
static int read_piece(const char *question, dv_buf *out, davit_error **err)
{
    char line[DV_PROMPT_MAX + 1];
    bool more = false;
    int r;
    do {
        r = wait_readable(question, err);
    } while (r == 0);
    if (r < 0)
        return r;
    ssize_t n = read(STDIN_FILENO, line, sizeof(line));
    if (n < 0)
        r = dv_error_errno(err, DAVIT_EIO, errno, "standard input");
    else if (n == 0 && out->size == 0)
        r = dv_error_set(err, DAVIT_EINVAL, "no answer: the input ended");
    else if (n > 0 && memchr(line, '\0', (size_t)n))
        r = dv_error_set(err, DAVIT_EINVAL, "the answer holds a NUL byte");
    else if (n > 0) {
        more = line[n - 1] != '\n';
        dv_buf_append(out, line, (size_t)n - (more ? 0 : 1));
    }
    explicit_bzero(line, sizeof(line));
    return r < 0 ? r : more;
}

/* A line of DV_PROMPT_MAX bytes may be the beginning of a longer one, of which the terminal has dropped the rest. */
static int read_line(const char *question, dv_buf *out, davit_error **err)
{
    int r;
    do {
        r = read_piece(question, out, err);
    } while (r > 0 && !out->failed);
    if (r >= 0 && out->failed == DAVIT_ENOMEM)
        return dv_error_oom(err);
    if (r >= 0 && (out->failed || out->size >= DV_PROMPT_MAX))
        return dv_error_set(err, DAVIT_EINVAL, "the answer is too long");
    return r;
}

bool dv_prompt_possible(void)
{
    return isatty(STDIN_FILENO) == 1;
}

int dv_prompt_line(const char *question, dv_buf *out, davit_error **err)
{
    dv_write_all(STDERR_FILENO, question, strlen(question));
    return read_line(question, out, err);
}

int dv_prompt_secret(const char *question, dv_buf *out, davit_error **err)
{
    struct sigaction old_stop, old_quit;
    out->secret = true;
    stop_wanted = 0;
    take_signal(SIGTSTP, on_stop, &old_stop);
    take_signal(SIGQUIT, on_quit, &old_quit);
    int r = hide() ? 0 : dv_error_errno(err, DAVIT_EIO, errno, "cannot turn off the terminal's echo");
    if (r == 0) {
        dv_write_all(STDERR_FILENO, question, strlen(question));
        r = read_line(question, out, err);
    }
    dv_prompt_restore();
    sigaction(SIGTSTP, &old_stop, NULL);
    sigaction(SIGQUIT, &old_quit, NULL);
    return r;
}

/* --- standard input as a whole -------------------------------------------------------------------------------------- */

static int check_secret(dv_buf *out, davit_error **err)
{
    if (out->size > 0 && out->data[out->size - 1] == '\n') {
        out->size -= out->size > 1 && out->data[out->size - 2] == '\r' ? 2 : 1;
        out->data[out->size] = '\0';
    }
    if (out->size == 0)
        return dv_error_set(err, DAVIT_EINVAL, "the password on standard input is empty");
    if (memchr(out->data, '\0', out->size))
        return dv_error_set(err, DAVIT_EINVAL, "the password on standard input holds a NUL byte");
    return 0;
}

int dv_prompt_read_secret(dv_buf *out, davit_error **err)
{
    char piece[4096];
    ssize_t n;
    out->secret = true;
    do {
        n = read(STDIN_FILENO, piece, sizeof(piece));
        if (n > 0)
            dv_buf_append(out, piece, (size_t)n);
    } while ((n > 0 && !out->failed) || (n < 0 && errno == EINTR));
    int number = errno;
    explicit_bzero(piece, sizeof(piece));
    if (n < 0)
        return dv_error_errno(err, DAVIT_EIO, number, "standard input");
    if (out->failed == DAVIT_ENOMEM)
        return dv_error_oom(err);
    if (out->failed)
        return dv_error_set(err, DAVIT_EINVAL, "the password on standard input is longer than %u bytes",
                            DV_STDIN_SECRET_MAX);
    return check_secret(out, err);
}

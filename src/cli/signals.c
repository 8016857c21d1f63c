/*
 * cli/signals.c - see signals.h.
 *
 * A thread that waits with sigwait() may do anything, unlike a handler; the store needs no farewell (DESIGN 5), so _exit() is always
 * allowed. The terminal is clean whenever no write is under way (progress_screen.h), so there is nothing to put back.
 */
#include "cli/signals.h"

#include "cli/output.h"
#include "cli/prompt.h"
#include "util/error.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#define GRACE_MS 800
#define STOP_SIGNAL SIGRTMIN /* sent to the watcher alone, to end it */

static _Atomic(davit_client *) watched;
static atomic_bool came, stopping;
static pthread_t watcher;
static bool started;
static sigset_t all; /* what the watcher waits for */

static _Noreturn void leave(void)
{
    dv_prompt_restore();
    if (isatty(STDERR_FILENO) == 1)
        (void)!write(STDERR_FILENO, "\r\x1b[K", 4); /* over the terminal's own ^C */
    dv_message_write(STDERR_FILENO, "davit", "interrupted");
    _exit(dv_exit_status(DAVIT_ECANCELLED));
}

static void *watch(void *unused)
{
    int number;
    if (sigwait(&all, &number) != 0 || number == STOP_SIGNAL)
        return NULL;
    atomic_store(&came, true);
    if (atomic_load(&stopping))
        return NULL;
    davit_client *client = atomic_load(&watched);
    if (!client)
        leave();
    davit_client_cancel(client);
    const struct timespec grace = {.tv_nsec = GRACE_MS * 1000000L};
    sigtimedwait(&all, NULL, &grace);
    if (!atomic_load(&stopping))
        leave();
    return NULL;
}

int dv_signals_start(davit_error **err)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    sigemptyset(&all);
    for (size_t i = 0; i < DV_COUNT(numbers); i++) {
        struct sigaction now;
        if (sigaction(numbers[i], NULL, &now) == 0 && now.sa_handler == SIG_IGN)
            continue; /* nohup, or a shell's background job */
        sigaddset(&all, numbers[i]);
    }
    sigaddset(&all, STOP_SIGNAL);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    int r = pthread_create(&watcher, NULL, watch, NULL);
    if (r != 0) {
        pthread_sigmask(SIG_UNBLOCK, &all, NULL);
        return dv_error_errno(err, DAVIT_ENOMEM, r, "cannot start a thread");
    }
    started = true;
    return 0;
}

void dv_signals_set_client(davit_client *client)
{
    atomic_store(&watched, client);
    if (client && atomic_load(&came))
        davit_client_cancel(client);
}

bool dv_signals_came(void)
{
    return atomic_load(&came);
}

void dv_signals_stop(void)
{
    if (!started)
        return;
    started = false;
    atomic_store(&stopping, true);
    pthread_kill(watcher, STOP_SIGNAL);
    pthread_join(watcher, NULL);
    atomic_store(&watched, NULL);
    /* What the watcher had no time for would kill us now. */
    while (sigtimedwait(&all, NULL, &(struct timespec){0}) > 0)
        atomic_store(&came, true);
    pthread_sigmask(SIG_UNBLOCK, &all, NULL);
}

/*
 * auth/helper_process.c - see helper_process.h.
 *
 *   we --_Fork--> keeper --vfork, execve--> helper
 *
 * The keeper is a copy of us that calls async-signal-safe functions only: it makes the session, waits for the helper, writes
 * how that ended into a pipe, and then sleeps until we kill it. While it sleeps, its process id is taken, so that killing the
 * process group of that number cannot hit anybody else. _Fork() runs no handlers of pthread_atfork().
 */
#include "auth/helper_process.h"

#include "util/clock.h"
#include "util/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define CANCEL_POLL_MS 50 /* how long a cancelled client waits at most */
#define DESCRIPTORS_MAX \
    (1 << 20)       /* closed one by one where the kernel has no close_range(); fs.nr_open's default */
#define REPORT_FD 3 /* the keeper's; the helper does not get it */

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

/* What the keeper says, or the helper when it does not come to be. The first one counts. */
typedef struct report {
    int wait_status;
    int exec_errno; /* not 0: there was no helper */
} report;

typedef struct channels {
    int input;
    int output[2], said[2], report[2]; /* read, write */
} channels;

#define CHANNELS_INIT           \
    {                           \
        -1, {-1, -1}, {-1, -1}, \
        {                       \
            -1, -1              \
        }                       \
    }

static void close_pair(int pair[2])
{
    dv_close(&pair[0]);
    dv_close(&pair[1]);
}

static void channels_clear(channels *c)
{
    dv_close(&c->input);
    close_pair(c->output);
    close_pair(c->said);
    close_pair(c->report);
}
DV_DEFINE_AUTO(channels, channels_clear)

void dv_helper_outcome_clear(dv_helper_outcome *outcome)
{
    dv_buf_clear(&outcome->output);
    dv_buf_clear(&outcome->said);
}

/* --- in the child: async-signal-safe functions only, nothing is allocated ------------------------------------------ */

static void default_signals(void)
{
    struct sigaction usual;
    memset(&usual, 0, sizeof(usual));
    usual.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; number++)
        sigaction(number, &usual, NULL);
}

static void close_from(unsigned first)
{
    if (syscall(SYS_close_range, first, ~0u, 0u) == 0)
        return;
    struct rlimit limit;
    rlim_t end = DESCRIPTORS_MAX;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < end)
        end = limit.rlim_cur;
    for (unsigned fd = first; fd < end; fd++)
        close((int)fd);
}

static void tell(int fd, const report *said)
{
    while (write(fd, said, sizeof(*said)) < 0 && errno == EINTR)
        ;
}

/* The helper has the keeper's session and no signal blocked. What cannot be executed says so itself, before the keeper does. */
static pid_t start_helper(const dv_helper_spec *spec)
{
    pid_t pid = vfork();
    if (pid == 0) {
        sigset_t none;
        sigemptyset(&none);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execve(spec->program, spec->argv, spec->environment);
        const report said = {.exec_errno = errno};
        tell(REPORT_FD, &said);
        _exit(127);
    }
    return pid;
}

static _Noreturn void keep(const dv_helper_spec *spec, const channels *c, pid_t parent)
{
    report said = {0};
    /* All of c is above the standard descriptors and above REPORT_FD. */
    bool ready = prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && setsid() >= 0 &&
                 dup2(c->input, 0) == 0 && dup2(c->output[1], 1) == 1 && dup2(c->said[1], 2) == 2 &&
                 dup3(c->report[1], REPORT_FD, O_CLOEXEC) == REPORT_FD && chdir("/") == 0;
    said.exec_errno = ready ? 0 : errno ? errno : EIO;
    if (ready) {
        default_signals();
        close_from(REPORT_FD + 1);
        pid_t helper = start_helper(spec);
        said.exec_errno = helper < 0 ? errno : 0;
        for (int fd = 0; fd <= 2; fd++)
            close(fd);
        if (helper > 0)
            while (waitpid(helper, &said.wait_status, 0) < 0 && errno == EINTR)
                ;
    }
    tell(ready ? REPORT_FD : c->report[1], &said);
    for (;;)
        pause();
}

/* --- channels ------------------------------------------------------------------------------------------------------ */

/* Above the descriptors that the child gives other meanings to. */
static int lift(int *fd)
{
    if (*fd > REPORT_FD)
        return 0;
    int high = fcntl(*fd, F_DUPFD_CLOEXEC, REPORT_FD + 1);
    if (high < 0)
        return -1;
    close(*fd);
    *fd = high;
    return 0;
}

static int open_pipe(int pair[2])
{
    return pipe2(pair, O_CLOEXEC) == 0 && lift(&pair[0]) == 0 && lift(&pair[1]) == 0 &&
                   fcntl(pair[0], F_SETFL, O_NONBLOCK) == 0
               ? 0
               : -1;
}

/* The whole input in a file without a name: nothing to write while the helper runs, and no SIGPIPE when it does not read. */
static int open_input(const dv_helper_spec *spec, int *out)
{
    *out = memfd_create("input", MFD_CLOEXEC | MFD_NOEXEC_SEAL);
    if (*out < 0 && errno == EINVAL)
        *out = memfd_create("input", MFD_CLOEXEC);
    if (*out < 0 || lift(out) < 0)
        return -1;
    int r = dv_write_all(*out, spec->input, spec->input_size);
    if (r < 0)
        errno = -r;
    return r < 0 || lseek(*out, 0, SEEK_SET) < 0 ? -1 : 0;
}

static int open_channels(const dv_helper_spec *spec, channels *c, davit_error **err)
{
    if (open_input(spec, &c->input) < 0 || open_pipe(c->output) < 0 || open_pipe(c->said) < 0 ||
        open_pipe(c->report) < 0)
        return dv_error_errno(err, errno == ENOMEM ? DAVIT_ENOMEM : DAVIT_EIO, errno, "cannot be started");
    return 0;
}

/* --- the parent ---------------------------------------------------------------------------------------------------- */

/* Start the keeper; signals are blocked over the fork, so that none of our handlers runs in the child. */
static int start_keeper(const dv_helper_spec *spec, channels *c, pid_t *out, davit_error **err)
{
    sigset_t all, before;
    pid_t parent = getpid();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = _Fork();
    if (pid == 0)
        keep(spec, c, parent);
    int failure = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    dv_close(&c->input);
    dv_close(&c->output[1]);
    dv_close(&c->said[1]);
    dv_close(&c->report[1]);
    if (pid < 0)
        return dv_error_errno(err, failure == ENOMEM ? DAVIT_ENOMEM : DAVIT_EIO, failure, "cannot be started");
    *out = pid;
    return 0;
}

/* The keeper is gone when its end of the pipe is closed; then nobody may be killed by its number. */
static bool keeper_is_gone(const channels *c)
{
    char byte;
    return read(c->report[0], &byte, 1) == 0;
}

static void end_keeper(const channels *c, pid_t keeper, bool with_group)
{
    if (!keeper_is_gone(c)) {
        if (with_group)
            kill(-keeper, SIGKILL);
        kill(keeper, SIGKILL);
    }
    while (waitpid(keeper, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* Take what is there. max: more is DAVIT_ETOOBIG; what does not fit into `to` is counted and dropped. */
static int drain(int fd, dv_buf *to, size_t *count, size_t max, davit_error **err)
{
    char chunk[16 << 10];
    int r = 0;
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        *count += (size_t)n;
        if (*count > max) {
            r = dv_error_set(err, DAVIT_ETOOBIG, "says more than %zu bytes", max);
            break;
        }
        size_t room = to->max - to->size;
        dv_buf_append(to, chunk, (size_t)n < room ? (size_t)n : room);
        if (to->failed) {
            r = dv_error_oom(err);
            break;
        }
    }
    explicit_bzero(chunk, sizeof(chunk));
    return r;
}

typedef struct watch {
    const dv_helper_spec *spec;
    const channels *channels;
    uint64_t started_ms;
    size_t output_count, said_count;
} watch;

static int drain_both(watch *w, dv_helper_outcome *out, davit_error **err)
{
    int r = drain(w->channels->output[0], &out->output, &w->output_count, w->spec->output_max, err);
    return r < 0 ? r : drain(w->channels->said[0], &out->said, &w->said_count, w->spec->output_max, err);
}

static int check_limits(const watch *w, int *out_wait_ms, davit_error **err)
{
    uint64_t elapsed = dv_clock_ms() - w->started_ms;
    if (w->spec->cancelled && atomic_load(w->spec->cancelled))
        return dv_error_set(err, DAVIT_ECANCELLED, "cancelled");
    if (elapsed >= w->spec->timeout_ms)
        return w->spec->timeout_ms % 1000
                   ? dv_error_set(err, DAVIT_ETIMEOUT, "no answer within %u ms", w->spec->timeout_ms)
                   : dv_error_set(err, DAVIT_ETIMEOUT, "no answer within %u s", w->spec->timeout_ms / 1000);
    uint64_t left = w->spec->timeout_ms - elapsed;
    *out_wait_ms = left < CANCEL_POLL_MS ? (int)left : CANCEL_POLL_MS;
    return 0;
}

/* Until the keeper has said how the helper ended. */
static int wait_for_end(watch *w, dv_helper_outcome *out, report *said, davit_error **err)
{
    struct pollfd fds[] = {{.fd = w->channels->report[0], .events = POLLIN},
                           {.fd = w->channels->output[0], .events = POLLIN},
                           {.fd = w->channels->said[0], .events = POLLIN}};
    for (;;) {
        int wait_ms = 0;
        int r = check_limits(w, &wait_ms, err);
        if (r < 0)
            return r;
        poll(fds, DV_COUNT(fds), wait_ms);
        ssize_t n = read(w->channels->report[0], said, sizeof(*said));
        if (n == 0)
            return dv_error_set(err, DAVIT_EIO, "its keeper was killed");
        r = drain_both(w, out, err); /* after the report: what the helper wrote is all there then */
        if (r < 0 || n == (ssize_t)sizeof(*said))
            return r;
        for (size_t i = 1; i < DV_COUNT(fds); i++)
            if (fds[i].revents & POLLHUP)
                fds[i].fd = -1; /* closed: it would wake us all the time */
    }
}

static int finish(const report *said, dv_helper_outcome *out, davit_error **err)
{
    if (said->exec_errno)
        return dv_error_errno(err, DAVIT_ECONFIG, said->exec_errno, "cannot be executed");
    out->exit_status = WIFEXITED(said->wait_status) ? WEXITSTATUS(said->wait_status) : -1;
    out->signal = WIFSIGNALED(said->wait_status) ? WTERMSIG(said->wait_status) : 0;
    return 0;
}

int dv_helper_process_run(const dv_helper_spec *spec, dv_helper_outcome *out, davit_error **err)
{
    DV_AUTO(channels) c = CHANNELS_INIT;
    DV_AUTO(dv_helper_outcome)
    made = {.output = {.max = spec->output_max, .secret = true},
            .said = {.max = DV_HELPER_SAID_MAX, .secret = true}};
    watch w = {.spec = spec, .channels = &c, .started_ms = dv_clock_ms()};
    report said;
    pid_t keeper;
    int r = open_channels(spec, &c, err);
    if (r == 0)
        r = start_keeper(spec, &c, &keeper, err);
    if (r < 0)
        return r;
    r = wait_for_end(&w, &made, &said, err);
    end_keeper(&c, keeper, /* with_group= */ r < 0);
    if (r == 0)
        r = finish(&said, &made, err);
    if (r < 0)
        return r;
    *out = made;
    memset(&made, 0, sizeof(made)); /* moved */
    return 0;
}

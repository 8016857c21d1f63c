/* bench/bench_measure.c - runs a command and reports what it cost.
 *
 *     bench_measure FILE COMMAND ARG...
 *
 * Writes "wall_s cpu_s peak_kib" to FILE and exits as the command did. A tiny process of its own,
 * because Linux counts a child's peak memory from what its parent had when it forked: measured from
 * Python, every program would look as fat as Python. */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static double seconds(struct timeval tv)
{
    return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: bench_measure FILE COMMAND ARG...\n");
        return 2;
    }
    pid_t pid = -1;
    double started = now_s();
    int r = posix_spawnp(&pid, argv[2], NULL, NULL, argv + 2, environ);
    if (r != 0) {
        fprintf(stderr, "bench_measure: %s: %s\n", argv[2], strerror(r));
        return 127;
    }
    int status = 0;
    struct rusage used;
    if (wait4(pid, &status, 0, &used) < 0)
        return 127;
    double wall = now_s() - started;

    FILE *report = fopen(argv[1], "w");
    if (!report)
        return 127;
    fprintf(report, "%.6f %.6f %ld\n", wall, seconds(used.ru_utime) + seconds(used.ru_stime), used.ru_maxrss);
    if (fclose(report) != 0)
        return 127;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

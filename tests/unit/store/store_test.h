/* tests/unit/store/store_test.h - a store in a directory of its own, bytes to put in, and children that die. */
#ifndef DV_TEST_STORE_TEST_H
#define DV_TEST_STORE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "davit/descriptor.h"
#include "store/store.h"
#include "util/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define UNUSED __attribute__((unused))

/* In a child there is no cmocka: say what failed and leave. */
#define CHECK(condition)                                                            \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            _exit(99);                                                              \
        }                                                                           \
    } while (0)

#define assert_ok(call) check_ok((call), &err, #call, __FILE__, __LINE__)

UNUSED static void check_ok(int r, davit_error *const *err, const char *what, const char *file, int line)
{
    if (r >= 0)
        return;
    print_error("%s: %s: %s\n", what, davit_code_name(r), davit_error_message(*err));
    _fail(file, line);
}

typedef struct fixture {
    char *dir;  /* of the test */
    char *path; /* of the store, below it */
    dv_store *store;
} fixture;

UNUSED static int set_up(void **state)
{
    fixture *f = calloc(1, sizeof(*f));
    char template[] = "/tmp/davit-store-XXXXXX";
    if (!f || !mkdtemp(template))
        return -1;
    f->dir = strdup(template);
    if (asprintf(&f->path, "%s/store", f->dir) < 0 ||
        dv_store_open(f->path, DV_STORE_CREATE, &f->store, NULL) < 0)
        return -1;
    *state = f;
    return 0;
}

UNUSED static int tear_down(void **state)
{
    fixture *f = *state;
    char *command;
    dv_store_unref(f->store);
    int r = asprintf(&command, "rm -rf '%s'", f->dir) < 0 ? -1 : system(command);
    free(command);
    free(f->dir);
    free(f->path);
    free(f);
    return r == 0 ? 0 : -1;
}

/* A test with a store of its own. */
#define store_test(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* size bytes that look like nothing; free() them. */
UNUSED static char *make_bytes(size_t size, unsigned seed)
{
    char *bytes = malloc(size + 1);
    uint64_t x = 88172645463325252u + seed;
    for (size_t i = 0; bytes && i < size; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        bytes[i] = (char)x;
    }
    return bytes;
}

UNUSED static davit_descriptor describe(const void *bytes, size_t size)
{
    davit_descriptor d = {.media_type = "application/octet-stream", .size = size};
    if (davit_digest_of(DAVIT_SHA256, bytes, size, &d.digest, NULL) < 0)
        abort();
    return d;
}

/* How many entries a folder of the store has; 0 when there is no folder. */
UNUSED static size_t count_files(const fixture *f, const char *folder)
{
    size_t count = 0;
    int fd = openat(dv_store_dirfd(f->store), folder, O_RDONLY | O_DIRECTORY);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        count += entry->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return count;
}

/* What a child said by exiting: its status, or 128 + its signal. */
UNUSED static int wait_for(pid_t child)
{
    int status;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* A child that runs body(f) and dies with its return value as status. Nothing of the parent's store may be used in it. */
UNUSED static pid_t spawn(const fixture *f, int (*body)(const fixture *f))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(body(f));
    return child;
}

/*
 * In a child: a file system of its own on dir, of this size. False where that is not allowed; the test is skipped then.
 * Status 77 says so to the parent.
 */
UNUSED static bool mount_private(const char *dir, const char *options)
{
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("none", dir, "tmpfs", 0, options) == 0;
}

UNUSED static void expect_child(pid_t child)
{
    int status = wait_for(child);
    if (status == 77) {
        print_message("this needs the right to mount a file system\n");
        skip();
    }
    assert_int_equal(status, 0);
}

#endif

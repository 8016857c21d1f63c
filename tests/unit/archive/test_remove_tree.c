/* Unit tests of archive/remove_tree.c. */
#include "archive/remove_tree.h"
#include "archive/staging.h"
#include "util/file.h"
#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static int dir;
static char dir_name[] = "test-remove-XXXXXX";

static int enter(void **state)
{
    strcpy(dir_name, "test-remove-XXXXXX");
    dir = mkdtemp(dir_name) ? open(dir_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    return dir < 0 ? -1 : fchmod(dir, 0777);
}

static int leave(void **state)
{
    close(dir);
    return rmdir(dir_name);
}

static void put(const char *path)
{
    DV_AUTOCLOSE fd = openat(dir, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
}

static bool is_there(const char *path)
{
    struct stat st;
    return fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void remove_tree__everything_and_nothing_beside(void **state)
{
    assert_int_equal(mkdirat(dir, "t", 0700), 0);
    assert_int_equal(mkdirat(dir, "t/d", 0000), 0);
    assert_int_equal(mkdirat(dir, "kept", 0700), 0);
    put("t/d/f");
    put("t/f");
    put("kept/f");
    assert_int_equal(symlinkat("../kept", dir, "t/l"), 0);
    assert_int_equal(symlinkat("../../kept/f", dir, "t/d/l"), 0);
    assert_int_equal(mkfifoat(dir, "t/d/p", 0600), 0);
    assert_int_equal(symlinkat("kept", dir, "l"), 0);
    assert_int_equal(dv_remove_tree(dir, "t", NULL), 0);
    assert_false(is_there("t"));
    assert_int_equal(dv_remove_tree(dir, "l", NULL), 0);
    assert_false(is_there("l"));
    assert_true(is_there("kept/f"));
    assert_int_equal(dv_remove_tree(dir, "none", NULL), 0);
    assert_int_equal(dv_remove_tree(dir, "kept", NULL), 0);
}

/* Deeper than a path may be long, with few descriptors; then wide. */
static void make_deep(unsigned depth)
{
    int at = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < depth; i++) {
        assert_int_equal(mkdirat(at, "dddddddd", 0700), 0);
        int next = openat(at, "dddddddd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(at);
        at = next;
    }
    close(at);
}

static void remove_tree__any_depth_with_few_descriptors(void **state)
{
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    make_deep(3000);
    assert_int_equal(dv_remove_tree(dir, "dddddddd", NULL), 0);
    make_deep(300);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &(struct rlimit){16, before.rlim_max}), 0);
    int r = dv_remove_tree(dir, "dddddddd", NULL);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(r, 0);
    assert_false(is_there("dddddddd"));
}

static void remove_tree__more_directories_than_one_batch(void **state)
{
    char name[300];
    assert_int_equal(mkdirat(dir, "w", 0700), 0);
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "w/%0100u", i);
        assert_int_equal(mkdirat(dir, name, 0700), 0);
        strcat(name, "/f");
        put(name);
    }
    assert_int_equal(dv_remove_tree(dir, "w", NULL), 0);
    assert_false(is_there("w"));
}

static void remove_tree__directories_that_are_closed_to_their_owner(void **state)
{
    if (geteuid() != 0)
        skip();
    pid_t child = fork();
    if (child == 0) {
        bool fine = setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0;
        fine = fine && mkdirat(dir, "t", 0700) == 0 && mkdirat(dir, "t/a", 0700) == 0 &&
               mkdirat(dir, "t/a/b", 0000) == 0;
        fine = fine && fchmodat(dir, "t/a", 0100, 0) == 0 && fchmodat(dir, "t", 0500, 0) == 0;
        _exit(fine && dv_remove_tree(dir, "t", NULL) == 0 && !is_there("t") ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void remove_tree__does_not_enter_a_mount(void **state)
{
    pid_t child = fork();
    if (child == 0) {
        DV_AUTOPTR(davit_error) err = NULL;
        char path[64];
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
            _exit(0);                                             /* not allowed here */
        dir = open(dir_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* as this mount namespace has it */
        bool fine = mkdirat(dir, "t", 0700) == 0 && mkdirat(dir, "t/m", 0700) == 0 &&
                    mkdirat(dir, "source", 0700) == 0;
        put("source/f");
        snprintf(path, sizeof(path), "%s/source", dir_name);
        char to[64];
        snprintf(to, sizeof(to), "%s/t/m", dir_name);
        /* A bind mount has the same device. */
        fine = fine && mount(path, to, NULL, MS_BIND, NULL) == 0;
        fine = fine && dv_remove_tree(dir, "t", &err) == DAVIT_EIO &&
               strstr(davit_error_message(err), "something is mounted there");
        _exit(fine && is_there("source/f") ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(dv_remove_tree(dir, "t", NULL), 0);
    assert_int_equal(dv_remove_tree(dir, "source", NULL), 0);
}

/* --- with something that stays ------------------------------------------------------------- */

static bool keeps_entry(void *user, uint64_t directory, const char *name)
{
    return dv_str_starts(name, "keep");
}

static bool keeps_all(void *user, uint64_t directory)
{
    return directory == *(const uint64_t *)user;
}

static void tree_remove__what_stays_keeps_its_way_and_its_times(void **state)
{
    static const char *const directories[] = {"t", "t/a", "t/a/b", "t/c", "t/keep-d", "t/whole", "t/whole/x"};
    static const char *const files[] = {"t/f",        "t/a/f",     "t/a/b/keep-f", "t/c/f",
                                        "t/keep-d/f", "t/whole/f", "t/whole/x/f"};
    struct stat st;
    for (size_t i = 0; i < DV_COUNT(directories); i++)
        assert_int_equal(mkdirat(dir, directories[i], 0700), 0);
    for (size_t i = 0; i < DV_COUNT(files); i++)
        put(files[i]);
    const struct timespec times[2] = {{.tv_sec = 5}, {.tv_sec = 6}};
    assert_int_equal(utimensat(dir, "t/a", times, 0), 0);
    assert_int_equal(fstatat(dir, "t/whole", &st, 0), 0);
    uint64_t whole = st.st_ino;
    const dv_tree_keep keep = {.user = &whole, .keeps_entry = keeps_entry, .keeps_all = keeps_all};
    assert_int_equal(dv_tree_remove(dir, "t", &keep, NULL), 0);
    assert_true(is_there("t/a/b/keep-f") && is_there("t/keep-d") && is_there("t/whole/f") &&
                is_there("t/whole/x/f"));
    assert_false(is_there("t/f") || is_there("t/a/f") || is_there("t/c") || is_there("t/keep-d/f"));
    assert_int_equal(fstatat(dir, "t/a", &st, 0), 0);
    assert_int_equal(st.st_mtim.tv_sec, 6);
    DV_AUTOCLOSE fd = openat(dir, "t", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(dv_tree_empty(fd, &keep, NULL), 0);
    assert_true(is_there("t/a/b/keep-f"));
    assert_int_equal(dv_tree_empty(fd, NULL, NULL), 0);
    assert_false(is_there("t/a"));
    assert_int_equal(dv_remove_tree(dir, "t", NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(remove_tree__everything_and_nothing_beside, enter, leave),
        cmocka_unit_test_setup_teardown(remove_tree__any_depth_with_few_descriptors, enter, leave),
        cmocka_unit_test_setup_teardown(remove_tree__more_directories_than_one_batch, enter, leave),
        cmocka_unit_test_setup_teardown(remove_tree__directories_that_are_closed_to_their_owner, enter, leave),
        cmocka_unit_test_setup_teardown(remove_tree__does_not_enter_a_mount, enter, leave),
        cmocka_unit_test_setup_teardown(tree_remove__what_stays_keeps_its_way_and_its_times, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of auth/config_write.c: modes, links, locks, and files that are left alone. */
#include "auth/config_write.h"

#include "auth/auth_config.h"
#include "auth/config_file.h"
#include "util/file.h"
#include "util/log.h"
#include "util/str.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define WRITERS 8

static const davit_auth_config up = {.username = (char *)"u", .password = (char *)"p"};
static char folder[64];

static int set_up(void **state)
{
    snprintf(folder, sizeof(folder), "/tmp/davit-write-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static int tear_down(void **state)
{
    return nftw(folder, remove_entry, 10, FTW_DEPTH | FTW_PHYS);
}

/* Good until the fourth call from here. */
static const char *below(const char *name)
{
    static char paths[4][300];
    static unsigned n;
    char *path = paths[n++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text, mode_t mode)
{
    assert_int_equal(dv_file_replace(AT_FDCWD, below(name), text, strlen(text), mode, NULL), 0);
}

static void assert_file(const char *name, const char *expected, mode_t mode)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(1 << 20);
    struct stat st;
    assert_int_equal(dv_file_read(AT_FDCWD, below(name), 1 << 20, &text, NULL), 0);
    assert_string_equal(dv_buf_text(&text), expected);
    assert_int_equal(stat(below(name), &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

/* Nothing but these is in the folder. */
static void assert_only(int count)
{
    char command[200];
    snprintf(command, sizeof(command), "test $(ls -A %s | wc -l) -eq %d", folder, count);
    assert_int_equal(system(command), 0);
}

#define ONE "{\n\t\"auths\": {\n\t\t\"h\": {\n\t\t\t\"auth\": \"dTpw\"\n\t\t}\n\t}\n}"

static void config_write__a_new_file_is_for_its_owner_only(void **state)
{
    struct stat st;
    mode_t before = umask(0);
    assert_int_equal(dv_config_write_entry(below("a/b/config.json"), "h", &up, NULL, NULL), 0);
    umask(before);
    assert_file("a/b/config.json", ONE, 0600);
    assert_int_equal(stat(below("a/b"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(dv_config_write_removal(below("a/b/config.json"), "h", NULL, NULL), 1);
    assert_file("a/b/config.json", "{\n\t\"auths\": {}\n}", 0600);
    assert_int_equal(dv_config_write_removal(below("a/b/config.json"), "h", NULL, NULL), 0);
}

static int warnings;

static void count_line(davit_log_level level, const char *line, void *user_data)
{
    warnings++;
}

static void config_write__mode_and_owner_are_kept(void **state)
{
    struct stat st;
    put("c", "", 0640);
    bool root = geteuid() == 0;
    if (root)
        assert_int_equal(chown(below("c"), 1234, 4321), 0);
    warnings = 0;
    davit_log_set(count_line, DAVIT_LOG_WARNING, NULL);
    assert_int_equal(dv_config_write_entry(below("c"), "h", &up, NULL, NULL), 0);
    davit_log_set(NULL, DAVIT_LOG_ERROR, NULL);
    assert_int_equal(warnings, 1);
    assert_file("c", ONE, 0640);
    assert_int_equal(stat(below("c"), &st), 0);
    if (root) {
        assert_int_equal(st.st_uid, 1234);
        assert_int_equal(st.st_gid, 4321);
    }
    put("c", "", 0400);
    assert_int_equal(dv_config_write_entry(below("c"), "h", &up, NULL, NULL), 0);
    assert_file("c", ONE, 0400);
    assert_only(1);
}

static void config_write__links_are_followed(void **state)
{
    struct stat st;
    mkdir(below("real"), 0700);
    put("real/c", "{\"x\":1}", 0600);
    assert_int_equal(symlink("real/second", below("first")), 0);
    assert_int_equal(symlink("c", below("real/second")), 0);
    assert_int_equal(dv_config_write_entry(below("first"), "h", &up, NULL, NULL), 0);
    assert_int_equal(lstat(below("first"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_file("real/c", "{\"x\":1,\"auths\":{\"h\":{\"auth\":\"dTpw\"}}}", 0600);
    assert_int_equal(symlink("real/new", below("dangling")), 0);
    assert_int_equal(dv_config_write_entry(below("dangling"), "h", &up, NULL, NULL), 0);
    assert_file("real/new", ONE, 0600);
    assert_int_equal(symlink("loop", below("loop")), 0);
    assert_int_equal(dv_config_write_entry(below("loop"), "h", &up, NULL, NULL), DAVIT_EIO);
    assert_only(4);
}

static void config_write__what_is_no_config_is_left_alone(void **state)
{
    static const char *const texts[] = {"{\"auths\":{",
                                        "[]",
                                        "x",
                                        "{\"auths\":5}",
                                        "{\"auths\":{\"a\":5}}",
                                        "{\"auths\":{\"a\":{\"auth\":\"!\"}}}",
                                        "{\"auths\":{},\"auths\":{}}",
                                        "{\"credsStore\":1}",
                                        "{\"AUTHS\":{}}"};
    for (size_t i = 0; i < DV_COUNT(texts); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        put("c", texts[i], 0600);
        assert_int_equal(dv_config_write_entry(below("c"), "h", &up, NULL, &err), DAVIT_ECONFIG);
        assert_true(dv_str_starts(davit_error_message(err), below("c")));
        assert_int_equal(dv_config_write_removal(below("c"), "h", NULL, NULL), DAVIT_ECONFIG);
        assert_file("c", texts[i], 0600);
    }
    assert_int_equal(dv_config_write_entry(folder, "h", &up, NULL, NULL), DAVIT_ECONFIG);
    assert_only(1);
}

static void config_write__a_refused_entry_changes_nothing(void **state)
{
    const davit_auth_config bad = {.username = (char *)"a:b", .password = (char *)"p"};
    put("c", ONE, 0600);
    assert_int_equal(dv_config_write_entry(below("c"), "h", &bad, NULL, NULL), DAVIT_EINVAL);
    assert_file("c", ONE, 0600);
}

static void config_write__removal_makes_no_file(void **state)
{
    assert_int_equal(dv_config_write_removal(below("d/c"), "h", NULL, NULL), 0);
    assert_only(0);
}

static void config_write__email_survives_a_new_password(void **state)
{
    put("c", "{\"auths\":{\"h\":{\"auth\":\"eDp5\",\"email\":\"e@x\"}}}", 0600);
    assert_int_equal(dv_config_write_entry(below("c"), "h", &up, NULL, NULL), 0);
    assert_file("c", "{\"auths\":{\"h\":{\"auth\":\"dTpw\",\"email\":\"e@x\"}}}", 0600);
    /* what a helper keeps is not in the file */
    assert_int_equal(dv_config_write_entry(below("c"), "h", NULL, NULL, NULL), 0);
    assert_file("c", "{\"auths\":{\"h\":{\"email\":\"e@x\"}}}", 0600);
}

static void config_write__leftovers_of_a_killed_one_do_no_harm(void **state)
{
    put("c.davit-new", "half of it", 0644);
    put("c.davit-lock", "", 0600);
    assert_int_equal(dv_config_write_entry(below("c"), "h", &up, NULL, NULL), 0);
    assert_file("c", ONE, 0600);
    assert_only(1);
}

static void config_write__the_lock_can_be_cancelled(void **state)
{
    atomic_bool cancelled = true;
    put("c.davit-lock", "", 0600);
    DV_AUTOCLOSE fd = open(below("c.davit-lock"), O_RDWR);
    assert_int_equal(dv_try_lock(fd), 1);
    assert_int_equal(dv_config_write_entry(below("c"), "h", &up, &cancelled, NULL), DAVIT_ECANCELLED);
    assert_int_not_equal(access(below("c"), F_OK), 0);
}

static void *write_some(void *number)
{
    for (int i = 0; i < 5; i++) {
        char domain[40];
        snprintf(domain, sizeof(domain), "h%ld-%d", (long)number, i);
        if (dv_config_write_entry(below("c"), domain, &up, NULL, NULL) < 0)
            return (void *)1;
    }
    return NULL;
}

static void config_write__no_entry_is_lost(void **state)
{
    pid_t pids[WRITERS];
    for (long i = 0; i < WRITERS; i++)
        if ((pids[i] = fork()) == 0)
            _exit(write_some((void *)i) ? 1 : 0);
    for (int i = 0; i < WRITERS; i++) {
        int status;
        waitpid(pids[i], &status, 0);
        assert_int_equal(status, 0);
    }
    DV_AUTOPTR(dv_config_file) f = NULL;
    assert_int_equal(dv_config_file_load(below("c"), &f, NULL), 0);
    for (int i = 0; i < WRITERS * 5; i++) {
        char domain[40];
        snprintf(domain, sizeof(domain), "h%d-%d", i / 5, i % 5);
        assert_non_null(dv_config_file_find(f, domain, NULL));
    }
    assert_only(1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(config_write__a_new_file_is_for_its_owner_only),
        TEST(config_write__mode_and_owner_are_kept),
        TEST(config_write__links_are_followed),
        TEST(config_write__what_is_no_config_is_left_alone),
        TEST(config_write__a_refused_entry_changes_nothing),
        TEST(config_write__removal_makes_no_file),
        TEST(config_write__email_survives_a_new_password),
        TEST(config_write__leftovers_of_a_killed_one_do_no_harm),
        TEST(config_write__the_lock_can_be_cancelled),
        TEST(config_write__no_entry_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A file that appears whole or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/file_target.h"
#include "util/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static char folder[64];
static char path[128];

static int make_folder(void **state)
{
    snprintf(folder, sizeof(folder), "/tmp/davit-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/file", folder);
    return 0;
}

static int remove_folder(void **state)
{
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    return rmdir(folder);
}

static size_t count_files(void)
{
    size_t n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; (e = readdir(d));)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static void assert_content(const char *expected)
{
    DV_AUTO(dv_buf) got = DV_BUF_INIT(100);
    assert_int_equal(dv_file_read(AT_FDCWD, path, 100, &got, NULL), 0);
    assert_string_equal(dv_buf_text(&got), expected);
}

static void put(const char *text, bool commit)
{
    DV_AUTO(dv_file_target) t = DV_FILE_TARGET_INIT;
    assert_int_equal(dv_file_target_open(&t, path, 0640, NULL), 0);
    assert_int_equal(dv_file_target_write(&t, text, strlen(text), NULL), 0);
    if (commit)
        assert_int_equal(dv_file_target_commit(&t, NULL), 0);
}

static void file_target__is_there_after_commit_only(void **state)
{
    struct stat st;
    put("one", /* commit= */ false);
    assert_int_equal(count_files(), 0);
    put("one", /* commit= */ true);
    assert_content("one");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0640);
    put("two", /* commit= */ false);
    assert_content("one");
    put("two", /* commit= */ true);
    assert_content("two");
    assert_int_equal(count_files(), 1);
}

static void file_target__a_link_stays_a_link(void **state)
{
    struct stat st;
    char link[160];
    snprintf(link, sizeof(link), "%s/link", folder);
    put("one", /* commit= */ true);
    assert_int_equal(symlink("file", link), 0);
    DV_AUTO(dv_file_target) t = DV_FILE_TARGET_INIT;
    assert_int_equal(dv_file_target_open(&t, link, 0600, NULL), 0);
    assert_int_equal(dv_file_target_write(&t, "two", 3, NULL), 0);
    assert_int_equal(dv_file_target_commit(&t, NULL), 0);
    assert_content("two");
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
}

static void file_target__what_is_no_file_is_written_directly(void **state)
{
    struct stat before, after;
    assert_int_equal(stat("/dev/null", &before), 0);
    DV_AUTO(dv_file_target) t = DV_FILE_TARGET_INIT;
    assert_int_equal(dv_file_target_open(&t, "/dev/null", 0600, NULL), 0);
    assert_null(t.temporary);
    assert_int_equal(dv_file_target_write(&t, "x", 1, NULL), 0);
    assert_int_equal(dv_file_target_commit(&t, NULL), 0);
    assert_int_equal(stat("/dev/null", &after), 0);
    assert_true(S_ISCHR(after.st_mode));
    assert_int_equal(before.st_mode, after.st_mode);
}

static void file_target__a_missing_folder_is_an_error(void **state)
{
    DV_AUTOPTR(davit_error) err = NULL;
    dv_file_target t = DV_FILE_TARGET_INIT;
    char deep[200];
    snprintf(deep, sizeof(deep), "%s/no/file", folder);
    assert_int_equal(dv_file_target_open(&t, deep, 0600, &err), DAVIT_EIO);
    assert_non_null(strstr(davit_error_message(err), deep));
    assert_int_equal(t.fd, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(file_target__is_there_after_commit_only, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(file_target__a_link_stays_a_link, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(file_target__what_is_no_file_is_written_directly, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(file_target__a_missing_folder_is_an_error, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of util/file.c. */
#include "util/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <cmocka.h>

/* A new directory below the working directory, empty again at the end of each test. */
static int dir;
static char dir_name[] = "test-file-XXXXXX";

static int enter(void **state)
{
    strcpy(dir_name, "test-file-XXXXXX");
    dir = mkdtemp(dir_name) ? open(dir_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    return dir < 0 ? -1 : 0;
}

static int leave(void **state)
{
    close(dir);
    return rmdir(dir_name);
}

static void file_replace__content_mode_and_no_leftovers(void **state)
{
    DV_AUTO(dv_buf) b = DV_BUF_INIT(1000);
    struct stat st;
    assert_int_equal(dv_file_replace(dir, "f", "one", 3, 0600, NULL), 0);
    assert_int_equal(dv_file_replace(dir, "f", "second", 6, 0644, NULL), 0);
    assert_int_equal(dv_file_read(dir, "f", 6, &b, NULL), 0);
    assert_string_equal(dv_buf_text(&b), "second");
    assert_int_equal(fstatat(dir, "f", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    DV_AUTOPTR(davit_error) err = NULL;
    assert_int_equal(dv_file_replace(dir, "no/f", "x", 1, 0600, &err), DAVIT_EIO);
    assert_non_null(strstr(davit_error_message(err), "cannot write no/f"));
    unlinkat(dir, "f", 0); /* leave() fails if anything else is there */
}

static void file_read__what_cannot_be_read(void **state)
{
    DV_AUTO(dv_buf) b = DV_BUF_INIT(1000);
    DV_AUTOPTR(davit_error) err = NULL;
    assert_int_equal(dv_file_read(dir, "missing", 10, &b, &err), DAVIT_ENOTFOUND);
    assert_int_equal(dv_file_read(dir, "missing/x", 10, &b, NULL), DAVIT_ENOTFOUND);
    assert_int_equal(dv_file_read(dir, ".", 10, &b, &err), DAVIT_EIO);
    assert_int_equal(dv_file_replace(dir, "f", "12345", 5, 0600, NULL), 0);
    assert_int_equal(dv_file_read(dir, "f", 4, &b, &err), DAVIT_ETOOBIG);
    assert_int_equal(dv_file_read(dir, "f", 5, &b, NULL), 0);
    assert_int_equal(b.size, 5);
    unlinkat(dir, "f", 0);
    assert_int_equal(mkfifoat(dir, "fifo", 0600), 0);
    assert_int_equal(dv_file_read(dir, "fifo", 10, &b, &err), DAVIT_EIO); /* and does not hang */
    unlinkat(dir, "fifo", 0);
}

static void file_writes__whole_and_at_their_place(void **state)
{
    DV_AUTOCLOSE fd = openat(dir, "f", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    char got[16];
    assert_int_equal(dv_write_all(fd, "abcdef", 6), 0);
    assert_int_equal(dv_pwrite_all(fd, "XY", 2, 2), 0);
    assert_int_equal(dv_pread_all(fd, got, sizeof(got), 1), 5);
    assert_memory_equal(got, "bXYef", 5);
    assert_int_equal(dv_pread_all(fd, got, 2, 100), 0);
    assert_int_equal(dv_pread_all(-1, got, 2, 0), -EBADF);
    assert_int_equal(dv_write_all(-1, "a", 1), -EBADF);
    assert_int_equal(dv_write_all(-1, "", 0), 0);
    assert_int_equal(dv_pwrite_all(-1, "a", 1, 0), -EBADF);
    unlinkat(dir, "f", 0);
}

static void make_directories__all_that_are_missing(void **state)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(1000);
    dv_buf_printf(&path, "%s/a/b//c/", dir_name);
    assert_int_equal(dv_make_directories(dv_buf_text(&path), 0700, NULL), 0);
    assert_int_equal(dv_make_directories(dv_buf_text(&path), 0700, NULL), 0);
    assert_int_equal(unlinkat(dir, "a/b/c", AT_REMOVEDIR), 0);
    assert_int_equal(unlinkat(dir, "a/b", AT_REMOVEDIR), 0);
    assert_int_equal(unlinkat(dir, "a", AT_REMOVEDIR), 0);
    DV_AUTOPTR(davit_error) err = NULL;
    assert_int_equal(dv_file_replace(dir, "f", "", 0, 0600, NULL), 0);
    dv_buf_reset(&path);
    dv_buf_printf(&path, "%s/f/x", dir_name);
    assert_int_equal(dv_make_directories(dv_buf_text(&path), 0700, &err), DAVIT_EIO);
    unlinkat(dir, "f", 0);
}

static void lock__belongs_to_the_open_file(void **state)
{
    DV_AUTOCLOSE a = openat(dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    DV_AUTOCLOSE b = openat(dir, "lock", O_RDWR | O_CLOEXEC);
    assert_int_equal(dv_try_lock(a), 1);
    assert_int_equal(dv_try_lock(a), 1);
    assert_int_equal(dv_try_lock(b), 0);
    assert_int_equal(dv_try_lock_shared(b), 0);
    assert_int_equal(dv_try_lock_shared(a), 1);
    assert_int_equal(dv_try_lock_shared(b), 1);
    assert_int_equal(dv_try_lock(b), 0);
    dv_close(&a);
    assert_int_equal(a, -1);
    assert_int_equal(dv_lock_wait(b, /* exclusive= */ true), 0);
    assert_true(dv_try_lock(-1) < 0);
    unlinkat(dir, "lock", 0);
}

static void file_room__leaves_a_reserve(void **state)
{
    struct statvfs fs;
    uint64_t reserve;
    DV_AUTOCLOSE fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(fstatvfs(fd, &fs), 0);
    uint64_t room = dv_file_room(fd, &reserve);
    uint64_t size = (uint64_t)fs.f_blocks * fs.f_frsize;
    assert_true(reserve > 0 && reserve <= 32u << 20 && reserve <= size / 100);
    assert_true(room <= size - reserve);
    assert_int_equal(dv_file_room(-1, &reserve), UINT64_MAX);
}

static void room_take__asks_now_and_then_and_stops(void **state)
{
    DV_AUTOCLOSE fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    dv_room room = {0};
    assert_true(dv_room_take(&room, fd, 1));
    uint64_t granted = room.granted;
    assert_true(granted > 0 && granted <= 8u << 20);
    assert_true(dv_room_take(&room, /* not asked= */ -1, granted));
    assert_int_equal(room.granted, 0);
    assert_false(dv_room_take(&room, fd, UINT64_MAX / 2));
    assert_true(dv_room_take(&room, /* cannot say= */ -1, UINT64_MAX / 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(file_replace__content_mode_and_no_leftovers, enter, leave),
        cmocka_unit_test_setup_teardown(file_read__what_cannot_be_read, enter, leave),
        cmocka_unit_test_setup_teardown(file_writes__whole_and_at_their_place, enter, leave),
        cmocka_unit_test_setup_teardown(make_directories__all_that_are_missing, enter, leave),
        cmocka_unit_test_setup_teardown(lock__belongs_to_the_open_file, enter, leave),
        cmocka_unit_test_setup_teardown(file_room__leaves_a_reserve, enter, leave),
        cmocka_unit_test_setup_teardown(room_take__asks_now_and_then_and_stops, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of archive/staging.c and archive/staging_mount.c: a tree appears whole or not at all (DESIGN 7). */
#include "archive/staging.h"
#include "archive/staging_mount.h"
#include "util/buf.h"
#include "util/file.h"
#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/xattr.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

static int dir;
static char dir_name[] = "test-staging-XXXXXX";
static char target[128]; /* dir_name/target */

static int enter(void **state)
{
    strcpy(dir_name, "test-staging-XXXXXX");
    umask(022);
    dir = mkdtemp(dir_name) ? open(dir_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    snprintf(target, sizeof(target), "%s/target", dir_name);
    return dir < 0 ? -1 : 0;
}

static int leave(void **state)
{
    close(dir);
    return dv_remove_tree(AT_FDCWD, dir_name, NULL);
}

/* Names in the directory, without "." and "..", each with a space behind; staging directories as "~". */
static const char *names(int fd)
{
    static char text[1024];
    struct dirent **list;
    int count = scandirat(fd, ".", &list, NULL, alphasort);
    text[0] = '\0';
    for (int i = 0; i < count; i++) {
        if (dv_str_starts(list[i]->d_name, ".davit-"))
            strcat(text, "~ ");
        else if (list[i]->d_name[0] != '.')
            strcat(strcat(text, list[i]->d_name), " ");
        free(list[i]);
    }
    free(list);
    return text;
}

static void put(int fd, const char *name, const char *content)
{
    assert_int_equal(dv_file_replace(fd, name, content, strlen(content), 0644, NULL), 0);
}

static void expect(const char *path, const char *content)
{
    DV_AUTO(dv_buf) got = DV_BUF_INIT(1000);
    assert_int_equal(dv_file_read(dir, path, 1000, &got, NULL), 0);
    assert_string_equal(dv_buf_text(&got), content);
}

static void fill_and_commit(const char *where, unsigned flags, const char *content)
{
    dv_staging *s;
    DV_AUTOPTR(davit_error) err = NULL;
    if (dv_staging_open(where, flags, &s, &err) < 0)
        fail_msg("%s", davit_error_message(err));
    put(dv_staging_fd(s), "f", content);
    if (dv_staging_commit(s, &err) < 0)
        fail_msg("%s", davit_error_message(err));
}

static void expect_refused(const char *where, unsigned flags, int code, const char *part)
{
    dv_staging *s;
    DV_AUTOPTR(davit_error) err = NULL;
    int r = dv_staging_open(where, flags, &s, &err);
    if (r != code || !strstr(davit_error_message(err), part))
        fail_msg("%s: %d %s", where, r, davit_error_message(err));
}

static void staging__absent_target_appears_at_commit(void **state)
{
    dv_staging *s;
    struct stat st;
    assert_int_equal(dv_staging_open(target, 0, &s, NULL), 0);
    assert_string_equal(names(dir), "~ ");
    assert_int_equal(fstat(dv_staging_fd(s), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    put(dv_staging_fd(s), "f", "1");
    assert_int_equal(mkdirat(dv_staging_fd(s), "d", 0700), 0);
    const struct timespec times[2] = {{.tv_sec = 5}, {.tv_sec = 6}};
    assert_int_equal(futimens(dv_staging_fd(s), times), 0);
    dv_staging_set_mode(s, 01751);
    assert_int_equal(dv_staging_commit(s, NULL), 0);
    assert_string_equal(names(dir), "target ");
    assert_int_equal(fstatat(dir, "target", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 01751);
    assert_int_equal(st.st_mtim.tv_sec, 6);
    expect("target/f", "1");
}

static void staging__empty_target_is_replaced(void **state)
{
    struct stat st;
    char with_slashes[160];
    assert_int_equal(mkdirat(dir, "target", 0711), 0);
    snprintf(with_slashes, sizeof(with_slashes), "%s///", target);
    fill_and_commit(with_slashes, 0, "1");
    assert_int_equal(fstatat(dir, "target", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_string_equal(names(dir), "target ");
    expect("target/f", "1");
}

static void staging__dot_is_the_directory_it_is(void **state)
{
    assert_int_equal(mkdirat(dir, "target", 0755), 0);
    int before = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(chdir(target), 0);
    fill_and_commit(".", 0, "1");
    assert_int_equal(fchdir(before), 0);
    close(before);
    expect("target/f", "1");
}

static void staging__what_is_refused(void **state)
{
    char path[200];
    put(dir, "file", "x");
    assert_int_equal(mkdirat(dir, "full", 0755), 0);
    put(dir, "full/f", "x");
    assert_int_equal(mkdirat(dir, "empty", 0755), 0);
    assert_int_equal(symlinkat("empty", dir, "link"), 0);
    assert_int_equal(symlinkat("none", dir, "dangling"), 0);
    static const struct {
        const char *name;
        unsigned flags;
        int code;
        const char *part;
    } rows[] = {
        {"file", 0, DAVIT_EEXIST, "is not a directory"},
        {"file", DV_STAGING_FORCE, DAVIT_EEXIST, "is not a directory"},
        {"full", 0, DAVIT_EEXIST, "is not empty; --force replaces it"},
        {"link", 0, DAVIT_EEXIST, "is a symbolic link"},
        {"link", DV_STAGING_FORCE, DAVIT_EEXIST, "is a symbolic link"},
        {"dangling", 0, DAVIT_EEXIST, "is a symbolic link"},
        {"no/such/dir", 0, DAVIT_EIO, "there is no directory"},
        {"file/x", 0, DAVIT_EIO, "is not a directory"},
        {"full/.", 0, DAVIT_EEXIST, "is not empty"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        snprintf(path, sizeof(path), "%s/%s", dir_name, rows[i].name);
        expect_refused(path, rows[i].flags, rows[i].code, rows[i].part);
    }
    expect_refused("", 0, DAVIT_EINVAL, "no directory");
    expect_refused("/", 0, DAVIT_EEXIST, "is not empty");
    assert_string_equal(names(dir), "dangling empty file full link ");
}

static void staging__abort_leaves_nothing(void **state)
{
    dv_staging *s;
    assert_int_equal(dv_staging_open(target, 0, &s, NULL), 0);
    put(dv_staging_fd(s), "f", "1");
    assert_int_equal(mkdirat(dv_staging_fd(s), "d", 0), 0);
    dv_staging_abort(s);
    dv_staging_abort(NULL);
    assert_string_equal(names(dir), "");
}

static void force__exchanges_and_removes_the_old_tree(void **state)
{
    dv_staging *s;
    fill_and_commit(target, 0, "old");
    assert_int_equal(mkdirat(dir, "target/deep", 0755), 0);
    put(dir, "target/deep/f", "old");
    assert_int_equal(dv_staging_open(target, DV_STAGING_FORCE, &s, NULL), 0);
    put(dv_staging_fd(s), "f", "new");
    expect("target/f", "old"); /* until the end */
    assert_int_equal(dv_staging_commit(s, NULL), 0);
    expect("target/f", "new");
    assert_string_equal(names(dir), "target ");
    assert_int_equal(dv_staging_open(target, DV_STAGING_FORCE, &s, NULL), 0);
    dv_staging_abort(s);
    expect("target/f", "new");
}

static void force__absent_and_empty_are_as_without(void **state)
{
    fill_and_commit(target, DV_STAGING_FORCE, "1");
    expect("target/f", "1");
    assert_int_equal(unlinkat(dir, "target/f", 0), 0);
    fill_and_commit(target, DV_STAGING_FORCE, "2");
    expect("target/f", "2");
    assert_string_equal(names(dir), "target ");
}

static void commit__what_somebody_else_put_there_stays(void **state)
{
    dv_staging *s;
    DV_AUTOPTR(davit_error) err = NULL;
    assert_int_equal(dv_staging_open(target, 0, &s, NULL), 0);
    assert_int_equal(mkdirat(dir, "target", 0755), 0);
    put(dir, "target/theirs", "x");
    assert_int_equal(dv_staging_commit(s, &err), DAVIT_EEXIST);
    assert_non_null(strstr(davit_error_message(err), "meanwhile"));
    expect("target/theirs", "x");
    assert_string_equal(names(dir), "target ");
    davit_error_free(DV_STEAL(err));
    assert_int_equal(unlinkat(dir, "target/theirs", 0), 0);
    assert_int_equal(unlinkat(dir, "target", AT_REMOVEDIR), 0);
    assert_int_equal(dv_staging_open(target, 0, &s, NULL), 0);
    put(dir, "target", "a file");
    assert_int_equal(dv_staging_commit(s, &err), DAVIT_EEXIST);
    expect("target", "a file");
}

static void leftovers__of_dead_owners_go_of_living_ones_stay(void **state)
{
    int ready[2];
    char c;
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        dv_staging *s;
        if (dv_staging_open(target, 0, &s, NULL) < 0)
            _exit(1);
        put(dv_staging_fd(s), "f", "1");
        assert_int_equal(write(ready[1], "x", 1), 1);
        pause();
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    close(ready[0]);
    close(ready[1]);
    assert_int_equal(mkdirat(dir, ".davit-0123456789abcdef", 0700), 0); /* nobody's */
    assert_int_equal(mkdirat(dir, ".davit-mine", 0700), 0);             /* no name of ours */
    dv_staging *s;
    assert_int_equal(dv_staging_open(target, 0, &s, NULL), 0);
    assert_string_equal(names(dir), "~ ~ ~ "); /* the child's, ours, and the one that only looks so */
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    dv_staging_abort(s);
    fill_and_commit(target, 0, "2");
    assert_string_equal(names(dir), "~ target ");
    assert_int_equal(unlinkat(dir, ".davit-mine", AT_REMOVEDIR), 0);
}

static void staging__does_not_take_the_group_of_the_directory_above(void **state)
{
    struct stat st;
    if (geteuid() != 0)
        skip();
    assert_int_equal(fchown(dir, 0, 50), 0);
    assert_int_equal(fchmod(dir, 02775), 0);
    fill_and_commit(target, 0, "1");
    assert_int_equal(fstatat(dir, "target", &st, 0), 0);
    assert_int_equal(st.st_gid, getegid());
    assert_int_equal(st.st_mode & 07777, 0755);
}

/* --- mount points -------------------------------------------------------------------------- */

#define CHECK(condition)                                        \
    do {                                                        \
        if (!(condition)) {                                     \
            print_error("line %d: %s\n", __LINE__, #condition); \
            return 1;                                           \
        }                                                       \
    } while (0)

/* In a child with mounts of its own; a tmpfs is at target. */
static int with_mount(int (*run)(int mount_fd))
{
    pid_t child = fork();
    if (child == 0) {
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
            _exit(0); /* not allowed here */
        mkdirat(dir, "target", 0755);
        if (mount("tmpfs", target, "tmpfs", 0, "size=16m,mode=0711") < 0)
            _exit(0);
        int fd = open(target, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _exit(run(fd));
    }
    int status;
    waitpid(child, &status, 0);
    return status;
}

static bool has_xattr(int fd, const char *name, const char *value)
{
    char got[16] = "";
    return fgetxattr(fd, name, got, sizeof(got) - 1) >= 0 ? strcmp(got, value) == 0 : !value[0];
}

static int fill_mount(int fd)
{
    dv_staging *s;
    struct stat st;
    CHECK(mkdirat(fd, "lost+found", 0700) == 0);
    CHECK(dv_staging_open(target, 0, &s, NULL) == 0);
    CHECK(strcmp(names(fd), "~ lost+found ") == 0);
    put(dv_staging_fd(s), "f", "1");
    CHECK(mkdirat(dv_staging_fd(s), "d", 0700) == 0 && mkdirat(dv_staging_fd(s), ".hidden", 0700) == 0);
    put(dv_staging_fd(s), "d/f", "2");
    const struct timespec times[2] = {{.tv_sec = 5}, {.tv_sec = 6}};
    CHECK(fchown(dv_staging_fd(s), 3, 4) == 0 && futimens(dv_staging_fd(s), times) == 0);
    CHECK(fsetxattr(dv_staging_fd(s), "security.davit", "image", 5, 0) == 0);
    bool with_user = fsetxattr(dv_staging_fd(s), "user.davit", "image", 5, 0) == 0; /* since Linux 6.6 */
    CHECK(!with_user ||
          (fsetxattr(fd, "user.davit", "old", 3, 0) == 0 && fsetxattr(fd, "user.old", "old", 3, 0) == 0));
    CHECK(fsetxattr(fd, "trusted.davit", "system", 6, 0) == 0);
    dv_staging_set_mode(s, 0750);
    CHECK(dv_staging_commit(s, NULL) == 0);
    CHECK(strcmp(names(fd), "d f lost+found ") == 0);
    CHECK(fstatat(fd, ".hidden", &st, 0) == 0 && fstatat(fd, "d/f", &st, 0) == 0);
    CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0750 && st.st_uid == 3 && st.st_gid == 4);
    CHECK(st.st_mtim.tv_sec == 6);
    CHECK(has_xattr(fd, "security.davit", "image") && has_xattr(fd, "trusted.davit", "system"));
    CHECK(has_xattr(fd, "user.davit", with_user ? "image" : "") && has_xattr(fd, "user.old", ""));
    return 0;
}

static int refuse_full_mount(int fd)
{
    dv_staging *s;
    DV_AUTOPTR(davit_error) err = NULL;
    put(fd, "theirs", "x");
    CHECK(dv_staging_open(target, 0, &s, &err) == DAVIT_EEXIST);
    CHECK(strcmp(names(fd), "theirs ") == 0);
    return 0;
}

/* Killed in the middle of moving up: two of three are moved, the list says which belong to it. */
static int mend_half_moved(int fd)
{
    static const char name[] = ".davit-0123456789abcdef", list[] = "a\0b\0../x\0c";
    dv_staging *s;
    CHECK(mkdirat(fd, name, 0700) == 0 && mkdirat(fd, ".davit-0123456789abcdef/c", 0700) == 0);
    CHECK(mkdirat(fd, "a", 0700) == 0);
    put(fd, "a/f", "1");
    put(fd, "b", "1");
    CHECK(dv_file_replace(fd, ".davit-0123456789abcdef.list", list, sizeof(list), 0600, NULL) == 0);
    CHECK(dv_staging_open(target, 0, &s, NULL) == 0);
    CHECK(strcmp(names(fd), "~ ") == 0);
    put(dv_staging_fd(s), "f", "2");
    CHECK(dv_staging_commit(s, NULL) == 0);
    CHECK(strcmp(names(fd), "f ") == 0);
    return 0;
}

/* What cannot be moved sends back what was. */
static int move_back(int fd)
{
    dv_staging *s;
    struct stat st;
    bool stuck = true;
    CHECK(dv_staging_open(target, 0, &s, NULL) == 0);
    put(dv_staging_fd(s), "a", "1");
    CHECK(mkdirat(dv_staging_fd(s), "z", 0700) == 0);
    put(fd, "z", "in the way");
    int tree = dup(dv_staging_fd(s));
    CHECK(dv_staging_move_up(fd, tree, ".davit-0000000000000000", /* exchange= */ false, &stuck, NULL) < 0);
    CHECK(!stuck);
    CHECK(fstatat(tree, "a", &st, 0) == 0 && fstatat(tree, "z", &st, 0) == 0);
    CHECK(strcmp(names(fd), "~ z ") == 0);
    dv_staging_abort(s);
    CHECK(strcmp(names(fd), "z ") == 0);
    return 0;
}

static int put_old_tree(int fd)
{
    CHECK(mkdirat(fd, "lost+found", 0700) == 0 && mkdirat(fd, "dir", 0700) == 0);
    put(fd, "dir/f", "old");
    put(fd, "both", "old");
    put(fd, "theirs", "old");
    return 0;
}

static int put_new_tree(int fd)
{
    put(fd, "both", "new");
    put(fd, "mine", "new");
    CHECK(mkdirat(fd, "other", 0700) == 0);
    return 0;
}

static bool is_text(int fd, const char *name, const char *text)
{
    char got[16] = "";
    DV_AUTOCLOSE file = openat(fd, name, O_RDONLY | O_CLOEXEC);
    return file >= 0 && read(file, got, sizeof(got) - 1) >= 0 && strcmp(got, text) == 0;
}

static int exchange_full_mount(int fd)
{
    dv_staging *s;
    struct stat st;
    CHECK(put_old_tree(fd) == 0);
    CHECK(dv_staging_open(target, DV_STAGING_FORCE, &s, NULL) == 0);
    CHECK(put_new_tree(dv_staging_fd(s)) == 0);
    dv_staging_set_mode(s, 0751);
    CHECK(is_text(fd, "both", "old"));
    CHECK(dv_staging_commit(s, NULL) == 0);
    CHECK(strcmp(names(fd), "both lost+found mine other ") == 0);
    CHECK(is_text(fd, "both", "new") && fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0751);
    return 0;
}

/* A directory in it that cannot be replaced: what was there is back. */
static int exchange_that_fails(int fd)
{
    dv_staging *s;
    DV_AUTOPTR(davit_error) err = NULL;
    CHECK(put_old_tree(fd) == 0);
    put(fd, "lost+found/f", "found");
    CHECK(dv_staging_open(target, DV_STAGING_FORCE, &s, NULL) == 0);
    CHECK(put_new_tree(dv_staging_fd(s)) == 0);
    CHECK(mkdirat(dv_staging_fd(s), "lost+found", 0700) == 0);
    put(dv_staging_fd(s), "lost+found/g", "new");
    CHECK(dv_staging_commit(s, &err) == DAVIT_EIO);
    CHECK(strstr(davit_error_message(err), "lost+found"));
    CHECK(strcmp(names(fd), "both dir lost+found theirs ") == 0);
    CHECK(is_text(fd, "both", "old") && is_text(fd, "dir/f", "old"));
    return 0;
}

#define DEAD ".davit-0123456789abcdef"

/* Everything up to so many renames of an exchange was done when its owner died; 0: the list was just written. */
static int leave_exchange(int fd, int renames, bool list)
{
    static const char new_names[] = "both\0mine\0other", *const old_names[] = {"both", "dir", "theirs"};
    char from[64], to[64];
    const char *name = new_names;
    CHECK(put_old_tree(fd) == 0);
    CHECK(mkdirat(fd, DEAD, 0700) == 0 && mkdirat(fd, DEAD ".old", 0700) == 0);
    CHECK(!list || fchownat(fd, DEAD, 3, 4, AT_SYMLINK_NOFOLLOW) == 0);
    DV_AUTOCLOSE tree = openat(fd, DEAD, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(put_new_tree(tree) == 0);
    if (list)
        CHECK(dv_file_replace(fd, DEAD ".list", new_names, sizeof(new_names), 0600, NULL) == 0);
    for (int i = 0; i < renames; i++) {
        snprintf(from, sizeof(from), i < 3 ? "%s" : DEAD "/%s", i < 3 ? old_names[i] : name);
        snprintf(to, sizeof(to), i < 3 ? DEAD ".old/%s" : "%s", i < 3 ? old_names[i] : name);
        CHECK(renameat(fd, from, fd, to) == 0);
        name += i < 3 ? 0 : strlen(name) + 1;
    }
    return 0;
}

static int mend_exchange(int fd)
{
    for (int renames = 0; renames <= 6; renames++) {
        dv_staging *s;
        CHECK(leave_exchange(fd, renames, /* list= */ true) == 0);
        CHECK(dv_staging_open(target, 0, &s, NULL) == DAVIT_EEXIST);
        if (renames < 6) {
            CHECK(strcmp(names(fd), "both dir lost+found theirs ") == 0);
            CHECK(is_text(fd, "both", "old") && is_text(fd, "dir/f", "old"));
        } else {
            CHECK(strcmp(names(fd), "both lost+found mine other ") == 0);
            CHECK(is_text(fd, "both", "new"));
        }
        CHECK(dv_staging_open(target, DV_STAGING_FORCE, &s, NULL) == 0);
        CHECK(dv_staging_commit(s, NULL) == 0);
        CHECK(strcmp(names(fd), "lost+found ") == 0);
        CHECK(unlinkat(fd, "lost+found", AT_REMOVEDIR) == 0);
    }
    return 0;
}

/* Killed behind the list: what was put aside is only to be removed. */
static int finish_exchange(int fd)
{
    dv_staging *s;
    CHECK(leave_exchange(fd, 6, /* list= */ false) == 0);
    CHECK(dv_staging_open(target, 0, &s, NULL) == DAVIT_EEXIST);
    CHECK(strcmp(names(fd), "both lost+found mine other ") == 0);
    return 0;
}

static void mount_point__is_filled_from_within(void **state)
{
    assert_int_equal(with_mount(fill_mount), 0);
}

static void mount_point__that_is_not_empty_is_refused(void **state)
{
    assert_int_equal(with_mount(refuse_full_mount), 0);
}

static void mount_point__that_is_not_empty_is_replaced_by_force(void **state)
{
    assert_int_equal(with_mount(exchange_full_mount), 0);
}

static void mount_point__that_cannot_be_replaced_is_as_it_was(void **state)
{
    assert_int_equal(with_mount(exchange_that_fails), 0);
}

static void mount_point__half_replaced_by_a_dead_owner_is_mended(void **state)
{
    assert_int_equal(with_mount(mend_exchange), 0);
}

static void mount_point__replaced_by_a_dead_owner_is_cleaned(void **state)
{
    assert_int_equal(with_mount(finish_exchange), 0);
}

static void mount_point__half_moved_by_a_dead_owner_is_mended(void **state)
{
    assert_int_equal(with_mount(mend_half_moved), 0);
}

static void mount_point__an_error_moves_everything_back(void **state)
{
    assert_int_equal(with_mount(move_back), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(staging__absent_target_appears_at_commit, enter, leave),
        cmocka_unit_test_setup_teardown(staging__empty_target_is_replaced, enter, leave),
        cmocka_unit_test_setup_teardown(staging__dot_is_the_directory_it_is, enter, leave),
        cmocka_unit_test_setup_teardown(staging__what_is_refused, enter, leave),
        cmocka_unit_test_setup_teardown(staging__abort_leaves_nothing, enter, leave),
        cmocka_unit_test_setup_teardown(force__exchanges_and_removes_the_old_tree, enter, leave),
        cmocka_unit_test_setup_teardown(force__absent_and_empty_are_as_without, enter, leave),
        cmocka_unit_test_setup_teardown(commit__what_somebody_else_put_there_stays, enter, leave),
        cmocka_unit_test_setup_teardown(leftovers__of_dead_owners_go_of_living_ones_stay, enter, leave),
        cmocka_unit_test_setup_teardown(staging__does_not_take_the_group_of_the_directory_above, enter, leave),
        cmocka_unit_test_setup_teardown(mount_point__is_filled_from_within, enter, leave),
        cmocka_unit_test_setup_teardown(mount_point__that_is_not_empty_is_refused, enter, leave),
        cmocka_unit_test_setup_teardown(mount_point__that_is_not_empty_is_replaced_by_force, enter, leave),
        cmocka_unit_test_setup_teardown(mount_point__that_cannot_be_replaced_is_as_it_was, enter, leave),
        cmocka_unit_test_setup_teardown(mount_point__half_replaced_by_a_dead_owner_is_mended, enter, leave),
        cmocka_unit_test_setup_teardown(mount_point__replaced_by_a_dead_owner_is_cleaned, enter, leave),
        cmocka_unit_test_setup_teardown(mount_point__half_moved_by_a_dead_owner_is_mended, enter, leave),
        cmocka_unit_test_setup_teardown(mount_point__an_error_moves_everything_back, enter, leave),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

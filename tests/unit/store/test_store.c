/* Unit tests of store/store.c: opening. */
#include "store_test.h"

#include "store/content_store.h"
#include "store/image_store.h"
#include "store/ingest.h"
#include "store/reference_store.h"

static void expect_error(int r, int code, davit_error **err, const char *part)
{
    if (r != code || !strstr(davit_error_message(*err), part))
        fail_msg("expected %s with \"%s\", got %s \"%s\"", davit_code_name(code), part, davit_code_name(r),
                 davit_error_message(*err));
    davit_error_free(*err);
    *err = NULL;
}

static int put_text(const fixture *f, const char *name, const char *text)
{
    return dv_file_replace(dv_store_dirfd(f->store), name, text, strlen(text), 0600, NULL);
}

static void store_open__needs_a_store_or_makes_one(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    DV_AUTOPTR(dv_store) s = NULL;
    DV_AUTOFREE char *deep = NULL;
    assert_true(asprintf(&deep, "%s/a/b c?#%%/d", f->dir) > 0);
    expect_error(dv_store_open(deep, 0, &s, &err), DAVIT_ENOTFOUND, &err, "no store at");
    expect_error(dv_store_open(deep, DV_STORE_READ_ONLY | DV_STORE_CREATE, &s, &err), DAVIT_ENOTFOUND, &err,
                 deep);
    expect_error(dv_store_open(f->dir, 0, &s, &err), DAVIT_ENOTFOUND, &err, "no store at"); /* no lock file */
    expect_error(dv_store_open("", DV_STORE_CREATE, &s, &err), DAVIT_EINVAL, &err, "no directory");
    assert_ok(dv_store_open(deep, DV_STORE_CREATE, &s, &err));
    assert_string_equal(dv_store_path(s), deep);
    struct dv_db *db;
    assert_ok(dv_store_db(s, &db, &err));
    struct stat st;
    assert_int_equal(fstatat(dv_store_dirfd(s), "davit.db", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600); /* threat D13 */
    assert_int_equal(fstatat(dv_store_dirfd(s), "davit.db-wal", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_int_equal(stat(deep, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void store_open__makes_no_folder_before_it_is_needed(void **state)
{
    fixture *f = *state;
    assert_int_equal(count_files(f, "."), 1); /* lock */
}

static void store_open__refuses_other_layouts(void **state)
{
    static const struct {
        const char *text;
        int result;
        const char *part;
    } rows[] = {
        {"davit-store 2\n", DAVIT_ESTORE, "layout 2, made by a newer davit"},
        {"davit-store 99999999999999999999\n", DAVIT_ESTORE, "is not a davit store's"},
        {"davit-store 0\n", DAVIT_ESTORE, "is not a davit store's"},
        {"davit-store 1", DAVIT_ESTORE, "is not a davit store's"},
        {"something else\n", DAVIT_ESTORE, "is not a davit store's"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_error *err = NULL;
        dv_store *s = NULL;
        assert_int_equal(put_text(f, "lock", rows[i].text), 0);
        expect_error(dv_store_open(f->path, DV_STORE_CREATE, &s, &err), rows[i].result, &err, rows[i].part);
    }
}

static void store_open__finishes_what_a_dead_maker_began(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    DV_AUTOPTR(dv_store) s = NULL;
    assert_int_equal(put_text(f, "lock", ""), 0);
    expect_error(dv_store_open(f->path, 0, &s, &err), DAVIT_ENOTFOUND, &err, "no store");
    assert_ok(dv_store_open(f->path, DV_STORE_CREATE, &s, &err));
    DV_AUTO(dv_buf) text = DV_BUF_INIT(100);
    assert_ok(dv_file_read(dv_store_dirfd(s), "lock", 100, &text, &err));
    assert_string_equal(dv_buf_text(&text), "davit-store 1\n");
}

static int opener(const fixture *f)
{
    char *path;
    dv_store *s = NULL;
    dv_reference_rows rows = {0};
    if (asprintf(&path, "%s/shared", f->dir) < 0)
        return 1;
    CHECK(dv_store_open(path, DV_STORE_CREATE, &s, NULL) == 0);
    CHECK(dv_reference_store_list(s, &rows, NULL) == 0);
    CHECK(rows.count == 0);
    dv_store_unref(s);
    return 0;
}

static void store_open__many_may_make_it_at_once(void **state)
{
    fixture *f = *state;
    for (int round = 0; round < 10; round++) {
        pid_t children[6];
        for (size_t k = 0; k < DV_COUNT(children); k++)
            children[k] = spawn(f, opener);
        for (size_t k = 0; k < DV_COUNT(children); k++)
            assert_int_equal(wait_for(children[k]), 0);
        DV_AUTOFREE char *command = NULL;
        assert_true(asprintf(&command, "rm -r '%s/shared'", f->dir) > 0);
        assert_int_equal(system(command), 0);
    }
}

/* --- read-only -------------------------------------------------------------------------------------------------------- */

static void record_something(dv_store *s)
{
    davit_error *err = NULL;
    davit_reference *ref = NULL;
    davit_descriptor d = describe("hello", 5);
    dv_image_row image = {.manifest = d.digest, .config = d.digest, .platform = {.os = "linux"}};
    bool updated = false;
    if (davit_reference_parse("alpine:1", &ref, NULL) < 0 || dv_content_put(s, &d, "hello", NULL) < 0 ||
        dv_image_store_record(
            s, &(dv_pull_record){.reference = ref, .target = d, .images = &image, .image_count = 1}, &updated,
            &err) < 0)
        fprintf(stderr, "%s\n", davit_error_message(err));
    davit_reference_free(ref);
}

static void store_open__reading_writes_nothing(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    DV_AUTOPTR(dv_store) s = NULL;
    assert_ok(dv_store_open(f->path, DV_STORE_READ_ONLY, &s, &err));
    assert_true(dv_store_is_read_only(s));
    dv_reference_rows rows = {0};
    assert_ok(dv_reference_store_list(s, &rows, &err)); /* nothing was ever recorded */
    assert_int_equal(rows.count, 0);
    assert_int_equal(count_files(f, "."), 1);
    davit_descriptor d = describe("hello", 5);
    dv_ingest *i = NULL;
    dv_lease *l = NULL;
    bool changed;
    expect_error(dv_ingest_open(s, &d, &i, &err), DAVIT_ESTORE, &err, "for reading only");
    expect_error(dv_lease_open(s, &l, &err), DAVIT_ESTORE, &err, "for reading only");
    davit_reference *ref = NULL;
    assert_ok(davit_reference_parse("alpine", &ref, &err));
    expect_error(dv_reference_store_add_tag(s, ref, &d, true, &changed, &err), DAVIT_ESTORE, &err,
                 "for reading only");
    davit_reference_free(ref);
    dv_store_unref(s);
    s = NULL;
    record_something(f->store);
    assert_ok(dv_store_open(f->path, DV_STORE_READ_ONLY, &s, &err));
    assert_ok(dv_reference_store_list(s, &rows, &err));
    assert_int_equal(rows.count, 2);
    dv_reference_rows_clear(&rows);
    assert_int_equal(dv_content_has(s, &d.digest, 5, &err), 1);
}

/* died: the last writer left its rows in the WAL. */
static int read_only_mount(const fixture *f, bool died)
{
    if (!mount_private(f->dir, "size=4m,mode=0700"))
        return 77;
    dv_store *s = NULL;
    davit_error *err = NULL;
    dv_reference_rows rows = {0};
    dv_ingest *i = NULL;
    davit_descriptor d = describe("hello", 5);
    pid_t child = fork();
    if (child == 0) {
        CHECK(dv_store_open(f->path, DV_STORE_CREATE, &s, &err) == 0);
        record_something(s);
        if (!died)
            dv_store_unref(s);
        _exit(0);
    }
    CHECK(wait_for(child) == 0);
    CHECK(mount("none", f->dir, "tmpfs", MS_REMOUNT | MS_RDONLY, "mode=0700") == 0);
    CHECK(dv_store_open(f->path, DV_STORE_CREATE, &s, &err) == DAVIT_ESTORE);
    CHECK(strstr(davit_error_message(err), "is on a read-only file system") &&
          strstr(davit_error_message(err), f->path));
    char *missing;
    CHECK(asprintf(&missing, "%s/none/there", f->dir) > 0);
    CHECK(dv_store_open(missing, DV_STORE_CREATE, &s, &err) == DAVIT_ESTORE);
    CHECK(strstr(davit_error_message(err), "Read-only file system"));
    CHECK(dv_store_open(f->path, DV_STORE_READ_ONLY, &s, &err) == 0);
    CHECK(dv_reference_store_list(s, &rows, &err) == 0);
    CHECK(rows.count == 2);
    CHECK(dv_content_has(s, &d.digest, 5, &err) == 1);
    CHECK(dv_ingest_open(s, &d, &i, &err) == DAVIT_ESTORE);
    return 0;
}

static int clean_read_only_mount(const fixture *f)
{
    return read_only_mount(f, /* died= */ false);
}

static int read_only_mount_with_wal(const fixture *f)
{
    return read_only_mount(f, /* died= */ true);
}

static void store_open__works_on_a_read_only_mount(void **state)
{
    expect_child(spawn(*state, clean_read_only_mount));
}

static void store_open__reads_the_wal_on_a_read_only_mount(void **state)
{
    expect_child(spawn(*state, read_only_mount_with_wal));
}

static int becomes_read_only(const fixture *f)
{
    if (!mount_private(f->dir, "size=4m,mode=0700"))
        return 77;
    dv_store *s = NULL;
    davit_error *err = NULL;
    dv_ingest *i = NULL;
    davit_descriptor d = describe("hello", 5);
    CHECK(dv_store_open(f->path, DV_STORE_CREATE, &s, &err) == 0);
    dv_store_unref(s); /* whoever makes the store has its lock file open for writing */
    CHECK(dv_store_open(f->path, 0, &s, &err) == 0);
    CHECK(mount("none", f->dir, "tmpfs", MS_REMOUNT | MS_RDONLY, "mode=0700") == 0);
    CHECK(dv_ingest_open(s, &d, &i, &err) == DAVIT_ESTORE);
    CHECK(strstr(davit_error_message(err), "/store/ingest/sha256-") &&
          strstr(davit_error_message(err), "Read-only"));
    return 0;
}

static void store__that_becomes_read_only_says_so_with_the_path(void **state)
{
    expect_child(spawn(*state, becomes_read_only));
}

static int open_new(const fixture *f)
{
    char *path;
    dv_store *store = NULL;
    CHECK(asprintf(&path, "%s/new", f->dir) > 0);
    return dv_store_open(path, DV_STORE_CREATE, &store, NULL) == 0 ? 0 : 1;
}

/*
 * Two begin on a new store at once. The other one, played here, was faster: when it has written the version it goes on to a
 * shared lock, which it keeps for as long as it lives. So the exclusive lock is not to be had, and not needed any more.
 */
static void store_open__another_made_it_meanwhile(void **state)
{
    fixture *f = *state;
    char *path, *lock;
    assert_true(asprintf(&path, "%s/new", f->dir) > 0 && asprintf(&lock, "%s/lock", path) > 0);
    assert_int_equal(mkdir(path, 0700), 0);
    int fd = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(dv_try_lock_shared(fd), 1);
    pid_t child = spawn(f, open_new); /* sees an unfinished store and waits for the exclusive lock */
    usleep(50000);
    assert_int_equal(pwrite(fd, "davit-store 1\n", 14, 0), 14);
    assert_int_equal(wait_for(child), 0);
    close(fd);
    free(path);
    free(lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(store_open__another_made_it_meanwhile),
        store_test(store_open__needs_a_store_or_makes_one),
        store_test(store_open__makes_no_folder_before_it_is_needed),
        store_test(store_open__refuses_other_layouts),
        store_test(store_open__finishes_what_a_dead_maker_began),
        store_test(store_open__many_may_make_it_at_once),
        store_test(store_open__reading_writes_nothing),
        store_test(store_open__works_on_a_read_only_mount),
        store_test(store_open__reads_the_wal_on_a_read_only_mount),
        store_test(store__that_becomes_read_only_says_so_with_the_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of store/content_store.c. */
#include "store_test.h"

#include "store/content_store.h"
#include "store/ingest.h"
#include "store/store_private.h"

static char *blob_path(const fixture *f, const davit_descriptor *d)
{
    char *path;
    if (asprintf(&path, "%s/blobs/sha256/%s", f->path, davit_digest_hex(&d->digest)) < 0)
        abort();
    return path;
}

static void content_has__name_and_size_count(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_descriptor d = describe("hello", 5);
    assert_int_equal(dv_content_has(f->store, &d.digest, 5, &err), 0); /* no folder yet */
    assert_ok(dv_content_put(f->store, &d, "hello", &err));
    assert_int_equal(dv_content_has(f->store, &d.digest, 5, &err), 1);
    assert_int_equal(dv_content_has(f->store, &d.digest, DAVIT_SIZE_UNKNOWN, &err), 1);
    assert_int_equal(dv_content_has(f->store, &d.digest, 6, &err), 0); /* threat B8 */
}

static void content_open__checks_the_size(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_descriptor d = describe("hello", 5);
    int fd = -7;
    uint64_t size = 7;
    assert_int_equal(dv_content_open(f->store, &d.digest, 5, &fd, &size, NULL), DAVIT_ENOTFOUND);
    assert_ok(dv_content_put(f->store, &d, "hello", &err));
    assert_int_equal(dv_content_open(f->store, &d.digest, 4, &fd, &size, NULL), DAVIT_ENOTFOUND);
    assert_int_equal(fd, -7);
    assert_int_equal(size, 7);
    assert_ok(dv_content_open(f->store, &d.digest, DAVIT_SIZE_UNKNOWN, &fd, &size, &err));
    assert_int_equal(size, 5);
    close(fd);
}

static void content_open__takes_regular_files_only(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_descriptor d = describe("hello", 5), other = describe("other", 5);
    DV_AUTOFREE char *path = blob_path(f, &d), *elsewhere = blob_path(f, &other);
    int fd;
    uint64_t size;
    assert_ok(dv_content_put(f->store, &other, "other", &err));
    assert_int_equal(symlink(elsewhere, path), 0);
    assert_true(dv_content_open(f->store, &d.digest, DAVIT_SIZE_UNKNOWN, &fd, &size, NULL) < 0);
    assert_int_equal(dv_content_has(f->store, &d.digest, DAVIT_SIZE_UNKNOWN, NULL), 0);
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(dv_content_open(f->store, &d.digest, DAVIT_SIZE_UNKNOWN, &fd, &size, NULL),
                     DAVIT_ENOTFOUND);
}

static void content_read__checks_the_bytes(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_descriptor d = describe("hello", 5);
    DV_AUTOFREE char *path = blob_path(f, &d);
    DV_AUTO(dv_buf) got = DV_BUF_INIT(100);
    dv_buf_puts(&got, "before");
    assert_ok(dv_content_put(f->store, &d, "hello", &err));
    assert_int_equal(dv_content_read(f->store, &d.digest, 4, &got, NULL), DAVIT_ETOOBIG);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 3), 0);
    assert_int_equal(dv_content_read(f->store, &d.digest, 100, &got, &err), DAVIT_EDIGEST);
    assert_non_null(strstr(davit_error_message(err), "is damaged"));
    davit_error_free(err);
    err = NULL;
    assert_string_equal(dv_buf_text(&got), "before");
    assert_ok(dv_content_put(f->store, &d, "hello", &err));
    assert_ok(dv_content_read(f->store, &d.digest, 5, &got, &err));
    assert_string_equal(dv_buf_text(&got), "hello");
}

static void content_put__refuses_other_bytes_and_takes_the_same_twice(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_descriptor d = describe("hello", 5);
    dv_ingest *i = NULL;
    assert_int_equal(dv_content_put(f->store, &d, "hellO", NULL), DAVIT_EDIGEST);
    assert_ok(dv_ingest_open(f->store, &d, &i, &err));
    assert_ok(dv_ingest_write(i, "he", 2, &err));
    assert_ok(dv_content_put(f->store, &d, "hello", &err)); /* while somebody fetches it */
    assert_ok(dv_content_put(f->store, &d, "hello", &err));
    assert_null(err);
    dv_ingest_abort(i);
    assert_ok(dv_ingest_open(f->store, &(davit_descriptor){.digest = d.digest, .size = 6}, &i, &err));
    assert_ok(dv_ingest_write(i, "hex", 3, &err));
    dv_ingest_close(i);
    d = describe("abcdef", 6);
    assert_ok(dv_ingest_open(f->store, &d, &i, &err));
    assert_ok(dv_ingest_write(i, "zzz", 3, &err)); /* a dead owner's wrong bytes */
    dv_ingest_close(i);
    assert_ok(dv_content_put(f->store, &d, "abcdef", &err));
}

static void content_put__leaves_nothing_when_it_fails(void **state)
{
    fixture *f = *state;
    davit_descriptor d = describe("hello", 5);
    int fd = openat(dv_store_dirfd(f->store), "blobs", O_WRONLY | O_CREAT | O_EXCL,
                    0600); /* no directory can be made */
    assert_true(fd >= 0);
    close(fd);
    assert_true(dv_content_put(f->store, &d, "hello", NULL) < 0);
    assert_int_equal(count_files(f, "ingest"), 0);
    assert_int_equal(unlinkat(dv_store_dirfd(f->store), "blobs", 0), 0);
    assert_int_equal(dv_content_put(f->store, &d, "hello", NULL), 0);
    assert_int_equal(count_files(f, "ingest"), 0);
}

static void content_sync__is_due_for_own_names_and_for_recent_ones_of_others(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_descriptor d = describe("hello", 5);
    assert_ok(dv_content_sync(f->store, &err)); /* nothing there */
    assert_ok(dv_content_put(f->store, &d, "hello", &err));
    assert_true(atomic_load(&f->store->renamed[DAVIT_SHA256]) > atomic_load(&f->store->synced[DAVIT_SHA256]));
    assert_ok(dv_content_sync(f->store, &err));
    assert_true(atomic_load(&f->store->renamed[DAVIT_SHA256]) == atomic_load(&f->store->synced[DAVIT_SHA256]));
    DV_AUTOPTR(dv_store) other = NULL;
    assert_ok(dv_store_open(f->path, 0, &other, &err));
    assert_int_equal(dv_content_has(other, &d.digest, 5, &err), 1);
    assert_true(atomic_load(&other->renamed[DAVIT_SHA256]) > atomic_load(&other->synced[DAVIT_SHA256]));
    assert_ok(dv_content_sync(other, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(content_has__name_and_size_count),
        store_test(content_open__checks_the_size),
        store_test(content_open__takes_regular_files_only),
        store_test(content_read__checks_the_bytes),
        store_test(content_put__refuses_other_bytes_and_takes_the_same_twice),
        store_test(content_put__leaves_nothing_when_it_fails),
        store_test(content_sync__is_due_for_own_names_and_for_recent_ones_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of store/ingest.c: owning, resuming, dying, checking. */
#include "store_test.h"

#include "store/content_store.h"
#include "store/ingest.h"

#define PIECE (64u << 10)
#define BIG (3u << 20)

static char *ingest_path(const fixture *f, const davit_descriptor *d, const char *end)
{
    char *path;
    if (asprintf(&path, "%s/ingest/sha256-%s%s", f->path, davit_digest_hex(&d->digest), end) < 0)
        abort();
    return path;
}

static void put_file(const char *path, const void *bytes, size_t size)
{
    davit_error *err = NULL;
    assert_ok(dv_file_replace(AT_FDCWD, path, bytes, size, 0600, &err));
}

static void expect_blob(const fixture *f, const davit_descriptor *d, const char *bytes)
{
    davit_error *err = NULL;
    DV_AUTO(dv_buf) got = DV_BUF_INIT(64u << 20);
    struct stat st;
    DV_AUTOFREE char *path = NULL;
    assert_ok(dv_content_read(f->store, &d->digest, 64u << 20, &got, &err));
    assert_int_equal(got.size, d->size);
    assert_memory_equal(dv_buf_text(&got), bytes, got.size);
    assert_true(asprintf(&path, "%s/blobs/sha256/%s", f->path, davit_digest_hex(&d->digest)) > 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0444);
}

static void finish(dv_ingest *i, const char *bytes, const davit_descriptor *d)
{
    davit_error *err = NULL;
    uint64_t start, end;
    assert_ok(dv_ingest_resume(i, &err));
    while (dv_ingest_gap(i, 0, &start, &end))
        assert_ok(dv_ingest_write_at(i, start, bytes + start, (size_t)(end - start), &err));
    assert_int_equal(dv_ingest_have(i), d->size);
    assert_ok(dv_ingest_commit(i, &err));
}

/* --- the ordinary way --------------------------------------------------------------------------------------------- */

static void ingest__written_in_order_becomes_a_blob(void **state)
{
    static const size_t sizes[] = {0, 1, PIECE - 1, PIECE, BIG + 17};
    fixture *f = *state;
    davit_error *err = NULL;
    for (size_t k = 0; k < DV_COUNT(sizes); k++) {
        DV_AUTOFREE char *bytes = make_bytes(sizes[k], (unsigned)k);
        davit_descriptor d = describe(bytes, sizes[k]);
        dv_ingest *i = NULL;
        assert_ok(dv_ingest_open(f->store, &d, &i, &err));
        for (size_t at = 0; at < sizes[k]; at += PIECE)
            assert_ok(dv_ingest_write(i, bytes + at, sizes[k] - at < PIECE ? sizes[k] - at : PIECE, &err));
        assert_int_equal(dv_ingest_offset(i), sizes[k]);
        assert_int_equal(dv_content_has(f->store, &d.digest, d.size, &err), 0);
        assert_ok(dv_ingest_commit(i, &err));
        assert_ok(dv_content_sync(f->store, &err));
        assert_int_equal(dv_content_has(f->store, &d.digest, d.size, &err), 1);
        expect_blob(f, &d, bytes);
        assert_int_equal(dv_ingest_open(f->store, &d, &i, NULL), DAVIT_EEXIST);
    }
    assert_int_equal(count_files(f, "ingest"), 0);
}

static void ingest__of_unknown_size_is_judged_by_its_digest(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    DV_AUTOFREE char *bytes = make_bytes(PIECE, 1);
    davit_descriptor d = describe(bytes, PIECE);
    dv_ingest *i = NULL;
    d.size = DAVIT_SIZE_UNKNOWN;
    assert_ok(dv_ingest_open(f->store, &d, &i, &err));
    assert_ok(dv_ingest_write(i, bytes, 100, &err));
    assert_int_equal(dv_ingest_verify(i, NULL), DAVIT_EDIGEST);
    assert_int_equal(dv_ingest_write_at(i, 200, bytes, 1, NULL), DAVIT_EINVAL);
    assert_ok(dv_ingest_write(i, bytes + 100, PIECE - 100, &err)); /* the hash goes on after a verify */
    assert_ok(dv_ingest_verify(i, &err));
    assert_ok(dv_ingest_commit(i, &err));
    d.size = PIECE;
    expect_blob(f, &d, bytes);
}

static void ingest__sha512_has_its_own_folder_and_sha384_none(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_descriptor d = {.size = 3};
    davit_digest_of(DAVIT_SHA512, "abc", 3, &d.digest, NULL);
    assert_ok(dv_content_put(f->store, &d, "abc", &err));
    assert_ok(dv_content_sync(f->store, &err));
    assert_int_equal(count_files(f, "blobs/sha512"), 1);
    davit_digest_of(DAVIT_SHA384, "abc", 3, &d.digest, NULL);
    dv_ingest *i = NULL;
    assert_int_equal(dv_ingest_open(f->store, &d, &i, NULL), DAVIT_EUNSUPPORTED); /* threat B9 */
    assert_int_equal(dv_content_has(f->store, &d.digest, 3, NULL), DAVIT_EUNSUPPORTED);
}

/* --- ranges ---------------------------------------------------------------------------------------------------------- */

static void ingest_write_at__any_order_gives_the_blob(void **state)
{
    fixture *f = *state;
    for (unsigned seed = 0; seed < 8; seed++) {
        davit_error *err = NULL;
        DV_AUTOFREE char *bytes = make_bytes(BIG, seed);
        davit_descriptor d = describe(bytes, BIG);
        dv_ingest *i = NULL;
        assert_ok(dv_ingest_open(f->store, &d, &i, &err));
        srand(seed);
        for (int k = 0; k < 100; k++) { /* they overlap */
            size_t at = (size_t)rand() % BIG, size = (size_t)rand() % PIECE;
            size = size < BIG - at ? size : BIG - at;
            assert_ok(dv_ingest_write_at(i, at, bytes + at, size, &err));
        }
        finish(i, bytes, &d);
        expect_blob(f, &d, bytes);
    }
    assert_int_equal(count_files(f, "ingest"), 0);
}

static void ingest_write_at__what_is_finished_stays(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    DV_AUTOFREE char *bytes = make_bytes(BIG, 1);
    DV_AUTOFREE char *other = make_bytes(BIG, 2);
    davit_descriptor d = describe(bytes, BIG);
    dv_ingest *i = NULL;
    assert_ok(dv_ingest_open(f->store, &d, &i, &err));
    assert_ok(dv_ingest_write_at(i, 0, bytes, 1000, &err));
    assert_ok(dv_ingest_write_at(i, 5000, bytes + 5000, 1000, &err));
    assert_ok(dv_ingest_write_at(i, 0, other, 1000, &err));
    assert_ok(dv_ingest_write_at(i, 5500, other, 500, &err));
    finish(i, bytes, &d);
    expect_blob(f, &d, bytes);
}

static void ingest_write_at__the_journal_is_at_most_128_KiB_behind(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    DV_AUTOFREE char *bytes = make_bytes(BIG, 1);
    davit_descriptor d = describe(bytes, BIG);
    dv_ingest *i = NULL;
    uint64_t written = 0;
    assert_ok(dv_ingest_open(f->store, &d, &i, &err));
    for (size_t at = 0; at < BIG / 2; at += 16u << 10) { /* two streams */
        assert_ok(dv_ingest_write_at(i, at, bytes + at, 16u << 10, &err));
        assert_ok(dv_ingest_write_at(i, BIG / 2 + at, bytes + BIG / 2 + at, 16u << 10, &err));
        written += 32u << 10;
        assert_true(dv_ingest_peer_size(f->store, &d.digest) + (128u << 10) >= written);
    }
    dv_ingest_close(i);
    assert_int_equal(dv_ingest_peer_size(f->store, &d.digest), BIG);
}

/* --- checks (threat B6) ------------------------------------------------------------------------------------------------- */

static void ingest_commit__refuses_what_is_not_the_blob(void **state)
{
    static const struct {
        const char *bytes;
        const char *text;
    } rows[] = {
        {"hell", "unexpected commit size 4, expected 5"},
        {"", "unexpected commit size 0, expected 5"},
        {"hellO", "unexpected commit digest sha256:"},
    };
    fixture *f = *state;
    davit_descriptor d = describe("hello", 5);
    for (size_t k = 0; k < DV_COUNT(rows); k++) {
        davit_error *err = NULL;
        dv_ingest *i = NULL;
        assert_ok(dv_ingest_open(f->store, &d, &i, &err));
        assert_ok(dv_ingest_write(i, rows[k].bytes, strlen(rows[k].bytes), &err));
        assert_int_equal(dv_ingest_verify(i, NULL), DAVIT_EDIGEST);
        assert_int_equal(dv_ingest_commit(i, &err), DAVIT_EDIGEST);
        if (strncmp(davit_error_message(err), rows[k].text, strlen(rows[k].text)) != 0)
            fail_msg("\"%s\": expected %s, got %s", rows[k].bytes, rows[k].text, davit_error_message(err));
        davit_error_free(err);
        assert_int_equal(count_files(f, "ingest"), 0);
        assert_int_equal(dv_content_has(f->store, &d.digest, 5, NULL), 0);
    }
}

static void ingest_write__stops_at_the_size(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_descriptor d = describe("hello", 5);
    dv_ingest *i = NULL;
    assert_ok(dv_ingest_open(f->store, &d, &i, &err));
    assert_int_equal(dv_ingest_write(i, "hello!", 6, NULL), DAVIT_EDIGEST);
    assert_ok(dv_ingest_write(i, "hel", 3, &err));
    assert_int_equal(dv_ingest_write(i, "lo!", 3, NULL), DAVIT_EDIGEST);
    assert_int_equal(dv_ingest_write_at(i, 5, "!", 1, NULL), DAVIT_EDIGEST);
    assert_int_equal(dv_ingest_write_at(i, UINT64_MAX - 1, "!", 1, NULL), DAVIT_EDIGEST);
    assert_ok(dv_ingest_write(i, "lo", 2, &err));
    assert_ok(dv_ingest_commit(i, &err));
}

static void ingest_reset__starts_over(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    DV_AUTOFREE char *bytes = make_bytes(BIG, 1);
    davit_descriptor d = describe(bytes, BIG);
    dv_ingest *i = NULL;
    assert_ok(dv_ingest_open(f->store, &d, &i, &err));
    assert_ok(dv_ingest_write(i, "wrong", 5, &err));
    assert_ok(dv_ingest_write_at(i, 100, "wrong", 5, &err));
    assert_ok(dv_ingest_reset(i, &err));
    assert_int_equal(dv_ingest_have(i), 0);
    assert_int_equal(count_files(f, "ingest"), 1);
    finish(i, bytes, &d);
    expect_blob(f, &d, bytes);
}

static void ingest_abort__leaves_nothing(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_descriptor d = describe("hello", 5);
    dv_ingest *i = NULL;
    assert_ok(dv_ingest_open(f->store, &d, &i, &err));
    assert_ok(dv_ingest_write_at(i, 3, "lo", 2, &err));
    assert_int_equal(count_files(f, "ingest"), 2);
    dv_ingest_abort(i);
    assert_int_equal(count_files(f, "ingest"), 0);
    assert_ok(dv_ingest_open(f->store, &d, &i, &err));
    dv_ingest_close(i); /* empty */
    assert_int_equal(count_files(f, "ingest"), 0);
    dv_ingest_abort(NULL);
    dv_ingest_close(NULL);
}

/* --- what was left ------------------------------------------------------------------------------------------------------- */

static void ingest_close__is_resumed(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    DV_AUTOFREE char *bytes = make_bytes(BIG, 1);
    davit_descriptor d = describe(bytes, BIG);
    dv_ingest *i = NULL;
    assert_ok(dv_ingest_open(f->store, &d, &i, &err));
    assert_ok(dv_ingest_write(i, bytes, 100000, &err));
    dv_ingest_close(i);
    assert_int_equal(dv_ingest_peer_size(f->store, &d.digest), 100000);
    assert_ok(dv_ingest_open(f->store, &d, &i, &err));
    assert_int_equal(dv_ingest_offset(i), 100000);
    assert_ok(dv_ingest_resume(i, &err));
    assert_ok(dv_ingest_write_at(i, 200000, bytes + 200000, 100000, &err));
    dv_ingest_close(i);
    assert_ok(dv_ingest_open(f->store, &d, &i, &err));
    uint64_t start = 0, end = 0;
    assert_true(dv_ingest_gap(i, 0, &start, &end));
    assert_int_equal(start, 100000);
    assert_int_equal(end, 200000);
    assert_true(dv_ingest_gap(i, 250000, &start, &end));
    assert_int_equal(start, 300000);
    assert_int_equal(end, BIG);
    finish(i, bytes, &d);
    expect_blob(f, &d, bytes);
    assert_int_equal(dv_ingest_peer_size(f->store, &d.digest), 0);
}

static void ingest_open__takes_or_discards_what_was_left(void **state)
{
    static const struct {
        const char *journal; /* NULL: none */
        size_t length;
        uint64_t offset, have;
    } rows[] = {
        {NULL, 0, 0, 0},
        {NULL, 700, 700, 700},
        {NULL, 1000, 1000, 1000},
        {NULL, 1001, 0, 0},  /* longer than the blob */
        {"", 700, 700, 700}, /* died before the first range out of order */
        {"davit-ingest 1\n", 700, 0, 0},
        {"davit-ingest 1\nhave 0 100\nhave 500 700\n", 700, 100, 300},
        {"davit-ingest 1\nhave 0 100\nhave 500 900\n", 700, 100, 300}, /* the file is what there is */
        {"davit-ingest 1\nhave 0 100\nhave 500 6", 700, 100, 100},
        {"davit-ingest 1\nhave 0 100\nhave 500 600\n", 0, 0, 0},
        {"davit-ingest 2\nhave 0 100\n", 700, 0, 0},
        {"davit-ingest 1\nhave 0 100\nhaving\n", 700, 0, 0},
        {"davit-ingest 1\nhave 0 1001\n", 700, 0, 0},
    };
    fixture *f = *state;
    DV_AUTOFREE char *bytes = make_bytes(1000, 1);
    DV_AUTOFREE char *longer = make_bytes(1001, 1);
    davit_descriptor d = describe(bytes, 1000);
    DV_AUTOFREE char *path = ingest_path(f, &d, ""), *journal = ingest_path(f, &d, ".journal");
    mkdirat(dv_store_dirfd(f->store), "ingest", 0700);
    for (size_t k = 0; k < DV_COUNT(rows); k++) {
        davit_error *err = NULL;
        dv_ingest *i = NULL;
        put_file(path, longer, rows[k].length);
        if (rows[k].journal)
            put_file(journal, rows[k].journal, strlen(rows[k].journal));
        assert_ok(dv_ingest_open(f->store, &d, &i, &err));
        if (dv_ingest_offset(i) != rows[k].offset || dv_ingest_have(i) != rows[k].have)
            fail_msg("%zu bytes and \"%s\": expected %d %d, got %d %d", rows[k].length,
                     rows[k].journal ? rows[k].journal : "(none)", (int)rows[k].offset, (int)rows[k].have,
                     (int)dv_ingest_offset(i), (int)dv_ingest_have(i));
        finish(i, bytes, &d);
        expect_blob(f, &d, bytes);
        assert_int_equal(count_files(f, "ingest"), 0);
        char *blob;
        assert_true(asprintf(&blob, "%s/blobs/sha256/%s", f->path, davit_digest_hex(&d.digest)) > 0);
        assert_int_equal(unlink(blob), 0);
        free(blob);
    }
}

static void ingest_open__removes_a_leftover_of_a_finished_blob(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_descriptor d = describe("hello", 5);
    dv_ingest *i = NULL;
    assert_ok(dv_ingest_open(f->store, &d, &i, &err));
    DV_AUTOFREE char *path = ingest_path(f, &d, "");
    assert_int_equal(unlink(path), 0);
    assert_ok(dv_content_put(f->store, &d, "hello", &err)); /* the name is free */
    dv_ingest_close(i);
    assert_int_equal(dv_ingest_open(f->store, &d, &i, NULL), DAVIT_EEXIST);
    assert_int_equal(count_files(f, "ingest"), 0);
}

static void ingest_commit__wrong_bytes_on_disk_are_found(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    DV_AUTOFREE char *bytes = make_bytes(BIG, 1);
    davit_descriptor d = describe(bytes, BIG);
    DV_AUTOFREE char *path = ingest_path(f, &d, "");
    dv_ingest *i = NULL;
    mkdirat(dv_store_dirfd(f->store), "ingest", 0700);
    bytes[1000]++;
    put_file(path, bytes, BIG / 2); /* as after a power cut */
    bytes[1000]--;
    assert_ok(dv_ingest_open(f->store, &d, &i, &err));
    assert_ok(dv_ingest_resume(i, &err));
    assert_ok(dv_ingest_write(i, bytes + BIG / 2, BIG / 2, &err));
    assert_int_equal(dv_ingest_verify(i, NULL), DAVIT_EDIGEST);
    assert_ok(dv_ingest_reset(i, &err));
    finish(i, bytes, &d);
    expect_blob(f, &d, bytes);
}

static void ingest_commit__heals_a_blob_of_wrong_size(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_descriptor d = describe("hello", 5);
    assert_ok(dv_content_put(f->store, &d, "hello", &err));
    DV_AUTOFREE char *path = NULL;
    assert_true(asprintf(&path, "%s/blobs/sha256/%s", f->path, davit_digest_hex(&d.digest)) > 0);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 3), 0);
    assert_int_equal(dv_content_has(f->store, &d.digest, 5, NULL), 0); /* threat B8 */
    assert_ok(dv_content_put(f->store, &d, "hello", &err));
    expect_blob(f, &d, "hello");
}

/* --- owners ---------------------------------------------------------------------------------------------------------------- */

static void ingest_open__has_one_owner(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_descriptor d = describe("hello", 5);
    dv_ingest *i = NULL, *second = NULL;
    assert_ok(dv_ingest_open(f->store, &d, &i, &err));
    assert_int_equal(dv_ingest_open(f->store, &d, &second, NULL), DAVIT_EBUSY); /* this process */
    assert_ok(dv_ingest_open_new(f->store, &d, &second, &err));
    assert_ok(dv_ingest_write(second, "hello", 5, &err));
    assert_ok(dv_ingest_write(i, "hello", 5, &err));
    assert_ok(dv_ingest_commit(second, &err));
    assert_ok(dv_ingest_commit(i, &err)); /* an equal blob appeared meanwhile */
    expect_blob(f, &d, "hello");
    assert_int_equal(count_files(f, "ingest"), 0);
}

static void ingest_close__forgets_a_nameless_one(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_descriptor d = describe("hello", 5);
    dv_ingest *i = NULL;
    assert_ok(dv_ingest_open_new(f->store, &d, &i, &err));
    assert_ok(dv_ingest_write(i, "hell", 4, &err));
    dv_ingest_close(i);
    assert_int_equal(count_files(f, "ingest"), 0);
}

static void ingest_open_unknown__learns_its_digest(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    const davit_descriptor d = describe("hello", 5);
    davit_digest got = {0}, wide;
    dv_ingest *i = NULL;
    assert_ok(dv_ingest_open_unknown(f->store, DAVIT_SHA256, DAVIT_SIZE_UNKNOWN, &i, &err));
    assert_ok(dv_ingest_write(i, "hel", 3, &err));
    assert_ok(dv_ingest_write(i, "lo", 2, &err));
    DV_AUTO(dv_buf) back = DV_BUF_INIT(100);
    assert_ok(dv_ingest_digest(i, &got, &err));
    assert_string_equal(got.text, d.digest.text);
    assert_ok(dv_ingest_read(i, 5, &back, &err));
    assert_string_equal(dv_buf_text(&back), "hello");
    assert_int_equal(dv_ingest_read(i, 4, &back, NULL), DAVIT_ETOOBIG);
    assert_ok(dv_ingest_commit(i, &err));
    expect_blob(f, &d, "hello");
    assert_ok(dv_ingest_open_unknown(f->store, DAVIT_SHA256, 5, &i,
                                     &err)); /* that it is there already is not known */
    assert_ok(dv_ingest_write(i, "hello", 5, &err));
    assert_ok(dv_ingest_commit(i, &err));
    assert_ok(dv_ingest_open_unknown(f->store, DAVIT_SHA512, 5, &i, &err));
    assert_ok(dv_ingest_write(i, "hello", 5, &err));
    assert_ok(dv_ingest_digest(i, &got, &err));
    assert_ok(dv_ingest_commit(i, &err));
    assert_ok(davit_digest_of(DAVIT_SHA512, "hello", 5, &wide, &err));
    assert_string_equal(got.text, wide.text);
    assert_int_equal(count_files(f, "blobs/sha512"), 1);
    assert_int_equal(count_files(f, "ingest"), 0);
    assert_int_equal(dv_ingest_open_unknown(f->store, DAVIT_SHA384, 5, &i, NULL), DAVIT_EUNSUPPORTED);
}

typedef struct seen {
    char *bytes;
    size_t size;
} seen;

static int see(void *user, const void *bytes, size_t size, davit_error **err)
{
    seen *s = user;
    (void)err;
    memcpy(s->bytes + s->size, bytes, size);
    s->size += size;
    return 0;
}

/* Under another name than its own, which it learns at the end, it is found again, and what was written is seen again. */
static void ingest_open_keyed__is_gone_on_with(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    DV_AUTOFREE char *bytes = make_bytes(BIG, 3);
    DV_AUTOFREE char *again = malloc(BIG);
    seen s = {.bytes = again};
    const davit_descriptor d = describe(bytes, BIG);
    const davit_digest key = describe("key", 3).digest, other = describe("other", 5).digest;
    dv_ingest *i = NULL, *second = NULL;
    assert_ok(dv_ingest_open_keyed(f->store, &key, &i, &err));
    assert_ok(dv_ingest_write(i, bytes, PIECE + 1, &err));
    assert_int_equal(dv_ingest_open_keyed(f->store, &key, &second, NULL), DAVIT_EBUSY);
    dv_ingest_close(i);
    assert_ok(dv_ingest_open_keyed(f->store, &other, &second, &err));
    assert_int_equal(dv_ingest_offset(second), 0);
    dv_ingest_abort(second);
    assert_ok(dv_ingest_open_keyed(f->store, &key, &i, &err));
    assert_int_equal(dv_ingest_offset(i), PIECE + 1);
    assert_ok(dv_ingest_replay(i, see, &s, &err));
    assert_int_equal(s.size, PIECE + 1);
    assert_memory_equal(again, bytes, s.size);
    assert_ok(dv_ingest_write(i, bytes + PIECE + 1, BIG - PIECE - 1, &err));
    davit_digest got;
    assert_ok(dv_ingest_digest(i, &got, &err));
    assert_true(davit_digest_equal(&got, &d.digest));
    assert_ok(dv_ingest_commit(i, &err));
    expect_blob(f, &d, bytes);
    assert_int_equal(count_files(f, "ingest"), 0);
}

static void ingest_open_unknown__keeps_its_size_and_nothing_else(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_digest got;
    dv_ingest *i = NULL;
    assert_ok(dv_ingest_open_unknown(f->store, DAVIT_SHA256, 5, &i, &err));
    assert_ok(dv_ingest_write(i, "hell", 4, &err));
    assert_int_equal(dv_ingest_digest(i, &got, NULL), DAVIT_EDIGEST);
    assert_int_equal(dv_ingest_write(i, "ooo", 3, NULL), DAVIT_EDIGEST);
    assert_int_equal(dv_ingest_commit(i, NULL), DAVIT_EDIGEST);
    assert_ok(dv_ingest_open_unknown(f->store, DAVIT_SHA256, 5, &i, &err));
    assert_ok(dv_ingest_write(i, "hello", 5, &err));
    dv_ingest_close(i);
    assert_int_equal(dv_ingest_open_unknown(f->store, DAVIT_SHA256, UINT64_MAX / 2, &i, NULL), DAVIT_ENOSPACE);
    assert_int_equal(count_files(f, "ingest"), 0);
    assert_int_equal(count_files(f, "blobs/sha256"), 0);
}

/* Six processes want the same blob: each waits, takes over or finds it there; some die. */
static int contender(const fixture *f)
{
    char *bytes = make_bytes(BIG, 1);
    davit_descriptor d = describe(bytes, BIG);
    dv_store *s = NULL;
    dv_ingest *i = NULL;
    CHECK(dv_store_open(f->path, 0, &s, NULL) == 0);
    srand((unsigned)getpid());
    for (int k = 0; k < 20000; k++) {
        int r = dv_ingest_open(s, &d, &i, NULL);
        if (r == DAVIT_EEXIST)
            return 0;
        CHECK(r == 0 || r == DAVIT_EBUSY);
        if (r == DAVIT_EBUSY) {
            usleep(500);
            continue;
        }
        CHECK(dv_ingest_resume(i, NULL) == 0);
        size_t stop = dv_ingest_offset(i) + (size_t)rand() % (BIG / 4);
        while (dv_ingest_offset(i) < BIG && dv_ingest_offset(i) < stop) {
            size_t at = (size_t)dv_ingest_offset(i), size = BIG - at < 30000 ? BIG - at : 30000;
            CHECK(dv_ingest_write(i, bytes + at, size, NULL) == 0);
        }
        if (dv_ingest_offset(i) == BIG)
            return dv_ingest_commit(i, NULL) == 0 ? 0 : 98;
        if (rand() % 2)
            kill(getpid(), SIGKILL);
        dv_ingest_close(i);
    }
    return 97;
}

static void ingest_open__many_processes_make_one_blob(void **state)
{
    fixture *f = *state;
    DV_AUTOFREE char *bytes = make_bytes(BIG, 1);
    davit_descriptor d = describe(bytes, BIG);
    int alive = 0;
    for (int round = 0; round < 20 && alive == 0; round++) {
        pid_t children[6];
        for (size_t k = 0; k < DV_COUNT(children); k++)
            children[k] = spawn(f, contender);
        for (size_t k = 0; k < DV_COUNT(children); k++) {
            int status = wait_for(children[k]);
            if (status != 0 && status != 128 + SIGKILL)
                fail_msg("a contender ended with %d", status);
            alive += status == 0;
        }
    }
    assert_true(alive > 0);
    expect_blob(f, &d, bytes);
    assert_int_equal(count_files(f, "ingest"), 0);
}

/* --- dying ------------------------------------------------------------------------------------------------------------------ */

/* Writes until it is killed; tells how much over the pipe before it goes on, so that the parent knows the least it had. */
static int report_fd;
static bool in_ranges;
static char *bytes_to_write;
static davit_descriptor to_write;

static int writer(const fixture *f)
{
    const char *bytes = bytes_to_write;
    davit_descriptor d = to_write;
    size_t size = (size_t)d.size;
    dv_store *s = NULL;
    dv_ingest *i = NULL;
    uint64_t written;
    CHECK(dv_store_open(f->path, 0, &s, NULL) == 0);
    CHECK(dv_ingest_open(s, &d, &i, NULL) == 0);
    written = dv_ingest_have(i);
    uint64_t start, end;
    for (unsigned k = 0; dv_ingest_gap(i, in_ranges ? k % 4 * (size / 4) : 0, &start, &end); k++) {
        size_t piece = end - start < 20000 ? (size_t)(end - start) : 20000;
        CHECK(dv_ingest_write_at(i, start, bytes + start, piece, NULL) == 0);
        written += piece;
        CHECK(pwrite(report_fd, &written, sizeof(written), 0) == sizeof(written));
    }
    dv_ingest_close(i);
    return 0;
}

static void die_and_resume(fixture *f, bool ranges)
{
    davit_error *err = NULL;
    size_t size = 24u << 20;
    DV_AUTOFREE char *bytes = make_bytes(size, 7);
    davit_descriptor d = describe(bytes, size);
    bytes_to_write = bytes;
    to_write = d;
    char report[] = "/tmp/davit-report-XXXXXX";
    report_fd = mkstemp(report);
    unlink(report);
    in_ranges = ranges;
    srand(ranges);
    dv_ingest *i = NULL;
    for (int k = 0; k < 60; k++) {
        uint64_t told = 0;
        pid_t child = spawn(f, writer);
        if (pread(report_fd, &told, sizeof(told), 0) < 0)
            fail();
        usleep((useconds_t)(rand() % 15000));
        kill(child, SIGKILL);
        int status = wait_for(child);
        assert_true(status == 0 || status == 128 + SIGKILL);
        if (pread(report_fd, &told, sizeof(told), 0) < 0)
            fail();
        assert_ok(dv_ingest_open(f->store, &d, &i, &err));
        uint64_t have = dv_ingest_have(i);
        if (have + (ranges ? 128u << 10 : 0) < told)
            fail_msg("kill %d: told of %llu bytes, %llu are left", k, (unsigned long long)told,
                     (unsigned long long)have);
        dv_ingest_close(i);
        if (have == size)
            break;
    }
    close(report_fd);
    assert_ok(dv_ingest_open(f->store, &d, &i, &err));
    finish(i, bytes, &d);
    expect_blob(f, &d, bytes);
    assert_int_equal(count_files(f, "ingest"), 0);
}

static void ingest__a_killed_stream_loses_nothing(void **state)
{
    die_and_resume(*state, /* ranges= */ false);
}

static void ingest__killed_ranges_lose_at_most_128_KiB(void **state)
{
    die_and_resume(*state, /* ranges= */ true);
}

/* Dies at the nth system call that the parent lets it make: every order of calls in open, write and commit is seen. */
static int committer(const fixture *f)
{
    char *bytes = make_bytes(300000, 3);
    davit_descriptor d = describe(bytes, 300000);
    dv_store *s = NULL;
    dv_ingest *i = NULL;
    if (dv_store_open(f->path, 0, &s, NULL) < 0)
        return 96;
    int r = dv_ingest_open(s, &d, &i, NULL);
    if (r == DAVIT_EEXIST)
        return 0;
    CHECK(r == 0);
    CHECK(dv_ingest_resume(i, NULL) == 0);
    uint64_t start, end;
    CHECK(dv_ingest_write_at(i, 200000, bytes + 200000, 100000, NULL) == 0);
    while (dv_ingest_gap(i, 0, &start, &end))
        CHECK(dv_ingest_write_at(i, start, bytes + start, (size_t)(end - start), NULL) == 0);
    CHECK(dv_ingest_commit(i, NULL) == 0);
    CHECK(dv_content_sync(s, NULL) == 0);
    return 0;
}

static void ingest__killed_anywhere_leaves_a_store_that_works(void **state)
{
    fixture *f = *state;
    DV_AUTOFREE char *bytes = make_bytes(300000, 3);
    davit_descriptor d = describe(bytes, 300000);
    DV_AUTOFREE char *blob = NULL;
    assert_true(asprintf(&blob, "%s/blobs/sha256/%s", f->path, davit_digest_hex(&d.digest)) > 0);
    srand(5);
    for (int k = 0; k < 150; k++) {
        pid_t child = spawn(f, committer);
        usleep((useconds_t)(rand() % 6000));
        kill(child, SIGKILL);
        int status = wait_for(child);
        assert_true(status == 0 || status == 128 + SIGKILL);
        int has = dv_content_has(f->store, &d.digest, DAVIT_SIZE_UNKNOWN, NULL);
        if (has == 1)
            expect_blob(f, &d, bytes); /* nothing half-done is visible */
        if (has == 1)
            assert_int_equal(unlink(blob), 0);
    }
    assert_int_equal(wait_for(spawn(f, committer)), 0);
    expect_blob(f, &d, bytes);
    assert_int_equal(count_files(f, "ingest"), 0);
}

/* --- disks ------------------------------------------------------------------------------------------------------------------- */

static int on_a_full_disk(const fixture *f)
{
    if (!mount_private(f->dir, "size=2m,mode=0700"))
        return 77;
    size_t size = BIG;
    char *bytes = make_bytes(size, 1);
    davit_descriptor d = describe(bytes, size);
    davit_error *err = NULL;
    dv_store *s = NULL;
    dv_ingest *i = NULL;
    CHECK(dv_store_open(f->path, DV_STORE_CREATE, &s, &err) == 0);
    /* known to be too big: at once, naming both numbers */
    CHECK(dv_ingest_open(s, &d, &i, &err) == DAVIT_ENOSPACE);
    CHECK(strstr(davit_error_message(err), "needs 3145728 more bytes and ") &&
          strstr(davit_error_message(err), f->path));
    /* found out on the way: the file is named, what is there stays */
    d.size = DAVIT_SIZE_UNKNOWN;
    CHECK(dv_ingest_open(s, &d, &i, &err) == 0);
    int r = 0;
    while (r == 0)
        r = dv_ingest_write(i, bytes + dv_ingest_offset(i), 10000, &err);
    CHECK(r == DAVIT_ENOSPACE);
    CHECK(strstr(davit_error_message(err), f->path) && strstr(davit_error_message(err), "/ingest/sha256-"));
    uint64_t have = dv_ingest_have(i);
    CHECK(have > 1000000);
    dv_ingest_close(i);
    CHECK(mount("none", f->dir, "tmpfs", MS_REMOUNT, "size=8m,mode=0700") == 0);
    d.size = size;
    CHECK(dv_ingest_open(s, &d, &i, &err) == 0);
    CHECK(dv_ingest_offset(i) >= have);
    CHECK(dv_ingest_resume(i, &err) == 0);
    CHECK(dv_ingest_write(i, bytes + dv_ingest_offset(i), size - (size_t)dv_ingest_offset(i), &err) == 0);
    CHECK(dv_ingest_commit(i, &err) == 0);
    return 0;
}

static void ingest__a_full_disk_is_said_and_survived(void **state)
{
    expect_child(spawn(*state, on_a_full_disk));
}

static int ranges_on_a_full_disk(const fixture *f)
{
    if (!mount_private(f->dir, "size=2m,mode=0700"))
        return 77;
    size_t size = BIG;
    char *bytes = make_bytes(size, 1);
    davit_descriptor d = describe(bytes, size);
    dv_store *s = NULL;
    dv_ingest *i = NULL;
    CHECK(dv_store_open(f->path, DV_STORE_CREATE, &s, NULL) == 0);
    CHECK(mount("none", f->dir, "tmpfs", MS_REMOUNT, "size=8m,mode=0700") == 0);
    CHECK(dv_ingest_open(s, &d, &i, NULL) == 0);
    CHECK(mount("none", f->dir, "tmpfs", MS_REMOUNT, "size=2m,mode=0700") == 0);
    int r = 0;
    uint64_t start, end;
    for (unsigned k = 0; r == 0 && dv_ingest_gap(i, k % 2 * (size / 2), &start, &end); k++)
        r = dv_ingest_write_at(i, start, bytes + start, end - start < 7000 ? (size_t)(end - start) : 7000,
                               NULL);
    CHECK(r == DAVIT_ENOSPACE);
    dv_ingest_close(i);
    CHECK(mount("none", f->dir, "tmpfs", MS_REMOUNT, "size=8m,mode=0700") == 0);
    CHECK(dv_ingest_open(s, &d, &i, NULL) == 0);
    CHECK(dv_ingest_have(i) > 1000000);
    while (dv_ingest_gap(i, 0, &start, &end))
        CHECK(dv_ingest_write_at(i, start, bytes + start, (size_t)(end - start), NULL) == 0);
    CHECK(dv_ingest_commit(i, NULL) == 0);
    return 0;
}

static void ingest__ranges_survive_a_full_disk(void **state)
{
    expect_child(spawn(*state, ranges_on_a_full_disk));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(ingest__written_in_order_becomes_a_blob),
        store_test(ingest__of_unknown_size_is_judged_by_its_digest),
        store_test(ingest__sha512_has_its_own_folder_and_sha384_none),
        store_test(ingest_write_at__any_order_gives_the_blob),
        store_test(ingest_write_at__what_is_finished_stays),
        store_test(ingest_write_at__the_journal_is_at_most_128_KiB_behind),
        store_test(ingest_commit__refuses_what_is_not_the_blob),
        store_test(ingest_write__stops_at_the_size),
        store_test(ingest_reset__starts_over),
        store_test(ingest_abort__leaves_nothing),
        store_test(ingest_close__is_resumed),
        store_test(ingest_open__takes_or_discards_what_was_left),
        store_test(ingest_open__removes_a_leftover_of_a_finished_blob),
        store_test(ingest_commit__wrong_bytes_on_disk_are_found),
        store_test(ingest_commit__heals_a_blob_of_wrong_size),
        store_test(ingest_open__has_one_owner),
        store_test(ingest_close__forgets_a_nameless_one),
        store_test(ingest_open_unknown__learns_its_digest),
        store_test(ingest_open_keyed__is_gone_on_with),
        store_test(ingest_open_unknown__keeps_its_size_and_nothing_else),
        store_test(ingest_open__many_processes_make_one_blob),
        store_test(ingest__a_killed_stream_loses_nothing),
        store_test(ingest__killed_ranges_lose_at_most_128_KiB),
        store_test(ingest__killed_anywhere_leaves_a_store_that_works),
        store_test(ingest__a_full_disk_is_said_and_survived),
        store_test(ingest__ranges_survive_a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of store/db.c: opening, transactions, errors. */
#include "store_test.h"

#include "store/db.h"
#include "store/store_private.h"

#include <pthread.h>

static int64_t count_rows(dv_db *db)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    if (dv_db_begin(db, DV_DB_READ, &tx, NULL) < 0)
        return -1;
    DV_AUTOPTR(dv_rows) rows = NULL;
    if (dv_db_query(db, "SELECT count(*) FROM diff_id", NULL, 0, &rows, NULL) < 0 ||
        dv_rows_next(rows, NULL) != 1)
        return -1;
    return dv_rows_integer(rows, 0);
}

static int insert(dv_db *db, const char *key, davit_error **err)
{
    return dv_db_run(db, "INSERT INTO diff_id (blob, diff_id) VALUES (?1, 'x')", &DV_TEXT(key), 1, err);
}

static void db_tx__is_rolled_back_unless_committed(void **state)
{
    fixture *f = *state;
    dv_db *db = f->store->db;
    for (int commit = 0; commit < 2; commit++) {
        DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
        assert_int_equal(dv_db_begin(db, DV_DB_WRITE, &tx, NULL), 0);
        assert_int_equal(insert(db, "a", NULL), 0);
        assert_int_equal(count_rows(db), 1); /* joined */
        if (commit)
            assert_int_equal(dv_db_commit(&tx, NULL), 0);
        dv_db_tx_clear(&tx);
        assert_int_equal(count_rows(db), commit);
    }
}

static void db_tx__a_part_that_fails_fails_the_whole(void **state)
{
    fixture *f = *state;
    dv_db *db = f->store->db;
    {
        DV_AUTO(dv_db_tx) outer = DV_DB_TX_INIT;
        assert_int_equal(dv_db_begin(db, DV_DB_WRITE, &outer, NULL), 0);
        assert_int_equal(insert(db, "a", NULL), 0);
        {
            DV_AUTO(dv_db_tx) inner = DV_DB_TX_INIT;
            assert_int_equal(dv_db_begin(db, DV_DB_WRITE_RELAXED, &inner, NULL), 0);
            assert_int_equal(insert(db, "b", NULL), 0);
        }
        assert_int_equal(dv_db_commit(&outer, NULL), DAVIT_ESTORE);
    }
    assert_int_equal(count_rows(db), 0);
}

static void *insert_many(void *arg)
{
    dv_db *db = arg;
    static _Atomic int next;
    for (int i = 0; i < 50; i++) {
        DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
        char key[20];
        snprintf(key, sizeof(key), "%d", next++);
        if (dv_db_begin(db, DV_DB_WRITE_RELAXED, &tx, NULL) < 0 || insert(db, key, NULL) < 0 ||
            dv_db_commit(&tx, NULL) < 0)
            return arg;
    }
    return NULL;
}

static void db_tx__threads_take_turns(void **state)
{
    fixture *f = *state;
    pthread_t threads[4];
    for (size_t i = 0; i < DV_COUNT(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, insert_many, f->store->db), 0);
    for (size_t i = 0; i < DV_COUNT(threads); i++) {
        void *failed;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(count_rows(f->store->db), 200);
}

static void db_open__refuses_what_is_newer_or_no_database(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    char garbage[5000];
    memset(garbage, 'x', sizeof(garbage));
    {
        DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
        assert_ok(dv_db_begin(f->store->db, DV_DB_WRITE, &tx, &err));
        assert_ok(dv_db_run(f->store->db, "PRAGMA user_version = 99", NULL, 0, &err));
        assert_ok(dv_db_commit(&tx, &err));
    }
    DV_AUTOPTR(dv_store) s = NULL;
    struct dv_db *db;
    assert_ok(dv_store_open(f->path, 0, &s, &err));
    assert_int_equal(dv_store_db(s, &db, &err), DAVIT_ESTORE);
    assert_non_null(strstr(davit_error_message(err), "made by a newer davit"));
    dv_store_unref(f->store);
    f->store = NULL;
    assert_int_equal(dv_file_replace(dv_store_dirfd(s), "davit.db", garbage, sizeof(garbage), 0600, NULL), 0);
    unlinkat(dv_store_dirfd(s), "davit.db-wal", 0);
    unlinkat(dv_store_dirfd(s), "davit.db-shm", 0);
    assert_int_equal(dv_store_db(s, &db, &err), DAVIT_ESTORE);
    assert_non_null(strstr(davit_error_message(err), "davit.db is damaged"));
    davit_error_free(err);
}

static int on_a_full_disk(const fixture *f)
{
    if (!mount_private(f->dir, "size=1m,mode=0700"))
        return 77;
    dv_store *s = NULL;
    davit_error *err = NULL;
    char key[2001] = {0};
    int r = 0, n = 0;
    CHECK(dv_store_open(f->path, DV_STORE_CREATE, &s, &err) == 0);
    for (; r == 0 && n < 2000; n++) {
        DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
        memset(key, 'a', 2000);
        snprintf(key, 20, "%d", n);
        key[strlen(key)] = 'b';
        r = dv_db_begin(s->db, DV_DB_WRITE, &tx, &err);
        if (r == 0)
            r = insert(s->db, key, &err);
        if (r == 0)
            r = dv_db_commit(&tx, &err);
    }
    CHECK(r == DAVIT_ENOSPACE);
    CHECK(strstr(davit_error_message(err), f->path));
    CHECK(count_rows(s->db) == n - 1);
    return 0;
}

static void db_tx__a_full_disk_is_said_and_loses_nothing(void **state)
{
    expect_child(spawn(*state, on_a_full_disk));
}

/* What a reader meets between another process's making of the file and its schema: the header of an empty WAL database. */
static void db_open__a_reader_takes_a_database_without_schema_as_empty(void **state)
{
    fixture *f = *state;
    static const unsigned char page[4096] = "SQLite format 3\0\x10\0\2\2\0\x40\x20\x20";
    DV_AUTOPTR(dv_store) reader = NULL;
    DV_AUTO(dv_buf) path = DV_BUF_INIT(4096);
    dv_buf_printf(&path, "%s/davit.db", f->path);
    FILE *file = fopen(dv_buf_text(&path), "w");
    assert_non_null(file);
    assert_int_equal(fwrite(page, 1, sizeof(page), file), sizeof(page));
    fclose(file);
    assert_int_equal(dv_store_open(f->path, DV_STORE_READ_ONLY, &reader, NULL), 0);
    assert_int_equal(dv_db_open(reader->db, NULL), 0);
    assert_int_equal(count_rows(reader->db), 0);
}

/* What version 1 of the schema had where version 2 has something else. */
static const char *const back_to_version_1[] = {
    "DROP TABLE blob_source",
    "CREATE TABLE blob_source (id INTEGER PRIMARY KEY, blob TEXT NOT NULL, repository TEXT NOT NULL,"
    " UNIQUE (blob, repository))",
    "DROP INDEX diff_id_diff_id",
    "DROP TABLE layer",
    "DROP TABLE layer_reference",
    "DROP TABLE upload_session",
    "DROP TABLE v1_image",
    "INSERT INTO blob_source (id, blob, repository) VALUES (7, 'sha256:aa', 'docker.io/library/old')",
    "PRAGMA user_version = 1",
};

static void db_open__an_older_schema_is_brought_up_to_date(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    for (size_t i = 0; i < sizeof(back_to_version_1) / sizeof(back_to_version_1[0]); i++) {
        DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
        assert_ok(dv_db_begin(f->store->db, DV_DB_WRITE, &tx, &err));
        assert_ok(dv_db_run(f->store->db, back_to_version_1[i], NULL, 0, &err));
        assert_ok(dv_db_commit(&tx, &err));
    }
    dv_store_unref(f->store);
    f->store = NULL;

    DV_AUTOPTR(dv_store) reader = NULL;
    assert_ok(dv_store_open(f->path, DV_STORE_READ_ONLY, &reader, &err));
    assert_int_equal(dv_db_open(reader->db, &err), DAVIT_ESTORE);
    assert_non_null(strstr(davit_error_message(err), "made by an older davit"));
    davit_error_free(err);
    err = NULL;

    assert_ok(dv_store_open(f->path, 0, &f->store, &err));
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    assert_ok(dv_db_begin(f->store->db, DV_DB_READ, &tx, &err));
    DV_AUTOPTR(dv_rows) rows = NULL;
    assert_ok(dv_db_query(
        f->store->db, "SELECT repository, hmac, (SELECT count(*) FROM layer) FROM blob_source WHERE id = 7",
        NULL, 0, &rows, &err));
    assert_int_equal(dv_rows_next(rows, &err), 1);
    assert_string_equal(dv_rows_text(rows, 0), "docker.io/library/old");
    assert_string_equal(dv_rows_text(rows, 1), "");
    assert_int_equal(dv_rows_integer(rows, 2), 0);
    assert_int_equal(dv_db_open(reader->db, &err), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(db_tx__is_rolled_back_unless_committed),
        store_test(db_tx__a_part_that_fails_fails_the_whole),
        store_test(db_tx__threads_take_turns),
        store_test(db_open__refuses_what_is_newer_or_no_database),
        store_test(db_tx__a_full_disk_is_said_and_loses_nothing),
        store_test(db_open__a_reader_takes_a_database_without_schema_as_empty),
        store_test(db_open__an_older_schema_is_brought_up_to_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

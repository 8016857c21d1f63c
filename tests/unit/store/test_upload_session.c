/* Unit tests of store/upload_session.c. */
#include "store_test.h"

#include "store/db.h"
#include "store/upload_session.h"

static void upload_session__is_remembered_until_it_ends(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    const davit_digest a = describe("a", 1).digest, b = describe("b", 1).digest;
    static const struct {
        const char *repository;
        int blob;
        const char *url; /* NULL: not there */
        uint64_t sent;
    } rows[] = {
        {"r.example/app", 0, "https://r.example/u1?state=2", UINT64_C(5) << 32},
        {"r.example/app", 1, "https://r.example/u2", 0},
        {"r.example/other", 0, NULL, 0},
    };
    DV_AUTO(dv_stored_upload) none = DV_STORED_UPLOAD_INIT;
    assert_int_equal(dv_upload_session_get(f->store, "r.example/app", &a, &none, NULL), DAVIT_ENOTFOUND);
    assert_ok(dv_upload_session_put(f->store, "r.example/app", &a, "https://r.example/u1?state=1", 7, &err));
    assert_ok(dv_upload_session_put(f->store, "r.example/app", &b, "https://r.example/u2", 0, &err));
    assert_ok(dv_upload_session_put(f->store, "r.example/app", &a, "https://r.example/u1?state=2",
                                    UINT64_C(5) << 32, &err));
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_stored_upload) got = DV_STORED_UPLOAD_INIT;
        int r = dv_upload_session_get(f->store, rows[i].repository, rows[i].blob ? &b : &a, &got, NULL);
        assert_int_equal(r, rows[i].url ? 0 : DAVIT_ENOTFOUND);
        if (rows[i].url)
            assert_string_equal(got.url, rows[i].url);
        assert_int_equal(got.sent, rows[i].sent);
    }
    assert_ok(dv_upload_session_delete(f->store, "r.example/app", &a, &err));
    assert_ok(dv_upload_session_delete(f->store, "r.example/app", &a, &err));
    assert_int_equal(dv_upload_session_get(f->store, "r.example/app", &a, &none, NULL), DAVIT_ENOTFOUND);
    DV_AUTO(dv_stored_upload) left = DV_STORED_UPLOAD_INIT;
    assert_ok(dv_upload_session_get(f->store, "r.example/app", &b, &left, &err));
}

static void set_age(dv_store *s, const char *repository, int64_t seconds)
{
    struct dv_db *db = NULL;
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    assert_int_equal(dv_store_db(s, &db, NULL), 0);
    assert_int_equal(dv_db_begin(db, DV_DB_WRITE, &tx, NULL), 0);
    assert_int_equal(dv_db_run(db,
                               "UPDATE upload_session SET updated_at = updated_at - ?1 WHERE repository = ?2",
                               (dv_db_value[]){DV_INTEGER(seconds), DV_TEXT(repository)}, 2, NULL),
                     0);
    assert_int_equal(dv_db_commit(&tx, NULL), 0);
}

static int64_t count(dv_store *s)
{
    struct dv_db *db = NULL;
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    assert_int_equal(dv_store_db(s, &db, NULL), 0);
    assert_int_equal(dv_db_begin(db, DV_DB_READ, &tx, NULL), 0);
    DV_AUTOPTR(dv_rows) rows = NULL;
    assert_int_equal(dv_db_query(db, "SELECT count(*) FROM upload_session", NULL, 0, &rows, NULL), 0);
    assert_int_equal(dv_rows_next(rows, NULL), 1);
    return dv_rows_integer(rows, 0);
}

static void upload_session__an_old_one_is_none(void **state)
{
    enum { DAY = 24 * 60 * 60 };
    fixture *f = *state;
    davit_error *err = NULL;
    const davit_digest a = describe("a", 1).digest;
    DV_AUTO(dv_stored_upload) young = DV_STORED_UPLOAD_INIT;
    DV_AUTO(dv_stored_upload) old = DV_STORED_UPLOAD_INIT;
    assert_ok(dv_upload_session_put(f->store, "young", &a, "u", 1, &err));
    assert_ok(dv_upload_session_put(f->store, "old", &a, "u", 1, &err));
    set_age(f->store, "young", DV_UPLOAD_SESSION_DAYS * DAY - 100);
    set_age(f->store, "old", DV_UPLOAD_SESSION_DAYS * DAY + 100);
    assert_ok(dv_upload_session_get(f->store, "young", &a, &young, &err));
    assert_int_equal(dv_upload_session_get(f->store, "old", &a, &old, NULL), DAVIT_ENOTFOUND);
    assert_int_equal(count(f->store), 2);
    assert_ok(dv_upload_session_expire(f->store, &err));
    assert_int_equal(count(f->store), 1);
    assert_ok(dv_upload_session_expire(f->store, &err));
    assert_int_equal(count(f->store), 1);
}

/* A URL may hold secrets: nobody else reads the database, nor what it writes beside it. */
static void upload_session__is_for_its_owner_only(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    const davit_digest a = describe("a", 1).digest;
    struct stat st;
    assert_ok(dv_upload_session_put(f->store, "r", &a, "https://r.example/u?secret=1", 1, &err));
    assert_int_equal(fstatat(dv_store_dirfd(f->store), "davit.db", &st, 0), 0);
    assert_int_equal(st.st_mode & 077, 0);
    if (fstatat(dv_store_dirfd(f->store), "davit.db-wal", &st, 0) == 0)
        assert_int_equal(st.st_mode & 077, 0);
    assert_int_equal(fstat(dv_store_dirfd(f->store), &st), 0);
    assert_int_equal(st.st_mode & 077, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(upload_session__is_remembered_until_it_ends),
        store_test(upload_session__an_old_one_is_none),
        store_test(upload_session__is_for_its_owner_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of store/lease.c. */
#include "store_test.h"

#include "store/db.h"
#include "store/store_private.h"

static int64_t count_rows(const fixture *f)
{
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    if (dv_db_begin(f->store->db, DV_DB_READ, &tx, NULL) < 0)
        return -1;
    DV_AUTOPTR(dv_rows) rows = NULL;
    if (dv_db_query(f->store->db,
                    "SELECT (SELECT count(*) FROM lease) * 1000 + (SELECT count(*) FROM lease_blob)", NULL, 0,
                    &rows, NULL) < 0 ||
        dv_rows_next(rows, NULL) != 1)
        return -1;
    return dv_rows_integer(rows, 0);
}

static void lease_release__removes_file_and_rows(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    dv_lease *l = NULL;
    davit_digest digests[3] = {describe("a", 1).digest, describe("b", 1).digest, describe("a", 1).digest};
    assert_ok(dv_lease_open(f->store, &l, &err));
    assert_int_equal(count_files(f, "leases"), 1);
    assert_ok(dv_lease_add(l, digests, 3, &err));
    assert_ok(dv_lease_add(l, digests, 1, &err));
    assert_int_equal(count_rows(f), 1002);
    dv_lease_release(l);
    assert_int_equal(count_rows(f), 0);
    assert_int_equal(count_files(f, "leases"), 0);
    dv_lease_release(NULL);
}

static int dies_with_a_lease(const fixture *f)
{
    dv_store *s = NULL;
    dv_lease *l = NULL;
    davit_digest digest = describe("a", 1).digest;
    CHECK(dv_store_open(f->path, 0, &s, NULL) == 0);
    CHECK(dv_lease_open(s, &l, NULL) == 0);
    CHECK(dv_lease_add(l, &digest, 1, NULL) == 0);
    _exit(0);
}

static void lease_open__buries_the_dead_and_spares_the_living(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    dv_lease *mine = NULL, *next = NULL;
    davit_digest digest = describe("b", 1).digest;
    assert_int_equal(wait_for(spawn(f, dies_with_a_lease)), 0);
    assert_int_equal(count_files(f, "leases"), 1);
    assert_ok(dv_lease_open(f->store, &mine, &err));
    assert_ok(dv_lease_add(mine, &digest, 1, &err));
    assert_int_equal(count_files(f, "leases"), 1);
    assert_int_equal(count_rows(f), 1001);
    assert_int_equal(wait_for(spawn(f, dies_with_a_lease)), 0);
    assert_int_equal(count_rows(f), 2002);
    assert_ok(dv_lease_open(f->store, &next, &err)); /* mine is of this very process */
    assert_int_equal(count_rows(f), 1001);
    assert_int_equal(count_files(f, "leases"), 2);
    dv_lease_release(mine);
    dv_lease_release(next);
    assert_int_equal(count_rows(f), 0);
}

static void lease_sweep__finds_rows_without_file_too(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    size_t removed = 0;
    dv_lease *mine = NULL;
    davit_digest digest = describe("b", 1).digest;
    assert_ok(dv_lease_open(f->store, &mine, &err));
    assert_ok(dv_lease_add(mine, &digest, 1, &err));
    {
        DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
        assert_ok(dv_db_begin(f->store->db, DV_DB_WRITE, &tx, &err));
        assert_ok(dv_db_run(f->store->db, "INSERT INTO lease VALUES ('00000000000000000000000000000001', 1)",
                            NULL, 0, &err));
        assert_ok(dv_db_run(f->store->db,
                            "INSERT INTO lease_blob VALUES ('00000000000000000000000000000002', 'x')", NULL,
                            0, &err));
        assert_ok(dv_db_commit(&tx, &err));
    }
    assert_int_equal(wait_for(spawn(f, dies_with_a_lease)), 0);
    assert_ok(dv_lease_sweep(f->store, &removed, &err));
    assert_int_equal(removed, 3);
    assert_int_equal(count_rows(f), 1001);
    assert_ok(dv_lease_sweep(f->store, &removed, &err));
    assert_int_equal(removed, 0);
    dv_lease_release(mine);
}

static int opens_many(const fixture *f)
{
    dv_store *s = NULL;
    davit_digest digest = describe("a", 1).digest;
    CHECK(dv_store_open(f->path, 0, &s, NULL) == 0);
    for (int i = 0; i < 100; i++) {
        dv_lease *l = NULL;
        struct stat st;
        CHECK(dv_lease_open(s, &l, NULL) == 0);
        CHECK(i % 10 || dv_lease_add(l, &digest, 1, NULL) == 0);
        CHECK(fstatat(dv_store_dirfd(s), "leases", &st, 0) == 0);
        dv_lease_release(l);
    }
    return 0;
}

static void lease_open__many_processes_do_not_disturb_each_other(void **state)
{
    fixture *f = *state;
    pid_t children[5];
    for (size_t k = 0; k < DV_COUNT(children); k++)
        children[k] = spawn(f, opens_many);
    for (size_t k = 0; k < DV_COUNT(children); k++)
        assert_int_equal(wait_for(children[k]), 0);
    assert_int_equal(count_rows(f), 0);
    assert_int_equal(count_files(f, "leases"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(lease_release__removes_file_and_rows),
        store_test(lease_open__buries_the_dead_and_spares_the_living),
        store_test(lease_sweep__finds_rows_without_file_too),
        store_test(lease_open__many_processes_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

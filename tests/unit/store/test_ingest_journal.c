/* Unit tests of store/ingest_journal.c. */
#include "store_test.h"

#include "store/ingest_journal.h"

#define HEAD "davit-ingest 1\n"

static void journal_parse__takes_whole_lines_only(void **state)
{
    static const struct {
        const char *text;
        int result;
        uint64_t total;
        size_t used;
    } rows[] = {
        {HEAD, 0, 0, 15},
        {HEAD "have 0 10\n", 0, 10, 25},
        {HEAD "have 0 10\nhave 20 30\nhave 10 20\n", 0, 30, 47},
        {HEAD "have 0 10\nhave 5 15\n", 0, 15, 35},
        {HEAD "have 0 10\nhave 20 3", 0, 10, 25}, /* being written when its owner died */
        {HEAD "ha", 0, 0, 15},
        {HEAD "have 0 1000\n", 0, 1000, 27},
        {HEAD "have 0 1001\n", DAVIT_EFORMAT, 0, 0}, /* beyond the blob */
        {HEAD "have 0 18446744073709551616\n", DAVIT_EFORMAT, 0, 0},
        {HEAD "have 10 10\n", DAVIT_EFORMAT, 0, 0},
        {HEAD "have 11 10\n", DAVIT_EFORMAT, 0, 0},
        {HEAD "have -1 10\n", DAVIT_EFORMAT, 0, 0},
        {HEAD "have 00 10\n", DAVIT_EFORMAT, 0, 0},
        {HEAD "have 0  10\n", DAVIT_EFORMAT, 0, 0},
        {HEAD "have 0 10 \n", DAVIT_EFORMAT, 0, 0},
        {HEAD "have 0 10\r\n", DAVIT_EFORMAT, 0, 0},
        {HEAD "\n", DAVIT_EFORMAT, 0, 0},
        {HEAD "need 0 10\n", DAVIT_EFORMAT, 0, 0},
        {HEAD "have 0 10\nx\nhave 10 20\n", DAVIT_EFORMAT, 0, 0},
        {"", DAVIT_EFORMAT, 0, 0},
        {"davit-ingest 1", DAVIT_EFORMAT, 0, 0},
        {"davit-ingest 2\nhave 0 10\n", DAVIT_EFORMAT, 0, 0},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_spans) spans = DV_SPANS_INIT;
        size_t used = 0;
        int r = dv_journal_parse(rows[i].text, strlen(rows[i].text), 1000, &spans, &used, NULL);
        if (r != rows[i].result || dv_spans_total(&spans) != rows[i].total || used != rows[i].used)
            fail_msg("\"%s\": expected %d %llu %zu, got %d %llu %zu", rows[i].text, rows[i].result,
                     (unsigned long long)rows[i].total, rows[i].used, r,
                     (unsigned long long)dv_spans_total(&spans), used);
    }
}

static void journal_parse__has_a_ceiling(void **state)
{
    DV_AUTO(dv_spans) spans = DV_SPANS_INIT;
    size_t used, size = DV_JOURNAL_MAX + 1;
    char *text = calloc(1, size);
    memcpy(text, HEAD, strlen(HEAD));
    assert_int_equal(dv_journal_parse(text, size, UINT64_MAX, &spans, &used, NULL), DAVIT_ETOOBIG);
    free(text);
}

static void journal_add__stays_short_and_true(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    dv_journal j;
    DV_AUTO(dv_spans) have = DV_SPANS_INIT;
    mkdirat(dv_store_dirfd(f->store), "ingest", 0700);
    assert_ok(dv_journal_init(&j, f->store, "ingest/x", &err));
    assert_ok(dv_journal_create(&j, &have, &err));
    for (uint64_t i = 0; i < 20000; i++) { /* two streams */
        uint64_t start = (i % 2 ? 1ull << 40 : 0) + i / 2 * DV_JOURNAL_BEHIND;
        assert_ok(dv_spans_add(&have, start, start + DV_JOURNAL_BEHIND, &err));
        assert_ok(dv_journal_add(&j, &have, start, start + DV_JOURNAL_BEHIND, &err));
    }
    assert_true(j.used <= DV_JOURNAL_COMPACT + 100);
    assert_int_equal(count_files(f, "ingest"), 1);
    dv_journal_clear(&j);

    DV_AUTO(dv_spans) read = DV_SPANS_INIT;
    assert_ok(dv_journal_init(&j, f->store, "ingest/x", &err));
    assert_ok(dv_journal_load(&j, UINT64_MAX, &read, &err));
    assert_int_equal(read.count, 2);
    assert_int_equal(dv_spans_total(&read), dv_spans_total(&have));
    dv_journal_remove(&j);
    dv_journal_clear(&j);
    assert_int_equal(count_files(f, "ingest"), 0);
}

static void journal_load__drops_a_torn_line(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    dv_journal j;
    DV_AUTO(dv_spans) spans = DV_SPANS_INIT;
    const char text[] = HEAD "have 0 10\nhave 1000000000 20000";
    mkdirat(dv_store_dirfd(f->store), "ingest", 0700);
    assert_ok(dv_file_replace(dv_store_dirfd(f->store), "ingest/x.journal", text, strlen(text), 0600, &err));
    assert_ok(dv_journal_init(&j, f->store, "ingest/x", &err));
    assert_ok(dv_journal_load(&j, UINT64_MAX, &spans, &err));
    assert_int_equal(dv_spans_total(&spans), 10);
    assert_ok(dv_spans_add(&spans, 20, 21, &err));
    assert_ok(dv_journal_add(&j, &spans, 20, 21, &err));
    assert_ok(dv_journal_flush(&j, &spans, &err));
    dv_journal_clear(&j);
    DV_AUTO(dv_buf) now = DV_BUF_INIT(1000);
    assert_ok(dv_file_read(dv_store_dirfd(f->store), "ingest/x.journal", 1000, &now, &err));
    assert_string_equal(dv_buf_text(&now), HEAD "have 0 10\nhave 20 21\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(journal_parse__takes_whole_lines_only),
        cmocka_unit_test(journal_parse__has_a_ceiling),
        store_test(journal_add__stays_short_and_true),
        store_test(journal_load__drops_a_torn_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of store/gc.c, content_graph.c, digest_set.c and ingest_sweep.c: what is needed stays, whoever needs it (DESIGN 6). */
#include "image_test.h"

#include "store/db.h"
#include "store/gc.h"
#include "store/ingest_sweep.h"
#include "store/store_private.h"
#include "util/clock.h"
#include "util/hash.h"

static dv_gc_result collect(const fixture *f)
{
    davit_error *err = NULL;
    dv_gc_result result;
    assert_ok(dv_gc_collect(f->store, NULL, /* dry= */ false, &result, &err));
    return result;
}

/* --- digest_set ------------------------------------------------------------------------------------------------------ */

static void digest_set__keeps_each_digest_once_in_order(void **state)
{
    enum { COUNT = 5000 };
    DV_AUTO(dv_digest_set) set = {0};
    uint32_t number;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < COUNT; i++) {
            davit_digest digest = describe(&i, sizeof(i)).digest;
            assert_int_equal(dv_digest_set_add(&set, &digest, &number, NULL), round == 0);
            assert_int_equal(number, i);
        }
    for (int i = 0; i < 2 * COUNT; i++) {
        davit_digest digest = describe(&i, sizeof(i)).digest, got;
        assert_int_equal(dv_digest_set_has(&set, &digest, &number), i < COUNT);
        if (i >= COUNT)
            continue;
        dv_digest_set_get(&set, number, &got);
        assert_string_equal(got.text, digest.text);
    }
}

static void digest_set__algorithms_and_equal_beginnings_differ(void **state)
{
    DV_AUTO(dv_digest_set) set = {0};
    uint8_t bytes[DAVIT_DIGEST_BYTES_MAX] = {0};
    davit_digest digests[70];
    for (size_t i = 0; i < DV_COUNT(digests); i++) { /* all at one place of the table */
        bytes[31] = (uint8_t)i;
        dv_digest_from_bytes(i % 2 ? DAVIT_SHA256 : DAVIT_SHA512, bytes, &digests[i]);
        assert_false(dv_digest_set_has(&set, &digests[i], NULL));
        assert_int_equal(dv_digest_set_add(&set, &digests[i], NULL, NULL), 1);
    }
    for (size_t i = 0; i < DV_COUNT(digests); i++)
        assert_true(dv_digest_set_has(&set, &digests[i], NULL));
    assert_int_equal(set.count, DV_COUNT(digests));
}

/* --- content_graph --------------------------------------------------------------------------------------------------- */

static void content_graph__lists_what_documents_need(void **state)
{
    fixture *f = *state;
    test_image images[] = {put_image(f->store, LAYERS("x", "y"), NULL),
                           put_image(f->store, LAYERS("x"), NULL)};
    davit_digest index = put_index(f->store, images, 2), lost = describe("lost", 4).digest;
    DV_AUTO(dv_content_graph) g = DV_CONTENT_GRAPH_INIT(f->store);
    DV_AUTO(dv_content_marks) marks = {0};
    uint32_t node, other;
    assert_int_equal(dv_content_graph_add_document(&g, &index, "", &node, NULL), 0);
    assert_int_equal(g.nodes[node].state, DV_CONTENT_DOCUMENT);
    assert_int_equal(g.nodes[node].edge_count, 2);
    assert_int_equal(g.digests.count, 1 + 2 + 2 + 2); /* index, manifests, configs, layers x and y */
    assert_int_equal(dv_content_graph_add_document(&g, &lost, NULL, &other, NULL), 0);
    assert_int_equal(g.nodes[other].state, DV_CONTENT_ABSENT);
    assert_int_equal(dv_content_marks_reset(&marks, &g, NULL), 0);
    assert_int_equal(dv_content_graph_mark(&g, &marks, node, NULL, NULL), 0);
    for (uint32_t i = 0; i < g.digests.count; i++)
        assert_int_equal(marks.of[i], i != other);
}

static void content_graph__document_that_comes_later_is_read_then(void **state)
{
    fixture *f = *state;
    test_image image = put_image(f->store, LAYERS("x"), NULL);
    DV_AUTO(dv_content_graph) g = DV_CONTENT_GRAPH_INIT(f->store);
    char name[DV_CONTENT_NAME_MAX];
    uint32_t node, again;
    assert_int_equal(dv_content_name(&image.manifest, name, NULL), 0);
    assert_int_equal(renameat(f->store->dirfd, name, f->store->dirfd, "aside"), 0);
    assert_int_equal(dv_content_graph_add_document(&g, &image.manifest, NULL, &node, NULL), 0);
    assert_int_equal(g.nodes[node].state, DV_CONTENT_ABSENT);
    assert_int_equal(renameat(f->store->dirfd, "aside", f->store->dirfd, name), 0);
    assert_int_equal(dv_content_graph_refresh(&g, NULL), 0);
    assert_int_equal(g.nodes[node].state, DV_CONTENT_DOCUMENT);
    assert_int_equal(dv_content_graph_add_document(&g, &image.manifest, NULL, &again, NULL), 0);
    assert_int_equal(node, again);
    assert_int_equal(g.nodes[node].edge_count, 2);
}

static void content_graph__bytes_that_are_no_document_are_damage(void **state)
{
    fixture *f = *state;
    static const char *const texts[] = {"", "{", "no json", "[]"};
    for (size_t i = 0; i < DV_COUNT(texts); i++) {
        DV_AUTO(dv_content_graph) g = DV_CONTENT_GRAPH_INIT(f->store);
        DV_AUTO(dv_content_marks) marks = {0};
        const dv_content_node *damaged = NULL;
        uint32_t node;
        davit_digest digest = put_text(f->store, texts[i]);
        assert_int_equal(dv_content_graph_add_document(&g, &digest, NULL, &node, NULL), 0);
        assert_int_equal(g.nodes[node].state, DV_CONTENT_DAMAGED);
        assert_int_equal(dv_content_marks_reset(&marks, &g, NULL), 0);
        assert_int_equal(dv_content_graph_mark(&g, &marks, node, &damaged, NULL), 0);
        assert_ptr_equal(damaged, &g.nodes[node]);
    }
}

/* --- collecting ------------------------------------------------------------------------------------------------------ */

static void gc_collect__keeps_what_rows_name_and_what_that_needs(void **state)
{
    fixture *f = *state;
    test_image images[] = {put_image(f->store, LAYERS("base", "amd"), NULL),
                           put_image(f->store, LAYERS("base", "arm"), NULL)};
    davit_digest index = put_index(f->store, images, 2);
    record_images(f->store, "multi:1", &index, images, 2);
    size_t needed = count_files(f, "blobs/sha256");
    put_text(f->store, "of nobody");
    put_image(f->store, LAYERS("of", "nobody", "either"), NULL);
    dv_gc_result result = collect(f);
    assert_int_equal(result.blobs, 1 + 5);
    assert_int_equal(count_files(f, "blobs/sha256"), needed);
    assert_int_equal(collect(f).blobs, 0);
}

static void gc_collect__rows_of_caches_go_with_their_blobs(void **state)
{
    fixture *f = *state;
    test_image image = put_image(f->store, LAYERS("of nobody"), NULL);
    record_images(f->store, "a:1", NULL, &image, 1);
    {
        davit_error *err = NULL;
        DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
        assert_ok(dv_db_begin(f->store->db, DV_DB_WRITE, &tx, &err));
        assert_ok(dv_db_run(f->store->db, "DELETE FROM reference", NULL, 0, &err));
        assert_ok(dv_db_run(f->store->db, "DELETE FROM image", NULL, 0, &err));
        assert_ok(
            dv_db_run(f->store->db, "INSERT INTO diff_id SELECT blob, blob FROM blob_source", NULL, 0, &err));
        assert_ok(dv_db_commit(&tx, &err));
    }
    collect(f);
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    assert_int_equal(dv_db_begin(f->store->db, DV_DB_READ, &tx, NULL), 0);
    DV_AUTOPTR(dv_rows) rows = NULL;
    assert_int_equal(dv_db_query(f->store->db,
                                 "SELECT (SELECT count(*) FROM diff_id) + (SELECT count(*) FROM blob_source)",
                                 NULL, 0, &rows, NULL),
                     0);
    assert_int_equal(dv_rows_next(rows, NULL), 1);
    assert_int_equal(dv_rows_integer(rows, 0), 0);
}

static void gc_collect__only_candidates_go(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_digest wanted = put_text(f->store, "unneeded and meant"), other = put_text(f->store, "unneeded");
    test_image image = add_image(f->store, "a:1", LAYERS("base"));
    DV_AUTO(dv_digest_set) candidates = {0};
    dv_gc_result result;
    assert_int_equal(dv_digest_set_add(&candidates, &wanted, NULL, NULL), 1);
    assert_int_equal(dv_digest_set_add(&candidates, &image.layers[0], NULL, NULL), 1);
    assert_ok(dv_gc_collect(f->store, &candidates, /* dry= */ true, &result, &err));
    assert_int_equal(result.blobs, 1);
    assert_true(has(f->store, &wanted));
    assert_ok(dv_gc_collect(f->store, &candidates, /* dry= */ false, &result, &err));
    assert_int_equal(result.blobs, 1);
    assert_int_equal(result.bytes, strlen("unneeded and meant"));
    assert_false(has(f->store, &wanted));
    assert_true(has(f->store, &other) && has(f->store, &image.layers[0]));
}

/* --- leases ------------------------------------------------------------------------------------------------------------ */

static int gate[2]; /* the parent writes when the child may go on */
static int ready[2];

static int holds_a_lease(const fixture *f)
{
    dv_store *s = NULL;
    dv_lease *l = NULL;
    davit_digest digest = describe("leased", 6).digest;
    char byte = 0;
    CHECK(dv_store_open(f->path, 0, &s, NULL) == 0);
    CHECK(dv_lease_open(s, &l, NULL) == 0);
    CHECK(dv_lease_add(l, &digest, 1, NULL) == 0);
    CHECK(write(ready[1], "r", 1) == 1);
    CHECK(read(gate[0], &byte, 1) == 1);
    if (byte == 'r')
        dv_lease_release(l);
    _exit(0); /* else it dies with the lease */
}

static pid_t start_holder(const fixture *f)
{
    char byte;
    assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t child = spawn(f, holds_a_lease);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    return child;
}

static void end_holder(pid_t child, char how)
{
    assert_int_equal(write(gate[1], &how, 1), 1);
    assert_int_equal(wait_for(child), 0);
    close(gate[0]), close(gate[1]), close(ready[0]), close(ready[1]);
}

static void gc_collect__lease_of_a_live_process_keeps_its_blobs(void **state)
{
    fixture *f = *state;
    static const char ends[] = {'r', 'd'};
    for (size_t i = 0; i < sizeof(ends); i++) {
        pid_t child = start_holder(f);
        davit_digest leased = put_text(f->store, "leased"), other = put_text(f->store, "of nobody");
        assert_int_equal(collect(f).blobs, 1);
        assert_true(has(f->store, &leased));
        assert_false(has(f->store, &other));
        end_holder(child, ends[i]);
        assert_int_equal(collect(f).blobs, 1);
        assert_false(has(f->store, &leased));
        assert_int_equal(count_files(f, "leases"), 0);
    }
}

/* A pull of one layer, in the order of DESIGN 6, again and again: a blob that it has leased and seen is there at the record. */
static int pulls(const fixture *f)
{
    dv_store *s = NULL;
    CHECK(dv_store_open(f->path, 0, &s, NULL) == 0);
    for (int i = 0; i < 60; i++) {
        char layer[32], name[32];
        dv_lease *l = NULL;
        test_image image = {0};
        /* Put outside of the lease: what is there may go at any time. */
        snprintf(layer, sizeof(layer), "layer %d", i % 3);
        snprintf(name, sizeof(name), "pulled:%d", i % 2);
        image = put_image(s, LAYERS(layer), NULL);
        davit_digest all[] = {image.manifest, image.config, image.layers[0]};
        CHECK(dv_lease_open(s, &l, NULL) == 0);
        CHECK(dv_lease_add(l, all, 3, NULL) == 0);
        put_image(s, LAYERS(layer), NULL); /* looks, and fetches what is missing */
        record_images(s, name, NULL, &image, 1);
        dv_lease_release(l);
        for (size_t k = 0; k < 3; k++)
            CHECK(has(s, &all[k]));
        if (i % 5 == 4) {
            davit_removal_list *list = NULL;
            const char *const names[] = {name};
            CHECK(davit_store_remove((davit_store *)s, names, 1, 0, &list, NULL) == 0);
            davit_removal_list_free(list);
        }
    }
    dv_store_unref(s);
    return 0;
}

static void gc_collect__never_takes_a_blob_from_a_pull(void **state)
{
    fixture *f = *state;
    pid_t child = spawn(f, pulls);
    int status;
    uint64_t rounds = 0, blobs = 0;
    while (waitpid(child, &status, WNOHANG) == 0) {
        blobs += collect(f).blobs;
        rounds++;
    }
    print_message("%llu collections took %llu blobs\n", (unsigned long long)rounds, (unsigned long long)blobs);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    davit_fsck_report *report = NULL;
    assert_int_equal(davit_store_fsck(outer(f), DAVIT_FSCK_FULL, &report, NULL), 0);
    assert_int_equal(davit_fsck_report_counts(report)->damage, 0);
    davit_fsck_report_free(report);
}

/* --- ingests ----------------------------------------------------------------------------------------------------------- */

#define HEX64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define NAMED "sha256-" HEX64
#define NAMELESS "new-0123456789abcdef"

static void ingest_file_kind__table(void **state)
{
    static const struct {
        const char *name;
        dv_ingest_file_kind kind;
    } cases[] = {
        {NAMED, DV_INGEST_NAMED},
        {"sha512-" HEX64 HEX64, DV_INGEST_NAMED},
        {NAMELESS, DV_INGEST_NAMELESS},
        {NAMED ".journal", DV_INGEST_JOURNAL},
        {NAMED ".journal.new", DV_INGEST_JOURNAL},
        {NAMELESS ".journal", DV_INGEST_JOURNAL},
        {"sha256-" HEX64 "0", DV_INGEST_STRAY},
        {"sha512-" HEX64, DV_INGEST_STRAY},
        {"sha384-" HEX64, DV_INGEST_STRAY},
        {"sha256-0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef", DV_INGEST_STRAY},
        {"new-", DV_INGEST_STRAY},
        {"key-" HEX64, DV_INGEST_NAMED},
        {"key-" HEX64 ".journal", DV_INGEST_JOURNAL},
        {"key-0123456789abcdef", DV_INGEST_STRAY},
        {"new-0123456789abcdeg", DV_INGEST_STRAY},
        {".journal", DV_INGEST_STRAY},
        {"", DV_INGEST_STRAY},
        {NAMED ".other", DV_INGEST_STRAY},
    };
    for (size_t i = 0; i < DV_COUNT(cases); i++)
        if (dv_ingest_file_kind_of(cases[i].name, NULL) != cases[i].kind)
            fail_msg("%s", cases[i].name);
}

static void plant(const fixture *f, const char *name, int64_t age_s)
{
    char path[300];
    dv_store_make_directory(f->store, "ingest");
    snprintf(path, sizeof(path), "ingest/%s", name);
    int fd = openat(f->store->dirfd, path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "bytes", 5), 5);
    const struct timespec times[] = {{.tv_sec = dv_wall_time_s() - age_s},
                                     {.tv_sec = dv_wall_time_s() - age_s}};
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

static bool there(const fixture *f, const char *name)
{
    char path[300];
    snprintf(path, sizeof(path), "ingest/%s", name);
    return faccessat(f->store->dirfd, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Ages in seconds; negative: a clock that ran ahead. */
static void ingest_sweep__by_age(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *name;
        int64_t age_s;
        bool goes;
    } cases[] = {
        {NAMED, 0, false},
        {NAMED, 7 * 86400 - 60, false},
        {NAMED, 7 * 86400 + 60, true},
        {NAMED, -6 * 86400, false},
        {NAMED, -8 * 86400, true},
        {NAMED, 20000 * 86400, true}, /* as good as 1970 */
        {NAMELESS, 0, false},
        {NAMELESS, 61, true},
        {NAMELESS, 8 * 86400, true},
        {NAMELESS, -120, true},
        {NAMED ".journal", 0, true}, /* of nothing */
        {"strange", 30 * 86400, false},
    };
    for (size_t i = 0; i < DV_COUNT(cases); i++) {
        davit_error *err = NULL;
        dv_ingest_sweep_result result;
        char path[300];
        plant(f, cases[i].name, cases[i].age_s);
        assert_ok(dv_ingest_sweep(f->store, dv_wall_time_s(), /* dry= */ true, &result, &err));
        assert_true(there(f, cases[i].name));
        assert_ok(dv_ingest_sweep(f->store, dv_wall_time_s(), /* dry= */ false, &result, &err));
        if (there(f, cases[i].name) == cases[i].goes)
            fail_msg("%s of %lld s %s", cases[i].name, (long long)cases[i].age_s,
                     cases[i].goes ? "stayed" : "went");
        snprintf(path, sizeof(path), "ingest/%s", cases[i].name);
        unlinkat(f->store->dirfd, path, 0);
        assert_int_equal(count_files(f, "ingest"), 0);
    }
}

static void ingest_sweep__takes_journals_along(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    dv_ingest_sweep_result result;
    plant(f, NAMED, 30 * 86400);
    plant(f, NAMED ".journal", 0);
    plant(f, NAMED ".journal.new", 0);
    assert_ok(dv_ingest_sweep(f->store, dv_wall_time_s(), /* dry= */ false, &result, &err));
    assert_int_equal(result.ingests, 1);
    assert_int_equal(count_files(f, "ingest"), 0);
}

static void ingest_sweep__spares_what_somebody_owns(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_descriptor desc = describe("bytes of it", 11);
    dv_ingest *named = NULL, *nameless = NULL;
    dv_ingest_sweep_result result;
    assert_ok(dv_ingest_open(f->store, &desc, &named, &err));
    assert_ok(dv_ingest_write(named, "bytes", 5, &err));
    assert_ok(dv_ingest_open_new(f->store, &desc, &nameless, &err));
    assert_ok(dv_ingest_write(nameless, "bytes", 5, &err));
    int64_t later = dv_wall_time_s() + 30 * 86400;
    assert_ok(dv_ingest_sweep(f->store, later, /* dry= */ false, &result, &err));
    assert_int_equal(result.ingests, 0);
    assert_int_equal(count_files(f, "ingest"), 2);
    assert_ok(dv_ingest_write(named, " of it", 6, &err));
    assert_ok(dv_ingest_commit(named, &err));
    dv_ingest_close(nameless);
    assert_true(has(f->store, &desc.digest));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digest_set__keeps_each_digest_once_in_order),
        cmocka_unit_test(digest_set__algorithms_and_equal_beginnings_differ),
        store_test(content_graph__lists_what_documents_need),
        store_test(content_graph__document_that_comes_later_is_read_then),
        store_test(content_graph__bytes_that_are_no_document_are_damage),
        store_test(gc_collect__keeps_what_rows_name_and_what_that_needs),
        store_test(gc_collect__rows_of_caches_go_with_their_blobs),
        store_test(gc_collect__only_candidates_go),
        store_test(gc_collect__lease_of_a_live_process_keeps_its_blobs),
        store_test(gc_collect__never_takes_a_blob_from_a_pull),
        cmocka_unit_test(ingest_file_kind__table),
        store_test(ingest_sweep__by_age),
        store_test(ingest_sweep__takes_journals_along),
        store_test(ingest_sweep__spares_what_somebody_owns),
    };
    return cmocka_run_group_tests_name("store/gc", tests, NULL, NULL);
}

/* Unit tests of store/fsck*.c: what each kind of damage is called, what a repair makes of it, and that a good blob never goes. */
#include "image_test.h"

#include "store/db.h"
#include "store/reference_store.h"
#include "store/store_private.h"

DV_DEFINE_AUTOPTR(davit_fsck_report, davit_fsck_report_free)

static davit_fsck_report *check(const fixture *f, uint32_t flags)
{
    davit_error *err = NULL;
    davit_fsck_report *report = NULL;
    assert_ok(davit_store_fsck(outer(f), flags, &report, &err));
    return report;
}

static uint64_t damage_of(davit_fsck_report *report)
{
    uint64_t damage = davit_fsck_report_counts(report)->damage;
    davit_fsck_report_free(report);
    return damage;
}

/* One finding of a kind, whose texts hold these; the subject may be NULL. */
static const davit_fsck_finding *find(const davit_fsck_report *report, davit_fsck_kind kind,
                                      const char *subject)
{
    for (size_t i = 0; i < davit_fsck_report_count(report); i++) {
        const davit_fsck_finding *found = davit_fsck_report_at(report, i);
        if (found->kind == kind && (!subject || strstr(found->subject, subject)))
            return found;
    }
    fail_msg("nothing of kind %d with %s among %zu findings", kind, subject ? subject : "anything",
             davit_fsck_report_count(report));
    return NULL;
}

static void blob_name(const davit_digest *digest, char out[DV_CONTENT_NAME_MAX])
{
    assert_int_equal(dv_content_name(digest, out, NULL), 0);
}

static void flip(const fixture *f, const davit_digest *digest)
{
    char name[DV_CONTENT_NAME_MAX], byte = 0;
    blob_name(digest, name);
    assert_int_equal(fchmodat(dv_store_dirfd(f->store), name, 0600, 0), 0);
    int fd = openat(dv_store_dirfd(f->store), name, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, 1), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, 1), 1);
    close(fd);
}

static void shorten(const fixture *f, const davit_digest *digest)
{
    char name[DV_CONTENT_NAME_MAX];
    blob_name(digest, name);
    assert_int_equal(fchmodat(dv_store_dirfd(f->store), name, 0600, 0), 0);
    int fd = openat(dv_store_dirfd(f->store), name, O_RDWR);
    assert_int_equal(ftruncate(fd, 1), 0);
    close(fd);
}

static void lose(const fixture *f, const davit_digest *digest)
{
    char name[DV_CONTENT_NAME_MAX];
    blob_name(digest, name);
    assert_int_equal(unlinkat(dv_store_dirfd(f->store), name, 0), 0);
}

static void plant(const fixture *f, const char *name, const char *text)
{
    int fd = openat(dv_store_dirfd(f->store), name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void run_sql(const fixture *f, const char *sql)
{
    davit_error *err = NULL;
    DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
    assert_ok(dv_db_begin(f->store->db, DV_DB_WRITE, &tx, &err));
    assert_ok(dv_db_run(f->store->db, sql, NULL, 0, &err));
    assert_ok(dv_db_commit(&tx, &err));
}

/* --- whole ---------------------------------------------------------------------------------------------------------- */

static void fsck__whole_store_has_no_findings(void **state)
{
    fixture *f = *state;
    test_image images[] = {put_image(f->store, LAYERS("base", "amd"), NULL),
                           put_image(f->store, LAYERS("base", "arm"), NULL)};
    davit_digest index = put_index(f->store, images, 2);
    record_images(f->store, "multi:1", &index, images, 2);
    add_image(f->store, "a:1", LAYERS("base"));
    put_text(f->store, "of nobody"); /* a blob without a row is fine */
    static const uint32_t flags[] = {0, DAVIT_FSCK_FULL, DAVIT_FSCK_REPAIR,
                                     DAVIT_FSCK_FULL | DAVIT_FSCK_REPAIR};
    for (size_t i = 0; i < DV_COUNT(flags); i++) {
        DV_AUTOPTR(davit_fsck_report) report = check(f, flags[i]);
        const davit_fsck_counts *counts = davit_fsck_report_counts(report);
        assert_int_equal(davit_fsck_report_count(report), 0);
        assert_int_equal(counts->damage + counts->repaired, 0);
        assert_int_equal(counts->images, 3);
        assert_int_equal(counts->blobs, count_files(f, "blobs/sha256"));
    }
}

static void fsck__store_that_was_never_written(void **state)
{
    fixture *f = *state;
    davit_store *s = NULL;
    assert_int_equal(davit_store_open(f->path, DAVIT_STORE_READ_ONLY, &s, NULL), 0);
    davit_fsck_report *report = NULL;
    assert_int_equal(davit_store_fsck(s, DAVIT_FSCK_FULL, &report, NULL), 0);
    assert_int_equal(davit_fsck_report_count(report), 0);
    assert_null(davit_fsck_report_at(report, 0));
    assert_int_equal(damage_of(report), 0);
    assert_int_equal(davit_store_fsck(s, DAVIT_FSCK_REPAIR, &report, NULL), DAVIT_ESTORE);
    assert_int_equal(davit_store_fsck(s, 1u << 9, &report, NULL), DAVIT_EINVAL);
    davit_store_free(s);
}

static void fsck__index_with_children_that_are_elsewhere_is_whole(void **state)
{
    fixture *f = *state;
    test_image images[] = {put_image(f->store, LAYERS("amd"), NULL), put_image(f->store, LAYERS("arm"), NULL)};
    davit_digest index = put_index(f->store, images, 2);
    record_images(f->store, "multi:1", &index, images, 1);
    lose(f, &images[1].manifest);
    lose(f, &images[1].layers[0]);
    assert_int_equal(damage_of(check(f, DAVIT_FSCK_FULL)), 0);
}

/* --- blobs ---------------------------------------------------------------------------------------------------------- */

/* Which blob of an image, what happens to it, and which check sees it. */
typedef enum role { LAYER, CONFIG, MANIFEST } role;
typedef void harm_fn(const fixture *f, const davit_digest *digest);

static const davit_digest *victim_of(const test_image *image, role r)
{
    return r == LAYER ? &image->layers[0] : r == CONFIG ? &image->config : &image->manifest;
}

static void fsck__each_damage_is_found_and_repaired(void **state)
{
    fixture *f = *state;
    static const struct {
        const char *name;
        role role;
        harm_fn *harm;
        bool seen, has_file;
    } cases[] = {
        {"layer bits", LAYER, flip, false, true},       {"layer size", LAYER, shorten, true, true},
        {"layer lost", LAYER, lose, true, false},       {"config bits", CONFIG, flip, true, true},
        {"config size", CONFIG, shorten, true, true},   {"config lost", CONFIG, lose, true, false},
        {"manifest bits", MANIFEST, flip, true, true},  {"manifest size", MANIFEST, shorten, true, true},
        {"manifest lost", MANIFEST, lose, true, false},
    };
    for (size_t i = 0; i < DV_COUNT(cases); i++) {
        print_message("%s\n", cases[i].name);
        test_image image = add_image(f->store, "a:1", LAYERS(cases[i].name, "more"));
        const davit_digest *victim = victim_of(&image, cases[i].role);
        uint64_t damage = cases[i].has_file ? 2 : 1; /* the blob and its image, or the image only */
        cases[i].harm(f, victim);
        assert_int_equal(damage_of(check(f, 0)), cases[i].seen ? damage : 0);
        {
            DV_AUTOPTR(davit_fsck_report) report = check(f, DAVIT_FSCK_FULL);
            assert_int_equal(davit_fsck_report_counts(report)->damage, damage);
            const davit_fsck_finding *found = find(report, DAVIT_FSCK_IMAGE, image.config.text);
            assert_non_null(strstr(found->message, victim->text));
            assert_string_equal(found->remedy, "davit pull a:1");
            if (cases[i].has_file)
                assert_false(find(report, DAVIT_FSCK_BLOB, davit_digest_hex(victim))->repaired);
        }
        size_t before = count_files(f, "blobs/sha256");
        {
            DV_AUTOPTR(davit_fsck_report) report = check(f, DAVIT_FSCK_FULL | DAVIT_FSCK_REPAIR);
            assert_int_equal(davit_fsck_report_counts(report)->damage,
                             1); /* the image is still to be pulled */
            assert_int_equal(davit_fsck_report_counts(report)->repaired, cases[i].has_file);
            assert_non_null(strstr(find(report, DAVIT_FSCK_IMAGE, NULL)->message, "missing"));
        }
        assert_int_equal(count_files(f, "blobs/sha256"), before - cases[i].has_file);
        assert_false(has(f->store, victim));
        assert_int_equal(count_files(f, "ingest"), 0);
        add_image(f->store, "a:1", LAYERS(cases[i].name, "more")); /* pulled again */
        assert_int_equal(damage_of(check(f, DAVIT_FSCK_FULL)), 0);
    }
}

static void fsck__bad_blob_that_no_image_needs_is_found_by_a_full_check(void **state)
{
    fixture *f = *state;
    davit_digest nobody = put_text(f->store, "of nobody");
    flip(f, &nobody);
    assert_int_equal(damage_of(check(f, 0)), 0);
    assert_int_equal(damage_of(check(f, DAVIT_FSCK_FULL)), 1);
    assert_int_equal(damage_of(check(f, DAVIT_FSCK_FULL | DAVIT_FSCK_REPAIR)), 0);
    assert_false(has(f->store, &nobody));
}

static void fsck__right_blob_of_a_manifest_that_lies_about_its_size_stays(void **state)
{
    fixture *f = *state;
    test_image image = {0};
    char text[2048];
    image.layers[image.layer_count++] = put_text(f->store, "layer");
    put_config(f->store, LAYERS("layer"), NULL, &image);
    snprintf(text, sizeof(text),
             "{\"schemaVersion\":2,\"mediaType\":\"" OCI_TYPE "manifest.v1+json\",\"config\":{\"mediaType\":"
             "\"" OCI_TYPE "config.v1+json\",\"digest\":\"%s\",\"size\":3},\"layers\":[]}",
             image.config.text);
    image.manifest = put_text(f->store, text);
    record_images(f->store, "a:1", NULL, &image, 1);
    DV_AUTOPTR(davit_fsck_report) report = check(f, DAVIT_FSCK_FULL | DAVIT_FSCK_REPAIR);
    assert_int_equal(davit_fsck_report_counts(report)->damage, 1);
    find(report, DAVIT_FSCK_IMAGE, image.config.text);
    assert_true(has(f->store, &image.config));
}

/* --- images and rows --------------------------------------------------------------------------------------------------- */

static void fsck__how_to_fetch_an_image_again(void **state)
{
    fixture *f = *state;
    test_image a = put_image(f->store, LAYERS("layer"), NULL);
    char reference[200], expected[300];
    snprintf(reference, sizeof(reference), "by/digest@%s", a.manifest.text);
    record_images(f->store, reference, NULL, &a, 1);
    lose(f, &a.layers[0]);
    {
        DV_AUTOPTR(davit_fsck_report) report = check(f, 0);
        snprintf(expected, sizeof(expected), "davit pull %s", reference);
        assert_string_equal(find(report, DAVIT_FSCK_IMAGE, NULL)->remedy, expected);
    }
    run_sql(f, "DELETE FROM reference");
    {
        DV_AUTOPTR(davit_fsck_report) report = check(f, 0);
        snprintf(expected, sizeof(expected), "davit rmi -f %s", a.config.text);
        assert_string_equal(find(report, DAVIT_FSCK_IMAGE, NULL)->remedy, expected);
    }
    run_sql(f, "DELETE FROM blob_source");
    snprintf(expected, sizeof(expected),
             "INSERT INTO blob_source (blob, repository) VALUES ('%s', 'docker.io/library/alpine')",
             a.manifest.text);
    run_sql(f, expected);
    DV_AUTOPTR(davit_fsck_report) report = check(f, 0);
    snprintf(expected, sizeof(expected), "davit pull alpine@%s", a.manifest.text);
    assert_string_equal(find(report, DAVIT_FSCK_IMAGE, NULL)->remedy, expected);
}

static void fsck__image_of_another_platform_is_pulled_by_it(void **state)
{
    fixture *f = *state;
    test_image image = put_image(f->store, LAYERS("layer"), NULL);
    davit_digest index = put_index(f->store, &image, 1);
    record_images(f->store, "multi:1", &index, &image, 1);
    run_sql(f, "UPDATE image SET architecture = 'mips64le'");
    lose(f, &image.layers[0]);
    DV_AUTOPTR(davit_fsck_report) report = check(f, 0);
    assert_string_equal(find(report, DAVIT_FSCK_IMAGE, NULL)->remedy,
                        "davit pull --platform linux/mips64le multi:1");
}

static void fsck__reference_that_names_no_image(void **state)
{
    fixture *f = *state;
    add_image(f->store, "a:1", LAYERS("layer"));
    run_sql(f, "DELETE FROM image");
    DV_AUTOPTR(davit_fsck_report) report = check(f, 0);
    assert_int_equal(davit_fsck_report_counts(report)->damage, 2); /* the tag and the digest */
    assert_string_equal(find(report, DAVIT_FSCK_IMAGE, "a:1")->remedy, "davit pull a:1");
}

static void fsck__rows_that_make_no_sense_are_deleted(void **state)
{
    fixture *f = *state;
    static const char *const rows[] = {
        "INSERT INTO reference VALUES ('NOT/a/name', 'x', '', 'sha256:1', 1, 1)",
        "INSERT INTO reference VALUES ('docker.io/library/b', 'docker.io/library/b', '',"
        " 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef', 1, 1)",
        "INSERT INTO reference VALUES ('docker.io/library/b:1', 'docker.io/library/c', '',"
        " 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef', 1, 1)",
        "INSERT INTO reference VALUES ('docker.io/library/b:2', 'docker.io/library/b', '', 'nonsense', 1, 1)",
        "INSERT INTO reference VALUES ('docker.io/library/b:3', 'docker.io/library/b', '',"
        " 'sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef', -1, 1)",
        "INSERT INTO image (manifest, config, index_digest, os, architecture, variant, os_version, size,"
        " pulled_at) VALUES ('../../x', 'y', '', '', '', '', '', 1, 1)",
        "INSERT INTO image (manifest, config, index_digest, os, architecture, variant, os_version, size,"
        " pulled_at) VALUES ('sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef', '', "
        "'',"
        " '', '', '', '', 1, 1)",
    };
    add_image(f->store, "a:1", LAYERS("layer"));
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        run_sql(f, rows[i]);
        {
            DV_AUTOPTR(davit_fsck_report) report = check(f, DAVIT_FSCK_FULL);
            assert_int_equal(davit_fsck_report_counts(report)->damage, 1);
            find(report, DAVIT_FSCK_ROW, NULL);
        }
        assert_int_equal(damage_of(check(f, DAVIT_FSCK_REPAIR)), 0);
        assert_int_equal(damage_of(check(f, DAVIT_FSCK_FULL)), 0);
    }
}

static void fsck__damaged_database_is_told_and_blobs_are_checked_all_the_same(void **state)
{
    fixture *f = *state;
    test_image a = add_image(f->store, "a:1", LAYERS("layer"));
    davit_store *s = NULL;
    davit_error *err = NULL;
    davit_fsck_report *report = NULL;
    flip(f, &a.layers[0]);
    dv_store_unref(f->store);
    f->store = NULL;
    char path[200];
    for (const char *const *name = (const char *const[]){"-wal", "-shm", "", NULL}; *name; name++) {
        snprintf(path, sizeof(path), "%s/davit.db%s", f->path, *name);
        unlink(path);
    }
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(write(fd, "no database ", 12), 12);
    close(fd);
    assert_ok(davit_store_open(f->path, 0, &s, &err));
    assert_ok(davit_store_fsck(s, DAVIT_FSCK_FULL | DAVIT_FSCK_REPAIR, &report, &err));
    assert_non_null(strstr(find(report, DAVIT_FSCK_DATABASE, NULL)->message, "not a database"));
    assert_true(find(report, DAVIT_FSCK_BLOB, NULL)->repaired);
    assert_int_equal(damage_of(report), 1);
    davit_store_free(s);
}

/* --- files ------------------------------------------------------------------------------------------------------------- */

static void fsck__strays_are_no_damage_and_only_ours_are_removed(void **state)
{
    fixture *f = *state;
    add_image(f->store, "a:1", LAYERS("layer"));
    int dirfd = dv_store_dirfd(f->store);
    dv_store_make_directory(f->store, "ingest");
    dv_store_make_directory(f->store, "leases");
    plant(f, "of-the-user", "x");
    plant(f, "blobs/README", "x");
    plant(f, "blobs/sha256/0123", "x");
    plant(f, "blobs/sha256/.hidden", "x");
    plant(f, "ingest/strange", "x");
    plant(f, "leases/strange", "x");
    assert_int_equal(mkdirat(dirfd, "blobs/sha256/directory", 0700), 0);
    assert_int_equal(symlinkat("/etc/passwd", dirfd, "blobs/sha256/link"), 0);
    static const struct {
        const char *path;
        bool removed, damage;
    } cases[] = {
        {"of-the-user", false, false},           {"blobs/README", true, false},
        {"blobs/sha256/0123", true, false},      {"blobs/sha256/.hidden", true, false},
        {"ingest/strange", true, false},         {"leases/strange", true, false},
        {"blobs/sha256/directory", false, true}, {"blobs/sha256/link", true, true},
    };
    {
        DV_AUTOPTR(davit_fsck_report) report = check(f, DAVIT_FSCK_FULL);
        assert_int_equal(davit_fsck_report_count(report), DV_COUNT(cases));
        for (size_t i = 0; i < DV_COUNT(cases); i++) {
            const davit_fsck_finding *found = find(report, DAVIT_FSCK_STRAY, cases[i].path);
            assert_int_equal(found->damage, cases[i].damage);
            assert_false(found->repaired);
        }
    }
    DV_AUTOPTR(davit_fsck_report) report = check(f, DAVIT_FSCK_REPAIR);
    for (size_t i = 0; i < DV_COUNT(cases); i++) {
        assert_int_equal(find(report, DAVIT_FSCK_STRAY, cases[i].path)->repaired, cases[i].removed);
        assert_int_equal(faccessat(dirfd, cases[i].path, F_OK, AT_SYMLINK_NOFOLLOW),
                         cases[i].removed ? -1 : 0);
    }
    assert_int_equal(access("/etc/passwd", F_OK), 0);
}

static int dies_in_the_middle(const fixture *f)
{
    dv_store *s = NULL;
    dv_lease *l = NULL;
    dv_ingest *named = NULL, *nameless = NULL;
    davit_descriptor desc = describe("never finished", 14);
    CHECK(dv_store_open(f->path, 0, &s, NULL) == 0);
    CHECK(dv_lease_open(s, &l, NULL) == 0);
    CHECK(dv_lease_add(l, &desc.digest, 1, NULL) == 0);
    CHECK(dv_ingest_open(s, &desc, &named, NULL) == 0);
    CHECK(dv_ingest_write(named, "never", 5, NULL) == 0);
    CHECK(dv_ingest_open_new(s, &desc, &nameless, NULL) == 0);
    CHECK(dv_ingest_write(nameless, "never", 5, NULL) == 0);
    _exit(0);
}

static void fsck__what_a_dead_process_left_is_no_damage(void **state)
{
    fixture *f = *state;
    assert_int_equal(wait_for(spawn(f, dies_in_the_middle)), 0);
    assert_int_equal(count_files(f, "ingest"), 2);
    {
        DV_AUTOPTR(davit_fsck_report) report = check(f, 0);
        assert_int_equal(davit_fsck_report_counts(report)->damage, 0);
        find(report, DAVIT_FSCK_LEFTOVER, "leases");
    }
    DV_AUTOPTR(davit_fsck_report) report = check(f, DAVIT_FSCK_REPAIR);
    assert_true(find(report, DAVIT_FSCK_LEFTOVER, "leases")->repaired);
    assert_int_equal(count_files(f, "leases"), 0);
    assert_int_equal(count_files(f, "ingest"), 2); /* young: the named one will be continued */
}

static void fsck__journals_without_worth(void **state)
{
    fixture *f = *state;
    static const char hex[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    char data[200], journal[200], orphan[200];
    dv_store_make_directory(f->store, "ingest");
    snprintf(data, sizeof(data), "ingest/sha256-%s", hex);
    snprintf(journal, sizeof(journal), "ingest/sha256-%s.journal", hex);
    snprintf(orphan, sizeof(orphan), "ingest/sha256-%.63sx.journal", hex);
    plant(f, data, "some bytes");
    plant(f, journal, "davit-ingest 1\nhave 0 4\n");
    assert_int_equal(damage_of(check(f, 0)), 0);
    {
        DV_AUTOPTR(davit_fsck_report) report = check(f, 0);
        assert_int_equal(davit_fsck_report_count(report), 0);
    }
    plant(f, journal, "davit-ingest 99\n");
    {
        DV_AUTOPTR(davit_fsck_report) report = check(f, 0);
        find(report, DAVIT_FSCK_LEFTOVER, journal);
    }
    orphan[strlen("ingest/sha256-") + 63] = 'f';
    orphan[strlen("ingest/sha256-")] = '9';
    plant(f, orphan, "davit-ingest 1\n");
    DV_AUTOPTR(davit_fsck_report) report = check(f, DAVIT_FSCK_REPAIR);
    assert_true(find(report, DAVIT_FSCK_LEFTOVER, journal)->repaired);
    assert_true(find(report, DAVIT_FSCK_LEFTOVER, orphan)->repaired);
    assert_int_equal(count_files(f, "ingest"), 0);
}

/* --- in use ------------------------------------------------------------------------------------------------------------ */

static int pulls_and_removes(const fixture *f)
{
    dv_store *s = NULL;
    const char *const names[] = {"busy:1"};
    CHECK(dv_store_open(f->path, 0, &s, NULL) == 0);
    for (int i = 0; i < 30; i++) {
        char layer[32];
        davit_removal_list *list = NULL;
        dv_lease *lease = NULL;
        CHECK(dv_lease_open(s, &lease, NULL) == 0);
        snprintf(layer, sizeof(layer), "layer %d", i);
        davit_digest digest = describe(layer, strlen(layer)).digest;
        CHECK(dv_lease_add(lease, &digest, 1, NULL) == 0);
        add_image(s, "busy:1", LAYERS(layer, "base"));
        dv_lease_release(lease);
        CHECK(davit_store_remove((davit_store *)s, names, 1, 0, &list, NULL) == 0);
        davit_removal_list_free(list);
    }
    dv_store_unref(s);
    return 0;
}

static void fsck__store_in_use_is_whole(void **state)
{
    fixture *f = *state;
    test_image image = add_image(f->store, "a:1", LAYERS("base"));
    pid_t child = spawn(f, pulls_and_removes);
    int status, checks = 0;
    while (waitpid(child, &status, WNOHANG) == 0) {
        DV_AUTOPTR(davit_fsck_report)
        report = check(f, DAVIT_FSCK_FULL | (checks % 2 ? DAVIT_FSCK_REPAIR : 0));
        if (davit_fsck_report_counts(report)->damage)
            fail_msg("%s: %s", davit_fsck_report_at(report, 0)->subject,
                     davit_fsck_report_at(report, 0)->message);
        checks++;
    }
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(checks > 0);
    assert_true(has(f->store, &image.layers[0]));
    assert_int_equal(damage_of(check(f, DAVIT_FSCK_FULL)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(fsck__whole_store_has_no_findings),
        store_test(fsck__store_that_was_never_written),
        store_test(fsck__index_with_children_that_are_elsewhere_is_whole),
        store_test(fsck__each_damage_is_found_and_repaired),
        store_test(fsck__bad_blob_that_no_image_needs_is_found_by_a_full_check),
        store_test(fsck__right_blob_of_a_manifest_that_lies_about_its_size_stays),
        store_test(fsck__how_to_fetch_an_image_again),
        store_test(fsck__image_of_another_platform_is_pulled_by_it),
        store_test(fsck__reference_that_names_no_image),
        store_test(fsck__rows_that_make_no_sense_are_deleted),
        store_test(fsck__damaged_database_is_told_and_blobs_are_checked_all_the_same),
        store_test(fsck__strays_are_no_damage_and_only_ours_are_removed),
        store_test(fsck__what_a_dead_process_left_is_no_damage),
        store_test(fsck__journals_without_worth),
        store_test(fsck__store_in_use_is_whole),
    };
    return cmocka_run_group_tests_name("store/fsck", tests, NULL, NULL);
}

/* Unit tests of store/image_store.c: what a finished pull records (pull.md 9). */
#include "store_test.h"

#include "oci/reference.h"
#include "store/db.h"
#include "store/image_store.h"
#include "store/metadata_store.h"
#include "store/reference_store.h"
#include "store/store_private.h"

static davit_digest digest(const char *of)
{
    return describe(of, strlen(of)).digest;
}

/* A pull of reference that gave target, with these images (NULL ends); those that are not target came by it. */
static int record(dv_store *s, const char *reference, const char *target, const char *const *images,
                  bool *out_updated, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    dv_image_row rows[4] = {0};
    davit_digest blobs[4];
    dv_pull_record r = {.target = {.media_type = "m", .digest = digest(target), .size = 7},
                        .images = rows,
                        .repository = "docker.io/library/alpine",
                        .blobs = blobs};
    for (; images[r.image_count]; r.image_count++) {
        const char *name = images[r.image_count];
        char config[40];
        snprintf(config, sizeof(config), "config of %s", name);
        rows[r.image_count] = (dv_image_row){.manifest = digest(name), .config = digest(config), .size = 100};
        snprintf(rows[r.image_count].platform.os, DAVIT_PLATFORM_PART_MAX, "linux");
        snprintf(rows[r.image_count].platform.architecture, DAVIT_PLATFORM_PART_MAX, "%s", name);
        if (strcmp(name, target) != 0)
            rows[r.image_count].index = r.target.digest;
        blobs[r.blob_count++] = rows[r.image_count].config;
    }
    int result = davit_reference_parse(reference, &ref, err);
    r.reference = ref;
    return result < 0 ? result : dv_image_store_record(s, &r, out_updated, err);
}

#define IMAGES(...) ((const char *const[]){__VA_ARGS__, NULL})

static bool names(dv_store *s, const char *reference, const char *target)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    DV_AUTO(dv_reference_rows) rows = {0};
    return davit_reference_parse(reference, &ref, NULL) == 0 &&
           dv_reference_store_get(s, ref, &rows, NULL) == 0 &&
           strcmp(rows.items[0].digest.text, digest(target).text) == 0;
}

static void image_store_record__tag_and_digest_reference(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    bool updated = false;
    char by_digest[200];
    snprintf(by_digest, sizeof(by_digest), "alpine@%s", digest("one").text);
    assert_ok(record(f->store, "alpine:3", "one", IMAGES("one"), &updated, &err));
    assert_true(updated);
    assert_true(names(f->store, "alpine:3", "one"));
    assert_true(names(f->store, by_digest, "one"));
    assert_ok(record(f->store, "alpine:3", "one", IMAGES("one"), &updated, &err));
    assert_false(updated);
    assert_ok(record(f->store, "alpine:4", "one", IMAGES("one"), &updated, &err));
    assert_true(updated); /* about tags, not about bytes */
    assert_ok(record(f->store, "alpine:3", "two", IMAGES("two"), &updated, &err));
    assert_true(updated);
    assert_true(names(f->store, "alpine:3", "two"));
    assert_true(names(f->store, by_digest, "one"));
    assert_ok(record(f->store, by_digest, "one", IMAGES("one"), &updated, &err));
    assert_false(updated);
    assert_int_equal(record(f->store, "sha256:x", "one", IMAGES("one"), &updated, NULL), DAVIT_EINVAL);
}

static void image_store_record__a_lost_digest_reference_comes_back(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    bool updated;
    char by_digest[200];
    snprintf(by_digest, sizeof(by_digest), "alpine@%s", digest("one").text);
    assert_ok(record(f->store, "alpine:3", "one", IMAGES("one"), &updated, &err));
    DV_AUTOPTR(davit_reference) ref = NULL;
    assert_ok(davit_reference_parse(by_digest, &ref, &err));
    assert_ok(dv_reference_store_delete(f->store, ref, &err));
    assert_ok(record(f->store, "alpine:3", "one", IMAGES("one"), &updated, &err));
    assert_false(updated);
    assert_true(names(f->store, by_digest, "one"));
}

static void image_store_record__a_conflicting_digest_reference(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    bool updated = true, changed;
    char by_digest[200], text[200];
    snprintf(by_digest, sizeof(by_digest), "alpine@%s", digest("one").text);
    DV_AUTOPTR(davit_reference) ref = NULL;
    davit_descriptor other = describe("other", 5);
    assert_ok(davit_reference_parse(by_digest, &ref, &err));
    assert_ok(dv_reference_store_add_digest(f->store, ref, &other, &changed, &err));
    assert_int_equal(record(f->store, by_digest, "one", IMAGES("one"), &updated, &err), DAVIT_ECONFLICT);
    snprintf(text, sizeof(text), "cannot overwrite digest %s", digest("one").text);
    assert_string_equal(davit_error_message(err), text);
    davit_error_free(err);
    err = NULL;
    dv_image_rows rows = {0};
    assert_ok(dv_image_store_list(f->store, &rows, &err));
    assert_int_equal(rows.count, 0);                                               /* all or nothing */
    assert_ok(record(f->store, "alpine:3", "one", IMAGES("one"), &updated, &err)); /* a tag pull keeps it */
    assert_true(updated);
    assert_true(names(f->store, "alpine:3", "one"));
    assert_true(names(f->store, by_digest, "other"));
}

static void expect_images(const dv_image_rows *rows, const char *const *architectures)
{
    size_t count = 0;
    for (; architectures[count]; count++)
        if (count >= rows->count ||
            strcmp(rows->items[count].platform.architecture, architectures[count]) != 0)
            fail_msg("image %zu: expected %s, got %s of %zu", count, architectures[count],
                     count < rows->count ? rows->items[count].platform.architecture : "none", rows->count);
    assert_int_equal(rows->count, count);
}

static void image_store__finds_by_digest_and_id(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    bool updated;
    DV_AUTO(dv_image_rows) rows = {0};
    davit_digest index = digest("index"), again = digest("index2"), arm = digest("arm"),
                 none = digest("none");
    assert_ok(record(f->store, "alpine:3", "index", IMAGES("arm", "amd"), &updated, &err));
    assert_ok(record(f->store, "alpine:1", "old", IMAGES("old"), &updated, &err));
    assert_ok(dv_image_store_by_digest(f->store, &index, &rows, &err));
    expect_images(&rows, IMAGES("arm", "amd"));
    assert_string_equal(rows.items[0].index.text, index.text);
    assert_string_equal(rows.items[0].platform.os, "linux");
    assert_int_equal(rows.items[0].size, 100);
    assert_true(rows.items[0].pulled_at_s > 1700000000);
    dv_image_rows_clear(&rows);
    assert_ok(dv_image_store_by_digest(f->store, &arm, &rows, &err));
    expect_images(&rows, IMAGES("arm"));
    dv_image_rows_clear(&rows);
    assert_ok(dv_image_store_list(f->store, &rows, &err));
    expect_images(&rows, IMAGES("arm", "amd", "old"));
    assert_int_equal(rows.items[2].index.algorithm, DAVIT_DIGEST_NONE);
    char id[80];
    snprintf(id, sizeof(id), "%s", davit_digest_hex(&rows.items[1].config));
    dv_image_rows_clear(&rows);
    for (size_t length = 64; length >= 8; length -= 8) {
        id[length] = '\0';
        assert_ok(dv_image_store_by_id(f->store, id, &rows, &err));
        expect_images(&rows, IMAGES("amd"));
        dv_image_rows_clear(&rows);
    }
    assert_ok(dv_image_store_by_id(f->store, id + 1, &rows, &err)); /* from the first digit on */
    assert_int_equal(rows.count, 0);
    assert_ok(dv_image_store_by_id(f->store, "", &rows, &err));
    assert_int_equal(rows.count, 0);
    assert_ok(dv_image_store_by_id(f->store, "xyz", &rows, &err));
    assert_int_equal(rows.count, 0);
    assert_ok(dv_image_store_by_digest(f->store, &none, &rows, &err));
    assert_int_equal(rows.count, 0);

    /* the same manifest by a newer index: one row, found by both */
    assert_ok(record(f->store, "alpine:3", "index2", IMAGES("arm"), &updated, &err));
    assert_ok(dv_image_store_list(f->store, &rows, &err));
    expect_images(&rows, IMAGES("amd", "old", "arm"));
    assert_string_equal(rows.items[2].index.text, again.text);
    dv_image_rows_clear(&rows);
    assert_ok(dv_image_store_by_digest(f->store, &index, &rows, &err));
    expect_images(&rows, IMAGES("arm", "amd"));
    assert_string_equal(rows.items[0].index.text, index.text);
    dv_image_rows_clear(&rows);
    assert_ok(record(f->store, "alpine:3", "index", IMAGES("arm", "amd"), &updated, &err)); /* and back */
    assert_ok(dv_image_store_list(f->store, &rows, &err));
    expect_images(&rows, IMAGES("amd", "old", "arm"));
    assert_string_equal(rows.items[2].index.text, index.text);
}

static void image_store_record__writes_nothing_twice(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    bool updated;
    struct stat before, after;
    assert_ok(record(f->store, "alpine:3", "index", IMAGES("arm", "amd"), &updated, &err));
    assert_int_equal(fstatat(dv_store_dirfd(f->store), "davit.db-wal", &before, 0), 0);
    assert_ok(record(f->store, "alpine:3", "index", IMAGES("arm", "amd"), &updated, &err));
    assert_int_equal(fstatat(dv_store_dirfd(f->store), "davit.db-wal", &after, 0), 0);
    assert_int_equal(before.st_size, after.st_size);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

/* Four processes record at once, each its own tags and one that all want. */
static int recorder(const fixture *f)
{
    dv_store *s = NULL;
    davit_error *err = NULL;
    bool updated;
    CHECK(dv_store_open(f->path, 0, &s, NULL) == 0);
    for (int i = 0; i < 25; i++) {
        char tag[60], name[40];
        snprintf(tag, sizeof(tag), "alpine:%d-%d", (int)getpid(), i);
        snprintf(name, sizeof(name), "image %d", i);
        int r = record(s, tag, name, IMAGES(name), &updated, &err);
        if (r < 0)
            fprintf(stderr, "%s\n", davit_error_message(err));
        CHECK(r == 0 && updated);
        CHECK(record(s, "alpine:all", name, IMAGES(name), &updated, &err) == 0);
    }
    dv_store_unref(s);
    return 0;
}

static void image_store_record__four_processes_at_once(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    pid_t children[4];
    for (size_t k = 0; k < DV_COUNT(children); k++)
        children[k] = spawn(f, recorder);
    for (size_t k = 0; k < DV_COUNT(children); k++)
        assert_int_equal(wait_for(children[k]), 0);
    DV_AUTO(dv_reference_rows) references = {0};
    DV_AUTO(dv_image_rows) images = {0};
    assert_ok(dv_reference_store_list(f->store, &references, &err));
    assert_int_equal(references.count, 4 * 25 + 1 + 25);
    assert_ok(dv_image_store_list(f->store, &images, &err));
    assert_int_equal(images.count, 25);
}

static void image_store_record__what_was_loaded_has_a_tag_only_or_no_name(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    bool updated = false;
    DV_AUTOPTR(davit_reference) ref = NULL;
    DV_AUTO(dv_reference_rows) references = {0};
    DV_AUTO(dv_image_rows) images = {0};
    dv_image_row rows[2] = {{.manifest = digest("one"), .config = digest("c1")},
                            {.manifest = digest("two"), .config = digest("c2")}};
    assert_ok(davit_reference_parse("alpine:3", &ref, &err));
    dv_pull_record record = {.reference = ref,
                             .tag_only = true,
                             .target = {.media_type = "m", .digest = digest("one"), .size = 3},
                             .images = &rows[0],
                             .image_count = 1};
    assert_ok(dv_image_store_record(f->store, &record, &updated, &err));
    assert_true(updated);
    record = (dv_pull_record){.images = &rows[1], .image_count = 1};
    assert_ok(dv_image_store_record(f->store, &record, &updated, &err));
    assert_false(updated);
    assert_ok(dv_reference_store_list(f->store, &references, &err));
    assert_int_equal(references.count, 1);
    assert_string_equal(references.items[0].reference, "docker.io/library/alpine:3");
    assert_ok(dv_image_store_list(f->store, &images, &err));
    assert_int_equal(images.count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(image_store_record__tag_and_digest_reference),
        store_test(image_store_record__a_lost_digest_reference_comes_back),
        store_test(image_store_record__a_conflicting_digest_reference),
        store_test(image_store__finds_by_digest_and_id),
        store_test(image_store_record__writes_nothing_twice),
        store_test(image_store_record__what_was_loaded_has_a_tag_only_or_no_name),
        store_test(image_store_record__four_processes_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

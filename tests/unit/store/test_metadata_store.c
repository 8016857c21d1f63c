/* Unit tests of store/metadata_store.c (store.md 6). */
#include "store_test.h"

#include "store/metadata_store.h"

static void metadata_sources__newest_first_and_at_most_50(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_digest blobs[2] = {describe("a", 1).digest, describe("b", 1).digest};
    char **sources = NULL;
    size_t count = 7;
    assert_ok(dv_metadata_sources(f->store, &blobs[0], &sources, &count, &err));
    assert_int_equal(count, 0);
    dv_metadata_sources_free(sources, count);
    for (int i = 0; i < 60; i++) {
        char name[40];
        snprintf(name, sizeof(name), "docker.io/library/%d", i);
        assert_ok(dv_metadata_add_sources(f->store, name, "", blobs, i == 3 ? 2 : 1, &err));
    }
    assert_ok(
        dv_metadata_add_sources(f->store, "docker.io/library/20", "", blobs, 1, &err)); /* to the front */
    assert_ok(dv_metadata_sources(f->store, &blobs[0], &sources, &count, &err));
    assert_int_equal(count, DV_METADATA_SOURCES_MAX);
    assert_string_equal(sources[0], "docker.io/library/20");
    assert_string_equal(sources[1], "docker.io/library/59");
    assert_string_equal(sources[49], "docker.io/library/10");
    dv_metadata_sources_free(sources, count);
    assert_ok(dv_metadata_sources(f->store, &blobs[1], &sources, &count, &err));
    assert_int_equal(count, 1);
    dv_metadata_sources_free(sources, count);
}

static void metadata_diff_id__the_latest_wins(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_digest blob = describe("a", 1).digest, one = describe("1", 1).digest, two = describe("2", 1).digest,
                 got;
    assert_int_equal(dv_metadata_get_diff_id(f->store, &blob, &got, NULL), DAVIT_ENOTFOUND);
    assert_ok(dv_metadata_put_diff_id(f->store, &blob, &one, &err));
    assert_ok(dv_metadata_put_diff_id(f->store, &blob, &two, &err));
    assert_ok(dv_metadata_get_diff_id(f->store, &blob, &got, &err));
    assert_string_equal(got.text, two.text);
}

static void check_entries(fixture *f, const davit_digest *diff_id, const davit_digest *blob,
                          const char *expected)
{
    DV_AUTO(dv_metadata_entries) list = {0};
    davit_error *err = NULL;
    char got[400] = "";
    if (diff_id)
        assert_ok(dv_metadata_by_diff_id(f->store, diff_id, &list, &err));
    else
        assert_ok(dv_metadata_by_blob(f->store, blob, &list, &err));
    for (size_t i = 0; i < list.count; i++)
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%.2s%s%s;",
                 davit_digest_hex(&list.items[i].digest), list.items[i].repository,
                 *list.items[i].hmac ? "*" : "");
    assert_string_equal(got, expected);
}

static void metadata_entries__are_told_apart_by_all_three_fields(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_digest a = describe("a", 1).digest, b = describe("b", 1).digest, layer = describe("l", 1).digest;
    /* sha256 of "a" begins with ca, of "b" with 3e */
    assert_ok(dv_metadata_add(f->store, &a, &layer, "r/x", "", &err));
    assert_ok(dv_metadata_add(f->store, &b, &layer, "r/x", "", &err));
    assert_ok(dv_metadata_add(f->store, &a, NULL, "r/y", "", &err));
    assert_ok(dv_metadata_add(f->store, &a, NULL, "r/y", "key", &err));
    check_entries(f, &layer, NULL, "car/x;3er/x;car/y;car/y*;");
    check_entries(f, NULL, &a, "car/x;car/y;car/y*;");
    assert_ok(dv_metadata_add(f->store, &a, &layer, "r/x", "", &err)); /* equal: it is the newest now */
    check_entries(f, &layer, NULL, "3er/x;car/y;car/y*;car/x;");
}

static void metadata_remove__takes_one_and_leaves_the_diff_id(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_digest a = describe("a", 1).digest, layer = describe("l", 1).digest, got;
    DV_AUTO(dv_metadata_entries) list = {0};
    assert_ok(dv_metadata_add(f->store, &a, &layer, "r/x", "", &err));
    assert_ok(dv_metadata_add(f->store, &a, &layer, "r/x", "key", &err));
    assert_ok(dv_metadata_by_blob(f->store, &a, &list, &err));
    assert_int_equal(list.count, 2);
    assert_ok(dv_metadata_remove(f->store, &list.items[0], &err));
    check_entries(f, &layer, NULL, "car/x*;");
    assert_ok(dv_metadata_remove(f->store, &list.items[0], &err));
    assert_ok(dv_metadata_remove(f->store, &list.items[1], &err));
    check_entries(f, &layer, NULL, "");
    assert_ok(dv_metadata_get_diff_id(f->store, &a, &got, &err));
    assert_string_equal(got.text, layer.text);
}

static void metadata_entries__the_newest_50_of_a_layer(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_digest blobs[2] = {describe("a", 1).digest, describe("b", 1).digest},
                 layer = describe("l", 1).digest;
    for (int i = 0; i < 70; i++) {
        char name[20];
        snprintf(name, sizeof(name), "r/%d", i);
        assert_ok(dv_metadata_add(f->store, &blobs[i % 2], &layer, name, "", &err));
    }
    DV_AUTO(dv_metadata_entries) list = {0};
    assert_ok(dv_metadata_by_diff_id(f->store, &layer, &list, &err));
    assert_int_equal(list.count, 50);
    assert_string_equal(list.items[0].repository, "r/20");
    assert_string_equal(list.items[49].repository, "r/69");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(metadata_sources__newest_first_and_at_most_50),
        store_test(metadata_diff_id__the_latest_wins),
        store_test(metadata_entries__are_told_apart_by_all_three_fields),
        store_test(metadata_remove__takes_one_and_leaves_the_diff_id),
        store_test(metadata_entries__the_newest_50_of_a_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

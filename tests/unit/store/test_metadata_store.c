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
        assert_ok(dv_metadata_add_sources(f->store, name, blobs, i == 3 ? 2 : 1, &err));
    }
    assert_ok(dv_metadata_add_sources(f->store, "docker.io/library/20", blobs, 1, &err)); /* to the front */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(metadata_sources__newest_first_and_at_most_50),
        store_test(metadata_diff_id__the_latest_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

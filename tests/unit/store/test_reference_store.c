/* Unit tests of store/reference_store.c: the rules of store.md 5. */
#include "store_test.h"

#include "oci/reference.h"
#include "store/reference_store.h"

#define D1 "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define D2 "sha256:2222222222222222222222222222222222222222222222222222222222222222"

static davit_descriptor target(const char *digest)
{
    davit_descriptor d = {.media_type = "application/vnd.oci.image.manifest.v1+json", .size = 1234};
    if (davit_digest_parse(digest, &d.digest, NULL) < 0)
        abort();
    return d;
}

static davit_reference *parse(const char *text)
{
    davit_reference *ref = NULL;
    davit_error *err = NULL;
    assert_ok(davit_reference_parse(text, &ref, &err));
    return ref;
}

static void reference_store__rules(void **state)
{
    enum { TAG, FORCE, DIGEST, GET, DELETE };
    static const struct {
        int what;
        const char *reference, *digest; /* to set, or to be found */
        int result;
        const char *text; /* of the error */
        bool changed;
    } rows[] = {
        {GET, "busybox", NULL, DAVIT_ENOTFOUND, "reference does not exist", false},
        {DELETE, "busybox", NULL, DAVIT_ENOTFOUND, "reference does not exist", false},
        {TAG, "busybox@" D1, D1, DAVIT_EINVAL, "refusing to create a tag with a digest reference", false},
        {TAG, "busybox:1@" D1, D1, DAVIT_EINVAL, "refusing to create a tag with a digest reference", false},
        {TAG, "busybox", D1, 0, NULL, true},
        {GET, "busybox:latest", D1, 0, NULL, false},
        {GET, "docker.io/library/busybox", D1, 0, NULL, false},
        {TAG, "busybox:latest", D1, 0, NULL, false},
        {TAG, "busybox:latest", D2, DAVIT_ECONFLICT,
         "tag busybox:latest is already set to image " D1 ", use the force option to replace it", false},
        {TAG, "busybox", D2, DAVIT_ECONFLICT,
         "tag busybox:latest is already set to image " D1 ", use the force option to replace it", false},
        {GET, "busybox", D1, 0, NULL, false},
        {FORCE, "busybox", D2, 0, NULL, true},
        {GET, "busybox", D2, 0, NULL, false},
        {FORCE, "busybox", D2, 0, NULL, false},
        {TAG, "registry:5000/foo:1.0", D1, 0, NULL, true},
        {GET, "registry:5000/foo", NULL, DAVIT_ENOTFOUND, "reference does not exist", false},
        {DIGEST, "busybox@" D1, D1, 0, NULL, true},
        {DIGEST, "busybox@" D1, D1, 0, NULL, false},
        {DIGEST, "busybox@" D1, D2, DAVIT_ECONFLICT, "cannot overwrite digest " D1, false},
        {DIGEST, "busybox:1", D1, DAVIT_EINVAL, "docker.io/library/busybox:1 has no digest", false},
        {GET, "busybox:nope@" D1, D1, 0, NULL, false}, /* the tag is dropped */
        {DELETE, "busybox:nope@" D1, NULL, 0, NULL, false},
        {GET, "busybox@" D1, NULL, DAVIT_ENOTFOUND, "reference does not exist", false},
        {DELETE, "busybox", NULL, 0, NULL, false},
        {GET, "busybox:latest", NULL, DAVIT_ENOTFOUND, "reference does not exist", false},
        {TAG, "sha256:abc", D1, DAVIT_EINVAL,
         "refusing to create an ambiguous tag using digest algorithm as name", false},
        {TAG, "user/sha256:abc", D1, 0, NULL, true},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_reference) ref = parse(rows[i].reference);
        DV_AUTOPTR(davit_error) err = NULL;
        DV_AUTO(dv_reference_rows) found = {0};
        bool changed = false;
        davit_descriptor d = target(rows[i].digest ? rows[i].digest : D1);
        int r = rows[i].what == TAG     ? dv_reference_store_add_tag(f->store, ref, &d, false, &changed, &err)
                : rows[i].what == FORCE ? dv_reference_store_add_tag(f->store, ref, &d, true, &changed, &err)
                : rows[i].what == DIGEST ? dv_reference_store_add_digest(f->store, ref, &d, &changed, &err)
                : rows[i].what == GET    ? dv_reference_store_get(f->store, ref, &found, &err)
                                         : dv_reference_store_delete(f->store, ref, &err);
        if (r != rows[i].result || changed != rows[i].changed ||
            (r < 0 && strcmp(davit_error_message(err), rows[i].text) != 0))
            fail_msg("row %zu %s: expected %d %s, got %d %s, changed %d", i, rows[i].reference,
                     rows[i].result, rows[i].text ? rows[i].text : "", r, davit_error_message(err), changed);
        if (r == 0 && rows[i].what == GET && strcmp(found.items[0].digest.text, rows[i].digest) != 0)
            fail_msg("row %zu %s: got %s", i, rows[i].reference, found.items[0].digest.text);
    }
}

static void expect_texts(const dv_reference_rows *rows, const char *const *texts, size_t count)
{
    assert_int_equal(rows->count, count);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(rows->items[i].reference, texts[i]);
}

static void reference_store__lists_in_order_of_text(void **state)
{
    static const char *const names[] = {"zoo:1", "busybox:b", "busybox/x:1", "busybox@" D1, "busybox:a"};
    static const char *const all[] = {"docker.io/busybox/x:1", "docker.io/library/busybox:a",
                                      "docker.io/library/busybox:b", "docker.io/library/busybox@" D1,
                                      "docker.io/library/zoo:1"};
    fixture *f = *state;
    davit_error *err = NULL;
    for (size_t i = 0; i < DV_COUNT(names); i++) {
        DV_AUTOPTR(davit_reference) ref = parse(names[i]);
        davit_descriptor d = target(i < 2 ? D2 : D1);
        bool changed;
        if (davit_reference_digest_text(ref))
            assert_ok(dv_reference_store_add_digest(f->store, ref, &d, &changed, &err));
        else
            assert_ok(dv_reference_store_add_tag(f->store, ref, &d, false, &changed, &err));
    }
    DV_AUTO(dv_reference_rows) rows = {0};
    davit_digest second = target(D2).digest;
    assert_ok(dv_reference_store_list(f->store, &rows, &err));
    expect_texts(&rows, all, 5);
    assert_string_equal(rows.items[0].media_type, "application/vnd.oci.image.manifest.v1+json");
    assert_int_equal(rows.items[0].size, 1234);
    assert_true(rows.items[0].updated_at_s > 1700000000);
    dv_reference_rows_clear(&rows);
    assert_ok(dv_reference_store_by_digest(f->store, &second, &rows, &err));
    expect_texts(&rows, (const char *const[]){all[2], all[4]}, 2);
    dv_reference_rows_clear(&rows);
    assert_ok(dv_reference_store_by_name(f->store, "docker.io/library/busybox", &rows, &err));
    expect_texts(&rows, all + 1, 3);
    dv_reference_rows_clear(&rows);
    assert_ok(dv_reference_store_by_name(f->store, "docker.io/library/nope", &rows, &err));
    assert_int_equal(rows.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(reference_store__rules),
        store_test(reference_store__lists_in_order_of_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

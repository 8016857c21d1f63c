/* Unit tests of store/v1_image_store.c. */
#include "store_test.h"

#include "oci/media_type.h"
#include "store/db.h"
#include "store/v1_image_store.h"

#define HERE "http://old.example/v1/"
#define THERE "https://old.example/v1/"

static void v1_image_store__an_id_belongs_to_its_registry(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    static const struct {
        const char *registry, *id, *json; /* NULL: not known */
    } rows[] = {
        {HERE, "aa", "{\"id\":\"aa\"}"},
        {HERE, "bb", "{\"id\":\"bb\",\"parent\":\"aa\"}"},
        {THERE, "aa", NULL},
        {HERE, "a", NULL},
    };
    assert_ok(dv_v1_image_store_put(f->store, HERE, "aa", "", rows[0].json, "sha256:1 md5:2", 77, &err));
    assert_ok(dv_v1_image_store_put(f->store, HERE, "bb", "aa", rows[1].json, "", DAVIT_SIZE_UNKNOWN, &err));
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_v1_image_row) got = DV_V1_IMAGE_ROW_INIT;
        int r = dv_v1_image_store_get(f->store, rows[i].registry, rows[i].id, &got, NULL);
        assert_int_equal(r, rows[i].json ? 0 : DAVIT_ENOTFOUND);
        if (!rows[i].json)
            continue;
        assert_string_equal(got.json, rows[i].json);
        assert_string_equal(got.parent, i == 1 ? "aa" : "");
        assert_string_equal(got.checksums, i == 1 ? "" : "sha256:1 md5:2");
        assert_int_equal(got.layer.digest.algorithm, DAVIT_DIGEST_NONE);
        assert_true(got.layer.size == (i == 1 ? DAVIT_SIZE_UNKNOWN : 77));
    }
    DV_AUTO(dv_v1_image_row) gone = DV_V1_IMAGE_ROW_INIT;
    assert_ok(dv_v1_image_store_delete(f->store, HERE, "aa", &err));
    assert_ok(dv_v1_image_store_delete(f->store, HERE, "aa", &err));
    assert_int_equal(dv_v1_image_store_get(f->store, HERE, "aa", &gone, NULL), DAVIT_ENOTFOUND);
    assert_ok(dv_v1_image_store_get(f->store, HERE, "bb", &gone, &err));
}

static void v1_image_store__a_layer_stays_as_long_as_the_json_does(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    davit_descriptor layer = describe("layer", 5);
    const davit_digest diff_id = describe("tar", 3).digest;
    static const struct {
        const char *json, *checksums;
        bool stays;
    } puts[] = {
        {"{\"id\":\"aa\"}", "x", true},
        {"{\"id\":\"aa\"}", "y", false},
        {"{\"id\": \"aa\"}", "y", false},
    };
    layer.media_type = DV_MEDIA_TYPE_OCI_LAYER_GZIP;
    assert_ok(dv_v1_image_store_put(f->store, HERE, "aa", "", "{\"id\":\"aa\"}", "x", 9, &err));
    for (size_t i = 0; i < DV_COUNT(puts); i++) {
        DV_AUTO(dv_v1_image_row) got = DV_V1_IMAGE_ROW_INIT;
        assert_ok(dv_v1_image_store_put_layer(f->store, HERE, "aa", &layer, &diff_id, &err));
        assert_ok(dv_v1_image_store_put(f->store, HERE, "aa", "", puts[i].json, puts[i].checksums, 9, &err));
        assert_ok(dv_v1_image_store_get(f->store, HERE, "aa", &got, &err));
        assert_string_equal(got.json, puts[i].json);
        assert_string_equal(got.checksums, puts[i].checksums);
        assert_int_equal(got.layer.digest.algorithm == DAVIT_SHA256, puts[i].stays);
        if (!puts[i].stays)
            continue;
        assert_true(davit_digest_equal(&got.layer.digest, &layer.digest));
        assert_true(davit_digest_equal(&got.diff_id, &diff_id));
        assert_int_equal(got.layer.size, 5);
        assert_string_equal(got.layer.media_type, DV_MEDIA_TYPE_OCI_LAYER_GZIP);
    }
}

static void v1_image_store__what_is_old_is_forgotten(void **state)
{
    enum { DAY = 24 * 60 * 60 };
    static const struct {
        const char *id;
        int64_t age_s;
        bool stays;
    } rows[] = {{"aa", (int64_t)DV_V1_IMAGE_DAYS * DAY - 100, true},
                {"bb", (int64_t)DV_V1_IMAGE_DAYS * DAY + 100, false}};
    fixture *f = *state;
    davit_error *err = NULL;
    struct dv_db *db = NULL;
    assert_ok(dv_store_db(f->store, &db, &err));
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_db_tx) tx = DV_DB_TX_INIT;
        assert_ok(dv_v1_image_store_put(f->store, HERE, rows[i].id, "", "{}", "", 1, &err));
        assert_ok(dv_db_begin(db, DV_DB_WRITE, &tx, &err));
        assert_ok(dv_db_run(db, "UPDATE v1_image SET updated_at = updated_at - ?1 WHERE id = ?2",
                            (dv_db_value[]){DV_INTEGER(rows[i].age_s), DV_TEXT(rows[i].id)}, 2, &err));
        assert_ok(dv_db_commit(&tx, &err));
    }
    assert_ok(dv_v1_image_store_expire(f->store, &err));
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_v1_image_row) got = DV_V1_IMAGE_ROW_INIT;
        assert_int_equal(dv_v1_image_store_get(f->store, HERE, rows[i].id, &got, NULL),
                         rows[i].stays ? 0 : DAVIT_ENOTFOUND);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        store_test(v1_image_store__an_id_belongs_to_its_registry),
        store_test(v1_image_store__a_layer_stays_as_long_as_the_json_does),
        store_test(v1_image_store__what_is_old_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

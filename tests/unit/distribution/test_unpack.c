/* Unit tests of distribution/unpack.c: what an embedder may ask for, and what he is told. The trees are tests/e2e/test_unpack.py's. */
#include "pull_test.h"

#include "../../support/tar_blocks.h"
#include "archive/staging.h"
#include "davit/copy.h"
#include "davit/unpack.h"
#include "oci/media_type.h"
#include "store/image_store.h"
#include "store/ingest.h"
#include "store/metadata_store.h"
#include "util/file.h"

#include <fcntl.h>
#include <sys/stat.h>

#define NAME "example.com/app:1"

/* One image in the store, of layers that are plain tars with one file each. */
typedef struct stored_image {
    davit_digest manifest, config, layers[3];
} stored_image;

static void put(dv_store *s, const char *media_type, const void *bytes, size_t size, davit_digest *out)
{
    davit_descriptor d = {.media_type = media_type, .size = size};
    assert_int_equal(davit_digest_of(DAVIT_SHA256, bytes, size, &d.digest, NULL), 0);
    assert_int_equal(dv_content_put(s, &d, bytes, NULL), 0);
    *out = d.digest;
}

static stored_image put_image(fixture *f)
{
    stored_image i = {0};
    DV_AUTOPTR(dv_store) s = NULL;
    davit_reference *ref;
    DV_AUTO(dv_buf) config = DV_BUF_INIT(1u << 16), manifest = DV_BUF_INIT(1u << 16);
    DV_AUTO(dv_buf) layers = DV_BUF_INIT(1u << 16);
    assert_int_equal(dv_store_open(f->dir, DV_STORE_CREATE, &s, NULL), 0);
    dv_buf_puts(&config, "{\"os\":\"linux\",\"config\":{},\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[");
    for (size_t k = 0; k < DV_COUNT(i.layers); k++) {
        DV_AUTO(dv_buf) tar = DV_BUF_INIT(1u << 16);
        char name[] = {'f', (char)('0' + k), '\0'};
        tar_block(&tar, '0', name, 3);
        tar_data(&tar, "abc", 3);
        tar_end(&tar);
        put(s, DV_MEDIA_TYPE_OCI_LAYER_GZIP, tar.data, tar.size, &i.layers[k]);
        dv_buf_printf(&config, "%s\"%s\"", k ? "," : "", i.layers[k].text);
        dv_buf_printf(&layers, "%s{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu}", k ? "," : "",
                      DV_MEDIA_TYPE_OCI_LAYER_GZIP, i.layers[k].text, tar.size);
    }
    dv_buf_puts(&config, "]}}");
    put(s, DV_MEDIA_TYPE_OCI_CONFIG, config.data, config.size, &i.config);
    dv_buf_printf(
        &manifest,
        "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":{\"mediaType\":\"%s\",\"digest\":\"%s\","
        "\"size\":%zu},\"layers\":[%s]}",
        DV_MEDIA_TYPE_OCI_MANIFEST, DV_MEDIA_TYPE_OCI_CONFIG, i.config.text, config.size,
        dv_buf_text(&layers));
    put(s, DV_MEDIA_TYPE_OCI_MANIFEST, manifest.data, manifest.size, &i.manifest);
    assert_int_equal(davit_reference_parse(NAME, &ref, NULL), 0);
    const dv_image_row row = {.manifest = i.manifest, .config = i.config, .size = 1};
    const dv_pull_record record = {
        .reference = ref,
        .target = {.media_type = DV_MEDIA_TYPE_OCI_MANIFEST, .digest = i.manifest, .size = manifest.size},
        .images = &row,
        .image_count = 1,
    };
    bool updated;
    assert_int_equal(dv_image_store_record(s, &record, &updated, NULL), 0);
    davit_reference_free(ref);
    return i;
}

/* Beside the store, removed with it. */
static const char *target_in(const fixture *f)
{
    static char path[64];
    snprintf(path, sizeof(path), "%s-root", f->dir);
    return path;
}

static void remove_target(const fixture *f)
{
    DV_AUTOCLOSE tmp = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(dv_remove_tree(tmp, strrchr(target_in(f), '/') + 1, NULL), 0);
}

static bool target_exists(const fixture *f)
{
    struct stat st;
    return stat(target_in(f), &st) == 0;
}

static void unpack__options_that_are_unknown_are_refused(void **state)
{
    fixture *f = *state;
    static const davit_unpack_options rows[] = {
        {.version = 0},
        {.version = DAVIT_UNPACK_OPTIONS_VERSION + 1},
        {.version = 1, .flags = 1u << 4},
        {.version = 1, .pull = (davit_pull_when)3},
        {.version = 1, .devices = (davit_unpack_devices)3},
        {.version = 1, .zstd_window_bytes = DAVIT_ZSTD_WINDOW_MAX + 1},
        {.version = 1, .zstd_window_bytes = DAVIT_ZSTD_WINDOW_MIN - 1},
        {.version = 1, .flags = DAVIT_UNPACK_NO_STORE, .pull = DAVIT_PULL_NEVER},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_error *err = NULL;
        int r = davit_unpack(f->client, NAME, target_in(f), &rows[i], NULL, &err);
        if (r != DAVIT_EINVAL || target_exists(f))
            fail_msg("row %zu: %s", i, davit_error_message(err));
        davit_error_free(err);
    }
}

static void unpack__a_client_without_a_store_needs_none(void **state)
{
    fixture *f = *state;
    davit_client_options options = quick_options(f);
    davit_error *err = NULL;
    options.store_dir = NULL;
    use_options(f, &options);
    assert_int_equal(davit_unpack(f->client, NAME, target_in(f), NULL, NULL, &err), DAVIT_EINVAL);
    davit_error_free(err);
}

static void unpack__a_name_that_is_none_is_refused(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    assert_int_equal(davit_unpack(f->client, "Not A Name", target_in(f), NULL, NULL, &err), DAVIT_EINVAL);
    assert_false(target_exists(f));
    davit_error_free(err);
}

typedef struct seen {
    unsigned complete, extracting;
} seen;

static void note(const davit_progress *event, void *user)
{
    seen *s = user;
    s->complete += strcmp(event->action, "Unpack complete") == 0;
    s->extracting += strcmp(event->action, "Extracting") == 0;
}

static void unpack__the_result_says_what_was_done_and_the_store_learns_the_diff_ids(void **state)
{
    fixture *f = *state;
    const stored_image stored = put_image(f);
    davit_error *err = NULL;
    davit_unpack_result *result;
    seen s = {0};
    davit_unpack_options options = DAVIT_UNPACK_OPTIONS_INIT;
    options.progress = note;
    options.user_data = &s;
    assert_ok(davit_unpack(f->client, NAME, target_in(f), &options, &result, &err));
    assert_true(davit_digest_equal(&result->manifest, &stored.manifest));
    assert_true(davit_digest_equal(&result->config, &stored.config));
    assert_true(result->from_store);
    assert_int_equal(result->layer_count, 3);
    assert_int_equal(result->file_count, 3);
    assert_int_equal(result->bytes, 9);
    assert_int_equal(result->skips_total, 0);
    assert_int_equal(s.complete, 3);
    davit_unpack_result_free(result);
    DV_AUTOPTR(dv_store) store = NULL;
    assert_int_equal(dv_store_open(f->dir, 0, &store, NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        davit_digest diff_id;
        assert_int_equal(dv_metadata_get_diff_id(store, &stored.layers[i], &diff_id, NULL), 0);
        assert_true(davit_digest_equal(&diff_id, &stored.layers[i]));
    }
    assert_int_equal(count_files(f, "leases"), 0);
    remove_target(f);
}

static void unpack__only_layers_that_were_inflated_are_learnt(void **state)
{
    fixture *f = *state;
    const stored_image stored = put_image(f);
    davit_error *err = NULL;
    davit_unpack_options options = DAVIT_UNPACK_OPTIONS_INIT;
    options.layers = 2;
    assert_ok(davit_unpack(f->client, NAME, target_in(f), &options, NULL, &err));
    DV_AUTOPTR(dv_store) store = NULL;
    davit_digest diff_id;
    assert_int_equal(dv_store_open(f->dir, 0, &store, NULL), 0);
    assert_int_equal(dv_metadata_get_diff_id(store, &stored.layers[1], &diff_id, NULL), 0);
    assert_int_equal(dv_metadata_get_diff_id(store, &stored.layers[2], &diff_id, NULL), DAVIT_ENOTFOUND);
    remove_target(f);
}

static void unpack__a_cancelled_client_unpacks_nothing(void **state)
{
    fixture *f = *state;
    davit_error *err = NULL;
    put_image(f);
    davit_client_cancel(f->client);
    assert_int_equal(davit_unpack(f->client, NAME, target_in(f), NULL, NULL, &err), DAVIT_ECANCELLED);
    assert_false(target_exists(f));
    davit_error_free(err);
}

/* --- places of files --------------------------------------------------------------------------------------------------- */

typedef struct asked {
    unsigned times;
    int answer;
} asked;

static int verify(const davit_reference *ref, const davit_manifest *manifest, void *user)
{
    asked *a = user;
    assert_null(ref); /* a place is none */
    assert_non_null(manifest);
    a->times++;
    return a->answer;
}

static int take(const void *bytes, size_t size, void *user)
{
    (void)bytes, (void)size, (void)user;
    return 0;
}

static void unpack__a_place_of_files_needs_no_store_and_asks_the_verifier(void **state)
{
    fixture *f = *state;
    char place[64];
    asked a = {.answer = 1};
    davit_error *err = NULL;
    davit_unpack_result *result;
    davit_client_options options = quick_options(f);
    davit_unpack_options o = DAVIT_UNPACK_OPTIONS_INIT;
    davit_export_options x = DAVIT_EXPORT_OPTIONS_INIT;
    const stored_image stored = put_image(f);
    snprintf(place, sizeof(place), "dir:%s/place", f->dir);
    assert_ok(davit_copy(f->client, "store:" NAME, place, NULL, NULL, &err));
    options.store_dir = NULL;
    use_options(f, &options);
    o.verify = x.verify = verify;
    o.user_data = x.user_data = &a;
    o.pull = DAVIT_PULL_ALWAYS;
    assert_int_equal(davit_unpack(f->client, place, target_in(f), &o, NULL, NULL), DAVIT_EINVAL);
    assert_int_equal(a.times, 0);
    o.pull = DAVIT_PULL_NEVER;
    assert_int_equal(davit_unpack(f->client, place, target_in(f), &o, NULL, &err), DAVIT_EDENIED);
    assert_non_null(strstr(davit_error_message(err), "was refused by the verifier"));
    davit_error_free(DV_STEAL(err));
    assert_int_equal(davit_export(f->client, place, &x, take, NULL, NULL), DAVIT_EDENIED);
    assert_false(target_exists(f));
    a = (asked){0};
    o.flags = DAVIT_UNPACK_NO_STORE;
    assert_ok(davit_unpack(f->client, place, target_in(f), &o, &result, &err));
    assert_int_equal(a.times, 1);
    assert_false(result->from_store);
    assert_true(davit_digest_equal(&result->manifest, &stored.manifest));
    assert_int_equal(result->file_count, 3);
    davit_unpack_result_free(result);
    remove_target(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pull_test(unpack__options_that_are_unknown_are_refused),
        pull_test(unpack__a_client_without_a_store_needs_none),
        pull_test(unpack__a_name_that_is_none_is_refused),
        pull_test(unpack__the_result_says_what_was_done_and_the_store_learns_the_diff_ids),
        pull_test(unpack__only_layers_that_were_inflated_are_learnt),
        pull_test(unpack__a_cancelled_client_unpacks_nothing),
        pull_test(unpack__a_place_of_files_needs_no_store_and_asks_the_verifier),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

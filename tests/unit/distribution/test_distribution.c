/*
 * Unit tests of distribution/distribution.c, pull_own.c, own_blob.c, own_resolver.c and repositories.c: pulls into an embedder's stores, and
 * what else it may ask (pull.md 1, 2, 4.1, 6, 7, 9).
 */
#include "own_test.h"

#include "distribution/own_stores.h"

#define SIZES(...) ((const size_t[]){__VA_ARGS__, 0})
#define NO_ROW ((script_row){0})

static int pull_ref(fixture *f, own *o, const char *rest, davit_pull_result *out, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = reference(f, rest);
    davit_image_pull_config config = DAVIT_IMAGE_PULL_CONFIG_INIT;
    config.config = &o->config;
    return davit_distribution_pull(f->client, ref, &config, &o->content, out, err);
}

static int pull(fixture *f, own *o, davit_pull_result *out, davit_error **err)
{
    return pull_ref(f, o, ":1.0", out, err);
}

static bool has(own *o, const char *kind, const blob *b)
{
    const kept *k = find_kept(o, kind, b->descriptor.digest.text);
    return k && k->bytes.size == b->descriptor.size &&
           memcmp(dv_buf_text(&k->bytes), b->bytes, k->bytes.size) == 0;
}

/* --- what arrives ------------------------------------------------------------------------------------------------------ */

static void distribution_pull__commits_in_order(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(own) o = own_new();
    DV_AUTO(image) i = image_make(SIZES(4096, 300000), 1);
    DV_AUTOPTR(davit_error) err = NULL;
    davit_pull_result result;
    char text[400];
    serve_image(f->script, &i, "1.0", NO_ROW);
    assert_ok(pull(f, o, &result, &err));
    assert_string_equal(dv_buf_text(&o->log),
                        "commit layer\ncommit layer\ncommit manifest\nimage\ndigest\ntag\n");
    assert_true(has(o, "blob", &i.layers[0]) && has(o, "blob", &i.layers[1]) && has(o, "blob", &i.manifest));
    assert_true(has(o, "image", &i.config));
    assert_int_equal(count_kept(o, "ref "), 2);
    assert_int_equal(count_kept(o, "ingest "), 0);
    assert_string_equal(result.digest.text, i.manifest.descriptor.digest.text);
    assert_true(result.updated);
    assert_int_equal(result.fetched_count, 4);
    assert_int_equal(count_files(f, "blobs"), 0);
    snprintf(text, sizeof(text), "pull %s/app:1.0 %s/app\n", script_host(f->script), script_host(f->script));
    assert_string_equal(o->events, text);
    assert_non_null(strstr(o->told,
                           "Pulling from app\nPulling fs layer\nPulling fs layer\nVerifying Checksum\n"
                           "Download complete\nPull complete\n"));
    assert_non_null(strstr(o->told, "Status: Downloaded newer image for "));
}

static void distribution_pull__asks_once_when_all_is_there(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(own) o = own_new();
    DV_AUTO(image) i = image_make(SIZES(4096, 5000), 1);
    DV_AUTOPTR(davit_error) err = NULL;
    davit_pull_result result;
    serve_image(f->script, &i, "1.0", NO_ROW);
    assert_ok(pull(f, o, NULL, &err));
    unsigned before = script_count(f->script, "", NULL);
    assert_ok(pull(f, o, &result, &err));
    assert_int_equal(script_count(f->script, "", NULL) - before, 1);
    assert_false(result.updated);
    assert_int_equal(result.fetched_count, 0);
    assert_non_null(strstr(o->told, "Status: Image is up to date for "));
}

static void distribution_pull__by_digest_believes_the_label(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(own) o = own_new();
    DV_AUTO(image) i = image_make(SIZES(4096), 1);
    DV_AUTOPTR(davit_error) err = NULL;
    char rest[200];
    serve_image(f->script, &i, "1.0", NO_ROW);
    snprintf(rest, sizeof(rest), "@%s", i.manifest.descriptor.digest.text);
    assert_ok(pull_ref(f, o, rest, NULL, &err));
    assert_int_equal(count_kept(o, "ref "), 1);
    unsigned before = script_count(f->script, "", NULL);
    assert_ok(pull_ref(f, o, rest, NULL, &err));
    assert_int_equal(script_count(f->script, "", NULL), before);
    o->content.get_label = NULL;
    assert_ok(pull_ref(f, o, rest, NULL, &err));
    assert_int_equal(script_count(f->script, "HEAD ", NULL), 1);
}

static void distribution_pull__configs_without_a_store_are_content(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(own) o = own_new();
    DV_AUTO(image) i = image_make(SIZES(4096), 1);
    DV_AUTOPTR(davit_error) err = NULL;
    davit_pull_result result;
    o->config.images = NULL;
    o->config.references = NULL;
    serve_image(f->script, &i, "1.0", NO_ROW);
    for (unsigned k = 0; k < 2; k++) {
        assert_ok(pull(f, o, &result, &err));
        assert_true(result.updated); /* nobody knows better */
    }
    assert_string_equal(dv_buf_text(&o->log), "commit layer\ncommit config\ncommit manifest\n");
    assert_int_equal(script_count(f->script, blob_request(&i.layers[0]), NULL), 1);
}

static void distribution_pull__without_layers(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(own) o = own_new();
    DV_AUTOPTR(davit_reference) ref = reference(f, ":1.0");
    DV_AUTO(image) i = image_make(SIZES(4096), 1);
    DV_AUTOPTR(davit_error) err = NULL;
    davit_image_pull_config config = DAVIT_IMAGE_PULL_CONFIG_INIT;
    config.config = &o->config;
    config.flags = DAVIT_IMAGE_PULL_NO_LAYERS;
    serve_image(f->script, &i, "1.0", NO_ROW);
    assert_ok(davit_distribution_pull(f->client, ref, &config, &o->content, NULL, &err));
    assert_string_equal(dv_buf_text(&o->log), "commit manifest\nimage\ndigest\ntag\n");
}

static void distribution_pull__without_tables_is_davit_pull(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(davit_reference) ref = reference(f, ":1.0");
    DV_AUTO(image) i = image_make(SIZES(4096), 1);
    DV_AUTOPTR(davit_error) err = NULL;
    serve_image(f->script, &i, "1.0", NO_ROW);
    assert_ok(davit_distribution_pull(f->client, ref, NULL, NULL, NULL, &err));
    assert_true(is_stored(f, ":1.0"));
    assert_true(has_blob(f, &i.layers[0]));
}

/* --- what fails -------------------------------------------------------------------------------------------------------- */

static void distribution_pull__a_failing_table_ends_it(void **state)
{
    static const struct {
        const char *function;
        unsigned at;
        int code;
        const char *log; /* what was visible before */
    } rows[] = {
        {"info", 0, DAVIT_EIO, ""},
        {"info", 1, DAVIT_ESTORE, ""},
        {"writer", 0, DAVIT_EBUSY, ""},
        {"writer", 1, DAVIT_EBUSY, "commit layer\n"},
        {"writer", 2, DAVIT_ENETWORK, "commit layer\ncommit layer\n"},
        {"write", 0, DAVIT_ENOSPACE, ""},
        {"write", 1, DAVIT_EDIGEST, "commit layer\n"},
        {"commit", 0, DAVIT_EIO, ""},
        {"commit", 1, DAVIT_ENOTFOUND, "commit layer\n"},
        {"commit", 2, DAVIT_ESTORE, "commit layer\ncommit layer\n"},
        {"get", 0, DAVIT_EIO, ""},
        {"get", 1, DAVIT_EUNAUTHORIZED, ""},
        {"put", 0, DAVIT_EUNAVAILABLE, "commit layer\ncommit layer\ncommit manifest\n"},
        {"get_ref", 1, DAVIT_ETIMEOUT, "commit layer\ncommit layer\ncommit manifest\nimage\n"},
        {"add_tag", 0, -1234, "commit layer\ncommit layer\ncommit manifest\nimage\ndigest\n"},
    };
    fixture *f = *state;
    DV_AUTO(image) i = image_make(SIZES(4096, 5000), 1);
    serve_image(f->script, &i, "1.0", NO_ROW);
    for (size_t k = 0; k < DV_COUNT(rows); k++) {
        DV_AUTOPTR(own) o = own_new();
        DV_AUTOPTR(davit_error) err = NULL;
        char tag[200];
        snprintf(tag, sizeof(tag), "%s/app:1.0", script_host(f->script));
        o->fail = rows[k].function;
        o->fail_at = rows[k].at;
        o->fail_code = rows[k].code;
        unsigned before = script_count(f->script, "GET /v2/app/manifests", NULL);
        int r = pull(f, o, NULL, &err);
        if (r != rows[k].code || davit_error_code(err) != r || strcmp(dv_buf_text(&o->log), rows[k].log) != 0)
            fail_msg("%s %u: expected %d, got %d: %s; log:\n%s", rows[k].function, rows[k].at, rows[k].code,
                     r, davit_error_message(err), dv_buf_text(&o->log));
        if (!strstr(davit_error_message(err), rows[k].at % 2 == 0 ? STORY : davit_code_text(rows[k].code)) ||
            !strstr(davit_error_message(err), " store: "))
            fail_msg("%s %u: told as %s", rows[k].function, rows[k].at, davit_error_message(err));
        assert_null(find_kept(o, "ref", tag));
        assert_string_equal(o->events, "");
        assert_true(script_count(f->script, "GET /v2/app/manifests", NULL) - before <=
                    1); /* nobody else is asked */
    }
}

/* By digest the manifest is read from the content store. */
static void distribution_pull__a_content_store_that_cannot_be_read(void **state)
{
    static const char *const functions[] = {"open", "read"};
    fixture *f = *state;
    DV_AUTO(image) i = image_make(SIZES(4096), 1);
    char rest[200];
    serve_image(f->script, &i, "1.0", NO_ROW);
    snprintf(rest, sizeof(rest), "@%s", i.manifest.descriptor.digest.text);
    for (size_t k = 0; k < DV_COUNT(functions); k++) {
        DV_AUTOPTR(own) o = own_new();
        DV_AUTOPTR(davit_error) err = NULL;
        assert_ok(pull_ref(f, o, rest, NULL, &err));
        o->fail = functions[k];
        o->fail_code = DAVIT_EIO;
        assert_int_equal(pull_ref(f, o, rest, NULL, &err), DAVIT_EIO);
        assert_non_null(strstr(davit_error_message(err), "content store: " STORY));
    }
}

static void distribution_pull__a_damaged_manifest_is_fetched_again(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(own) o = own_new();
    DV_AUTO(image) i = image_make(SIZES(4096), 1);
    DV_AUTOPTR(davit_error) err = NULL;
    serve_image(f->script, &i, "1.0", NO_ROW);
    assert_ok(pull(f, o, NULL, &err));
    find_kept(o, "blob", i.manifest.descriptor.digest.text)->bytes.data[0] ^= 1;
    unsigned before = script_count(f->script, "GET /v2/app/manifests", NULL);
    assert_ok(pull(f, o, NULL, &err));
    assert_int_equal(script_count(f->script, "GET /v2/app/manifests", NULL) - before, 1);
}

static void distribution_pull__what_only_helps_may_fail(void **state)
{
    static const char *const functions[] = {"get_label", "set_label", "add_digest", "get_ref"};
    fixture *f = *state;
    DV_AUTO(image) i = image_make(SIZES(4096, 5000), 1);
    serve_image(f->script, &i, "1.0", NO_ROW);
    for (size_t k = 0; k < DV_COUNT(functions); k++) {
        DV_AUTOPTR(own) o = own_new();
        DV_AUTOPTR(davit_error) err = NULL;
        o->fail = functions[k];
        o->fail_code = DAVIT_EIO;
        assert_ok(pull(f, o, NULL, &err));
        assert_true(o->calls > 0);
    }
}

static void distribution_pull__wrong_bytes_are_never_committed(void **state)
{
    static const struct {
        const char *name;
        ptrdiff_t more; /* bytes than the descriptor says */
        bool flipped;
    } rows[] = {{"others", 0, true}, {"longer", 5, false}, {"shorter", -5, false}};
    fixture *f = *state;
    for (size_t k = 0; k < DV_COUNT(rows); k++) {
        script *s = script_start(NULL, 0);
        script *old = f->script;
        f->script = s;
        DV_AUTOPTR(own) o = own_new();
        DV_AUTO(image) i = image_make(SIZES(4096, 5000), 1);
        DV_AUTOPTR(davit_error) err = NULL;
        DV_AUTOFREE char *bad = calloc(1, 6000);
        memcpy(bad, i.layers[0].bytes, 4096);
        bad[100] ^= (char)rows[k].flipped;
        script_add(s, &(script_row){.request = blob_request(&i.layers[0]),
                                    .body = bad,
                                    .size = (size_t)(4096 + rows[k].more)});
        serve_image(s, &i, "1.0", NO_ROW);
        int r = pull(f, o, NULL, &err);
        if (r != DAVIT_EDIGEST ||
            !strstr(davit_error_message(err), "filesystem layer verification failed for digest"))
            fail_msg("%s: %s: %s", rows[k].name, davit_code_name(r), davit_error_message(err));
        assert_string_equal(dv_buf_text(&o->log), "abort layer\n");
        assert_int_equal(o->count, 0);
        f->script = old;
        script_stop(s);
    }
}

static void distribution_pull__wrong_configs_end_it_before_layers(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(own) o = own_new();
    DV_AUTO(image) i = image_make(SIZES(4096, 5000), 1);
    DV_AUTOPTR(davit_error) err = NULL;
    script_add(f->script, &(script_row){.request = blob_request(&i.config), .body = "{}"});
    serve_image(f->script, &i, "1.0", NO_ROW);
    assert_int_equal(pull(f, o, NULL, &err), DAVIT_EDIGEST);
    assert_string_equal(dv_buf_text(&o->log), "");
    assert_int_equal(script_count(f->script, blob_request(&i.layers[0]), NULL), 0);
}

/* --- going on ------------------------------------------------------------------------------------------------------------ */

/* An image with one layer, of which some bytes are there. */
static void leave(own *o, const image *i, const void *bytes, size_t size)
{
    char key[200];
    snprintf(key, sizeof(key), "layer-%s", i->layers[0].descriptor.digest.text);
    set_kept(o, "ingest", key, bytes, size);
}

static void distribution_pull__goes_on_after_a_cut(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(own) o = own_new();
    DV_AUTO(image) i = image_make(SIZES(500000), 1);
    DV_AUTOPTR(davit_error) err = NULL;
    const blob *layer = &i.layers[0];
    script_add(f->script, &(script_row){.request = blob_request(layer),
                                        .times = 1,
                                        .ranges = true,
                                        .body = layer->bytes,
                                        .size = 500000,
                                        .cut = 200000,
                                        .then = SCRIPT_CLOSE});
    script_add(
        f->script,
        &(script_row){.request = blob_request(layer), .ranges = true, .body = layer->bytes, .size = 500000});
    serve_image(f->script, &i, "1.0", NO_ROW);
    assert_ok(pull(f, o, NULL, &err));
    assert_true(has(o, "blob", layer));
    assert_int_equal(script_count(f->script, blob_request(layer), "Range: bytes="), 1);
    assert_non_null(strstr(o->told, "Retrying in 1 second\n"));
}

static void distribution_pull__goes_on_with_what_was_left(void **state)
{
    static const struct {
        const char *name;
        size_t left;
        bool damaged, ranges, cannot_restart;
        int code;
        unsigned requests;
    } rows[] = {
        {"a part", 200000, false, true, false, 0, 1},
        {"all", 500000, false, true, false, 0, 0},
        {"a part, and no ranges", 200000, false, false, false, 0, 2},
        {"a wrong part", 200000, true, true, false, 0, 2},
        {"all wrong", 500000, true, true, false, 0, 1},
        {"too much", 500001, false, true, false, 0, 1},
        {"a wrong part for good", 200000, true, true, true, DAVIT_EDIGEST, 1},
        {"a part for good, and no ranges", 200000, false, false, true, DAVIT_EUNSUPPORTED, 1},
    };
    fixture *f = *state;
    for (size_t k = 0; k < DV_COUNT(rows); k++) {
        script *old = f->script;
        script *s = f->script = script_start(NULL, 0);
        DV_AUTOPTR(own) o = own_new();
        DV_AUTO(image) i = image_make(SIZES(500000), 1);
        DV_AUTOPTR(davit_error) err = NULL;
        DV_AUTOFREE char *left = calloc(1, 500001);
        memcpy(left, i.layers[0].bytes, 500000);
        left[7] ^= (char)rows[k].damaged;
        leave(o, &i, left, rows[k].left);
        o->cannot_restart = rows[k].cannot_restart;
        serve_image(s, &i, "1.0", (script_row){.ranges = rows[k].ranges, .body = NULL});
        if (rows[k].ranges) {
            script_stop(s);
            s = f->script = script_start(NULL, 0);
            script_add(s, &(script_row){.request = blob_request(&i.layers[0]),
                                        .ranges = true,
                                        .body = i.layers[0].bytes,
                                        .size = 500000});
            serve_image(s, &i, "1.0", NO_ROW);
        }
        int r = pull(f, o, NULL, &err);
        unsigned requests = script_count(s, blob_request(&i.layers[0]), NULL);
        if (r != rows[k].code || requests != rows[k].requests || (r == 0) != has(o, "blob", &i.layers[0]))
            fail_msg("%s: %s after %u requests: %s", rows[k].name, davit_code_name(r), requests,
                     davit_error_message(err));
        f->script = old;
        script_stop(s);
    }
}

static void distribution_pull__a_leftover_that_cannot_be_read_is_an_error(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(own) o = own_new();
    DV_AUTO(image) i = image_make(SIZES(5000), 1);
    DV_AUTOPTR(davit_error) err = NULL;
    leave(o, &i, i.layers[0].bytes, 3000);
    o->fail = "read_back";
    o->fail_code = DAVIT_EIO;
    serve_image(f->script, &i, "1.0", NO_ROW);
    assert_int_equal(pull(f, o, NULL, &err), DAVIT_EIO);
    assert_non_null(strstr(davit_error_message(err), "content store: " STORY));
}

/* --- metadata ------------------------------------------------------------------------------------------------------------ */

static void distribution_pull__remembers_layers_that_it_inflated(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(own) o = own_new();
    DV_AUTO(image) i = plain_image(2, 5);
    DV_AUTOPTR(davit_error) err = NULL;
    char expected[500], key[200];
    const char *digest = i.layers[1].descriptor.digest.text;
    o->config.metadata = &o->metadata;
    serve_image(f->script, &i, "1.0", NO_ROW);
    for (unsigned k = 0; k < 2; k++)
        assert_ok(pull(f, o, NULL, &err));
    snprintf(key, sizeof(key), "sha256/%s", davit_digest_hex(&i.layers[1].descriptor.digest));
    snprintf(expected, sizeof(expected),
             "[{\"Digest\":\"%s\",\"SourceRepository\":\"%s/app\",\"HMAC\":\"\"}]", digest,
             script_host(f->script));
    assert_string_equal(dv_buf_text(&find_kept(o, "v2metadata-by-diffid", key)->bytes), expected);
    assert_string_equal(dv_buf_text(&find_kept(o, "diffid-by-digest", key)->bytes), digest);
}

static void distribution_pull__layers_must_inflate_to_their_diff_ids(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(own) o = own_new();
    DV_AUTO(image) i = image_make(SIZES(4096), 1); /* whose diff_ids are invented */
    DV_AUTOPTR(davit_error) err = NULL;
    o->config.metadata = &o->metadata;
    serve_image(f->script, &i, "1.0", NO_ROW);
    assert_int_equal(pull(f, o, NULL, &err), DAVIT_EDIGEST);
    assert_string_equal(dv_buf_text(&o->log), "abort layer\n");
    assert_int_equal(o->count, 0);
}

/* Bytes that are right and no gzip, and bytes that are wrong and no gzip. */
static void distribution_pull__what_does_not_inflate_is_told_by_its_digest(void **state)
{
    fixture *f = *state;
    for (unsigned wrong = 0; wrong < 2; wrong++) {
        script *old = f->script;
        script *s = f->script = script_start(NULL, 0);
        DV_AUTOPTR(own) o = own_new();
        DV_AUTO(image) i = {.layer_count = 1};
        DV_AUTOPTR(davit_error) err = NULL;
        char other[11] = "\x1f\x8b\x08nothing";
        i.layers[0] = blob_of_text("\x1f\x8b\x08nonsense", DV_MEDIA_TYPE_OCI_LAYER_GZIP);
        image_finish(&i, LINUX, 1, 1);
        o->config.metadata = &o->metadata;
        if (wrong)
            script_add(s, &(script_row){.request = blob_request(&i.layers[0]), .body = other, .size = 10});
        serve_image(s, &i, "1.0", NO_ROW);
        assert_int_equal(pull(f, o, NULL, &err), wrong ? DAVIT_EDIGEST : DAVIT_EFORMAT);
        assert_non_null(strstr(davit_error_message(err), wrong ? "verification failed" : "gzip"));
        assert_string_equal(dv_buf_text(&o->log), "abort layer\n");
        f->script = old;
        script_stop(s);
    }
}

static void distribution_pull__a_failing_memory_costs_nothing(void **state)
{
    static const char *const functions[] = {"metadata_get", "metadata_set"};
    fixture *f = *state;
    DV_AUTO(image) i = plain_image(1, 5);
    serve_image(f->script, &i, "1.0", NO_ROW);
    for (size_t k = 0; k < DV_COUNT(functions); k++) {
        DV_AUTOPTR(own) o = own_new();
        DV_AUTOPTR(davit_error) err = NULL;
        o->config.metadata = &o->metadata;
        o->fail = functions[k];
        o->fail_code = DAVIT_EIO;
        assert_ok(pull(f, o, NULL, &err));
        assert_true(o->calls > 0);
    }
}

/* --- the store's configs as a table ---------------------------------------------------------------------------------------- */

static void image_config_store__of_a_store(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(own) o = own_new();
    DV_AUTO(image) i = image_make(SIZES(4096), 1);
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(1u << 16);
    DV_AUTOPTR(davit_error) err = NULL;
    davit_store *store = NULL;
    davit_image_config_store table = DAVIT_IMAGE_CONFIG_STORE_INIT;
    const davit_digest *id = &i.config.descriptor.digest;
    char dir[100];
    snprintf(dir, sizeof(dir), "%s/own", f->dir);
    assert_ok(davit_store_open(dir, DAVIT_STORE_CREATE, &store, &err));
    davit_store_get_image_config_store(store, &table);
    assert_int_equal(table.get(table.user_data, id, dv_own_collect, &bytes, &err), DAVIT_ENOTFOUND);
    assert_true(dv_str_starts(davit_error_message(err), "failed to get digest sha256:"));
    assert_int_equal(table.put(table.user_data, id, "{}", 2, &err), DAVIT_EFORMAT);
    o->config.images = &table;
    serve_image(f->script, &i, "1.0", NO_ROW);
    assert_ok(pull(f, o, NULL, &err));
    assert_ok(table.get(table.user_data, id, dv_own_collect, &bytes, &err));
    assert_int_equal(bytes.size, i.config.descriptor.size);
    assert_memory_equal(bytes.data, i.config.bytes, bytes.size);
    davit_store_free(store);
}

/* --- arguments ----------------------------------------------------------------------------------------------------------- */

static void distribution_pull__bad_arguments(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(own) o = own_new();
    DV_AUTOPTR(davit_reference) ref = reference(f, ":1.0");
    davit_content_store sizeless = o->content, empty = {.size = sizeof(empty)};
    davit_distribution_config newer = o->config, none = DAVIT_DISTRIBUTION_CONFIG_INIT;
    newer.version = 7;
    sizeless.size = 0;
    const struct {
        const davit_distribution_config *config;
        const davit_content_store *content;
        uint32_t flags;
        int code;
        const char *words;
    } rows[] = {
        {&newer, &o->content, 0, DAVIT_EINVAL, "unknown distribution config"},
        {&o->config, NULL, 0, DAVIT_EINVAL, "need a content store"},
        {&o->config, &sizeless, 0, DAVIT_EINVAL, "content store: its size is not set"},
        {&o->config, &empty, 0, DAVIT_EINVAL, "content store: it lacks a function"},
        {&o->config, &o->content, 8, DAVIT_EINVAL, "unknown pull config"},
        {&none, NULL, DAVIT_IMAGE_PULL_NO_LAYERS, DAVIT_EUNSUPPORTED, "without layers"},
    };
    for (size_t k = 0; k < DV_COUNT(rows); k++) {
        DV_AUTOPTR(davit_error) err = NULL;
        const davit_image_pull_config config = {
            .version = DAVIT_IMAGE_PULL_CONFIG_VERSION, .flags = rows[k].flags, .config = rows[k].config};
        int r = davit_distribution_pull(f->client, ref, &config, rows[k].content, NULL, &err);
        if (r != rows[k].code || !strstr(davit_error_message(err), rows[k].words))
            fail_msg("row %zu: %s: %s", k, davit_code_name(r), davit_error_message(err));
    }
    assert_int_equal(script_count(f->script, "", NULL), 0);
}

/* --- resolver ------------------------------------------------------------------------------------------------------------ */

typedef struct resolving {
    const char *urls[4];
    bool mirror; /* the first is one */
    int code;
    const char *user, *password;
    char host[100];
} resolving;

static int lookup(void *user_data, const char *host, davit_api_endpoint_fn give, void *give_data,
                  davit_error **err)
{
    resolving *r = user_data;
    snprintf(r->host, sizeof(r->host), "%s", host);
    for (size_t i = 0; i < 4 && r->urls[i]; i++) {
        char url[200];
        snprintf(url, sizeof(url), "%s", r->urls[i]);
        const davit_api_endpoint e = {.url = url, .mirror = r->mirror && i == 0};
        if (give(&e, give_data) != 0)
            break;
    }
    return r->code;
}

static bool everything_is_insecure(void *user_data, const char *host)
{
    return true;
}

static int resolve_auth(void *user_data, const davit_reference *ref, davit_auth_config *out, davit_error **err)
{
    const resolving *r = user_data;
    if (r->user) {
        out->username = dv_strdup(r->user);
        out->password = dv_strdup(r->password);
    }
    return 0;
}

static davit_registry_resolver resolver_of(resolving *r)
{
    return (davit_registry_resolver){sizeof(davit_registry_resolver), r,           lookup, lookup,
                                     everything_is_insecure,          resolve_auth};
}

static void distribution_resolver__says_where_and_who(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(own) o = own_new();
    DV_AUTOPTR(davit_reference) ref = NULL;
    DV_AUTO(image) i = image_make(SIZES(4096), 1);
    DV_AUTOPTR(davit_error) err = NULL;
    char https[100], http[100];
    const char *const headers[] = {"X-Meta: yes", NULL};
    davit_image_pull_config config = DAVIT_IMAGE_PULL_CONFIG_INIT;
    snprintf(https, sizeof(https), "https://%s", script_host(f->script));
    snprintf(http, sizeof(http), "http://%s", script_host(f->script));
    resolving r = {.urls = {https, http}, .user = "u", .password = "p"};
    const davit_registry_resolver resolver = resolver_of(&r);
    o->config.resolver = &resolver;
    o->config.meta_headers = headers;
    config.config = &o->config;
    assert_int_equal(davit_reference_parse("registry.example/app:1.0", &ref, NULL), 0);
    script_add(f->script, &(script_row){.without = "\r\nAuthorization: Basic dTpw\r\n",
                                        .status = 401,
                                        .headers = "WWW-Authenticate: Basic realm=\"r\"\r\n"});
    serve_image(f->script, &i, "1.0", NO_ROW);
    assert_ok(davit_distribution_pull(f->client, ref, &config, &o->content, NULL, &err));
    assert_string_equal(r.host, "registry.example");
    assert_non_null(find_kept(o, "ref", "registry.example/app:1.0"));
    /* Neither goes with the request that finds out whether the host speaks TLS. */
    assert_int_equal(script_count(f->script, "", "X-Meta: yes"), script_count(f->script, "", "Basic dTpw"));
    assert_true(script_count(f->script, "GET /v2/app/blobs/", "X-Meta: yes") > 0);
}

static void distribution_resolver__that_fails_or_gives_nonsense(void **state)
{
    static const struct {
        resolving resolving;
        int code;
        const char *words;
    } rows[] = {
        {{.urls = {NULL}, .code = DAVIT_EUNAVAILABLE}, DAVIT_EUNAVAILABLE, "registry resolver: "},
        {{.urls = {"ftp://x"}}, DAVIT_EPROTOCOL, "registry resolver: "},
        {{.urls = {NULL}}, DAVIT_ENOTFOUND, "no endpoints found for "},
    };
    fixture *f = *state;
    for (size_t k = 0; k < DV_COUNT(rows); k++) {
        DV_AUTOPTR(own) o = own_new();
        DV_AUTOPTR(davit_error) err = NULL;
        resolving r = rows[k].resolving;
        const davit_registry_resolver resolver = resolver_of(&r);
        o->config.resolver = &resolver;
        int got = pull(f, o, NULL, &err);
        if (got != rows[k].code || !strstr(davit_error_message(err), rows[k].words))
            fail_msg("row %zu: %s: %s", k, davit_code_name(got), davit_error_message(err));
    }
}

/* --- tags and repositories ------------------------------------------------------------------------------------------------- */

static int note_tag(const char *tag, void *user_data)
{
    size_t at = strlen(user_data);
    snprintf((char *)user_data + at, 200 - at, "%s ", tag);
    return strcmp(tag, "stop") == 0;
}

static void distribution_tags__of_the_first_endpoint_that_works(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(davit_reference) ref = reference(f, "");
    DV_AUTOPTR(davit_error) err = NULL;
    char told[200] = "", http[100];
    davit_distribution_config config = DAVIT_DISTRIBUTION_CONFIG_INIT;
    script *broken = script_start(ROWS({.status = 404}));
    char bad[100];
    snprintf(bad, sizeof(bad), "http://%s", script_host(broken));
    snprintf(http, sizeof(http), "http://%s", script_host(f->script));
    resolving r = {.urls = {bad, http}, .mirror = true};
    const davit_registry_resolver resolver = resolver_of(&r);
    config.resolver = &resolver;
    script_add(f->script,
               &(script_row){.request = "GET /v2/app/tags/list",
                             .body = "{\"name\":\"app\",\"tags\":[\"b\",\"a\",\"stop\",\"never\"]}"});
    assert_ok(davit_distribution_tags(f->client, ref, &config, note_tag, told, &err));
    assert_string_equal(told, "b a stop ");
    script_stop(broken);
}

static void distribution_repositories__are_those_that_answer(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(davit_reference) ref = reference(f, "");
    DV_AUTO(image) i = image_make(SIZES(4096), 1);
    DV_AUTOPTR(davit_error) err = NULL;
    davit_repository_list *list = NULL;
    davit_manifest *m = NULL;
    char http[100], told[200] = "";
    const char *const headers[] = {"X-Meta: yes", NULL};
    davit_distribution_config config = DAVIT_DISTRIBUTION_CONFIG_INIT;
    snprintf(http, sizeof(http), "http://%s", script_host(f->script));
    resolving r = {.urls = {"http://127.0.0.1:1", http}, .mirror = true};
    const davit_registry_resolver resolver = resolver_of(&r);
    config.resolver = &resolver;
    config.meta_headers = headers;
    script_add(f->script, &(script_row){.request = "GET /v2/ ", .status = 404});
    script_add(f->script, &(script_row){.request = "GET /v2/app/tags/list",
                                        .body = "{\"name\":\"app\",\"tags\":[\"1.0\"]}"});
    serve_image(f->script, &i, "1.0", NO_ROW);
    assert_ok(davit_distribution_get_repositories(f->client, ref, &config, &list, &err));
    assert_int_equal(davit_repository_list_count(list), 1);
    assert_null(davit_repository_list_at(list, 1));
    davit_repository *repository = davit_repository_list_at(list, 0);
    assert_string_equal(davit_repository_name(repository), davit_reference_name(ref));
    assert_true(dv_str_starts(davit_repository_url(repository), http));
    assert_ok(davit_repository_tags(repository, note_tag, told, &err));
    assert_string_equal(told, "1.0 ");
    assert_ok(davit_repository_get_manifest(repository, "1.0", &m, &err));
    assert_string_equal(davit_manifest_digest(m)->text, i.manifest.descriptor.digest.text);
    davit_manifest_free(m);
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(8192);
    uint64_t size;
    assert_ok(davit_repository_get_blob(repository, &i.layers[0].descriptor.digest, dv_own_collect, &bytes,
                                        &size, &err));
    assert_int_equal(size, 4096);
    assert_int_equal(script_count(f->script, "", "X-Meta"), 0);
    davit_repository_list_free(list);
}

static void distribution_repositories__none_that_answers_is_an_error(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(davit_reference) ref = reference(f, "");
    DV_AUTOPTR(davit_reference) scratch = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    davit_repository_list *list = NULL;
    davit_distribution_config config = DAVIT_DISTRIBUTION_CONFIG_INIT;
    resolving r = {.urls = {"http://127.0.0.1:1"}, .mirror = true};
    const davit_registry_resolver resolver = resolver_of(&r);
    config.resolver = &resolver;
    assert_int_equal(davit_distribution_get_repositories(f->client, ref, &config, &list, &err),
                     DAVIT_ENETWORK);
    assert_int_equal(davit_reference_parse_exact("docker.io/library/scratch", &scratch, NULL), 0);
    assert_int_equal(davit_distribution_get_repositories(f->client, scratch, NULL, &list, &err), DAVIT_EINVAL);
    assert_string_equal(davit_error_message(err), "'scratch' is a reserved name");
    assert_int_equal(davit_distribution_tags(f->client, scratch, NULL, note_tag, NULL, &err),
                     DAVIT_EFORBIDDEN);
    assert_null(list);
}

/* --- questions about errors ------------------------------------------------------------------------------------------------- */

static void distribution_errors__tell_what_was_refused(void **state)
{
    static const char schema1[] = "{\"schemaVersion\":1,\"name\":\"app\",\"tag\":\"old\",\"fsLayers\":[]}";
    fixture *f = *state;
    DV_AUTOPTR(own) o = own_new();
    DV_AUTOPTR(davit_error) old = NULL;
    DV_AUTOPTR(davit_error) model = NULL;
    DV_AUTOPTR(davit_error) other = NULL;
    DV_AUTO(image) i = image_make(SIZES(4096), 1);
    DV_AUTO(dv_buf) text = DV_BUF_INIT(4096);
    i.config.descriptor.media_type = "application/vnd.docker.ai.model.config.v0.1+json";
    dv_buf_puts(&text, "{\"schemaVersion\":2,\"mediaType\":\"" DV_MEDIA_TYPE_OCI_MANIFEST "\",\"config\":");
    append_descriptor(&text, &i.config.descriptor);
    dv_buf_puts(&text, ",\"layers\":[]}");
    blob ai = blob_of_text(dv_buf_text(&text), DV_MEDIA_TYPE_OCI_MANIFEST);
    serve_manifest(f->script, &ai, "ai");
    script_add(f->script, &(script_row){.request = "GET /v2/app/manifests/old",
                                        .headers = "Content-Type: " DV_MEDIA_TYPE_SCHEMA1 "\r\n",
                                        .body = schema1});
    assert_true(pull_ref(f, o, ":old", NULL, &old) < 0);
    assert_true(pull_ref(f, o, ":ai", NULL, &model) < 0);
    assert_true(pull_ref(f, o, ":missing", NULL, &other) < 0);
    const davit_error *errors[] = {old, model, other, NULL};
    for (size_t k = 0; k < DV_COUNT(errors); k++) {
        if (davit_error_is_deprecated_schema1_image(errors[k]) != (k == 0) ||
            davit_error_is_ai_model_not_supported(errors[k]) != (k == 1))
            fail_msg("error %zu: %s", k, davit_error_message(errors[k]));
    }
    assert_int_equal(o->count, 0);
    blob_clear(&ai);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pull_test(distribution_pull__commits_in_order),
        pull_test(distribution_pull__asks_once_when_all_is_there),
        pull_test(distribution_pull__by_digest_believes_the_label),
        pull_test(distribution_pull__configs_without_a_store_are_content),
        pull_test(distribution_pull__without_layers),
        pull_test(distribution_pull__without_tables_is_davit_pull),
        pull_test(distribution_pull__a_failing_table_ends_it),
        pull_test(distribution_pull__a_content_store_that_cannot_be_read),
        pull_test(distribution_pull__a_damaged_manifest_is_fetched_again),
        pull_test(distribution_pull__what_only_helps_may_fail),
        pull_test(distribution_pull__wrong_bytes_are_never_committed),
        pull_test(distribution_pull__wrong_configs_end_it_before_layers),
        pull_test(distribution_pull__goes_on_after_a_cut),
        pull_test(distribution_pull__goes_on_with_what_was_left),
        pull_test(distribution_pull__a_leftover_that_cannot_be_read_is_an_error),
        pull_test(distribution_pull__remembers_layers_that_it_inflated),
        pull_test(distribution_pull__layers_must_inflate_to_their_diff_ids),
        pull_test(distribution_pull__what_does_not_inflate_is_told_by_its_digest),
        pull_test(distribution_pull__a_failing_memory_costs_nothing),
        pull_test(image_config_store__of_a_store),
        pull_test(distribution_pull__bad_arguments),
        pull_test(distribution_resolver__says_where_and_who),
        pull_test(distribution_resolver__that_fails_or_gives_nonsense),
        pull_test(distribution_tags__of_the_first_endpoint_that_works),
        pull_test(distribution_repositories__are_those_that_answer),
        pull_test(distribution_repositories__none_that_answers_is_an_error),
        pull_test(distribution_errors__tell_what_was_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

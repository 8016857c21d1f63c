/* Unit tests of distribution/push_own.c and own_metadata.c: pushes out of an embedder's stores (push.md 1, 2, 3, 6, 7, 10; store.md 6). */
#include "own_test.h"

#include "davit/image_config.h"
#include "distribution/own_stores.h"

/* Layers are the embedder's blobs, plain, by chain id. */
typedef struct layers {
    own *own;
    const image *image;
    davit_layer_provider provider;
} layers;

typedef struct given {
    own *own;
    davit_digest digest;
} given;

static int given_open(void *user_data, davit_layer_stream *out, davit_error **err)
{
    given *g = user_data;
    return content_open(g->own, &g->digest, out, err);
}

static int get_layer(void *user_data, const davit_digest *chain, davit_push_layer *out, davit_error **err)
{
    layers *l = user_data;
    davit_digest diff_ids[LAYERS_MAX], have;
    for (size_t i = 0; i < l->image->layer_count; i++)
        diff_ids[i] = l->image->layers[i].descriptor.digest;
    for (size_t i = 0; i < l->image->layer_count; i++) {
        assert_int_equal(davit_chain_id(diff_ids, i + 1, &have, NULL), 0);
        if (!davit_digest_equal(&have, chain))
            continue;
        given *g = dv_new(given);
        *g = (given){l->own, diff_ids[i]};
        *out = (davit_push_layer){.size = sizeof(*out),
                                  .user_data = g,
                                  .chain_id = *chain,
                                  .diff_id = diff_ids[i],
                                  .size_bytes = l->image->layers[i].descriptor.size,
                                  .media_type = DV_MEDIA_TYPE_DOCKER_LAYER,
                                  .open = given_open,
                                  .release = free};
        return 0;
    }
    return davit_error_set(err, DAVIT_ENOTFOUND, "layer does not exist");
}

/* Everything of an image, and a tag that names it. */
static own *own_with(fixture *f, const image *i, layers *out, const char *tag)
{
    own *o = own_new();
    char name[200];
    o->any_thread = true;
    o->config.metadata = &o->metadata;
    for (size_t k = 0; k < i->layer_count; k++)
        set_kept(o, "blob", i->layers[k].descriptor.digest.text, i->layers[k].bytes,
                 (size_t)i->layers[k].descriptor.size);
    set_kept(o, "image", i->config.descriptor.digest.text, i->config.bytes, (size_t)i->config.descriptor.size);
    snprintf(name, sizeof(name), "%s/app%s", script_host(f->script), tag);
    set_kept(o, "ref", name, i->config.descriptor.digest.text, strlen(i->config.descriptor.digest.text));
    *out = (layers){.own = o, .image = i};
    out->provider = (davit_layer_provider){.size = sizeof(out->provider), .user_data = out, .get = get_layer};
    return o;
}

static int push(fixture *f, own *o, layers *l, const char *rest, davit_push_result *out, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = reference(f, rest);
    davit_image_push_config config = DAVIT_IMAGE_PUSH_CONFIG_INIT;
    config.config = &o->config;
    config.layers = &l->provider;
    return davit_distribution_push(f->client, ref, &config, out, err);
}

static void serve(fixture *f)
{
    const char *headers = "Location: /v2/app/blobs/uploads/1\r\n";
    script_add(f->script,
               &(script_row){.request = "POST /v2/app/blobs/uploads/", .status = 202, .headers = headers});
    script_add(f->script,
               &(script_row){.request = "PATCH /v2/app/blobs/uploads/1", .status = 202, .headers = headers});
    script_add(f->script, &(script_row){.request = "PUT /v2/app/blobs/uploads/1",
                                        .status = 201,
                                        .headers = "Location: /v2/app/blobs/x\r\n"});
    script_add(f->script, &(script_row){.request = "PUT /v2/app/manifests/", .status = 201});
}

/* --- what goes ------------------------------------------------------------------------------------------------------------ */

static void distribution_push__sends_and_records(void **state)
{
    fixture *f = *state;
    DV_AUTO(image) i = plain_image(2, 9);
    layers l;
    DV_AUTOPTR(own) o = own_with(f, &i, &l, ":1.0");
    DV_AUTOPTR(davit_error) err = NULL;
    davit_push_result result;
    char name[400], key[200];
    serve(f);
    assert_ok(push(f, o, &l, ":1.0", &result, &err));
    assert_int_equal(result.sent_count, 2);
    assert_int_equal(result.tag_count, 1);
    snprintf(name, sizeof(name), "%s/app@%s", script_host(f->script), result.digest.text);
    assert_non_null(find_kept(o, "ref", name));
    snprintf(name, sizeof(name), "push %s/app:1.0 %s/app\n", script_host(f->script), script_host(f->script));
    assert_string_equal(o->events, name);
    for (size_t k = 0; k < 2; k++) {
        snprintf(key, sizeof(key), "sha256/%s", davit_digest_hex(&i.layers[k].descriptor.digest));
        assert_non_null(find_kept(o, "v2metadata-by-diffid", key));
    }
    DV_AUTOFREE char *manifest = script_request(f->script, "PUT /v2/app/manifests/1.0", 0);
    assert_non_null(strstr(manifest, DV_MEDIA_TYPE_DOCKER_MANIFEST));
    assert_non_null(strstr(manifest, i.config.descriptor.digest.text));
}

static void distribution_push__asks_by_what_it_remembers(void **state)
{
    fixture *f = *state;
    DV_AUTO(image) i = plain_image(1, 9);
    layers l;
    DV_AUTOPTR(own) o = own_with(f, &i, &l, ":1.0");
    DV_AUTOPTR(davit_error) err = NULL;
    davit_push_result result;
    char text[600], key[200], request[300];
    blob elsewhere = blob_make(100, 3);
    const davit_digest *digest = &elsewhere.descriptor.digest;
    snprintf(key, sizeof(key), "sha256/%s", davit_digest_hex(&i.layers[0].descriptor.digest));
    snprintf(text, sizeof(text), "[{\"Digest\":\"%s\",\"SourceRepository\":\"%s/base\",\"HMAC\":\"\"}]",
             digest->text, script_host(f->script));
    set_kept(o, "v2metadata-by-diffid", key, text, strlen(text));
    snprintf(request, sizeof(request), "POST /v2/app/blobs/uploads/?from=base&mount=sha256");
    script_add(f->script, &(script_row){.request = request, .status = 201, .headers = "Location: /x\r\n"});
    snprintf(request, sizeof(request), "HEAD /v2/app/blobs/%s", digest->text);
    script_add(f->script, &(script_row){.request = request, .times = 1, .status = 404});
    script_add(f->script, &(script_row){.request = request, .headers = "Content-Length: 100\r\n"});
    serve(f);
    assert_ok(push(f, o, &l, ":1.0", &result, &err));
    assert_int_equal(result.mounted_count, 1);
    assert_int_equal(script_count(f->script, "PATCH", NULL), 0);
    assert_non_null(strstr(o->told, "Mounted from base\n"));
    snprintf(text, sizeof(text), "\"SourceRepository\":\"%s/app\"", script_host(f->script));
    assert_non_null(strstr(dv_buf_text(&find_kept(o, "v2metadata-by-diffid", key)->bytes), text));
    blob_clear(&elsewhere);
}

static void distribution_push__all_tags_in_order(void **state)
{
    fixture *f = *state;
    DV_AUTO(image) i = plain_image(1, 9);
    layers l;
    DV_AUTOPTR(own) o = own_with(f, &i, &l, ":b");
    DV_AUTOPTR(davit_error) err = NULL;
    davit_push_result result;
    char name[200];
    const char *id = i.config.descriptor.digest.text;
    snprintf(name, sizeof(name), "%s/app:a", script_host(f->script));
    set_kept(o, "ref", name, id, strlen(id));
    snprintf(name, sizeof(name), "%s/app@%s", script_host(f->script), id);
    set_kept(o, "ref", name, id, strlen(id));
    snprintf(name, sizeof(name), "%s/application:c", script_host(f->script));
    set_kept(o, "ref", name, id, strlen(id));
    serve(f);
    assert_ok(push(f, o, &l, "", &result, &err));
    assert_int_equal(result.tag_count, 2);
    assert_true(strstr(o->told, "a: digest: ") < strstr(o->told, "b: digest: "));
}

/* --- what does not ---------------------------------------------------------------------------------------------------------- */

static void distribution_push__texts_of_what_is_not_there(void **state)
{
    static const struct {
        const char *have, *rest;
        int code;
        const char *text; /* behind it the name */
    } rows[] = {
        {":1.0", ":2.0", DAVIT_ENOTFOUND, "tag does not exist: "},
        {"lication:1.0", ":1.0", DAVIT_ENOTFOUND, "An image does not exist locally with the tag: "},
        {"@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "", DAVIT_ENOTFOUND,
         "no tags to push for "},
        {":1.0", "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", DAVIT_EINVAL,
         "cannot push a digest reference"},
    };
    fixture *f = *state;
    for (size_t k = 0; k < DV_COUNT(rows); k++) {
        DV_AUTO(image) i = plain_image(1, 9);
        layers l;
        DV_AUTOPTR(own) o = own_with(f, &i, &l, rows[k].have);
        DV_AUTOPTR(davit_error) err = NULL;
        int r = push(f, o, &l, rows[k].rest, NULL, &err);
        if (r != rows[k].code || !dv_str_starts(davit_error_message(err), rows[k].text))
            fail_msg("row %zu: %s: %s", k, davit_code_name(r), davit_error_message(err));
    }
    assert_int_equal(script_count(f->script, "", NULL), 0);
}

static void distribution_push__a_failing_table_ends_it(void **state)
{
    static const struct {
        const char *function;
        int code;
        const char *words;
    } rows[] = {
        {"by_name", DAVIT_EIO, "reference store: " STORY},
        {"get", DAVIT_ESTORE, "image config store: " STORY},
    };
    fixture *f = *state;
    serve(f);
    for (size_t k = 0; k < DV_COUNT(rows); k++) {
        DV_AUTO(image) i = plain_image(1, 9);
        layers l;
        DV_AUTOPTR(own) o = own_with(f, &i, &l, ":1.0");
        DV_AUTOPTR(davit_error) err = NULL;
        o->fail = rows[k].function;
        o->fail_code = rows[k].code;
        int r = push(f, o, &l, ":1.0", NULL, &err);
        if (r != rows[k].code || !strstr(davit_error_message(err), rows[k].words))
            fail_msg("row %zu: %s: %s", k, davit_code_name(r), davit_error_message(err));
    }
    assert_int_equal(script_count(f->script, "PUT", NULL), 0);
}

static void distribution_push__a_config_that_is_another_is_refused(void **state)
{
    fixture *f = *state;
    DV_AUTO(image) i = plain_image(1, 9);
    layers l;
    DV_AUTOPTR(own) o = own_with(f, &i, &l, ":1.0");
    DV_AUTOPTR(davit_error) err = NULL;
    set_kept(o, "image", i.config.descriptor.digest.text, "{}", 2);
    assert_int_equal(push(f, o, &l, ":1.0", NULL, &err), DAVIT_EDIGEST);
    assert_non_null(strstr(davit_error_message(err), "could not find image from tag "));
    assert_int_equal(script_count(f->script, "", NULL), 0);
}

static void distribution_push__a_layer_that_is_missing_is_told(void **state)
{
    fixture *f = *state;
    DV_AUTO(image) i = plain_image(1, 9);
    DV_AUTO(image) none = plain_image(0, 9);
    layers l;
    DV_AUTOPTR(own) o = own_with(f, &i, &l, ":1.0");
    DV_AUTOPTR(davit_error) err = NULL;
    l.image = &none;
    serve(f);
    assert_int_equal(push(f, o, &l, ":1.0", NULL, &err), DAVIT_ENOTFOUND);
    assert_string_equal(davit_error_message(err), "failed to get top layer from image: layer does not exist");
}

static void distribution_push__a_failing_memory_costs_transfers(void **state)
{
    static const char *const functions[] = {"metadata_get", "add_digest"};
    fixture *f = *state;
    serve(f);
    for (size_t k = 0; k < DV_COUNT(functions); k++) {
        DV_AUTO(image) i = plain_image(1, 9);
        layers l;
        DV_AUTOPTR(own) o = own_with(f, &i, &l, ":1.0");
        DV_AUTOPTR(davit_error) err = NULL;
        o->fail = functions[k];
        o->fail_code = DAVIT_EIO;
        assert_ok(push(f, o, &l, ":1.0", NULL, &err));
        assert_true(o->calls > 0);
    }
}

static void distribution_push__tables_that_do_not_go_together(void **state)
{
    fixture *f = *state;
    DV_AUTO(image) i = plain_image(1, 9);
    layers l;
    DV_AUTOPTR(own) o = own_with(f, &i, &l, ":1.0");
    DV_AUTOPTR(davit_reference) ref = reference(f, ":1.0");
    davit_distribution_config no_images = o->config;
    const davit_layer_provider empty = {.size = sizeof(empty)};
    no_images.images = NULL;
    const davit_image_push_config rows[] = {
        {.version = 9},
        {.version = 1, .flags = 8},
        {.version = 1, .config = &o->config},
        {.version = 1, .config = &no_images, .layers = &l.provider},
        {.version = 1, .config = &o->config, .layers = &empty},
        {.version = 1, .config = &o->config, .layers = &l.provider, .kind = DAVIT_MANIFEST_INDEX},
        {.version = 1, .kind = DAVIT_MANIFEST_OCI},
    };
    for (size_t k = 0; k < DV_COUNT(rows); k++)
        if (davit_distribution_push(f->client, ref, &rows[k], NULL, NULL) != DAVIT_EINVAL)
            fail_msg("row %zu is accepted", k);
    assert_int_equal(script_count(f->script, "", NULL), 0);
}

static void distribution_push__without_tables_is_davit_push(void **state)
{
    fixture *f = *state;
    DV_AUTO(image) i = plain_image(1, 9);
    DV_AUTOPTR(davit_reference) ref = reference(f, ":1.0");
    DV_AUTOPTR(davit_error) err = NULL;
    davit_push_result result;
    assert_int_equal(davit_distribution_push(f->client, ref, NULL, NULL, &err), DAVIT_ENOTFOUND);
    assert_true(dv_str_starts(davit_error_message(err), "An image does not exist locally with the tag: "));
    serve_image(f->script, &i, "1.0", (script_row){0});
    assert_ok(davit_distribution_pull(f->client, ref, NULL, NULL, NULL, &err));
    assert_ok(davit_distribution_push(f->client, ref, NULL, &result, &err));
    assert_string_equal(result.digest.text, i.manifest.descriptor.digest.text);
}

/* --- the metadata's texts --------------------------------------------------------------------------------------------------- */

static void own_metadata__keeps_the_newest_fifty(void **state)
{
    DV_AUTOPTR(own) o = own_new();
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTO(dv_metadata_entries) entries = {0};
    davit_digest diff_id, blobs[60], got;
    assert_int_equal(davit_digest_of(DAVIT_SHA256, "d", 1, &diff_id, NULL), 0);
    for (size_t k = 0; k < 60; k++) {
        assert_int_equal(davit_digest_of(DAVIT_SHA256, &k, sizeof(k), &blobs[k], NULL), 0);
        assert_ok(dv_own_metadata_add(&o->metadata, &blobs[k], &diff_id, "h/<a>&b", "key", &err));
    }
    assert_ok(dv_own_metadata_add(&o->metadata, &blobs[40], &diff_id, "h/<a>&b", "key", &err));
    assert_ok(dv_own_metadata_by_diff_id(&o->metadata, &diff_id, &entries, &err));
    assert_int_equal(entries.count, 50);
    assert_true(davit_digest_equal(&entries.items[49].digest, &blobs[40]));
    assert_true(davit_digest_equal(&entries.items[0].digest, &blobs[10]));
    assert_string_equal(entries.items[0].repository, "h/<a>&b");
    assert_true(dv_metadata_is_signed(&entries.items[0], "key"));
    assert_ok(dv_own_metadata_get_diff_id(&o->metadata, &blobs[40], &got, &err));
    assert_true(davit_digest_equal(&got, &diff_id));
}

static void own_metadata__the_last_entry_takes_the_text_along(void **state)
{
    DV_AUTOPTR(own) o = own_new();
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTO(dv_metadata_entries) entries = {0};
    davit_digest digest;
    assert_int_equal(davit_digest_of(DAVIT_SHA256, "d", 1, &digest, NULL), 0);
    for (unsigned k = 0; k < 2; k++)
        assert_ok(dv_own_metadata_add(&o->metadata, &digest, &digest, k ? "h/a" : "h/b", "", &err));
    assert_ok(dv_own_metadata_by_diff_id(&o->metadata, &digest, &entries, &err));
    assert_int_equal(entries.count, 2);
    assert_ok(dv_own_metadata_remove(&o->metadata, &entries.items[0], &err));
    assert_int_equal(count_kept(o, "v2metadata-by-diffid"), 1);
    assert_ok(dv_own_metadata_remove(&o->metadata, &entries.items[1], &err));
    assert_int_equal(count_kept(o, "v2metadata-by-diffid"), 0);
    assert_int_equal(count_kept(o, "diffid-by-digest"), 1);
}

static void own_metadata__damaged_texts_say_nothing(void **state)
{
    static const char *const texts[] = {
        "", "{", "{}", "[1,null,{}]", "[{\"Digest\":\"x\"}]", "[{\"Digest\":5}]"};
    davit_digest digest;
    char key[200];
    assert_int_equal(davit_digest_of(DAVIT_SHA256, "d", 1, &digest, NULL), 0);
    snprintf(key, sizeof(key), "sha256/%s", davit_digest_hex(&digest));
    for (size_t k = 0; k < DV_COUNT(texts); k++) {
        DV_AUTOPTR(own) o = own_new();
        DV_AUTOPTR(davit_error) err = NULL;
        DV_AUTO(dv_metadata_entries) entries = {0};
        davit_digest unused;
        set_kept(o, "v2metadata-by-diffid", key, texts[k], strlen(texts[k]));
        set_kept(o, "diffid-by-digest", key, texts[k], strlen(texts[k]));
        assert_ok(dv_own_metadata_by_diff_id(&o->metadata, &digest, &entries, &err));
        assert_int_equal(entries.count, 0);
        assert_int_equal(dv_own_metadata_get_diff_id(&o->metadata, &digest, &unused, NULL), DAVIT_ENOTFOUND);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pull_test(distribution_push__sends_and_records),
        pull_test(distribution_push__asks_by_what_it_remembers),
        pull_test(distribution_push__all_tags_in_order),
        pull_test(distribution_push__texts_of_what_is_not_there),
        pull_test(distribution_push__a_failing_table_ends_it),
        pull_test(distribution_push__a_config_that_is_another_is_refused),
        pull_test(distribution_push__a_layer_that_is_missing_is_told),
        pull_test(distribution_push__a_failing_memory_costs_transfers),
        pull_test(distribution_push__tables_that_do_not_go_together),
        pull_test(distribution_push__without_tables_is_davit_push),
        cmocka_unit_test(own_metadata__keeps_the_newest_fifty),
        cmocka_unit_test(own_metadata__the_last_entry_takes_the_text_along),
        cmocka_unit_test(own_metadata__damaged_texts_say_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of distribution/push_provided.c and layer_body.c: an embedder's layers, compressed on the way (push.md 1, 8, 9). */
#include "pull_test.h"

#include "archive/compress.h"
#include "davit/image_config.h"
#include "distribution/push_provided.h"
#include "oci/media_type.h"
#include "util/hash.h"

#define LAYERS 2

typedef struct embedder {
    const char *bytes[LAYERS]; /* of the layers, bottom first */
    size_t sizes[LAYERS];
    davit_digest diff_ids[LAYERS], chains[LAYERS];
    const char *media_type;
    bool damaged; /* what is read is not what the diff_id says */
    atomic_int streams, layers;
    dv_provided_image image;
    char config[1024];
    davit_reference *reference;
    davit_layer_provider provider;
    char told[4096];
} embedder;

typedef struct stream {
    embedder *e;
    size_t layer, at;
} stream;

static int stream_read(void *user_data, void *bytes, size_t size, size_t *out_size, davit_error **err)
{
    stream *s = user_data;
    size_t n = s->e->sizes[s->layer] - s->at;
    if (n > size)
        n = size;
    if (n > 5000)
        n = 5000;
    memcpy(bytes, s->e->bytes[s->layer] + s->at, n);
    if (s->e->damaged && n > 0)
        ((char *)bytes)[0] ^= 1;
    s->at += n;
    *out_size = n;
    return 0;
}

static void stream_close(void *user_data)
{
    stream *s = user_data;
    atomic_fetch_sub(&s->e->streams, 1);
    free(s);
}

typedef struct given {
    embedder *e;
    size_t layer;
} given;

static int layer_open(void *user_data, davit_layer_stream *out, davit_error **err)
{
    given *g = user_data;
    stream *s = dv_new(stream);
    *s = (stream){.e = g->e, .layer = g->layer};
    atomic_fetch_add(&g->e->streams, 1);
    *out = (davit_layer_stream){sizeof(*out), s, stream_read, stream_close};
    return 0;
}

static void layer_release(void *user_data)
{
    given *g = user_data;
    atomic_fetch_sub(&g->e->layers, 1);
    free(g);
}

static int get_layer(void *user_data, const davit_digest *chain, davit_push_layer *out, davit_error **err)
{
    embedder *e = user_data;
    for (size_t i = 0; i < LAYERS; i++) {
        if (!davit_digest_equal(&e->chains[i], chain))
            continue;
        given *g = dv_new(given);
        *g = (given){e, i};
        atomic_fetch_add(&e->layers, 1);
        *out = (davit_push_layer){.size = sizeof(*out),
                                  .user_data = g,
                                  .chain_id = *chain,
                                  .diff_id = e->diff_ids[i],
                                  .size_bytes = e->sizes[i],
                                  .media_type = e->media_type,
                                  .open = layer_open,
                                  .release = layer_release};
        return 0;
    }
    return dv_error_set(err, DAVIT_ENOTFOUND, "layer does not exist");
}

static int find(void *user, const dv_provided_image **out, size_t *out_count, davit_error **err)
{
    embedder *e = user;
    *out = &e->image;
    *out_count = 1;
    return 0;
}

static void on_progress(const davit_progress *event, void *user_data)
{
    embedder *e = user_data;
    if (event->has_counts)
        return; /* how many come is a matter of time */
    size_t at = strlen(e->told);
    snprintf(e->told + at, sizeof(e->told) - at, "%s%s%.40s\n", event->id ? "layer " : "", "",
             event->action ? event->action : "aux");
}

static embedder *embedder_new(fixture *f, const char *const bytes[LAYERS], const size_t sizes[LAYERS])
{
    embedder *e = dv_new(embedder);
    char name[100];
    assert_non_null(e);
    e->media_type = DV_MEDIA_TYPE_DOCKER_LAYER;
    for (size_t i = 0; i < LAYERS; i++) {
        e->bytes[i] = bytes[i];
        e->sizes[i] = sizes[i];
        assert_int_equal(davit_digest_of(DAVIT_SHA256, bytes[i], sizes[i], &e->diff_ids[i], NULL), 0);
        assert_int_equal(davit_chain_id(e->diff_ids, i + 1, &e->chains[i], NULL), 0);
    }
    snprintf(
        e->config, sizeof(e->config),
        "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"%s\","
        "\"%s\"]}}",
        e->diff_ids[0].text, e->diff_ids[1].text);
    snprintf(name, sizeof(name), "%s/app:1.0", script_host(f->script));
    assert_int_equal(davit_reference_parse(name, &e->reference, NULL), 0);
    e->image = (dv_provided_image){e->reference, e->config, strlen(e->config)};
    e->provider = (davit_layer_provider){.size = sizeof(e->provider), .user_data = e, .get = get_layer};
    return e;
}

static void embedder_free(embedder *e)
{
    if (!e)
        return;
    assert_int_equal(e->streams, 0);
    assert_int_equal(e->layers, 0);
    davit_reference_free(e->reference);
    free(e);
}
DV_DEFINE_AUTOPTR(embedder, embedder_free)

static int push(fixture *f, embedder *e, davit_manifest_kind kind, davit_push_result *out, davit_error **err)
{
    davit_push_options options = DAVIT_PUSH_OPTIONS_INIT;
    options.progress = on_progress;
    options.user_data = e;
    const dv_push_provider provider = {.user = e, .find = find, .layers = &e->provider, .kind = kind};
    return dv_push_provided(f->client, e->reference, &provider, &options, out, err);
}

static void add(fixture *f, script_row row)
{
    script_add(f->script, &row);
}

static void serve(fixture *f)
{
    add(f, (script_row){.request = "POST /v2/app/blobs/uploads/",
                        .status = 202,
                        .headers = "Location: /v2/app/blobs/uploads/1\r\n"});
    add(f, (script_row){.request = "PATCH /v2/app/blobs/uploads/1",
                        .status = 202,
                        .headers = "Location: /v2/app/blobs/uploads/1\r\n"});
    add(f, (script_row){.request = "PUT /v2/app/blobs/uploads/1",
                        .status = 201,
                        .headers = "Location: /v2/app/blobs/x\r\n"});
    add(f, (script_row){.request = "PUT /v2/app/manifests/1.0", .status = 201});
}

/* --- what it must come out as ---------------------------------------------------------------------------------------- */

typedef struct gathered {
    dv_sink sink;
    dv_hash *hash;
    uint64_t size;
} gathered;

static int gather(dv_sink *sink, const void *bytes, size_t size, davit_error **err)
{
    gathered *g = (gathered *)sink;
    dv_hash_update(g->hash, bytes, size);
    g->size += size;
    return 0;
}

static int gather_end(dv_sink *sink, davit_error **err)
{
    return 0;
}

static davit_digest gzipped(const char *bytes, size_t size)
{
    gathered g = {.sink = {gather, gather_end}, .hash = dv_hash_new(DAVIT_SHA256)};
    DV_AUTOPTR(dv_deflate) deflate = NULL;
    davit_digest digest;
    assert_int_equal(dv_deflate_new(DV_COMPRESSION_GZIP, 0, &g.sink, &deflate, NULL), 0);
    assert_int_equal(dv_sink_write(dv_deflate_sink(deflate), bytes, size, NULL), 0);
    assert_int_equal(dv_sink_finish(dv_deflate_sink(deflate), NULL), 0);
    dv_hash_final(g.hash, &digest);
    dv_hash_free(g.hash);
    return digest;
}

static void assert_manifest(fixture *f, const embedder *e, const char *type, bool compressed)
{
    DV_AUTOFREE char *request = script_request(f->script, "PUT /v2/app/manifests/1.0", 0);
    assert_non_null(request);
    const char *at = strstr(request, type);
    assert_non_null(at);
    for (size_t i = 0; i < LAYERS; i++) { /* bottom first */
        davit_digest digest = compressed ? gzipped(e->bytes[i], e->sizes[i]) : e->diff_ids[i];
        at = strstr(at, digest.text);
        if (!at)
            fail_msg("layer %zu, %s, is not at its place in %s", i, digest.text, request);
    }
}

static void push_provided__layers_are_compressed_on_the_way(void **state)
{
    fixture *f = *state;
    blob large = blob_make(700 << 10, 1);
    DV_AUTOPTR(embedder)
    e = embedder_new(f, (const char *const[]){large.bytes, "short"}, (const size_t[]){700 << 10, 5});
    davit_push_result result;
    DV_AUTOPTR(davit_error) err = NULL;
    serve(f);
    if (push(f, e, 0, &result, &err) < 0)
        fail_msg("%s", davit_error_message(err));
    assert_manifest(f, e, DV_MEDIA_TYPE_DOCKER_LAYER_GZIP, true);
    assert_int_equal(result.tag_count, 1);
    assert_int_equal(result.sent_count, 2);
    assert_int_equal(script_count(f->script, "PATCH", "chunked"), 2);
    blob_clear(&large);
}

static void push_provided__oci(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(embedder)
    e = embedder_new(f, (const char *const[]){"one", "another"}, (const size_t[]){3, 7});
    DV_AUTOPTR(davit_error) err = NULL;
    serve(f);
    if (push(f, e, DAVIT_MANIFEST_OCI, NULL, &err) < 0)
        fail_msg("%s", davit_error_message(err));
    assert_manifest(f, e, DV_MEDIA_TYPE_OCI_LAYER_GZIP, true);
}

static void push_provided__a_compressed_stream_goes_as_it_is(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(embedder)
    e = embedder_new(f, (const char *const[]){"one", "another"}, (const size_t[]){3, 7});
    DV_AUTOPTR(davit_error) err = NULL;
    e->media_type = DV_MEDIA_TYPE_DOCKER_LAYER_GZIP;
    serve(f);
    if (push(f, e, 0, NULL, &err) < 0)
        fail_msg("%s", davit_error_message(err));
    assert_manifest(f, e, DV_MEDIA_TYPE_DOCKER_LAYER_GZIP, false);
}

static void push_provided__a_broken_patch_is_sent_again_from_the_start(void **state)
{
    fixture *f = *state;
    blob large = blob_make(700 << 10, 7);
    DV_AUTOPTR(embedder)
    e = embedder_new(f, (const char *const[]){large.bytes, "short"}, (const size_t[]){700 << 10, 5});
    DV_AUTOPTR(davit_error) err = NULL;
    add(f, (script_row){.request = "PATCH", .times = 3, .status = 503});
    serve(f);
    if (push(f, e, 0, NULL, &err) < 0)
        fail_msg("%s", davit_error_message(err));
    assert_manifest(f, e, DV_MEDIA_TYPE_DOCKER_LAYER_GZIP, true);
    blob_clear(&large);
}

static void push_provided__what_is_not_the_diff_id_is_refused(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(embedder)
    e = embedder_new(f, (const char *const[]){"one", "another"}, (const size_t[]){3, 7});
    DV_AUTOPTR(davit_error) err = NULL;
    e->damaged = true;
    serve(f);
    assert_int_equal(push(f, e, 0, NULL, &err), DAVIT_EDIGEST);
    assert_int_equal(script_count(f->script, "PUT /v2/app/manifests", NULL), 0);
}

static void push_provided__other_media_types_are_refused(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(embedder)
    e = embedder_new(f, (const char *const[]){"one", "another"}, (const size_t[]){3, 7});
    DV_AUTOPTR(davit_error) err = NULL;
    e->media_type = "text/plain";
    assert_int_equal(push(f, e, 0, NULL, &err), DAVIT_EUNSUPPORTED);
    assert_string_equal(davit_error_message(err), "unsupported layer media type text/plain");
}

static void push_provided__what_is_said(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(embedder)
    e = embedder_new(f, (const char *const[]){"one", "another"}, (const size_t[]){3, 7});
    add(f, (script_row){.request = "HEAD /v2/app/blobs/", .headers = "Content-Length: 1\r\n"});
    serve(f);
    assert_int_equal(push(f, e, 0, NULL, NULL), 0);
    assert_ptr_equal(strstr(e->told, "The push refers to repository ["), e->told);
    const char *at = strchr(e->told, '\n') + 1;
    assert_int_equal(strncmp(at, "layer Preparing\nlayer Preparing\n", 32), 0);
    assert_non_null(strstr(at, "layer Pushed\n"));
    assert_non_null(strstr(at, "1.0: digest: sha256:"));
    assert_non_null(strstr(at, "\naux\n"));
}

static const char unknown[] =
    "{\"errors\":[{\"code\":\"MANIFEST_BLOB_UNKNOWN\",\"message\":\"blob unknown to registry\"}]}";

/* The registry lost the upper layer meanwhile, and has the lower one and the config. */
static void serve_refusal(fixture *f, const embedder *e, unsigned times)
{
    char lower[200], config[200], length[64];
    davit_digest digest = e->diff_ids[0];
    snprintf(lower, sizeof(lower), "HEAD /v2/app/blobs/%s", digest.text);
    snprintf(length, sizeof(length), "Content-Length: %zu\r\n", e->sizes[0]);
    add(f, (script_row){.request = lower, .headers = length});
    assert_int_equal(davit_digest_of(DAVIT_SHA256, e->config, strlen(e->config), &digest, NULL), 0);
    snprintf(config, sizeof(config), "HEAD /v2/app/blobs/%s", digest.text);
    snprintf(length, sizeof(length), "Content-Length: %zu\r\n", strlen(e->config));
    add(f, (script_row){.request = config, .headers = length});
    add(f, (script_row){.request = "PUT /v2/app/manifests/1.0",
                        .times = times,
                        .status = 400,
                        .headers = "Content-Type: application/json\r\n",
                        .body = unknown});
}

static void push_provided__a_manifest_that_misses_a_blob_gets_it_once(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(embedder)
    e = embedder_new(f, (const char *const[]){"one", "another"}, (const size_t[]){3, 7});
    davit_push_result result;
    DV_AUTOPTR(davit_error) err = NULL;
    e->media_type = DV_MEDIA_TYPE_DOCKER_LAYER_GZIP;
    serve_refusal(f, e, 1);
    serve(f);
    if (push(f, e, 0, &result, &err) < 0)
        fail_msg("%s", davit_error_message(err));
    assert_manifest(f, e, DV_MEDIA_TYPE_DOCKER_LAYER_GZIP, false);
    assert_int_equal(script_count(f->script, "PUT /v2/app/manifests/1.0", NULL), 2);
    assert_int_equal(script_count(f->script, "PATCH", NULL), 3);
    assert_int_equal(result.sent_count, 3);
    assert_int_equal(result.present_count, 0);
    assert_int_equal(result.tag_count, 1);
}

static void push_provided__a_manifest_refused_twice_is_told(void **state)
{
    fixture *f = *state;
    DV_AUTOPTR(embedder)
    e = embedder_new(f, (const char *const[]){"one", "another"}, (const size_t[]){3, 7});
    DV_AUTOPTR(davit_error) err = NULL;
    e->media_type = DV_MEDIA_TYPE_DOCKER_LAYER_GZIP;
    serve_refusal(f, e, 0);
    serve(f);
    assert_true(push(f, e, 0, NULL, &err) < 0);
    if (!strstr(davit_error_message(err), "blob unknown"))
        fail_msg("%s", davit_error_message(err));
    assert_int_equal(script_count(f->script, "PUT /v2/app/manifests/1.0", NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pull_test(push_provided__layers_are_compressed_on_the_way),
        pull_test(push_provided__oci),
        pull_test(push_provided__a_compressed_stream_goes_as_it_is),
        pull_test(push_provided__a_broken_patch_is_sent_again_from_the_start),
        pull_test(push_provided__what_is_not_the_diff_id_is_refused),
        pull_test(push_provided__other_media_types_are_refused),
        pull_test(push_provided__what_is_said),
        pull_test(push_provided__a_manifest_that_misses_a_blob_gets_it_once),
        pull_test(push_provided__a_manifest_refused_twice_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

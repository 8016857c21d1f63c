/* Unit tests of store/push_layer.c. */
#include "store_test.h"

#include "davit/layer.h"

#define EMPTY "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"

/* The digest of a whole stream, read in pieces of this size. */
static davit_digest read_all(davit_push_layer *layer, size_t piece, size_t *out_size)
{
    davit_layer_stream stream = DAVIT_LAYER_STREAM_INIT;
    char bytes[4096];
    size_t size = 0, n = 1;
    davit_error *err = NULL;
    assert_ok(layer->open(layer->user_data, &stream, &err));
    while (n > 0) {
        assert_true(size + piece <= sizeof(bytes));
        assert_ok(stream.read(stream.user_data, bytes + size, piece, &n, &err));
        size += n;
    }
    davit_layer_stream_clear(&stream);
    assert_null(stream.close);
    *out_size = size;
    return describe(bytes, size).digest;
}

static void layer_provider_get__the_empty_chain_is_the_empty_layer(void **state)
{
    (void)state;
    static const davit_digest none = {0}, *const names[] = {NULL, &none};
    static const size_t pieces[] = {1, 1000, 2048};
    const davit_layer_provider nobody = DAVIT_LAYER_PROVIDER_INIT;
    davit_error *err = NULL;
    for (size_t i = 0; i < DV_COUNT(names); i++) {
        davit_push_layer layer = DAVIT_PUSH_LAYER_INIT;
        davit_digest checked;
        assert_ok(davit_layer_provider_get(&nobody, names[i], &layer, &err));
        assert_string_equal(layer.chain_id.text, EMPTY);
        assert_string_equal(layer.diff_id.text, EMPTY);
        assert_ok(davit_digest_parse(EMPTY, &checked, &err));
        assert_true(davit_digest_equal(&checked, &layer.diff_id));
        assert_int_equal(layer.parent.algorithm, DAVIT_DIGEST_NONE);
        assert_int_equal(layer.blob.algorithm, DAVIT_DIGEST_NONE);
        assert_int_equal(layer.size_bytes, 0);
        assert_string_equal(layer.media_type, "application/vnd.docker.image.rootfs.diff.tar");
        assert_null(layer.descriptor);
        for (size_t p = 0; p < DV_COUNT(pieces); p++) {
            size_t size;
            davit_digest got = read_all(&layer, pieces[p], &size);
            assert_int_equal(size, 1024);
            assert_string_equal(got.text, EMPTY);
        }
        davit_push_layer_clear(&layer);
        assert_null(layer.open);
    }
}

static void layer_provider_get__others_are_the_providers(void **state)
{
    (void)state;
    davit_layer_provider nobody = DAVIT_LAYER_PROVIDER_INIT;
    davit_push_layer layer = DAVIT_PUSH_LAYER_INIT;
    davit_digest chain = describe("a", 1).digest;
    davit_error *err = NULL;
    assert_int_equal(davit_layer_provider_get(&nobody, &chain, &layer, &err), DAVIT_EUNSUPPORTED);
    davit_error_free(err);
    assert_null(layer.open);
}

static int released;

static void count_release(void *user_data)
{
    released += *(int *)user_data;
}

static void clear__releases_once(void **state)
{
    (void)state;
    int one = 1, ten = 10, hundred = 100;
    davit_push_layer layer = {.size = sizeof(layer), .user_data = &one, .release = count_release};
    davit_layer_provider provider = {.size = sizeof(provider), .user_data = &ten, .release = count_release};
    davit_layer_stream stream = {.size = sizeof(stream), .user_data = &hundred, .close = count_release};
    released = 0;
    for (int i = 0; i < 2; i++) {
        davit_push_layer_clear(&layer);
        davit_layer_provider_clear(&provider);
        davit_layer_stream_clear(&stream);
    }
    davit_push_layer_clear(NULL);
    davit_layer_provider_clear(NULL);
    davit_layer_stream_clear(NULL);
    assert_int_equal(released, 111);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layer_provider_get__the_empty_chain_is_the_empty_layer),
        cmocka_unit_test(layer_provider_get__others_are_the_providers),
        cmocka_unit_test(clear__releases_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

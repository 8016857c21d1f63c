/* Unit tests of oci/chain_id.c: store.md 1. */
#include "davit/image_config.h"

#include "util/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void chain_id__one_layer_is_its_diff_id(void **state)
{
    davit_digest layer, chain;
    assert_int_equal(davit_digest_of(DAVIT_SHA256, "x", 1, &layer, NULL), 0);
    assert_int_equal(davit_chain_id(&layer, 1, &chain, NULL), 0);
    assert_string_equal(chain.text, layer.text);
}

static void chain_id__each_layer_hashes_the_texts(void **state)
{
    davit_digest layers[3], expected, chain;
    char text[2 * DAVIT_DIGEST_TEXT_MAX];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(davit_digest_of(i ? DAVIT_SHA256 : DAVIT_SHA512, "xyz" + i, 1, &layers[i], NULL), 0);
    expected = layers[0];
    for (size_t i = 1; i < 3; i++) {
        int n = snprintf(text, sizeof(text), "%s %s", expected.text, layers[i].text);
        assert_int_equal(davit_digest_of(DAVIT_SHA256, text, (size_t)n, &expected, NULL), 0);
        assert_int_equal(davit_chain_id(layers, i + 1, &chain, NULL), 0);
        assert_string_equal(chain.text, expected.text);
    }
    /* in place */
    assert_int_equal(davit_chain_id(layers, 3, &layers[0], NULL), 0);
    assert_string_equal(layers[0].text, expected.text);
}

static void chain_id__two_empty_layers_as_docker_names_them(void **state)
{
    /* printf 'sha256:5f70… sha256:5f70…' | sha256sum */
    static const char empty[] = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
    davit_digest layers[2], chain;
    assert_int_equal(davit_digest_parse(empty, &layers[0], NULL), 0);
    layers[1] = layers[0];
    assert_int_equal(davit_chain_id(layers, 2, &chain, NULL), 0);
    assert_string_equal(chain.text,
                        "sha256:170b376f64fb30995c140276be3d71dfb256b308d86183ca3b22aa93a79ad548");
}

static void chain_id__no_layers_is_an_error(void **state)
{
    DV_AUTOPTR(davit_error) err = NULL;
    davit_digest chain = {.text = "before"};
    assert_int_equal(davit_chain_id(NULL, 0, &chain, &err), DAVIT_EINVAL);
    assert_string_equal(chain.text, "before");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chain_id__one_layer_is_its_diff_id),
        cmocka_unit_test(chain_id__each_layer_hashes_the_texts),
        cmocka_unit_test(chain_id__two_empty_layers_as_docker_names_them),
        cmocka_unit_test(chain_id__no_layers_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

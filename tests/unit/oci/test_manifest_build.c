/* Unit tests of oci/manifest_build.c (push.md 9). */
#include "oci/manifest_build.h"

#include "oci/media_type.h"
#include "util/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static davit_descriptor describe(const char *type, const char *digest, uint64_t size)
{
    davit_descriptor d = {.media_type = type, .size = size};
    assert_int_equal(davit_digest_parse(digest, &d.digest, NULL), 0);
    return d;
}

static void check(const dv_manifest_build *b, const char *expected)
{
    DV_AUTO(dv_buf) out = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    assert_int_equal(dv_manifest_build_format(b, &out, NULL), 0);
    assert_string_equal(dv_buf_text(&out), expected);
}

static void manifest_build__schema_2_byte_for_byte(void **state)
{
    const dv_build_layer layer = {.descriptor =
                                      describe(DV_MEDIA_TYPE_DOCKER_LAYER_GZIP, "sha256:" HEX_B, 2221)};
    check(&(dv_manifest_build){.kind = DAVIT_MANIFEST_DOCKER,
                               .config = describe(DV_MEDIA_TYPE_DOCKER_CONFIG, "sha256:" HEX_A, 1469),
                               .layers = &layer,
                               .layer_count = 1},
          "{\n"
          "   \"schemaVersion\": 2,\n"
          "   \"mediaType\": \"application/vnd.docker.distribution.manifest.v2+json\",\n"
          "   \"config\": {\n"
          "      \"mediaType\": \"application/vnd.docker.container.image.v1+json\",\n"
          "      \"size\": 1469,\n"
          "      \"digest\": \"sha256:" HEX_A "\"\n"
          "   },\n"
          "   \"layers\": [\n"
          "      {\n"
          "         \"mediaType\": \"application/vnd.docker.image.rootfs.diff.tar.gzip\",\n"
          "         \"size\": 2221,\n"
          "         \"digest\": \"sha256:" HEX_B "\"\n"
          "      }\n"
          "   ]\n"
          "}");
}

static void manifest_build__zero_values_are_left_out(void **state)
{
    check(&(dv_manifest_build){.kind = DAVIT_MANIFEST_DOCKER,
                               .config = describe(DV_MEDIA_TYPE_DOCKER_PLUGIN, "sha256:" HEX_A, 0)},
          "{\n"
          "   \"schemaVersion\": 2,\n"
          "   \"mediaType\": \"application/vnd.docker.distribution.manifest.v2+json\",\n"
          "   \"config\": {\n"
          "      \"mediaType\": \"application/vnd.docker.plugin.v1+json\",\n"
          "      \"digest\": \"sha256:" HEX_A "\"\n"
          "   },\n"
          "   \"layers\": []\n"
          "}");
}

static void manifest_build__oci_with_urls_and_annotations_last(void **state)
{
    static const char *const urls[] = {"https://example.com/a?b&c", NULL};
    static const char *const annotations[] = {"org.example.a", "<1>", "org.example.b", "2", NULL};
    const dv_build_layer layers[] = {
        {.descriptor = describe(DV_MEDIA_TYPE_OCI_LAYER_ZSTD, "sha256:" HEX_B, 5), .urls = urls},
    };
    check(&(dv_manifest_build){.kind = DAVIT_MANIFEST_OCI,
                               .config = describe(DV_MEDIA_TYPE_OCI_CONFIG, "sha256:" HEX_A, 7),
                               .layers = layers,
                               .layer_count = 1,
                               .annotations = annotations},
          "{\n"
          "   \"schemaVersion\": 2,\n"
          "   \"mediaType\": \"application/vnd.oci.image.manifest.v1+json\",\n"
          "   \"config\": {\n"
          "      \"mediaType\": \"application/vnd.oci.image.config.v1+json\",\n"
          "      \"size\": 7,\n"
          "      \"digest\": \"sha256:" HEX_A "\"\n"
          "   },\n"
          "   \"layers\": [\n"
          "      {\n"
          "         \"mediaType\": \"application/vnd.oci.image.layer.v1.tar+zstd\",\n"
          "         \"size\": 5,\n"
          "         \"digest\": \"sha256:" HEX_B "\",\n"
          "         \"urls\": [\n"
          "            \"https://example.com/a?b\\u0026c\"\n"
          "         ]\n"
          "      }\n"
          "   ],\n"
          "   \"annotations\": {\n"
          "      \"org.example.a\": \"\\u003c1\\u003e\",\n"
          "      \"org.example.b\": \"2\"\n"
          "   }\n"
          "}");
}

/* What we write, we read. */
static void manifest_build__is_a_manifest(void **state)
{
    DV_AUTO(dv_buf) out = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    const dv_build_layer layer = {.descriptor =
                                      describe(DV_MEDIA_TYPE_DOCKER_LAYER_GZIP, "sha256:" HEX_B, 2221)};
    const dv_manifest_build b = {.kind = DAVIT_MANIFEST_DOCKER,
                                 .config = describe(DV_MEDIA_TYPE_DOCKER_CONFIG, "sha256:" HEX_A, 1469),
                                 .layers = &layer,
                                 .layer_count = 1};
    davit_manifest *m = NULL;
    size_t count;
    assert_int_equal(dv_manifest_build_format(&b, &out, NULL), 0);
    assert_int_equal(davit_manifest_parse(dv_buf_text(&out), out.size, NULL, &m, NULL), 0);
    assert_string_equal(davit_manifest_config(m)->digest.text, "sha256:" HEX_A);
    assert_int_equal(davit_manifest_layers(m, &count)->size, 2221);
    assert_int_equal(count, 1);
    davit_manifest_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifest_build__schema_2_byte_for_byte),
        cmocka_unit_test(manifest_build__zero_values_are_left_out),
        cmocka_unit_test(manifest_build__oci_with_urls_and_annotations_last),
        cmocka_unit_test(manifest_build__is_a_manifest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

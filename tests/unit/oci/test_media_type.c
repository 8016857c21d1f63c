/* Unit tests of oci/media_type.c: registry-v2.md 4.1; pull.md 3.3, 4, 4.1 and 6. */
#include "oci/media_type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void media_type_accept__six_types_in_order(void **state)
{
    static const char *const expected[] = {
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/json",
    };
    for (size_t i = 0; i < DV_COUNT(expected); i++)
        assert_string_equal(dv_manifest_accept[i], expected[i]);
    assert_null(dv_manifest_accept[DV_COUNT(expected)]);
}

static void media_type_kind__names_of_ingests(void **state)
{
    static const char *const rows[][2] = {
        {DV_MEDIA_TYPE_DOCKER_MANIFEST, "manifest"},
        {DV_MEDIA_TYPE_OCI_MANIFEST, "manifest"},
        {DV_MEDIA_TYPE_DOCKER_LIST, "index"},
        {DV_MEDIA_TYPE_OCI_INDEX, "index"},
        {DV_MEDIA_TYPE_DOCKER_LAYER, "layer"},
        {DV_MEDIA_TYPE_DOCKER_LAYER_GZIP, "layer"},
        {DV_MEDIA_TYPE_DOCKER_FOREIGN_GZIP, "layer"},
        {DV_MEDIA_TYPE_OCI_LAYER, "layer"},
        {DV_MEDIA_TYPE_OCI_LAYER_ZSTD, "layer"},
        {"application/vnd.oci.image.layer.nondistributable.v1.tar+gzip", "layer"},
        {DV_MEDIA_TYPE_DOCKER_CONFIG, "config"},
        {DV_MEDIA_TYPE_OCI_CONFIG, "config"},
        {DV_MEDIA_TYPE_IN_TOTO, "attestation"},
        {DV_MEDIA_TYPE_OCI_EMPTY, "unknown"},
        {DV_MEDIA_TYPE_SCHEMA1_SIGNED, "unknown"},
        {"application/json", "unknown"},
        {"", "unknown"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        const char *got = dv_media_kind_name(dv_media_type_kind(rows[i][0]));
        if (strcmp(got, rows[i][1]) != 0)
            fail_msg("%s: expected %s, got %s", rows[i][0], rows[i][1], got);
    }
}

static void media_type_base__drops_parameters(void **state)
{
    static const char *const rows[][2] = {
        {"application/json; charset=utf-8", "application/json"},
        {"  Application/JSON ;x", "application/json"},
        {"a/b", "a/b"},
        {";", ""},
        {"", ""},
        {NULL, ""},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOFREE char *got = dv_media_type_base(rows[i][0]);
        assert_string_equal(got, rows[i][1]);
    }
}

static void media_type_intern__shares_only_known_types(void **state)
{
    char copy[] = DV_MEDIA_TYPE_OCI_LAYER_GZIP;
    const char *shared = dv_media_type_intern(copy);
    assert_ptr_not_equal(shared, copy);
    assert_string_equal(shared, copy);
    assert_null(dv_media_type_intern("application/x"));
    assert_string_equal(dv_media_type_intern(""), "");
}

#define AI "AI models are not yet supported by the Engine, please use \"docker model pull/run\" instead"

static void media_type_acceptable__families_and_texts(void **state)
{
    static const struct {
        const char *type, *error;
        dv_error_kind kind;
    } rows[] = {
        {"", NULL},
        {".x", NULL},
        {"application/vnd.oci.image", NULL},
        {"application/vnd.oci.image.config.v1+json", NULL},
        {"APPLICATION/VND.OCI.image.layer.v1.tar", NULL},
        {"application/vnd.docker.container.image.v1+json", NULL},
        {"application/vnd.docker.plugin.v1+json", NULL},
        {"application/octet-stream", NULL},
        {"application/json", NULL},
        {"text/html", NULL},
        {"text/html.x", NULL},
        {"text/htmlx", "unsupported media type text/htmlx", DV_ERROR_MEDIA_TYPE},
        {"application/vnd.oci.images_are_fun", "unsupported media type application/vnd.oci.images_are_fun",
         DV_ERROR_MEDIA_TYPE},
        {"application/vnd.cncf.helm.config.v1+json",
         "unsupported media type application/vnd.cncf.helm.config.v1+json", DV_ERROR_MEDIA_TYPE},
        {"application/vnd.oci.empty.v1+json", "unsupported media type application/vnd.oci.empty.v1+json",
         DV_ERROR_MEDIA_TYPE},
        {"x\n\x1b", "unsupported media type x\\x0A\\x1B", DV_ERROR_MEDIA_TYPE},
        {"application/vnd.docker.ai.model.config.v0.1+json", AI, DV_ERROR_AI_MODEL},
        {"Application/VND.docker.AI.x", AI, DV_ERROR_AI_MODEL},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        int r = dv_media_type_acceptable(rows[i].type, &err);
        const char *got = r < 0 ? davit_error_message(err) : "(none)";
        if (strcmp(rows[i].error ? rows[i].error : "(none)", got) != 0)
            fail_msg("%s: expected %s, got %s", rows[i].type, rows[i].error, got);
        assert_int_equal(r, rows[i].error ? DAVIT_EUNSUPPORTED : 0);
        if (err)
            assert_int_equal(err->kind, rows[i].kind);
        assert_int_equal(dv_media_type_acceptable(rows[i].type, NULL), r);
    }
}

static void media_type_check_config__classes(void **state)
{
    static const char *const plugins[] = {DV_MEDIA_TYPE_DOCKER_PLUGIN, NULL};
    static const struct {
        const char *type;
        const char *const *accepted;
        const char *error;
    } rows[] = {
        {DV_MEDIA_TYPE_DOCKER_CONFIG, NULL, NULL},
        {DV_MEDIA_TYPE_OCI_CONFIG, NULL, NULL},
        {"application/octet-stream", NULL, NULL},
        {"application/json", NULL, NULL},
        {"text/html", NULL, NULL},
        {"", NULL, NULL},
        {DV_MEDIA_TYPE_DOCKER_PLUGIN, NULL,
         "Encountered remote \"application/vnd.docker.plugin.v1+json\"(plugin) when fetching"},
        {"a/b", NULL, "Encountered remote \"a/b\"(unknown) when fetching"},
        {DV_MEDIA_TYPE_DOCKER_PLUGIN, plugins, NULL},
        {DV_MEDIA_TYPE_DOCKER_CONFIG, plugins,
         "Encountered remote \"application/vnd.docker.container.image.v1+json\"(image) when fetching"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        int r = dv_media_type_check_config(rows[i].type, rows[i].accepted, &err);
        assert_int_equal(r, rows[i].error ? DAVIT_EUNSUPPORTED : 0);
        assert_string_equal(davit_error_message(err), rows[i].error ? rows[i].error : "no error");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(media_type_accept__six_types_in_order),
        cmocka_unit_test(media_type_kind__names_of_ingests),
        cmocka_unit_test(media_type_base__drops_parameters),
        cmocka_unit_test(media_type_intern__shares_only_known_types),
        cmocka_unit_test(media_type_acceptable__families_and_texts),
        cmocka_unit_test(media_type_check_config__classes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of oci/artifact_manifest.c: OCI image-spec 1.1, artifacts; registry-v2.md 8. */
#include "oci/artifact_manifest.h"

#include "oci/manifest.h"
#include "oci/media_type.h"
#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define EMPTY                                                                                             \
    "{\"mediaType\":\"application/vnd.oci.empty.v1+json\",\"digest\":\"" DV_EMPTY_DIGEST "\",\"size\":2," \
    "\"data\":\"e30=\"}"
#define HEAD                                                                                              \
    "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"artifactType\":" \
    "\"text/x-sbom\",\"config\":" EMPTY ","

static davit_descriptor descriptor(const char *type, uint64_t size)
{
    davit_descriptor d = {.media_type = type, .size = size};
    assert_int_equal(davit_digest_parse("sha256:" HEX_A, &d.digest, NULL), 0);
    return d;
}

static void check_bytes(const dv_artifact *a, const char *expected)
{
    DV_AUTOPTR(davit_manifest) m = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    if (dv_artifact_manifest_build(a, &m, &err) < 0)
        fail_msg("%s", davit_error_message(err));
    if (m->size != strlen(expected) || memcmp(m->bytes, expected, m->size) != 0)
        fail_msg("expected %s\n     got %.*s", expected, (int)m->size, (const char *)m->bytes);
}

static void artifact__without_files_has_the_empty_blob(void **state)
{
    davit_digest digest;
    assert_int_equal(davit_digest_of(DAVIT_SHA256, DV_EMPTY_JSON, strlen(DV_EMPTY_JSON), &digest, NULL), 0);
    assert_string_equal(digest.text, DV_EMPTY_DIGEST);
    check_bytes(&(dv_artifact){.artifact_type = "text/x-sbom"}, HEAD "\"layers\":[" EMPTY "]}");
}

static void artifact__files_subject_and_annotations(void **state)
{
    const davit_descriptor subject = descriptor(DV_MEDIA_TYPE_OCI_INDEX, 842);
    const dv_artifact_layer layers[] = {{descriptor("text/plain", 5), "dir/a&b.txt"},
                                        {descriptor("application/x-tar", 0), NULL}};
    const davit_annotation annotations[] = {{"b", "2"}, {"a.x", ""}, {"a", "\xc3\xa4\"<"}};
    check_bytes(&(dv_artifact){.artifact_type = "text/x-sbom",
                               .layers = layers,
                               .layer_count = 2,
                               .subject = &subject,
                               .annotations = annotations,
                               .annotation_count = 3},
                HEAD
                "\"layers\":[{\"mediaType\":\"text/plain\",\"digest\":\"sha256:" HEX_A
                "\",\"size\":5,\"annotations\":{\"org.opencontainers.image.title\":\"dir/a\\u0026b.txt\"}},"
                "{\"mediaType\":\"application/x-tar\",\"digest\":\"sha256:" HEX_A "\",\"size\":0}],"
                "\"subject\":{\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"digest\":"
                "\"sha256:" HEX_A "\",\"size\":842},"
                "\"annotations\":{\"a\":\"\xc3\xa4\\\"\\u003c\",\"a.x\":\"\",\"b\":\"2\"}}");
}

static void artifact__what_is_refused(void **state)
{
    static const davit_annotation twice[] = {{"k", "1"}, {"k", "2"}}, not_utf8[] = {{"k", "\xff"}},
                                  no_key[] = {{"", "v"}};
    const dv_artifact_layer bad_type[] = {{descriptor("text", 1), "a"}},
                            bad_title[] = {{descriptor("text/plain", 1), "\xff"}};
    const struct {
        dv_artifact artifact;
        const char *words;
    } rows[] = {
        {{.artifact_type = NULL}, "artifact type '' is not a media type"},
        {{.artifact_type = "sbom"}, "artifact type 'sbom' is not a media type"},
        {{.artifact_type = "a/b", .annotations = twice, .annotation_count = 2}, "annotation k is given twice"},
        {{.artifact_type = "a/b", .annotations = not_utf8, .annotation_count = 1}, "annotation 1"},
        {{.artifact_type = "a/b", .annotations = no_key, .annotation_count = 1}, "annotation 1"},
        {{.artifact_type = "a/b", .layers = bad_type, .layer_count = 1}, "'text' is not a media type"},
        {{.artifact_type = "a/b", .layers = bad_title, .layer_count = 1}, "file 1 is not UTF-8"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_manifest) m = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = dv_artifact_manifest_build(&rows[i].artifact, &m, &err);
        if (r != DAVIT_EINVAL || !strstr(davit_error_message(err), rows[i].words))
            fail_msg("expected %s, got %d %s", rows[i].words, r, davit_error_message(err));
    }
}

static void media_type__is_valid(void **state)
{
    static const struct {
        const char *type;
        bool valid;
    } rows[] = {
        {"text/plain", true},
        {"application/vnd.oci.image.layer.v1.tar+gzip", true},
        {"a/b", true},
        {"", false},
        {"text", false},
        {"text/", false},
        {"/plain", false},
        {"text/plain/x", false},
        {"text/plain; charset=utf-8", false},
        {"text/pl ain", false},
        {"te xt/plain", false},
        {"text/.x", false},
        {"text/plain\n", false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        if (dv_media_type_is_valid(rows[i].type) != rows[i].valid)
            fail_msg("%s: expected %d", rows[i].type, rows[i].valid);
}

#define LAYER(annotations) "{\"mediaType\":\"a/b\",\"digest\":\"sha256:" HEX_A "\",\"size\":1" annotations "}"
#define MANIFEST(layers)                                                                                  \
    "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"config\":" EMPTY \
    ",\"layers\":[" layers "]}"

static void artifact_titles__as_layers_have_them(void **state)
{
    static const struct {
        const char *document, *expected; /* NULL: refused */
    } rows[] = {
        {MANIFEST(""), ""},
        {MANIFEST(LAYER("") "," LAYER(",\"annotations\":{\"org.opencontainers.image.title\":\"x/y\"}")),
         "- x/y "},
        {MANIFEST(LAYER(",\"annotations\":null") "," LAYER(",\"annotations\":{\"k\":1}")), "- - "},
        {MANIFEST(LAYER(",\"annotations\":{\"org.opencontainers.image.title\":null}")), "- "},
        {MANIFEST(LAYER(",\"annotations\":{\"org.opencontainers.image.title\":7}")), NULL},
        {MANIFEST(LAYER(",\"annotations\":{\"org.opencontainers.image.title\":\"a\\u0000b\"}")), NULL},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_manifest) m = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        DV_AUTOPTR(dv_json) document = NULL;
        DV_AUTOFREE const char **titles = NULL;
        DV_AUTO(dv_buf) text = DV_BUF_INIT(1024);
        size_t count;
        assert_int_equal(davit_manifest_parse(rows[i].document, strlen(rows[i].document), NULL, &m, &err), 0);
        int r = dv_artifact_titles(m, &document, &titles, &err);
        davit_manifest_layers(m, &count);
        for (size_t k = 0; r == 0 && k < count; k++)
            dv_buf_printf(&text, "%s ", titles[k] ? titles[k] : "-");
        if (r != (rows[i].expected ? 0 : DAVIT_EFORMAT) ||
            (r == 0 && strcmp(dv_buf_text(&text), rows[i].expected) != 0))
            fail_msg("%s: got %d [%s]", rows[i].document, r, dv_buf_text(&text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(artifact__without_files_has_the_empty_blob),
        cmocka_unit_test(artifact__files_subject_and_annotations),
        cmocka_unit_test(artifact__what_is_refused),
        cmocka_unit_test(media_type__is_valid),
        cmocka_unit_test(artifact_titles__as_layers_have_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of oci/manifest.c: registry-v2.md 4.3, pull.md 4.2, threats B3, B4, C1-C3. */
#include "oci/manifest.h"

#include "oci/media_type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "vector.h"

#define D "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define DESCRIPTOR "{\"digest\":\"" D "\",\"size\":1}"
#define DOCKER DV_MEDIA_TYPE_DOCKER_MANIFEST
#define LIST DV_MEDIA_TYPE_DOCKER_LIST
#define OCI DV_MEDIA_TYPE_OCI_MANIFEST
#define INDEX DV_MEDIA_TYPE_OCI_INDEX
#define MT(type) "\"mediaType\":\"" type "\""
#define CONFIG "\"config\":" DESCRIPTOR
#define LAYERS "\"layers\":[" DESCRIPTOR "]"
#define MANIFESTS "\"manifests\":[" DESCRIPTOR "]"
#define SCHEMA1                                                                                            \
    "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. More " \
    "information at https://docs.docker.com/go/deprecated-image-specs/"
#define UNSUPPORTED "unsupported manifest format"

static void manifest_parse__documents_of_the_vectors(void **state)
{
    static const struct {
        const char *name, *media_type;
        davit_manifest_kind kind;
        size_t layers, entries;
    } rows[] = {
        {"manifest/docker.json", DOCKER, DAVIT_MANIFEST_DOCKER, 2, 0},
        {"manifest/docker.json", NULL, DAVIT_MANIFEST_DOCKER, 2, 0},
        {"manifest/docker.json", "text/plain; charset=utf-8", DAVIT_MANIFEST_DOCKER, 2, 0},
        {"manifest/oci.json", OCI "; charset=utf-8", DAVIT_MANIFEST_OCI, 3, 0},
        {"manifest/oci.json", "application/json", DAVIT_MANIFEST_OCI, 3, 0},
        {"manifest/index.json", INDEX, DAVIT_MANIFEST_INDEX, 0, 8},
        {"manifest/index.json", "", DAVIT_MANIFEST_INDEX, 0, 8},
        {"manifest/docker_list.json", LIST, DAVIT_MANIFEST_LIST, 0, 2},
        {"manifest/docker_list.json", "application/octet-stream", DAVIT_MANIFEST_LIST, 0, 2},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) bytes = DV_BUF_INIT(1 << 20);
        DV_AUTOPTR(davit_manifest) m = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        size_t layers, entries, size;
        davit_digest digest;
        read_vector(rows[i].name, &bytes);
        if (davit_manifest_parse(bytes.data, bytes.size, rows[i].media_type, &m, &err) < 0)
            fail_msg("%s as %s: %s", rows[i].name, rows[i].media_type, davit_error_message(err));
        davit_manifest_layers(m, &layers);
        davit_manifest_entries(m, &entries);
        if (davit_manifest_get_kind(m) != rows[i].kind || layers != rows[i].layers ||
            entries != rows[i].entries)
            fail_msg("%s as %s: got kind %d, %zu layers, %zu entries", rows[i].name, rows[i].media_type,
                     davit_manifest_get_kind(m), layers, entries);
        assert_int_equal(davit_manifest_is_index(m), rows[i].entries > 0);
        assert_memory_equal(davit_manifest_bytes(m, &size), bytes.data, bytes.size);
        assert_int_equal(size, bytes.size);
        assert_int_equal(davit_digest_of(DAVIT_SHA256, bytes.data, bytes.size, &digest, NULL), 0);
        assert_true(davit_digest_equal(davit_manifest_digest(m), &digest));
    }
}

static void manifest_parse__parts_of_an_oci_manifest(void **state)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(1 << 20);
    DV_AUTOPTR(davit_manifest) m = NULL;
    DV_AUTOPTR(davit_manifest) second = NULL;
    size_t count;
    read_vector("manifest/oci.json", &bytes);
    assert_int_equal(davit_manifest_parse(bytes.data, bytes.size, OCI, &m, NULL), 0);
    second = davit_manifest_ref(m);
    const davit_descriptor *layers = davit_manifest_layers(second, &count);
    assert_string_equal(davit_manifest_media_type(m), OCI);
    assert_string_equal(davit_manifest_config(m)->media_type, DV_MEDIA_TYPE_OCI_CONFIG);
    assert_int_equal(davit_manifest_config(m)->size, 610);
    assert_string_equal(layers[0].media_type, DV_MEDIA_TYPE_OCI_LAYER_GZIP);
    assert_string_equal(layers[1].media_type, DV_MEDIA_TYPE_OCI_LAYER_ZSTD);
    assert_int_equal(layers[2].size, 30);
    assert_int_equal(davit_manifest_subject(m)->size, 77);
    assert_string_equal(davit_manifest_artifact_type(m), "application/vnd.example.sbom");
}

static void manifest_parse__absent_parts_are_null(void **state)
{
    static const char image[] = "{" CONFIG "}", index[] = "{\"manifests\":null}";
    DV_AUTOPTR(davit_manifest) m = NULL;
    DV_AUTOPTR(davit_manifest) n = NULL;
    size_t count = 1;
    assert_int_equal(davit_manifest_parse(image, strlen(image), NULL, &m, NULL), 0);
    davit_manifest_layers(m, &count);
    assert_int_equal(count, 0);
    assert_string_equal(davit_manifest_config(m)->media_type, "");
    assert_null(davit_manifest_subject(m));
    assert_null(davit_manifest_artifact_type(m));
    assert_int_equal(davit_manifest_parse(index, strlen(index), INDEX, &n, NULL), 0);
    assert_null(davit_manifest_config(n));
    davit_manifest_entries(n, &count);
    assert_int_equal(count, 0);
}

/* Content-Type, document, error; NULL: it is parsed. */
typedef struct row {
    const char *media_type, *text, *error;
    int code;
} row;

static void check_rows(const row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        DV_AUTOPTR(davit_manifest) m = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = davit_manifest_parse(rows[i].text, strlen(rows[i].text), rows[i].media_type, &m, &err);
        const char *got = r < 0 ? davit_error_message(err) : "(none)";
        const char *expected = rows[i].error ? rows[i].error : "(none)";
        if (strcmp(expected, got) != 0 || r != rows[i].code)
            fail_msg("%s as %s: expected %s %s, got %s %s", rows[i].text, rows[i].media_type,
                     davit_code_name(rows[i].code), expected, davit_code_name(r), got);
        assert_true((r < 0) == (m == NULL));
    }
}

/* threat B3 */
static void manifest_parse__content_type_rules(void **state)
{
    static const row rows[] = {
        {DOCKER, "{" MT(DOCKER) "," CONFIG "," LAYERS "}"},
        {DOCKER, "{" CONFIG "," LAYERS "}", "mediaType in manifest should be '" DOCKER "' not ''",
         DAVIT_EFORMAT},
        {DOCKER, "{" MT(OCI) "," CONFIG "}", "mediaType in manifest should be '" DOCKER "' not '" OCI "'",
         DAVIT_EFORMAT},
        {DOCKER, "{\"mediaType\":7," CONFIG "}", "manifest: \"mediaType\" is not a string", DAVIT_EFORMAT},
        {DOCKER, "{" MT(DOCKER) "," CONFIG "," MANIFESTS "}",
         "media-type: \"" DOCKER "\" should not have \"manifests\" or \"fsLayers\"", DAVIT_EFORMAT},
        {DOCKER, "{" MT(DOCKER) "," CONFIG ",\"manifests\":null}"},
        {LIST, "{" MT(LIST) "," MANIFESTS "}"},
        {LIST, "{" MANIFESTS "}", "mediaType in manifest list should be '" LIST "' not ''", DAVIT_EFORMAT},
        {LIST, "{" MT("x\\n") "," MANIFESTS "}",
         "mediaType in manifest list should be '" LIST "' not 'x\\x0A'", DAVIT_EFORMAT},
        {LIST, "{" MT(LIST) "," MANIFESTS "," LAYERS "}",
         "media-type: \"" LIST "\" should not have \"config\", \"layers\", or \"fsLayers\"", DAVIT_EFORMAT},
        {OCI, "{" CONFIG "," LAYERS "}"},
        {OCI, "{" MT(OCI) "," CONFIG "," LAYERS ",\"manifests\":null}"},
        {OCI, "{" CONFIG "," MANIFESTS "}", "ocimanifest: expected manifest but found index", DAVIT_EFORMAT},
        {OCI, "{" MT(DOCKER) "," CONFIG "}",
         "if present, mediaType in manifest should be '" OCI "' not '" DOCKER "'", DAVIT_EFORMAT},
        {OCI, "{" CONFIG ",\"fsLayers\":[]}",
         "media-type: \"" OCI "\" should not have \"manifests\" or \"fsLayers\"", DAVIT_EFORMAT},
        {OCI, "{" LAYERS "}", "manifest: \"config\" is missing", DAVIT_EFORMAT},
        {INDEX, "{" MANIFESTS "}"},
        {INDEX, "{\"manifests\":null,\"config\":null,\"layers\":null}"},
        {INDEX, "{" MANIFESTS "," CONFIG "}", "index: expected index but found manifest", DAVIT_EFORMAT},
        {INDEX, "{" MANIFESTS ",\"layers\":[]}", "index: expected index but found manifest", DAVIT_EFORMAT},
        {INDEX, "{" MT(OCI) "," MANIFESTS "}",
         "if present, mediaType in image index should be '" INDEX "' not '" OCI "'", DAVIT_EFORMAT},
        {INDEX, "[]", "manifest: not a JSON object", DAVIT_EFORMAT},
        {"application/VND.oci.image.index.v1+json", "{" MANIFESTS "}"},
        {DV_MEDIA_TYPE_SCHEMA1_SIGNED, "{\"schemaVersion\":1,\"fsLayers\":[]}", SCHEMA1, DAVIT_EUNSUPPORTED},
        {DV_MEDIA_TYPE_SCHEMA1_SIGNED, "{" CONFIG "}", UNSUPPORTED, DAVIT_EUNSUPPORTED},
        {"text/html", "<html>", UNSUPPORTED, DAVIT_EUNSUPPORTED},
        {"application/vnd.other", "{" CONFIG "}", UNSUPPORTED, DAVIT_EUNSUPPORTED},
        {"application/vnd.docker.ai.model", "{}",
         "AI models are not yet supported by the Engine, please use \"docker model pull/run\" instead",
         DAVIT_EUNSUPPORTED},
    };
    check_rows(rows, DV_COUNT(rows));
}

/* pull.md 4.2; a type that says nothing comes to the same */
static void manifest_parse__detection_rules(void **state)
{
    static const row rows[] = {
        {NULL, "{" MT(DOCKER) "," CONFIG "}"},
        {NULL, "{" MT(OCI) "," CONFIG ",\"manifests\":null}",
         "media-type: \"" OCI "\" should not have \"manifests\" or \"fsLayers\"", DAVIT_EFORMAT},
        {NULL, "{" MT(INDEX) ",\"config\":null}",
         "media-type: \"" INDEX "\" should not have \"config\", \"layers\", or \"fsLayers\"", DAVIT_EFORMAT},
        {NULL, "{" MT(LIST) ",\"fsLayers\":[]}",
         "media-type: \"" LIST "\" should not have \"config\", \"layers\", or \"fsLayers\"", DAVIT_EFORMAT},
        {NULL, "{" MT(DV_MEDIA_TYPE_SCHEMA1) "}", SCHEMA1, DAVIT_EUNSUPPORTED},
        {NULL, "{" MT(DV_MEDIA_TYPE_SCHEMA1_SIGNED) "}", SCHEMA1, DAVIT_EUNSUPPORTED},
        {NULL, "{" MT("other") "}", UNSUPPORTED, DAVIT_EUNSUPPORTED},
        {NULL, "{\"schemaVersion\":1,\"fsLayers\":[]}", SCHEMA1, DAVIT_EUNSUPPORTED},
        {NULL, "{\"fsLayers\":null}", SCHEMA1, DAVIT_EUNSUPPORTED},
        {NULL, "{" CONFIG "}"},
        {NULL, "{" LAYERS "," CONFIG "}"},
        {NULL, "{" CONFIG "," MT("") "}"},
        {NULL, "{" CONFIG ",\"mediaType\":null}"},
        {NULL, "{" MANIFESTS "}"},
        {NULL, "{\"manifests\":[]}"},
        {NULL, "{\"manifests\":null}"},
        {NULL, "{}", "index: \"manifests\" is missing", DAVIT_EFORMAT},
        {NULL, "{\"schemaVersion\":2}", "index: \"manifests\" is missing", DAVIT_EFORMAT},
        {NULL, "{" CONFIG "," MANIFESTS "}", "media-type: cannot determine", DAVIT_EFORMAT},
        {NULL, "{" CONFIG ",\"manifests\":null}", "media-type: cannot determine", DAVIT_EFORMAT},
        {NULL, "{" CONFIG ",\"fsLayers\":[]}", "media-type: cannot determine", DAVIT_EFORMAT},
        {NULL, "{" MANIFESTS ",\"fsLayers\":[]}", "media-type: cannot determine", DAVIT_EFORMAT},
        {NULL, "{\"mediaType\":[]}", "manifest: \"mediaType\" is not a string", DAVIT_EFORMAT},
        {NULL, "[]", "manifest: not a JSON object", DAVIT_EFORMAT},
        {"application/json", "{\"schemaVersion\":1,\"fsLayers\":[]}", SCHEMA1, DAVIT_EUNSUPPORTED},
        {"text/plain", "{" CONFIG "," MANIFESTS "}", "media-type: cannot determine", DAVIT_EFORMAT},
        {"application/octet-stream", "x", "manifest: malformed JSON at byte 0: a value should stand here",
         DAVIT_EFORMAT},
    };
    check_rows(rows, DV_COUNT(rows));
}

/* threat B4 */
static void manifest_parse__keys_are_exact_and_single(void **state)
{
    static const row rows[] = {
        {OCI, "{" CONFIG ",\"annotations\":{\"a\":\"1\",\"a\":\"2\",\"A\":\"3\"},\"extra\":1,\"Extra\":2}"},
        {OCI, "{" CONFIG "," LAYERS "," LAYERS "}", "manifest: key \"layers\" stands there twice",
         DAVIT_EFORMAT},
        {OCI, "{" CONFIG ",\"layers\":[{\"digest\":\"" D "\",\"size\":1,\"size\":2}]}",
         "manifest: key \"size\" stands there twice", DAVIT_EFORMAT},
    };
    check_rows(rows, DV_COUNT(rows));
    static const char *const variants[] = {
        "{" CONFIG ",\"Layers\":[]}",
        "{\"Config\":" DESCRIPTOR "}",
        "{" CONFIG ",\"MediaType\":\"x\"}",
        "{" CONFIG ",\"layer\\u017f\":[]}",
        "{\"config\":{\"Digest\":\"" D "\"}}",
        "{" CONFIG ",\"subject\":{\"SIZE\":1}}",
        "{\"manifests\":[{\"digest\":\"" D "\",\"size\":1,\"platform\":{\"OS\":\"linux\"}}]}",
    };
    for (size_t i = 0; i < DV_COUNT(variants); i++) {
        DV_AUTOPTR(davit_manifest) m = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        assert_int_equal(davit_manifest_parse(variants[i], strlen(variants[i]), NULL, &m, &err),
                         DAVIT_EFORMAT);
        if (!strstr(davit_error_message(err), "upper and lower case"))
            fail_msg("%s: got %s", variants[i], davit_error_message(err));
    }
    static const char *const files[] = {"manifest/case_variant.json", "manifest/repeated.json",
                                        "manifest/confused.json"};
    for (size_t i = 0; i < DV_COUNT(files); i++) {
        DV_AUTO(dv_buf) bytes = DV_BUF_INIT(1 << 20);
        DV_AUTOPTR(davit_manifest) m = NULL;
        read_vector(files[i], &bytes);
        assert_int_equal(davit_manifest_parse(bytes.data, bytes.size, NULL, &m, NULL), DAVIT_EFORMAT);
    }
}

static void manifest_parse__wrong_types_are_refused(void **state)
{
    static const row rows[] = {
        {OCI, "{\"config\":[]}", "manifest: \"config\" is not an object", DAVIT_EFORMAT},
        {OCI, "{" CONFIG ",\"layers\":{}}", "manifest: \"layers\" is not an array", DAVIT_EFORMAT},
        {OCI, "{" CONFIG ",\"layers\":[1]}", "layer descriptor: not a JSON object", DAVIT_EFORMAT},
        {OCI, "{" CONFIG ",\"layers\":[null]}", "layer descriptor: not a JSON object", DAVIT_EFORMAT},
        {OCI, "{" CONFIG ",\"layers\":[{\"digest\":\"../x:y\",\"size\":1}]}",
         "could not validate layer digest \"../x:y\": invalid checksum digest format", DAVIT_EFORMAT},
        {OCI, "{" CONFIG ",\"subject\":\"x\"}", "manifest: \"subject\" is not an object", DAVIT_EFORMAT},
        {OCI, "{" CONFIG ",\"schemaVersion\":\"2\"}", "manifest: \"schemaVersion\" is not an integer",
         DAVIT_EFORMAT},
        {OCI, "{" CONFIG ",\"artifactType\":2}", "manifest: \"artifactType\" is not a string", DAVIT_EFORMAT},
        {OCI, "{\"config\":{\"digest\":\"" D "\",\"size\":-1}}", "config descriptor: negative size",
         DAVIT_EFORMAT},
        {INDEX, "{\"manifests\":{}}", "index: \"manifests\" is not an array", DAVIT_EFORMAT},
        {INDEX, "{\"manifests\":[{\"size\":1}]}", "manifest descriptor: \"digest\" is missing", DAVIT_EFORMAT},
        {OCI, "", "manifest: malformed JSON at byte 0: it ends too early", DAVIT_EFORMAT},
    };
    check_rows(rows, DV_COUNT(rows));
}

/* threats C1, C3 */
static void manifest_parse__bytes_and_layers_have_ceilings(void **state)
{
    static const struct {
        size_t layers;
        int expected;
    } rows[] = {{DAVIT_MANIFEST_LAYERS_MAX, 0}, {DAVIT_MANIFEST_LAYERS_MAX + 1, DAVIT_ETOOBIG}};
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) text = DV_BUF_INIT(4 << 20);
        DV_AUTOPTR(davit_manifest) m = NULL;
        dv_buf_puts(&text, "{" CONFIG ",\"layers\":[");
        for (size_t n = 0; n < rows[i].layers; n++)
            dv_buf_puts(&text, n ? "," DESCRIPTOR : DESCRIPTOR);
        dv_buf_puts(&text, "]}");
        assert_int_equal(davit_manifest_parse(text.data, text.size, OCI, &m, NULL), rows[i].expected);
    }
    DV_AUTOFREE char *spaces = malloc(DAVIT_MANIFEST_MAX + 1);
    DV_AUTOPTR(davit_manifest) m = NULL;
    DV_AUTOPTR(davit_manifest) n = NULL;
    memset(spaces, ' ', DAVIT_MANIFEST_MAX + 1);
    memcpy(spaces, "{\"manifests\":[]}", 16);
    assert_int_equal(davit_manifest_parse(spaces, DAVIT_MANIFEST_MAX, INDEX, &m, NULL), 0);
    assert_int_equal(davit_manifest_parse(spaces, DAVIT_MANIFEST_MAX + 1, INDEX, &n, NULL), DAVIT_ETOOBIG);
    assert_int_equal(davit_manifest_parse(spaces, DAVIT_MANIFEST_MAX + 1, "text/html", &n, NULL),
                     DAVIT_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifest_parse__documents_of_the_vectors),
        cmocka_unit_test(manifest_parse__parts_of_an_oci_manifest),
        cmocka_unit_test(manifest_parse__absent_parts_are_null),
        cmocka_unit_test(manifest_parse__content_type_rules),
        cmocka_unit_test(manifest_parse__detection_rules),
        cmocka_unit_test(manifest_parse__keys_are_exact_and_single),
        cmocka_unit_test(manifest_parse__wrong_types_are_refused),
        cmocka_unit_test(manifest_parse__bytes_and_layers_have_ceilings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

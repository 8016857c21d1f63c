/* Unit tests of distribution/inspect.c: engine-api.md 10. */
#include "davit/registry.h"

#include "pull_test.h"

#define SIZES(...) ((const size_t[]){__VA_ARGS__, 0})
#define S(text) ((char *)(text))
#define BASIC "WWW-Authenticate: Basic realm=\"r\"\r\n"

DV_DEFINE_AUTOPTR(davit_distribution_inspect, davit_distribution_inspect_free)

/* The JSON of the answer, or the error's message in brackets. New text. */
static char *inspect(fixture *f, const char *rest, const davit_auth_config *auth)
{
    DV_AUTOPTR(davit_reference) ref = reference(f, rest);
    DV_AUTOPTR(davit_distribution_inspect) got = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    char *text = NULL;
    int r = davit_registry_inspect(f->client, ref, auth, &got, &err);
    if (r == 0)
        assert_int_equal(davit_distribution_inspect_format(got, &text, NULL), 0);
    else if (asprintf(&text, "[%s: %s]", davit_code_name(r), davit_error_message(err)) < 0)
        text = NULL;
    assert_non_null(text);
    return text;
}

static void assert_inspected(fixture *f, const char *rest, const blob *document, const char *platforms)
{
    char expected[2000];
    DV_AUTOFREE char *got = inspect(f, rest, NULL);
    const davit_descriptor *d = &document->descriptor;
    snprintf(expected, sizeof(expected),
             "{\"Descriptor\":{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu},\"Platforms\":%s}",
             d->media_type, d->digest.text, (size_t)d->size, platforms);
    assert_string_equal(got, expected);
}

#define CHILD(size, platform)                                                                    \
    "{\"mediaType\":\"" DV_MEDIA_TYPE_OCI_MANIFEST                                               \
    "\",\"digest\":\"sha256:0000000000000000000000000000000000000000000000000000000000000001\"," \
    "\"size\":" size platform "}"

static void inspect__an_index_has_a_platform_for_each_entry(void **state)
{
    static const char *const types[] = {DV_MEDIA_TYPE_OCI_INDEX, DV_MEDIA_TYPE_DOCKER_LIST};
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(types); i++) {
        char text[2000], tag[8], rest[10];
        snprintf(text, sizeof(text), "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"manifests\":[%s,%s,%s]}",
                 types[i], CHILD("7", ",\"platform\":{\"architecture\":\"amd64\",\"os\":\"linux\"}"),
                 CHILD("8", ",\"platform\":{\"variant\":\"v8\",\"os\":\"windows\",\"os.version\":\"10.0\","
                            "\"os.features\":[\"win32k\",\"x\"],\"architecture\":\"arm64\"}"),
                 CHILD("9", ""));
        blob index = blob_of_text(text, types[i]);
        snprintf(tag, sizeof(tag), "t%zu", i);
        snprintf(rest, sizeof(rest), ":t%zu", i);
        serve_manifest(f->script, &index, tag);
        assert_inspected(
            f, rest, &index,
            "[{\"architecture\":\"amd64\",\"os\":\"linux\"},{\"architecture\":\"arm64\",\"os\":\"windows\","
            "\"os.version\":\"10.0\",\"os.features\":[\"win32k\",\"x\"],\"variant\":\"v8\"},"
            "{\"architecture\":\"\",\"os\":\"\"}]");
        blob_clear(&index);
    }
    blob empty =
        blob_of_text("{\"schemaVersion\":2,\"mediaType\":\"" DV_MEDIA_TYPE_OCI_INDEX "\",\"manifests\":[]}",
                     DV_MEDIA_TYPE_OCI_INDEX);
    serve_manifest(f->script, &empty, "latest");
    assert_inspected(f, "", &empty, "null"); /* and name-only is :latest */
    blob_clear(&empty);
}

/* The manifest of a Docker image whose config is this text. */
static blob docker_manifest(const blob *config)
{
    char text[1000];
    snprintf(text, sizeof(text),
             "{\"schemaVersion\":2,\"mediaType\":\"" DV_MEDIA_TYPE_DOCKER_MANIFEST
             "\",\"config\":{\"mediaType\":\"" DV_MEDIA_TYPE_DOCKER_CONFIG
             "\",\"digest\":\"%s\",\"size\":%zu},\"layers\":[]}",
             config->descriptor.digest.text, (size_t)config->descriptor.size);
    return blob_of_text(text, DV_MEDIA_TYPE_DOCKER_MANIFEST);
}

static void inspect__a_docker_image_has_the_platform_of_its_config(void **state)
{
    static const struct {
        const char *config;
        bool lacking;
        const char *platforms;
    } rows[] = {
        {"{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\",\"rootfs\":{}}", false,
         "[{\"architecture\":\"arm\",\"os\":\"linux\",\"variant\":\"v7\"}]"},
        {"{\"architecture\":\"amd64\"}", false, "[{\"architecture\":\"amd64\",\"os\":\"\"}]"},
        {"{\"os\":\"windows\",\"os.version\":\"10.0\",\"os.features\":[\"f\"]}", false,
         "[{\"architecture\":\"\",\"os\":\"windows\",\"os.version\":\"10.0\",\"os.features\":[\"f\"]}]"},
        {"{\"variant\":\"v7\",\"os.features\":[\"f\"]}", false, "null"},
        {"{}", false, "null"},
        {"[]", false, "null"},
        {"{\"os\":5}", false, "null"},
        {"not json", false, "null"},
        {"{\"os\":\"linux\"}", true, "null"},
    };
    fixture *f = *state;
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char tag[8], rest[10];
        blob config = blob_of_text(rows[i].config, DV_MEDIA_TYPE_DOCKER_CONFIG);
        blob manifest = docker_manifest(&config);
        snprintf(tag, sizeof(tag), "t%zu", i);
        snprintf(rest, sizeof(rest), ":t%zu", i);
        serve_manifest(f->script, &manifest, tag);
        serve_blob(f->script, &config, (script_row){.status = rows[i].lacking ? 403 : 0});
        assert_inspected(f, rest, &manifest, rows[i].platforms);
        blob_clear(&config);
        blob_clear(&manifest);
    }
}

static void inspect__an_oci_image_has_none_and_costs_one_request(void **state)
{
    fixture *f = *state;
    DV_AUTO(image) i = image_make(SIZES(100), 1);
    char rest[200];
    serve_image(f->script, &i, "1.0", (script_row){0});
    assert_inspected(f, ":1.0", &i.manifest, "null");
    assert_int_equal(script_count(f->script, "", NULL), 1);
    snprintf(rest, sizeof(rest), ":other@%s", i.manifest.descriptor.digest.text);
    assert_inspected(f, rest, &i.manifest, "null");
}

static void inspect__what_is_refused(void **state)
{
    static const char schema1[] =
        "{\"schemaVersion\":1,\"name\":\"app\",\"tag\":\"old\",\"fsLayers\":[],\"history\":[]}";
    fixture *f = *state;
    blob old = blob_of_text(schema1, "application/vnd.docker.distribution.manifest.v1+json");
    serve_manifest(f->script, &old, "old");
    char *got = inspect(f, ":old", NULL);
    assert_true(dv_str_starts(
        got, "[EUNSUPPORTED: Docker Image Format v1 and Docker Image manifest version 2, schema 1"));
    assert_non_null(strstr(got, "Suggest the author of"));
    free(got);
    got = inspect(f, ":none", NULL);
    assert_true(dv_str_starts(got, "[ENOTFOUND: "));
    free(got);
    DV_AUTOPTR(davit_reference) scratch = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    davit_distribution_inspect *none = NULL;
    assert_int_equal(davit_reference_parse("scratch", &scratch, NULL), 0);
    assert_int_equal(davit_registry_inspect(f->client, scratch, NULL, &none, &err), DAVIT_EINVAL);
    assert_string_equal(davit_error_message(err), "'scratch' is a reserved name");
    blob_clear(&old);
}

static void inspect__with_credentials_of_its_own(void **state)
{
    const davit_auth_config right = {.username = S("u"), .password = S("p")}, none = {NULL};
    fixture *f = *state;
    DV_AUTO(image) i = image_make(SIZES(100), 1);
    script_add(f->script,
               &(script_row){.without = "\r\nAuthorization: Basic dTpw\r\n", .status = 401, .headers = BASIC});
    serve_image(f->script, &i, "1.0", (script_row){0});
    char *got = inspect(f, ":1.0", &none);
    assert_true(dv_str_starts(got, "[EUNAUTHORIZED: "));
    free(got);
    got = inspect(f, ":1.0", &right);
    assert_true(dv_str_starts(got, "{\"Descriptor\":"));
    free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pull_test(inspect__an_index_has_a_platform_for_each_entry),
        pull_test(inspect__a_docker_image_has_the_platform_of_its_config),
        pull_test(inspect__an_oci_image_has_none_and_costs_one_request),
        pull_test(inspect__what_is_refused),
        pull_test(inspect__with_credentials_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

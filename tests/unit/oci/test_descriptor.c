/* Unit tests of oci/descriptor.c. */
#include "oci/descriptor.h"

#include "oci/media_type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define D "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define P64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static int parse(const char *text, bool with_platform, dv_text_pool *pool, davit_descriptor *out,
                 davit_error **err)
{
    const dv_json_limits limits = {.max_bytes = 1 << 20};
    DV_AUTOPTR(dv_json) v = NULL;
    assert_int_equal(dv_json_parse(text, strlen(text), &limits, NULL, &v, NULL), 0);
    return dv_descriptor_parse(v, "layer", with_platform, pool, out, err);
}

/* threats B1, B6 */
static void descriptor_parse__refuses_what_does_not_describe(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"{\"digest\":\"" D "\",\"size\":0}", NULL},
        {"{\"digest\":\"" D "\",\"size\":9223372036854775807,\"mediaType\":null,\"platform\":null}", NULL},
        {"{\"digest\":\"" D "\",\"size\":1,\"urls\":7,\"annotations\":[]}", NULL},
        {"{\"digest\":\"" D "\",\"size\":-1}", "layer descriptor: negative size"},
        {"{\"digest\":\"" D "\"}", "layer descriptor: \"size\" is missing"},
        {"{\"digest\":\"" D "\",\"size\":null}", "layer descriptor: \"size\" is missing"},
        {"{\"digest\":\"" D "\",\"size\":1.0}", "layer descriptor: \"size\" is not an integer"},
        {"{\"digest\":\"" D "\",\"size\":\"1\"}", "layer descriptor: \"size\" is not an integer"},
        {"{\"size\":1}", "layer descriptor: \"digest\" is missing"},
        {"{\"size\":1,\"digest\":5}", "layer descriptor: \"digest\" is not a string"},
        {"{\"size\":1,\"digest\":\"" D "\\u0000\"}", "layer descriptor: \"digest\" is not a string"},
        {"{\"size\":1,\"digest\":\"\"}",
         "could not validate layer digest \"\": invalid checksum digest format"},
        {"{\"size\":1,\"digest\":\"sha256:1\\n\"}",
         "could not validate layer digest \"sha256:1\\x0A\": invalid checksum digest length"},
        {"{\"size\":1,\"digest\":\"md5:11\"}",
         "could not validate layer digest \"md5:11\": unsupported digest algorithm"},
        {"{\"size\":1,\"digest\":\"" D "\",\"mediaType\":1}",
         "layer descriptor: \"mediaType\" is not a string"},
        {"{\"size\":1,\"digest\":\"" D "\",\"artifactType\":[]}",
         "layer descriptor: \"artifactType\" is not a string"},
        {"{\"size\":1,\"digest\":\"" D "\",\"platform\":\"linux\"}",
         "layer descriptor: platform: not a JSON object"},
        {"{\"size\":1,\"digest\":\"" D "\",\"platform\":{\"os\":1}}",
         "layer descriptor: platform: \"os\" is not a string"},
        {"{\"size\":1,\"digest\":\"" D "\",\"platform\":{\"os\":\"" P64 "\"}}",
         "layer descriptor: platform: a part of the platform has 64 bytes, at most 63 are allowed"},
        {"[]", "layer descriptor: not a JSON object"},
        {"null", "layer descriptor: not a JSON object"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_text_pool) pool = DV_TEXT_POOL_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        davit_descriptor d = {.size = 77};
        int r = parse(rows[i].text, true, &pool, &d, &err);
        const char *got = r < 0 ? davit_error_message(err) : "(none)";
        if (strcmp(rows[i].error ? rows[i].error : "(none)", got) != 0)
            fail_msg("%s: expected %s, got %s", rows[i].text, rows[i].error, got);
        assert_int_equal(r, rows[i].error ? DAVIT_EFORMAT : 0);
        if (r < 0)
            assert_int_equal(d.size, 77);
        else
            assert_string_equal(d.media_type, "");
    }
}

static void descriptor_parse__fills_all_parts(void **state)
{
    static const char text[] =
        "{\"mediaType\":\"" DV_MEDIA_TYPE_OCI_MANIFEST "\",\"digest\":\"" D
        "\",\"size\":5,\"artifactType\":\"x/y\",\"platform\":{\"os\":\"windows\",\"architecture\":"
        "\"amd64\",\"variant\":\"v2\",\"os.version\":\"10.0\",\"os.features\":[1]}}";
    DV_AUTO(dv_text_pool) pool = DV_TEXT_POOL_INIT;
    davit_descriptor d;
    assert_int_equal(parse(text, true, &pool, &d, NULL), 0);
    assert_string_equal(d.media_type, DV_MEDIA_TYPE_OCI_MANIFEST);
    assert_string_equal(d.digest.text, D);
    assert_int_equal(d.size, 5);
    assert_string_equal(d.artifact_type, "x/y");
    assert_true(d.has_platform);
    assert_string_equal(d.platform.os, "windows");
    assert_string_equal(d.platform.architecture, "amd64");
    assert_string_equal(d.platform.variant, "v2");
    assert_string_equal(d.platform.os_version, "10.0");
    assert_int_equal(parse(text, false, &pool, &d, NULL), 0);
    assert_false(d.has_platform);
    assert_true(davit_platform_is_empty(&d.platform));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptor_parse__refuses_what_does_not_describe),
        cmocka_unit_test(descriptor_parse__fills_all_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of oci/schema1.c: pull.md 3.3 and 4.2. */
#include "oci/schema1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void schema1_refuse__names_the_reference_when_known(void **state)
{
    DV_AUTOPTR(davit_error) err = NULL;
    assert_int_equal(dv_schema1_refuse("docker.io/library/old:1", &err), DAVIT_EUNSUPPORTED);
    assert_string_equal(
        davit_error_message(err),
        "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. "
        "Suggest the author of docker.io/library/old:1 to upgrade the image to the OCI Format or Docker "
        "Image manifest v2, schema 2. More information at "
        "https://docs.docker.com/go/deprecated-image-specs/");
    assert_int_equal(dv_schema1_refuse(NULL, &err), DAVIT_EUNSUPPORTED);
    assert_string_equal(
        davit_error_message(err),
        "Docker Image Format v1 and Docker Image manifest version 2, schema 1 support has been removed. "
        "More information at https://docs.docker.com/go/deprecated-image-specs/");
}

static void schema1_is__by_type_or_by_layers(void **state)
{
    static const struct {
        const char *text;
        bool expected;
    } rows[] = {
        {"{\"schemaVersion\":1,\"fsLayers\":[],\"history\":[],\"signatures\":[]}", true},
        {"{\"mediaType\":\"application/vnd.docker.distribution.manifest.v1+json\"}", true},
        {"{\"mediaType\":\"application/vnd.docker.distribution.manifest.v1+prettyjws\"}", true},
        {"{\"fsLayers\":null}", false},
        {"{\"fsLayers\":[],\"layers\":[]}", false},
        {"{\"schemaVersion\":1}", false},
        {"[]", false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        const dv_json_limits limits = {.max_bytes = 4096};
        DV_AUTOPTR(dv_json) v = NULL;
        assert_int_equal(dv_json_parse(rows[i].text, strlen(rows[i].text), &limits, NULL, &v, NULL), 0);
        if (dv_schema1_is(v) != rows[i].expected)
            fail_msg("%s: expected %d", rows[i].text, rows[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schema1_refuse__names_the_reference_when_known),
        cmocka_unit_test(schema1_is__by_type_or_by_layers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

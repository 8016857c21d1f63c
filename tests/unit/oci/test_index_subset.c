/* Unit tests of oci/index_subset.c: which entries belong to which platforms. */
#include "oci/index_subset.h"

#include "oci/manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEX(digit)                                                                                          \
    digit digit digit digit digit digit digit digit digit digit digit digit digit digit digit digit digit   \
        digit digit digit digit digit digit digit digit digit digit digit digit digit digit digit digit     \
            digit digit digit digit digit digit digit digit digit digit digit digit digit digit digit digit \
                digit digit digit digit digit digit digit digit digit digit digit digit digit digit digit
#define ENTRY(digit, more)                                                                    \
    "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:" HEX( \
        digit) "\",\"size\":7" more "}"
#define PLATFORM(os, architecture, more) \
    ",\"platform\":{\"os\":\"" os "\",\"architecture\":\"" architecture "\"" more "}"
#define ABOUT(digit)                   \
    PLATFORM("unknown", "unknown", "") \
    ",\"annotations\":{\"vnd.docker.reference.digest\":\"sha256:" HEX(digit) "\"}"

/* 1 amd64, 2 arm/v6, 3 arm/v7, 4 windows, 5 about 1, 6 about 3, 7 without a platform */
static const char document[] =
    "{\"schemaVersion\":2,\"mediaType\":\"application/"
    "vnd.oci.image.index.v1+json\",\"x\":{\"y\":[1,null]},\"manifests\":[" ENTRY("1", PLATFORM("linux", "amd64", "")) "," ENTRY(
        "2",
        PLATFORM(
            "linux", "arm",
            ",\"variant\":\"v6\"")) "," ENTRY("3",
                                              PLATFORM(
                                                  "linux", "arm",
                                                  ",\"variant\":\"v7\"")) "," ENTRY("4",
                                                                                    PLATFORM(
                                                                                        "windows", "amd64",
                                                                                        ",\"os.version\":"
                                                                                        "\"10.0.1\"")) "," ENTRY("5",
                                                                                                                 ABOUT(
                                                                                                                     "1")) "," ENTRY("6",
                                                                                                                                     ABOUT(
                                                                                                                                         "3")) "," ENTRY("7",
                                                                                                                                                         "") "],\"annotations\":{\"a\":\"b\"}}";

static davit_manifest *parse(void)
{
    davit_manifest *m = NULL;
    assert_int_equal(davit_manifest_parse(document, strlen(document), NULL, &m, NULL), 0);
    return m;
}

static void index_choose__platforms_and_what_is_about_them(void **state)
{
    static const struct {
        const char *platforms[3];
        const char *kept; /* the first digits of what stays; NULL: DAVIT_EPLATFORM */
    } rows[] = {
        {{"linux/amd64"}, "15"},
        {{"linux/x86_64"}, "15"},
        {{"linux/arm"}, "36"}, /* which is v7 */
        {{"linux/arm/v6"}, "2"},
        {{"linux/arm/v8"}, "36"}, /* nothing has exactly that: the best that runs there */
        {{"windows/amd64"}, "4"},
        {{"linux/amd64", "linux/arm/v7"}, "1356"},
        {{"linux/amd64", "linux/amd64"}, "15"},
        {{"linux/arm/v7", "windows/amd64", "linux/amd64"}, "13456"},
        {{"linux/s390x"}, NULL},
        {{"linux/amd64", "plan9/mips"}, NULL},
    };
    DV_AUTOPTR(davit_manifest) m = parse();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        davit_platform platforms[3];
        bool keep[7];
        char kept[8] = "";
        size_t count = 0;
        for (; count < 3 && rows[i].platforms[count]; count++)
            assert_int_equal(davit_platform_parse(rows[i].platforms[count], &platforms[count], NULL), 0);
        int r = dv_index_choose(m, platforms, count, keep, NULL);
        for (size_t k = 0, n = 0; r == 0 && k < 7; k++)
            if (keep[k])
                kept[n++] = (char)('1' + k);
        if (rows[i].kept ? r != 0 || strcmp(kept, rows[i].kept) != 0 : r != DAVIT_EPLATFORM)
            fail_msg("%s, ...: %d, kept %s, expected %s", rows[i].platforms[0], r, kept,
                     rows[i].kept ? rows[i].kept : "an error");
    }
}

static void index_choose__an_error_names_the_platform(void **state)
{
    DV_AUTOPTR(davit_manifest) m = parse();
    DV_AUTOPTR(davit_error) err = NULL;
    davit_platform platforms[2];
    bool keep[7];
    assert_int_equal(davit_platform_parse("linux/amd64", &platforms[0], NULL), 0);
    assert_int_equal(davit_platform_parse("linux/s390x", &platforms[1], NULL), 0);
    assert_int_equal(dv_index_choose(m, platforms, 2, keep, &err), DAVIT_EPLATFORM);
    assert_string_equal(davit_error_message(err),
                        "no matching manifest for linux/s390x in the manifest list entries");
}

static void index_subset__the_rest_of_the_document_stays(void **state)
{
    static const char expected[] = "{\"schemaVersion\":2,\"mediaType\":\"application/"
                                   "vnd.oci.image.index.v1+json\",\"x\":{\"y\":[1,null]},"
                                   "\"manifests\":[" ENTRY("1", PLATFORM("linux", "amd64", "")) "," ENTRY(
                                       "5", ABOUT("1")) "],\"annotations\":{\"a\":\"b\"}}";
    static const bool keep[7] = {true, false, false, false, true};
    DV_AUTOPTR(davit_manifest) m = parse();
    DV_AUTOPTR(davit_manifest) made = NULL;
    size_t size;
    assert_int_equal(dv_index_subset(m, keep, &made, NULL), 0);
    const char *bytes = davit_manifest_bytes(made, &size);
    if (size != strlen(expected) || memcmp(bytes, expected, size) != 0)
        fail_msg("expected %s\n     got %.*s", expected, (int)size, bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_choose__platforms_and_what_is_about_them),
        cmocka_unit_test(index_choose__an_error_names_the_platform),
        cmocka_unit_test(index_subset__the_rest_of_the_document_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

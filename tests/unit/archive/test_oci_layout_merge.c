/* Unit tests of archive/oci_layout_merge.c: one entry more in an index.json, and nothing else changed (store.md 11). */
#include "archive/oci_layout_merge.h"

#include "oci/media_type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define TYPE "{\"mediaType\":\"" DV_MEDIA_TYPE_OCI_MANIFEST "\",\"digest\":\"sha256:"
#define NAMED(hex, name) \
    TYPE hex "\",\"size\":7,\"annotations\":{\"org.opencontainers.image.ref.name\":\"" name "\"}}"
#define BARE(hex) TYPE hex "\",\"size\":7}"
#define RICH(hex, name)                                                                     \
    TYPE hex "\",\"size\":7,\"annotations\":{\"org.opencontainers.image.ref.name\":\"" name \
             "\",\"x\":\"y\"},\"data\":\"e30=\"}"
#define INDEX(entries) \
    "{\"schemaVersion\":2,\"mediaType\":\"" DV_MEDIA_TYPE_OCI_INDEX "\",\"manifests\":[" entries "]}"
#define OTHERS(entries) \
    "{\"annotations\":{\"of\":\"others\"},\"manifests\":[" entries "],\"schemaVersion\":2}"

static void index_merge__replaces_its_name_and_keeps_the_rest(void **state)
{
    static const struct {
        const char *old, *hex, *name, *expected; /* expected NULL: DAVIT_EFORMAT */
    } rows[] = {
        {"", A, "x", INDEX(NAMED(A, "x"))},
        {"", A, NULL, INDEX(BARE(A))},
        {INDEX(""), A, "x", INDEX(NAMED(A, "x"))},
        {INDEX(NAMED(A, "x")), B, "y", INDEX(NAMED(A, "x") "," NAMED(B, "y"))},
        {INDEX(NAMED(A, "x") "," NAMED(A, "z")), B, "x", INDEX(NAMED(B, "x") "," NAMED(A, "z"))},
        {INDEX(NAMED(A, "x") "," NAMED(A, "z") "," NAMED(B, "x")), B, "x",
         INDEX(NAMED(B, "x") "," NAMED(A, "z"))},
        {INDEX(RICH(A, "x")), A, "x", INDEX(RICH(A, "x"))},
        {INDEX(RICH(A, "x")), B, "x", INDEX(NAMED(B, "x"))},
        {INDEX(RICH(A, "x")), A, NULL, INDEX(RICH(A, "x"))},
        {INDEX(BARE(A)), A, NULL, INDEX(BARE(A))},
        {INDEX(BARE(A)), A, "x", INDEX(BARE(A) "," NAMED(A, "x"))},
        {OTHERS(RICH(A, "x")), B, "y", OTHERS(RICH(A, "x") "," NAMED(B, "y"))},
        {"{\"schemaVersion\":2}", A, "x", NULL},
        {"{\"schemaVersion\":2,\"manifests\":[{}]}", A, "x", NULL},
        {"no", A, "x", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DV_AUTO(dv_buf) out = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
        char digest[80];
        dv_oci_layout_entry add = {.descriptor = {.media_type = DV_MEDIA_TYPE_OCI_MANIFEST, .size = 7},
                                   .ref_name = rows[i].name};
        snprintf(digest, sizeof(digest), "sha256:%s", rows[i].hex);
        assert_int_equal(davit_digest_parse(digest, &add.descriptor.digest, NULL), 0);
        int r = dv_oci_layout_index_merge(rows[i].old, strlen(rows[i].old), &add, &out, NULL);
        if (rows[i].expected ? r != 0 || strcmp(dv_buf_text(&out), rows[i].expected) != 0 : r != DAVIT_EFORMAT)
            fail_msg("%s and %s: %d\nexpected %s\n     got %s", rows[i].old, rows[i].name, r,
                     rows[i].expected ? rows[i].expected : "an error", dv_buf_text(&out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_merge__replaces_its_name_and_keeps_the_rest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

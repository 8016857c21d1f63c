/* Unit tests of archive/oci_layout.c: store.md 11. */
#include "archive/oci_layout.h"

#include "oci/media_type.h"
#include "oci/reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEX "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void oci_layout_check__version_1_and_unknown_keys(void **state)
{
    static const struct {
        const char *text;
        int code;
    } rows[] = {
        {DV_OCI_LAYOUT_TEXT, 0},
        {"{\"imageLayoutVersion\":\"1.0.0\"}", 0},
        {"{\"imageLayoutVersion\":\"1.1.0\",\"more\":{\"a\":1}}\n", 0},
        {"{\"imageLayoutVersion\":\"2.0.0\"}", DAVIT_EUNSUPPORTED},
        {"{\"imageLayoutVersion\":\"10.0.0\"}", DAVIT_EUNSUPPORTED},
        {"{\"imageLayoutVersion\":\"\"}", DAVIT_EUNSUPPORTED},
        {"{\"imageLayoutVersion\":1}", DAVIT_EFORMAT},
        {"{}", DAVIT_EFORMAT},
        {"[]", DAVIT_EFORMAT},
        {"", DAVIT_EFORMAT},
        {"{\"imageLayoutVersion\":\"1.0.0\",\"imagelayoutversion\":\"2.0.0\"}", DAVIT_EFORMAT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int r = dv_oci_layout_check(rows[i].text, strlen(rows[i].text), NULL);
        if (r != rows[i].code)
            fail_msg("%s: %d", rows[i].text, r);
    }
}

#define ENTRY(more)                                                                          \
    "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:" HEX \
    "\",\"size\":7" more "}"
#define NAMES                                                             \
    ",\"annotations\":{\"io.containerd.image.name\":\"docker.io/library/" \
    "a:1\",\"org.opencontainers.image.ref.name\":\"1\"}"

static void oci_layout_index_parse__entries_with_their_names(void **state)
{
    static const char text[] =
        "{\"schemaVersion\":2,\"manifests\":[" ENTRY(NAMES) "," ENTRY(",\"annotations\":null") "," ENTRY(
            ",\"platform\":{\"os\":\"linux\",\"architecture\":\"arm64\"},\"annotations\":{\"x\":\"y\"}") "]}";
    DV_AUTO(dv_oci_layout_index) index = {0};
    assert_int_equal(dv_oci_layout_index_parse(text, sizeof(text) - 1, &index, NULL), 0);
    assert_int_equal(index.count, 3);
    assert_string_equal(index.entries[0].descriptor.digest.text, "sha256:" HEX);
    assert_int_equal(index.entries[0].descriptor.size, 7);
    assert_string_equal(index.entries[0].image_name, "docker.io/library/a:1");
    assert_string_equal(index.entries[0].ref_name, "1");
    assert_null(index.entries[1].image_name);
    assert_null(index.entries[1].ref_name);
    assert_true(index.entries[2].descriptor.has_platform);
    assert_null(index.entries[2].image_name);
}

static void oci_layout_index_parse__what_is_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "[]",
        "null",
        "{}",
        "{\"manifests\":{}}",
        "{\"schemaVersion\":1,\"manifests\":[]}",
        "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"manifests\":[]}",
        "{\"manifests\":[1]}",
        "{\"manifests\":[{}]}",
        "{\"manifests\":[{\"digest\":\"sha256:../../etc/passwd\",\"size\":1}]}", /* threat B1 */
        "{\"manifests\":[{\"digest\":\"sha256:" HEX "\",\"size\":-1}]}",
        "{\"manifests\":[" ENTRY(",\"annotations\":[]") "]}",
        "{\"manifests\":[" ENTRY(",\"annotations\":{\"org.opencontainers.image.ref.name\":1}") "]}",
        "{\"manifests\":[" ENTRY(",\"Digest\":\"sha256:" HEX "\"") "]}",
        "{\"manifests\":[],\"Manifests\":[]}",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DV_AUTO(dv_oci_layout_index) index = {0};
        int r = dv_oci_layout_index_parse(rows[i], strlen(rows[i]), &index, NULL);
        if (r != DAVIT_EFORMAT)
            fail_msg("%s: %d", rows[i], r);
    }
}

static void oci_layout_index_format__what_it_writes_it_reads(void **state)
{
    dv_oci_layout_entry entries[3] = {
        {.descriptor = {.media_type = DV_MEDIA_TYPE_OCI_MANIFEST, .size = 7},
         .image_name = "docker.io/library/a:1",
         .ref_name = "1"},
        {.descriptor = {.media_type = DV_MEDIA_TYPE_OCI_MANIFEST, .size = 7}},
    };
    for (int i = 0; i < 2; i++)
        assert_int_equal(davit_digest_parse("sha256:" HEX, &entries[i].descriptor.digest, NULL), 0);
    DV_AUTO(dv_buf) out = DV_BUF_INIT(1 << 20);
    assert_int_equal(dv_oci_layout_index_format(entries, 2, &out, NULL), 0);
    assert_string_equal(dv_buf_text(&out),
                        "{\"schemaVersion\":2,\"mediaType\":\"application/"
                        "vnd.oci.image.index.v1+json\",\"manifests\":[" ENTRY(NAMES) "," ENTRY("") "]}");
    DV_AUTO(dv_oci_layout_index) index = {0};
    assert_int_equal(dv_oci_layout_index_parse(out.data, out.size, &index, NULL), 0);
    assert_int_equal(index.count, 2);
}

static void oci_layout_reference__the_image_name_else_a_full_ref_name(void **state)
{
    static const struct {
        const char *image_name, *ref_name, *reference; /* NULL: none */
    } rows[] = {
        {"docker.io/library/a:1", "1", "docker.io/library/a:1"},
        {"a", NULL, "docker.io/library/a:latest"},
        {"r.example:5000/x:t@sha256:" HEX, "x", "r.example:5000/x:t"},
        {"a@sha256:" HEX, "b:2", "docker.io/library/b:2"},
        {"a@sha256:" HEX, NULL, NULL},
        {NULL, "a:1", "docker.io/library/a:1"},
        {NULL, "r.example/x", "r.example/x:latest"},
        {NULL, "1.0", NULL},
        {NULL, "latest", NULL},
        {NULL, "", NULL},
        {NULL, "/odd//name:", NULL},
        {NULL, "UPPER:1", NULL},
        {NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const dv_oci_layout_entry entry = {.image_name = rows[i].image_name, .ref_name = rows[i].ref_name};
        DV_AUTOPTR(davit_reference) ref = NULL;
        assert_int_equal(dv_oci_layout_reference(&entry, &ref, NULL), 0);
        const char *text = ref ? davit_reference_text(ref) : "(none)";
        if (strcmp(text, rows[i].reference ? rows[i].reference : "(none)") != 0)
            fail_msg("row %zu: %s", i, text);
    }
    const dv_oci_layout_entry bad = {.image_name = "UPPER:1"};
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTOPTR(davit_reference) ref = NULL;
    assert_int_equal(dv_oci_layout_reference(&bad, &ref, &err), DAVIT_EFORMAT);
    assert_string_equal(davit_error_message(err), "invalid tag \"UPPER:1\"");
}

static void oci_blob_path__there_and_back(void **state)
{
    davit_digest digest, back;
    char path[DV_OCI_BLOB_PATH_MAX];
    assert_int_equal(davit_digest_parse("sha256:" HEX, &digest, NULL), 0);
    assert_string_equal(dv_oci_blob_path(&digest, path), "blobs/sha256/" HEX);
    assert_true(dv_oci_blob_path_parse(path, &back));
    assert_true(davit_digest_equal(&digest, &back));
    static const char *const others[] = {"",
                                         "blobs",
                                         "blobs/",
                                         "blobs/sha256",
                                         "blobs/sha256/",
                                         "blobs/sha256/x",
                                         "blobs/md5/" HEX,
                                         "x/blobs/sha256/" HEX,
                                         "blobs/sha256/" HEX "/x",
                                         "blobs/sha256/" HEX "0",
                                         HEX ".tar"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        if (dv_oci_blob_path_parse(others[i], &back))
            fail_msg("%s is no blob's path", others[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(oci_layout_check__version_1_and_unknown_keys),
        cmocka_unit_test(oci_layout_index_parse__entries_with_their_names),
        cmocka_unit_test(oci_layout_index_parse__what_is_refused),
        cmocka_unit_test(oci_layout_index_format__what_it_writes_it_reads),
        cmocka_unit_test(oci_layout_reference__the_image_name_else_a_full_ref_name),
        cmocka_unit_test(oci_blob_path__there_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

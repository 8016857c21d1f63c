/* Unit tests of oci/index_build.c: what changes in an index, and that nothing else does. */
#include "oci/index_build.h"

#include "oci/manifest.h"
#include "oci/media_type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "vector.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define C "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
#define ENTRY(hex, more)                                                                     \
    "{\"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:" hex \
    "\",\"size\":7" more "}"
#define PLATFORM(os, architecture, more) \
    ",\"platform\":{\"architecture\":\"" architecture "\",\"os\":\"" os "\"" more "}"
#define INDEX(entries, more)                                                                                 \
    "{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[" entries \
    "]" more "}"

static void parse(const char *text, davit_manifest **out)
{
    DV_AUTOPTR(davit_error) err = NULL;
    if (davit_manifest_parse(text, strlen(text), NULL, out, &err) < 0)
        fail_msg("%s: %s", text, davit_error_message(err));
}

static dv_json *parse_json(const char *text)
{
    dv_json *v = NULL;
    assert_int_equal(
        dv_json_parse(text, strlen(text), &(dv_json_limits){.max_bytes = 1 << 20}, NULL, &v, NULL), 0);
    return v;
}

static void assert_bytes(const davit_manifest *m, const char *expected)
{
    if (m->size != strlen(expected) || memcmp(m->bytes, expected, m->size) != 0)
        fail_msg("expected %s\n     got %.*s", expected, (int)m->size, (const char *)m->bytes);
}

/* However it was written: without a change the bytes are the same. */
static void index_edit__nothing_changed_is_the_same_bytes(void **state)
{
    static const char *const rows[] = {
        INDEX("", ""),
        INDEX(ENTRY(A, PLATFORM("linux", "amd64", "")) "," ENTRY(B,
                                                                 ",\"annotations\":{\"z\":\"<\",\"a\":\"\"}"),
              ",\"annotations\":{\"k\":\"a&b\"},\"x-unknown\":[1,2.5,null,true,{}]"),
        INDEX(ENTRY(A, ""), ",\"annotations\":{\"k\":\"a\\u0026b\"}"),
        "{\n  \"schemaVersion\": 2,\n  \"manifests\": []\n}",
        "{\n   \"schemaVersion\": 2,\n   \"mediaType\": "
        "\"application/vnd.docker.distribution.manifest.list.v2+json\",\n"
        "   \"manifests\": [\n      {\n         \"mediaType\": "
        "\"application/vnd.docker.distribution.manifest.v2+json\",\n         \"size\": 7,\n         "
        "\"digest\": "
        "\"sha256:" A "\"\n      }\n   ]\n}\n",
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_manifest) m = NULL;
        DV_AUTOPTR(davit_manifest) again = NULL;
        DV_AUTOPTR(dv_index_edit) e = NULL;
        parse(rows[i], &m);
        assert_int_equal(dv_index_edit_new(m, &e, NULL), 0);
        assert_int_equal(dv_index_edit_finish(e, &again, NULL), 0);
        assert_bytes(again, rows[i]);
    }
}

static void index_edit__of_vectors(void **state)
{
    static const char *const names[] = {"manifest/index.json", "manifest/docker_list.json"};
    for (size_t i = 0; i < DV_COUNT(names); i++) {
        DV_AUTO(dv_buf) bytes = DV_BUF_INIT(1 << 20);
        DV_AUTOPTR(davit_manifest) m = NULL;
        DV_AUTOPTR(davit_manifest) again = NULL;
        DV_AUTOPTR(dv_index_edit) e = NULL;
        size_t before, after;
        read_vector(names[i], &bytes);
        assert_int_equal(davit_manifest_parse(bytes.data, bytes.size, NULL, &m, NULL), 0);
        assert_int_equal(dv_index_edit_new(m, &e, NULL), 0);
        assert_int_equal(dv_index_edit_remove(e, 1, NULL), 0);
        assert_int_equal(dv_index_edit_finish(e, &again, NULL), 0);
        const davit_descriptor *was = davit_manifest_entries(m, &before);
        const davit_descriptor *is = davit_manifest_entries(again, &after);
        assert_int_equal(after, before - 1);
        assert_string_equal(davit_manifest_media_type(again), davit_manifest_media_type(m));
        for (size_t k = 0; k < after; k++)
            assert_true(davit_digest_equal(&is[k].digest, &was[k == 0 ? 0 : k + 1].digest));
    }
}

static void index_edit__entries_come_and_go(void **state)
{
    DV_AUTOPTR(davit_manifest) m = NULL;
    DV_AUTOPTR(davit_manifest) out = NULL;
    DV_AUTOPTR(dv_index_edit) e = NULL;
    parse(
        INDEX(ENTRY(A, "") "," ENTRY(B, ",\"annotations\":{\"k\":\"v\"}"), ",\"annotations\":{\"x\":\"y\"}"),
        &m);
    assert_int_equal(dv_index_edit_new(m, &e, NULL), 0);
    assert_int_equal(dv_index_edit_add(e, parse_json(ENTRY(C, ",\"artifactType\":\"a/b\"")), NULL), 0);
    assert_int_equal(dv_index_edit_remove(e, 0, NULL), 0);
    assert_int_equal(dv_index_edit_count(e), 2);
    assert_int_equal(dv_index_edit_finish(e, &out, NULL), 0);
    assert_bytes(out,
                 INDEX(ENTRY(B, ",\"annotations\":{\"k\":\"v\"}") "," ENTRY(C, ",\"artifactType\":\"a/b\""),
                       ",\"annotations\":{\"x\":\"y\"}"));
}

static void index_edit__a_new_one(void **state)
{
    static const davit_annotation annotations[] = {{"b", "2"}, {"a", "1"}, {"b", "3"}};
    DV_AUTOPTR(davit_manifest) out = NULL;
    DV_AUTOPTR(dv_index_edit) e = NULL;
    assert_int_equal(dv_index_edit_new(NULL, &e, NULL), 0);
    assert_int_equal(dv_index_edit_finish(e, &out, NULL), 0);
    assert_bytes(out, INDEX("", ""));
    davit_manifest_free(DV_STEAL(out));
    assert_int_equal(dv_index_edit_annotate(e, annotations, 2, NULL), 0);
    assert_int_equal(dv_index_edit_finish(e, &out, NULL), 0);
    assert_bytes(out, INDEX("", ",\"annotations\":{\"a\":\"1\",\"b\":\"2\"}"));
    assert_int_equal(dv_index_edit_annotate(e, annotations, 3, NULL), DAVIT_EINVAL);
}

static void index_edit__refuses_what_is_no_index(void **state)
{
    DV_AUTOPTR(davit_manifest) m = NULL;
    DV_AUTOPTR(dv_index_edit) e = NULL;
    parse("{\"schemaVersion\":2,\"config\":" ENTRY(A, "") ",\"layers\":[]}", &m);
    assert_int_equal(dv_index_edit_new(m, &e, NULL), DAVIT_EINVAL);
}

/* What was built is read as if it came from a registry. */
static void index_edit__a_bad_entry_is_refused_at_the_end(void **state)
{
    DV_AUTOPTR(davit_manifest) out = NULL;
    DV_AUTOPTR(dv_index_edit) e = NULL;
    assert_int_equal(dv_index_edit_new(NULL, &e, NULL), 0);
    assert_int_equal(dv_index_edit_add(e, parse_json("{\"digest\":\"sha256:no\",\"size\":1}"), NULL), 0);
    assert_int_equal(dv_index_edit_finish(e, &out, NULL), DAVIT_EFORMAT);
}

static void index_edit__finds_digests_and_platforms(void **state)
{
    static const struct {
        const char *platform;
        size_t position; /* 5: none */
    } rows[] = {
        {"linux/amd64", 0},   {"linux/x86_64", 0},    {"linux/arm64", 1},    {"linux/arm64/v8", 1},
        {"linux/arm/v6", 2},  {"linux/arm/v7", 5},    {"linux/amd64/v2", 5}, {"linux/386", 5},
        {"windows/amd64", 5}, {"unknown/unknown", 5},
    };
    DV_AUTOPTR(davit_manifest) m = NULL;
    DV_AUTOPTR(dv_index_edit) e = NULL;
    davit_digest c;
    assert_int_equal(davit_digest_parse("sha256:" C, &c, NULL), 0);
    parse(
        INDEX(ENTRY(A, PLATFORM("linux", "amd64", "")) "," ENTRY(
                  B, PLATFORM(
                         "linux", "arm64",
                         ",\"variant\":\"v8\"")) "," ENTRY(C,
                                                           PLATFORM(
                                                               "linux", "arm",
                                                               ",\"variant\":"
                                                               "\"v6\"")) "," ENTRY(A,
                                                                                    PLATFORM(
                                                                                        "unknown", "unknown",
                                                                                        "")) "," ENTRY(B, ""),
              ""),
        &m);
    assert_int_equal(dv_index_edit_new(m, &e, NULL), 0);
    assert_int_equal(dv_index_edit_find(e, &c), 2);
    assert_int_equal(dv_index_edit_find(e, davit_manifest_digest(m)), 5);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_platform p;
        assert_int_equal(davit_platform_parse(rows[i].platform, &p, NULL), 0);
        size_t got = dv_index_edit_find_platform(e, &p);
        if (got != rows[i].position)
            fail_msg("%s: expected %zu, got %zu", rows[i].platform, rows[i].position, got);
    }
}

/* --- entries --------------------------------------------------------------------------------------------- */

#define CONFIG "\"config\":{\"mediaType\":\"application/x-thing\",\"digest\":\"sha256:" A "\",\"size\":3}"

static void index_entry__platform_type_and_annotations(void **state)
{
    static const struct {
        const char *manifest, *config;
        bool referrer;
        const char *expected; /* what stands behind the size */
    } rows[] = {
        {"{\"schemaVersion\":2," CONFIG ",\"layers\":[]}",
         "{\"os\":\"linux\",\"architecture\":\"arm\",\"variant\":\"v7\",\"rootfs\":{}}", false,
         ",\"platform\":{\"architecture\":\"arm\",\"os\":\"linux\",\"variant\":\"v7\"}"},
        {"{\"schemaVersion\":2," CONFIG ",\"layers\":[]}",
         "{\"architecture\":\"amd64\",\"os\":\"windows\",\"os.version\":\"10.0\",\"os.features\":[\"win32k\"]"
         "}",
         false,
         ",\"platform\":{\"architecture\":\"amd64\",\"os\":\"windows\",\"os.version\":\"10.0\",\"os."
         "features\":["
         "\"win32k\"]}"},
        {"{\"schemaVersion\":2," CONFIG ",\"layers\":[]}", "{\"name\":\"no image\"}", false, ""},
        {"{\"schemaVersion\":2," CONFIG ",\"layers\":[],\"annotations\":{\"k\":\"v\"}}", NULL, false, ""},
        {"{\"schemaVersion\":2,\"artifactType\":\"a/b\"," CONFIG ",\"layers\":[]}", NULL, false,
         ",\"artifactType\":\"a/b\""},
        {"{\"schemaVersion\":2,\"artifactType\":\"a/b\"," CONFIG
         ",\"layers\":[],\"annotations\":{\"k\":\"v\"}}",
         NULL, true, ",\"annotations\":{\"k\":\"v\"},\"artifactType\":\"a/b\""},
        {"{\"schemaVersion\":2," CONFIG ",\"layers\":[],\"annotations\":{}}", NULL, true,
         ",\"artifactType\":\"application/x-thing\""},
        {"{\"schemaVersion\":2,\"manifests\":[]}", NULL, true, ""},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_manifest) m = NULL;
        DV_AUTOPTR(dv_json) entry = NULL;
        DV_AUTO(dv_buf) config = DV_BUF_INIT(1024);
        DV_AUTO(dv_buf) got = DV_BUF_INIT(4096);
        DV_AUTO(dv_buf) expected = DV_BUF_INIT(4096);
        parse(rows[i].manifest, &m);
        if (rows[i].config)
            dv_buf_puts(&config, rows[i].config);
        assert_int_equal(
            dv_index_entry_build(m, rows[i].config ? &config : NULL, rows[i].referrer, &entry, NULL), 0);
        dv_json_format(entry, 0, true, &got);
        dv_buf_printf(&expected, "{\"mediaType\":\"%s\",\"digest\":\"%s\",\"size\":%zu%s}",
                      davit_manifest_media_type(m), m->digest.text, m->size, rows[i].expected);
        assert_string_equal(dv_buf_text(&got), dv_buf_text(&expected));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(index_edit__nothing_changed_is_the_same_bytes),
        cmocka_unit_test(index_edit__of_vectors),
        cmocka_unit_test(index_edit__entries_come_and_go),
        cmocka_unit_test(index_edit__a_new_one),
        cmocka_unit_test(index_edit__refuses_what_is_no_index),
        cmocka_unit_test(index_edit__a_bad_entry_is_refused_at_the_end),
        cmocka_unit_test(index_edit__finds_digests_and_platforms),
        cmocka_unit_test(index_entry__platform_type_and_annotations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

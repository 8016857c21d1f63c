/* Unit tests of archive/docker_archive*.c: store.md 10. */
#include "archive/docker_archive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)

#define HEX_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HEX_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define CONFIG(extra)                                                                         \
    "{\"architecture\":\"amd64\",\"os\":\"linux\",\"created\":\"2024-01-02T03:04:05Z\"" extra \
    ",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" HEX_A "\",\"sha256:" HEX_B "\"]}}"

static davit_image_config *config_of(const char *text)
{
    davit_image_config *c = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    if (davit_image_config_parse(text, strlen(text), &c, &err) < 0)
        fail_msg("%s: %s", text, davit_error_message(err));
    return c;
}

/* --- reading --------------------------------------------------------------------------------------------------------------- */

static void docker_manifest_parse__items_with_all_their_members(void **state)
{
    static const char text[] =
        "[{\"Config\":\"blobs/sha256/x\",\"RepoTags\":[\"a:1\",\"b:2\"],\"Layers\":[\"l1\",\"../l2\"],"
        "\"Parent\":\"sha256:" HEX_A "\",\"LayerSources\":{\"d\":{}},\"New\":[1]},"
        "{\"Config\":\"c.json\",\"RepoTags\":null,\"Layers\":null,\"Parent\":\"\"}]\n";
    DV_AUTO(dv_docker_manifest) m = {0};
    assert_int_equal(dv_docker_manifest_parse(text, sizeof(text) - 1, &m, NULL), 0);
    assert_int_equal(m.count, 2);
    assert_string_equal(m.items[0].config, "blobs/sha256/x");
    assert_int_equal(m.items[0].tags.count, 2);
    assert_string_equal(m.items[0].tags.items[1], "b:2");
    assert_int_equal(m.items[0].layers.count, 2);
    assert_string_equal(m.items[0].layers.items[1], "../l2");
    assert_string_equal(m.items[0].parent, "sha256:" HEX_A);
    assert_string_equal(m.items[1].config, "c.json");
    assert_int_equal(m.items[1].tags.count + m.items[1].layers.count, 0);
    assert_null(m.items[1].parent);
}

static void docker_manifest_parse__what_is_refused(void **state)
{
    static const struct {
        const char *text;
        int code;
        const char *message;
    } rows[] = {
        {"null", DAVIT_EFORMAT, "invalid manifest, manifest cannot be null (but can be [])"},
        {" null\n", DAVIT_EFORMAT, "invalid manifest, manifest cannot be null (but can be [])"},
        {"{}", DAVIT_EFORMAT, "manifest.json: not a list of images"},
        {"[", DAVIT_EFORMAT, NULL},
        {"", DAVIT_EFORMAT, NULL},
        {"[1]", DAVIT_EFORMAT, NULL},
        {"[null]", DAVIT_EFORMAT, NULL},
        {"[{}]", DAVIT_EFORMAT, NULL},
        {"[{\"Config\":1}]", DAVIT_EFORMAT, NULL},
        {"[{\"Config\":\"a\\u0000b\"}]", DAVIT_EFORMAT, NULL},
        {"[{\"Config\":\"a\",\"Layers\":[1]}]", DAVIT_EFORMAT, NULL},
        {"[{\"Config\":\"a\",\"Layers\":[\"a\\u0000\"]}]", DAVIT_EFORMAT, NULL},
        {"[{\"Config\":\"a\",\"Layers\":\"a\"}]", DAVIT_EFORMAT, NULL},
        {"[{\"Config\":\"a\",\"RepoTags\":{}}]", DAVIT_EFORMAT, NULL},
        {"[{\"Config\":\"a\",\"config\":\"b\"}]", DAVIT_EFORMAT, NULL}, /* threat B4 */
        {"[{\"Config\":\"a\",\"Config\":\"a\"}]", DAVIT_EFORMAT, NULL},
        {"[{\"Config\":\"a\",\"layers\":[]}]", DAVIT_EFORMAT, NULL},
        {"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]", DAVIT_ETOOBIG,
         NULL}, /* threat C2 */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DV_AUTO(dv_docker_manifest) m = {0};
        DV_AUTOPTR(davit_error) err = NULL;
        int r = dv_docker_manifest_parse(rows[i].text, strlen(rows[i].text), &m, &err);
        if (r != rows[i].code || (rows[i].message && strcmp(davit_error_message(err), rows[i].message) != 0))
            fail_msg("%s: %d %s", rows[i].text, r, davit_error_message(err));
    }
    DV_AUTO(dv_docker_manifest) empty = {0};
    assert_int_equal(dv_docker_manifest_parse("[]", 2, &empty, NULL), 0);
    assert_int_equal(empty.count, 0);
}

static void docker_manifest_parse__images_are_limited(void **state)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_DOCKER_MANIFEST_MAX);
    DV_AUTO(dv_docker_manifest) m = {0};
    for (int i = 0; i <= DV_DOCKER_IMAGES_MAX; i++)
        dv_buf_puts(&text, i ? ",{\"Config\":\"c\"}" : "[{\"Config\":\"c\"}");
    dv_buf_puts(&text, "]");
    assert_int_equal(dv_docker_manifest_parse(text.data, text.size, &m, NULL), DAVIT_ETOOBIG);
    assert_int_equal(m.count, 0);
}

static void docker_repositories_parse__names_with_their_tags(void **state)
{
    static const char text[] =
        "{\"busybox\":{\"latest\":\"" HEX_A "\",\"1\":\"" HEX_B "\"},\"r:5000/x\":{\"t\":\"id\"},\"e\":{}}";
    DV_AUTO(dv_docker_repositories) list = {0};
    assert_int_equal(dv_docker_repositories_parse(text, sizeof(text) - 1, &list, NULL), 0);
    assert_int_equal(list.count, 3);
    assert_string_equal(list.items[0].reference, "busybox:latest");
    assert_string_equal(list.items[0].id, HEX_A);
    assert_string_equal(list.items[1].reference, "busybox:1");
    assert_string_equal(list.items[2].reference, "r:5000/x:t");
    static const char *const refused[] = {
        "[]", "null", "{\"a\":1}", "{\"a\":{\"b\":1}}", "{\"a\":{\"b\":\"c\\u0000\"}}", "{"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        DV_AUTO(dv_docker_repositories) none = {0};
        assert_int_equal(dv_docker_repositories_parse(refused[i], strlen(refused[i]), &none, NULL),
                         DAVIT_EFORMAT);
    }
}

static void docker_parent_is_valid__one_more_entry_and_the_others_equal(void **state)
{
#define H(entries) ",\"history\":[" entries "]"
#define E1 "{\"created\":\"2024-01-01T00:00:00Z\",\"created_by\":\"a\"}"
#define E2 "{\"created\":\"2024-01-01T00:00:01Z\",\"created_by\":\"b\",\"empty_layer\":true}"
    static const struct {
        const char *child, *parent;
        bool valid;
    } rows[] = {
        {CONFIG(""), CONFIG(""), true}, /* having history is not mandatory */
        {CONFIG(H("")), CONFIG(""), true},
        {CONFIG(H(E1)), CONFIG(""), true},
        {CONFIG(H(E1 "," E2)), CONFIG(H(E1)), true},
        {CONFIG(H(E1 "," E2)), CONFIG(H("{\"created\":\"2024-01-01T01:00:00+01:00\",\"created_by\":\"a\"}")),
         true},
        {CONFIG(H(E1 "," E2)), CONFIG(H(E2)), false},
        {CONFIG(H(E1 "," E2)), CONFIG(""), false},
        {CONFIG(H(E1)), CONFIG(H(E1)), false},
        {CONFIG(H(E1)), CONFIG(H(E1 "," E2)), false},
        {CONFIG(H(E1 "," E2)),
         CONFIG(H("{\"created\":\"2024-01-01T00:00:00Z\",\"created_by\":\"a\",\"comment\":\"c\"}")), false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DV_AUTOPTR(davit_image_config) child = config_of(rows[i].child);
        DV_AUTOPTR(davit_image_config) parent = config_of(rows[i].parent);
        bool valid = !rows[i].valid;
        assert_int_equal(dv_docker_parent_is_valid(child, parent, &valid, NULL), 0);
        if (valid != rows[i].valid)
            fail_msg("row %zu: %d", i, valid);
    }
}

/* --- v1 ---------------------------------------------------------------------------------------------------------------------- */

static void v1_image_parent__an_id_or_none(void **state)
{
    char parent[DV_V1_ID_SIZE + 1];
    static const char with[] = "{\"id\":\"x\",\"parent\":\"" HEX_A "\"}";
    assert_int_equal(dv_v1_image_parent(with, sizeof(with) - 1, parent, NULL), 0);
    assert_string_equal(parent, HEX_A);
    assert_int_equal(dv_v1_image_parent("{}", 2, parent, NULL), 0);
    assert_string_equal(parent, "");
    static const char *const refused[] = {"{\"parent\":\"../" HEX_A "\"}", "{\"parent\":\"a\"}", "[]", "{"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_int_equal(dv_v1_image_parent(refused[i], strlen(refused[i]), parent, NULL), DAVIT_EFORMAT);
}

static void v1_images_to_config__the_last_one_sorted_with_rootfs_and_history(void **state)
{
    static const char base[] = "{\"id\":\"" HEX_A "\",\"created\":\"2014-01-01T00:00:00Z\",\"author\":\"me\","
                               "\"container_config\":{\"Cmd\":[\"/bin/sh\",\"-c\",\"#(nop) ADD <x>\"]}}";
    static const char top[] =
        "{\"os\":\"linux\",\"id\":\"" HEX_B "\",\"parent\":\"" HEX_A "\",\"Size\":12,"
        "\"created\":\"2014-01-02T00:00:00Z\",\"comment\":\"c\",\"architecture\":\"amd64\","
        "\"config\":{\"Cmd\":[\"sh\"]},\"layer_id\":\"l\",\"parent_id\":\"p\",\"throwaway\":true}";
    dv_v1_image images[2] = {{.bytes = base, .size = sizeof(base) - 1},
                             {.bytes = top, .size = sizeof(top) - 1}};
    assert_int_equal(davit_digest_parse("sha256:" HEX_A, &images[0].diff_id, NULL), 0);
    assert_int_equal(davit_digest_parse("sha256:" HEX_B, &images[1].diff_id, NULL), 0);
    DV_AUTO(dv_buf) out = DV_BUF_INIT(1 << 20);
    assert_int_equal(dv_v1_images_to_config(images, 2, &out, NULL), 0);
    assert_string_equal(dv_buf_text(&out),
                        "{\"architecture\":\"amd64\",\"comment\":\"c\",\"config\":{\"Cmd\":[\"sh\"]},"
                        "\"created\":\"2014-01-02T00:00:00Z\","
                        "\"history\":[{\"created\":\"2014-01-01T00:00:00Z\",\"author\":\"me\","
                        "\"created_by\":\"/bin/sh -c #(nop) ADD "
                        "\\u003cx\\u003e\"},{\"created\":\"2014-01-02T00:00:00Z\",\"comment\":\"c\"}],"
                        "\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" HEX_A
                        "\",\"sha256:" HEX_B "\"]}}");
    DV_AUTOPTR(davit_image_config) config = config_of(dv_buf_text(&out));
    size_t count;
    davit_image_config_diff_ids(config, &count);
    assert_int_equal(count, 2);
}

/* --- writing --------------------------------------------------------------------------------------------------------------- */

typedef struct fixture {
    davit_image_config *config;
    dv_docker_layer layers[2];
    const char *tags[3];
    dv_docker_image image;
} fixture;

static int set_up(void **state)
{
    static fixture f;
    f.config =
        config_of(CONFIG(",\"config\":{\"Cmd\":[\"sh\"]},\"docker_version\":\"\",\"author\":\"<me>\""));
    size_t count;
    for (size_t i = 0; i < 2; i++)
        f.layers[i] = (dv_docker_layer){davit_image_config_diff_ids(f.config, &count)[i], 1024 * (i + 1)};
    f.tags[0] = "busybox:latest";
    f.tags[1] = "127.0.0.1:5000/demo/web:1.0";
    f.tags[2] = "busybox:1";
    f.image = (dv_docker_image){f.config, f.layers, 2, f.tags, 3};
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    davit_image_config_free(((fixture *)*state)->config);
    return 0;
}

#define SOURCE(hex, size)                                                                         \
    "\"sha256:" hex "\":{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"size\":" size \
    ",\"digest\":\"sha256:" hex "\"}"

static void docker_manifest_format__the_forms_of_store_md_10(void **state)
{
    const fixture *f = *state;
    dv_docker_image untagged = f->image;
    untagged.tag_count = 0;
    DV_AUTO(dv_buf) out = DV_BUF_INIT(1 << 20), expected = DV_BUF_INIT(1 << 20);
    const dv_docker_image images[] = {f->image, untagged};
    assert_int_equal(dv_docker_manifest_format(images, 2, &out, NULL), 0);
    for (int i = 0; i < 2; i++)
        dv_buf_printf(&expected,
                      "%s{\"Config\":\"blobs/sha256/%s\",\"RepoTags\":%s,"
                      "\"Layers\":[\"blobs/sha256/" HEX_A "\",\"blobs/sha256/" HEX_B "\"],"
                      "\"LayerSources\":{" SOURCE(HEX_A, "1024") "," SOURCE(HEX_B, "2048") "}}%s",
                      i ? "," : "[", davit_digest_hex(davit_image_config_id(f->config)),
                      i ? "null" : "[\"busybox:latest\",\"127.0.0.1:5000/demo/web:1.0\",\"busybox:1\"]",
                      i ? "]\n" : "");
    assert_string_equal(dv_buf_text(&out), dv_buf_text(&expected));
    DV_AUTO(dv_docker_manifest) parsed = {0};
    assert_int_equal(dv_docker_manifest_parse(out.data, out.size, &parsed, NULL), 0);
    assert_int_equal(parsed.count, 2);
}

static void docker_manifest_format__a_layer_used_twice_has_one_source(void **state)
{
    fixture *f = *state;
    dv_docker_layer layers[] = {f->layers[1], f->layers[0], f->layers[1]};
    dv_docker_image image = {f->config, layers, 3, NULL, 0};
    DV_AUTO(dv_buf) out = DV_BUF_INIT(1 << 20);
    assert_int_equal(dv_docker_manifest_format(&image, 1, &out, NULL), 0);
    assert_non_null(strstr(dv_buf_text(&out), "\"Layers\":[\"blobs/sha256/" HEX_B "\",\"blobs/sha256/" HEX_A
                                              "\",\"blobs/sha256/" HEX_B "\"]"));
    assert_non_null(strstr(dv_buf_text(&out),
                           "\"LayerSources\":{" SOURCE(HEX_A, "1024") "," SOURCE(HEX_B, "2048") "}}]\n"));
}

static void docker_repositories_format__names_the_top_layer_sorted(void **state)
{
    const fixture *f = *state;
    DV_AUTO(dv_buf) out = DV_BUF_INIT(1 << 20);
    assert_int_equal(dv_docker_repositories_format(&f->image, 1, &out, NULL), 0);
    assert_string_equal(dv_buf_text(&out), "{\"127.0.0.1:5000/demo/web\":{\"1.0\":\"" HEX_B "\"},"
                                           "\"busybox\":{\"1\":\"" HEX_B "\",\"latest\":\"" HEX_B "\"}}\n");
    dv_docker_image untagged = f->image;
    untagged.tag_count = 0;
    dv_buf_reset(&out);
    assert_int_equal(dv_docker_repositories_format(&untagged, 1, &out, NULL), 0);
    assert_int_equal(out.size, 0);
}

static void docker_oci_manifest_format__plain_tars_by_their_diff_ids(void **state)
{
    const fixture *f = *state;
    size_t size;
    davit_image_config_bytes(f->config, &size);
    DV_AUTO(dv_buf) out = DV_BUF_INIT(1 << 20), expected = DV_BUF_INIT(1 << 20);
    assert_int_equal(dv_docker_oci_manifest_format(&f->image, &out, NULL), 0);
    dv_buf_printf(&expected,
                  "{\"schemaVersion\":2,\"mediaType\":\"application/"
                  "vnd.oci.image.manifest.v1+json\",\"config\":{\"mediaType\":"
                  "\"application/vnd.oci.image.config.v1+json\",\"digest\":\"%s\",\"size\":%zu},\"layers\":["
                  "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"sha256:" HEX_A
                  "\",\"size\":1024},"
                  "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"sha256:" HEX_B
                  "\",\"size\":2048}]}",
                  davit_image_config_id(f->config)->text, size);
    assert_string_equal(dv_buf_text(&out), dv_buf_text(&expected));
}

typedef struct v1_texts {
    char text[2][4096];
    size_t count;
} v1_texts;

static int take_v1(void *user, const void *bytes, size_t size, davit_error **err)
{
    v1_texts *t = user;
    assert_true(size < sizeof(t->text[0]) && t->count < 2);
    memcpy(t->text[t->count], bytes, size);
    t->text[t->count++][size] = '\0';
    return 0;
}

static void docker_v1_jsons__one_for_each_layer_and_the_top_has_the_config(void **state)
{
    const fixture *f = *state;
    v1_texts t = {.count = 0};
    assert_int_equal(dv_docker_v1_jsons(&f->image, take_v1, &t, NULL), 0);
    assert_int_equal(t.count, 2);
    char id[DV_V1_ID_SIZE + 1], expected[200];
    assert_int_equal(sscanf(t.text[0], "{\"id\":\"%64[0-9a-f]\"", id), 1);
    assert_non_null(
        strstr(t.text[0], "\"created\":\"1970-01-01T00:00:00Z\",\"container_config\":{\"Hostname\":\"\""));
    assert_non_null(strstr(t.text[0], "\"Labels\":null},\"os\":\"linux\"}"));
    assert_null(strstr(t.text[0], "parent"));
    assert_null(strstr(t.text[0], "\"config\""));
    snprintf(expected, sizeof(expected),
             "\"parent\":\"%s\",\"created\":\"2024-01-02T03:04:05Z\",\"container_config\":{", id);
    assert_non_null(strstr(t.text[1], expected));
    assert_non_null(strstr(
        t.text[1], "\"author\":\"\\u003cme\\u003e\",\"config\":{\"Cmd\":[\"sh\"]},\"architecture\":\"amd64\","
                   "\"os\":\"linux\"}"));
    v1_texts again = {.count = 0};
    assert_int_equal(dv_docker_v1_jsons(&f->image, take_v1, &again, NULL), 0);
    assert_string_equal(again.text[1], t.text[1]);
}

#define written(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(docker_manifest_parse__items_with_all_their_members),
        cmocka_unit_test(docker_manifest_parse__what_is_refused),
        cmocka_unit_test(docker_manifest_parse__images_are_limited),
        cmocka_unit_test(docker_repositories_parse__names_with_their_tags),
        cmocka_unit_test(docker_parent_is_valid__one_more_entry_and_the_others_equal),
        cmocka_unit_test(v1_image_parent__an_id_or_none),
        cmocka_unit_test(v1_images_to_config__the_last_one_sorted_with_rootfs_and_history),
        written(docker_manifest_format__the_forms_of_store_md_10),
        written(docker_manifest_format__a_layer_used_twice_has_one_source),
        written(docker_repositories_format__names_the_top_layer_sorted),
        written(docker_oci_manifest_format__plain_tars_by_their_diff_ids),
        written(docker_v1_jsons__one_for_each_layer_and_the_top_has_the_config),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

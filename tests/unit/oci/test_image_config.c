/* Unit tests of oci/image_config.c: store.md 1, pull.md 6, threats B4, C1-C3. */
#include "oci/image_config.h"

#include "util/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "vector.h"

DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)

#define D "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ROOTFS "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"" D "\"]}"
#define P64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void image_config_parse__parts(void **state)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(1 << 20);
    DV_AUTOPTR(davit_image_config) c = NULL;
    davit_digest id;
    size_t size, count;
    read_vector("image_config/ubuntu.json", &bytes);
    assert_int_equal(davit_image_config_parse(bytes.data, bytes.size, &c, NULL), 0);
    const davit_platform *p = davit_image_config_platform(c);
    assert_string_equal(p->os, "linux");
    assert_string_equal(p->architecture, "arm64");
    assert_string_equal(p->variant, "v8");
    assert_string_equal(p->os_version, "1.2");
    assert_string_equal(davit_image_config_created(c), "2026-01-02T03:04:05.678Z");
    const davit_digest *diff_ids = davit_image_config_diff_ids(c, &count);
    assert_int_equal(count, 2);
    assert_int_equal(davit_digest_of(DAVIT_SHA256, "two", 3, &id, NULL), 0);
    assert_true(davit_digest_equal(&diff_ids[1], &id));
    assert_memory_equal(davit_image_config_bytes(c, &size), bytes.data, bytes.size);
    assert_int_equal(size, bytes.size);
    assert_int_equal(davit_digest_of(DAVIT_SHA256, bytes.data, bytes.size, &id, NULL), 0);
    assert_true(davit_digest_equal(davit_image_config_id(c), &id));
}

static void image_config_parse__what_is_refused(void **state)
{
    static const struct {
        const char *text, *error;
    } rows[] = {
        {"{" ROOTFS "}", NULL},
        {"{\"rootfs\":{}}", NULL},
        {"{\"rootfs\":{\"diff_ids\":null},\"created\":null,\"os\":\"\",\"history\":null}", NULL},
        {"{" ROOTFS ",\"config\":{\"Labels\":{\"x\":1,\"X\":2}},\"extra\":1,\"EXTRA\":2}", NULL},
        {"{" ROOTFS ",\"container_config\":{\"env\":1,\"Env\":2}}", NULL},
        {"{}", "invalid rootfs in image configuration"},
        {"{\"rootfs\":null}", "invalid rootfs in image configuration"},
        {"{\"rootfs\":[]}", "image configuration: \"rootfs\" is not an object"},
        {"{\"rootfs\":{\"diff_ids\":{}}}", "image configuration: rootfs: \"diff_ids\" is not an array"},
        {"{\"rootfs\":{\"diff_ids\":[1]}}", "image configuration: a diff_id is not a string"},
        {"{\"rootfs\":{\"diff_ids\":[\"sha256:1\"]}}",
         "image configuration: invalid diff_id \"sha256:1\": invalid checksum digest length"},
        {"{\"rootfs\":{\"diff_ids\":[\"" D "\\u0000\"]}}",
         "image configuration: invalid diff_id \"" D "\\x00\": invalid checksum digest format"},
        {"{" ROOTFS ",\"os\":1}", "image configuration: \"os\" is not a string"},
        {"{" ROOTFS ",\"config\":[]}", "image configuration: \"config\" is not an object"},
        {"{" ROOTFS ",\"architecture\":\"" P64 "\"}",
         "image configuration: \"architecture\" has 64 bytes, at most 63 are allowed"},
        {"{" ROOTFS "," ROOTFS "}", "image configuration: key \"rootfs\" stands there twice"},
        {"{\"rootfs\":{\"diff_ids\":[],\"diff_ids\":[]}}",
         "image configuration: key \"diff_ids\" stands there twice"},
        {"{" ROOTFS ",\"RootFS\":{}}", "image configuration: a key differs from \"rootfs\" only in upper and "
                                       "lower case, so that other programs would "
                                       "read another document"},
        {"{" ROOTFS ",\"config\":{\"ENV\":[]}}", "image configuration: a key differs from \"Env\" only in "
                                                 "upper and lower case, so that other programs would "
                                                 "read another document"},
        {"[]", "image configuration: not a JSON object"},
        {"x", "image configuration: malformed JSON at byte 0: a value should stand here"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_image_config) c = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = davit_image_config_parse(rows[i].text, strlen(rows[i].text), &c, &err);
        const char *got = r < 0 ? davit_error_message(err) : "(none)";
        if (strcmp(rows[i].error ? rows[i].error : "(none)", got) != 0)
            fail_msg("%s: expected %s, got %s", rows[i].text, rows[i].error, got);
        assert_int_equal(r, rows[i].error ? DAVIT_EFORMAT : 0);
        if (c)
            assert_string_equal(davit_image_config_created(c), "");
    }
}

/* threats C1, C3 */
static void image_config_parse__bytes_and_layers_have_ceilings(void **state)
{
    for (size_t layers = 4096; layers <= 4097; layers++) {
        DV_AUTO(dv_buf) text = DV_BUF_INIT(4 << 20);
        DV_AUTOPTR(davit_image_config) c = NULL;
        dv_buf_puts(&text, "{\"rootfs\":{\"diff_ids\":[");
        for (size_t n = 0; n < layers; n++)
            dv_buf_puts(&text, n ? ",\"" D "\"" : "\"" D "\"");
        dv_buf_puts(&text, "]}}");
        assert_int_equal(davit_image_config_parse(text.data, text.size, &c, NULL),
                         layers > 4096 ? DAVIT_ETOOBIG : 0);
    }
    DV_AUTOFREE char *spaces = malloc(DAVIT_IMAGE_CONFIG_MAX + 1);
    DV_AUTOPTR(davit_image_config) c = NULL;
    memset(spaces, ' ', DAVIT_IMAGE_CONFIG_MAX + 1);
    assert_int_equal(davit_image_config_parse(spaces, DAVIT_IMAGE_CONFIG_MAX + 1, &c, NULL), DAVIT_ETOOBIG);
    assert_int_equal(davit_image_config_parse(spaces, DAVIT_IMAGE_CONFIG_MAX, &c, NULL), DAVIT_EFORMAT);
}

static void image_config_history__lists_what_is_there(void **state)
{
    static const struct {
        const char *history,
            *got; /* created|created_by|author|comment, ! for an empty layer, a space between entries */
    } rows[] = {
        {"[{\"created\":\"c\",\"created_by\":\"b\",\"author\":\"a\",\"comment\":\"m\"}]", "c|b|a|m "},
        {"[{\"empty_layer\":true},{\"empty_layer\":false,\"comment\":\"x\"}]", "|||! |||x "},
        {"[]", ""},
        {"null", ""},
        {"{}", ""},
        {"\"text\"", ""},
        {"[1,null,{},\"x\"]", "||| ||| ||| ||| "},
        {"[{\"created_by\":1,\"comment\":[],\"empty_layer\":\"true\",\"author\":\"a\"}]", "||a| "},
        {"[{\"created_by\":\"a\\u0000b\"}]", "|a|| "},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        DV_AUTO(dv_buf) text = DV_BUF_INIT(4096);
        DV_AUTO(dv_buf) got = DV_BUF_INIT(4096);
        DV_AUTOPTR(davit_image_config) c = NULL;
        size_t count;
        dv_buf_printf(&text, "{" ROOTFS ",\"history\":%s}", rows[i].history);
        assert_int_equal(davit_image_config_parse(text.data, text.size, &c, NULL), 0);
        const davit_history_entry *h = davit_image_config_history(c, &count);
        for (size_t k = 0; k < count; k++)
            dv_buf_printf(&got, "%s|%s|%s|%s%s ", h[k].created, h[k].created_by, h[k].author, h[k].comment,
                          h[k].empty_layer ? "!" : "");
        assert_string_equal(dv_buf_text(&got), rows[i].got);
    }
}

static void image_config_check_history__layers_are_enough_for_the_steps(void **state)
{
    static const struct {
        const char *history;
        int code;
    } rows[] = {
        {"null", 0},
        {"[]", 0},
        {"[{}]", 0},
        {"[{\"empty_layer\":true},{},{\"empty_layer\":true}]", 0},
        {"[{},{}]", DAVIT_EFORMAT},
        {"[{},{\"empty_layer\":false}]", DAVIT_EFORMAT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        DV_AUTO(dv_buf) text = DV_BUF_INIT(4096);
        DV_AUTOPTR(davit_image_config) c = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        dv_buf_printf(&text, "{" ROOTFS ",\"history\":%s}", rows[i].history);
        assert_int_equal(davit_image_config_parse(text.data, text.size, &c, NULL), 0);
        if (dv_image_config_check_history(c, &err) != rows[i].code)
            fail_msg("%s", rows[i].history);
        if (rows[i].code)
            assert_string_equal(davit_error_message(err), "too many non-empty layers in History section");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_config_parse__parts),
        cmocka_unit_test(image_config_parse__what_is_refused),
        cmocka_unit_test(image_config_parse__bytes_and_layers_have_ceilings),
        cmocka_unit_test(image_config_history__lists_what_is_there),
        cmocka_unit_test(image_config_check_history__layers_are_enough_for_the_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

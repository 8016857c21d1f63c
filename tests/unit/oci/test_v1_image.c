/* Unit tests of oci/v1_image.c: registry-v1.md 7, 8. */
#include "oci/v1_image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CONTAINER_ZERO                                                                                    \
    "{\"Hostname\":\"\",\"Domainname\":\"\",\"User\":\"\",\"Memory\":0,\"MemorySwap\":0,\"CpuShares\":0," \
    "\"Cpuset\":\"\",\"AttachStdin\":false,\"AttachStdout\":false,\"AttachStderr\":false,"                \
    "\"PortSpecs\":null,\"ExposedPorts\":null,\"Tty\":false,\"OpenStdin\":false,\"StdinOnce\":false,"     \
    "\"Env\":null,\"Cmd\":null,\"Dns\":null,\"Image\":\"\",\"Volumes\":null,\"VolumesFrom\":\"\","        \
    "\"WorkingDir\":\"\",\"Entrypoint\":null,\"NetworkDisabled\":false,\"SecurityOpts\":null,"            \
    "\"OnBuild\":null}"
#define REST \
    ",\"docker_version\":\"\",\"author\":\"\",\"config\":null,\"architecture\":\"\",\"os\":\"\",\"Size\":0}"
#define ZERO                                                                                          \
    "{\"id\":\"\",\"parent\":\"\",\"Comment\":\"\",\"created\":\"0001-01-01T00:00:00Z\",\"container_" \
    "config\":" CONTAINER_ZERO REST

/* What is read and written again. New text. */
static char *again(const char *text)
{
    DV_AUTOPTR(davit_v1_image_metadata) m = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    char *out = NULL;
    if (davit_v1_image_metadata_parse(text, strlen(text), &m, &err) < 0 ||
        davit_v1_image_metadata_format(m, &out, &err) < 0)
        fail_msg("%s: %s", text, davit_error_message(err));
    return out;
}

static void davit_v1_image_metadata_format__all_keys_are_there_in_order(void **state)
{
    const davit_v1_image_metadata zero = {.id = NULL};
    DV_AUTOFREE char *text = NULL;
    assert_int_equal(davit_v1_image_metadata_format(&zero, &text, NULL), 0);
    assert_string_equal(text, ZERO);
}

static void davit_v1_image_metadata_parse__what_is_missing_or_null_is_zero(void **state)
{
    static const char *const texts[] = {
        "{}", "{\"id\":null,\"created\":null,\"config\":null,\"container_config\":null,\"Size\":null}",
        "{\"unknown\":[1,{}],\"another\":123456789012345678901234567890}"};
    for (size_t i = 0; i < DV_COUNT(texts); i++) {
        DV_AUTOFREE char *text = again(texts[i]);
        assert_string_equal(text, ZERO);
    }
}

static void davit_v1_image_metadata_parse__reads_every_key(void **state)
{
    static const char text[] =
        "{\"id\":\"00112233445566aa\",\"parent\":\"00112233445566bb\",\"Comment\":\"a \\u003c b\","
        "\"created\":\"2014-10-13T21:19:18.674353812Z\",\"container_config\":{\"Hostname\":\"h\","
        "\"Domainname\":\"d\",\"User\":\"u\",\"Memory\":1,\"MemorySwap\":-1,\"CpuShares\":3,\"Cpuset\":\"0\","
        "\"AttachStdin\":true,\"AttachStdout\":true,\"AttachStderr\":true,\"PortSpecs\":[\"1\"],"
        "\"ExposedPorts\":{\"22/tcp\":{},\"80/tcp\":{}},\"Tty\":true,\"OpenStdin\":true,\"StdinOnce\":true,"
        "\"Env\":[\"A=b\"],\"Cmd\":[\"/bin/sh\",\"-c\"],\"Dns\":[],\"Image\":\"i\",\"Volumes\":{},"
        "\"VolumesFrom\":\"v\",\"WorkingDir\":\"/w\",\"Entrypoint\":[\"e\"],\"NetworkDisabled\":true,"
        "\"SecurityOpts\":[\"s\"],\"OnBuild\":[\"o\"]},\"docker_version\":\"1.2.0\",\"author\":\"me\","
        "\"config\":" CONTAINER_ZERO
        ",\"architecture\":\"amd64\",\"os\":\"linux\",\"Size\":9007199254740993}";
    DV_AUTOPTR(davit_v1_image_metadata) m = NULL;
    DV_AUTOFREE char *written = again(text);
    assert_string_equal(written, text);
    assert_int_equal(davit_v1_image_metadata_parse(text, strlen(text), &m, NULL), 0);
    assert_string_equal(m->id, "00112233445566aa");
    assert_int_equal(m->size, 9007199254740993);
    const davit_v1_container_config *c = &m->container_config;
    assert_int_equal(c->memory_swap, -1);
    assert_int_equal(c->exposed_ports.count, 2);
    assert_non_null(c->dns.items);
    assert_int_equal(c->dns.count, 0);
    assert_non_null(m->config);
    assert_int_equal(m->raw_size, strlen(text));
    assert_memory_equal(m->raw, text, m->raw_size);
}

static void davit_v1_image_metadata_parse__case_is_ignored_where_no_key_fits(void **state)
{
    static const char text[] = "{\"comment\":\"c\",\"size\":7,\"ID\":\"x\",\"OS\":\"linux\"}";
    DV_AUTOPTR(davit_v1_image_metadata) m = NULL;
    assert_int_equal(davit_v1_image_metadata_parse(text, strlen(text), &m, NULL), 0);
    assert_string_equal(m->comment, "c");
    assert_string_equal(m->id, "x");
    assert_string_equal(m->os, "linux");
    assert_int_equal(m->size, 7);
}

static void davit_v1_image_metadata__a_time_is_written_as_the_reference_does(void **state)
{
    static const struct {
        const char *given, *written;
    } rows[] = {
        {"2014-10-13T21:19:18.674353812Z", "2014-10-13T21:19:18.674353812Z"},
        {"2014-10-13T21:19:18.670000000Z", "2014-10-13T21:19:18.67Z"},
        {"2014-10-13T21:19:18.000Z", "2014-10-13T21:19:18Z"},
        {"2014-10-13T21:19:18.1234567891Z", "2014-10-13T21:19:18.123456789Z"},
        {"2014-10-13T21:19:18Z", "2014-10-13T21:19:18Z"},
        {"2014-10-13T21:19:18.5+02:00", "2014-10-13T21:19:18.5+02:00"},
        {"2014-10-13T21:19:18-07:30", "2014-10-13T21:19:18-07:30"},
        {"2014-10-13T21:19:18+00:00", "2014-10-13T21:19:18Z"},
        {"0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char text[128], expected[128];
        snprintf(text, sizeof(text), "{\"created\":\"%s\"}", rows[i].given);
        snprintf(expected, sizeof(expected), "\"created\":\"%s\",", rows[i].written);
        DV_AUTOFREE char *written = again(text);
        if (!strstr(written, expected))
            fail_msg("%s: expected %s in %s", text, expected, written);
    }
}

static void davit_v1_image_metadata_parse__wrong_types_are_refused(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "null",
        "\"x\"",
        "{",
        "{\"id\":1}",
        "{\"id\":\"a\\u0000b\"}",
        "{\"Size\":\"1\"}",
        "{\"Size\":1.5}",
        "{\"created\":\"yesterday\"}",
        "{\"created\":\"\"}",
        "{\"created\":5}",
        "{\"config\":[]}",
        "{\"config\":{\"Env\":\"A=b\"}}",
        "{\"config\":{\"Env\":[1]}}",
        "{\"config\":{\"Tty\":1}}",
        "{\"config\":{\"Volumes\":[\"/v\"]}}",
        "{\"config\":{\"ExposedPorts\":{\"22/tcp\":1}}}",
        "{\"container_config\":{\"Memory\":\"1\"}}",
    };
    for (size_t i = 0; i < DV_COUNT(texts); i++) {
        davit_v1_image_metadata *m = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = davit_v1_image_metadata_parse(texts[i], strlen(texts[i]), &m, &err);
        if (r != DAVIT_EFORMAT || m || strncmp(davit_error_message(err), "json of a v1 image: ", 20) != 0)
            fail_msg("%s: %s %s", texts[i], davit_code_name(r), davit_error_message(err));
    }
}

static void davit_v1_image_metadata_format__a_time_that_is_none_is_refused(void **state)
{
    char when[] = "now";
    const davit_v1_image_metadata m = {.created = when};
    char *text = NULL;
    assert_int_equal(davit_v1_image_metadata_format(&m, &text, NULL), DAVIT_EFORMAT);
    assert_null(text);
}

static void v1_id__16_or_64_lower_case_hex_digits(void **state)
{
    static const struct {
        const char *id;
        bool valid;
    } rows[] = {
        {"00112233445566aa", true},
        {"00112233445566aa00112233445566aa00112233445566aa00112233445566aa", true},
        {"00112233445566AA", false},
        {"00112233445566a", false},
        {"00112233445566aaa", false},
        {"", false},
        {"../../../../../a", false},
        {"0011223344556 aa", false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        if (dv_v1_id_is_valid(rows[i].id) != rows[i].valid)
            fail_msg("%s: expected %d", rows[i].id, rows[i].valid);
}

static void v1_checksum__json_newline_layer(void **state)
{
    /* printf '{"id":"x"}\n\nlayer' | sha256sum */
    DV_AUTOPTR(dv_hash) hash = dv_hash_new(DAVIT_SHA256);
    davit_digest digest;
    DV_AUTO(davit_v1_texts) sums = {.items = NULL};
    dv_v1_checksum_begin(hash, "{\"id\":\"x\"}\n", 11);
    dv_hash_update(hash, "layer", 5);
    dv_hash_final(hash, &digest);
    assert_string_equal(digest.text,
                        "sha256:db677bd43eafa87951e374f9f6984a06714268ef5e1363f1b382219b4723a73e");
    assert_int_equal(dv_v1_checksum_check(&sums, &digest, "aa", NULL), 0); /* none was named */
    assert_false(dv_v1_checksum_is_known(&sums));
    assert_true(dv_v1_texts_add(&sums, "tarsum+sha256:00", 16));
    assert_int_equal(dv_v1_checksum_check(&sums, &digest, "aa", NULL), 0); /* none that can be checked */
    assert_false(dv_v1_checksum_is_known(&sums));
    assert_true(dv_v1_texts_add(&sums, "sha256:00", 9));
    assert_int_equal(dv_v1_checksum_check(&sums, &digest, "aa", NULL), DAVIT_EDIGEST);
    assert_true(dv_v1_checksum_is_known(&sums));
    assert_true(dv_v1_texts_add(&sums, digest.text, strlen(digest.text)));
    assert_int_equal(dv_v1_checksum_check(&sums, &digest, "aa", NULL), 0); /* any may match */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(davit_v1_image_metadata_format__all_keys_are_there_in_order),
        cmocka_unit_test(davit_v1_image_metadata_parse__what_is_missing_or_null_is_zero),
        cmocka_unit_test(davit_v1_image_metadata_parse__reads_every_key),
        cmocka_unit_test(davit_v1_image_metadata_parse__case_is_ignored_where_no_key_fits),
        cmocka_unit_test(davit_v1_image_metadata__a_time_is_written_as_the_reference_does),
        cmocka_unit_test(davit_v1_image_metadata_parse__wrong_types_are_refused),
        cmocka_unit_test(davit_v1_image_metadata_format__a_time_that_is_none_is_refused),
        cmocka_unit_test(v1_id__16_or_64_lower_case_hex_digits),
        cmocka_unit_test(v1_checksum__json_newline_layer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

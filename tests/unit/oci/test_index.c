/* Unit tests of oci/index.c: pull.md 5. */
#include "oci/manifest.h"

#include "oci/media_type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "vector.h"

static void parse_vector(const char *name, davit_manifest **out)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(1 << 20);
    read_vector(name, &bytes);
    assert_int_equal(davit_manifest_parse(bytes.data, bytes.size, NULL, out, NULL), 0);
}

/* Sizes name the entries of the vector. */
static void manifest_choose__best_first_and_list_order_among_equals(void **state)
{
    static const struct {
        const char *platform, *sizes;
    } rows[] = {
        {"linux/amd64", "403 406 402 407"},
        {"linux/amd64/v3", "403 406 402 407"},
        {"linux/386", "402 407"},
        {"linux/arm64", "401 405 404 407"},
        {"linux/arm/v7", "405 404 407"},
        {"linux/arm/v6", "404 407"},
        {"linux/arm/v5", "407"},
        {"linux/riscv64", "407"},
        {"linux/arm64/odd", "407"},
        {"unknown/unknown", "407"},
        {"windows/amd64", "407"},
    };
    DV_AUTOPTR(davit_manifest) m = NULL;
    size_t entry_count;
    parse_vector("manifest/index.json", &m);
    const davit_descriptor *entries = davit_manifest_entries(m, &entry_count);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_platform wanted;
        DV_AUTO(dv_buf) got = DV_BUF_INIT(1024);
        size_t *indices = NULL, count = 0;
        assert_int_equal(davit_platform_parse(rows[i].platform, &wanted, NULL), 0);
        assert_int_equal(davit_manifest_choose(m, &wanted, &indices, &count, NULL), 0);
        for (size_t n = 0; n < count; n++)
            dv_buf_printf(&got, "%s%d", n ? " " : "", (int)entries[indices[n]].size);
        free(indices);
        if (strcmp(dv_buf_text(&got), rows[i].sizes) != 0)
            fail_msg("%s: expected %s, got %s", rows[i].platform, rows[i].sizes, dv_buf_text(&got));
    }
}

static void manifest_choose__windows_by_version(void **state)
{
    static const struct {
        const char *platform;
        size_t count;
    } rows[] = {
        {"windows(10.0.22621)/amd64", 1},
        {"windows(10.0.17763)/amd64", 0},
        {"windows/amd64", 1},
        {"linux/amd64", 1},
    };
    DV_AUTOPTR(davit_manifest) m = NULL;
    parse_vector("manifest/docker_list.json", &m);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_platform wanted;
        size_t *indices = NULL, count = 7;
        assert_int_equal(davit_platform_parse(rows[i].platform, &wanted, NULL), 0);
        assert_int_equal(davit_manifest_choose(m, &wanted, &indices, &count, NULL), 0);
        free(indices);
        if (count != rows[i].count)
            fail_msg("%s: expected %zu, got %zu", rows[i].platform, rows[i].count, count);
    }
}

static void manifest_choose__null_is_the_host(void **state)
{
    static const davit_platform empty = {.os = ""};
    davit_platform host;
    DV_AUTOPTR(davit_manifest) m = NULL;
    size_t *by_null = NULL, *by_empty = NULL, *by_host = NULL, n = 0, e = 0, h = 0;
    parse_vector("manifest/index.json", &m);
    davit_platform_host(&host);
    assert_int_equal(davit_manifest_choose(m, NULL, &by_null, &n, NULL), 0);
    assert_int_equal(davit_manifest_choose(m, &empty, &by_empty, &e, NULL), 0);
    assert_int_equal(davit_manifest_choose(m, &host, &by_host, &h, NULL), 0);
    assert_true(n > 0 && n == e && n == h);
    assert_memory_equal(by_null, by_empty, n * sizeof(*by_null));
    assert_memory_equal(by_null, by_host, n * sizeof(*by_null));
    free(by_null);
    free(by_empty);
    free(by_host);
}

static void manifest_choose__not_of_an_image(void **state)
{
    DV_AUTOPTR(davit_manifest) m = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    size_t *indices = NULL, count = 5;
    parse_vector("manifest/docker.json", &m);
    assert_int_equal(davit_manifest_choose(m, NULL, &indices, &count, &err), DAVIT_EINVAL);
    assert_null(indices);
    assert_int_equal(count, 5);
}

static void index_no_match__names_the_platform(void **state)
{
    static const davit_platform wanted = {"linux", "s390x", "", ""}, no_os = {"", "s390x", "", ""};
    DV_AUTOPTR(davit_error) err = NULL;
    davit_platform host;
    char text[DAVIT_PLATFORM_TEXT_MAX];
    assert_int_equal(dv_index_no_match(&wanted, &err), DAVIT_EPLATFORM);
    assert_string_equal(davit_error_message(err),
                        "no matching manifest for linux/s390x in the manifest list entries");
    davit_platform_host(&host);
    davit_platform_format(&host, text);
    assert_int_equal(dv_index_no_match(&no_os, &err), DAVIT_EPLATFORM);
    assert_non_null(strstr(davit_error_message(err), text));
    assert_int_equal(dv_index_no_match(NULL, NULL), DAVIT_EPLATFORM);
}

static void index_parse__entries_keep_their_platform(void **state)
{
    DV_AUTOPTR(davit_manifest) m = NULL;
    size_t count;
    parse_vector("manifest/docker_list.json", &m);
    const davit_descriptor *entries = davit_manifest_entries(m, &count);
    assert_int_equal(count, 2);
    assert_string_equal(entries[1].platform.os, "windows");
    assert_string_equal(entries[1].platform.os_version, "10.0.20348.1");
    assert_string_equal(entries[1].media_type, DV_MEDIA_TYPE_DOCKER_MANIFEST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifest_choose__best_first_and_list_order_among_equals),
        cmocka_unit_test(manifest_choose__windows_by_version),
        cmocka_unit_test(manifest_choose__null_is_the_host),
        cmocka_unit_test(manifest_choose__not_of_an_image),
        cmocka_unit_test(index_no_match__names_the_platform),
        cmocka_unit_test(index_parse__entries_keep_their_platform),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

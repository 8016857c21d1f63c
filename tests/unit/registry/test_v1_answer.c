/* Unit tests of registry/v1_answer.c: registry-v1.md 5, 8, 9. Bodies are tested where they are asked for. */
#include "registry_test.h"

#include "registry/v1_answer.h"

static void dv_v1_answer_range__numbers_are_digits_with_or_without_a_unit(void **state)
{
    static const struct {
        const char *text;
        uint64_t first, last, total; /* total 0: refused */
    } rows[] = {
        {"bytes 5-9/10", 5, 9, 10},
        {"5-9/10", 5, 9, 10},
        {"BYTES 0-0/1", 0, 0, 1},
        {"0-9223372036854775806/9223372036854775807", 0, INT64_MAX - 1, INT64_MAX},
        {"5- 9/10", 0, 0, 0},
        {"5-9/ 10", 0, 0, 0},
        {"5-+9/10", 0, 0, 0},
        {"0--18446744073709551612/10", 0, 0, 0}, /* is 4 to who counts around */
        {"0-1/99999999999999999999999", 0, 0, 0},
        {"99999999999999999999999-99999999999999999999999/99999999999999999999999", 0, 0, 0},
        {"5-9/*", 0, 0, 0},
        {"5-9/9", 0, 0, 0},
        {"6-5/10", 0, 0, 0},
        {"5-9/10 ", 5, 9, 10}, /* blanks around a value are not part of it */
        {"5-9/10x", 0, 0, 0},
        {"bytes", 0, 0, 0},
        {"", 0, 0, 0},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
        uint64_t first = 0, last = 0, total = 0;
        assert_int_equal(dv_headers_add(&h, "Content-Range", rows[i].text, 0, NULL), 0);
        bool ok = dv_v1_answer_range(&h, &first, &last, &total);
        if (ok != (rows[i].total > 0) ||
            (ok && (first != rows[i].first || last != rows[i].last || total != rows[i].total)))
            fail_msg("%s: %s, %llu-%llu/%llu", rows[i].text, ok ? "taken" : "refused",
                     (unsigned long long)first, (unsigned long long)last, (unsigned long long)total);
    }
}

static void dv_v1_answer_layer__takes_checksums_of_every_header(void **state)
{
    DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
    davit_v1_texts sums = {.items = NULL};
    uint64_t size = 0;
    assert_int_equal(dv_headers_add(&h, "X-Docker-Checksum-Payload", "sha256:a, sha256:b", 0, NULL), 0);
    assert_int_equal(dv_headers_add(&h, "X-Docker-Checksum-Payload", ",,", 0, NULL), 0);
    assert_int_equal(dv_headers_add(&h, "x-docker-checksum-payload", "sha256:c", 0, NULL), 0);
    assert_int_equal(dv_v1_answer_layer(&h, &size, &sums, NULL), 0);
    assert_true(size == DAVIT_SIZE_UNKNOWN);
    assert_int_equal(sums.count, 3);
    assert_string_equal(sums.items[1], "sha256:b");
    assert_string_equal(sums.items[2], "sha256:c");
    davit_v1_texts_clear(&sums);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dv_v1_answer_range__numbers_are_digits_with_or_without_a_unit),
        cmocka_unit_test(dv_v1_answer_layer__takes_checksums_of_every_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

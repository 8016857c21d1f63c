/* Unit tests of store/metadata_entry.c (push.md 5). */
#include "store/metadata_entry.h"

#include "util/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define KEY "sha256:edbd57ca9372e64eb1c9070ecf3a049ac553596b0529acf034c7a71d4e618e88"

/* A digest of 64 times this hex digit. */
static davit_digest digest_of(char digit)
{
    char text[80] = "sha256:";
    davit_digest digest;
    memset(text + 7, digit, 64);
    text[71] = '\0';
    assert_int_equal(davit_digest_parse(text, &digest, NULL), 0);
    return digest;
}

static void metadata_sign__is_hmac_over_digest_and_repository(void **state)
{
    /* Python's hmac over the same bytes. */
    char hmac[DV_METADATA_HMAC_MAX];
    davit_digest digest = digest_of('a');
    assert_int_equal(dv_metadata_sign(KEY, &digest, "docker.io/library/busybox", hmac, NULL), 0);
    assert_string_equal(hmac, "875e6cd5c9aabaff0405919ab15224ef1183837a22afac4ca6f7e9d8b83f342f");
    assert_int_equal(dv_metadata_sign("", &digest, "docker.io/library/busybox", hmac, NULL), 0);
    assert_string_equal(hmac, "");
}

static void metadata_is_signed__table(void **state)
{
    static const struct {
        const char *hmac, *key, *repository;
        bool expected;
    } rows[] = {
        {"", "", "docker.io/library/busybox", true},
        {"", KEY, "docker.io/library/busybox", false},
        {"875e6cd5c9aabaff0405919ab15224ef1183837a22afac4ca6f7e9d8b83f342f", "", "docker.io/library/busybox",
         false},
        {"875e6cd5c9aabaff0405919ab15224ef1183837a22afac4ca6f7e9d8b83f342f", KEY, "docker.io/library/busybox",
         true},
        {"875e6cd5c9aabaff0405919ab15224ef1183837a22afac4ca6f7e9d8b83f342f", KEY, "docker.io/library/other",
         false},
        {"875e6cd5c9aabaff0405919ab15224ef1183837a22afac4ca6f7e9d8b83f342e", KEY, "docker.io/library/busybox",
         false},
        {"875e6cd5", KEY, "docker.io/library/busybox", false},
        {"no hex", KEY, "docker.io/library/busybox", false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_metadata_entries) list = {0};
        davit_digest digest = digest_of('a');
        print_message("row %zu\n", i);
        assert_int_equal(dv_metadata_entries_add(&list, &digest, rows[i].repository, rows[i].hmac, NULL), 0);
        assert_int_equal(dv_metadata_is_signed(&list.items[0], rows[i].key), rows[i].expected);
    }
}

static void metadata_likeness__counts_leading_components(void **state)
{
    static const struct {
        const char *repository, *target;
        unsigned expected;
    } rows[] = {
        {"docker.io/library/app", "docker.io/library/app", 3},
        {"docker.io/library/ap", "docker.io/library/app", 2},
        {"docker.io/library/app/sub", "docker.io/library/app", 3},
        {"docker.io/library", "docker.io/library/app", 2},
        {"quay.io/library/app", "docker.io/library/app", 0},
        {"docker.io/other/app", "docker.io/library/app", 1},
        {"", "docker.io/library/app", 0},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        print_message("%s\n", rows[i].repository);
        assert_int_equal(dv_metadata_likeness(rows[i].repository, rows[i].target), rows[i].expected);
    }
}

/* Each entry is a digit and its repository; '*' in front: signed with our key. */
static void metadata_order__table(void **state)
{
    static const struct {
        const char *entries[6];
        const char *expected;
    } rows[] = {
        {{"1docker.io/a/b", "2docker.io/a/b", "3docker.io/a/b"}, "321"},
        {{"1docker.io/t/app", "2docker.io/t/b", "3docker.io/a/b", "4quay.io/t/app"}, "1234"},
        {{"*1quay.io/a/b", "2docker.io/t/app", "*3docker.io/a/b"}, "312"},
        {{"1", "2docker.io/a/b", "3"}, "231"},
        {{"*1docker.io/t/b", "*2docker.io/t/c", "3docker.io/t/app", "*4docker.io/t/app"}, "4213"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_metadata_entries) list = {0};
        char got[8] = "";
        for (const char *const *e = rows[i].entries; *e; e++) {
            bool ours = **e == '*';
            davit_digest digest = digest_of((*e)[ours]);
            char hmac[DV_METADATA_HMAC_MAX] = "";
            if (ours)
                assert_int_equal(dv_metadata_sign(KEY, &digest, *e + 2, hmac, NULL), 0);
            assert_int_equal(dv_metadata_entries_add(&list, &digest, *e + ours + 1, hmac, NULL), 0);
        }
        dv_metadata_order(&list, KEY, "docker.io/t/app");
        for (size_t j = 0; j < list.count; j++)
            got[j] = list.items[j].digest.text[7];
        print_message("row %zu\n", i);
        assert_string_equal(got, rows[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metadata_sign__is_hmac_over_digest_and_repository),
        cmocka_unit_test(metadata_is_signed__table),
        cmocka_unit_test(metadata_likeness__counts_leading_components),
        cmocka_unit_test(metadata_order__table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

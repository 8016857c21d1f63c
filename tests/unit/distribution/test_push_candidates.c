/* Unit tests of distribution/push_candidates.c (push.md 4, 6, 7). */
#include "distribution/push_candidates.h"

#include "util/error.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define KEY "sha256:edbd57ca9372e64eb1c9070ecf3a049ac553596b0529acf034c7a71d4e618e88"
#define TARGET "docker.io/team/app"

static const dv_push_target target = {.repository = TARGET, .key = KEY};

static davit_digest digest_of(char digit)
{
    char text[80] = "sha256:";
    davit_digest digest;
    memset(text + 7, digit, 64);
    text[71] = '\0';
    assert_int_equal(davit_digest_parse(text, &digest, NULL), 0);
    return digest;
}

/* A digit and a repository, oldest first; '*' in front: seen with our credentials, '!': with others'. */
static void add(dv_metadata_entries *list, const char *text)
{
    bool marked = *text == '*' || *text == '!';
    davit_digest digest = digest_of(text[marked]);
    char hmac[DV_METADATA_HMAC_MAX] = "";
    if (marked)
        assert_int_equal(dv_metadata_sign(*text == '*' ? KEY : "another", &digest, text + 2, hmac, NULL), 0);
    assert_int_equal(dv_metadata_entries_add(list, &digest, text + marked + 1, hmac, NULL), 0);
}

static const char *digits(const dv_metadata_entries *list, char out[16])
{
    memset(out, 0, 16);
    for (size_t i = 0; i < list->count && i < 15; i++)
        out[i] = list->items[i].digest.text[7];
    return out;
}

static void push_limits__by_size(void **state)
{
    static const struct {
        uint64_t size;
        dv_push_limits expected;
    } rows[] = {
        {0, {1, 1, false}},
        {DAVIT_SIZE_UNKNOWN, {1, 1, false}},
        {100 << 10, {1, 1, false}},
        {(100 << 10) + 1, {3, 1, false}},
        {10 << 20, {3, 1, false}},
        {(10 << 20) + 1, {4, 3, true}},
        {UINT64_C(1) << 40, {4, 3, true}},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        dv_push_limits got = dv_push_limits_of(rows[i].size);
        print_message("%llu\n", (unsigned long long)rows[i].size);
        assert_int_equal(got.mounts, rows[i].expected.mounts);
        assert_int_equal(got.checks, rows[i].expected.checks);
        assert_int_equal(got.others, rows[i].expected.others);
    }
}

static void push_checks__table(void **state)
{
    static const struct {
        const char *known[6];
        unsigned limit;
        bool others;
        const char *asked, *expected;
    } rows[] = {
        {{NULL}, 3, true, "", ""},
        {{"1" TARGET, "2" TARGET, "3" TARGET}, 3, false, "", "321"},
        {{"1" TARGET, "2" TARGET, "3" TARGET}, 0, false, "", ""},
        {{"1" TARGET, "2" TARGET, "3" TARGET}, 1, false, "3", "2"},
        {{"1docker.io/team/b", "2" TARGET}, 3, false, "", "2"},
        {{"1docker.io/team/b", "2" TARGET}, 3, true, "", "21"},
        {{"1", "2docker.io/team/b"}, 3, false, "", "1"}, /* known without repository */
        {{"1" TARGET, "1docker.io/team/b", "2docker.io/team/b"}, 2, true, "", "12"}, /* distinct digests */
        {{"*1quay.io/x/y", "2" TARGET}, 1, true, "", "1"},                           /* ours go first */
        {{"1" TARGET}, 3, true, "1", ""},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_metadata_entries) known = {0};
        DV_AUTO(dv_metadata_entries) out = {0};
        davit_digest asked[4];
        char got[16];
        for (const char *const *k = rows[i].known; *k; k++)
            add(&known, *k);
        for (size_t j = 0; rows[i].asked[j]; j++)
            asked[j] = digest_of(rows[i].asked[j]);
        print_message("row %zu\n", i);
        assert_int_equal(dv_push_checks(&known, &target, rows[i].limit, rows[i].others, asked,
                                        strlen(rows[i].asked), &out, NULL),
                         0);
        assert_string_equal(digits(&out, got), rows[i].expected);
    }
}

static void push_mounts__table(void **state)
{
    static const struct {
        const char *known[6];
        unsigned limit;
        const char *expected;
    } rows[] = {
        {{NULL}, 4, ""},
        {{"1docker.io/team/b", "2" TARGET, "3"}, 4, "1"}, /* neither the target nor nowhere */
        {{"1quay.io/team/b", "2docker.io/x/y"}, 4, "2"},  /* the same domain only */
        {{"1team/b", "2docker.io/b", "3busybox"}, 4, ""}, /* canonical names only */
        {{"1docker.io/team/b:1", "2docker.io/team/b"}, 4, "2"},
        {{"1docker.io/x/y", "2docker.io/team/b", "3docker.io/x/z"}, 2, "23"},
        {{"1docker.io/x/y", "*2docker.io/x/z", "3docker.io/team/b"}, UINT_MAX, "231"},
        {{"1docker.io/x/y"}, 0, ""},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_metadata_entries) known = {0};
        DV_AUTO(dv_metadata_entries) out = {0};
        char got[16];
        for (const char *const *k = rows[i].known; *k; k++)
            add(&known, *k);
        print_message("row %zu\n", i);
        assert_int_equal(dv_push_mounts(&known, &target, rows[i].limit, &out, NULL), 0);
        assert_string_equal(digits(&out, got), rows[i].expected);
    }
}

static void push_is_news__unless_the_store_says_just_that(void **state)
{
    static const struct {
        const char *entry;
        bool expected;
    } rows[] = {{"*1" TARGET, false},
                {"1" TARGET, true},
                {"!1" TARGET, true},
                {"*1docker.io/team/b", true},
                {"1", true}};
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_metadata_entries) known = {0};
        add(&known, rows[i].entry);
        print_message("%s\n", rows[i].entry);
        assert_int_equal(dv_push_is_news(&known.items[0], &target), rows[i].expected);
    }
}

static void push_forgets__table(void **state)
{
    static const struct {
        const char *entry;
        bool unauthorized, has_auth_info, expected;
    } rows[] = {
        {"1docker.io/team/b", false, false, true},  {"1docker.io/team/b", true, false, false},
        {"1docker.io/team/b", true, true, true},    {"*1docker.io/team/b", false, true, true},
        {"!1docker.io/team/b", false, true, false}, {"1", false, true, false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_metadata_entries) known = {0};
        add(&known, rows[i].entry);
        print_message("row %zu\n", i);
        assert_int_equal(
            dv_push_forgets(&known.items[0], &target, rows[i].unauthorized, rows[i].has_auth_info),
            rows[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(push_limits__by_size),
        cmocka_unit_test(push_checks__table),
        cmocka_unit_test(push_mounts__table),
        cmocka_unit_test(push_is_news__unless_the_store_says_just_that),
        cmocka_unit_test(push_forgets__table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

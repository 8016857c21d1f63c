/* Unit tests of archive/archive_names.c: store.md 10, load 3; threats D1, D2. */
#include "archive/archive_names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int released;

static void count_release(void *value)
{
    (void)value;
    released++;
}

static void archive_name_clean__drops_dots_and_slashes_and_refuses_dot_dot_threat_D1(void **state)
{
    static const struct {
        const char *name, *clean; /* NULL: refused */
    } rows[] = {
        {"a", "a"},    {"./a", "a"},   {"/a", "a"},      {"///a//b/./c/", "a/b/c"},
        {".", ""},     {"./", ""},     {"", ""},         {"..a/...", "..a/..."},
        {"..", NULL},  {"../a", NULL}, {"a/../b", NULL}, {"a/..", NULL},
        {"/..", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char out[64];
        DV_AUTOPTR(davit_error) err = NULL;
        int r = dv_archive_name_clean(rows[i].name, out, &err);
        if (rows[i].clean ? r != 0 || strcmp(out, rows[i].clean) != 0 : r != DAVIT_EFORMAT)
            fail_msg("\"%s\": %d \"%s\"", rows[i].name, r, out);
    }
}

static const char *found(const dv_archive_names *names, const char *path)
{
    void *value = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    int r = dv_archive_names_find(names, path, &value, &err);
    return r < 0 ? davit_code_name(r) : value ? value : "-";
}

static void archive_names__links_lead_within_the_archive(void **state)
{
    static const struct {
        const char *name, *target;
    } links[] = {
        {"id1/layer.tar", "../aa.tar"},
        {"id2/layer.tar", "../id1/layer.tar"},
        {"abs", "/aa.tar"},
        {"out", "../../../../aa.tar"},
        {"etc", "/etc"},
        {"dir", "blobs"},
        {"deep", "dir/sha256/../x"},
        {"self", "self"},
        {"ping", "pong"},
        {"pong", "./ping"},
        {"dangling", "nowhere"},
        {"loop/a", "../loop/a/b"},
        {"empty", ""},
    };
    static const struct {
        const char *path, *value;
    } rows[] = {
        {"aa.tar", "AA"},        {"./aa.tar", "AA"},        {"/aa.tar", "AA"},
        {"../../aa.tar", "AA"}, /* the root's parent is the root */
        {"id1/layer.tar", "AA"}, {"id2/layer.tar", "AA"},   {"abs", "AA"},
        {"out", "AA"},           {"etc/passwd", "EFORMAT"}, /* it leads to itself: the root is the archive */
        {"etc", "EFORMAT"},      {"dir/sha256/x", "X"},     {"dir/x", "BX"},
        {"deep", "BX"},          {"dir/sha256/../x", "BX"}, {"self", "EFORMAT"},
        {"ping", "EFORMAT"},     {"loop/a", "EFORMAT"},     {"dangling", "-"},
        {"empty", "-"},          {"aa.tar/x", "-"},         {"", "-"},
    };
    DV_AUTOPTR(dv_archive_names) names = dv_archive_names_new(count_release);
    assert_non_null(names);
    assert_int_equal(dv_archive_names_put(names, "aa.tar", (char *)"AA", NULL), 0);
    assert_int_equal(dv_archive_names_put(names, "blobs/sha256/x", (char *)"X", NULL), 0);
    assert_int_equal(dv_archive_names_put(names, "blobs/x", (char *)"BX", NULL), 0);
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
        assert_int_equal(dv_archive_names_put_link(names, links[i].name, links[i].target, NULL), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(found(names, rows[i].path), rows[i].value) != 0)
            fail_msg("\"%s\": %s, expected %s", rows[i].path, found(names, rows[i].path), rows[i].value);
}

static void archive_names__the_last_of_equal_names_counts_and_the_others_are_released(void **state)
{
    released = 0;
    dv_archive_names *names = dv_archive_names_new(count_release);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(dv_archive_names_put(names, "same", i % 2 ? (char *)"odd" : (char *)"even", NULL), 0);
    assert_int_equal(released, 99999);
    assert_string_equal(found(names, "same"), "odd");
    assert_int_equal(dv_archive_names_put_link(names, "same", "other", NULL), 0);
    assert_int_equal(released, 100000);
    assert_int_equal(dv_archive_names_put(names, "same", NULL, NULL), 0);
    assert_string_equal(found(names, "same"), "-");
    dv_archive_names_free(names);
    assert_int_equal(released, 100000);
}

static void archive_names__their_number_and_bytes_are_limited_threat_C3(void **state)
{
    released = 0;
    DV_AUTOPTR(dv_archive_names) names = dv_archive_names_new(count_release);
    DV_AUTOPTR(dv_archive_names) links = dv_archive_names_new(count_release);
    char name[32], target[60000];
    int r = 0, count = 0;
    for (; r == 0 && count <= DV_ARCHIVE_NAMES_MAX; count++) {
        snprintf(name, sizeof(name), "%d", count);
        r = dv_archive_names_put(names, name, (char *)"x", NULL);
    }
    assert_int_equal(r, DAVIT_ETOOBIG);
    assert_int_equal(count, DV_ARCHIVE_NAMES_MAX + 1);
    assert_int_equal(released, 1); /* the one that was refused */
    memset(target, 't', sizeof(target));
    target[sizeof(target) - 1] = '\0';
    for (count = 0, r = 0; r == 0 && count < 1000; count++) {
        snprintf(name, sizeof(name), "%d", count);
        r = dv_archive_names_put_link(links, name, target, NULL);
    }
    assert_int_equal(r, DAVIT_ETOOBIG);
    assert_true((size_t)count * sizeof(target) < 2 * DV_ARCHIVE_NAMES_BYTES_MAX);
}

static int append_name(void *user, const char *name, void *value)
{
    strcat(user, name);
    strcat(user, strcmp(value, "stop") == 0 ? "." : " ");
    return strcmp(value, "stop") == 0;
}

static void archive_names_walk__visits_what_has_a_value_in_order(void **state)
{
    char text[64] = "";
    DV_AUTOPTR(dv_archive_names) names = dv_archive_names_new(count_release);
    assert_int_equal(dv_archive_names_put(names, "z", (char *)"1", NULL), 0);
    assert_int_equal(dv_archive_names_put(names, "gone", NULL, NULL), 0);
    assert_int_equal(dv_archive_names_put_link(names, "link", "z", NULL), 0);
    assert_int_equal(dv_archive_names_put(names, "a", (char *)"2", NULL), 0);
    assert_int_equal(dv_archive_names_put(names, "m", (char *)"stop", NULL), 0);
    assert_int_equal(dv_archive_names_put(names, "b", (char *)"3", NULL), 0);
    assert_int_equal(dv_archive_names_walk(names, append_name, text), 1);
    assert_string_equal(text, "z a m.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(archive_name_clean__drops_dots_and_slashes_and_refuses_dot_dot_threat_D1),
        cmocka_unit_test(archive_names__links_lead_within_the_archive),
        cmocka_unit_test(archive_names__the_last_of_equal_names_counts_and_the_others_are_released),
        cmocka_unit_test(archive_names__their_number_and_bytes_are_limited_threat_C3),
        cmocka_unit_test(archive_names_walk__visits_what_has_a_value_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

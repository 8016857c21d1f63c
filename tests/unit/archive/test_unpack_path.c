/* Unit tests of archive/unpack_path.c, archive/unpack_marks.c and archive/xattr_policy.c: what unpacking decides without a file system. */
#include "archive/unpack_marks.h"
#include "archive/unpack_path.h"
#include "archive/xattr_policy.h"
#include "util/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void unpack_path__names_become_components(void **state)
{
    static const struct {
        const char *name, *expected; /* NULL: ".." */
        size_t base;
    } rows[] = {
        {"a", "a", 0},
        {"a/b", "a/b", 2},
        {"./a", "a", 0},
        {"/a", "a", 0},
        {"//a//b//", "a/b", 2},
        {"a/", "a", 0},
        {"a/./b/.", "a/b", 2},
        {"", "", 0},
        {".", "", 0},
        {"/", "", 0},
        {"././/", "", 0},
        {"...", "...", 0},
        {"..a/b..", "..a/b..", 4},
        {".wh.x", ".wh.x", 0},
        {"..", NULL, 0},
        {"../x", NULL, 0},
        {"a/..", NULL, 0},
        {"a/../b", NULL, 0},
        {"/../x", NULL, 0},
        {"a/b/../../../x", NULL, 0},
        {"./..", NULL, 0},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        dv_unpack_path p;
        int r = dv_unpack_path_clean(rows[i].name, &p);
        if (r != (rows[i].expected ? 0 : DAVIT_EFORMAT))
            fail_msg("\"%s\" gives %d", rows[i].name, r);
        if (r == 0 &&
            (strcmp(p.text, rows[i].expected) != 0 || p.base != rows[i].base || p.size != strlen(p.text)))
            fail_msg("\"%s\" gives \"%s\", base %zu", rows[i].name, p.text, p.base);
    }
}

static void unpack_path__too_long_is_refused_exactly_there(void **state)
{
    char name[2 * DV_UNPACK_PATH_MAX];
    dv_unpack_path p;
    memset(name, 'x', sizeof(name));
    name[DV_UNPACK_COMPONENT_MAX] = '\0';
    assert_int_equal(dv_unpack_path_clean(name, &p), 0);
    name[DV_UNPACK_COMPONENT_MAX] = 'x';
    name[DV_UNPACK_COMPONENT_MAX + 1] = '\0';
    assert_int_equal(dv_unpack_path_clean(name, &p), DAVIT_ETOOBIG);
    for (size_t i = 0; i < sizeof(name); i++)
        name[i] = i % 2 ? '/' : 'd';
    name[DV_UNPACK_PATH_MAX - 1] = '\0';
    assert_int_equal(dv_unpack_path_clean(name, &p), 0);
    assert_int_equal(p.size, DV_UNPACK_PATH_MAX - 2);
    name[DV_UNPACK_PATH_MAX - 1] = 'd';
    name[DV_UNPACK_PATH_MAX + 2] = '\0';
    assert_int_equal(dv_unpack_path_clean(name, &p), DAVIT_ETOOBIG);
    memset(name, '/', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_int_equal(dv_unpack_path_clean(name, &p), 0);
    assert_int_equal(p.size, 0);
}

static void marks__hold_what_was_put_in_and_nothing_else(void **state)
{
    dv_unpack_marks m;
    char name[32];
    dv_unpack_marks_init(&m);
    assert_int_equal(dv_unpack_marks_add(&m, 1, "a", NULL), 0);
    assert_false(dv_unpack_marks_has(&m, 1, "a")); /* the lowest layer records nothing */
    dv_unpack_marks_begin(&m, true);
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        assert_int_equal(dv_unpack_marks_add(&m, i % 7, name, NULL), 0);
        assert_int_equal(dv_unpack_marks_add(&m, i % 7, name, NULL), 0);
    }
    assert_int_equal(m.count, 20000);
    for (unsigned i = 0; i < 20000; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        assert_true(dv_unpack_marks_has(&m, i % 7, name));
        assert_false(dv_unpack_marks_has(&m, i % 7 + 1, name));
    }
    assert_false(dv_unpack_marks_has(&m, 3, NULL));
    assert_int_equal(dv_unpack_marks_add(&m, 3, NULL, NULL), 0);
    assert_true(dv_unpack_marks_has(&m, 3, NULL));
    dv_unpack_marks_begin(&m, true);
    assert_false(dv_unpack_marks_has(&m, 3, NULL));
    dv_unpack_marks_clear(&m);
}

static void marks__have_a_ceiling(void **state)
{
    dv_unpack_marks m;
    DV_AUTOPTR(davit_error) err = NULL;
    dv_unpack_marks_init(&m);
    dv_unpack_marks_begin(&m, true);
    int r = 0;
    uint64_t i = 0;
    for (; r == 0; i++)
        r = dv_unpack_marks_add(&m, i, "", &err);
    assert_int_equal(r, DAVIT_ETOOBIG);
    assert_true(i > DV_UNPACK_MARKS_MAX);
    assert_true(m.capacity * sizeof(*m.slots) <= 32u << 20);
    dv_unpack_marks_clear(&m);
}

static void xattr_policy__d7_what_is_kept(void **state)
{
    static const char *const asked[] = {"security.selinux", "trusted.x", "user.overlay.opaque",
                                        "vendor.*",         "*",         NULL};
    static const struct {
        const char *name;
        bool kept, kept_when_asked;
    } rows[] = {
        {"user.mime_type", true, true},
        {"security.capability", true, true},
        {"security.selinux", false, true},
        {"security.ima", false, true},
        {"vendor.x", false, true},
        {"trusted.x", false, false},
        {"trusted.overlay.opaque", false, false},
        {"user.overlay.opaque", false, false},
        {"user.overlay.", false, false},
        {"user.rootlesscontainers", false, false},
        {"user.rootlesscontainersx", true, true},
        {"system.posix_acl_access", false, false},
        {"User.x", false, true},
        {"", false, true},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        if (dv_xattr_is_kept(rows[i].name, NULL) != rows[i].kept)
            fail_msg("%s", rows[i].name);
        if (dv_xattr_is_kept(rows[i].name, asked) != rows[i].kept_when_asked)
            fail_msg("%s, asked for", rows[i].name);
    }
    assert_false(dv_xattr_is_kept("security.ima", (const char *const[]){"security.selinux", NULL}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unpack_path__names_become_components),
        cmocka_unit_test(unpack_path__too_long_is_refused_exactly_there),
        cmocka_unit_test(marks__hold_what_was_put_in_and_nothing_else),
        cmocka_unit_test(marks__have_a_ceiling),
        cmocka_unit_test(xattr_policy__d7_what_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

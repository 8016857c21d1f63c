/* Unit tests of archive/whiteout.c: store.md 9.2 rows 3 to 5, threat D5. */
#include "archive/whiteout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void whiteout_classify__by_name(void **state)
{
    static const struct {
        const char *name;
        dv_whiteout kind;
        const char *rest;
    } rows[] = {
        {"a", DV_WHITEOUT_NONE, NULL},
        {"", DV_WHITEOUT_NONE, NULL},
        {".wh", DV_WHITEOUT_NONE, NULL},
        {".whx.", DV_WHITEOUT_NONE, NULL},
        {"a.wh.b", DV_WHITEOUT_NONE, NULL},
        {".WH.a", DV_WHITEOUT_NONE, NULL},
        {".wh.a", DV_WHITEOUT_REMOVE, "a"},
        {".wh. ", DV_WHITEOUT_REMOVE, " "},
        {".wh....", DV_WHITEOUT_REMOVE, "..."},
        {".wh..a", DV_WHITEOUT_REMOVE, ".a"},
        {".wh..wh", DV_WHITEOUT_REMOVE, ".wh"},
        {".wh.a.wh.b", DV_WHITEOUT_REMOVE, "a.wh.b"},
        {".wh..wh..opq", DV_WHITEOUT_OPAQUE, NULL},
        {".wh..wh..opq2", DV_WHITEOUT_IGNORE, NULL},
        {".wh..wh..op", DV_WHITEOUT_IGNORE, NULL},
        {".wh..wh.plnk", DV_WHITEOUT_IGNORE, NULL},
        {".wh..wh.aufs", DV_WHITEOUT_IGNORE, NULL},
        {".wh..wh.orph", DV_WHITEOUT_IGNORE, NULL},
        {".wh..wh.", DV_WHITEOUT_IGNORE, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        dv_whiteout kind = DV_WHITEOUT_IGNORE;
        const char *rest = "untouched";
        assert_int_equal(dv_whiteout_classify(rows[i].name, &kind, &rest, NULL), 0);
        if (kind != rows[i].kind || (rest == NULL) != (rows[i].rest == NULL) ||
            (rest && strcmp(rest, rows[i].rest) != 0))
            fail_msg("\"%s\" is %d, \"%s\"", rows[i].name, kind, rest ? rest : "");
    }
}

static void whiteout_classify__of_nothing_itself_or_the_parent_is_refused_threat_D5(void **state)
{
    static const char *const rows[] = {".wh.", ".wh..", ".wh..."};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        dv_whiteout kind = DV_WHITEOUT_NONE;
        const char *rest = "untouched";
        DV_AUTOPTR(davit_error) err = NULL;
        assert_int_equal(dv_whiteout_classify(rows[i], &kind, &rest, &err), DAVIT_EFORMAT);
        assert_non_null(strstr(davit_error_message(err), rows[i]));
        assert_int_equal(kind, DV_WHITEOUT_NONE);
        assert_string_equal(rest, "untouched");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whiteout_classify__by_name),
        cmocka_unit_test(whiteout_classify__of_nothing_itself_or_the_parent_is_refused_threat_D5),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

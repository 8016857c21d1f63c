/* Unit tests of oci/artifact_title.c: threats B2. */
#include "oci/artifact_title.h"

#include "util/buf.h"
#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void artifact_title__names_a_file_below_or_is_refused(void **state)
{
    static const struct {
        const char *title, *words; /* NULL: fine */
    } rows[] = {
        {"a.txt", NULL},
        {"dir/sub/a b.txt", NULL},
        {"..a/b..", NULL},
        {"...", NULL},
        {".hidden", NULL},
        {"\xc3\xa4.txt", NULL},
        {"back\\slash", NULL},
        {"", "it is empty"},
        {"/etc/passwd", "it is absolute"},
        {"/", "it is absolute"},
        {".", "it has . or .."},
        {"..", "it has . or .."},
        {"../a", "it has . or .."},
        {"a/../b", "it has . or .."},
        {"a/..", "it has . or .."},
        {"./a", "it has . or .."},
        {"a/./b", "it has . or .."},
        {"a//b", "an empty part"},
        {"a/", "an empty part"},
        {"a\nb", "\"a\\x0Ab\" cannot name a file: it holds control characters"},
        {"a\x7f", "control characters"},
        {"\x1b[2J", "control characters"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        int r = dv_artifact_title_check(rows[i].title, &err);
        if (r != (rows[i].words ? DAVIT_EFORMAT : 0) ||
            (rows[i].words && !strstr(davit_error_message(err), rows[i].words)))
            fail_msg("%s: expected %s, got %s", rows[i].title, rows[i].words ? rows[i].words : "success",
                     davit_error_message(err));
    }
}

static void artifact_title__lengths(void **state)
{
    static const struct {
        size_t component, count;
        int code;
    } rows[] = {
        {DV_TITLE_COMPONENT_MAX, 1, 0},
        {DV_TITLE_COMPONENT_MAX + 1, 1, DAVIT_EFORMAT},
        {99, DV_TITLE_MAX / 100, 0},
        {99, DV_TITLE_MAX / 100 + 1, DAVIT_EFORMAT},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) title = DV_BUF_INIT(2 * DV_TITLE_MAX);
        for (size_t k = 0; k < rows[i].count; k++) {
            if (k > 0)
                dv_buf_putc(&title, '/');
            for (size_t n = 0; n < rows[i].component; n++)
                dv_buf_putc(&title, 'x');
        }
        if (dv_artifact_title_check(dv_buf_text(&title), NULL) != rows[i].code)
            fail_msg("%zu times %zu: expected %d", rows[i].count, rows[i].component, rows[i].code);
    }
}

static void artifact_title__of_a_path(void **state)
{
    static const struct {
        const char *path, *title; /* NULL: refused */
    } rows[] = {
        {"a.txt", "a.txt"},
        {"dir/a.txt", "dir/a.txt"},
        {"./dir/a.txt", "dir/a.txt"},
        {".//./a.txt", "a.txt"},
        {"/tmp/x/a.txt", "a.txt"},
        {"../a.txt", "a.txt"},
        {"dir/../a.txt", "a.txt"},
        {"dir//a.txt", "a.txt"},
        {"/", NULL},
        {"..", NULL},
        {"dir/", NULL},
        {".", NULL},
        {"a\nb", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOFREE char *title = NULL;
        int r = dv_artifact_title_of_path(rows[i].path, &title, NULL);
        if (r != (rows[i].title ? 0 : DAVIT_EINVAL) || !dv_str_equal(title, rows[i].title))
            fail_msg("%s: expected %s, got %d %s", rows[i].path, rows[i].title ? rows[i].title : "refusal", r,
                     title ? title : "nothing");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(artifact_title__names_a_file_below_or_is_refused),
        cmocka_unit_test(artifact_title__lengths),
        cmocka_unit_test(artifact_title__of_a_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

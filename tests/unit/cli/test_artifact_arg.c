/* Unit tests of cli/artifact_arg.c. */
#include "cli/artifact_arg.h"

#include "util/file.h"
#include "util/str.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void artifact_args__a_type_stands_behind_the_last_colon(void **state)
{
    static const struct {
        const char *text, *path, *type;
    } rows[] = {
        {"a.txt", "a.txt", NULL},
        {"a.txt:text/plain", "a.txt", "text/plain"},
        {"dir/a:b:text/plain", "dir/a:b", "text/plain"},
        {"a.txt:text", "a.txt", "text"},
        {"a.txt:", "a.txt", ""},
        {":text/plain", ":text/plain", NULL},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_artifact_args) a = DV_ARTIFACT_ARGS_INIT;
        char *text = (char *)rows[i].text;
        assert_int_equal(dv_artifact_args_parse(&text, 1, &(dv_texts){NULL, 0}, &a, NULL), 0);
        assert_int_equal(a.file_count, 1);
        if (!dv_str_equal(a.files[0].path, rows[i].path) || !dv_str_equal(a.files[0].media_type, rows[i].type))
            fail_msg("%s: expected %s and %s, got %s and %s", rows[i].text, rows[i].path,
                     rows[i].type ? rows[i].type : "no type", a.files[0].path,
                     a.files[0].media_type ? a.files[0].media_type : "no type");
    }
}

static void artifact_args__a_file_of_the_whole_name_is_meant(void **state)
{
    DV_AUTO(dv_artifact_args) a = DV_ARTIFACT_ARGS_INIT;
    char directory[] = "/tmp/davit-test-XXXXXX", path[64];
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof(path), "%s/a:text", directory);
    DV_AUTOCLOSE fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    char *text = path;
    assert_int_equal(dv_artifact_args_parse(&text, 1, &(dv_texts){NULL, 0}, &a, NULL), 0);
    unlink(path);
    rmdir(directory);
    assert_string_equal(a.files[0].path, path);
    assert_null(a.files[0].media_type);
}

static void artifact_args__annotations(void **state)
{
    static const struct {
        const char *text, *key, *value; /* key NULL: refused */
    } rows[] = {
        {"k=v", "k", "v"}, {"k=", "k", ""},    {"k=v=w", "k", "v=w"},
        {"k", NULL, NULL}, {"=v", NULL, NULL}, {"", NULL, NULL},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_artifact_args) a = DV_ARTIFACT_ARGS_INIT;
        const char *text = rows[i].text;
        int r = dv_artifact_args_parse(NULL, 0, &(dv_texts){&text, 1}, &a, NULL);
        if (r != (rows[i].key ? 0 : DAVIT_EINVAL) ||
            (r == 0 && (!dv_str_equal(a.annotations[0].key, rows[i].key) ||
                        !dv_str_equal(a.annotations[0].value, rows[i].value))))
            fail_msg("%s: got %d", rows[i].text, r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(artifact_args__a_type_stands_behind_the_last_colon),
        cmocka_unit_test(artifact_args__a_file_of_the_whole_name_is_meant),
        cmocka_unit_test(artifact_args__annotations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

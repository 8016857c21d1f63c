/* Unit tests of util/error.c. */
#include "util/error.h"

#include "util/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <string.h>

#include <cmocka.h>

static void error_set__replaces_and_returns_the_code(void **state)
{
    DV_AUTOPTR(davit_error) err = NULL;
    assert_int_equal(dv_error_set(&err, DAVIT_EFORMAT, "bad %d", 1), DAVIT_EFORMAT);
    assert_int_equal(dv_error_set(&err, DAVIT_EINVAL, "worse %s", "x"), DAVIT_EINVAL);
    assert_int_equal(davit_error_code(err), DAVIT_EINVAL);
    assert_string_equal(davit_error_message(err), "worse x");
    assert_int_equal(davit_error_http_status(err), 0);
    assert_null(davit_error_registry_code(err));
    assert_int_equal(err->retry_after_s, -1);
    assert_int_equal(dv_error_set(NULL, DAVIT_EINVAL, "nobody listens"), DAVIT_EINVAL);
}

static void error_set__of_an_embedder_takes_any_text(void **state)
{
    DV_AUTOPTR(davit_error) err = NULL;
    dv_error_set(&err, DAVIT_EINVAL, "before");
    assert_int_equal(davit_error_set(&err, -1234, "50%s of it"), -1234);
    assert_int_equal(davit_error_code(err), -1234);
    assert_string_equal(davit_error_message(err), "50%s of it");
    assert_int_equal(davit_error_set(NULL, DAVIT_EIO, "nobody listens"), DAVIT_EIO);
}

static void error_wrap__keeps_the_particulars(void **state)
{
    DV_AUTOPTR(davit_error) err = NULL;
    dv_error_set(&err, DAVIT_ENOTFOUND, "inner");
    err->kind = DV_ERROR_REGISTRY_FULL;
    err->http_status = 404;
    strcpy(err->registry_code, "BLOB_UNKNOWN");
    assert_int_equal(dv_error_wrap(&err, DAVIT_ENOTFOUND, "outer %d", 2), DAVIT_ENOTFOUND);
    assert_string_equal(davit_error_message(err), "outer 2: inner");
    assert_int_equal(davit_error_http_status(err), 404);
    assert_string_equal(davit_error_registry_code(err), "BLOB_UNKNOWN");
    assert_int_equal(err->kind, DV_ERROR_REGISTRY_FULL);
    assert_int_equal(dv_error_wrap(NULL, DAVIT_EIO, "x"), DAVIT_EIO);
    davit_error *none = NULL;
    assert_int_equal(dv_error_wrap(&none, DAVIT_EIO, "x"), DAVIT_EIO);
    assert_null(none);
}

static void error_oom__is_static_and_can_be_passed_around(void **state)
{
    DV_AUTOPTR(davit_error) err = NULL;
    dv_error_set(&err, DAVIT_EIO, "before");
    assert_int_equal(dv_error_oom(&err), DAVIT_ENOMEM);
    assert_int_equal(dv_error_wrap(&err, DAVIT_ENOMEM, "not added"), DAVIT_ENOMEM);
    assert_string_equal(davit_error_message(err), "out of memory");
    DV_AUTOPTR(davit_error) copy = dv_error_copy(err);
    assert_ptr_equal(copy, err);
    assert_int_equal(dv_error_oom(NULL), DAVIT_ENOMEM);
}

static void error_file__full_disks_are_told_apart(void **state)
{
    static const struct {
        int errnum, code;
        bool final;
    } rows[] = {
        {ENOSPC, DAVIT_ENOSPACE, true},
        {EDQUOT, DAVIT_ENOSPACE, true},
        {EACCES, DAVIT_EIO, false},
        {ENOMEM, DAVIT_ENOMEM, false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_error) err = NULL;
        DV_AUTO(dv_buf) expected = DV_BUF_INIT(1000);
        dv_buf_printf(&expected, "cannot write x: %s", strerror(rows[i].errnum));
        assert_int_equal(dv_error_file(&err, rows[i].errnum, "cannot write %s", "x"), rows[i].code);
        assert_string_equal(davit_error_message(err), dv_buf_text(&expected));
        assert_int_equal(err->final, rows[i].final);
        assert_int_equal(dv_error_file(NULL, rows[i].errnum, "x"), rows[i].code);
    }
}

static void error_move__hands_over_or_releases(void **state)
{
    davit_error *from = NULL, *to = NULL;
    dv_error_set(&from, DAVIT_EIO, "x");
    assert_int_equal(dv_error_move(&to, &from, DAVIT_EIO), DAVIT_EIO);
    assert_null(from);
    assert_string_equal(davit_error_message(to), "x");
    davit_error *copy = dv_error_copy(to);
    assert_ptr_not_equal(copy, to);
    assert_string_equal(davit_error_message(copy), "x");
    dv_error_move(NULL, &to, DAVIT_EIO);
    assert_null(to);
    davit_error_free(copy);
    assert_null(dv_error_copy(NULL));
}

static void error_more__stays_through_wrapping_and_copying(void **state)
{
    davit_error *err = NULL;
    size_t size = 0;
    assert_null(dv_error_more(NULL, &size));
    dv_error_set(&err, DAVIT_EIO, "x");
    assert_null(dv_error_more(err, &size));
    assert_int_equal(dv_error_set_more(&err, "a\0bc", 5), DAVIT_EIO);
    dv_error_wrap(&err, DAVIT_EIO, "a long text before");
    davit_error *copy = dv_error_copy(err);
    davit_error_free(err);
    assert_string_equal(davit_error_message(copy), "a long text before: x");
    assert_memory_equal(dv_error_more(copy, &size), "a\0bc", 5);
    assert_int_equal(size, 5);
    dv_error_set(&copy, DAVIT_EIO, "another");
    assert_null(dv_error_more(copy, &size));
    davit_error_free(copy);
    assert_int_equal(dv_error_set_more(NULL, "a", 1), 0);
}

static void error_accessors__take_null(void **state)
{
    assert_string_equal(davit_error_message(NULL), "no error");
    assert_int_equal(davit_error_code(NULL), 0);
    assert_int_equal(davit_error_http_status(NULL), 0);
    assert_null(davit_error_registry_code(NULL));
    davit_error_free(NULL);
}

static void code__names_and_texts(void **state)
{
    assert_string_equal(davit_code_name(0), "OK");
    assert_string_equal(davit_code_name(DAVIT_EINVAL), "EINVAL");
    assert_string_equal(davit_code_name(DAVIT_EFORBIDDEN), "EFORBIDDEN");
    assert_string_equal(davit_code_name(-999), "EUNKNOWN");
    assert_string_equal(davit_code_text(DAVIT_ENOSPACE), "no space left");
    assert_string_equal(davit_code_text(1), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_set__replaces_and_returns_the_code),
        cmocka_unit_test(error_set__of_an_embedder_takes_any_text),
        cmocka_unit_test(error_wrap__keeps_the_particulars),
        cmocka_unit_test(error_oom__is_static_and_can_be_passed_around),
        cmocka_unit_test(error_file__full_disks_are_told_apart),
        cmocka_unit_test(error_move__hands_over_or_releases),
        cmocka_unit_test(error_more__stays_through_wrapping_and_copying),
        cmocka_unit_test(error_accessors__take_null),
        cmocka_unit_test(code__names_and_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of net/header.c. */
#include "net/header.h"

#include "davit/common.h"
#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void headers__names_are_case_insensitive_and_repeat(void **state)
{
    DV_AUTO(dv_headers) h = DV_HEADERS_INIT, copy = DV_HEADERS_INIT;
    assert_int_equal(dv_headers_add(&h, "Link", " a ", 0, NULL), 0);
    assert_int_equal(dv_headers_add(&h, "X", "x", 0, NULL), 0);
    assert_int_equal(dv_headers_add(&h, "LINK", "b\tc\t", DV_HEADER_ORIGIN_ONLY | DV_HEADER_SECRET, NULL), 0);
    assert_int_equal(dv_headers_copy(&h, &copy, NULL), 0);
    assert_string_equal(dv_headers_get(&copy, "link"), "a");
    assert_string_equal(dv_headers_get_nth(&copy, "link", 1), "b\tc");
    assert_null(dv_headers_get_nth(&copy, "link", 2));
    assert_null(dv_headers_get(&copy, "lin"));
    assert_true(copy.items[2].origin_only && copy.items[2].secret && !copy.items[0].secret);
}

/* threat A10 */
static void headers_add__refuses_control_bytes_and_bad_names(void **state)
{
    static const struct {
        const char *name, *value;
    } rows[] = {
        {"A", "x\r\nB: y"}, {"A", "x\n"}, {"A", "\r"}, {"A", "\x01"},  {"A", "x\x7f"},
        {"", "x"},          {"A B", "x"}, {"A:", "x"}, {"A\r\n", "x"}, {"\xc3\xa4", "x"},
    };
    DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        if (dv_headers_add(&h, rows[i].name, rows[i].value, 0, NULL) != DAVIT_EINVAL || h.count != 0)
            fail_msg("row %zu was taken", i);
}

static void header_retry_after__seconds_and_dates(void **state)
{
    static const struct {
        const char *value;
        int64_t expected;
    } rows[] = {
        {NULL, -1},
        {"", -1},
        {"0", 0},
        {"120", 120},
        {"99999999999999999999", INT32_MAX},
        {"-1", -1},
        {"1.5", -1},
        {"soon", -1},
        {"1 s", -1},
        {"Wed, 21 Oct 2015 07:28:00 GMT", 60}, /* now is 07:27:00 */
        {"Wed, 21 Oct 2015 07:20:00 GMT", 0},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
        if (rows[i].value)
            assert_int_equal(dv_headers_add(&h, "retry-after", rows[i].value, 0, NULL), 0);
        int64_t got = dv_header_retry_after_s(&h, 1445412420);
        if (got != rows[i].expected)
            fail_msg("\"%s\": expected %lld, got %lld", rows[i].value ? rows[i].value : "(none)",
                     (long long)rows[i].expected, (long long)got);
    }
}

static void header_content_range__values(void **state)
{
    static const struct {
        const char *value;
        uint64_t first, last, total;
    } rows[] = {
        {"bytes 0-9/10", 0, 9, 10},
        {"bytes 5-9/10", 5, 9, 10},
        {"Bytes 5-5/100", 5, 5, 100},
        {"bytes 5-9/*", 5, 9, DAVIT_SIZE_UNKNOWN},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
        uint64_t first, last, total;
        assert_int_equal(dv_headers_add(&h, "Content-Range", rows[i].value, 0, NULL), 0);
        if (dv_header_content_range(&h, &first, &last, &total, NULL) < 0 || first != rows[i].first ||
            last != rows[i].last || total != rows[i].total)
            fail_msg("%s", rows[i].value);
    }
}

static void header_content_range__texts(void **state)
{
    static const char *const bad[] = {"bytes */10",
                                      "bytes 9-5/10",
                                      "bytes 0-10/10",
                                      "5-9/10",
                                      "bytes 0-9",
                                      "bytes 0-9/10x",
                                      "bytes 0-9/",
                                      "bytes -9/10",
                                      "items 0-9/10",
                                      "bytes 0-18446744073709551615/*",
                                      "bytes 0-99999999999999999999/*"};
    DV_AUTO(dv_headers) none = DV_HEADERS_INIT;
    uint64_t a, b, c;
    DV_AUTOPTR(davit_error) err = NULL;
    assert_int_equal(dv_header_content_range(&none, &a, &b, &c, &err), DAVIT_EPROTOCOL);
    assert_string_equal(davit_error_message(err), "no Content-Range header found in HTTP 206 response");
    for (size_t i = 0; i < DV_COUNT(bad); i++) {
        DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
        char expected[200];
        assert_int_equal(dv_headers_add(&h, "Content-Range", bad[i], 0, NULL), 0);
        if (dv_header_content_range(&h, &a, &b, &c, &err) != DAVIT_EPROTOCOL)
            fail_msg("%s was taken", bad[i]);
        snprintf(expected, sizeof(expected), "could not parse Content-Range header: %s", bad[i]);
        assert_string_equal(davit_error_message(err), expected);
    }
}

static void header_media_type__without_parameters(void **state)
{
    static const struct {
        const char *value, *expected; /* NULL: refused */
    } rows[] = {
        {NULL, NULL},
        {"", NULL},
        {"application/json", "application/json"},
        {"Application/JSON; charset=utf-8", "application/json"},
        {"application/json ;x", "application/json"},
        {"text/", NULL},
        {"/json", NULL},
        {"json", NULL},
        {"application/json x", NULL},
        {"application/json,text/plain", NULL},
        {"application/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char out[40] = "";
        bool ok = dv_header_media_type(rows[i].value, out, sizeof(out));
        if (ok != (rows[i].expected != NULL) || (ok && strcmp(out, rows[i].expected) != 0))
            fail_msg("\"%s\": got \"%s\"", rows[i].value ? rows[i].value : "(none)", out);
    }
}

static void header_link_next__first_that_is_next(void **state)
{
    static const struct {
        const char *a, *b, *expected;
    } rows[] = {
        {NULL, NULL, NULL},
        {"</v2/x/tags/list?n=2&last=b>; rel=\"next\"", NULL, "/v2/x/tags/list?n=2&last=b"},
        {"</a>; rel=next", NULL, "/a"},
        {"</a>;rel=NEXT;x=y", NULL, "/a"},
        {"</a>", NULL, "/a"},
        {"</a>; title=\"x, y; rel=prev\"", NULL, "/a"},
        {"</a>; rel=prev", NULL, NULL},
        {"</a>; rel=\"prev\", </b>; rel=\"next\"", NULL, "/b"},
        {"</a>; rel=\"last next\"", NULL, "/a"},
        {"</a>; rel=\"nextish\"", NULL, NULL},
        {"</a,b>; rel=next", NULL, "/a,b"},
        {"</a>; rel=prev", "</c>; rel=next", "/c"},
        {"</a", NULL, NULL},
        {"/a; rel=next", NULL, NULL},
        {"</a>; rel=\"next", NULL, "/a"},
        {"", "<>", ""},
        {"</a>; rel=prev; rel=next", NULL, NULL}, /* only the first counts, RFC 8288 3.3 */
        {"</a>; =; rel=next", NULL, "/a"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
        if (rows[i].a)
            assert_int_equal(dv_headers_add(&h, "Link", rows[i].a, 0, NULL), 0);
        if (rows[i].b)
            assert_int_equal(dv_headers_add(&h, "Link", rows[i].b, 0, NULL), 0);
        DV_AUTOFREE char *got = dv_header_link_next(&h);
        if (!dv_str_equal(got, rows[i].expected))
            fail_msg("\"%s\": got %s", rows[i].a ? rows[i].a : "", got ? got : "nothing");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers__names_are_case_insensitive_and_repeat),
        cmocka_unit_test(headers_add__refuses_control_bytes_and_bad_names),
        cmocka_unit_test(header_retry_after__seconds_and_dates),
        cmocka_unit_test(header_content_range__values),
        cmocka_unit_test(header_content_range__texts),
        cmocka_unit_test(header_media_type__without_parameters),
        cmocka_unit_test(header_link_next__first_that_is_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

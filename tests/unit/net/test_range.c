/* Unit tests of net/range.c: registry-v2.md 5, DESIGN section 5. */
#include "net/range.h"

#include "davit/common.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ANY DAVIT_SIZE_UNKNOWN

static void range_format__with_and_without_an_end(void **state)
{
    static const struct {
        uint64_t first, last;
        const char *expected;
    } rows[] = {
        {0, ANY, "bytes=0-"},
        {1000, ANY, "bytes=1000-"},
        {0, 0, "bytes=0-0"},
        {5, 9, "bytes=5-9"},
        {UINT64_MAX - 2, UINT64_MAX - 1, "bytes=18446744073709551613-18446744073709551614"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) out = DV_BUF_INIT(64);
        dv_range_format(rows[i].first, rows[i].last, &out);
        assert_string_equal(dv_buf_text(&out), rows[i].expected);
    }
}

typedef struct row {
    bool asked;
    uint64_t first, last, size;
    int status;
    const char *content_range;
    dv_range_answer expected;
    const char *error; /* the specification's text; NULL: an answer */
} row;

static void check_row(size_t i, const row *r)
{
    DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    dv_range_answer got = DV_RANGE_OTHER;
    if (r->content_range)
        assert_int_equal(dv_headers_add(&h, "content-range", r->content_range, 0, NULL), 0);
    int code = dv_range_classify(r->asked, r->first, r->last, r->size, r->status, &h, &got, &err);
    const char *message = code < 0 ? davit_error_message(err) : "(no error)";
    if (r->error ? code != DAVIT_EPROTOCOL || strcmp(message, r->error) != 0 : code != 0 || got != r->expected)
        fail_msg("row %zu (%d, %s): expected %d %s, got %d %s %s", i, r->status,
                 r->content_range ? r->content_range : "no Content-Range", r->expected,
                 r->error ? r->error : "", got, davit_code_name(code), message);
}

static void range_classify__what_an_answer_is(void **state)
{
    static const row rows[] = {
        {false, 0, ANY, 100, 200, NULL, DV_RANGE_WHOLE, NULL},
        {false, 0, ANY, 100, 203, NULL, DV_RANGE_WHOLE, NULL},
        {true, 10, ANY, 100, 200, NULL, DV_RANGE_WHOLE, NULL}, /* Range ignored */
        {true, 10, ANY, 100, 206, "bytes 10-99/100", DV_RANGE_PART, NULL},
        {true, 10, ANY, 100, 206, "bytes 10-99/*", DV_RANGE_PART, NULL},
        {true, 10, ANY, ANY, 206, "bytes 10-99/100", DV_RANGE_PART, NULL},
        {true, 10, 19, 100, 206, "bytes 10-19/100", DV_RANGE_PART, NULL},
        {true, 10, 19, 100, 206, "bytes 10-19/*", DV_RANGE_PART, NULL},
        {true, 0, 0, 1, 206, "bytes 0-0/1", DV_RANGE_PART, NULL},
        {true, 10, ANY, 100, 416, NULL, DV_RANGE_REFUSED, NULL},
        {true, 10, ANY, 100, 416, "bytes */100", DV_RANGE_REFUSED, NULL},
        {true, 10, ANY, 100, 400, NULL, DV_RANGE_REFUSED, NULL}, /* quirks.md: registry.k8s.io */
        {false, 0, ANY, 100, 400, NULL, DV_RANGE_OTHER, NULL},
        {true, 10, ANY, 100, 404, NULL, DV_RANGE_OTHER, NULL},
        {true, 10, ANY, 100, 500, NULL, DV_RANGE_OTHER, NULL},
        {true, 10, ANY, 100, 100, NULL, DV_RANGE_OTHER, NULL},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        check_row(i, &rows[i]);
}

/* threat B6; quirks.md: a 206 must be what was asked for */
static void range_classify__a_wrong_206_is_refused_with_the_specified_text(void **state)
{
    static const row rows[] = {
        {true, 10, ANY, 100, 206, NULL, 0, "no Content-Range header found in HTTP 206 response"},
        {true, 10, ANY, 100, 206, "10-99/100", 0, "could not parse Content-Range header: 10-99/100"},
        {true, 10, ANY, 100, 206, "bytes 10-/100", 0, "could not parse Content-Range header: bytes 10-/100"},
        {true, 10, ANY, 100, 206, "bytes 0-99/100", 0,
         "received Content-Range starting at offset 0 instead of requested 10"},
        {true, 10, ANY, 100, 206, "bytes 11-99/100", 0,
         "received Content-Range starting at offset 11 instead of requested 10"},
        {true, 10, ANY, 100, 206, "bytes 10-50/100", 0,
         "range in Content-Range stops before the end of the content: bytes 10-50/100"},
        {true, 10, 19, 100, 206, "bytes 10-18/100", 0,
         "range in Content-Range stops before the end of the content: bytes 10-18/100"},
        {true, 10, 19, 100, 206, "bytes 10-20/100", 0,
         "range in Content-Range stops before the end of the content: bytes 10-20/100"},
        {true, 10, ANY, 100, 206, "bytes 10-199/200", 0,
         "Content-Range of another size than 100: bytes 10-199/200"},
        {false, 0, ANY, 100, 206, "bytes 0-99/100", 0, "HTTP 206 though no range was asked for"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        check_row(i, &rows[i]);
}

#define MIB ((uint64_t)1 << 20)

static void range_connections__as_many_as_pay(void **state)
{
    static const struct {
        uint64_t left, rate;
        bool busy;
        unsigned max, expected;
    } rows[] = {
        {1024 * MIB, 20 * MIB, false, UINT32_MAX, 6},
        {1024 * MIB, 20 * MIB, false, 3, 3},
        {1024 * MIB, 20 * MIB, false, 1, 1},
        {1024 * MIB, 200 * MIB, false, 6, 1},
        {1024 * MIB, 200 * MIB - 1, false, 6, 6},
        {1024 * MIB, 1, true, 6, 1},
        {8 * MIB - 1, MIB, false, 6, 1},
        {8 * MIB, MIB, false, 6, 2},
        {12 * MIB, MIB, false, 6, 3},
        {0, 0, false, 6, 1},
        {UINT64_MAX, 0, false, 6, 6},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        unsigned got = dv_range_connections(rows[i].left, rows[i].rate, rows[i].busy, rows[i].max);
        if (got != rows[i].expected)
            fail_msg("row %zu: expected %u, got %u", i, rows[i].expected, got);
    }
}

static void range_length__bounded_and_never_beyond_what_is_left(void **state)
{
    static const struct {
        uint64_t left;
        unsigned connections;
        uint64_t expected;
    } rows[] = {
        {100 * MIB, 1, 100 * MIB},
        {100 * MIB, 0, 100 * MIB},
        {48 * MIB, 6, 4 * MIB},
        {96 * MIB, 6, 8 * MIB},
        {5 * MIB, 6, 4 * MIB},
        {3 * MIB, 6, 3 * MIB},
        {1, 6, 1},
        {1 << 20, 2, 1 << 20},
        {100000 * MIB, 6, 64 * MIB},
        {UINT64_MAX, 2, 64 * MIB},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        uint64_t got = dv_range_length(rows[i].left, rows[i].connections);
        if (got != rows[i].expected)
            fail_msg("row %zu: expected %" PRIu64 ", got %" PRIu64, i, rows[i].expected, got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(range_format__with_and_without_an_end),
        cmocka_unit_test(range_classify__what_an_answer_is),
        cmocka_unit_test(range_classify__a_wrong_206_is_refused_with_the_specified_text),
        cmocka_unit_test(range_connections__as_many_as_pay),
        cmocka_unit_test(range_length__bounded_and_never_beyond_what_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of distribution/progress.c: the examples and rules of pull.md 10.2. */
#include "davit/progress.h"

#include "util/alloc.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void human_size__four_digits_without_zeros(void **state)
{
    static const struct {
        double bytes;
        const char *expected;
    } rows[] = {
        {0, "0B"},
        {1, "1B"},
        {512, "512B"},
        {999, "999B"},
        {1000, "1kB"},
        {1024, "1.024kB"},
        {2220000, "2.22MB"},
        {32300, "32.3kB"},
        {999949, "999.9kB"},
        {999960, "1000kB"},
        {1e6, "1MB"},
        {1048576, "1.049MB"},
        {1e9, "1GB"},
        {1e12, "1TB"},
        {1e15, "1PB"},
        {1e18, "1EB"},
        {1.5e21, "1.5ZB"},
        {1e24, "1YB"},
        {1.8446744073709552e19, "18.45EB"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char text[32];
        assert_ptr_equal(davit_human_size(rows[i].bytes, text), text);
        if (strcmp(text, rows[i].expected) != 0)
            fail_msg("%.0f: expected %s, got %s", rows[i].bytes, rows[i].expected, text);
    }
}

#define SPACES_50 "                                                  "
#define BAR_50 "=================================================="

/* p "=" signs and a ">", then spaces up to 50. */
static const char *bar(unsigned p, char out[128])
{
    snprintf(out, 128, "[%.*s>%.*s] ", (int)p, BAR_50, (int)(50 - p), SPACES_50);
    return out;
}

static void progress_bar__by_the_rules(void **state)
{
    enum { NO_BAR = 99 };
    static const struct {
        uint64_t current, total;
        unsigned width, p;
        const char *counts;
    } rows[] = {
        {512, 1024, 200, 25, "    512B/1.024kB"},
        {0, 1000, 200, 0, "      0B/1kB"},
        {1, 1000, 200, 0, "      1B/1kB"},
        {19, 1000, 200, 0, "     19B/1kB"},
        {20, 1000, 200, 1, "     20B/1kB"},
        {39, 1000, 200, 1, "     39B/1kB"},
        {999, 1000, 200, 49, "    999B/1kB"},
        {1000, 1000, 200, 50, "     1kB/1kB"},
        {1001, 1000, 200, 50, " 1.001kB"}, /* more than there is: no total, a full bar */
        {5000, 1000, 200, 50, "     5kB"},
        {UINT64_MAX, 1, 200, 50, " 18.45EB"},
        {512, 1024, 111, 25, "    512B/1.024kB"},
        {512, 1024, 110, NO_BAR, "    512B/1.024kB"},
        {512, 1024, 0, NO_BAR, "    512B/1.024kB"},
        {2000, 1024, 80, NO_BAR, "     2kB"},
        {512, 0, 200, NO_BAR, "    512B"}, /* unknown total */
        {512, 0, 80, NO_BAR, "    512B"},
        {0, 0, 200, NO_BAR, ""},
        {123456789, 999999999, 200, 6, " 123.5MB/1000MB"},
        {UINT64_MAX / 2, UINT64_MAX, 200, 25, " 9.223EB/18.45EB"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char head[128] = "", expected[256];
        if (rows[i].p != NO_BAR)
            bar(rows[i].p, head);
        snprintf(expected, sizeof(expected), "%s%s", head, rows[i].counts);
        DV_AUTOFREE char *got = davit_progress_bar(rows[i].current, rows[i].total, rows[i].width);
        if (!got || strcmp(got, expected) != 0)
            fail_msg("%" PRIu64 " of %" PRIu64 ", %u columns: expected \"%s\", got \"%s\"", rows[i].current,
                     rows[i].total, rows[i].width, expected, got ? got : "NULL");
    }
}

static void progress_to_json__each_kind_of_line(void **state)
{
    static const struct {
        davit_progress event;
        unsigned width;
        const char *expected;
    } rows[] = {
        {{.kind = DAVIT_PROGRESS_MESSAGE, .id = "latest", .action = "Pulling from library/busybox"},
         200,
         "{\"status\":\"Pulling from library/busybox\",\"id\":\"latest\"}"},
        {{.kind = DAVIT_PROGRESS_MESSAGE, .action = "Digest: sha256:1111"},
         200,
         "{\"status\":\"Digest: sha256:1111\"}"},
        {{.kind = DAVIT_PROGRESS_MESSAGE, .id = "", .action = "x"}, 200, "{\"status\":\"x\"}"},
        {{.kind = DAVIT_PROGRESS_MESSAGE, .id = "a"}, 200, "{\"id\":\"a\"}"},
        {{.kind = DAVIT_PROGRESS_WARNING, .action = "careful"}, 200, "{\"status\":\"careful\"}"},
        {{.kind = DAVIT_PROGRESS_LAYER, .id = "0123456789ab", .action = "Pulling fs layer"},
         200,
         "{\"status\":\"Pulling fs layer\",\"progressDetail\":{},\"id\":\"0123456789ab\"}"},
        {{.kind = DAVIT_PROGRESS_LAYER,
          .id = "0123456789ab",
          .action = "Downloading",
          .current = 512,
          .total = 1024,
          .has_counts = true},
         DAVIT_PROGRESS_JSON_WIDTH,
         "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":512,\"total\":1024},\"progress\":"
         "\"[=========================\\u003e                         ]     "
         "512B/1.024kB\",\"id\":\"0123456789ab\"}"},
        {{.kind = DAVIT_PROGRESS_LAYER,
          .id = "a",
          .action = "Downloading",
          .current = 512,
          .total = 1024,
          .has_counts = true},
         80,
         "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":512,\"total\":1024},\"progress\":"
         "\"    512B/1.024kB\",\"id\":\"a\"}"},
        {{.kind = DAVIT_PROGRESS_LAYER, .id = "a", .action = "Downloading", .current = 512, .has_counts = true},
         200,
         "{\"status\":\"Downloading\",\"progressDetail\":{\"current\":512},\"progress\":\"    "
         "512B\",\"id\":\"a\"}"},
        {{.kind = DAVIT_PROGRESS_LAYER, .id = "a", .action = "Downloading", .has_counts = true},
         200,
         "{\"status\":\"Downloading\",\"progressDetail\":{},\"id\":\"a\"}"},
        {{.kind = DAVIT_PROGRESS_LAYER, .id = "a", .action = "Waiting", .current = 1, .total = 2},
         200,
         "{\"status\":\"Waiting\",\"progressDetail\":{},\"id\":\"a\"}"}, /* counts that are none */
        {{.kind = DAVIT_PROGRESS_AUX, .aux_json = "{\"Tag\": \"1.0\", \"Size\": 5}"},
         200,
         "{\"progressDetail\":{},\"aux\":{\"Tag\":\"1.0\",\"Size\":5}}"},
        {{.kind = DAVIT_PROGRESS_AUX, .id = "a", .aux_json = "[]"},
         200,
         "{\"progressDetail\":{},\"id\":\"a\",\"aux\":[]}"},
        {{.kind = DAVIT_PROGRESS_MESSAGE, .id = "a\"b", .action = "<&>\n\t\x01\xc3\xa4\xe2\x80\xa8"},
         200,
         "{\"status\":\"\\u003c\\u0026\\u003e\\n\\t\\u0001\xc3\xa4\\u2028\",\"id\":\"a\\\"b\"}"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOFREE char *got = davit_progress_to_json(&rows[i].event, rows[i].width);
        if (!got || strcmp(got, rows[i].expected) != 0)
            fail_msg("row %zu: expected\n%s\ngot\n%s", i, rows[i].expected, got ? got : "NULL");
    }
}

static void progress_to_json__refuses_what_is_no_json(void **state)
{
    static const char *const bad[] = {"", "{", "nonsense", "{} {}"};
    for (size_t i = 0; i < DV_COUNT(bad); i++)
        assert_null(
            davit_progress_to_json(&(davit_progress){.kind = DAVIT_PROGRESS_AUX, .aux_json = bad[i]}, 200));
}

static void progress_error_to_json__twice_the_message(void **state)
{
    static const struct {
        const char *message, *expected;
    } rows[] = {
        {"cut \xc3", "{\"errorDetail\":{\"message\":\"cut \xef\xbf\xbd\"},\"error\":\"cut \xef\xbf\xbd\"}"},
        {"manifest unknown",
         "{\"errorDetail\":{\"message\":\"manifest unknown\"},\"error\":\"manifest unknown\"}"},
        {"a < b & \"c\"", "{\"errorDetail\":{\"message\":\"a \\u003c b \\u0026 \\\"c\\\"\"},"
                          "\"error\":\"a \\u003c b \\u0026 \\\"c\\\"\"}"},
        {"errors:\none\ntwo\n",
         "{\"errorDetail\":{\"message\":\"errors:\\none\\ntwo\\n\"},\"error\":\"errors:\\none\\ntwo\\n\"}"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOFREE char *got = davit_progress_error_to_json(rows[i].message);
        if (!got || strcmp(got, rows[i].expected) != 0)
            fail_msg("%s: expected\n%s\ngot\n%s", rows[i].message, rows[i].expected, got ? got : "NULL");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(human_size__four_digits_without_zeros),
        cmocka_unit_test(progress_bar__by_the_rules),
        cmocka_unit_test(progress_to_json__each_kind_of_line),
        cmocka_unit_test(progress_to_json__refuses_what_is_no_json),
        cmocka_unit_test(progress_error_to_json__twice_the_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of what util/json_scan.c tells beyond yes and no: where members stand. Its limits are tested in test_json.c. */
#include "util/json_scan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

typedef struct told {
    const char *text;
    dv_buf lines; /* "depth key=value;" each */
    int stop;
} told;

static int on_member(void *user, const dv_json_member *m)
{
    told *t = user;
    dv_buf_printf(&t->lines, "%u %.*s=%.*s;", m->depth, (int)(m->key_end - m->key), t->text + m->key,
                  (int)(m->value_end - m->value), t->text + m->value);
    return t->stop;
}

static void json_scan_members__where_they_stand(void **state)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"{}", ""},
        {" { } ", ""},
        {"[1,{\"a\":2}]", "2 \"a\"=2;"},
        {"{\"a\":1}", "1 \"a\"=1;"},
        {"{ \"a\" : -1.5e3 , \"b\":\"x\\\"}\" }", "1 \"a\"=-1.5e3;1 \"b\"=\"x\\\"}\";"},
        {"{\"a\":{\"b\":{\"c\":[ ]},\"d\":null}}",
         "3 \"c\"=[ ];2 \"b\"={\"c\":[ ]};2 \"d\"=null;1 \"a\"={\"b\":{\"c\":[ ]},\"d\":null};"},
        {"{\"a\":[{\"b\":1},{\"b\":2}],\"a\":3}",
         "3 \"b\"=1;3 \"b\"=2;1 \"a\"=[{\"b\":1},{\"b\":2}];1 \"a\"=3;"},
        {"{\"\\u0061\":true}", "1 \"\\u0061\"=true;"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const dv_json_limits limits = {.max_bytes = 1000};
        told t = {.text = rows[i].text, .lines = DV_BUF_INIT(1000)};
        int r = dv_json_scan_members(rows[i].text, strlen(rows[i].text), &limits, NULL, on_member, &t, NULL);
        if (r != 0 || strcmp(dv_buf_text(&t.lines), rows[i].expected) != 0)
            fail_msg("%s: %d %s", rows[i].text, r, dv_buf_text(&t.lines));
        dv_buf_clear(&t.lines);
    }
}

static void json_scan_members__may_be_stopped(void **state)
{
    const dv_json_limits limits = {.max_bytes = 1000};
    told t = {.text = "{\"a\":1,\"b\":2}", .lines = DV_BUF_INIT(1000), .stop = -7};
    assert_int_equal(dv_json_scan_members(t.text, strlen(t.text), &limits, NULL, on_member, &t, NULL), -7);
    assert_string_equal(dv_buf_text(&t.lines), "1 \"a\"=1;");
    dv_buf_clear(&t.lines);
}

static void json_scan_parts__elements_too(void **state)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"[]", ""},
        {"[1, \"a\" ]", "1 =1;1 =\"a\";"},
        {"{\"a\":[[2],{\"b\":null}]}",
         "3 =2;2 =[2];3 \"b\"=null;2 ={\"b\":null};1 \"a\"=[[2],{\"b\":null}];"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const dv_json_limits limits = {.max_bytes = 1000};
        told t = {.text = rows[i].text, .lines = DV_BUF_INIT(1000)};
        int r = dv_json_scan_parts(rows[i].text, strlen(rows[i].text), &limits, on_member, &t, NULL);
        if (r != 0 || strcmp(dv_buf_text(&t.lines), rows[i].expected) != 0)
            fail_msg("%s: %d %s", rows[i].text, r, dv_buf_text(&t.lines));
        dv_buf_clear(&t.lines);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_scan_members__where_they_stand),
        cmocka_unit_test(json_scan_members__may_be_stopped),
        cmocka_unit_test(json_scan_parts__elements_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of auth/challenge.c and the grammar in net/auth_params.c (auth.md 6). */
#include "auth/challenge.h"

#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Each parsed line as "scheme{key=value|key=value}", joined by "; ". */
static void show(const dv_challenges *c, dv_buf *out)
{
    for (size_t i = 0; i < c->count; i++) {
        dv_buf_printf(out, "%s%s{", i ? "; " : "", c->items[i].scheme);
        for (size_t j = 0; j < c->items[i].count; j++)
            dv_buf_printf(out, "%s%s=%s", j ? "|" : "", c->items[i].items[j].key, c->items[i].items[j].value);
        dv_buf_putc(out, '}');
    }
}

static void challenges__by_line(void **state)
{
    static const struct {
        int status;
        const char *lines[3];
        const char *expected;
    } rows[] = {
        {401,
         {"Bearer "
          "realm=\"https://auth.example.com/token\",service=\"registry.example.com\",scope=\"repository:foo/"
          "bar:pull,push\""},
         "bearer{realm=https://auth.example.com/token|service=registry.example.com|scope=repository:foo/"
         "bar:pull,push}"},
        {401, {"Basic realm=simple"}, "basic{realm=simple}"},
        {401,
         {"Basic realm=\"a\"", "Bearer realm=\"https://t/\",service=\"s\""},
         "basic{realm=a}; bearer{realm=https://t/|service=s}"},
        {401, {"Bearer realm=\"https://\\\"quoted\\\"/t\""}, "bearer{realm=https://\"quoted\"/t}"},
        {403, {"Basic realm=\"a\""}, ""},
        {200, {"Basic realm=\"a\""}, ""},
        {401, {NULL}, ""},
        {401, {"BEARER Realm=\"x\""}, "bearer{realm=x}"},
        {401, {"Basic"}, "basic{}"},
        {401, {"Negotiate"}, "negotiate{}"},
        {401, {"\"x\""}, ""},
        {401, {"=x"}, ""},
        {401, {"Bearer a=1,\t b=2 , c=3"}, "bearer{a=1|b=2|c=3}"},
        {401, {"Bearer a=1,,b=2"}, "bearer{a=1}"},
        {401, {"Bearer a =1"}, "bearer{}"},
        {401, {"Bearer a= 1"}, "bearer{}"},
        {401, {"Bearer a=1,b"}, "bearer{a=1}"},
        {401, {"Bearer a=1,b=\"\",c=3"}, "bearer{a=1}"},
        {401, {"Bearer a=1,b=\"open"}, "bearer{a=1}"},
        {401, {"Bearer a=1,b=\"open\\"}, "bearer{a=1}"},
        {401, {"Bearer realm=https://t/"}, "bearer{realm=https}"},
        {401, {"Bearer a=1 b=2"}, "bearer{a=1}"},
        {401, {"Bearer a=1;b=2"}, "bearer{a=1}"},
        {401,
         {"Basic realm=\"a\", Bearer realm=\"b\""},
         "basic{realm=a}"}, /* a second scheme in a line is lost */
        {401, {"Bearer a=1, a=2"}, "bearer{a=1|a=2}"},
        {401, {"Bearer $a=!#$%&'*+-.^_`|~"}, "bearer{$a=!#$%&'*+-.^_`|~}"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
        DV_AUTO(dv_challenges) c = DV_CHALLENGES_INIT;
        DV_AUTO(dv_buf) got = DV_BUF_INIT(4096);
        for (size_t j = 0; j < 3 && rows[i].lines[j]; j++)
            assert_int_equal(dv_headers_add(&h, "WWW-Authenticate", rows[i].lines[j], 0, NULL), 0);
        assert_int_equal(dv_challenges_parse(rows[i].status, &h, &c, NULL), 0);
        show(&c, &got);
        if (strcmp(dv_buf_text(&got), rows[i].expected) != 0)
            fail_msg("\"%s\": expected %s, got %s", rows[i].lines[0], rows[i].expected, dv_buf_text(&got));
    }
}

static void challenges__last_of_equal_keys_wins(void **state)
{
    DV_AUTO(dv_auth_params) p = DV_AUTH_PARAMS_INIT;
    assert_int_equal(dv_auth_params_parse("Bearer realm=a,Realm=b", &p, NULL), 1);
    assert_string_equal(dv_auth_params_get(&p, "realm"), "b");
    assert_null(dv_auth_params_get(&p, "service"));
}

/* The grammar skips no leading white space; a header list has trimmed its values before. */
static void auth_params__leading_space_is_no_scheme(void **state)
{
    DV_AUTO(dv_auth_params) p = DV_AUTH_PARAMS_INIT;
    assert_int_equal(dv_auth_params_parse(" Basic realm=a", &p, NULL), 0);
    assert_int_equal(dv_auth_params_parse("", &p, NULL), 0);
}

static void challenges__count_is_limited(void **state)
{
    DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
    DV_AUTO(dv_challenges) c = DV_CHALLENGES_INIT;
    DV_AUTO(dv_auth_params) p = DV_AUTH_PARAMS_INIT;
    DV_AUTO(dv_buf) line = DV_BUF_INIT(100000);
    for (int i = 0; i < DV_CHALLENGES_MAX + 5; i++)
        assert_int_equal(dv_headers_add(&h, "www-authenticate", "Basic realm=a", 0, NULL), 0);
    assert_int_equal(dv_challenges_parse(401, &h, &c, NULL), 0);
    assert_int_equal(c.count, DV_CHALLENGES_MAX);
    dv_buf_puts(&line, "Bearer a=1");
    for (int i = 0; i < 1000; i++)
        dv_buf_puts(&line, ",a=1");
    assert_int_equal(dv_auth_params_parse(dv_buf_text(&line), &p, NULL), 1);
    assert_int_equal(p.count, DV_AUTH_PARAMS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(challenges__by_line),
        cmocka_unit_test(challenges__last_of_equal_keys_wins),
        cmocka_unit_test(auth_params__leading_space_is_no_scheme),
        cmocka_unit_test(challenges__count_is_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

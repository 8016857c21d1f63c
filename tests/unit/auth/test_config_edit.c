/* Unit tests of auth/config_edit.c (auth.md 5): what is not meant stays byte for byte. */
#include "auth/config_edit.h"

#include "auth/auth_config.h"
#include "auth/config_file.h"
#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define OUT                                       \
    {                                             \
        .max = DV_CONFIG_FILE_MAX, .secret = true \
    }
#define ENTRY "{\n\t\t\t\"auth\": \"dTpw\"\n\t\t}"

static const davit_auth_config up = {.username = (char *)"u", .password = (char *)"p"};

static void config_edit_put__where_it_goes(void **state)
{
    static const struct {
        const char *before, *key, *expected;
    } rows[] = {
        /* nothing there: the docker CLI's form */
        {"", "h", "{\n\t\"auths\": {\n\t\t\"h\": " ENTRY "\n\t}\n}"},
        {" \n", "h", "{\n\t\"auths\": {\n\t\t\"h\": " ENTRY "\n\t}\n}"},
        {"{}", "h", "{\n\t\"auths\": {\n\t\t\"h\": " ENTRY "\n\t}\n}"},
        {"{ }\n", "h", "{\n\t\"auths\": {\n\t\t\"h\": " ENTRY "\n\t}\n}\n"},
        {"{\n\t\"auths\": {}\n}", "h", "{\n\t\"auths\": {\n\t\t\"h\": " ENTRY "\n\t}\n}"},
        {"{\n\t\"auths\": {\n\t}\n}", "h", "{\n\t\"auths\": {\n\t\t\"h\": " ENTRY "\n\t}\n}"},
        {"{\n\t\"auths\": null\n}", "h", "{\n\t\"auths\": {\n\t\t\"h\": " ENTRY "\n\t}\n}"},
        /* unknown keys around it */
        {"{\n\t\"detachKeys\":  \"ctrl-e\" ,\n\t\"credsStore\": \"\"\n}\n", "h",
         "{\n\t\"detachKeys\":  \"ctrl-e\" ,\n\t\"credsStore\": \"\",\n\t\"auths\": {\n\t\t\"h\": " ENTRY
         "\n\t}\n}\n"},
        {"{\"x\": 1e40, \"auths\": {\"a\": {\"auth\":\"eDp5\", \"z\": [ ]}}, \"y\":\"\\u0041\"}", "h",
         "{\"x\": 1e40, \"auths\": {\"a\": {\"auth\":\"eDp5\", \"z\": [ ]},\"h\":{\"auth\":\"dTpw\"}}, "
         "\"y\":\"\\u0041\"}"},
        {"{\"x\":123456789012345678901234567890,\"auths\":{}}", "h",
         "{\"x\":123456789012345678901234567890,\"auths\":{\"h\":{\"auth\":\"dTpw\"}}}"},
        {"{\n\t\"auths\": {\n\t\t\"a\": {}\n\t},\n\t\"x\": true\n}", "h",
         "{\n\t\"auths\": {\n\t\t\"a\": {},\n\t\t\"h\": " ENTRY "\n\t},\n\t\"x\": true\n}"},
        /* the document's own indentation and line ends */
        {"{\n  \"auths\": {\n    \"a\": {}\n  }\n}", "h",
         "{\n  \"auths\": {\n    \"a\": {},\n    \"h\": {\n      \"auth\": \"dTpw\"\n    }\n  }\n}"},
        {"{\n    \"auths\": {}\n}", "h",
         "{\n    \"auths\": {\n        \"h\": {\n            \"auth\": \"dTpw\"\n        }\n    }\n}"},
        {"{\r\n\t\"auths\": {}\r\n}", "h",
         "{\r\n\t\"auths\": {\r\n\t\t\"h\": {\r\n\t\t\t\"auth\": \"dTpw\"\r\n\t\t}\r\n\t}\r\n}"},
        {"{\"auths\":{}}", "h", "{\"auths\":{\"h\":{\"auth\":\"dTpw\"}}}"},
        {"{\n\"auths\": {\n\"a\": {}\n}\n}", "h",
         "{\n\"auths\": {\n\"a\": {},\n\"h\": {\n\t\"auth\": \"dTpw\"\n}\n}\n}"},
        /* in place of what is there */
        {"{\n\t\"auths\": {\n\t\t\"h\": {\n\t\t\t\"auth\": \"eDp5\"\n\t\t},\n\t\t\"i\": {}\n\t}\n}", "h",
         "{\n\t\"auths\": {\n\t\t\"h\": " ENTRY ",\n\t\t\"i\": {}\n\t}\n}"},
        {"{\"auths\":{\"h\" : null , \"i\":{}}}", "h", "{\"auths\":{\"h\" : {\"auth\":\"dTpw\"} , \"i\":{}}}"},
        {"{\"auths\":{\"\\u0068\":{}}}", "h", "{\"auths\":{\"\\u0068\":{\"auth\":\"dTpw\"}}}"},
        {"{\"auths\":{\"h\":{\"auth\":\"eDp5\"},\"h\":{}}}", "h",
         "{\"auths\":{\"h\":{\"auth\":\"eDp5\"},\"h\":{\"auth\":\"dTpw\"}}}"}, /* the last is what is read */
        /* keys inside of others are not meant */
        {"{\"x\":{\"auths\":{\"h\":{}}},\"auths\":{\"a\":{\"h\":{}}}}", "h",
         "{\"x\":{\"auths\":{\"h\":{}}},\"auths\":{\"a\":{\"h\":{}},\"h\":{\"auth\":\"dTpw\"}}}"},
        {"{\"auths\":{\"a\":{}},\"x\":{\"h\":{}}}", "h",
         "{\"auths\":{\"a\":{},\"h\":{\"auth\":\"dTpw\"}},\"x\":{\"h\":{}}}"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) out = OUT;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = dv_config_edit_put(rows[i].before, strlen(rows[i].before), rows[i].key, &up, &out, &err);
        if (r < 0 || strcmp(dv_buf_text(&out), rows[i].expected) != 0)
            fail_msg("%s\nexpected %s\ngot %s %s", rows[i].before, rows[i].expected, dv_buf_text(&out),
                     davit_error_message(err));
        DV_AUTOPTR(dv_config_file) f = NULL;
        assert_int_equal(dv_config_file_parse("c", out.data, out.size, &f, NULL), 0);
        const davit_auth_config *found = dv_config_file_find(f, "h", NULL);
        assert_non_null(found);
        assert_string_equal(found->username, "u");
        assert_string_equal(found->password, "p");
    }
}

static void config_edit_put__what_an_entry_says(void **state)
{
    static const struct {
        davit_auth_config auth;
        const char *expected;
    } rows[] = {
        /* auth.md 5, Save */
        {{.username = (char *)"u", .password = (char *)"p", .serveraddress = (char *)"h"},
         "{\"auth\":\"dTpw\"}"},
        {{.identitytoken = (char *)"T"}, "{\"identitytoken\":\"T\"}"},
        {{.username = (char *)"u", .identitytoken = (char *)"T"},
         "{\"auth\":\"dTo=\",\"identitytoken\":\"T\"}"},
        {{.registrytoken = (char *)"R", .email = (char *)"a@b"},
         "{\"email\":\"a@b\",\"registrytoken\":\"R\"}"},
        {{.email = (char *)"e\"<", .auth = (char *)"ignored"}, "{\"email\":\"e\\\"\\u003c\"}"},
        {{.username = (char *)"", .password = (char *)""}, "{}"},
        {{.username = (char *)"u", .password = (char *)"a:b\xff"}, "{\"auth\":\"dTphOmL/\"}"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) out = OUT;
        DV_AUTO(dv_buf) expected = DV_BUF_INIT(1000);
        dv_buf_printf(&expected, "{\"auths\":{\"h\":%s}}", rows[i].expected);
        assert_int_equal(dv_config_edit_put("{\"auths\":{}}", 12, "h", &rows[i].auth, &out, NULL), 0);
        assert_string_equal(dv_buf_text(&out), dv_buf_text(&expected));
    }
}

static void config_edit_put__refuses(void **state)
{
    static const struct {
        const char *before;
        davit_auth_config auth;
        int code;
        const char *expected;
    } rows[] = {
        {"{", {.username = (char *)"u"}, DAVIT_EFORMAT, "malformed JSON"},
        {"[]", {.username = (char *)"u"}, DAVIT_EFORMAT, "not a JSON object"},
        {"{} {}", {.username = (char *)"u"}, DAVIT_EFORMAT, "malformed JSON"},
        {"{\"auths\":[]}", {.username = (char *)"u"}, DAVIT_EFORMAT, "auths: not an object"},
        {"{\"auths\":{},\"auths\":{}}",
         {.username = (char *)"u"},
         DAVIT_EFORMAT,
         "key \"auths\" stands there twice"},
        {"{\"Auths\":{}}", {.username = (char *)"u"}, DAVIT_EFORMAT, "a key differs from \"auths\""},
        {"{}", {.username = (char *)"a:b", .password = (char *)"p"}, DAVIT_EINVAL, "a user name with a colon"},
        {"{}", {.password = (char *)"p"}, DAVIT_EINVAL, "a password without a user name"},
        {"{}", {.identitytoken = (char *)"\xff"}, DAVIT_EINVAL, "the token is not UTF-8"},
        {"{}", {.username = (char *)"u", .email = (char *)"\xff"}, DAVIT_EINVAL, "the e-mail address is not"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) out = OUT;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = dv_config_edit_put(rows[i].before, strlen(rows[i].before), "h", &rows[i].auth, &out, &err);
        if (r != rows[i].code || !dv_str_starts(davit_error_message(err), rows[i].expected))
            fail_msg("%s: got %d %s", rows[i].before, r, davit_error_message(err));
    }
}

static void config_edit_put__has_a_ceiling(void **state)
{
    DV_AUTO(dv_buf) out = OUT;
    DV_AUTO(dv_buf) before = OUT;
    DV_AUTO(dv_buf) token = OUT;
    dv_buf_puts(&before, "{\"x\":\"");
    for (int i = 0; i < 3 << 20; i++)
        dv_buf_putc(&before, 'x');
    dv_buf_puts(&before, "\"}");
    for (int i = 0; i < 2 << 20; i++)
        dv_buf_putc(&token, 't');
    const davit_auth_config auth = {.identitytoken = token.data};
    assert_int_equal(dv_config_edit_put(before.data, before.size, "h", &auth, &out, NULL), DAVIT_ETOOBIG);
}

static void config_edit_remove__what_names_the_registry(void **state)
{
    static const struct {
        const char *before, *domain, *expected;
        int count;
    } rows[] = {
        {"{\"auths\":{\"a\":{},\"h\":{\"x\":[1,{}]},\"b\":{}}}", "h", "{\"auths\":{\"a\":{},\"b\":{}}}", 1},
        {"{\"auths\":{\"h\":{},\"b\":{}}}", "h", "{\"auths\":{\"b\":{}}}", 1},
        {"{\"auths\":{\"a\":{},\"h\":{}}}", "h", "{\"auths\":{\"a\":{}}}", 1},
        {"{\"auths\":{ \"h\": {} },\"x\":1}", "h", "{\"auths\":{},\"x\":1}", 1},
        {"{\n\t\"auths\": {\n\t\t\"a\": {},\n\t\t\"h\": {}\n\t}\n}", "h",
         "{\n\t\"auths\": {\n\t\t\"a\": {}\n\t}\n}", 1},
        {"{\n\t\"auths\": {\n\t\t\"h\": {},\n\t\t\"a\": {}\n\t}\n}", "h",
         "{\n\t\"auths\": {\n\t\t\"a\": {}\n\t}\n}", 1},
        /* auth.md 5: the server, its hostname, http:// and https:// */
        {"{\"auths\":{\"h\":{},\"https://h\":{},\"http://h\":{},\"https://h/v1/\":{},\"h:1\":{},\"https://"
         "hh\":{}}}",
         "h", "{\"auths\":{\"h:1\":{},\"https://hh\":{}}}", 4},
        {"{\"auths\":{\"h\":{},\"h\":{}}}", "h", "{\"auths\":{}}", 2},
        {"{\"auths\":{\"\\u0068\":{}}}", "h", "{\"auths\":{}}", 1},
        {"{\"auths\":{\"https://index.docker.io/v1/"
         "\":{},\"docker.io\":{},\"index.docker.io\":{},\"quay.io\":{}}}",
         "docker.io", "{\"auths\":{\"quay.io\":{}}}", 3},
        /* Podman's keys with a path are other entries */
        {"{\"auths\":{\"h/team\":{},\"h\":{}}}", "h", "{\"auths\":{\"h/team\":{}}}", 1},
        /* all of them */
        {"{\"auths\":{\"a\":{},\"h/team\":{\"x\":1}, \"b\":{}},\"x\":1}", NULL, "{\"auths\":{},\"x\":1}", 3},
        {"{\"x\":1,\"auths\":{ }}", NULL, "{\"x\":1,\"auths\":{ }}", 0},
        {"{\"auths\":null}", NULL, "{\"auths\":null}", 0},
        {"", NULL, "", 0},
        /* nothing */
        {"{\"auths\":{\"a\":{}}}", "h", "{\"auths\":{\"a\":{}}}", 0},
        {"{\"auths\":null}", "h", "{\"auths\":null}", 0},
        {"{\"x\":{\"h\":{}}}", "h", "{\"x\":{\"h\":{}}}", 0},
        {" ", "h", " ", 0},
        {"", "h", "", 0},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) out = OUT;
        int r = dv_config_edit_remove(rows[i].before, strlen(rows[i].before), rows[i].domain, &out, NULL);
        if (r != rows[i].count || strcmp(dv_buf_text(&out), rows[i].expected) != 0)
            fail_msg("%s: expected %d %s, got %d %s", rows[i].before, rows[i].count, rows[i].expected, r,
                     dv_buf_text(&out));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_edit_put__where_it_goes),
        cmocka_unit_test(config_edit_put__what_an_entry_says),
        cmocka_unit_test(config_edit_put__refuses),
        cmocka_unit_test(config_edit_put__has_a_ceiling),
        cmocka_unit_test(config_edit_remove__what_names_the_registry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

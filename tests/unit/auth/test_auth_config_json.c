/* Unit tests of auth/auth_config_json.c: every row of auth.md 1 and 2. */
#include "auth/auth_config.h"

#include "util/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S(text) ((char *)(text)) /* the fields are for owned text; nothing here is written to */
#define PREFIX "invalid X-Registry-Auth header: "

/* --- writing ------------------------------------------------------------------------------------------------------ */

static void auth_config_format__order_and_what_is_left_out(void **state)
{
    static const struct {
        davit_auth_config config;
        const char *expected;
    } rows[] = {
        {{NULL}, "{}"},
        {{.username = S(""), .password = S("")}, "{}"},
        {{.registrytoken = S("t"), .username = S("u")}, "{\"username\":\"u\",\"registrytoken\":\"t\"}"},
        {{S("1"), S("2"), S("3"), S("4"), S("5"), S("6"), S("7")},
         "{\"username\":\"1\",\"password\":\"2\",\"auth\":\"3\",\"email\":\"4\",\"serveraddress\":\"5\","
         "\"identitytoken\":\"6\",\"registrytoken\":\"7\"}"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char *text = NULL;
        assert_int_equal(davit_auth_config_format(&rows[i].config, &text, NULL), 0);
        assert_string_equal(text, rows[i].expected);
        davit_secret_free(text);
    }
    char *text = NULL;
    assert_int_equal(davit_auth_config_format(NULL, &text, NULL), 0);
    assert_string_equal(text, "{}");
    davit_secret_free(text);
}

static void auth_config_format__escapes(void **state)
{
    static const struct {
        const char *value, *written;
    } rows[] = {
        {"<>&", "\\u003c\\u003e\\u0026"},
        {"\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", "\\u2028\\u2029\xe2\x80\xaa"},
        {"\"\\/", "\\\"\\\\/"},
        {"\b\f\n\r\t", "\\b\\f\\n\\r\\t"},
        {"\x01\x0b\x1f", "\\u0001\\u000b\\u001f"},
        {"\x7f'", "\x7f'"},
        {"p\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "p\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"a\xff\xfe", "a\\ufffd\\ufffd"},
        {"\xc3", "\\ufffd"},                       /* cut short */
        {"\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd"}, /* a surrogate */
        {"\xc0\xaf", "\\ufffd\\ufffd"},            /* overlong */
        {"\xef\xbf\xbd", "\xef\xbf\xbd"},          /* U+FFFD itself */
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        const davit_auth_config config = {.password = S(rows[i].value)};
        char expected[100], *text = NULL;
        snprintf(expected, sizeof(expected), "{\"password\":\"%s\"}", rows[i].written);
        assert_int_equal(davit_auth_config_format(&config, &text, NULL), 0);
        assert_string_equal(text, expected);
        davit_secret_free(text);
    }
}

static void auth_config_encode__base64url_with_padding(void **state)
{
    static const struct {
        davit_auth_config config;
        const char *expected;
    } rows[] = {
        {{NULL}, "e30="},
        {{.username = S("bob")}, "eyJ1c2VybmFtZSI6ImJvYiJ9"},
        {{.username = S("?\x3f>>>\x7f\x7f")}, "eyJ1c2VybmFtZSI6Ij8_XHUwMDNlXHUwMDNlXHUwMDNlf38ifQ=="},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char *text = NULL;
        assert_int_equal(davit_auth_config_encode(&rows[i].config, &text, NULL), 0);
        assert_string_equal(text, rows[i].expected);
        davit_secret_free(text);
    }
}

static void authenticate_ok_body__both_members_always(void **state)
{
    static const struct {
        davit_authenticate_ok_body body;
        const char *expected;
    } rows[] = {
        {{NULL, NULL}, "{\"IdentityToken\":\"\",\"Status\":\"\"}"},
        {{S("R<"), S("Login Succeeded")}, "{\"IdentityToken\":\"R\\u003c\",\"Status\":\"Login Succeeded\"}"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char *text = NULL;
        assert_int_equal(davit_authenticate_ok_body_format(&rows[i].body, &text, NULL), 0);
        assert_string_equal(text, rows[i].expected);
        davit_secret_free(text);
    }
    davit_authenticate_ok_body body = {dv_strdup("R"), dv_strdup("S")};
    davit_authenticate_ok_body_clear(&body);
    assert_true(!body.identity_token && !body.status);
    davit_authenticate_ok_body_clear(NULL);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

static void check_decoded(const char *value, int r, const davit_auth_config *got, const davit_error *err,
                          const char *username, const char *cause)
{
    char expected[400] = "";
    if (cause)
        snprintf(expected, sizeof(expected), PREFIX "%s", cause);
    const char *message = err ? davit_error_message(err) : "";
    bool same = r == (cause ? DAVIT_EINVAL : 0) && strcmp(message, expected) == 0 &&
                strcmp(got->username ? got->username : "", username) == 0;
    if (!same)
        fail_msg("%.100s: expected \"%s\" and \"%s\"; got %s \"%s\" and \"%s\"", value, username, expected,
                 davit_code_name(r), got->username ? got->username : "", message);
    if (cause)
        assert_true(davit_auth_config_is_anonymous(got));
}

/* The table of auth.md 2, and what its rules say beyond it. */
static void auth_config_decode__one_value_of_a_stream(void **state)
{
    static const struct {
        const char *value, *username, *cause;
    } rows[] = {
        {"", "", NULL},
        {"eyJ1c2VybmFtZSI6ImJvYiJ9", "bob", NULL},
        {"eyJ1c2VybmFtZSI6ImJvIn0", "", "unexpected EOF"},
        {"eyJ1c2VybmFtZSI6Ij8/Pz4+PiJ9", "", "illegal base64 data at input byte 19"},
        {"bm90IGpzb24=", "", "invalid character 'o' in literal null (expecting 'u')"},
        {"eyJ1c2VybmFtZSI6ImEifSB0cmFpbGluZw==", "a", NULL},
        {"e30=", "", NULL},
        {"bnVsbA==", "", NULL},
        /* no byte behind the value is looked at */
        {"e30=!!!", "", NULL},
        {"e30=e30=", "", NULL},
        {"eyJ1c2VybmFtZSI6ImJvYiJ9!\xff", "bob", NULL},
        {"eyJ1c2VybmFtZSI6ImJvYiJ9e", "bob", NULL},
        {"eyJ1c2VybmFtZSI6ImEifSAg", "a", NULL},
        /* line ends are skipped and not counted */
        {"eyJ1c2Vy\r\nbmFtZSI6ImJv\nYiJ9\n", "bob", NULL},
        {"eyJ1c2\r\nVybmFtZSI6Ij8/Pz4+PiJ9", "", "illegal base64 data at input byte 19"},
        {"\r\n", "", "EOF"},
        {"ICAg", "", "EOF"}, /* "   " */
        {"e", "", "unexpected EOF"},
        {"e30", "", "unexpected EOF"},
        {"ew==", "", "unexpected EOF"}, /* { */
        {"ew==fQ==", "", "illegal base64 data at input byte 4"},
        {"=30=", "", "illegal base64 data at input byte 0"},
        {"e=30", "", "illegal base64 data at input byte 1"},
        {"ey=J", "", "illegal base64 data at input byte 2"},
        {"e30 ", "", "illegal base64 data at input byte 3"},
        {"bnVs", "", "unexpected EOF"}, /* nul */
        {"bnVsKQ==", "", "invalid character ')' in literal null (expecting 'l')"},
        {"dHJ1ZQ==", "", "json: cannot unmarshal bool into Go value of type registry.AuthConfig"},
        {"W10=", "", "json: cannot unmarshal array into Go value of type registry.AuthConfig"},
        {"NQ==", "", "json: cannot unmarshal number into Go value of type registry.AuthConfig"},
        {"fQ==", "", "invalid character '}' looking for beginning of value"},
        {"Jw==", "", "invalid character '\\'' looking for beginning of value"},
        {"AQ==", "", "invalid character '\\x01' looking for beginning of value"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_auth_config got = {.username = S("not looked at")};
        DV_AUTOPTR(davit_error) err = NULL;
        int r = davit_auth_config_decode(rows[i].value, &got, &err);
        check_decoded(rows[i].value, r, &got, err, rows[i].username, rows[i].cause);
        davit_auth_config_clear(&got);
    }
    davit_auth_config got;
    assert_int_equal(davit_auth_config_decode(NULL, &got, NULL), 0);
    assert_null(got.username);
}

static void auth_config_decode_body__keys_and_types(void **state)
{
    static const struct {
        const char *value, *username, *cause;
    } rows[] = {
        {"", "", "EOF"},
        {" \n", "", "EOF"},
        {"{", "", "unexpected EOF"},
        {"{\"username\":\"a\"", "", "unexpected EOF"},
        {"{\"username\":\"a", "", "unexpected EOF"},
        {"{\"username\":\"\\u00", "", "unexpected EOF"},
        {" {\"username\":\"a\"} {", "a", NULL},
        {"{\"username\":\"a\"}\xff", "a", NULL},
        {"{\"USERNAME\":\"a\"}", "a", NULL},
        {"{\"Username\":\"a\",\"username\":\"b\"}", "b", NULL},
        {"{\"username\":\"a\",\"userName\":\"b\"}", "b", NULL},
        {"{\"username\":\"a\",\"username\":\"b\"}", "b", NULL},
        {"{\"username\":null}", "", NULL},
        {"{\"username\":\"a\",\"userName\":null}", "a", NULL},
        {"{\"user\":5,\"more\":{\"username\":\"x\"},\"list\":[1],\"username\":\"a\"}", "a", NULL},
        {"{\"username\":\"\\u00e4\\n\"}", "\xc3\xa4\n", NULL},
        {"{\"username\":\"a\xff"
         "b\"}",
         "a\xef\xbf\xbd"
         "b",
         NULL},
        {"{\"x\":99999999999999999999,\"username\":\"a\",\"y\":1e999}", "a", NULL},
        {"{\"username\":5}", "",
         "json: cannot unmarshal number into Go struct field AuthConfig.username of type string"},
        {"{\"username\":\"a\",\"password\":true}", "",
         "json: cannot unmarshal bool into Go struct field AuthConfig.password of type string"},
        {"{\"identitytoken\":{}}", "",
         "json: cannot unmarshal object into Go struct field AuthConfig.identitytoken of type string"},
        {"{\"email\":[]}", "",
         "json: cannot unmarshal array into Go struct field AuthConfig.email of type string"},
        {"{\"username\":\"a\\u0000b\"}", "", "NUL in username"},
        {"{\"username\":}", "", "invalid character '}' looking for beginning of value"},
        {"{\"username\":trux}", "", "invalid character 'x' in literal true (expecting 'e')"},
        {"{\"username\":\"a\",}", "", "malformed JSON at byte 16: a key should stand here"},
        {"\"text\"", "", "json: cannot unmarshal string into Go value of type registry.AuthConfig"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_auth_config got;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = davit_auth_config_decode_body(rows[i].value, strlen(rows[i].value), &got, &err);
        check_decoded(rows[i].value, r, &got, err, rows[i].username, rows[i].cause);
        davit_auth_config_clear(&got);
    }
}

static void auth_config_decode__gives_back_what_was_encoded(void **state)
{
    const davit_auth_config config = {S("\x01 \" u"), S("p<&>\n"), S("dTpw"),        S("e@x"),
                                      S("s"),         S("i\x7f"),  S("\xe2\x80\xa8")};
    DV_AUTO(davit_auth_config) got = DAVIT_AUTH_CONFIG_INIT;
    char *text = NULL, *again = NULL;
    assert_int_equal(davit_auth_config_encode(&config, &text, NULL), 0);
    assert_int_equal(davit_auth_config_decode(text, &got, NULL), 0);
    assert_string_equal(got.username, config.username);
    assert_string_equal(got.password, config.password);
    assert_string_equal(got.registrytoken, config.registrytoken);
    assert_int_equal(davit_auth_config_encode(&got, &again, NULL), 0);
    assert_string_equal(text, again);
    davit_secret_free(text);
    davit_secret_free(again);
}

/* threats C1, C2 */
static void auth_config_decode__size_depth_and_values_are_limited(void **state)
{
    static const struct {
        const char *begin, *piece;
        size_t count;
        const char *cause;
    } rows[] = {
        {"{\"username\":\"", "aaaaaaaaaaaaaaaa", (4u << 20) / 16, "more than 4 MiB"},
        {"", "                ", (4u << 20) / 16 + 1, "more than 4 MiB"},
        {"", "[", 33, "JSON is nested deeper than 32"},
        {"[0", ",0", 10000, "JSON has more than 10000 values"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) json = DV_BUF_INIT(8u << 20), text = DV_BUF_INIT(12u << 20);
        dv_buf_puts(&json, rows[i].begin);
        for (size_t k = 0; k < rows[i].count; k++)
            dv_buf_puts(&json, rows[i].piece);
        dv_base64_encode(&text, json.data, json.size, /* url_alphabet= */ true);
        for (int body = 0; body < 2; body++) {
            davit_auth_config got;
            DV_AUTOPTR(davit_error) err = NULL;
            int r = body ? davit_auth_config_decode_body(json.data, json.size, &got, &err)
                         : davit_auth_config_decode(dv_buf_text(&text), &got, &err);
            check_decoded("a long one", r, &got, err, "", rows[i].cause);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auth_config_format__order_and_what_is_left_out),
        cmocka_unit_test(auth_config_format__escapes),
        cmocka_unit_test(auth_config_encode__base64url_with_padding),
        cmocka_unit_test(authenticate_ok_body__both_members_always),
        cmocka_unit_test(auth_config_decode__one_value_of_a_stream),
        cmocka_unit_test(auth_config_decode_body__keys_and_types),
        cmocka_unit_test(auth_config_decode__gives_back_what_was_encoded),
        cmocka_unit_test(auth_config_decode__size_depth_and_values_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

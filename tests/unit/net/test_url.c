/* Unit tests of net/url.c. */
#include "net/url.h"

#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void url_parse__parts_and_text(void **state)
{
    static const struct {
        const char *input, *scheme, *host;
        int port;
        const char *path, *query, *text;
    } rows[] = {
        {"https://reg.example.com", "https", "reg.example.com", 443, "/", NULL, "https://reg.example.com/"},
        {"HTTP://Reg.Example.COM./a", "http", "reg.example.com", 80, "/a", NULL, "http://reg.example.com/a"},
        {"http://h:5000/v2/", "http", "h", 5000, "/v2/", NULL, "http://h:5000/v2/"},
        {"https://h:443/", "https", "h", 443, "/", NULL, "https://h:443/"},
        {"https://h:", "https", "h", 443, "/", NULL, "https://h/"},
        {"https://h?a=b", "https", "h", 443, "/", "a=b", "https://h/?a=b"},
        {"https://h/?", "https", "h", 443, "/", "", "https://h/?"},
        {"https://h/a?b#c?d", "https", "h", 443, "/a", "b", "https://h/a?b"},
        {"https://h#f", "https", "h", 443, "/", NULL, "https://h/"},
        {"http://[::1]:8080/x", "http", "[::1]", 8080, "/x", NULL, "http://[::1]:8080/x"},
        {"http://[0:0:0:0:0:0:0:1]/", "http", "[::1]", 80, "/", NULL, "http://[::1]/"},
        {"http://[FE80::A]/", "http", "[fe80::a]", 80, "/", NULL, "http://[fe80::a]/"},
        {"http://127.0.0.1:5000", "http", "127.0.0.1", 5000, "/", NULL, "http://127.0.0.1:5000/"},
        {"https://h/a/./b/../c", "https", "h", 443, "/a/c", NULL, "https://h/a/c"},
        {"https://h/../../x", "https", "h", 443, "/x", NULL, "https://h/x"},
        {"https://h/a/..", "https", "h", 443, "/", NULL, "https://h/"},
        {"https://h/a/b/.", "https", "h", 443, "/a/b/", NULL, "https://h/a/b/"},
        {"https://h/a//b", "https", "h", 443, "/a//b", NULL, "https://h/a//b"},
        {"https://h/\xc3\xa4?\xc3\xa4", "https", "h", 443, "/%C3%A4", "%C3%A4", "https://h/%C3%A4?%C3%A4"},
        {"https://h/%2e%2E/a%2Fb", "https", "h", 443, "/%2e%2E/a%2Fb", NULL, "https://h/%2e%2E/a%2Fb"},
        {"https://a_b.h/", "https", "a_b.h", 443, "/", NULL, "https://a_b.h/"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_url) u = DV_URL_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        if (dv_url_parse(rows[i].input, &u, &err) < 0)
            fail_msg("%s: %s", rows[i].input, davit_error_message(err));
        if (!dv_str_equal(u.scheme, rows[i].scheme) || !dv_str_equal(u.host, rows[i].host) ||
            u.port != rows[i].port || !dv_str_equal(u.path, rows[i].path) ||
            !dv_str_equal(u.query, rows[i].query) || !dv_str_equal(u.text, rows[i].text))
            fail_msg("%s: got %s | %s | %u | %s | %s | %s", rows[i].input, u.scheme, u.host, u.port, u.path,
                     u.query ? u.query : "-", u.text);
    }
}

static void url_parse__refuses(void **state)
{
    static const char *const rows[] = {
        "",
        "reg.example.com",
        "ftp://h/",
        "file:///etc/passwd",
        "gopher://h/",
        "http:h",
        "http:/h",
        "//h/x",
        "http://",
        "http:///x",
        "http://user@h/",
        "http://user:pw@h/",
        "http://@h/",
        "http://h\r\nX: y/",
        "http://h/\r\nX: y",
        "http://h/a b",
        "http://h/\x7f",
        "http://h\t/",
        "http://h:0/",
        "http://h:65536/",
        "http://h:99999999999999999999/",
        "http://h:+80/",
        "http://h:8a/",
        "http://h/%",
        "http://h/%4",
        "http://h/%zz",
        "http://h/?%zz",
        "http://h%41/",
        "http://[::1/",
        "http://::1/",
        "http://[::1]x/",
        "http://[::1%25eth0]/",
        "http://[1.2.3.4]/",
        "http://[]/",
        "http://.h/",
        "http://a..b/",
        "http://./",
        "http://h\\@evil.example.com/",
        "http://h;x/",
        "http://127.1/", /* threat A2: odd spellings of addresses */
        "http://0x7f000001/",
        "http://2130706433/",
        "http://0177.0.0.1/",
        "http://127.0.0.1.0x1/",
        "http://256.1.1.1/",
        "http://127.0.0.01/",
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_url) u = DV_URL_INIT;
        int r = dv_url_parse(rows[i], &u, NULL);
        if (r != DAVIT_EPROTOCOL)
            fail_msg("\"%s\": expected EPROTOCOL, got %d %s", rows[i], r, r == 0 ? u.text : "");
    }
}

static void url_parse__length_has_a_ceiling(void **state)
{
    DV_AUTOFREE char *text = malloc(DV_URL_MAX + 2);
    DV_AUTO(dv_url) u = DV_URL_INIT, v = DV_URL_INIT;
    memset(text, 'a', DV_URL_MAX + 1);
    memcpy(text, "https://h/", 10);
    text[DV_URL_MAX + 1] = '\0';
    assert_int_equal(dv_url_parse(text, &u, NULL), DAVIT_EPROTOCOL);
    text[DV_URL_MAX] = '\0';
    assert_int_equal(dv_url_parse(text, &v, NULL), 0);
}

static void url_resolve__rfc_3986_examples(void **state)
{
    static const struct {
        const char *reference, *expected;
    } rows[] = {
        {"g", "http://a/b/c/g"},
        {"./g", "http://a/b/c/g"},
        {"g/", "http://a/b/c/g/"},
        {"/g", "http://a/g"},
        {"//g", "http://g/"},
        {"?y", "http://a/b/c/d;p?y"},
        {"g?y", "http://a/b/c/g?y"},
        {"#s", "http://a/b/c/d;p?q"},
        {"g#s", "http://a/b/c/g"},
        {";x", "http://a/b/c/;x"},
        {"", "http://a/b/c/d;p?q"},
        {".", "http://a/b/c/"},
        {"..", "http://a/b/"},
        {"../g", "http://a/b/g"},
        {"../../../g", "http://a/g"},
        {"g/../h", "http://a/b/c/h"},
        {"g?y/../x", "http://a/b/c/g?y/../x"},
        {"https://z/x", "https://z/x"},
        {"/v2/x:y", "http://a/v2/x:y"},
    };
    DV_AUTO(dv_url) base = DV_URL_INIT;
    assert_int_equal(dv_url_parse("http://a/b/c/d;p?q", &base, NULL), 0);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_url) u = DV_URL_INIT;
        int r = dv_url_resolve(&base, rows[i].reference, &u, NULL);
        if (r < 0 || !dv_str_equal(u.text, rows[i].expected))
            fail_msg("\"%s\": expected %s, got %s", rows[i].reference, rows[i].expected,
                     r < 0 ? "an error" : u.text);
    }
}

static void url_resolve__keeps_the_port_and_refuses_other_schemes(void **state)
{
    DV_AUTO(dv_url) base = DV_URL_INIT, u = DV_URL_INIT, v = DV_URL_INIT;
    assert_int_equal(dv_url_parse("https://h:8443/a/b?c", &base, NULL), 0);
    assert_int_equal(dv_url_resolve(&base, "../x", &u, NULL), 0);
    assert_string_equal(u.text, "https://h:8443/x");
    assert_int_equal(dv_url_resolve(&base, "file:///x", &v, NULL), DAVIT_EPROTOCOL);
    assert_int_equal(dv_url_resolve(&base, "javascript:x", &v, NULL), DAVIT_EPROTOCOL);
    assert_int_equal(dv_url_resolve(&base, "/a\r\nb", &v, NULL), DAVIT_EPROTOCOL);
    assert_int_equal(dv_url_resolve(&base, "//u:p@h/", &v, NULL), DAVIT_EPROTOCOL);
}

static void url_same_origin__scheme_host_and_port(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } rows[] = {
        {"https://h/a", "https://H.:443/b?c", true}, {"https://h", "http://h", false},
        {"https://h", "https://h:8443", false},      {"http://h", "http://h:80", true},
        {"https://h", "https://h.h", false},         {"http://[::1]", "http://[0::1]", true},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_url) a = DV_URL_INIT, b = DV_URL_INIT;
        assert_int_equal(dv_url_parse(rows[i].a, &a, NULL), 0);
        assert_int_equal(dv_url_parse(rows[i].b, &b, NULL), 0);
        if (dv_url_same_origin(&a, &b) != rows[i].same)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
    }
}

/* threat A12 */
static void url_redacted__query_is_not_shown(void **state)
{
    DV_AUTO(dv_url) u = DV_URL_INIT, copy = DV_URL_INIT;
    DV_AUTO(dv_buf) text = DV_BUF_INIT(1000);
    assert_int_equal(dv_url_parse("https://s3:443/b?X-Amz-Signature=secret", &u, NULL), 0);
    assert_int_equal(dv_url_copy(&u, &copy, NULL), 0);
    dv_url_redacted(&copy, &text);
    assert_string_equal(dv_buf_text(&text), "https://s3/b?...");
    assert_string_equal(copy.text, u.text);
}

static void url_escape__only_unreserved_stays(void **state)
{
    DV_AUTO(dv_buf) form = DV_BUF_INIT(1000), path = DV_BUF_INIT(1000);
    dv_url_escape(&form, "aZ09-._~ /:+%\xc3\xa4", true);
    assert_string_equal(dv_buf_text(&form), "aZ09-._~+%2F%3A%2B%25%C3%A4");
    dv_url_escape(&path, "a b", false);
    assert_string_equal(dv_buf_text(&path), "a%20b");
}

static void host__literals_and_single_labels(void **state)
{
    static const struct {
        const char *host;
        bool literal, single;
    } rows[] = {
        {"127.0.0.1", true, false},  {"[::1]", true, false},       {"::1", true, false},
        {"localhost", false, true},  {"reg.io", false, false},     {"10.1", true, false},
        {"0x7f000001", true, false}, {"1.2.3.4.io", false, false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        if (dv_host_is_literal(rows[i].host) != rows[i].literal ||
            dv_host_is_single_label(rows[i].host) != rows[i].single)
            fail_msg("%s", rows[i].host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(url_parse__parts_and_text),
        cmocka_unit_test(url_parse__refuses),
        cmocka_unit_test(url_parse__length_has_a_ceiling),
        cmocka_unit_test(url_resolve__rfc_3986_examples),
        cmocka_unit_test(url_resolve__keeps_the_port_and_refuses_other_schemes),
        cmocka_unit_test(url_same_origin__scheme_host_and_port),
        cmocka_unit_test(url_redacted__query_is_not_shown),
        cmocka_unit_test(url_escape__only_unreserved_stays),
        cmocka_unit_test(host__literals_and_single_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of auth/config_file.c (auth.md 5; threats A9). */
#include "auth/config_file.h"

#include "auth/auth_config.h"
#include "util/error.h"
#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static dv_config_file *parse(const char *text)
{
    dv_config_file *f = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    if (dv_config_file_parse("c.json", text, strlen(text), &f, &err) < 0)
        fail_msg("%s: %s", text, davit_error_message(err));
    return f;
}

/* "user:password" or "<identitytoken>" of what was found, "" for nothing. Good until the next call. */
static const char *show(const davit_auth_config *c)
{
    static char text[200];
    snprintf(text, sizeof(text), "%s%s%s",
             !c                 ? ""
             : c->identitytoken ? c->identitytoken
                                : c->username,
             c && c->password ? ":" : "", c && c->password ? c->password : "");
    return text;
}

/* Entry N has user "N" and password "p"; base64 of "0:p", "1:p", ... */
#define E0 "{\"auth\":\"MDpw\"}"
#define E1 "{\"auth\":\"MTpw\"}"
#define E2 "{\"auth\":\"Mjpw\"}"
#define E3 "{\"auth\":\"Mzpw\"}"

static void config_file_find__keys(void **state)
{
    static const struct {
        const char *auths, *domain, *repository, *expected;
    } rows[] = {
        /* auth.md 5 */
        {"\"https://index.docker.io/v1/\":{\"auth\":\"aHViOnB3\"}", "docker.io", "library/alpine", "hub:pw"},
        {"\"https://legacy.example.com/v2/\":{\"auth\":\"b2xkOnB3\"}", "legacy.example.com", "x", "old:pw"},
        {"\"a\":{\"identitytoken\":\"T\"}", "a", "x", "T"},
        {"", "reg.example.com", "x", ""},
        /* exact host and port */
        {"\"reg.example.com\":" E0, "reg.example.com", "x", "0:p"},
        {"\"reg.example.com\":" E0, "reg.example.com:5000", "x", ""},
        {"\"reg.example.com:5000\":" E0, "reg.example.com", "x", ""},
        {"\"reg.example.com:5000\":" E0, "reg.example.com:5000", "x", "0:p"},
        {"\"reg.example.com\":" E0, "xreg.example.com", "x", ""},
        {"\"reg.example.com\":" E0, "reg.example.co", "x", ""},
        {"\"reg.example.com\":" E0, "reg.example.com.evil.net", "x", ""},
        {"\"REG.example.com\":" E0, "reg.example.com", "x", ""},
        {"\"https://reg.example.com/v1/\":" E0 ",\"reg.example.com\":" E1, "reg.example.com", "x", "1:p"},
        {"\"http://reg.example.com:5000/v1/\":" E0, "reg.example.com:5000", "x", "0:p"},
        {"\"oci://reg.example.com/path\":" E0, "reg.example.com", "x", "0:p"},
        {"\"https://u@reg.example.com/\":" E0, "reg.example.com", "x", "0:p"},
        {"\"reg.example.com/\":" E0, "reg.example.com", "x", "0:p"},
        {"\"reg.example.com\":{}", "reg.example.com", "x", ""},
        {"\"reg.example.com\":null", "reg.example.com", "x", ""},
        {"\"reg.example.com\":{\"email\":\"e\"}", "reg.example.com", "x", ""},
        {"\"reg.example.com\":{\"username\":\"u\",\"password\":\"p\",\"auth\":\"\"}", "reg.example.com", "x",
         "u:p"},
        {"\"reg.example.com\":{\"username\":\"u\",\"password\":\"q\",\"auth\":\"MDpw\"}", "reg.example.com",
         "x", "0:p"},
        {"\"reg.example.com\":{\"auth\":\"dTphOmI=\"}", "reg.example.com", "x", "u:a:b"}, /* u:a:b */
        {"\"reg.example.com\":{\"auth\":\"dToAYQBi\"}", "reg.example.com", "x", NULL},    /* NUL inside */
        {"\"reg.example.com\":{\"auth\":\"dToAYQA=\"}", "reg.example.com", "x", "u:a"}, /* NULs at the ends */
        /* threat A9: Docker Hub has aliases, and nobody else has Docker Hub's */
        {"\"docker.io\":" E0, "docker.io", "library/alpine", "0:p"},
        {"\"index.docker.io\":" E0, "docker.io", "x", "0:p"},
        {"\"registry-1.docker.io\":" E0, "docker.io", "x", "0:p"},
        {"\"index.docker.io/v1/\":" E0, "docker.io", "x", "0:p"},
        {"\"docker.io\":" E0 ",\"https://index.docker.io/v1/\":" E1, "docker.io", "x", "1:p"},
        {"\"https://index.docker.io/v1/\":" E0, "index.docker.io", "x", "0:p"},
        {"\"https://index.docker.io/v1/\":" E0, "reg.example.com", "x", ""},
        {"\"https://index.docker.io/v1/\":" E0, "registry-1.docker.io", "x", ""},
        {"\"https://index.docker.io/v1/\":" E0, "docker.io.evil.net", "x", ""},
        {"\"https://index.docker.io/v1/\":" E0, "docker.io:5000", "x", ""},
        {"\"hub.docker.com\":" E0, "docker.io", "x", ""},
        /* Podman's paths */
        {"\"reg.example.com/team\":" E0, "reg.example.com", "team/app", "0:p"},
        {"\"reg.example.com/team\":" E0, "reg.example.com", "team", "0:p"},
        {"\"reg.example.com/team/\":" E0, "reg.example.com", "team/app", "0:p"},
        {"\"reg.example.com/team\":" E0, "reg.example.com", "teams/app", ""},
        {"\"reg.example.com/team\":" E0, "reg.example.com", "other", ""},
        {"\"reg.example.com/team\":" E0, "reg.example.com", NULL, ""},
        {"\"reg.example.com/team/app\":" E0, "reg.example.com", "team", ""},
        {"\"reg.example.com\":" E0 ",\"reg.example.com/team\":" E1 ",\"reg.example.com/team/app\":" E2,
         "reg.example.com", "team/app", "2:p"},
        {"\"reg.example.com/team/app\":" E2 ",\"reg.example.com/team\":" E1 ",\"reg.example.com\":" E0,
         "reg.example.com", "team/app", "2:p"},
        {"\"reg.example.com\":" E0 ",\"reg.example.com/team\":" E1 ",\"reg.example.com/team/app\":" E2,
         "reg.example.com", "team/x", "1:p"},
        {"\"reg.example.com\":" E0 ",\"reg.example.com/team\":" E1, "reg.example.com", "x", "0:p"},
        {"\"docker.io/library\":" E0 ",\"docker.io\":" E1, "docker.io", "library/alpine", "0:p"},
        {"\"docker.io/library\":" E0 ",\"docker.io\":" E1, "docker.io", "other/alpine", "1:p"},
        {"\"reg.example.com:5000/team\":" E0, "reg.example.com", "team/app", ""},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_buf) text = DV_BUF_INIT(10000);
        DV_AUTOPTR(dv_config_file) f = NULL;
        dv_buf_printf(&text,
                      "{\"auths\":{%s},\"HttpHeaders\":{\"X\":\"y\"},\"z\":[99999999999999999999,1e999]}",
                      rows[i].auths);
        if (!rows[i].expected) {
            assert_int_equal(dv_config_file_parse("c", text.data, text.size, &f, NULL), DAVIT_ECONFIG);
            continue;
        }
        f = parse(dv_buf_text(&text));
        const char *got = show(dv_config_file_find(f, rows[i].domain, rows[i].repository));
        if (strcmp(got, rows[i].expected) != 0)
            fail_msg("%s for %s/%s: expected \"%s\", got \"%s\"", rows[i].auths, rows[i].domain,
                     rows[i].repository ? rows[i].repository : "", rows[i].expected, got);
    }
}

static void config_file_find__entry_is_in_normal_form(void **state)
{
    DV_AUTOPTR(dv_config_file)
    f = parse("{\"auths\":{\"https://h/v1/\":{\"auth\":\"dTpw\",\"email\":\"e\"}}}");
    const davit_auth_config *c = dv_config_file_find(f, "h", NULL);
    assert_non_null(c);
    assert_null(c->auth);
    assert_string_equal(c->serveraddress, "https://h/v1/");
    assert_string_equal(c->email, "e");
}

static void config_file_parse__errors_name_file_and_key(void **state)
{
    static const struct {
        const char *text, *expected; /* NULL: fine */
    } rows[] = {
        {"", NULL},
        {" \n", NULL},
        {"{}", NULL},
        {"{\"auths\":null,\"credsStore\":\"\",\"credHelpers\":{}}", NULL},
        {"{\"auths\":{\"h\":{\"auth\":\"dTpw\"}},\"unknown\":[1]}", NULL},
        {"x", "c.json: "},
        {"[]", "c.json: not a JSON object"},
        {"{\"auths\":[]}", "c.json: auths: not an object"},
        {"{\"auths\":{\"h\":5}}", "c.json: auths.h: not a JSON object"},
        {"{\"auths\":{\"h\":{\"auth\":5}}}", "c.json: auths.h: \"auth\" is not a string"},
        {"{\"auths\":{\"h\":{\"auth\":\"***\"}}}", "c.json: auths.h: illegal base64 data"},
        {"{\"auths\":{\"h\":{\"auth\":\"dTpw\"},\"i\":{\"auth\":\"dTp\"}}}",
         "c.json: auths.i: illegal base64 data"},
        {"{\"auths\":{\"h\":{\"auth\":\"dXB3\"}}}", "c.json: auths.h: Invalid auth configuration file"},
        {"{\"auths\":{\"h\":{\"auth\":\"OnB3\"}}}", "c.json: auths.h: Invalid auth configuration file"},
        {"{\"credHelpers\":5}", "c.json: credHelpers: not an object"},
        {"{\"credHelpers\":{\"h\":5}}", "c.json: credHelpers.h: not a string"},
        {"{\"credsStore\":5}", "c.json: credsStore: not a string"},
        {"{\"HttpHeaders\":[]}", "c.json: HttpHeaders: not an object"},
        {"{\"HttpHeaders\":{\"X\":[\"a\"]}}", "c.json: HttpHeaders.X: not a string"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(dv_config_file) f = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = dv_config_file_parse("c.json", rows[i].text, strlen(rows[i].text), &f, &err);
        if (!rows[i].expected
                ? r != 0
                : r != DAVIT_ECONFIG || !dv_str_starts(davit_error_message(err), rows[i].expected))
            fail_msg("%s: got %d %s", rows[i].text, r, davit_error_message(err));
    }
}

static void config_file_helper__who_has_them(void **state)
{
    static const struct {
        const char *text, *domain, *expected;
    } rows[] = {
        /* auth.md 5: credHelpers[server], else credsStore, else the file */
        {"{\"credHelpers\":{\"gcr.io\":\"gcloud\"}}", "gcr.io", "gcloud"},
        {"{\"credHelpers\":{\"gcr.io\":\"gcloud\"}}", "ghcr.io", NULL},
        {"{\"credHelpers\":{\"gcr.io\":\"gcloud\"}}", "gcr.io:5000", NULL},
        {"{\"credHelpers\":{\"gcr.io\":\"gcloud\"},\"credsStore\":\"pass\"}", "gcr.io", "gcloud"},
        {"{\"credHelpers\":{\"gcr.io\":\"gcloud\"},\"credsStore\":\"pass\"}", "ghcr.io", "pass"},
        {"{\"credsStore\":\"pass\",\"auths\":{\"h\":{}}}", "h", "pass"},
        {"{\"credsStore\":\"pass\",\"auths\":{\"h\":{\"auth\":\"dTpw\"}}}", "h", "pass"},
        {"{\"credsStore\":\"pass\"}", "h", "pass"},
        {"{\"credsStore\":\"pass\"}", "docker.io", "pass"},
        {"{\"credsStore\":\"\"}", "h", NULL},
        {"{\"credsStore\":null}", "h", NULL},
        {"{}", "h", NULL},
        {"{\"credHelpers\":{\"https://index.docker.io/v1/\":\"a\",\"docker.io\":\"b\"}}", "docker.io", "a"},
        {"{\"credHelpers\":{\"docker.io\":\"b\",\"https://index.docker.io/v1/\":\"a\"}}", "docker.io", "a"},
        {"{\"credHelpers\":{\"docker.io\":\"b\"}}", "docker.io", "b"},
        {"{\"credHelpers\":{\"docker.io\":\"b\"}}", "reg.example.com", NULL},
        {"{\"credHelpers\":{\"https://h/\":\"a\",\"h\":\"b\"}}", "h", "b"},
        {"{\"credHelpers\":{\"h/team\":\"a\"}}", "h", NULL},
        /* an empty name means the file itself */
        {"{\"credsStore\":\"pass\",\"credHelpers\":{\"h\":\"\"},\"auths\":{\"h\":{}}}", "h", NULL},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(dv_config_file) f = parse(rows[i].text);
        const char *got = NULL;
        assert_int_equal(dv_config_file_helper(f, "c.json", rows[i].domain, &got, NULL), 0);
        if (!dv_str_equal(got, rows[i].expected))
            fail_msg("%s for %s: got %s", rows[i].text, rows[i].domain, got ? got : "none");
    }
}

static void config_file_helper__a_bad_name_is_told_with_file_and_key(void **state)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"{\"credsStore\":\"../x\"}", "c.json: credsStore: the name of a credential helper "},
        {"{\"credHelpers\":{\"h\":\"a/b\"}}", "c.json: credHelpers.h: the name of a credential helper "},
        {"{\"credHelpers\":{\"h\":\"-x\"},\"credsStore\":\"ok\"}", "c.json: credHelpers.h: "},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(dv_config_file) f = parse(rows[i].text);
        DV_AUTOPTR(davit_error) err = NULL;
        const char *got = NULL;
        assert_int_equal(dv_config_file_helper(f, "c.json", "h", &got, &err), DAVIT_ECONFIG);
        if (!dv_str_starts(davit_error_message(err), rows[i].expected))
            fail_msg("%s: %s", rows[i].text, davit_error_message(err));
    }
}

static void config_file_email__is_of_the_registry_itself(void **state)
{
    DV_AUTOPTR(dv_config_file)
    f = parse(
        "{\"auths\":{\"https://h/\":{\"email\":\"old\"},\"h\":{\"email\":\"e\"},\"h/team\":{\"email\":\"t\"},"
        "\"https://index.docker.io/v1/\":{\"email\":\"hub\"},\"i\":{}}}");
    assert_string_equal(dv_config_file_email(f, "h"), "e");
    assert_string_equal(dv_config_file_email(f, "docker.io"), "hub");
    assert_null(dv_config_file_email(f, "i"));
    assert_null(dv_config_file_email(f, "j"));
}

static void config_file_headers__user_agent_is_dropped(void **state)
{
    DV_AUTOPTR(dv_config_file)
    f = parse("{\"HttpHeaders\":{\"X-A\":\"1\",\"uSER-agent\":\"x\",\"X-B\":\"\"}}");
    const dv_config_header *headers;
    assert_int_equal(dv_config_file_headers(f, &headers), 2);
    assert_string_equal(headers[0].name, "X-A");
    assert_string_equal(headers[0].value, "1");
    assert_string_equal(headers[1].name, "X-B");
}

static void credential_key__of_docker_hub_and_others(void **state)
{
    static const struct {
        const char *key, *other;
        bool same;
    } rows[] = {
        {"https://h:5000/v1/?a=b", "h:5000", true},
        {"oci://h/path", "h", true},
        {"h/", "h", true},
        {"https://u:p@h/", "http://h", true},
        {"h", "H", false},
        {"h:443", "h", false},
        {"https://hh/", "h", false},
        {"", "h", false},
        {"https://[::1]:5/", "[::1]:5", true},
        {DV_HUB_KEY, "index.docker.io", true},
        {DV_HUB_KEY, "docker.io", false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        if (dv_credential_same_host(rows[i].key, rows[i].other) != rows[i].same)
            fail_msg("%s and %s", rows[i].key, rows[i].other);
    assert_string_equal(dv_credential_key("docker.io"), DV_HUB_KEY);
    assert_string_equal(dv_credential_key("index.docker.io"), DV_HUB_KEY);
    assert_string_equal(dv_credential_key("registry-1.docker.io"), "registry-1.docker.io");
    assert_string_equal(dv_credential_key("h:5000"), "h:5000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_file_find__keys),
        cmocka_unit_test(config_file_find__entry_is_in_normal_form),
        cmocka_unit_test(config_file_parse__errors_name_file_and_key),
        cmocka_unit_test(config_file_helper__who_has_them),
        cmocka_unit_test(config_file_helper__a_bad_name_is_told_with_file_and_key),
        cmocka_unit_test(config_file_email__is_of_the_registry_itself),
        cmocka_unit_test(config_file_headers__user_agent_is_dropped),
        cmocka_unit_test(credential_key__of_docker_hub_and_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

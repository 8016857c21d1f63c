/* Unit tests of auth/config_file.c (auth.md 5; DESIGN section 4; threats A9). */
#include "auth/config_file.h"

#include "auth/auth_config.h"
#include "util/error.h"
#include "util/file.h"
#include "util/log.h"
#include "util/str.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

DV_DEFINE_AUTOPTR(dv_config_file, dv_config_file_free)

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
        dv_buf_printf(&text, "{\"auths\":{%s},\"HttpHeaders\":{\"X\":\"y\"}}", rows[i].auths);
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
        {"{\"credHelpers\":{\"gcr.io\":\"gcloud\"}}", "gcr.io", "gcloud"},
        {"{\"credHelpers\":{\"gcr.io\":\"gcloud\"}}", "ghcr.io", NULL},
        {"{\"credsStore\":\"pass\",\"auths\":{\"h\":{}}}", "h", "pass"},
        {"{\"credsStore\":\"pass\",\"auths\":{\"h\":{\"auth\":\"dTpw\"}}}", "h", NULL},
        {"{\"credsStore\":\"pass\"}", "h", NULL},
        {"{\"credsStore\":\"pass\",\"auths\":{\"https://index.docker.io/v1/\":{}}}", "docker.io", "pass"},
        {"{\"credsStore\":\"pass\",\"credHelpers\":{\"h\":\"\"},\"auths\":{\"h\":{}}}", "h", NULL},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(dv_config_file) f = parse(rows[i].text);
        if (!dv_str_equal(dv_config_file_helper(f, rows[i].domain), rows[i].expected))
            fail_msg("%s for %s", rows[i].text, rows[i].domain);
    }
}

/* --- the order of files ---------------------------------------------------------------------------------------- */

static char folder[] = "/tmp/davit-config-XXXXXX";
static const char *const *environment; /* name, value, ..., NULL */

static char *get(const char *name)
{
    for (size_t i = 0; environment && environment[i]; i += 2)
        if (strcmp(environment[i], name) == 0)
            return (char *)environment[i + 1];
    return NULL;
}

static int make_folder(void **state)
{
    char path[200];
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof(path), "%s/.docker", folder);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/containers", folder);
    mkdir(path, 0700);
    return 0;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {
        "a.json",     "r.json", "config.json", ".docker/config.json", ".docker", "containers/auth.json",
        "containers", ""};
    for (size_t i = 0; i < DV_COUNT(names); i++) {
        char path[200];
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        remove(path);
    }
    return 0;
}

/* Write a file below the folder, or remove it for NULL. */
static void put(const char *name, const char *text)
{
    char path[200];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (text)
        assert_int_equal(dv_file_replace(AT_FDCWD, path, text, strlen(text), 0600, NULL), 0);
    else
        remove(path);
}

static void credential_search__first_file_with_an_entry(void **state)
{
    char authfile[200], r_json[200];
    snprintf(authfile, sizeof(authfile), "%s/a.json", folder);
    snprintf(r_json, sizeof(r_json), "%s/r.json", folder);
    const char *values[] = {"REGISTRY_AUTH_FILE",
                            r_json,
                            "DOCKER_CONFIG",
                            folder,
                            "HOME",
                            folder,
                            "XDG_RUNTIME_DIR",
                            folder,
                            NULL};
    const char *home[] = {"HOME", folder, NULL};
    dv_credential_search s = {.authfile = authfile, .environment = get};
    environment = values;
    put("a.json", "{\"auths\":{\"h\":" E0 "}}");
    put("r.json", "{\"auths\":{\"h\":" E1 ",\"i\":" E1 "}}");
    put("config.json", "{\"auths\":{\"h\":" E2 ",\"i\":" E2 ",\"j\":" E2 "}}");
    put(".docker/config.json", "{\"auths\":{\"h\":{\"auth\":\"aG9tZTpw\"}}}");
    put("containers/auth.json", "{\"auths\":{\"h\":" E3 ",\"k\":" E3 "}}");
    static const struct {
        const char *domain, *expected;
    } rows[] = {{"h", "0:p"}, {"i", "1:p"}, {"j", "2:p"}, {"k", "3:p"}, {"l", ""}};
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(davit_auth_config) c = DAVIT_AUTH_CONFIG_INIT;
        int r = dv_credential_search_find(&s, rows[i].domain, "x", &c, NULL);
        assert_int_equal(r, rows[i].expected[0] != '\0');
        assert_string_equal(show(r ? &c : NULL), rows[i].expected);
    }
    DV_AUTO(davit_auth_config) at_home = DAVIT_AUTH_CONFIG_INIT, none = DAVIT_AUTH_CONFIG_INIT;
    environment = home;
    s.authfile = NULL;
    assert_int_equal(dv_credential_search_find(&s, "h", NULL, &at_home, NULL), 1);
    assert_string_equal(show(&at_home), "home:p");
    s.environment = NULL;
    assert_int_equal(dv_credential_search_find(&s, "h", NULL, &none, NULL), 0);
}

static void credential_search__missing_is_fine_and_bad_is_an_error(void **state)
{
    char authfile[200], expected[300];
    DV_AUTOPTR(davit_error) err = NULL;
    DV_AUTO(davit_auth_config) c = DAVIT_AUTH_CONFIG_INIT;
    snprintf(authfile, sizeof(authfile), "%s/a.json", folder);
    dv_credential_search s = {.authfile = authfile};
    put("a.json", NULL);
    assert_int_equal(dv_credential_search_find(&s, "h", NULL, &c, &err), 0);
    put("a.json", "{\"auths\":{\"h\":{\"auth\":\"secret!\"}}}");
    assert_int_equal(dv_credential_search_find(&s, "h", NULL, &c, &err), DAVIT_ECONFIG);
    snprintf(expected, sizeof(expected), "%s: auths.h: illegal base64 data", authfile);
    assert_string_equal(davit_error_message(err), expected);
    s.authfile = folder; /* a directory cannot be read */
    assert_int_equal(dv_credential_search_find(&s, "h", NULL, &c, &err), DAVIT_ECONFIG);
    assert_non_null(strstr(davit_error_message(err), folder));
}

static void count_line(davit_log_level level, const char *line, void *user_data)
{
    assert_non_null(strstr(line, "docker-credential-pass"));
    ++*(int *)user_data;
}

static void credential_search__helper_is_named_once_and_passed_over(void **state)
{
    char authfile[200];
    int lines = 0;
    snprintf(authfile, sizeof(authfile), "%s/a.json", folder);
    dv_credential_search s = {.authfile = authfile, .environment = get};
    const char *values[] = {"DOCKER_CONFIG", folder, NULL};
    environment = values;
    put("a.json", "{\"credsStore\":\"pass\",\"auths\":{\"h\":{}}}");
    put("config.json", "{\"auths\":{\"h\":" E2 "}}");
    davit_log_set(count_line, DAVIT_LOG_WARNING, &lines);
    for (int i = 0; i < 2; i++) {
        DV_AUTO(davit_auth_config) c = DAVIT_AUTH_CONFIG_INIT;
        assert_int_equal(dv_credential_search_find(&s, "h", NULL, &c, NULL), 1);
        assert_string_equal(show(&c), "2:p");
    }
    davit_log_set(NULL, DAVIT_LOG_ERROR, NULL);
    assert_int_equal(lines, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_file_find__keys),
        cmocka_unit_test(config_file_find__entry_is_in_normal_form),
        cmocka_unit_test(config_file_parse__errors_name_file_and_key),
        cmocka_unit_test(config_file_helper__who_has_them),
        cmocka_unit_test(credential_search__first_file_with_an_entry),
        cmocka_unit_test(credential_search__missing_is_fine_and_bad_is_an_error),
        cmocka_unit_test(credential_search__helper_is_named_once_and_passed_over),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

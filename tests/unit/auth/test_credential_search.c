/* Unit tests of auth/credential_search.c (DESIGN section 4; auth.md 5; threats A9). */
#include "auth/credential_search.h"

#include "auth/auth_config.h"
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

/* Entry N has user "N" and password "p"; base64 of "0:p", "1:p", ... */
#define E0 "{\"auth\":\"MDpw\"}"
#define E1 "{\"auth\":\"MTpw\"}"
#define E2 "{\"auth\":\"Mjpw\"}"
#define E3 "{\"auth\":\"Mzpw\"}"

static char folder[] = "/tmp/davit-search-XXXXXX";
static char authfile[200], registry_auth_file[200];

static const char *variables[20]; /* name, value, ... */

static char *get(const char *name)
{
    for (size_t i = 0; variables[i]; i += 2)
        if (strcmp(variables[i], name) == 0)
            return (char *)variables[i + 1];
    return NULL;
}

static void set_variable(const char *name, const char *value)
{
    size_t i = 0;
    while (variables[i] && strcmp(variables[i], name) != 0)
        i += 2;
    variables[i] = name;
    variables[i + 1] = value;
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
    snprintf(authfile, sizeof(authfile), "%s/a.json", folder);
    snprintf(registry_auth_file, sizeof(registry_auth_file), "%s/r.json", folder);
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

static int fresh(void **state)
{
    static const char *const names[] = {"a.json", "r.json", "config.json", ".docker/config.json",
                                        "containers/auth.json"};
    for (size_t i = 0; i < DV_COUNT(names); i++)
        put(names[i], NULL);
    memset(variables, 0, sizeof(variables));
    set_variable("REGISTRY_AUTH_FILE", registry_auth_file);
    set_variable("DOCKER_CONFIG", folder);
    set_variable("HOME", folder);
    set_variable("XDG_RUNTIME_DIR", folder);
    return 0;
}

/* What was asked of helpers, "name server\n" each; a helper "none" has nothing, "broken" fails, others have user "helper". */
static char asked[1000];

static int ask(void *user, const char *helper, const char *server, davit_auth_config *out, davit_error **err)
{
    size_t size = strlen(asked);
    snprintf(asked + size, sizeof(asked) - size, "%s %s\n", helper, server);
    if (strcmp(helper, "broken") == 0)
        return dv_error_set(err, DAVIT_ECONFIG, "error getting credentials - err: broken");
    if (strcmp(helper, "none") == 0)
        return 0;
    davit_auth_config_init(out);
    out->username = dv_strdup("helper");
    out->password = dv_strdup("p");
    return 1;
}

static dv_credential_search usual(void)
{
    asked[0] = '\0';
    return (dv_credential_search){.authfile = authfile, .environment = get, .ask = ask};
}

/* "user:password", "" for none, "error ..." */
static const char *find(dv_credential_search *s, const char *domain, const char *repository)
{
    static char text[400];
    DV_AUTO(davit_auth_config) c = DAVIT_AUTH_CONFIG_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    int r = dv_credential_search_find(s, domain, repository, &c, &err);
    if (r < 0)
        snprintf(text, sizeof(text), "error %s", davit_error_message(err));
    else
        snprintf(text, sizeof(text), "%s%s%s%s", r ? c.username : "", r ? ":" : "", r ? c.password : "",
                 r && c.email ? c.email : "");
    return text;
}

static void credential_search__first_file_with_an_entry(void **state)
{
    dv_credential_search s = usual();
    set_variable("DOCKER_AUTH_CONFIG",
                 "{\"auths\":{\"i2\":{\"auth\":\"ZW52OnA=\"},\"i\":{\"auth\":\"ZW52OnA=\"}}}");
    put("a.json", "{\"auths\":{\"h\":" E0 "}}");
    put("r.json", "{\"auths\":{\"h\":" E1 ",\"i\":" E1 "}}");
    put("config.json", "{\"auths\":{\"h\":" E2 ",\"i\":" E2 ",\"i2\":" E2 ",\"j\":" E2 "}}");
    put(".docker/config.json", "{\"auths\":{\"h\":{\"auth\":\"aG9tZTpw\"}}}");
    put("containers/auth.json", "{\"auths\":{\"h\":" E3 ",\"k\":" E3 "}}");
    assert_string_equal(find(&s, "h", "x"), "0:p");
    assert_string_equal(find(&s, "i", "x"), "1:p");
    assert_string_equal(find(&s, "i2", "x"), "env:p");
    assert_string_equal(find(&s, "j", "x"), "2:p");
    assert_string_equal(find(&s, "k", "x"), "3:p");
    assert_string_equal(find(&s, "l", "x"), "");
    memset(variables, 0, sizeof(variables));
    set_variable("HOME", folder);
    s.authfile = NULL;
    assert_string_equal(find(&s, "h", NULL), "home:p");
    s.environment = NULL;
    assert_string_equal(find(&s, "h", NULL), "");
}

static void credential_search__missing_is_fine_and_bad_is_an_error(void **state)
{
    char expected[300];
    dv_credential_search s = usual();
    assert_string_equal(find(&s, "h", NULL), "");
    put("containers/auth.json", "{\"auths\":{\"h\":" E3 "}}");
    put("a.json", "{\"auths\":{\"h\":{\"auth\":\"secret!\"}}}");
    snprintf(expected, sizeof(expected), "error %s: auths.h: illegal base64 data", authfile);
    assert_string_equal(find(&s, "h", NULL), expected);
    s.authfile = folder; /* a directory cannot be read */
    assert_true(dv_str_starts(find(&s, "h", NULL), "error cannot read "));
}

static void credential_search__a_helper_goes_before_its_file_and_the_next_files(void **state)
{
    dv_credential_search s = usual();
    put("a.json", "{\"credHelpers\":{\"h\":\"good\",\"n\":\"none\",\"b\":\"broken\",\"m\":\"none\"},"
                  "\"auths\":{\"h\":" E0 ",\"n\":" E0 ",\"b\":" E0 ",\"https://h/v2/\":{\"email\":\"@\"}}}");
    put("config.json", "{\"auths\":{\"h\":" E2 ",\"b\":" E2 ",\"m\":" E2 "}}");
    assert_string_equal(find(&s, "h", "x"), "helper:p@");
    assert_string_equal(find(&s, "n", "x"), "0:p");
    assert_string_equal(find(&s, "m", "x"), "2:p");
    assert_string_equal(asked, "good h\nnone n\nnone m\n");
    /* threat A9: an error is no reason to take another entry */
    assert_true(dv_str_starts(find(&s, "b", "x"), "error error getting credentials - err: broken ("));
    assert_non_null(strstr(find(&s, "b", "x"), authfile));
}

static void credential_search__credsStore_is_asked_without_an_entry(void **state)
{
    dv_credential_search s = usual();
    put("config.json", "{\"credsStore\":\"good\"}");
    assert_string_equal(find(&s, "h:5000", "x"), "helper:p");
    assert_string_equal(find(&s, "docker.io", "library/x"), "helper:p");
    assert_string_equal(asked, "good h:5000\ngood https://index.docker.io/v1/\n");
}

static int lines;

static void count_line(davit_log_level level, const char *line, void *user_data)
{
    assert_non_null(strstr(line, "DOCKER_AUTH_CONFIG"));
    assert_null(strstr(line, "czNjcmV0"));
    lines++;
}

static void credential_search__the_variable(void **state)
{
    static const struct {
        const char *text, *domain, *expected;
        bool invalid;
    } rows[] = {
        /* auth.md 5 */
        {"{\"auths\":{\"h\":" E0 "}}", "h", "0:p", false},
        {"{\"auths\":{\"https://index.docker.io/v1/\":" E0 "}}", "docker.io", "0:p", false},
        {"{\"auths\":{\"docker.io\":" E0 "}}", "docker.io", "file:p", false},
        {"{\"auths\":{\"https://h/\":" E0 "}}", "h", "file:p", false}, /* exact server match only */
        {"{\"auths\":{\"i\":" E0 "}}", "h", "file:p", false},
        {"{\"auths\":{}}", "h", "file:p", false},
        {"{}", "h", "file:p", false},
        {"", "h", "file:p", false},
        {"  \n", "h", "file:p", false},
        {"{\"auths\":{\"h\":" E0 "}}{}", "h", "file:p", true},
        {"{\"auths\":{\"h\":" E0 "}} x", "h", "file:p", true},
        {"{\"auths\":{\"h\":" E0 "},\"credsStore\":\"good\"}", "h", "file:p", true},
        {"{\"auths\":{\"h\":{\"auth\":\"MDpw\",\"email\":\"e\"}}}", "h", "file:p", true},
        {"{\"auths\":{\"h\":{\"identitytoken\":\"czNjcmV0\"}}}", "h", "file:p", true},
        {"{\"auths\":{\"h\":{\"auth\":\"\"}}}", "h", "file:p", true},
        {"{\"auths\":{\"h\":{}}}", "h", "file:p", true},
        {"{\"auths\":{\"h\":null}}", "h", "file:p", true},
        {"{\"auths\":{\"h\":" E0 ",\"i\":{\"auth\":\"czNjcmV0\"}}}", "h", "file:p", true}, /* as a whole */
        {"{\"auths\":[]}", "h", "file:p", true},
        {"[]", "h", "file:p", true},
        {"{\"auths\"", "h", "file:p", true},
    };
    put("config.json", "{\"auths\":{\"h\":{\"auth\":\"ZmlsZTpw\"},\"docker.io\":{\"auth\":\"ZmlsZTpw\"}}}");
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        dv_credential_search s = usual();
        lines = 0;
        set_variable("DOCKER_AUTH_CONFIG", rows[i].text);
        davit_log_set(count_line, DAVIT_LOG_WARNING, NULL);
        for (int n = 0; n < 2; n++)
            if (strcmp(find(&s, rows[i].domain, "x"), rows[i].expected) != 0)
                fail_msg("%s for %s: got %s", rows[i].text, rows[i].domain, find(&s, rows[i].domain, "x"));
        davit_log_set(NULL, DAVIT_LOG_ERROR, NULL);
        if (lines != (rows[i].invalid ? 1 : 0))
            fail_msg("%s: %d warnings", rows[i].text, lines);
    }
}

static void credential_search__what_a_login_writes(void **state)
{
    dv_credential_search s = usual();
    char expected[300], *got = NULL;
    assert_int_equal(dv_credential_search_target(&s, &got, NULL), 0);
    assert_string_equal(got, authfile);
    free(got);
    s.authfile = NULL;
    assert_int_equal(dv_credential_search_target(&s, &got, NULL), 0);
    assert_string_equal(got, registry_auth_file);
    free(got);
    set_variable("REGISTRY_AUTH_FILE", "");
    assert_int_equal(dv_credential_search_target(&s, &got, NULL), 0);
    snprintf(expected, sizeof(expected), "%s/config.json", folder);
    assert_string_equal(got, expected);
    free(got);
    set_variable("DOCKER_CONFIG", "");
    assert_int_equal(dv_credential_search_target(&s, &got, NULL), 0);
    snprintf(expected, sizeof(expected), "%s/.docker/config.json", folder);
    assert_string_equal(got, expected);
    free(got);
    set_variable("HOME", "");
    assert_int_equal(dv_credential_search_target(&s, &got, NULL), DAVIT_ECONFIG);
}

static void credential_domain__grammar(void **state)
{
    static const struct {
        const char *text;
        bool valid;
    } rows[] = {
        {"docker.io", true},
        {"h", true},
        {"h:5000", true},
        {"a-b.c_d:1", true},
        {"[::1]", true},
        {"[fe80::1]:5000", true},
        {"127.0.0.1:65535", true},
        {"", false},
        {"h:", false},
        {"h:x", false},
        {"h:123456", false},
        {"h/x", false},
        {"https://h", false},
        {"h h", false},
        {"h\n", false},
        {"h\r\nhost=evil", false},
        {"-h", false},
        {".h", false},
        {"u@h", false},
        {"[::1", false},
        {"[]", false},
        {"[::1]x", false},
        {"h:1:2", false},
        {"[::1]]", false},
        {"é", false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        if (dv_credential_domain_is_valid(rows[i].text) != rows[i].valid)
            fail_msg("\"%s\"", rows[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(credential_search__first_file_with_an_entry, fresh),
        cmocka_unit_test_setup(credential_search__missing_is_fine_and_bad_is_an_error, fresh),
        cmocka_unit_test_setup(credential_search__a_helper_goes_before_its_file_and_the_next_files, fresh),
        cmocka_unit_test_setup(credential_search__credsStore_is_asked_without_an_entry, fresh),
        cmocka_unit_test_setup(credential_search__the_variable, fresh),
        cmocka_unit_test_setup(credential_search__what_a_login_writes, fresh),
        cmocka_unit_test(credential_domain__grammar),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}

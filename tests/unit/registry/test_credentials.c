/* Unit tests of registry/credentials.c (auth.md 4, 5; threats A4, A9, A12): one client, its files and its helper. */
#include "registry/credentials.h"

#include "auth/auth_config.h"
#include "registry/client.h"
#include "util/file.h"
#include "util/log.h"
#include "util/str.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char folder[64], old_path[4000];
static davit_client *client;

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static int set_up(void **state)
{
    char path[sizeof(old_path) + sizeof(folder) + 1];
    const davit_client_options options = DAVIT_CLIENT_OPTIONS_INIT;
    snprintf(folder, sizeof(folder), "/tmp/davit-credentials-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(old_path, sizeof(old_path), "%s", getenv("PATH"));
    snprintf(path, sizeof(path), "%s:%s", folder, old_path);
    setenv("PATH", path, 1);
    setenv("DOCKER_CONFIG", folder, 1);
    unsetenv("REGISTRY_AUTH_FILE");
    unsetenv("DOCKER_AUTH_CONFIG");
    unsetenv("XDG_RUNTIME_DIR");
    return davit_client_new(&options, &client, NULL);
}

static int tear_down(void **state)
{
    davit_client_free(client);
    client = NULL;
    setenv("PATH", old_path, 1);
    return nftw(folder, remove_entry, 10, FTW_DEPTH | FTW_PHYS);
}

static const char *below(const char *name)
{
    static char paths[4][300];
    static unsigned n;
    char *path = paths[n++ % 4];
    snprintf(path, sizeof(paths[0]), "%s/%s", folder, name);
    return path;
}

static void put(const char *name, const char *text, mode_t mode)
{
    assert_int_equal(dv_file_replace(AT_FDCWD, below(name), text, strlen(text), mode, NULL), 0);
}

/* "" when there is no such file. Good until the next call. */
static const char *content(const char *name)
{
    static char text[10000];
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(sizeof(text) - 1);
    dv_file_read(AT_FDCWD, below(name), sizeof(text) - 1, &bytes, NULL);
    memcpy(text, dv_buf_text(&bytes), bytes.size + 1);
    return text;
}

/* A helper "x" that keeps one file for each server and a line for each run. */
static void install_helper(void)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(10000);
    dv_buf_printf(
        &text,
        "#!/bin/sh\n"
        "cd %s; echo $1 >> runs; input=$(cat)\n"
        "name() { echo \"kept-$1\" | tr / _; }\n"
        "case $1 in\n"
        "get) cat \"$(name \"$input\")\" 2>/dev/null || { echo 'credentials not found in native keychain'; "
        "exit 1; };;\n"
        "store) server=${input#*ServerURL\\\":\\\"}; echo \"$input\" > \"$(name \"${server%%%%\\\"*}\")\";;\n"
        "erase) rm \"$(name \"$input\")\";;\n"
        "list) between='{'; for file in kept-*; do echo \"$between\\\"${file#kept-}\\\":\\\"u\\\"\"; "
        "between=,; done; echo };;\n"
        "esac\n",
        folder);
    assert_int_equal(text.failed, 0);
    put("docker-credential-x", dv_buf_text(&text), 0755);
}

static const char *show(const davit_auth_config *c)
{
    static char text[400];
    snprintf(text, sizeof(text), "%s%s%s%s", c->identitytoken ? "<" : "",
             c->identitytoken ? c->identitytoken
             : c->username    ? c->username
                              : "",
             c->password ? ":" : "", c->password ? c->password : "");
    return text;
}

/* "user:password", "<token", "" or "error ..." */
static const char *find(const char *server)
{
    static char text[1000];
    DV_AUTO(davit_auth_config) c = DAVIT_AUTH_CONFIG_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    if (davit_client_get_credentials(client, server, &c, &err) < 0)
        snprintf(text, sizeof(text), "error %s", davit_error_message(err));
    else
        snprintf(text, sizeof(text), "%s", show(&c));
    return text;
}

static const davit_auth_config up = {.username = (char *)"u", .password = (char *)"p"};

static void client_credentials__in_the_file(void **state)
{
    davit_credential_place place = DAVIT_CREDENTIALS_HELPER;
    DV_AUTOFREE char *where = NULL;
    DV_AUTOFREE char *removed_from = NULL;
    bool found = false;
    assert_string_equal(find("h:5000"), "");
    assert_int_equal(davit_client_put_credentials(client, "h:5000", &up, &place, &where, NULL), 0);
    assert_int_equal(place, DAVIT_CREDENTIALS_FILE);
    assert_string_equal(where, below("config.json"));
    assert_string_equal(find("h:5000"), "u:p");
    assert_string_equal(find("h"), "");
    assert_int_equal(davit_client_put_credentials(client, "docker.io", &up, NULL, NULL, NULL), 0);
    assert_string_equal(find("docker.io"), "u:p");
    assert_string_equal(content("config.json"),
                        "{\n\t\"auths\": {\n\t\t\"h:5000\": {\n\t\t\t\"auth\": \"dTpw\"\n\t\t},\n"
                        "\t\t\"https://index.docker.io/v1/\": {\n\t\t\t\"auth\": \"dTpw\"\n\t\t}\n\t}\n}");
    assert_int_equal(davit_client_delete_credentials(client, "h:5000", &found, &removed_from, NULL), 0);
    assert_true(found);
    assert_string_equal(removed_from, where);
    assert_int_equal(davit_client_delete_credentials(client, "index.docker.io", NULL, NULL, NULL), 0);
    assert_string_equal(content("config.json"), "{\n\t\"auths\": {}\n}");
    assert_int_equal(davit_client_delete_credentials(client, "h:5000", &found, NULL, NULL), 0);
    assert_false(found);
}

static void client_credentials__an_identity_token_replaces_the_password(void **state)
{
    const davit_auth_config auth = {
        .username = (char *)"u", .password = (char *)"p", .identitytoken = (char *)"T", .email = (char *)"e"};
    assert_int_equal(davit_client_put_credentials(client, "h", &auth, NULL, NULL, NULL), 0);
    assert_string_equal(
        content("config.json"),
        "{\n\t\"auths\": {\n\t\t\"h\": {\n\t\t\t\"auth\": \"dTo=\",\n\t\t\t\"email\": \"e\",\n"
        "\t\t\t\"identitytoken\": \"T\"\n\t\t}\n\t}\n}");
    install_helper();
    put("config.json", "{\"credsStore\":\"x\"}", 0600);
    assert_int_equal(davit_client_put_credentials(client, "h", &auth, NULL, NULL, NULL), 0);
    assert_string_equal(content("config.json"), "{\"credsStore\":\"x\",\"auths\":{\"h\":{\"email\":\"e\"}}}");
    assert_string_equal(find("h"), "<T");
}

static void client_credentials__with_a_helper(void **state)
{
    davit_credential_place place = DAVIT_CREDENTIALS_FILE;
    DV_AUTOFREE char *where = NULL;
    bool found = false;
    install_helper();
    put("config.json", "{\"auths\":{\"h\":{\"auth\":\"b2xkOnB3\"}},\"credHelpers\":{\"h\":\"x\"}}", 0600);
    assert_string_equal(find("h"), "old:pw"); /* the helper has none yet */
    assert_int_equal(davit_client_put_credentials(client, "h", &up, &place, &where, NULL), 0);
    assert_int_equal(place, DAVIT_CREDENTIALS_HELPER);
    assert_string_equal(where, "docker-credential-x");
    assert_string_equal(content("config.json"), "{\"auths\":{\"h\":{}},\"credHelpers\":{\"h\":\"x\"}}");
    assert_string_equal(find("h"), "u:p");
    assert_int_equal(davit_client_put_credentials(client, "other", &up, &place, NULL, NULL), 0);
    assert_int_equal(place, DAVIT_CREDENTIALS_FILE);
    /* what an older login has left under other names goes too */
    put("kept-https:__h", "{\"ServerURL\":\"https://h\",\"Username\":\"u\",\"Secret\":\"p\"}", 0600);
    assert_int_equal(davit_client_delete_credentials(client, "h", &found, NULL, NULL), 0);
    assert_true(found);
    assert_string_equal(content("kept-h"), "");
    assert_string_equal(content("kept-https:__h"), "");
    assert_string_equal(content("config.json"),
                        "{\"auths\":{\"other\":{\"auth\":\"dTpw\"}},\"credHelpers\":{\"h\":\"x\"}}");
    assert_string_equal(find("h"), "");
    assert_int_equal(davit_client_delete_credentials(client, "h", &found, NULL, NULL), 0);
    assert_false(found);
}

static void client_credentials__all_are_removed(void **state)
{
    static const char kept[] = "{\"ServerURL\":\"%s\",\"Username\":\"u\",\"Secret\":\"p\"}";
    char text[200], *where = NULL;
    bool found = false;
    install_helper();
    put("config.json",
        "{\"auths\":{\"a\":{\"auth\":\"dTpw\"},\"b/team\":{\"auth\":\"dTpw\"}},"
        "\"credHelpers\":{\"h\":\"x\",\"file\":\"\"},\"other\":1}",
        0600);
    snprintf(text, sizeof(text), kept, "h");
    put("kept-h", text, 0600);
    snprintf(text, sizeof(text), kept, "stranger");
    put("kept-stranger", text, 0600);
    assert_string_equal(find("h"), "u:p");
    assert_int_equal(davit_client_delete_all_credentials(client, &found, &where, NULL), 0);
    assert_true(found);
    assert_non_null(strstr(where, "/config.json"));
    free(where);
    assert_string_equal(find("h"), "");
    assert_string_equal(find("a"), "");
    assert_string_equal(content("kept-h"), "");
    assert_string_not_equal(content("kept-stranger"), ""); /* the helper is for one registry only */
    assert_string_equal(content("config.json"),
                        "{\"auths\":{},\"credHelpers\":{\"h\":\"x\",\"file\":\"\"},\"other\":1}");
    assert_int_equal(davit_client_delete_all_credentials(client, &found, NULL, NULL), 0);
    assert_false(found);
    put("config.json", "{\"credsStore\":\"x\"}", 0600);
    put("kept-h", text, 0600);
    assert_int_equal(davit_client_delete_all_credentials(client, &found, NULL, NULL), 0);
    assert_true(found);
    assert_string_equal(content("kept-h"), "");
    assert_string_equal(content("kept-stranger"), ""); /* it is for all of them */
}

static void client_credentials__all_go_as_far_as_they_can(void **state)
{
    DV_AUTOPTR(davit_error) err = NULL;
    put("docker-credential-x", "#!/bin/sh\necho locked; exit 1\n", 0755);
    put("config.json", "{\"auths\":{\"a\":{\"auth\":\"dTpw\"}},\"credsStore\":\"x\"}", 0600);
    assert_int_equal(davit_client_delete_all_credentials(client, NULL, NULL, &err), DAVIT_ECONFIG);
    assert_non_null(strstr(davit_error_message(err), "/config.json names this helper)"));
    assert_string_equal(content("config.json"), "{\"auths\":{},\"credsStore\":\"x\"}");
}

static void client_credentials__a_helper_runs_once(void **state)
{
    install_helper();
    put("config.json", "{\"credsStore\":\"x\"}", 0600);
    put("kept-h", "{\"ServerURL\":\"h\",\"Username\":\"u\",\"Secret\":\"p\"}", 0600);
    for (int i = 0; i < 5; i++) {
        assert_string_equal(find("h"), "u:p");
        assert_string_equal(find("none"), "");
    }
    assert_string_equal(content("runs"), "get\nget\n");
    const davit_auth_config other = {.username = (char *)"v", .password = (char *)"q"};
    assert_int_equal(davit_client_put_credentials(client, "h", &other, NULL, NULL, NULL), 0);
    assert_string_equal(find("h"), "v:q");
    assert_string_equal(content("runs"), "get\nget\nstore\nget\n");
}

static void client_credentials__a_failing_helper_changes_nothing(void **state)
{
    static const char before[] = "{\"auths\":{\"h\":{\"auth\":\"b2xkOnB3\"}},\"credsStore\":\"x\"}";
    DV_AUTOPTR(davit_error) err = NULL;
    put("docker-credential-x", "#!/bin/sh\necho locked; exit 1\n", 0755);
    put("config.json", before, 0600);
    assert_int_equal(davit_client_put_credentials(client, "h", &up, NULL, NULL, &err), DAVIT_ECONFIG);
    assert_true(dv_str_starts(davit_error_message(err),
                              "error storing credentials - err: docker-credential-x: "
                              "exit status 1, out: `locked` ("));
    assert_non_null(strstr(davit_error_message(err), "/config.json names this helper)"));
    assert_int_equal(davit_client_delete_credentials(client, "h", NULL, NULL, &err), DAVIT_ECONFIG);
    assert_true(
        dv_str_starts(davit_error_message(err), "error getting credentials - err: docker-credential-x: "));
    assert_non_null(strstr(davit_error_message(err), "/config.json names this helper)"));
    assert_true(dv_str_starts(find("h"),
                              "error error getting credentials - err: docker-credential-x: exit status 1"));
    assert_string_equal(content("config.json"), before);
}

static void client_credentials__not_a_registry(void **state)
{
    static const char *const names[] = {"", "https://h", "h/x", "h x", "h\n", "u@h", "..", NULL};
    for (size_t i = 0; i < DV_COUNT(names); i++) {
        DV_AUTO(davit_auth_config) c = DAVIT_AUTH_CONFIG_INIT;
        assert_int_equal(davit_client_get_credentials(client, names[i], &c, NULL), DAVIT_EINVAL);
        assert_int_equal(davit_client_put_credentials(client, names[i], &up, NULL, NULL, NULL), DAVIT_EINVAL);
        assert_int_equal(davit_client_delete_credentials(client, names[i], NULL, NULL, NULL), DAVIT_EINVAL);
    }
    const davit_auth_config nothing = {.username = (char *)"u"};
    assert_int_equal(davit_client_put_credentials(client, "h", &nothing, NULL, NULL, NULL), DAVIT_EINVAL);
    assert_string_equal(content("config.json"), "");
}

static void client_credentials__a_cancelled_client_asks_nobody(void **state)
{
    DV_AUTO(davit_auth_config) c = DAVIT_AUTH_CONFIG_INIT;
    install_helper();
    put("config.json", "{\"credsStore\":\"x\"}", 0600);
    davit_client_cancel(client);
    assert_int_equal(davit_client_get_credentials(client, "h", &c, NULL), DAVIT_ECANCELLED);
    assert_int_equal(davit_client_put_credentials(client, "h", &up, NULL, NULL, NULL), DAVIT_ECANCELLED);
    assert_string_equal(content("runs"), "");
}

/* --- the embedder's store ------------------------------------------------------------------------------------------- */

typedef struct own_store {
    char asked[200];
    int released;
} own_store;

static int own_basic(void *user, const char *url, char **out_username, char **out_password, davit_error **err)
{
    own_store *s = user;
    snprintf(s->asked, sizeof(s->asked), "%s", url);
    if (strcmp(url, "https://broken") == 0)
        return DAVIT_EUNAUTHORIZED;
    bool mine = strcmp(url, "https://mine:5000") == 0;
    *out_username = strdup(mine ? "own" : "");
    *out_password = strdup(mine ? "pw" : "");
    return 0;
}

static int own_token(void *user, const char *url, const char *service, char **out_token, davit_error **err)
{
    *out_token = strcmp(url, "https://docker.io") == 0 ? strdup("R") : NULL;
    return 0;
}

static void own_release(void *user)
{
    ((own_store *)user)->released++;
}

static void client_credentials__the_embedders_store_is_asked_first(void **state)
{
    own_store s = {.released = 0};
    const davit_credential_store table = {.size = sizeof(table),
                                          .user_data = &s,
                                          .basic = own_basic,
                                          .refresh_token = own_token,
                                          .release = own_release};
    davit_client_options options = DAVIT_CLIENT_OPTIONS_INIT;
    DV_AUTO(davit_auth_config) c = DAVIT_AUTH_CONFIG_INIT;
    put("config.json",
        "{\"auths\":{\"mine:5000\":{\"auth\":\"eDp5\"},\"h\":{\"auth\":\"eDp5\"},\"broken\":{\"auth\":"
        "\"eDp5\"}}}",
        0600);
    davit_client_free(client);
    client = NULL;
    options.credential_store = &table;
    options.flags = 1u << 31;
    assert_int_equal(davit_client_new(&options, &client, NULL), DAVIT_EINVAL);
    assert_int_equal(s.released, 0); /* the client takes it when it comes to be */
    options.flags = 0;
    assert_int_equal(davit_client_new(&options, &client, NULL), 0);
    assert_string_equal(find("mine:5000"), "own:pw");
    assert_string_equal(s.asked, "https://mine:5000");
    assert_string_equal(find("docker.io"), "<R");
    assert_string_equal(find("h"), "x:y");
    assert_int_equal(davit_client_get_credentials(client, "broken", &c, NULL), DAVIT_EUNAUTHORIZED);
    davit_client_free(client);
    client = NULL;
    assert_int_equal(s.released, 1);
}

/* --- HttpHeaders ---------------------------------------------------------------------------------------------------- */

static int warnings;

static void count_line(davit_log_level level, const char *line, void *user_data)
{
    assert_null(strstr(line, "s3cret"));
    warnings++;
}

static void client_headers__of_the_file(void **state)
{
    const char *const given[] = {"X-Both: option", NULL};
    davit_client_options options = DAVIT_CLIENT_OPTIONS_INIT;
    put("config.json",
        "{\"HttpHeaders\":{\"X-Meta\":\"v\",\"X-Both\":\"file\",\"User-Agent\":\"no\",\"Authorization\":"
        "\"s3cret\","
        "\"cookie\":\"s3cret\",\"X-Bad\":\"s3cret\\r\\nX: y\"}}",
        0600);
    options.headers = given;
    davit_client_free(client);
    warnings = 0;
    davit_log_set(count_line, DAVIT_LOG_WARNING, NULL);
    assert_int_equal(davit_client_new(&options, &client, NULL), 0);
    davit_log_set(NULL, DAVIT_LOG_ERROR, NULL);
    assert_int_equal(warnings, 3);
    assert_string_equal(dv_headers_get(&client->extra_headers, "X-Meta"), "v");
    assert_string_equal(dv_headers_get(&client->extra_headers, "X-Both"), "option");
    assert_null(dv_headers_get(&client->extra_headers, "User-Agent"));
    assert_null(dv_headers_get(&client->extra_headers, "Authorization"));
    assert_null(dv_headers_get(&client->extra_headers, "X-Bad"));
    davit_client_free(client);
    options.flags = DAVIT_CLIENT_NO_ENVIRONMENT;
    assert_int_equal(davit_client_new(&options, &client, NULL), 0);
    assert_null(dv_headers_get(&client->extra_headers, "X-Meta"));
}

static void client_headers__a_broken_file_is_said_by_who_needs_it(void **state)
{
    const davit_client_options options = DAVIT_CLIENT_OPTIONS_INIT;
    put("config.json", "{", 0600);
    davit_client_free(client);
    assert_int_equal(davit_client_new(&options, &client, NULL), 0);
    assert_true(dv_str_starts(find("h"), "error "));
    assert_non_null(strstr(find("h"), below("config.json")));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(client_credentials__in_the_file),
        TEST(client_credentials__an_identity_token_replaces_the_password),
        TEST(client_credentials__with_a_helper),
        TEST(client_credentials__all_are_removed),
        TEST(client_credentials__all_go_as_far_as_they_can),
        TEST(client_credentials__a_helper_runs_once),
        TEST(client_credentials__a_failing_helper_changes_nothing),
        TEST(client_credentials__not_a_registry),
        TEST(client_credentials__a_cancelled_client_asks_nobody),
        TEST(client_credentials__the_embedders_store_is_asked_first),
        TEST(client_headers__of_the_file),
        TEST(client_headers__a_broken_file_is_said_by_who_needs_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

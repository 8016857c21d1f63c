/* Unit tests of service/daemon_config.c (DESIGN 4; service.md 2; threats A15). */
#include "service/daemon_config.h"

#include "service/text_list.h"
#include "util/log.h"
#include "util/str.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A list as "a,b"; "-" for none. Good until the call after the next. */
static const char *show(char *const *list)
{
    static char texts[4][512];
    static unsigned next;
    char *text = texts[next++ % 4];
    size_t n = (size_t)snprintf(text, 512, "%s", list ? "" : "-");
    for (size_t i = 0; list && list[i]; i++)
        n += (size_t)snprintf(text + n, 512 - n, "%s%s", i ? "," : "", list[i]);
    return text;
}

static void check_refused(const char *text, size_t size, const char *expected)
{
    DV_AUTO(dv_daemon_config) c = DV_DAEMON_CONFIG_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    int r = dv_daemon_config_parse("/d.json", text, size, &c, &err);
    const char *got = r < 0 ? davit_error_message(err) : "(accepted)";
    if (r != DAVIT_ECONFIG || strcmp(got, expected) != 0)
        print_error("%.200s\n  expected %s\n  got      %s\n", text, expected, got);
    assert_int_equal(r, DAVIT_ECONFIG);
    assert_string_equal(got, expected);
    assert_null(c.path);
}

static void daemon_config_parse__every_key(void **state)
{
    static const char text[] =
        "\xef\xbb\xbf "
        "{\"registry-mirrors\":[\"https://a\",\"http://b/x/\"],\"insecure-registries\":[\"h:5000\","
        "\"10.0.0.0/8\"],\"allow-nondistributable-artifacts\":[],\"mirror-by-digest-only\":[\"https://a\"],"
        "\"max-concurrent-downloads\":7,\"max-concurrent-uploads\":8,\"max-download-attempts\":9}\n";
    DV_AUTO(dv_daemon_config) c = DV_DAEMON_CONFIG_INIT;
    assert_int_equal(dv_daemon_config_parse("/d.json", text, sizeof(text) - 1, &c, NULL), 0);
    assert_string_equal(c.path, "/d.json");
    assert_string_equal(show(c.registry_mirrors), "https://a,http://b/x/");
    assert_string_equal(show(c.insecure_registries), "h:5000,10.0.0.0/8");
    assert_string_equal(show(c.allow_nondistributable_artifacts), "");
    assert_string_equal(show(c.mirror_by_digest_only), "https://a");
    assert_int_equal(c.max_concurrent_downloads, 7);
    assert_int_equal(c.max_concurrent_uploads, 8);
    assert_int_equal(c.max_download_attempts, 9);
}

static void daemon_config_parse__what_is_not_ours_is_skipped(void **state)
{
    static const struct {
        const char *text, *mirrors;
        unsigned downloads;
    } rows[] = {
        {"", "-", 0},
        {" \t\r\n", "-", 0},
        {"{}", "-", 0},
        {"{\"data-root\":5,\"log-opts\":{\"a\":[[]]},\"hosts\":[\"fd://\"]}", "-", 0},
        {"{\"x\":123456789012345678901234567890,\"y\":[-1e999],\"max-concurrent-downloads\":2}", "-", 2},
        {"{\"Registry-Mirrors\":5,\"MAX-CONCURRENT-DOWNLOADS\":\"x\"}", "-", 0},
        {"{\"registry-mirrors\":null,\"max-concurrent-downloads\":null}", "-", 0},
        {"{\"registry-mirrors\":[],\"max-concurrent-downloads\":0}", "", 0},
        {"{\"registry-mirrors\":5,\"registry-mirrors\":[\"https://b\"]}", "https://b", 0},
        {"{\"registry-mirrors\":[\"https://a\"],\"registry-mirrors\":[\"https://b\"]}", "https://b", 0},
        {"{\"max-concurrent-downloads\":1,\"max-concurrent-downloads\":2}", "-", 2},
        {"{\"max-concurrent-downloads\":4294967295}", "-", 4294967295u},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_daemon_config) c = DV_DAEMON_CONFIG_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        if (dv_daemon_config_parse("/d.json", rows[i].text, strlen(rows[i].text), &c, &err) < 0)
            fail_msg("%s: %s", rows[i].text, davit_error_message(err));
        assert_string_equal(show(c.registry_mirrors), rows[i].mirrors);
        assert_int_equal(c.max_concurrent_downloads, rows[i].downloads);
        assert_string_equal(c.path, "/d.json");
    }
}

static void daemon_config_parse__a_fault_is_said_with_file_and_key(void **state)
{
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"[]", "/d.json: not a JSON object"},
        {"null", "/d.json: not a JSON object"},
        {"\"x\"", "/d.json: not a JSON object"},
        {"{\"registry-mirrors\":\"https://a\"}", "/d.json: registry-mirrors: not a list of strings"},
        {"{\"registry-mirrors\":{}}", "/d.json: registry-mirrors: not a list of strings"},
        {"{\"registry-mirrors\":[5]}", "/d.json: registry-mirrors: not a list of strings"},
        {"{\"registry-mirrors\":[\"https://a\",null]}", "/d.json: registry-mirrors: not a list of strings"},
        {"{\"insecure-registries\":\"x\"}", "/d.json: insecure-registries: not a list of strings"},
        {"{\"insecure-registries\":[\"a\\u0000b\"]}", "/d.json: insecure-registries: not a list of strings"},
        {"{\"allow-nondistributable-artifacts\":true}",
         "/d.json: allow-nondistributable-artifacts: not a list of strings"},
        {"{\"mirror-by-digest-only\":true}", "/d.json: mirror-by-digest-only: not a list of strings"},
        {"{\"max-concurrent-downloads\":\"3\"}", "/d.json: max-concurrent-downloads: not a whole number"},
        {"{\"max-concurrent-uploads\":3.0}", "/d.json: max-concurrent-uploads: not a whole number"},
        {"{\"max-download-attempts\":true}", "/d.json: max-download-attempts: not a whole number"},
        {"{\"max-download-attempts\":-1}",
         "/d.json: max-download-attempts: -1 is not a number of at least 1"},
        {"{\"max-concurrent-downloads\":4294967296}",
         "/d.json: max-concurrent-downloads: 4294967296 is not a number of at least 1"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        check_refused(rows[i].text, strlen(rows[i].text), rows[i].expected);
}

static void daemon_config_parse__what_is_no_json_names_the_file(void **state)
{
    static const char *const texts[] = {"{",         "{\"registry-mirrors\":[", "{}{}", "{'a':1}", "nonsense",
                                        "{\"a\":1,}"};
    for (size_t i = 0; i < DV_COUNT(texts); i++) {
        DV_AUTO(dv_daemon_config) c = DV_DAEMON_CONFIG_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        assert_int_equal(dv_daemon_config_parse("/d.json", texts[i], strlen(texts[i]), &c, &err),
                         DAVIT_ECONFIG);
        assert_true(dv_str_starts(davit_error_message(err), "/d.json: "));
    }
}

static void daemon_config_parse__a_list_has_a_ceiling(void **state)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_DAEMON_CONFIG_MAX);
    DV_AUTO(dv_daemon_config) c = DV_DAEMON_CONFIG_INIT;
    for (int i = 0; i < DV_DAEMON_ENTRIES_MAX; i++)
        dv_buf_printf(&text, "%s\"h%d\"", i ? "," : "{\"insecure-registries\":[", i);
    size_t size = text.size;
    dv_buf_puts(&text, "]}");
    assert_int_equal(dv_daemon_config_parse("/d.json", dv_buf_text(&text), text.size, &c, NULL), 0);
    assert_int_equal(dv_text_list_count(c.insecure_registries), DV_DAEMON_ENTRIES_MAX);
    text.size = size;
    dv_buf_puts(&text, ",\"more\"]}");
    check_refused(dv_buf_text(&text), text.size, "/d.json: insecure-registries: more than 1024 entries");
}

/* --- from disk ---------------------------------------------------------------------------------------------------- */

static char folder[64], first[96], second[96], missing[96];
static unsigned warnings;

static void count_warning(davit_log_level level, const char *line, void *user_data)
{
    warnings++;
}

static int make_folder(void **state)
{
    snprintf(folder, sizeof(folder), "/tmp/davit-daemon-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(first, sizeof(first), "%s/first.json", folder);
    snprintf(second, sizeof(second), "%s/second.json", folder);
    snprintf(missing, sizeof(missing), "%s/missing.json", folder);
    warnings = 0;
    davit_log_set(count_warning, DAVIT_LOG_WARNING, NULL);
    return chmod(folder, 0711);
}

static int remove_folder(void **state)
{
    davit_log_set(NULL, DAVIT_LOG_ERROR, NULL);
    unlink(first);
    unlink(second);
    rmdir(first);
    return rmdir(folder);
}

static void put(const char *path, const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void check_load(const char *named, const char *const *paths, const char *expected)
{
    DV_AUTO(dv_daemon_config) c = DV_DAEMON_CONFIG_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    if (dv_daemon_config_load(named, paths, &c, &err) < 0)
        fail_msg("%s", davit_error_message(err));
    if (expected)
        assert_string_equal(c.path, expected);
    else
        assert_null(c.path);
}

static void check_load_refused(const char *named, const char *const *paths, const char *reason)
{
    DV_AUTO(dv_daemon_config) c = DV_DAEMON_CONFIG_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    assert_int_equal(dv_daemon_config_load(named, paths, &c, &err), DAVIT_ECONFIG);
    if (!strstr(davit_error_message(err), reason) ||
        !strstr(davit_error_message(err), named ? named : paths[0]))
        fail_msg("%s: \"%s\" is not in it", davit_error_message(err), reason);
}

static void daemon_config_load__the_first_that_is_there(void **state)
{
    const char *const paths[] = {missing, first, second, NULL};
    check_load(NULL, NULL, NULL);
    check_load(NULL, paths, NULL);
    put(second, "{}", 0600);
    check_load(NULL, paths, second);
    put(first, "", 0600);
    check_load(NULL, paths, first);
    check_load(second, paths, second);
    check_load_refused(missing, paths, "No such file");
}

static void daemon_config_load__what_is_there_must_be_readable(void **state)
{
    const char *const paths[] = {first, NULL};
    put(first, "{", 0600);
    check_load_refused(NULL, paths, "JSON");
    check_load_refused(first, NULL, "JSON");
    assert_int_equal(unlink(first), 0);
    assert_int_equal(mkdir(first, 0700), 0);
    check_load_refused(NULL, paths, "not a regular file");
    check_load_refused(first, NULL, "not a regular file");
    assert_int_equal(warnings, 0);
}

static void daemon_config_load__too_large_is_refused(void **state)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(2 * DV_DAEMON_CONFIG_MAX);
    while (text.size < DV_DAEMON_CONFIG_MAX)
        dv_buf_puts(&text, "        ");
    put(first, dv_buf_text(&text), 0600);
    check_load(first, NULL, first);
    dv_buf_putc(&text, ' ');
    put(first, dv_buf_text(&text), 0600);
    check_load_refused(first, NULL, "longer than 1048576 bytes");
}

static void daemon_config_load__permission(void **state)
{
    const char *const paths[] = {first, second, NULL};
    put(first, "{}", 0);
    put(second, "{}", 0644);
    if (geteuid() == 0 && seteuid(65534) < 0)
        skip();
    check_load_refused(first, NULL, "Permission denied");
    assert_int_equal(warnings, 0);
    check_load(NULL, paths, second);
    assert_int_equal(warnings, 1);
    if (getuid() == 0)
        assert_int_equal(seteuid(0), 0);
}

/* --- values -------------------------------------------------------------------------------------------------------- */

static void daemon_config_check__refusals_of_the_service_have_file_and_key(void **state)
{
    static const struct {
        const char *text, *option_mirror, *expected; /* NULL: fine */
    } rows[] = {
        {"{\"registry-mirrors\":[\"https://a\"],\"insecure-registries\":[\"h\",\"10.0.0.0/8\"]}", NULL, NULL},
        {"{\"registry-mirrors\":[\"https://a\",\"mirror-1.example.com\"]}", NULL,
         "/d.json: registry-mirrors: invalid mirror: no scheme specified for \"mirror-1.example.com\": must "
         "use "
         "either 'https://' or 'http://'"},
        {"{\"registry-mirrors\":[\"http://foo:bar@m/\"]}", NULL,
         "/d.json: registry-mirrors: invalid mirror: username/password not allowed in URI "
         "\"http://foo:xxxxx@m/\""},
        {"{\"registry-mirrors\":[\"\"]}", NULL,
         "/d.json: registry-mirrors: invalid mirror: no scheme specified for \"\": must use either "
         "'https://' or "
         "'http://'"},
        {"{\"insecure-registries\":[\"mytest-.com\"]}", NULL,
         "/d.json: insecure-registries: insecure registry mytest-.com is not valid: invalid host "
         "\"mytest-.com\""},
        {"{\"insecure-registries\":[\"[fe80::]/64\"]}", NULL,
         "/d.json: insecure-registries: insecure registry [fe80::]/64 is not valid: invalid host "
         "\"[fe80::]/64\""},
        {"{\"insecure-registries\":[\"docker.io-\"]}", NULL,
         "/d.json: insecure-registries: invalid index name (docker.io-). Cannot begin or end with a hyphen"},
        {"{\"registry-mirrors\":[\"https://a\"],\"mirror-by-digest-only\":[\"https://a/\"]}", NULL, NULL},
        {"{\"mirror-by-digest-only\":[\"https://a/\"]}", "https://a", NULL},
        {"{\"mirror-by-digest-only\":[\"https://a/\"]}", NULL,
         "/d.json: mirror-by-digest-only: mirror-by-digest-only https://a/ is none of the registry mirrors"},
        /* what is wrong with an option is not the file's fault */
        {"{\"mirror-by-digest-only\":[\"https://a/\"]}", "nonsense", NULL},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_daemon_config) c = DV_DAEMON_CONFIG_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        const char *const mirrors[] = {rows[i].option_mirror, NULL};
        assert_int_equal(dv_daemon_config_parse("/d.json", rows[i].text, strlen(rows[i].text), &c, NULL), 0);
        int r = dv_daemon_config_check(&c, mirrors, &err);
        const char *got = r < 0 ? davit_error_message(err) : NULL;
        if (!dv_str_equal(got, rows[i].expected))
            print_error("%s\n  expected %s\n  got      %s\n", rows[i].text, rows[i].expected, got);
        assert_true(dv_str_equal(got, rows[i].expected));
        assert_int_equal(r, rows[i].expected ? DAVIT_ECONFIG : 0);
    }
}

static void daemon_config_join__the_file_comes_first(void **state)
{
    char *file[] = {(char *)"a", (char *)"b", NULL};
    const char *options[] = {"c", "a", NULL};
    static const char *const expected[] = {"", "a,b", "c,a", "a,b,c,a"};
    for (unsigned i = 0; i < 4; i++) {
        DV_AUTO_TEXT_LIST joined = NULL;
        assert_int_equal(dv_daemon_config_join(i & 1 ? file : NULL, i & 2 ? options : NULL, &joined, NULL), 0);
        assert_string_equal(show(joined), expected[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(daemon_config_parse__every_key),
        cmocka_unit_test(daemon_config_parse__what_is_not_ours_is_skipped),
        cmocka_unit_test(daemon_config_parse__a_fault_is_said_with_file_and_key),
        cmocka_unit_test(daemon_config_parse__what_is_no_json_names_the_file),
        cmocka_unit_test(daemon_config_parse__a_list_has_a_ceiling),
        cmocka_unit_test_setup_teardown(daemon_config_load__the_first_that_is_there, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(daemon_config_load__what_is_there_must_be_readable, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(daemon_config_load__too_large_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(daemon_config_load__permission, make_folder, remove_folder),
        cmocka_unit_test(daemon_config_check__refusals_of_the_service_have_file_and_key),
        cmocka_unit_test(daemon_config_join__the_file_comes_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

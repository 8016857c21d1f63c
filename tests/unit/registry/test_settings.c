/* Unit tests of registry/settings.c and of how a client takes its configuration (DESIGN 4). */
#include "registry/client.h"
#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

DV_DEFINE_AUTOPTR(davit_client, davit_client_free)
DV_DEFINE_AUTOPTR(davit_settings, davit_settings_free)

static char path[64];

/* A configuration file for one test; gives its path. */
static const char *write_file(const char *text)
{
    snprintf(path, sizeof(path), "/tmp/davit-settings-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return path;
}

static int remove_file(void **state)
{
    if (*path)
        unlink(path);
    *path = '\0';
    return 0;
}

static davit_client *make(davit_client_options *o)
{
    davit_client *c = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    o->version = DAVIT_CLIENT_OPTIONS_VERSION;
    o->flags |= DAVIT_CLIENT_NO_ENVIRONMENT;
    if (davit_client_new(o, &c, &err) < 0)
        fail_msg("%s", davit_error_message(err));
    return c;
}

/* The rows of a key as "value=origin value=origin"; the path of the file is F. Good until the next call. */
static const char *rows(davit_client *c, const char *key)
{
    static char text[1024];
    DV_AUTOPTR(davit_settings) s = NULL;
    size_t n = 0;
    *text = '\0';
    assert_int_equal(davit_client_settings(c, &s, NULL), 0);
    for (size_t i = 0; i < s->count; i++)
        if (dv_str_equal(s->items[i].key, key))
            n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s=%s", n ? " " : "", s->items[i].value,
                                  *path && dv_str_equal(s->items[i].origin, path) ? "F" : s->items[i].origin);
    return text;
}

static void settings__of_nothing_are_defaults(void **state)
{
    DV_AUTOPTR(davit_client) c = make(&(davit_client_options){0});
    DV_AUTOPTR(davit_settings) s = NULL;
    assert_int_equal(davit_client_settings(c, &s, NULL), 0);
    for (size_t i = 0; i < s->count; i++)
        assert_string_equal(s->items[i].origin, "default");
    assert_string_equal(rows(c, "insecure-registries"), "::1/128=default 127.0.0.0/8=default");
    assert_string_equal(rows(c, "max-concurrent-downloads"), "3 large, 16 small=default");
    assert_string_equal(rows(c, "max-concurrent-uploads"), "5 large, 16 small=default");
    assert_string_equal(rows(c, "retry-delay"), "0.5=default");
    assert_string_equal(rows(c, "min-rate-window"), "60=default");
    assert_string_equal(rows(c, "config"), "");
    assert_string_equal(rows(c, "store"), "");
    assert_int_equal(c->uploads, 0);
}

static void settings__of_file_and_options(void **state)
{
    const char *const mirrors[] = {"https://file", "https://option", NULL};
    const char *const insecure[] = {"HTTP://option", "10.9.9.9/8", NULL};
    const char *const headers[] = {"X-A: s3cret", NULL};
    davit_client_options o = {
        .config_file = write_file("{\"registry-mirrors\":[\"https://file/\",\"https://bytes\"],"
                                  "\"mirror-by-digest-only\":[\"https://option\"],"
                                  "\"insecure-registries\":[\"in-file\",\"10.0.0.0/8\",\"127.0.0.0/8\"],"
                                  "\"allow-nondistributable-artifacts\":[\"f\"],"
                                  "\"max-concurrent-downloads\":7,\"max-concurrent-uploads\":8,"
                                  "\"max-download-attempts\":9}"),
        .registry_mirrors = mirrors,
        .insecure_registries = insecure,
        .headers = headers,
        .max_concurrent_uploads = 2,
        .stall_timeout_ms = 1250,
        .certs_dir = "/certs",
        .store_dir = "/st",
    };
    DV_AUTOPTR(davit_client) c = make(&o);
    static const struct {
        const char *key, *expected;
    } expected[] = {
        {"registry-mirrors", "https://file/=F https://bytes/=F https://option/=option"},
        {"mirror-by-digest-only", "https://option/=F"},
        {"insecure-registries", "10.0.0.0/8=F 127.0.0.0/8=default ::1/128=default in-file=F option=option"},
        {"allow-nondistributable-artifacts", "f=F"},
        {"max-concurrent-downloads", "7=F"},
        {"max-concurrent-uploads", "2=option"},
        {"max-download-attempts", "9=F"},
        {"stall-timeout", "1.25=option"},
        {"min-rate-window", "2.5=default"},
        {"header", "X-A: ***=option"},
        {"certs-dir", "/certs=option"},
        {"store", "/st=option"},
    };
    for (size_t i = 0; i < DV_COUNT(expected); i++)
        assert_string_equal(rows(c, expected[i].key), expected[i].expected);
    assert_int_equal(c->downloads, 7);
    assert_int_equal(c->uploads, 2);
    assert_int_equal(c->retry.attempts, 9);
}

/* Its own lists count, and the file's numbers. */
static void settings__of_a_service_that_was_brought(void **state)
{
    const char *const mirrors[] = {"https://own", NULL}, *const others[] = {"https://other", NULL};
    davit_service_options with = DAVIT_SERVICE_OPTIONS_INIT;
    DV_AUTOPTR(davit_service) service = NULL;
    DV_AUTOPTR(davit_service_commit) commit = NULL;
    with.mirrors = mirrors;
    with.digest_only_mirrors = mirrors;
    assert_int_equal(davit_service_new(&with, &service, NULL), 0);
    davit_client_options o = {
        .config_file = write_file("{\"registry-mirrors\":[\"nonsense\"],\"max-concurrent-downloads\":7}"),
        .registry_mirrors = others,
        .service = service,
    };
    DV_AUTOPTR(davit_client) c = make(&o);
    assert_ptr_equal(davit_client_service(c), service);
    assert_string_equal(rows(c, "registry-mirrors"), "https://own/=option");
    assert_string_equal(rows(c, "mirror-by-digest-only"), "https://own/=option");
    assert_string_equal(rows(c, "max-concurrent-downloads"), "7=F");
    with.mirrors = others;
    with.digest_only_mirrors = NULL;
    assert_int_equal(davit_service_replace_config(service, &with, &commit, NULL), 0);
    assert_string_equal(rows(c, "registry-mirrors"), "https://own/=option");
    davit_service_commit_run(commit);
    assert_string_equal(rows(c, "registry-mirrors"), "https://other/=option");
    assert_string_equal(rows(c, "mirror-by-digest-only"), "");
}

static void client__a_fault_of_an_option_is_not_the_files(void **state)
{
    const char *const mirrors[] = {"nonsense", NULL};
    DV_AUTOPTR(davit_error) err = NULL;
    davit_client *c = NULL;
    davit_client_options o = DAVIT_CLIENT_OPTIONS_INIT;
    o.flags = DAVIT_CLIENT_NO_ENVIRONMENT;
    o.config_file = write_file("{\"registry-mirrors\":[\"https://file\"]}");
    o.registry_mirrors = mirrors;
    assert_int_equal(davit_client_new(&o, &c, &err), DAVIT_EINVAL);
    assert_true(dv_str_starts(davit_error_message(err), "invalid mirror: "));
    unlink(path);
    assert_int_equal(davit_client_new(&o, &c, &err), DAVIT_ECONFIG);
    assert_non_null(strstr(davit_error_message(err), path));
    assert_null(c);
}

static void settings_free__nothing_is_fine(void **state)
{
    davit_settings_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings__of_nothing_are_defaults),
        cmocka_unit_test_teardown(settings__of_file_and_options, remove_file),
        cmocka_unit_test_teardown(settings__of_a_service_that_was_brought, remove_file),
        cmocka_unit_test_teardown(client__a_fault_of_an_option_is_not_the_files, remove_file),
        cmocka_unit_test(settings_free__nothing_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

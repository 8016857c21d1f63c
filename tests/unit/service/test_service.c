/* Unit tests of service/service.c (service.md 6, 7, 10, 18). */
#include "service/service.h"

#include "service/config_view.h"
#include "service/index_info.h"

#include "fake_resolver.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

DV_DEFINE_AUTOPTR(davit_reference, davit_reference_free)

#define OPTIONS(...) (&(davit_service_options){.version = DAVIT_SERVICE_OPTIONS_VERSION, __VA_ARGS__})
#define LIST(...)         \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }

/* The first mirror in force; "" for none. */
static void first_mirror(davit_service *s, char out[100])
{
    DV_AUTO(davit_service_config) config = DAVIT_SERVICE_CONFIG_INIT;
    assert_int_equal(davit_service_get_config(s, &config, NULL), 0);
    snprintf(out, 100, "%s", config.mirrors ? config.mirrors[0] : "");
}

static void check_mirror(davit_service *s, const char *expected)
{
    char got[100];
    first_mirror(s, got);
    assert_string_equal(got, expected);
}

static void service_new__reads_its_options(void **state)
{
    static const struct {
        davit_service_options options;
        const char *error;
    } rows[] = {
        {{0}, "davit_service_options of version 0"},
        {{.version = 2}, "davit_service_options of version 2"},
        {{.version = 1, .flags = 1u << 2}, "unknown service flags 0x4"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_service *s = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        assert_int_equal(davit_service_new(&rows[i].options, &s, &err), DAVIT_EINVAL);
        assert_string_equal(davit_error_message(err), rows[i].error);
        assert_null(s);
    }
    DV_AUTOPTR(davit_service) s = NULL;
    assert_int_equal(davit_service_new(NULL, &s, NULL), 0);
    check_mirror(s, "");
}

static void service_new__first_bad_entry_fails_the_whole(void **state)
{
    /* service.md 19.8 */
    davit_service *s = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    const davit_service_options *o =
        OPTIONS(.mirrors = LIST("https://a"), .insecure_registries = LIST("ok", "mytest-.com"));
    assert_int_equal(davit_service_new(o, &s, &err), DAVIT_EINVAL);
    assert_string_equal(davit_error_message(err),
                        "insecure registry mytest-.com is not valid: invalid host \"mytest-.com\"");
    assert_null(s);
}

static void service__insecure_registries(void **state)
{
    static const struct {
        const char *host, *entry;
        bool insecure;
    } rows[] = {
        /* service.md 7 */
        {"example.com", NULL, false},
        {"localhost", "localhost:5000", true},
        {"localhost", NULL, true},
        {"127.0.0.1", NULL, true},
        {"127.0.0.1:5000", "example.com", true},
        {"example.com", "42.42.0.0/16", true},
        {"invalid.example.com", "42.42.0.0/16", false},
        {"invalid.example.com:5000", "invalid.example.com", false},
        {"docker.io", "docker.io", false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        for (int v27 = 0; v27 < 2; v27++) {
            DV_AUTOPTR(davit_service) s = NULL;
            const char *list[] = {rows[i].entry, NULL};
            dv_service_options o = {.insecure_registries = list, .v27 = v27, .resolve = fake_resolve};
            assert_int_equal(dv_service_new(&o, &s, NULL), 0);
            if (davit_service_is_insecure_registry(s, rows[i].host) != rows[i].insecure)
                fail_msg("v2%d: %s with %s", v27 ? 7 : 8, rows[i].host, rows[i].entry ? rows[i].entry : "-");
        }
}

static void service__resolves_repositories_with_its_mirrors(void **state)
{
    DV_AUTOPTR(davit_service) s = NULL;
    DV_AUTOPTR(davit_reference) ref = NULL;
    DV_AUTO(davit_repository_info) info = DAVIT_REPOSITORY_INFO_INIT;
    assert_int_equal(davit_service_new(OPTIONS(.mirrors = LIST("https://a")), &s, NULL), 0);
    assert_int_equal(davit_reference_parse("ubuntu:22.04", &ref, NULL), 0);
    assert_int_equal(davit_service_resolve_repository(s, ref, &info, NULL), 0);
    assert_string_equal(davit_reference_text(info.name), "docker.io/library/ubuntu");
    assert_string_equal(info.index.mirrors[0], "https://a/");
    assert_true(info.official && info.index.official && info.index.secure);
}

static void service__version_flag(void **state)
{
    /* service.md 18 */
    for (int v27 = 0; v27 < 2; v27++) {
        DV_AUTOPTR(davit_service) s = NULL;
        DV_AUTO(davit_service_config) config = DAVIT_SERVICE_CONFIG_INIT;
        char text[DAVIT_NET_IP_NET_TEXT_MAX];
        const davit_service_options *o = OPTIONS(.flags = v27 ? DAVIT_SERVICE_V27 : 0,
                                                 .allow_nondistributable_artifacts = LIST("h", "10.0.0.0/8"));
        assert_int_equal(davit_service_new(o, &s, NULL), 0);
        assert_int_equal(davit_service_get_config(s, &config, NULL), 0);
        assert_int_equal(config.insecure_registry_cidr_count, v27 ? 1 : 2);
        assert_string_equal(davit_net_ip_net_text(config.insecure_registry_cidrs, text),
                            v27 ? "127.0.0.0/8" : "::1/128");
        assert_int_equal(config.allow_nondistributable_artifacts_cidr_count, v27);
        assert_int_equal(config.allow_nondistributable_artifacts_hostnames != NULL, v27);
        assert_int_equal(davit_service_is_insecure_registry(s, "[::1]:5000"), !v27);
    }
}

/* --- replacing (service.md 10) ----------------------------------------------------------------------------------------- */

static void replace_config__waits_for_its_commit(void **state)
{
    DV_AUTOPTR(davit_service) s = NULL;
    DV_AUTOPTR(davit_service_commit) commit = NULL;
    assert_int_equal(davit_service_new(OPTIONS(.mirrors = LIST("https://a")), &s, NULL), 0);
    assert_int_equal(davit_service_replace_config(s, OPTIONS(.mirrors = LIST("https://b")), &commit, NULL), 0);
    check_mirror(s, "https://a/");
    davit_service_commit_run(commit);
    check_mirror(s, "https://b/");
    davit_service_commit_run(commit);
    check_mirror(s, "https://b/");
}

static void replace_config__an_error_changes_nothing(void **state)
{
    DV_AUTOPTR(davit_service) s = NULL;
    davit_service_commit *commit = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    const davit_service_options *bad = OPTIONS(.mirrors = LIST("https://b", "ftp://c"));
    assert_int_equal(davit_service_new(OPTIONS(.mirrors = LIST("https://a")), &s, NULL), 0);
    assert_int_equal(davit_service_replace_config(s, bad, &commit, &err), DAVIT_EINVAL);
    assert_non_null(strstr(davit_error_message(err), "unsupported scheme \"ftp\""));
    assert_int_equal(davit_service_replace_config(s, OPTIONS(.flags = 1u << 9), &commit, NULL), DAVIT_EINVAL);
    assert_null(commit);
    check_mirror(s, "https://a/");
}

static void replace_config__the_last_commit_that_runs_wins(void **state)
{
    DV_AUTOPTR(davit_service) s = NULL;
    DV_AUTOPTR(davit_service_commit) b = NULL;
    DV_AUTOPTR(davit_service_commit) c = NULL;
    assert_int_equal(davit_service_new(OPTIONS(.mirrors = LIST("https://a")), &s, NULL), 0);
    assert_int_equal(davit_service_replace_config(s, OPTIONS(.mirrors = LIST("https://b")), &b, NULL), 0);
    assert_int_equal(davit_service_replace_config(s, OPTIONS(.mirrors = LIST("https://c")), &c, NULL), 0);
    davit_service_commit_run(c);
    check_mirror(s, "https://c/");
    davit_service_commit_run(b);
    check_mirror(s, "https://b/");
    davit_service_commit_run(c);
    check_mirror(s, "https://c/");
}

static void replace_config__a_commit_outlives_its_service(void **state)
{
    davit_service *s = NULL;
    DV_AUTOPTR(davit_service_commit) commit = NULL;
    assert_int_equal(davit_service_new(NULL, &s, NULL), 0);
    assert_int_equal(davit_service_replace_config(s, OPTIONS(.mirrors = LIST("https://b")), &commit, NULL), 0);
    davit_service_unref(s);
    davit_service_commit_run(commit);
    davit_service_commit_free(NULL);
}

static void replace_config__keeps_the_name_service_and_old_snapshots(void **state)
{
    DV_AUTOPTR(davit_service) s = NULL;
    DV_AUTOPTR(davit_service_commit) commit = NULL;
    assert_int_equal(dv_service_new(&(dv_service_options){.resolve = fake_resolve}, &s, NULL), 0);
    DV_AUTOPTR(dv_service_config) before = dv_service_snapshot(s);
    const davit_service_options *o = OPTIONS(.insecure_registries = LIST("42.42.0.0/16"));
    assert_int_equal(davit_service_replace_config(s, o, &commit, NULL), 0);
    davit_service_commit_run(commit);
    assert_true(davit_service_is_insecure_registry(s, "example.com"));
    assert_false(dv_service_config_is_insecure(before, "example.com"));
}

#define READERS 3
#define ROUNDS 200

typedef struct reading {
    davit_service *service;
    atomic_bool stop;
    atomic_int torn; /* a list of one configuration beside that of another */
} reading;

/* Both configurations have the same letter in mirror and insecure registry. */
static void *read_until_stopped(void *user)
{
    reading *r = user;
    while (!atomic_load(&r->stop)) {
        davit_service_config config = DAVIT_SERVICE_CONFIG_INIT;
        if (davit_service_get_config(r->service, &config, NULL) < 0)
            continue;
        char letter = config.mirrors[0][strlen("https://")];
        bool found = false;
        for (size_t i = 0; i < config.index_config_count; i++)
            found = found || config.index_configs[i].name[0] == letter;
        if (!found)
            atomic_fetch_add(&r->torn, 1);
        davit_service_config_clear(&config);
        davit_service_is_insecure_registry(r->service, "a.example.com");
    }
    return NULL;
}

static void replace_config__readers_see_one_or_the_other(void **state)
{
    reading r = {0};
    pthread_t threads[READERS];
    const davit_service_options *a =
        OPTIONS(.mirrors = LIST("https://a"), .insecure_registries = LIST("a.example.com"));
    const davit_service_options *b =
        OPTIONS(.mirrors = LIST("https://b"), .insecure_registries = LIST("b.example.com"));
    assert_int_equal(davit_service_new(a, &r.service, NULL), 0);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_until_stopped, &r), 0);
    for (int i = 0; i < ROUNDS; i++) {
        DV_AUTOPTR(davit_service_commit) commit = NULL;
        assert_int_equal(davit_service_replace_config(r.service, i % 2 ? a : b, &commit, NULL), 0);
        davit_service_commit_run(commit);
    }
    atomic_store(&r.stop, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    davit_service_unref(r.service);
    assert_int_equal(r.torn, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(service_new__reads_its_options),
        cmocka_unit_test(service_new__first_bad_entry_fails_the_whole),
        cmocka_unit_test(service__insecure_registries),
        cmocka_unit_test(service__resolves_repositories_with_its_mirrors),
        cmocka_unit_test(service__version_flag),
        cmocka_unit_test(replace_config__waits_for_its_commit),
        cmocka_unit_test(replace_config__an_error_changes_nothing),
        cmocka_unit_test(replace_config__the_last_commit_that_runs_wins),
        cmocka_unit_test(replace_config__a_commit_outlives_its_service),
        cmocka_unit_test(replace_config__keeps_the_name_service_and_old_snapshots),
        cmocka_unit_test(replace_config__readers_see_one_or_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

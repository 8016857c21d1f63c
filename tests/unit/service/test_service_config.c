/* Unit tests of service/service_config.c (service.md 6, 7; threat A15). */
#include "service/service_config.h"

#include "fake_resolver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void service_config__mirrors_are_normal_and_once(void **state)
{
    const char *mirrors[] = {"https://a", "https://a/", "http://b", "https://b//", NULL};
    DV_AUTOPTR(dv_service_config) c = NULL;
    assert_int_equal(dv_service_config_new(&(dv_service_options){.mirrors = mirrors}, &c, NULL), 0);
    assert_int_equal(c->mirror_count, 3);
    assert_string_equal(c->mirrors[0], "https://a/");
    assert_string_equal(c->mirrors[1], "http://b/");
    assert_string_equal(c->mirrors[2], "https://b//"); /* pitfall 2 */
    assert_null(c->mirrors[3]);
}

static void service_config__first_error_fails_the_whole(void **state)
{
    const char *mirrors[] = {"https://a", "x", NULL};
    const char *insecure[] = {"ok", "a b", NULL};
    const char *artifacts[] = {"ok", "svn://x", NULL};
    DV_AUTOPTR(dv_service_config) c = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    dv_service_options options = {.mirrors = mirrors,
                                  .insecure_registries = insecure,
                                  .allow_nondistributable_artifacts = artifacts,
                                  .v27 = true};
    assert_int_equal(dv_service_config_new(&options, &c, &err), DAVIT_EINVAL);
    assert_non_null(strstr(davit_error_message(err), "allow-nondistributable-artifacts"));
    options.v27 = false; /* v28 does not look at them */
    assert_int_equal(dv_service_config_new(&options, &c, &err), DAVIT_EINVAL);
    assert_non_null(strstr(davit_error_message(err), "invalid mirror"));
    options.mirrors = NULL;
    assert_int_equal(dv_service_config_new(&options, &c, &err), DAVIT_EINVAL);
    assert_non_null(strstr(davit_error_message(err), "insecure registry a b"));
    assert_null(c);
}

static void service_config__digest_only_mirrors_are_mirrors(void **state)
{
    const char *mirrors[] = {"https://a", "http://b/", NULL};
    const char *digest_only[] = {"http://b", "http://b/", NULL};
    const char *stranger[] = {"https://b", NULL};
    DV_AUTOPTR(dv_service_config) c = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    dv_service_options options = {.mirrors = mirrors, .digest_only_mirrors = digest_only};
    assert_int_equal(dv_service_config_new(&options, &c, NULL), 0);
    assert_true(dv_service_config_mirror_is_digest_only(c, "http://b/"));
    assert_false(dv_service_config_mirror_is_digest_only(c, "https://a/"));
    assert_null(c->digest_only_mirrors[1]);
    options.digest_only_mirrors = stranger;
    DV_AUTOPTR(dv_service_config) none = NULL;
    assert_int_equal(dv_service_config_new(&options, &none, &err), DAVIT_EINVAL);
    assert_string_equal(davit_error_message(err),
                        "mirror-by-digest-only https://b is none of the registry mirrors");
}

static void service_config__certs_dir_is_a_copy(void **state)
{
    char dir[] = "/x/certs";
    DV_AUTOPTR(dv_service_config) c = NULL;
    DV_AUTOPTR(dv_service_config) none = NULL;
    assert_int_equal(dv_service_config_new(&(dv_service_options){.certs_dir = dir}, &c, NULL), 0);
    dir[1] = 'y';
    assert_string_equal(c->certs_dir, "/x/certs");
    assert_int_equal(dv_service_config_new(&(dv_service_options){0}, &none, NULL), 0);
    assert_null(none->certs_dir);
}

static void service_config__nondistributable(void **state)
{
#define BAD(entry, why) "allow-nondistributable-artifacts registry " entry " is not valid: " why
    static const struct {
        const char *entry, *host;
        bool allowed;
        const char *error;
    } rows[] = {
        /* service.md 7 */
        {"example.com", "example.com", true, NULL},
        {"localhost:5000", "localhost", false, NULL},
        {"localhost:5000", "localhost:5000", true, NULL},
        {"42.42.0.0/16", "example.com:5000", true, NULL},
        {"10.0.0.0/8", "10.1.2.3", true, NULL},
        {"10.0.0.0/8", "127.0.0.1", false, NULL},
        {NULL, "127.0.0.1", false, NULL},
        /* service.md 6 */
        {"http://h", NULL, false,
         "allow-nondistributable-artifacts registry http://h should not contain '://'"},
        {"-h", NULL, false, "invalid index name (-h). Cannot begin or end with a hyphen"},
        {"mytest-.com", NULL, false, BAD("mytest-.com", "invalid host \"mytest-.com\"")},
        {"h:500000", NULL, false, BAD("h:500000", "invalid port \"500000\"")},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        const char *list[] = {rows[i].entry, NULL};
        DV_AUTOPTR(dv_service_config) c = NULL;
        DV_AUTOPTR(dv_service_config) v28 = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        dv_service_options options = {
            .allow_nondistributable_artifacts = list, .v27 = true, .resolve = fake_resolve};
        int r = dv_service_config_new(&options, &c, &err);
        if (rows[i].error
                ? r != DAVIT_EINVAL || strcmp(davit_error_message(err), rows[i].error) != 0
                : r != 0 || dv_service_config_allows_nondistributable(c, rows[i].host) != rows[i].allowed)
            fail_msg("%s, %s: got %d %s", rows[i].entry ? rows[i].entry : "-", rows[i].host, r,
                     davit_error_message(err));
        options.v27 = false;
        assert_int_equal(dv_service_config_new(&options, &v28, NULL), 0);
        assert_false(dv_service_config_allows_nondistributable(v28, rows[i].host ? rows[i].host : "h"));
    }
}

static void service_config__v27_mirrors(void **state)
{
    const char *mirrors[] = {"mirror-1.example.com", NULL};
    DV_AUTOPTR(dv_service_config) c = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    dv_service_options options = {.mirrors = mirrors, .v27 = true};
    assert_int_equal(dv_service_config_new(&options, &c, &err), DAVIT_EINVAL);
    assert_string_equal(davit_error_message(err),
                        "invalid mirror: unsupported scheme \"\" in \"mirror-1.example.com\"");
}

static void service_config__skipping_verification_spares_docker_hub(void **state)
{
    DV_AUTOPTR(dv_service_config) c = NULL;
    assert_int_equal(dv_service_config_new(&(dv_service_options){.skip_tls_verify = true}, &c, NULL), 0);
    assert_true(dv_service_config_is_insecure(c, "reg.example.com"));
    assert_false(dv_service_config_is_insecure(c, "docker.io"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(service_config__mirrors_are_normal_and_once),
        cmocka_unit_test(service_config__first_error_fails_the_whole),
        cmocka_unit_test(service_config__digest_only_mirrors_are_mirrors),
        cmocka_unit_test(service_config__certs_dir_is_a_copy),
        cmocka_unit_test(service_config__nondistributable),
        cmocka_unit_test(service_config__v27_mirrors),
        cmocka_unit_test(service_config__skipping_verification_spares_docker_hub),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

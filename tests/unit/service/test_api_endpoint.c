/* Unit tests of service/api_endpoint.c (service.md 9, 18, 19). */
#include "service/service.h"

#include "fake_resolver.h"

#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

DV_DEFINE_AUTOPTR(davit_api_endpoints, davit_api_endpoints_free)

typedef int lookup_fn(davit_service *, const char *, davit_api_endpoints **, davit_error **);

/* URL, then m, o, i for mirror, official and unverified TLS, n for nondistributable layers. */
static char *describe(const davit_api_endpoints *e, bool v27)
{
    dv_buf text = DV_BUF_INIT(10000);
    for (size_t i = 0; i < e->count; i++) {
        const davit_api_endpoint *p = &e->items[i];
        dv_buf_printf(&text, "%s%s %s%s%s%s", i ? ", " : "", p->url, p->mirror ? "m" : "",
                      p->official ? "o" : "", davit_tls_config_is_insecure(p->tls_config) ? "i" : "",
                      p->allow_nondistributable_artifacts ? "n" : "");
        assert_int_equal(p->trim_hostname, v27);
        assert_int_equal(p->api_version, v27 ? DAVIT_API_VERSION_2 : DAVIT_API_VERSION_NONE);
        assert_false(davit_tls_config_has_roots(p->tls_config));
        assert_int_equal(davit_tls_config_client_certificate_count(p->tls_config), 0);
    }
    return dv_buf_take(&text);
}

static davit_service *service_of(const char *const *mirrors, const char *insecure, bool v27)
{
    static const char *const artifacts[] = {"artifacts.example.com", "docker.io", "42.42.0.0/16", NULL};
    const char *list[] = {insecure, NULL};
    davit_service *s = NULL;
    dv_service_options o = {.mirrors = mirrors,
                            .insecure_registries = list,
                            .allow_nondistributable_artifacts = artifacts,
                            .certs_dir = "/nonexistent/certs.d",
                            .v27 = v27,
                            .resolve = fake_resolve};
    assert_int_equal(dv_service_new(&o, &s, NULL), 0);
    return s;
}

static void lookup_endpoints__lists(void **state)
{
    static const struct {
        const char *what, *host, *mirrors[3], *insecure, *expected, *v27; /* v27 NULL: the same */
    } rows[] = {
        /* service.md 9 */
        {"pull",
         "docker.io",
         {"https://my.mirror"},
         NULL,
         "https://my.mirror/ m, https://registry-1.docker.io o",
         "https://my.mirror/ m, https://registry-1.docker.io on"},
        {"push",
         "docker.io",
         {"https://my.mirror"},
         NULL,
         "https://registry-1.docker.io o",
         "https://registry-1.docker.io on"},
        {"pull", "reg.example.com", {NULL}, NULL, "https://reg.example.com ", NULL},
        {"pull", "localhost:5000", {NULL}, NULL, "https://localhost:5000 i, http://localhost:5000 i", NULL},
        {"push",
         "reg.example.com",
         {NULL},
         "reg.example.com",
         "https://reg.example.com i, http://reg.example.com i",
         NULL},
        /* names of Docker Hub, and one that is not */
        {"pull", "index.docker.io", {NULL}, NULL, "https://registry-1.docker.io o", NULL},
        {"pull", "registry-1.docker.io", {"https://my.mirror"}, NULL, "https://registry-1.docker.io ", NULL},
        {"pull",
         "docker.io",
         {NULL},
         "docker.io",
         "https://registry-1.docker.io o",
         "https://registry-1.docker.io on"}, /* pitfall 3 */
        /* mirrors: in order, path kept, insecure by their own host, never expanded */
        {"pull",
         "index.docker.io",
         {"http://b", "https://a/v1"},
         NULL,
         "http://b/ m, https://a/v1/ m, https://registry-1.docker.io o",
         NULL},
        {"pull",
         "index.docker.io",
         {"https://a:5000/x"},
         "a:5000",
         "https://a:5000/x/ mi, https://registry-1.docker.io o",
         NULL},
        /* as it was asked for; nondistributable by host and by address */
        {"pull", "Reg.Example.com:5000", {NULL}, NULL, "https://Reg.Example.com:5000 ", NULL},
        {"pull",
         "artifacts.example.com",
         {NULL},
         NULL,
         "https://artifacts.example.com ",
         "https://artifacts.example.com n"},
        {"push", "example.com:5000", {NULL}, NULL, "https://example.com:5000 ", "https://example.com:5000 n"},
        {"pull", "[::1]:5000", {NULL}, NULL, "https://[::1]:5000 i, http://[::1]:5000 i", "https://[::1]:5000 "},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        for (int v27 = 0; v27 < 2; v27++) {
            DV_AUTOPTR(davit_service) s = service_of(rows[i].mirrors, rows[i].insecure, v27);
            DV_AUTOPTR(davit_api_endpoints) e = NULL;
            lookup_fn *lookup = strcmp(rows[i].what, "pull") == 0 ? davit_service_lookup_pull_endpoints
                                                                  : davit_service_lookup_push_endpoints;
            assert_int_equal(lookup(s, rows[i].host, &e, NULL), 0);
            DV_AUTOFREE char *got = describe(e, v27);
            const char *expected = v27 && rows[i].v27 ? rows[i].v27 : rows[i].expected;
            if (strcmp(got, expected) != 0)
                fail_msg("v2%d %s %s: expected %s, got %s", v27 ? 7 : 8, rows[i].what, rows[i].host, expected,
                         got);
        }
}

static void lookup_endpoints__both_schemes_share_their_tls(void **state)
{
    DV_AUTOPTR(davit_service) s = service_of(NULL, NULL, false);
    DV_AUTOPTR(davit_api_endpoints) e = NULL;
    assert_int_equal(davit_service_lookup_pull_endpoints(s, "localhost:5000", &e, NULL), 0);
    assert_int_equal(e->count, 2);
    assert_ptr_equal(e->items[0].tls_config, e->items[1].tls_config);
}

static void lookup_endpoints__a_mirror_of_an_odd_scheme_does_no_harm(void **state)
{
    static const char *const mirrors[] = {"HTTPS://h", NULL}; /* pitfall 1 */
    DV_AUTOPTR(davit_service) s = service_of(mirrors, NULL, false);
    DV_AUTOPTR(davit_api_endpoints) e = NULL;
    if (davit_service_lookup_pull_endpoints(s, "docker.io", &e, NULL) == 0)
        assert_int_equal(e->count, 2);
}

static void lookup_endpoints__what_is_no_host_is_refused(void **state)
{
    static const char *const hosts[] = {"reg.example.com:99999", "a b", "", "h/../x?y", "h\n"};
    DV_AUTOPTR(davit_service) s = service_of(NULL, NULL, false);
    for (size_t i = 0; i < DV_COUNT(hosts); i++) {
        davit_api_endpoints *e = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = davit_service_lookup_pull_endpoints(s, hosts[i], &e, &err);
        if (r != DAVIT_EINVAL || e)
            fail_msg("\"%s\": got %d", hosts[i], r);
    }
}

/* dir/host/NAME with some text. */
static void put_file(const char *dir, const char *host, const char *name)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/%s", dir, host);
    mkdir(path, 0700);
    snprintf(path, sizeof(path), "%s/%s/%s", dir, host, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs("no certificate\n", f);
    fclose(f);
}

static void remove_file(const char *dir, const char *host, const char *name)
{
    char path[300];
    snprintf(path, sizeof(path), "%s/%s/%s", dir, host, name);
    assert_int_equal(unlink(path), 0);
    *strrchr(path, '/') = '\0';
    assert_int_equal(rmdir(path), 0);
}

static void lookup_endpoints__bad_certificates_fail_the_whole(void **state)
{
    static const struct {
        lookup_fn *lookup;
        const char *host;
        bool fails;
    } rows[] = {
        {davit_service_lookup_pull_endpoints, "reg.example.com:5000", true},
        {davit_service_lookup_push_endpoints, "reg.example.com:5000", true},
        {davit_service_lookup_pull_endpoints, "reg.example.com", false}, /* pitfall 6 */
        {davit_service_lookup_pull_endpoints, "docker.io", true},
        {davit_service_lookup_push_endpoints, "docker.io", false}, /* service.md 18: mirrors are not touched */
        {davit_service_lookup_pull_endpoints, "localhost:5000", false}, /* pitfall 5 */
    };
    static const char *const mirrors[] = {"https://good.mirror", "https://my.mirror/v1", NULL};
    static const char *const hosts[] = {"reg.example.com:5000", "my.mirror", "localhost:5000"};
    char dir[] = "/tmp/davit-certs-XXXXXX";
    DV_AUTOPTR(davit_service) s = NULL;
    assert_non_null(mkdtemp(dir));
    for (size_t i = 0; i < DV_COUNT(hosts); i++)
        put_file(dir, hosts[i], "client.key");
    assert_int_equal(dv_service_new(&(dv_service_options){.mirrors = mirrors, .certs_dir = dir}, &s, NULL), 0);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(davit_api_endpoints) e = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = rows[i].lookup(s, rows[i].host, &e, &err);
        if (rows[i].fails ? r != DAVIT_EINVAL || e || !strstr(davit_error_message(err), "client.key") : r != 0)
            fail_msg("%s, row %zu: got %d %s", rows[i].host, i, r, davit_error_message(err));
    }
    for (size_t i = 0; i < DV_COUNT(hosts); i++)
        remove_file(dir, hosts[i], "client.key");
    assert_int_equal(rmdir(dir), 0);
}

static void lookup_endpoints__outlive_service_and_configuration(void **state)
{
    static const char *const mirrors[] = {"https://a", NULL};
    davit_service *s = service_of(mirrors, NULL, false);
    DV_AUTOPTR(davit_api_endpoints) e = NULL;
    DV_AUTOPTR(davit_service_commit) commit = NULL;
    assert_int_equal(davit_service_lookup_pull_endpoints(s, "docker.io", &e, NULL), 0);
    assert_int_equal(davit_service_replace_config(s, NULL, &commit, NULL), 0);
    davit_service_commit_run(commit);
    davit_service_unref(s);
    assert_string_equal(e->items[0].url, "https://a/");
    assert_false(davit_tls_config_is_insecure(e->items[0].tls_config));
}

static void api_version__texts(void **state)
{
    assert_string_equal(davit_api_version_text(DAVIT_API_VERSION_1), "v1");
    assert_string_equal(davit_api_version_text(DAVIT_API_VERSION_2), "v2");
    assert_string_equal(davit_api_version_text(DAVIT_API_VERSION_NONE), "");
    assert_string_equal(davit_api_version_text((davit_api_version)99), "");
    davit_api_endpoints_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lookup_endpoints__lists),
        cmocka_unit_test(lookup_endpoints__both_schemes_share_their_tls),
        cmocka_unit_test(lookup_endpoints__a_mirror_of_an_odd_scheme_does_no_harm),
        cmocka_unit_test(lookup_endpoints__what_is_no_host_is_refused),
        cmocka_unit_test(lookup_endpoints__bad_certificates_fail_the_whole),
        cmocka_unit_test(lookup_endpoints__outlive_service_and_configuration),
        cmocka_unit_test(api_version__texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

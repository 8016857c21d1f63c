/* Unit tests of service/endpoint.c (service.md 9, 12, v28; threat A14). */
#include "service/endpoint.h"
#include "util/file.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void endpoints_for_pull__lists(void **state)
{
    static const struct {
        const char *domain, *mirrors[3], *insecure;
        bool skip;
        const char *expected; /* URL, then m, o, i for the flags */
    } rows[] = {
        /* service.md 9 */
        {"docker.io",
         {"https://my.mirror"},
         NULL,
         false,
         "https://my.mirror/ m, https://registry-1.docker.io/ o"},
        {"index.docker.io", {NULL}, NULL, false, "https://registry-1.docker.io/ o"},
        {"reg.example.com", {"https://my.mirror"}, NULL, false, "https://reg.example.com/ "},
        {"localhost:5000", {NULL}, NULL, false, "https://localhost:5000/ i"},
        {"reg.example.com", {NULL}, "reg.example.com", false, "https://reg.example.com/ i"},
        {"registry-1.docker.io", {"https://my.mirror"}, NULL, false, "https://registry-1.docker.io/ "},
        {"127.0.0.1:5000", {NULL}, NULL, false, "https://127.0.0.1:5000/ i"},
        {"[::1]:5000", {NULL}, NULL, false, "https://[::1]:5000/ i"},
        /* mirrors: in order, path kept, scheme kept, security by host */
        {"docker.io",
         {"http://b", "https://a/v1"},
         NULL,
         false,
         "http://b/ m, https://a/v1/ m, https://registry-1.docker.io/ o"},
        {"docker.io",
         {"https://a", "https://a/"},
         NULL,
         false,
         "https://a/ m, https://registry-1.docker.io/ o"},
        {"docker.io",
         {"https://a:5000/x"},
         "a:5000",
         false,
         "https://a:5000/x/ mi, https://registry-1.docker.io/ o"},
        {"docker.io",
         {"http://127.0.0.1:5000"},
         NULL,
         false,
         "http://127.0.0.1:5000/ mi, https://registry-1.docker.io/ o"},
        {"docker.io",
         {"HTTPS://h"},
         NULL,
         false,
         "https://https//h/ m, https://registry-1.docker.io/ o"}, /* pitfall 1 */
        /* --tls-verify=false; Docker Hub stays what it is */
        {"reg.example.com", {NULL}, NULL, true, "https://reg.example.com/ i"},
        {"docker.io", {NULL}, "docker.io", true, "https://registry-1.docker.io/ o"},
        {"Reg.Example.com", {NULL}, NULL, false, "https://reg.example.com/ "},
        {"reg.example.com:99999", {NULL}, NULL, false, NULL},
        {"docker.io", {"https://"}, NULL, false, NULL},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        const char *insecure[] = {rows[i].insecure, NULL};
        DV_AUTOPTR(dv_service_config) c = NULL;
        DV_AUTO(dv_endpoints) e = DV_ENDPOINTS_INIT;
        DV_AUTO(dv_buf) got = DV_BUF_INIT(10000);
        dv_service_options options = {
            .mirrors = rows[i].mirrors, .insecure_registries = insecure, .skip_tls_verify = rows[i].skip};
        assert_int_equal(dv_service_config_new(&options, &c, NULL), 0);
        int r = dv_endpoints_for_pull(c, rows[i].domain, &e, NULL);
        if (!rows[i].expected) {
            assert_int_equal(r, DAVIT_EINVAL);
            continue;
        }
        for (size_t j = 0; j < e.count; j++)
            dv_buf_printf(&got, "%s%s %s%s%s", j ? ", " : "", e.items[j].url.text,
                          e.items[j].mirror ? "m" : "", e.items[j].official ? "o" : "",
                          e.items[j].insecure ? "i" : "");
        if (strcmp(dv_buf_text(&got), rows[i].expected) != 0)
            fail_msg("%s: expected %s, got %s", rows[i].domain, rows[i].expected, dv_buf_text(&got));
    }
}

/* service.md 9: the same without mirrors, of which not even the certificates are looked at. */
static void endpoints_for_push__have_no_mirrors(void **state)
{
    static const struct {
        const char *domain, *expected;
    } rows[] = {
        {"docker.io", "https://registry-1.docker.io/"},
        {"index.docker.io", "https://registry-1.docker.io/"},
        {"reg.example.com", "https://reg.example.com/"},
        {"localhost:5000", "https://localhost:5000/"},
    };
    const char *mirrors[] = {"https://my.mirror", NULL};
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOPTR(dv_service_config) c = NULL;
        DV_AUTO(dv_endpoints) e = DV_ENDPOINTS_INIT;
        assert_int_equal(dv_service_config_new(&(dv_service_options){.mirrors = mirrors}, &c, NULL), 0);
        assert_int_equal(dv_endpoints_for_push(c, rows[i].domain, &e, NULL), 0);
        assert_int_equal(e.count, 1);
        assert_string_equal(e.items[0].url.text, rows[i].expected);
    }
    DV_AUTOPTR(dv_service_config) c = NULL;
    DV_AUTO(dv_endpoints) e = DV_ENDPOINTS_INIT;
    assert_int_equal(dv_service_config_new(&(dv_service_options){.mirrors = mirrors}, &c, NULL), 0);
    assert_int_equal(dv_endpoints_for_push(c, "reg.example.com:99999", &e, NULL), DAVIT_EINVAL);
}

/* A host that somebody typed becomes the name of a directory and a part of a URL: nothing in it may lead elsewhere. */
static void endpoints__what_is_no_host_is_refused(void **state)
{
    static const char *const hosts[] = {
        "",    ".",    "..",    "a/b", "a/../b",    "../../etc",      "/etc", "a/",   "a?b",
        "a#b", "a\\b", "u:p@h", "u@h", "https://h", "http://h:5000/", "a b",  "a\tb", "a\nb",
    };
    DV_AUTOPTR(dv_service_config) c = NULL;
    assert_int_equal(dv_service_config_new(&(dv_service_options){.certs_dir = "/nonexistent"}, &c, NULL), 0);
    for (size_t i = 0; i < DV_COUNT(hosts); i++) {
        DV_AUTO(dv_endpoints) pull = DV_ENDPOINTS_INIT, push = DV_ENDPOINTS_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = dv_endpoints_for_pull(c, hosts[i], &pull, &err);
        if (r != DAVIT_EINVAL || !strstr(davit_error_message(err), "is no registry's host"))
            fail_msg("%s: %d %s", hosts[i], r, err ? davit_error_message(err) : pull.items[0].url.text);
        assert_int_equal(dv_endpoints_for_push(c, hosts[i], &push, NULL), DAVIT_EINVAL);
    }
}

static void endpoints__flags_of_the_configuration(void **state)
{
    const char *mirrors[] = {"https://all", "https://bytes", NULL}, *bytes[] = {"https://bytes/", NULL};
    const char *artifacts[] = {"reg.example.com", NULL};
    DV_AUTOPTR(dv_service_config) c = NULL;
    DV_AUTO(dv_endpoints) hub = DV_ENDPOINTS_INIT;
    DV_AUTO(dv_endpoints) host = DV_ENDPOINTS_INIT;
    DV_AUTO(dv_endpoints) other = DV_ENDPOINTS_INIT;
    assert_int_equal(dv_service_config_new(&(dv_service_options){.mirrors = mirrors,
                                                                 .digest_only_mirrors = bytes,
                                                                 .allow_nondistributable_artifacts = artifacts,
                                                                 .v27 = true},
                                           &c, NULL),
                     0);
    assert_int_equal(dv_endpoints_for_pull(c, "docker.io", &hub, NULL), 0);
    assert_int_equal(dv_endpoints_for_pull(c, "reg.example.com", &host, NULL), 0);
    assert_int_equal(dv_endpoints_for_push(c, "other.example.com", &other, NULL), 0);
    assert_int_equal(hub.count, 3);
    assert_true(!hub.items[0].digest_only && hub.items[1].digest_only && !hub.items[2].digest_only);
    assert_false(hub.items[0].allow_nondistributable_artifacts ||
                 hub.items[2].allow_nondistributable_artifacts);
    assert_true(host.items[0].allow_nondistributable_artifacts);
    assert_false(other.items[0].allow_nondistributable_artifacts);
}

/* --- certificates ------------------------------------------------------------------------------------------------- */

static char certs[] = "/tmp/davit-endpoint-XXXXXX";

/* Each host's directory holds a client certificate without its key: whoever looks into it fails. */
static int make_certs(void **state)
{
    static const char *const hosts[] = {"bad.example.com:5000", "docker.io", "registry-1.docker.io",
                                        "127.0.0.1:5000", "bad.mirror"};
    if (!mkdtemp(certs))
        return -1;
    for (size_t i = 0; i < DV_COUNT(hosts); i++) {
        DV_AUTO(dv_buf) path = DV_BUF_INIT(1000);
        dv_buf_printf(&path, "%s/%s", certs, hosts[i]);
        if (dv_make_directories(dv_buf_text(&path), 0700, NULL) < 0)
            return -1;
        dv_buf_puts(&path, "/client.cert");
        if (dv_file_replace(AT_FDCWD, dv_buf_text(&path), "x", 1, 0600, NULL) < 0)
            return -1;
    }
    return 0;
}

static int remove_certs(void **state)
{
    DV_AUTO(dv_buf) command = DV_BUF_INIT(1000);
    dv_buf_printf(&command, "rm -r %s", certs);
    return system(dv_buf_text(&command));
}

/* service.md 9, 12, 19: only a secure host looks, at the directory of its name as it was written. */
static void endpoints__load_the_certificates_of_secure_hosts(void **state)
{
    static const struct {
        const char *domain, *mirror, *insecure;
        bool fails;
        const char *tls; /* of each endpoint: "-" none, "i" insecure, "v" verified */
    } rows[] = {
        {"bad.example.com:5000", NULL, NULL, true, NULL},
        {"bad.example.com", NULL, NULL, false, "v"}, /* pitfall 6 */
        {"bad.example.com:5001", NULL, NULL, false, "v"},
        {"bad.example.com:5000", NULL, "bad.example.com:5000", false, "i"}, /* pitfall 5 */
        {"127.0.0.1:5000", NULL, NULL, false, "i"},
        {"good.example.com", NULL, NULL, false, "v"},
        {"docker.io", NULL, NULL, false, "-"},            /* plain defaults */
        {"registry-1.docker.io", NULL, NULL, true, NULL}, /* asked for by that name it is any other host */
        {"docker.io", "https://bad.mirror", NULL, true, NULL},
        {"docker.io", "http://bad.mirror", NULL, true, NULL}, /* it may redirect to https */
        {"docker.io", "https://bad.mirror:5000", NULL, false, "v-"},
        {"docker.io", "https://bad.mirror", "bad.mirror", false, "i-"},
        {"docker.io", "https://bad.mirror/path", NULL, true, NULL},
        {"reg.example.com", "https://bad.mirror", NULL, false, "v"}, /* whose mirror it is not */
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        const char *mirrors[] = {rows[i].mirror, NULL}, *insecure[] = {rows[i].insecure, NULL};
        DV_AUTOPTR(dv_service_config) c = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        DV_AUTO(dv_endpoints) e = DV_ENDPOINTS_INIT;
        DV_AUTO(dv_buf) got = DV_BUF_INIT(100);
        const dv_service_options options = {
            .mirrors = mirrors, .insecure_registries = insecure, .certs_dir = certs};
        assert_int_equal(dv_service_config_new(&options, &c, NULL), 0);
        int r = dv_endpoints_for_pull(c, rows[i].domain, &e, &err);
        for (size_t j = 0; j < e.count; j++)
            dv_buf_putc(&got, !e.items[j].tls                                ? '-'
                              : davit_tls_config_is_insecure(e.items[j].tls) ? 'i'
                                                                             : 'v');
        if ((r < 0) != rows[i].fails ||
            (r < 0 && !strstr(davit_error_message(err), "missing key client.key")) ||
            (r == 0 && strcmp(dv_buf_text(&got), rows[i].tls) != 0))
            fail_msg("row %zu: %s: %s, %s", i, rows[i].domain, davit_error_message(err), dv_buf_text(&got));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(endpoints_for_pull__lists),
        cmocka_unit_test(endpoints_for_push__have_no_mirrors),
        cmocka_unit_test(endpoints__what_is_no_host_is_refused),
        cmocka_unit_test(endpoints__flags_of_the_configuration),
        cmocka_unit_test_setup_teardown(endpoints__load_the_certificates_of_secure_hosts, make_certs,
                                        remove_certs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

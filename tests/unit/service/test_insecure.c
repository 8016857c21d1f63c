/* Unit tests of service/insecure.c (service.md 6, 7; threat A14). */
#include "service/insecure.h"

#include "fake_resolver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool is_insecure(const char *host, const char *entry, bool v27)
{
    DV_AUTO(dv_host_set) s = DV_HOST_SET_INIT;
    const dv_lookup lookup = {fake_resolve, NULL, .first = v27};
    if (entry)
        assert_int_equal(dv_insecure_add(&s, entry, NULL), 0);
    assert_int_equal(dv_insecure_add_built_in(&s, v27, NULL), 0);
    fake_lookups = 0;
    return dv_insecure_has(&s, host, &lookup);
}

static void insecure_has__hosts(void **state)
{
    static const struct {
        const char *host, *entry;
        bool insecure;
        int lookups, v27_lookups;
        bool v27_differs;
    } rows[] = {
        /* service.md 7 */
        {"example.com", NULL, false, 0, 0},
        {"localhost", "localhost:5000", true, 0, 0},
        {"localhost", NULL, true, 0, 0},
        {"127.0.0.1", NULL, true, 0, 0},
        {"127.0.0.1:5000", "example.com", true, 0, 0},
        {"example.com", "42.42.0.0/16", true, 1, 1},
        {"invalid.example.com", "42.42.0.0/16", false, 1, 1},
        {"invalid.example.com:5000", "invalid.example.com", false, 0, 0},
        /* names */
        {"reg.example.com", "reg.example.com", true, 0, 0},
        {"reg.example.com:5000", "reg.example.com:5000", true, 0, 0},
        {"reg.example.com", "reg.example.com:5000", false, 0, 0},
        {"reg.example.com", "REG.example.com", false, 0, 0},
        {"reg.example.com", "HTTP://reg.example.com", true, 0, 0},
        {"docker.io", "docker.io", false, 0, 0}, /* pitfall 3 */
        {"index.docker.io", "index.docker.io", true, 0, 0},
        /* networks; a port does not matter */
        {"127.255.0.1:1", NULL, true, 0, 0},
        {"128.0.0.1", NULL, false, 0, 0},
        {"LOCALHOST:5000", NULL, true, 0, 0},
        {"localhost.example.com", NULL, false, 0, 0},
        {"[::1]:5000", NULL, true, 0, 0, .v27_differs = true},
        {"[::1]", NULL, false, 0, 0}, /* pitfall 4 */
        {"[::2]:5000", NULL, false, 0, 0},
        {"[::ffff:127.0.0.1]:5000", NULL, true, 0, 0},
        {"10.1.2.3:5000", "10.0.0.0/8", true, 0, 1},
        {"10.1.2.3", "10.1.2.99/24", true, 0, 1},
        {"10.1.3.3", "10.1.2.99/24", false, 0, 1},
        {"10.1.2.3", "::ffff:10.0.0.0/104", true, 0, 1},
        {"example.com:5000", "42.42.0.0/16", true, 1, 1},
        {"example.com", "2001:db8::/32", true, 1, 1},
        {"example.com", "43.0.0.0/8", false, 1, 1},
        {"mapped.example.com", "42.42.42.42/32", true, 1, 1},
        {"anything.example.com", "0.0.0.0/0", false, 1, 1},
        /* a name is looked up only when more than loopback is listed */
        {"loopback.example.com", NULL, false, 0, 0},
        {"loopback.example.com", "127.0.0.0/8", false, 0, 0},
        {"loopback.example.com", "192.0.2.0/24", true, 1, 1},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        for (int v27 = 0; v27 < 2; v27++) {
            bool got = is_insecure(rows[i].host, rows[i].entry, v27);
            bool expected = rows[i].insecure != (v27 && rows[i].v27_differs);
            if (got != expected || fake_lookups != (v27 ? rows[i].v27_lookups : rows[i].lookups))
                fail_msg("v2%d: %s with %s: got %d after %d lookups", v27 ? 7 : 8, rows[i].host,
                         rows[i].entry ? rows[i].entry : "-", got, fake_lookups);
        }
}

static void insecure_without_config__hosts(void **state)
{
    static const struct {
        const char *host;
        bool insecure;
        int lookups;
    } rows[] = {
        {"localhost", true, 0},
        {"LocalHost:8000", true, 0},
        {"127.0.0.1", true, 0},
        {"127.0.0.1:8000", true, 0},
        {"127.9.9.9", true, 0},
        {"::1", true, 0},
        {"[::1]:8000", true, 0},
        {"[::2]:8000", false, 0},
        {"10.1.2.3:8000", false, 0},
        {"example.com", false, 1},
        {"example.com:8000", false, 1},
        {"loopback.example.com", true, 1},
        {"loopback6.example.com:8000", true, 1},
        {"invalid.example.com", false, 1},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        fake_lookups = 0;
        bool got = dv_insecure_without_config(rows[i].host, &(dv_lookup){fake_resolve});
        if (got != rows[i].insecure || fake_lookups != rows[i].lookups)
            fail_msg("%s: got %d after %d lookups", rows[i].host, got, fake_lookups);
    }
}

static void insecure_add__texts(void **state)
{
#define BAD(entry, why) "insecure registry " entry " is not valid: " why
    static const struct {
        const char *entry, *name, *network, *error;
    } rows[] = {
        {"102.10.8.1/24", NULL, "102.10.8.0/24", NULL},
        {"HTTP://myregistry.example.com", "myregistry.example.com", NULL, NULL},
        {"https://myregistry.example.com:5000", "myregistry.example.com:5000", NULL, NULL},
        {"http://10.0.0.1/8", NULL, "10.0.0.0/8", NULL},
        {"svn://myregistry.example.com", NULL, NULL,
         "insecure registry svn://myregistry.example.com should not contain '://'"},
        {"mytest-.com", NULL, NULL, BAD("mytest-.com", "invalid host \"mytest-.com\"")},
        {"myregistry.example.com:500000", NULL, NULL,
         BAD("myregistry.example.com:500000", "invalid port \"500000\"")},
        {"\"myregistry.example.com:5000\"", NULL, NULL,
         BAD("\"myregistry.example.com:5000\"", "invalid host \"\\\"myregistry.example.com\"")},
        {"[fe80::]/64", NULL, NULL, BAD("[fe80::]/64", "invalid host \"[fe80::]/64\"")},
        {"-a", NULL, NULL, "invalid index name (-a). Cannot begin or end with a hyphen"},
        {"docker.io-", NULL, NULL, "invalid index name (docker.io-). Cannot begin or end with a hyphen"},
        {"http://http://h", NULL, NULL, BAD("http://h", "invalid host \"http\"")},
        {"https://-a", NULL, NULL, BAD("-a", "invalid host \"-a\"")},
        {"HTTP://h/v2", NULL, NULL, BAD("h/v2", "invalid host \"h/v2\"")},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_host_set) s = DV_HOST_SET_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        char text[DAVIT_NET_IP_NET_TEXT_MAX];
        int r = dv_insecure_add(&s, rows[i].entry, &err);
        if (rows[i].error ? r != DAVIT_EINVAL || strcmp(davit_error_message(err), rows[i].error) != 0
                          : r != 0 || (rows[i].name && strcmp(s.names[0], rows[i].name) != 0) ||
                                (rows[i].network &&
                                 strcmp(davit_net_ip_net_text(&s.networks[0], text), rows[i].network) != 0))
            fail_msg("\"%s\": got %d %s", rows[i].entry, r, davit_error_message(err));
    }
}

static void insecure_add_built_in__behind_the_users(void **state)
{
    static const struct {
        const char *entry, *networks;
        bool v27;
    } rows[] = {
        {NULL, "::1/128 127.0.0.0/8 ", false},
        {NULL, "127.0.0.0/8 ", true},
        {"10.0.0.0/8", "10.0.0.0/8 ::1/128 127.0.0.0/8 ", false},
        {"127.0.0.1/8", "127.0.0.0/8 ::1/128 ", false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_host_set) s = DV_HOST_SET_INIT;
        char all[200] = "", text[DAVIT_NET_IP_NET_TEXT_MAX];
        if (rows[i].entry)
            assert_int_equal(dv_insecure_add(&s, rows[i].entry, NULL), 0);
        assert_int_equal(dv_insecure_add_built_in(&s, rows[i].v27, NULL), 0);
        for (size_t n = 0; n < s.network_count; n++)
            snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s ",
                     davit_net_ip_net_text(&s.networks[n], text));
        assert_string_equal(all, rows[i].networks);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(insecure_has__hosts),
        cmocka_unit_test(insecure_without_config__hosts),
        cmocka_unit_test(insecure_add__texts),
        cmocka_unit_test(insecure_add_built_in__behind_the_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

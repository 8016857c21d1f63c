/* Unit tests of service/insecure.c (service.md 5, 6, 7; v28; threat A14). */
#include "service/insecure.h"

#include "util/log.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int lookups;

/*
 * example.com is 42.42.42.42 and 2001:db8::42, mapped.example.com ::ffff:42.42.42.42; nothing else is
 * known.
 */
static int resolve(const char *host, struct sockaddr_storage *out, size_t max, void *user_data)
{
    lookups++;
    struct sockaddr_in *four = (struct sockaddr_in *)&out[0];
    struct sockaddr_in6 *six = (struct sockaddr_in6 *)&out[1];
    if (strcmp(host, "mapped.example.com") == 0) {
        six = (struct sockaddr_in6 *)&out[0];
        six->sin6_family = AF_INET6;
        return inet_pton(AF_INET6, "::ffff:42.42.42.42", &six->sin6_addr);
    }
    if (strcmp(host, "example.com") != 0)
        return -1;
    four->sin_family = AF_INET;
    six->sin6_family = AF_INET6;
    return inet_pton(AF_INET, "42.42.42.42", &four->sin_addr) +
           inet_pton(AF_INET6, "2001:db8::42", &six->sin6_addr);
}

static void insecure_set_has__hosts(void **state)
{
    static const struct {
        const char *host, *entry;
        bool insecure;
        int lookups;
    } rows[] = {
        /* service.md 7 */
        {"example.com", NULL, false, 0},
        {"localhost", "localhost:5000", true, 0},
        {"localhost", NULL, true, 0},
        {"127.0.0.1", NULL, true, 0},
        {"127.0.0.1:5000", "example.com", true, 0},
        {"example.com", "42.42.0.0/16", true, 1},
        {"invalid.example.com", "42.42.0.0/16", false, 1},
        {"invalid.example.com:5000", "invalid.example.com", false, 0},
        /* names */
        {"reg.example.com", "reg.example.com", true, 0},
        {"reg.example.com:5000", "reg.example.com:5000", true, 0},
        {"reg.example.com", "reg.example.com:5000", false, 0},
        {"reg.example.com", "REG.example.com", false, 0},
        {"reg.example.com", "HTTP://reg.example.com", true, 0},
        {"docker.io", "docker.io", false, 0},
        {"index.docker.io", "index.docker.io", true, 0},
        /* networks; a port does not matter */
        {"127.255.0.1:1", NULL, true, 0},
        {"128.0.0.1", NULL, false, 0},
        {"LOCALHOST:5000", NULL, true, 0},
        {"localhost.example.com", NULL, false, 0},
        {"[::1]:5000", NULL, true, 0},
        {"[::1]", NULL, false, 0}, /* brackets are only removed together with a port */
        {"[::2]:5000", NULL, false, 0},
        {"[::ffff:127.0.0.1]:5000", NULL, true, 0},
        {"10.1.2.3:5000", "10.0.0.0/8", true, 0},
        {"10.1.2.3", "10.1.2.99/24", true, 0},
        {"10.1.3.3", "10.1.2.99/24", false, 0},
        {"10.1.2.3", "::ffff:10.0.0.0/104", true, 0},
        {"example.com:5000", "42.42.0.0/16", true, 1},
        {"example.com", "2001:db8::/32", true, 1},
        {"example.com", "43.0.0.0/8", false, 1},
        {"mapped.example.com", "42.42.42.42/32", true, 1},
        {"anything.example.com", "0.0.0.0/0", false, 1},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_insecure_set) s = DV_INSECURE_SET_INIT;
        lookups = 0;
        if (rows[i].entry)
            assert_int_equal(dv_insecure_set_add(&s, rows[i].entry, NULL), 0);
        bool got = dv_insecure_set_has(&s, rows[i].host, resolve, NULL);
        if (got != rows[i].insecure || lookups != rows[i].lookups)
            fail_msg("%s with %s: got %d after %d lookups", rows[i].host, rows[i].entry ? rows[i].entry : "-",
                     got, lookups);
        assert_true(!dv_insecure_set_has(&s, rows[i].host, NULL, NULL) || rows[i].insecure);
    }
}

static void insecure_set_add__texts(void **state)
{
#define BAD(entry, why) "insecure registry " entry " is not valid: " why
    static const struct {
        const char *entry, *error; /* NULL: fine */
    } rows[] = {
        {"102.10.8.1/24", NULL},
        {"HTTP://myregistry.example.com", NULL},
        {"::1/128", NULL},
        {"127.0.0.1:+5", NULL},
        {"reg.example.com:", BAD("reg.example.com:", "invalid host \"reg.example.com\"")},
        {"svn://myregistry.example.com",
         "insecure registry svn://myregistry.example.com should not contain '://'"},
        {"mytest-.com", BAD("mytest-.com", "invalid host \"mytest-.com\"")},
        {"myregistry.example.com:500000", BAD("myregistry.example.com:500000", "invalid port \"500000\"")},
        {"\"myregistry.example.com:5000\"",
         BAD("\"myregistry.example.com:5000\"", "invalid host \"\\\"myregistry.example.com\"")},
        {"[fe80::]/64", BAD("[fe80::]/64", "invalid host \"[fe80::]/64\"")},
        {"-a", "invalid index name (-a). Cannot begin or end with a hyphen"},
        {"docker.io-", "invalid index name (docker.io-). Cannot begin or end with a hyphen"},
        {"127.0.0.1:abc", BAD("127.0.0.1:abc", "strconv.Atoi: parsing \"abc\": invalid syntax")},
        {"127.0.0.1:-1", BAD("127.0.0.1:-1", "invalid port \"-1\"")},
        {"host:99999999999999999999",
         BAD("host:99999999999999999999",
             "strconv.Atoi: parsing \"99999999999999999999\": value out of range")},
        {"10.0.0.0/33", BAD("10.0.0.0/33", "invalid host \"10.0.0.0/33\"")},
        {"10.01.0.0/8", BAD("10.01.0.0/8", "invalid host \"10.01.0.0/8\"")},
        {"fe80::%eth0/64", BAD("fe80::%eth0/64", "invalid host \"fe80::%eth0/64\"")},
        {"a b", BAD("a b", "invalid host \"a b\"")},
        {"", BAD("", "invalid host \"\"")},
        {"host/path", BAD("host/path", "invalid host \"host/path\"")},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_insecure_set) s = DV_INSECURE_SET_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = dv_insecure_set_add(&s, rows[i].entry, &err);
        if (!rows[i].error ? r != 0
                           : r != DAVIT_EINVAL || strcmp(davit_error_message(err), rows[i].error) != 0)
            fail_msg("\"%s\": got %d %s", rows[i].entry, r, davit_error_message(err));
    }
}

static void insecure_set_add__equal_networks_are_one(void **state)
{
    DV_AUTO(dv_insecure_set) s = DV_INSECURE_SET_INIT;
    assert_int_equal(dv_insecure_set_add(&s, "102.10.8.1/24", NULL), 0);
    assert_int_equal(dv_insecure_set_add(&s, "102.10.8.0/24", NULL), 0);
    assert_int_equal(s.network_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(insecure_set_has__hosts),
        cmocka_unit_test(insecure_set_add__texts),
        cmocka_unit_test(insecure_set_add__equal_networks_are_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

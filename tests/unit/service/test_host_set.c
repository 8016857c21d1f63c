/* Unit tests of service/host_set.c (service.md 5, 6, 7). */
#include "service/host_set.h"

#include "fake_resolver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void host_port_split__as_go_does(void **state)
{
    static const struct {
        const char *text, *host, *port; /* host NULL: does not split */
    } rows[] = {
        {"host:5000", "host", "5000"}, {"host:", "host", ""},  {"[::1]:5000", "::1", "5000"},
        {":5000", "", "5000"},         {"[]:1", "", "1"},      {"host", NULL, NULL},
        {"[::1]", NULL, NULL},         {"::1", NULL, NULL},    {"a:b:c", NULL, NULL},
        {"[::1]x:5", NULL, NULL},      {"[::1:5", NULL, NULL}, {"h]:5", NULL, NULL},
        {"[[::1]]:5", NULL, NULL},     {"", NULL, NULL},       {"[::1]:5]", NULL, NULL},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        const char *host, *port;
        size_t size;
        bool split = dv_host_port_split(rows[i].text, &host, &size, &port);
        if (split != (rows[i].host != NULL) ||
            (split && (size != strlen(rows[i].host) || strncmp(host, rows[i].host, size) != 0 ||
                       strcmp(port, rows[i].port) != 0)))
            fail_msg("\"%s\"", rows[i].text);
    }
}

static void host_set_add__texts(void **state)
{
#define BAD(entry, why) "list " entry " is not valid: " why
    static const struct {
        const char *entry, *error; /* NULL: fine */
    } rows[] = {
        {"102.10.8.1/24", NULL},
        {"::1/128", NULL},
        {"reg.example.com", NULL},
        {"reg.example.com:5000", NULL},
        {"[::1]:5000", NULL},
        {"::1", NULL},
        {"127.0.0.1:+5", NULL},
        {"127.0.0.1:-0", NULL},
        {"127.0.0.1:", NULL},
        {"Reg.Example.COM:65535", NULL},
        {"reg.example.com:", BAD("reg.example.com:", "invalid host \"reg.example.com\"")},
        {"mytest-.com", BAD("mytest-.com", "invalid host \"mytest-.com\"")},
        {"reg.example.com:500000", BAD("reg.example.com:500000", "invalid port \"500000\"")},
        {"reg.example.com:65536", BAD("reg.example.com:65536", "invalid port \"65536\"")},
        {"\"reg:5000\"", BAD("\"reg:5000\"", "invalid host \"\\\"reg\"")},
        {"[fe80::]/64", BAD("[fe80::]/64", "invalid host \"[fe80::]/64\"")},
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
        DV_AUTO(dv_host_set) s = DV_HOST_SET_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = dv_host_set_add(&s, rows[i].entry, "list", &err);
        if (!rows[i].error ? r != 0 || s.name_count + s.network_count != 1
                           : r != DAVIT_EINVAL || strcmp(davit_error_message(err), rows[i].error) != 0)
            fail_msg("\"%s\": got %d %s", rows[i].entry, r, davit_error_message(err));
    }
}

static void host_set_add__equal_entries_are_one(void **state)
{
    DV_AUTO(dv_host_set) s = DV_HOST_SET_INIT;
    static const char *const entries[] = {"102.10.8.1/24", "102.10.8.0/24", "a:5000", "a:5000",
                                          "::ffff:102.10.8.0/120"};
    for (size_t i = 0; i < DV_COUNT(entries); i++)
        assert_int_equal(dv_host_set_add(&s, entries[i], "list", NULL), 0);
    assert_int_equal(s.network_count, 1);
    assert_int_equal(s.name_count, 1);
    assert_true(dv_host_set_names(&s, "a:5000"));
    assert_false(dv_host_set_names(&s, "a"));
}

static void host_set_add__has_limits(void **state)
{
    DV_AUTO(dv_host_set) s = DV_HOST_SET_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    char entry[DV_HOST_SET_TEXT_MAX + 1];
    memset(entry, 'a', sizeof(entry));
    entry[DV_HOST_SET_TEXT_MAX] = '\0';
    assert_int_equal(dv_host_set_add(&s, entry, "list", &err), DAVIT_EINVAL);
    assert_string_equal(davit_error_message(err), "list is longer than 4096 bytes");
    for (int i = 0; i < DV_HOST_SET_MAX; i++) {
        snprintf(entry, sizeof(entry), "10.%d.%d.0/24", i / 256, i % 256);
        assert_int_equal(dv_host_set_add(&s, entry, "list", NULL), 0);
    }
    assert_int_equal(dv_host_set_add(&s, "a", "list", &err), DAVIT_EINVAL);
    assert_string_equal(davit_error_message(err), "more than 10000 entries for list");
}

static void host_set_covers__hosts(void **state)
{
    static const struct {
        const char *host, *network;
        bool first, covered;
        int lookups;
    } rows[] = {
        {"10.1.2.3:5000", "10.0.0.0/8", false, true, 0},
        {"10.1.2.3", "10.1.2.99/24", false, true, 0},
        {"10.1.3.3", "10.1.2.99/24", false, false, 0},
        {"10.1.2.3", "::ffff:10.0.0.0/104", false, true, 0},
        {"[::1]:5000", "::1/128", false, true, 0},
        {"[::1]", "::1/128", false, false, 1}, /* brackets are only removed together with a port */
        {"::1", "::1/128", false, true, 0},
        {"[::ffff:10.0.0.1]:5000", "10.0.0.0/8", false, true, 0},
        {"example.com:5000", "42.42.0.0/16", false, true, 1},
        {"example.com", "2001:db8::/32", false, true, 1},
        {"example.com", "43.0.0.0/8", false, false, 1},
        {"mapped.example.com", "42.42.42.42/32", false, true, 1},
        {"unknown.example.com", "0.0.0.0/0", false, false, 1},
        {"example.com", NULL, false, false, 0},
        /* v27 asks first */
        {"10.1.2.3:5000", "10.0.0.0/8", true, true, 1},
        {"[::ffff:10.0.0.1]:5000", "10.0.0.0/8", true, true, 1},
        {"example.com", "42.42.0.0/16", true, true, 1},
        {"example.com", NULL, true, false, 0},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_host_set) s = DV_HOST_SET_INIT;
        const dv_lookup lookup = {fake_resolve, NULL, rows[i].first};
        if (rows[i].network)
            assert_int_equal(dv_host_set_add(&s, rows[i].network, "list", NULL), 0);
        fake_lookups = 0;
        bool got = dv_host_set_covers(&s, rows[i].host, &lookup);
        if (got != rows[i].covered || fake_lookups != rows[i].lookups)
            fail_msg("%s in %s: got %d after %d lookups", rows[i].host,
                     rows[i].network ? rows[i].network : "-", got, fake_lookups);
    }
}

static int resolve_nothing(const char *host, struct sockaddr_storage *out, size_t max, void *user_data)
{
    return 0;
}

static void host_set_covers__a_literal_needs_no_name_service(void **state)
{
    DV_AUTO(dv_host_set) s = DV_HOST_SET_INIT;
    assert_int_equal(dv_host_set_add(&s, "10.0.0.0/8", "list", NULL), 0);
    assert_true(dv_host_set_covers(&s, "10.1.2.3", &(dv_lookup){resolve_nothing, NULL, .first = true}));
    assert_true(dv_host_set_covers(&s, "10.1.2.3", &(dv_lookup){NULL, NULL, .first = true}));
    assert_false(dv_host_set_covers(&s, "example.com", &(dv_lookup){NULL}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(host_port_split__as_go_does),
        cmocka_unit_test(host_set_add__texts),
        cmocka_unit_test(host_set_add__equal_entries_are_one),
        cmocka_unit_test(host_set_add__has_limits),
        cmocka_unit_test(host_set_covers__hosts),
        cmocka_unit_test(host_set_covers__a_literal_needs_no_name_service),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

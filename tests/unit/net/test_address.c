/* Unit tests of net/address.c: threats A2, A7. */
#include "net/address.h"

#include "util/alloc.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include <cmocka.h>

static void address_is_private__by_range(void **state)
{
    static const struct {
        const char *text;
        bool is_private;
    } rows[] = {
        {"0.0.0.0", true},
        {"0.1.2.3", true},
        {"10.0.0.1", true},
        {"10.255.255.255", true},
        {"9.255.255.255", false},
        {"11.0.0.0", false},
        {"100.63.255.255", false},
        {"100.64.0.1", true},
        {"100.127.255.255", true},
        {"100.128.0.0", false},
        {"127.0.0.1", true},
        {"127.255.255.254", true},
        {"128.0.0.1", false},
        {"169.254.169.254", true},
        {"169.253.0.1", false},
        {"172.15.255.255", false},
        {"172.16.0.1", true},
        {"172.31.255.255", true},
        {"172.32.0.0", false},
        {"192.0.0.1", true},
        {"192.168.1.1", true},
        {"192.169.0.1", false},
        {"198.18.0.1", true},
        {"198.20.0.1", false},
        {"224.0.0.1", true},
        {"239.1.1.1", true},
        {"240.0.0.1", true},
        {"255.255.255.255", true},
        {"8.8.8.8", false},
        {"1.1.1.1", false},
        {"::", true},
        {"::1", true},
        {"::2", true},
        {"fe80::1", true},
        {"febf::1", true},
        {"fec0::1", true},
        {"fc00::1", true},
        {"fd12::1", true},
        {"ff02::1", true},
        {"2001:4860::8888", false},
        {"::ffff:127.0.0.1", true},
        {"::ffff:10.1.2.3", true},
        {"::ffff:8.8.8.8", false},
        {"::10.0.0.1", true},
        {"64:ff9b::a00:1", true},
        {"64:ff9b::808:808", false},
        {"64:ff9b:1::1", true},
        {"2002:a00:1::1", true},
        {"2002:808:808::1", false},
        {"2a00::1", false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        struct sockaddr_storage s = {0};
        if (strchr(rows[i].text, ':')) {
            s.ss_family = AF_INET6;
            assert_int_equal(inet_pton(AF_INET6, rows[i].text, &((struct sockaddr_in6 *)&s)->sin6_addr), 1);
        } else {
            s.ss_family = AF_INET;
            assert_int_equal(inet_pton(AF_INET, rows[i].text, &((struct sockaddr_in *)&s)->sin_addr), 1);
        }
        if (dv_address_is_private((const struct sockaddr *)&s) != rows[i].is_private)
            fail_msg("%s: expected %s", rows[i].text, rows[i].is_private ? "private" : "public");
        if (dv_host_is_private(rows[i].text) != rows[i].is_private)
            fail_msg("host %s: expected %s", rows[i].text, rows[i].is_private ? "private" : "public");
    }
}

static void address_is_private__other_families_are(void **state)
{
    struct sockaddr_un s = {.sun_family = AF_UNIX};
    assert_true(dv_address_is_private((const struct sockaddr *)&s));
}

static void host_is_private__names(void **state)
{
    assert_true(dv_host_is_private("localhost"));
    assert_true(dv_host_is_private("LocalHost"));
    assert_true(dv_host_is_private("x.localhost"));
    assert_true(dv_host_is_private("[::1]"));
    assert_false(dv_host_is_private("notlocalhost"));
    assert_false(dv_host_is_private("reg.example.com"));
    assert_false(dv_host_is_private("[2001:4860::8888]"));
    assert_false(dv_host_is_private(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(address_is_private__by_range),
        cmocka_unit_test(address_is_private__other_families_are),
        cmocka_unit_test(host_is_private__names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

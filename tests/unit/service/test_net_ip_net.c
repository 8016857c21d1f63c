/* Unit tests of service/net_ip_net.c (service.md 6, 7, 17). */
#include "service/net_ip_net.h"

#include "util/error.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void net_ip_net__json(void **state)
{
    static const struct {
        const char *json, *text, *error; /* text NULL: fails */
    } rows[] = {
        /* service.md 17 */
        {"\"10.1.2.3/8\"", "10.0.0.0/8", NULL},
        {"\"10.1.2.3\"", NULL, "invalid CIDR address: 10.1.2.3"},
        {"5", NULL, "an IP network must be a JSON string"},
        {"null", NULL, "an IP network must be a JSON string"},
        {"\"\"", NULL, "invalid CIDR address: "},
        /* every length */
        {" \"102.10.8.1/24\" ", "102.10.8.0/24", NULL},
        {"\"255.255.255.255/0\"", "0.0.0.0/0", NULL},
        {"\"10.1.2.3/32\"", "10.1.2.3/32", NULL},
        {"\"10.1.2.3/31\"", "10.1.2.2/31", NULL},
        {"\"10.1.2.3/08\"", "10.0.0.0/8", NULL},
        {"\"10.1.2.3/33\"", NULL, "invalid CIDR address: 10.1.2.3/33"},
        {"\"10.1.2.3/-1\"", NULL, "invalid CIDR address: 10.1.2.3/-1"},
        {"\"10.1.2.3/\"", NULL, "invalid CIDR address: 10.1.2.3/"},
        {"\"10.1.2/8\"", NULL, "invalid CIDR address: 10.1.2/8"},
        {"\"10.01.2.3/8\"", NULL, "invalid CIDR address: 10.01.2.3/8"},
        {"\"10.0.0.0/8\\u0000\"", NULL, "invalid CIDR address: 10.0.0.0/8\\x00"},
        /* IPv6, and IPv4 within it */
        {"\"::1/128\"", "::1/128", NULL},
        {"\"2001:DB8:0:0:1::/64\"", "2001:db8::/64", NULL},
        {"\"::ffff:10.1.2.3/104\"", "10.0.0.0/8", NULL},
        {"\"::ffff:10.1.2.3/96\"", "0.0.0.0/0", NULL},
        {"\"::ffff:10.1.2.3/90\"", "::ffc0:0:0/90", NULL},
        {"\"::102:304/128\"", "::102:304/128", NULL},
        {"\"1:0:0:2:0:0:0:3/128\"", "1:0:0:2::3/128", NULL},
        {"\"1:0:2:3:4:5:6:7/128\"", "1:0:2:3:4:5:6:7/128", NULL},
        {"\"1:0:0:2:0:0:3:4/128\"", "1::2:0:0:3:4/128", NULL},
        {"\"fe80::%eth0/64\"", NULL, "invalid CIDR address: fe80::%eth0/64"},
        {"\"::/129\"", NULL, "invalid CIDR address: ::/129"},
        {"\"[::1]/128\"", NULL, "invalid CIDR address: [::1]/128"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char text[DAVIT_NET_IP_NET_TEXT_MAX] = "";
        DV_AUTOPTR(davit_error) err = NULL;
        davit_net_ip_net net;
        int r = davit_net_ip_net_parse(rows[i].json, strlen(rows[i].json), &net, &err);
        if (r == 0)
            davit_net_ip_net_text(&net, text);
        if (rows[i].text ? r != 0 || strcmp(text, rows[i].text) != 0
                         : r != DAVIT_EINVAL || strcmp(davit_error_message(err), rows[i].error) != 0)
            fail_msg("%s: got %d %s", rows[i].json, r, r == 0 ? text : davit_error_message(err));
        if (r == 0) {
            DV_AUTOFREE char *json = NULL;
            assert_int_equal(davit_net_ip_net_format(&net, &json, NULL), 0);
            assert_memory_equal(json + 1, text, strlen(text));
            assert_string_equal(json + 1 + strlen(text), "\"");
        }
    }
}

static void net_ip_net__what_is_no_json_is_an_error(void **state)
{
    davit_net_ip_net net;
    assert_int_equal(davit_net_ip_net_parse("\"10.0.0.0/8", 11, &net, NULL), DAVIT_EFORMAT);
    assert_int_equal(davit_net_ip_net_parse("", 0, &net, NULL), DAVIT_EFORMAT);
}

static void net_ip_net__odd_networks_have_a_text(void **state)
{
    static const struct {
        davit_net_ip_net net;
        const char *text, *json;
    } rows[] = {
        {{0}, "<nil>", "\"\\u003cnil\\u003e\""},
        {{7, {1}, {255}}, "<nil>", "\"\\u003cnil\\u003e\""},
        {{4, {10, 0, 3}, {255, 0, 255}}, "10.0.3.0/ff00ff00", "\"10.0.3.0/ff00ff00\""},
        {{16, {0x20, 1}, {255, [15] = 1}},
         "2001::/ff000000000000000000000000000001",
         "\"2001::/ff000000000000000000000000000001\""},
        {{16, {[10] = 255, 255, 10}, {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}},
         "10.0.0.0/8",
         "\"10.0.0.0/8\""},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char text[DAVIT_NET_IP_NET_TEXT_MAX];
        DV_AUTOFREE char *json = NULL;
        assert_string_equal(davit_net_ip_net_text(&rows[i].net, text), rows[i].text);
        assert_int_equal(davit_net_ip_net_format(&rows[i].net, &json, NULL), 0);
        assert_string_equal(json, rows[i].json);
    }
}

static void net_ip_net__contains(void **state)
{
    static const struct {
        const char *net, *address;
        bool inside;
    } rows[] = {
        {"127.0.0.0/8", "127.255.1.2", true},
        {"127.0.0.0/8", "128.0.0.1", false},
        {"127.0.0.0/8", "::1", false},
        {"::1/128", "::1", true},
        {"::1/128", "::2", false},
        {"10.0.0.0/8", "::ffff:10.1.2.3", true},
        {"0.0.0.0/0", "::", false},
        {"::/0", "10.1.2.3", false},
        {"::/0", "fe80::1", true},
        {"10.1.2.3/32", "10.1.2.3", true},
        {"10.1.2.2/31", "10.1.2.4", false},
        {"::ffff:42.42.0.0/112", "42.42.42.42", true},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_net_ip_net net;
        dv_ip ip;
        assert_true(dv_net_ip_net_from_cidr(rows[i].net, &net));
        assert_true(dv_ip_parse(rows[i].address, strlen(rows[i].address), &ip));
        if (dv_net_ip_net_contains(&net, &ip) != rows[i].inside)
            fail_msg("%s in %s: expected %d", rows[i].address, rows[i].net, rows[i].inside);
    }
}

static void ip__of_a_socket(void **state)
{
    struct sockaddr_storage address = {.ss_family = AF_UNIX};
    dv_ip ip;
    assert_false(dv_ip_from_socket(&address, &ip));
    struct sockaddr_in *four = (struct sockaddr_in *)&address;
    *four = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a010203)};
    assert_true(dv_ip_from_socket(&address, &ip));
    assert_int_equal(ip.size, 4);
    assert_memory_equal(ip.bytes, "\x0a\x01\x02\x03", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(net_ip_net__json),
        cmocka_unit_test(net_ip_net__what_is_no_json_is_an_error),
        cmocka_unit_test(net_ip_net__odd_networks_have_a_text),
        cmocka_unit_test(net_ip_net__contains),
        cmocka_unit_test(ip__of_a_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

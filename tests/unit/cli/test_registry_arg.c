/* Registry arguments: hosts, URLs, the names of Docker Hub, and what is none of these. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/registry_arg.h"

#include <string.h>

static void registry_arg_parse__hosts(void **state)
{
    static const struct {
        const char *text, *host;
    } rows[] = {
        {NULL, "docker.io"},
        {"docker.io", "docker.io"},
        {"index.docker.io", "docker.io"},
        {"https://index.docker.io/v1/", "docker.io"},
        {"registry.example", "registry.example"},
        {"registry.example:5000", "registry.example:5000"},
        {"https://registry.example:5000/v2/", "registry.example:5000"},
        {"http://registry.example", "registry.example"},
        {"HTTPS://registry.example?x=1", "registry.example"},
        {"Registry.Example", "Registry.Example"},
        {"localhost", "localhost"},
        {"127.0.0.1:5000", "127.0.0.1:5000"},
        {"[::1]:5000", "[::1]:5000"},
        {"[::1]", "[::1]"},
        {"a_b.example", "a_b.example"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOFREE char *host = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        if (dv_registry_arg_parse(rows[i].text, &host, &err) < 0)
            fail_msg("%s: %s", rows[i].text, davit_error_message(err));
        assert_string_equal(host, rows[i].host);
    }
}

static void registry_arg_parse__anything_else_is_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "registry.example/team",
        "ftp://registry.example",
        "oci://registry.example",
        "a b",
        "host:",
        "host:0",
        "host:65536",
        "host:port",
        "host:80:80",
        "https://",
        "https:///v2/",
        "[::1",
        "[x]:80",
        "[]:80",
        "-host",
        ".host",
        "host\n",
        "h\xc3\xb6st",
        "host:+80",
        "u:pw@host",
        "https://u:pw@host/",
        "https://u@host",
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char *host = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        if (dv_registry_arg_parse(rows[i], &host, &err) != DAVIT_EINVAL)
            fail_msg("'%s' was taken as %s", rows[i], host);
        assert_null(strstr(davit_error_message(err), "pw"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(registry_arg_parse__hosts),
        cmocka_unit_test(registry_arg_parse__anything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

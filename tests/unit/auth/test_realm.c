/* Unit tests of auth/realm.c: threats A1, A2, A3, A7. */
#include "auth/realm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define T DV_REALM_TRUSTED
#define A DV_REALM_ANONYMOUS_ONLY
#define R DV_REALM_REFUSED

static void realm_judge__by_names(void **state)
{
    static const struct {
        const char *origin, *realm;
        dv_realm_trust expected;
        const char *trusted; /* NULL: none */
        bool origin_private;
    } rows[] = {
        /* same host, any port */
        {"https://reg.example.com", "https://reg.example.com/token", T},
        {"https://reg.example.com", "https://reg.example.com:8443/token", T},
        {"https://reg.example.com:5000", "https://REG.example.com./token", T},
        {"http://reg.example.com:5000", "http://reg.example.com:5001/token", T},
        {"http://reg.example.com", "https://reg.example.com/token", T},
        /* threat A3: never down to http */
        {"https://reg.example.com", "http://reg.example.com/token", R},
        {"https://reg.example.com", "http://other.example.net/token", R},
        {"https://reg.example.com", "http://auth.example.com/token", R, "auth.example.com"},
        /* compiled-in pair */
        {"https://registry-1.docker.io", "https://auth.docker.io/token", T},
        {"http://registry-1.docker.io", "https://auth.docker.io/token", A},
        /* same registrable domain, https on both sides */
        {"https://registry.gitlab.com", "https://gitlab.com/jwt/auth", T},
        {"https://a.b.example.co.uk", "https://c.example.co.uk/token", T},
        {"https://a.example.com", "https://example.com/token", T},
        {"http://a.example.com", "https://b.example.com/token", A},
        {"http://a.example.com", "http://b.example.com/token", A},
        {"https://a.co.uk", "https://b.co.uk/token", A},
        {"https://co.uk", "https://co.uk.co.uk/token", A},
        {"https://alice.github.io", "https://bob.github.io/token", A},
        {"https://a.s3.amazonaws.com", "https://b.s3.amazonaws.com/token", A},
        {"https://reg.internal", "https://auth.internal/token", A},
        {"https://a.corp.internal", "https://b.corp.internal/token", T},
        /* others */
        {"https://ghcr.io", "https://ghrc.io/token", A}, /* the typosquat */
        {"https://reg.example.com", "https://reg.example.com.evil.net/token", A},
        {"https://reg.example.com", "https://evilexample.com/token", A},
        {"https://reg.example.com", "https://example.net/token", A},
        /*
         * literals and single labels match only themselves: libpsl takes "2.3" for the domain of "10.1.2.3"
         */
        {"https://10.1.2.3", "https://10.9.2.3/token", A},
        {"https://203.0.113.7", "https://8.8.113.7/token", A},
        {"https://10.1.2.3", "https://10.1.2.3:99/token", T},
        {"https://[fd00::1]", "https://[fd00::1]:99/token", T},
        {"https://[fd00::1]", "https://[fd00::2]/token", A},
        {"https://registry", "https://auth/token", A},
        {"https://registry", "https://registry:5001/token", T},
        {"http://127.0.0.1:5000", "http://127.0.0.1:5001/token", T},
        {"http://127.0.0.1:5000", "http://localhost:5001/token", A},
        {"http://localhost:5000", "http://127.0.0.1:5001/token", A},
        /* the user's own list */
        {"https://reg.example.com", "https://auth.example.net/token", T, "auth.example.net"},
        {"https://reg.example.com", "https://auth.example.net/token", T, "AUTH.example.net."},
        {"https://reg.example.com", "https://auth.example.net:8443/token", T, "auth.example.net"},
        {"https://reg.example.com", "https://auth.example.net:8443/token", T, "auth.example.net:8443"},
        {"https://reg.example.com", "https://auth.example.net/token", A, "auth.example.net:8443"},
        {"https://reg.example.com", "https://x.auth.example.net/token", A, "auth.example.net"},
        {"https://reg.example.com", "https://auth.example.net/token", A, "example.net"},
        {"http://reg.example.com", "http://auth.example.net/token", T, "auth.example.net"},
        {"https://reg.example.com", "https://[fd00::2]/token", T, "[fd00::2]"},
        {"https://reg.example.com", "https://[fd00::2]/token", T, "fd00::2"},
        /* threat A7: a public registry names a private literal */
        {"https://reg.example.com", "https://169.254.169.254/token", R},
        {"https://reg.example.com", "https://127.0.0.1/token", R},
        {"https://reg.example.com", "https://localhost/token", R},
        {"https://reg.example.com", "https://x.localhost/token", R},
        {"https://reg.example.com", "https://[::1]/token", R},
        {"https://reg.example.com", "https://[::ffff:10.0.0.1]/token", R},
        {"https://8.8.8.8", "https://10.0.0.1/token", R},
        {"http://reg.example.com", "http://192.168.0.1/token", R},
        {"https://reg.example.com", "https://10.0.0.1/token", T, "10.0.0.1"},
        {"https://reg.example.com", "https://10.0.0.1/token", A, NULL, true},
        {"http://registry:5000", "http://10.0.0.1/token", A},
        {"http://10.0.0.2:5000", "http://10.0.0.1/token", A},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(dv_url) origin = DV_URL_INIT, realm = DV_URL_INIT;
        const char *trusted[] = {rows[i].trusted, NULL};
        const char *why = NULL;
        assert_int_equal(dv_url_parse(rows[i].origin, &origin, NULL), 0);
        assert_int_equal(dv_url_parse(rows[i].realm, &realm, NULL), 0);
        dv_realm_question q = {&origin, &realm, trusted, rows[i].origin_private};
        dv_realm_trust got = dv_realm_judge(&q, &why);
        if (got != rows[i].expected || (got == R) != (why != NULL))
            fail_msg("%s to %s: expected %d, got %d (%s)", rows[i].origin, rows[i].realm, rows[i].expected,
                     got, why ? why : "");
    }
}

static void realm_trusted_check__only_hosts(void **state)
{
    static const struct {
        const char *entry;
        bool ok;
    } rows[] = {
        {"auth.example.net", true},
        {"h:5000", true},
        {"[::1]:5", true},
        {"::1", true},
        {"", false},
        {"https://h", false},
        {"h/token", false},
        {"u@h", false},
        {"h:x", false},
        {"*.h", false},
        {"h?x", false},
        {"h#x", false},
        {"a b", false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        const char *list[] = {"ok.example.com", rows[i].entry, NULL};
        if ((dv_realm_trusted_check(list, NULL) == 0) != rows[i].ok)
            fail_msg("\"%s\"", rows[i].entry);
    }
    assert_int_equal(dv_realm_trusted_check(NULL, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(realm_judge__by_names),
        cmocka_unit_test(realm_trusted_check__only_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of auth/hmac_key.c (push.md 5). The expected digests were computed by Python's hashlib over the JSON as it stands there. */
#include "auth/hmac_key.h"

#include "util/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void hmac_key__is_the_hash_of_the_json(void **state)
{
    static const struct {
        const char *what, *username, *password, *auth, *identitytoken, *registrytoken, *others, *expected;
    } rows[] = {
        {"{}", NULL, NULL, NULL, NULL, NULL, NULL,
         "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
        {"empty members and others take no part", "", "", "", "", "", "example.com",
         "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"},
        {"user and password", "u", "p", NULL, NULL, NULL, "example.com",
         "sha256:edbd57ca9372e64eb1c9070ecf3a049ac553596b0529acf034c7a71d4e618e88"},
        {"auth", NULL, NULL, "dTpw", NULL, NULL, NULL,
         "sha256:68a5d3035672b44b99ee03cae15728fef6149b85aaf42b5d39e24491da5a057b"},
        {"identity token", NULL, NULL, NULL, "i", NULL, NULL,
         "sha256:dffc4f9a6d0b1e21c8a29a31d8a4dc337337b352f82e4f90c7a93e445e13cea4"},
        {"registry token", NULL, NULL, NULL, NULL, "r", NULL,
         "sha256:d7205a820f22709253bf93d0b9467da79279d09cdb102f9daff5b1695d9fdaff"},
        {"all, in this order", "u", "p", "dTpw", "i", "r", NULL,
         "sha256:fa452a2c84dbc0d8423163e22cbf7ca201d9db3b576912a4063d6b25e9398dbb"},
        {"escapes", "a/\x7f",
         "<p>&\"\\\b\f\n\r\t\x01\x1f"
         "\xe2\x80\xa8\xe2\x80\xa9\xff",
         NULL, NULL, NULL, NULL, "sha256:60b56cfd99dd1410b1206d4e857e3ccb4cadc274a245944700aa8c50372d80e0"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char key[DV_HMAC_KEY_MAX];
        const davit_auth_config config = {
            .username = (char *)rows[i].username,
            .password = (char *)rows[i].password,
            .auth = (char *)rows[i].auth,
            .email = (char *)rows[i].others,
            .serveraddress = (char *)rows[i].others,
            .identitytoken = (char *)rows[i].identitytoken,
            .registrytoken = (char *)rows[i].registrytoken,
        };
        print_message("%s\n", rows[i].what);
        assert_int_equal(dv_hmac_key(&config, key, NULL), 0);
        assert_string_equal(key, rows[i].expected);
    }
}

static void hmac_key__of_no_credentials_is_empty(void **state)
{
    char key[DV_HMAC_KEY_MAX] = "x";
    assert_int_equal(dv_hmac_key(NULL, key, NULL), 0);
    assert_string_equal(key, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hmac_key__is_the_hash_of_the_json),
        cmocka_unit_test(hmac_key__of_no_credentials_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of auth/credential_store.c: auth.md 4. */
#include "auth/auth_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S(text) ((char *)(text))

static void static_credential_store__the_same_for_everyone(void **state)
{
    static const struct {
        bool none;
        davit_auth_config auth;
        const char *username, *password, *token;
    } rows[] = {
        {false, {.username = S("u"), .password = S("p"), .identitytoken = S("t")}, "u", "p", "t"},
        {false, {.username = S("u")}, "u", "", ""},
        {true, {NULL}, "", "", ""},
    };
    static const char *const urls[] = {"https://reg.example.com", "https://other.example.org:5000", ""};
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_credential_store store;
        assert_int_equal(
            davit_static_credential_store_init(rows[i].none ? NULL : &rows[i].auth, &store, NULL), 0);
        assert_int_equal(store.size, sizeof(store));
        for (size_t k = 0; k < DV_COUNT(urls); k++) {
            char *username = NULL, *password = NULL, *token = NULL;
            store.set_refresh_token(store.user_data, "https://realm/", "service", "new");
            assert_int_equal(store.basic(store.user_data, urls[k], &username, &password, NULL), 0);
            assert_int_equal(store.refresh_token(store.user_data, urls[k], "service", &token, NULL), 0);
            assert_string_equal(username, rows[i].username);
            assert_string_equal(password, rows[i].password);
            assert_string_equal(token, rows[i].token);
            davit_secret_free(username);
            davit_secret_free(password);
            davit_secret_free(token);
        }
        davit_credential_store_clear(&store);
        assert_true(!store.user_data && !store.basic && !store.release);
        davit_credential_store_clear(&store);
    }
    davit_credential_store_clear(NULL);
}

static void static_credential_store__keeps_a_copy(void **state)
{
    DV_AUTO(davit_auth_config) auth = {.username = dv_strdup("u"), .password = dv_strdup("p")};
    davit_credential_store store;
    char *username = NULL, *password = NULL;
    assert_int_equal(davit_static_credential_store_init(&auth, &store, NULL), 0);
    auth.username[0] = 'x';
    davit_auth_config_clear(&auth);
    assert_int_equal(store.basic(store.user_data, "", &username, &password, NULL), 0);
    assert_string_equal(username, "u");
    davit_secret_free(username);
    davit_secret_free(password);
    davit_credential_store_clear(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(static_credential_store__the_same_for_everyone),
        cmocka_unit_test(static_credential_store__keeps_a_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

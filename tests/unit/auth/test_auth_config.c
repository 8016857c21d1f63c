/* Unit tests of auth/auth_config.c. */
#include "auth/auth_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S(text) ((char *)(text)) /* the fields are for owned text; nothing here is written to */

static void auth_config_copy__is_deep(void **state)
{
    davit_auth_config from = {
        .username = S("u"), .password = S("p"), .identitytoken = S(""), .serveraddress = S("s")};
    DV_AUTO(davit_auth_config) to = DAVIT_AUTH_CONFIG_INIT;
    assert_int_equal(davit_auth_config_copy(&from, &to, NULL), 0);
    assert_string_equal(to.username, "u");
    assert_string_equal(to.password, "p");
    assert_string_equal(to.identitytoken, "");
    assert_string_equal(to.serveraddress, "s");
    assert_null(to.email);
    assert_ptr_not_equal(to.username, from.username);
}

static void auth_config_is_anonymous__without_any_proof(void **state)
{
    static const struct {
        davit_auth_config config;
        bool anonymous;
    } rows[] = {
        {{NULL}, true},
        {{.username = S("u")}, true},
        {{.password = S("p")}, true},
        {{.username = S("u"), .password = S("")}, true},
        {{.email = S("e"), .serveraddress = S("s"), .auth = S("dTpw")}, true},
        {{.username = S("u"), .password = S("p")}, false},
        {{.identitytoken = S("t")}, false},
        {{.registrytoken = S("t")}, false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        assert_int_equal(davit_auth_config_is_anonymous(&rows[i].config), rows[i].anonymous);
    assert_true(davit_auth_config_is_anonymous(NULL));
}

static void auth_config_clear__takes_null_and_leaves_it_empty(void **state)
{
    davit_auth_config c;
    davit_auth_config_init(&c);
    assert_int_equal(davit_auth_config_copy(NULL, &c, NULL), 0);
    c.password = dv_strdup("x");
    davit_auth_config_clear(&c);
    davit_auth_config_clear(NULL);
    assert_null(c.password);
}

/* --- asking for others -------------------------------------------------------------------------------------------- */

typedef struct answer {
    const char *header;
    int r;
    const char *story; /* NULL: none */
    unsigned asked;
} answer;

static int give(void *user_data, char **out_header, davit_error **err)
{
    answer *a = user_data;
    a->asked++;
    if (a->r < 0 && a->story)
        dv_error_set(err, a->r, "%s", a->story);
    if (a->r == 0)
        *out_header = dv_strdup(a->header);
    return a->r;
}

static void auth_config_request__what_the_callback_says(void **state)
{
    static const struct {
        answer answer;
        int code;
        const char *username, *message;
    } rows[] = {
        {{.header = "eyJ1c2VybmFtZSI6ImJvYiJ9"}, 0, "bob", "no error"},
        {{.header = ""}, 0, "", "no error"},
        {{.header = NULL}, 0, "", "no error"},
        {{.header = "e"}, DAVIT_EINVAL, "", "invalid X-Registry-Auth header: unexpected EOF"},
        {{.r = DAVIT_ECANCELLED, .story = "the user left"}, DAVIT_ECANCELLED, "", "the user left"},
        {{.r = DAVIT_EUNAUTHORIZED},
         DAVIT_EUNAUTHORIZED,
         "",
         "refused by the registry, and no other credentials were given"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        answer a = rows[i].answer;
        davit_auth_config got = {.username = S("not looked at")};
        DV_AUTOPTR(davit_error) err = NULL;
        if (rows[i].code < 0)
            dv_error_set(&err, DAVIT_EUNAUTHORIZED, "the refusal before it");
        assert_int_equal(dv_auth_config_request(give, &a, &got, &err), rows[i].code);
        assert_int_equal(a.asked, 1);
        assert_string_equal(got.username ? got.username : "", rows[i].username);
        assert_string_equal(davit_error_message(err), rows[i].message);
        davit_auth_config_clear(&got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auth_config_copy__is_deep),
        cmocka_unit_test(auth_config_is_anonymous__without_any_proof),
        cmocka_unit_test(auth_config_clear__takes_null_and_leaves_it_empty),
        cmocka_unit_test(auth_config_request__what_the_callback_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

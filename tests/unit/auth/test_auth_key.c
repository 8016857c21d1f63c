/* Unit tests of auth/auth_key.c: the tables of auth.md 3. */
#include "davit/service.h"

#include "util/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define S(text) ((char *)(text))
#define HUB "https://index.docker.io/v1/"

static void convert_to_hostname__one_scheme_and_up_to_the_slash(void **state)
{
    static const char *const rows[][2] = {
        {"http://reg.example.com/v1/", "reg.example.com"},
        {"https://reg.example.com/v1/", "reg.example.com"},
        {"reg.example.com:5000/v1/", "reg.example.com:5000"},
        {"HTTP://reg.example.com/v1/", "HTTP:"},
        {"https://user@reg.example.com/x", "user@reg.example.com"},
        {"", ""},
        {"reg.example.com", "reg.example.com"},
        {"http://https://reg.example.com", "https:"},
        {"https://reg.example.com:5000?a=b#c", "reg.example.com:5000?a=b#c"},
        {"/x", ""},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        char *host = NULL;
        assert_int_equal(davit_convert_to_hostname(rows[i][0], &host, NULL), 0);
        assert_string_equal(host, rows[i][1]);
        free(host);
    }
}

static void get_auth_config_key__the_name_is_not_inspected(void **state)
{
    static const struct {
        davit_index_info index;
        const char *key;
    } rows[] = {
        {{.name = S("docker.io"), .official = true}, HUB},
        {{.name = S("reg.example.com"), .official = true}, HUB},
        {{.name = S("docker.io")}, "docker.io"},
        {{.name = S("reg.example.com:5000")}, "reg.example.com:5000"},
        {{.name = S("")}, ""},
        {{.name = NULL}, ""},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++)
        assert_string_equal(davit_get_auth_config_key(&rows[i].index), rows[i].key);
}

static void resolve_auth_config__exact_then_by_host(void **state)
{
    static const struct {
        const char *keys[4];
        davit_index_info index;
        int found; /* which; -1: none */
    } rows[] = {
        {{"testIndex", HUB}, {.name = S("docker.io"), .official = true}, 1},
        {{"testIndex", HUB}, {.name = S("")}, -1},
        {{"https://reg.example.com/v1/"}, {.name = S("reg.example.com")}, 0},
        {{"docker.io"}, {.name = S("docker.io"), .official = true}, -1},
        {{"index.docker.io", "https://index.docker.io/v2/"}, {.official = true}, -1},
        {{"https://reg.example.com/v1/", "reg.example.com"}, {.name = S("reg.example.com")}, 1},
        {{"http://reg.example.com/", "https://reg.example.com/v1/"}, {.name = S("reg.example.com")}, 0},
        {{"https://Reg.example.com/"}, {.name = S("reg.example.com")}, -1},
        {{"https://reg.example.com:443/"}, {.name = S("reg.example.com")}, -1},
        {{"https://reg.example.com/"}, {.name = S("reg.example.com:443")}, -1},
        {{"https://reg.example.com.evil.org/"}, {.name = S("reg.example.com")}, -1},
        {{HUB}, {.name = S("index.docker.io")}, 0},
        {{NULL}, {.name = S("reg.example.com")}, -1},
    };
    const davit_auth_config configs[4] = {{NULL}};
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_auth_entry entries[4];
        size_t count = 0;
        for (; rows[i].keys[count]; count++)
            entries[count] = (davit_auth_entry){rows[i].keys[count], &configs[count]};
        const davit_auth_config *found = davit_resolve_auth_config(entries, count, &rows[i].index);
        if (found != (rows[i].found < 0 ? NULL : &configs[rows[i].found]))
            fail_msg("row %zu: expected %d, got %td", i, rows[i].found, found ? found - configs : -1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convert_to_hostname__one_scheme_and_up_to_the_slash),
        cmocka_unit_test(get_auth_config_key__the_name_is_not_inspected),
        cmocka_unit_test(resolve_auth_config__exact_then_by_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Unit tests of registry/resolve_auth_config.c (auth.md 3). */
#include "davit/service.h"

#include "util/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

DV_DEFINE_AUTOPTR(davit_reference, davit_reference_free)
DV_DEFINE_AUTOPTR(davit_service, davit_service_unref)

static void resolve_auth_config__of_a_reference(void **state)
{
    static const struct {
        const char *ref, *keys[3];
        int expected; /* index of the key, -1: none */
    } rows[] = {
        {"ubuntu", {"testIndex", "https://index.docker.io/v1/"}, 1},
        {"index.docker.io/library/ubuntu", {"https://index.docker.io/v1/"}, 0},
        {"ubuntu", {"docker.io", "index.docker.io"}, -1},
        {"reg.example.com/app", {"https://reg.example.com/v1/"}, 0},
        {"reg.example.com/app", {"http://reg.example.com", "reg.example.com"}, 1},
        {"reg.example.com:5000/app", {"reg.example.com", "reg.example.com:5000/v2/"}, 1},
        {"reg.example.com/app", {"REG.example.com"}, -1},
        {"reg.example.com/app", {"https://index.docker.io/v1/"}, -1},
    };
    static const davit_auth_config configs[3];
    DV_AUTOPTR(davit_service) service = NULL;
    assert_int_equal(davit_service_new(NULL, &service, NULL), 0);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_auth_entry entries[3];
        size_t count = 0;
        DV_AUTOPTR(davit_reference) ref = NULL;
        const davit_auth_config *got = &configs[2];
        for (; count < 3 && rows[i].keys[count]; count++)
            entries[count] = (davit_auth_entry){rows[i].keys[count], &configs[count]};
        assert_int_equal(davit_reference_parse(rows[i].ref, &ref, NULL), 0);
        assert_int_equal(davit_service_resolve_auth_config(service, entries, count, ref, &got, NULL), 0);
        if (got != (rows[i].expected < 0 ? NULL : &configs[rows[i].expected]))
            fail_msg("%s, row %zu: expected entry %d", rows[i].ref, i, rows[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(resolve_auth_config__of_a_reference)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

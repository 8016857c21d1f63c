/* Unit tests of service/index_name.c (service.md 4). */
#include "service/index_name.h"

#include "util/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void validate_index_name__texts(void **state)
{
#define HYPHEN(name) "invalid index name (" name "). Cannot begin or end with a hyphen"
    static const struct {
        const char *input, *normal, *error;
    } rows[] = {
        {"index.docker.io", "docker.io", NULL},
        {"127.0.0.1:8080", "127.0.0.1:8080", NULL},
        {"mirror-1.example.com/v1/?q=foo", "mirror-1.example.com/v1/?q=foo", NULL},
        {"docker.io-", NULL, HYPHEN("docker.io-")},
        {"docker.io", "docker.io", NULL},
        {"INDEX.docker.io", "INDEX.docker.io", NULL},
        {"index.docker.io:443", "index.docker.io:443", NULL},
        {"https://index.docker.io/v1/", "https://index.docker.io/v1/", NULL},
        {"", "", NULL},
        {"-", NULL, HYPHEN("-")},
        {"-h.example.com", NULL, HYPHEN("-h.example.com")},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOFREE char *got = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = davit_validate_index_name(rows[i].input, &got, &err);
        if (rows[i].normal ? r != 0 || strcmp(got, rows[i].normal) != 0
                           : r != DAVIT_EINVAL || strcmp(davit_error_message(err), rows[i].error) != 0)
            fail_msg("\"%s\": got %d %s", rows[i].input, r, r == 0 ? got : davit_error_message(err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(validate_index_name__texts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

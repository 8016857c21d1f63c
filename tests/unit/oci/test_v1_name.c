/* Unit tests of oci/v1_name.c: repositories, tags, image ids, and what is none of these. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "oci/v1_image.h"
#include "util/str.h"

#define ID "00112233445566aa"

static void v1_name_parse__repository_with_tag_or_id(void **state)
{
    static const struct {
        const char *text, *repository, *tag, *id;
    } rows[] = {
        {"app", "app", NULL, NULL},
        {"old/app", "old/app", NULL, NULL},
        {"old/app:1.0", "old/app", "1.0", NULL},
        {"app:1.0", "app", "1.0", NULL},
        {"h.example:5000/old/app", "h.example:5000/old/app", NULL, NULL},
        {"h.example:5000/old/app:1.0", "h.example:5000/old/app", "1.0", NULL},
        {"h.example:5000/app@" ID, "h.example:5000/app", NULL, ID},
        {"app@" ID ID ID ID, "app", NULL, ID ID ID ID},
        {"[::1]:5000/app:x", "[::1]:5000/app", "x", NULL},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTO(davit_v1_name) n = {.tag = NULL};
        DV_AUTOPTR(davit_error) err = NULL;
        if (davit_v1_name_parse(rows[i].text, &n, &err) < 0 ||
            !dv_str_equal(n.repository, rows[i].repository) || !dv_str_equal(n.tag, rows[i].tag) ||
            !dv_str_equal(n.id, rows[i].id))
            fail_msg("%s: got %s %s %s (%s)", rows[i].text, n.repository ? n.repository : "-",
                     n.tag ? n.tag : "-", n.id ? n.id : "-", davit_error_message(err));
    }
}

static void v1_name_parse__refuses_what_is_none(void **state)
{
    static const char *const texts[] = {"",        ":1.0",        "@" ID,
                                        "old/",    "old/:1.0",    "app:",
                                        "app@xyz", "app@" ID "0", "app:1.0@" ID "g",
                                        "app@",    "app:1.0@" ID, "app@00112233445566AA"};
    for (size_t i = 0; i < DV_COUNT(texts); i++) {
        DV_AUTO(davit_v1_name) n = {.tag = NULL};
        if (davit_v1_name_parse(texts[i], &n, NULL) != DAVIT_EINVAL || n.repository)
            fail_msg("'%s' is not refused", texts[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(v1_name_parse__repository_with_tag_or_id),
        cmocka_unit_test(v1_name_parse__refuses_what_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

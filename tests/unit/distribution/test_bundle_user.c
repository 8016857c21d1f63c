/* Unit tests of distribution/bundle_user.c: who an image runs as (threats B10). */
#include "distribution/bundle_user.h"
#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "no colons here\n"
                             "short:x:1\n"
                             ":x:55:55::/:\n"
                             "minus:x:-1:0::/:\n"
                             "plus:x:+5:0::/:\n"
                             "wide:x:4294967295:0::/:\n"
                             "space:x: 6:0::/:\n"
                             "web:x:33:34::/srv/web:/bin/false\n"
                             "web:x:99:99::/second:/bin/false\n"
                             "twin:x:33:77::/twin:\n"
                             "100:x:7:8::/named-like-a-number:\n"
                             "bare:x:12:13\n"
                             "last:x:4294967294:1::/last:";
static const char group[] = "root:x:0:root,web\n"
                            "www:x:34:web\n"
                            "logs:x:40:root,web,web\n"
                            "again:x:40:web\n"
                            "none:x:41:\n"
                            "alike:x:42:webber,we\n"
                            "bad:x:-3:web\n"
                            "few:x\n"
                            "old:x:7:web\n"
                            "number:x:100:";

typedef struct row {
    const char *user;
    const char *expected; /* "uid:gid groups home", or part of the error */
    bool fails;
} row;

static void check(const row *rows, size_t count, const char *passwd_text, const char *group_text)
{
    for (size_t i = 0; i < count; i++) {
        DV_AUTO(dv_bundle_user) u = {0};
        DV_AUTOPTR(davit_error) err = NULL;
        DV_AUTO(dv_buf) got = DV_BUF_INIT(1024);
        int r = dv_bundle_user_find(rows[i].user, passwd_text, group_text, &u, &err);
        if (r == 0) {
            dv_buf_printf(&got, "%u:%u", u.uid, u.gid);
            for (size_t k = 0; k < u.group_count; k++)
                dv_buf_printf(&got, " %u", u.groups[k]);
            dv_buf_printf(&got, " %s", u.home ? u.home : "-");
        } else {
            dv_buf_puts(&got, davit_error_message(err));
        }
        bool right = rows[i].fails ? r == DAVIT_EFORMAT && strstr(dv_buf_text(&got), rows[i].expected)
                                   : r == 0 && strcmp(dv_buf_text(&got), rows[i].expected) == 0;
        if (!right)
            fail_msg("\"%s\": expected %s, got %s", rows[i].user, rows[i].expected, dv_buf_text(&got));
    }
}

static void bundle_user__names_and_numbers(void **state)
{
    static const row rows[] = {
        {"", "0:0 40 /root"},
        {"root", "0:0 40 /root"},
        {"0", "0:0 40 /root"},
        {"web", "33:34 0 7 40 /srv/web"},
        {"33", "33:34 0 7 40 /srv/web"}, /* the first line of that number */
        {"twin", "33:77 /twin"},
        {"bare", "12:13 -"},
        {"100", "7:8 /named-like-a-number"}, /* a name that looks like a number is a name first */
        {"12345", "12345:0 -"},
        {"web:", "33:34 0 7 40 /srv/web"},
        {"web:logs", "33:40 /srv/web"},
        {"web:40", "33:40 /srv/web"},
        {"web:12345", "33:12345 /srv/web"},
        {"12345:www", "12345:34 -"},
        {":www", "0:34 /root"},
        {"4294967294", "4294967294:1 /last"},
        {"root:4294967294", "0:4294967294 /root"},
    };
    check(rows, DV_COUNT(rows), passwd, group);
}

static void bundle_user__what_is_neither_is_refused(void **state)
{
    static const row rows[] = {
        {"nobody", "user \"nobody\", which its etc/passwd does not have", true},
        {"web:nobody", "group \"nobody\", which its etc/group does not have", true},
        {"4294967295", "\"4294967295\"", true},
        {"4294967296", "\"4294967296\"", true},
        {"18446744073709551616", "user", true},
        {"-1", "\"-1\"", true},
        {"+1", "\"+1\"", true},
        {" 1", "\" 1\"", true},
        {"0x1", "\"0x1\"", true},
        {"1e3", "\"1e3\"", true},
        {"minus", "user", true}, /* lines with such numbers are no lines */
        {"plus", "user", true},
        {"wide", "user", true},
        {"space", "user", true},
        {"short", "user", true},
        {"web:bad", "group", true},
        {"web:few", "group", true},
        {"web:-1", "group", true},
        {"web:40:1", "group", true},
        {"no\n", "\"no\\n\"", true},
    };
    check(rows, DV_COUNT(rows), passwd, group);
}

static void bundle_user__without_files_numbers_work(void **state)
{
    static const row rows[] = {
        {"", "0:0 -"}, {"5", "5:0 -"}, {"5:6", "5:6 -"}, {"root", "user", true}, {"0:root", "group", true},
    };
    check(rows, DV_COUNT(rows), "", "");
}

static void bundle_user__groups_have_a_ceiling(void **state)
{
    DV_AUTO(dv_buf) many = DV_BUF_INIT(1u << 20);
    DV_AUTO(dv_bundle_user) u = {0};
    for (unsigned i = 0; i < 3 * DV_BUNDLE_GROUPS_MAX; i++)
        dv_buf_printf(&many, "g%u:x:%u:web\n", i, 1000 + i);
    assert_int_equal(dv_bundle_user_find("web", passwd, dv_buf_text(&many), &u, NULL), 0);
    assert_int_equal(u.group_count, DV_BUNDLE_GROUPS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bundle_user__names_and_numbers),
        cmocka_unit_test(bundle_user__what_is_neither_is_refused),
        cmocka_unit_test(bundle_user__without_files_numbers_work),
        cmocka_unit_test(bundle_user__groups_have_a_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

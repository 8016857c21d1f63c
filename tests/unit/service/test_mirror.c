/* Unit tests of service/mirror.c (service.md 3). */
#include "service/mirror.h"

#include "davit/service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NO_SCHEME "invalid mirror: no scheme specified for "
#define EITHER ": must use either 'https://' or 'http://'"

static void mirror_validate__texts(void **state)
{
    static const struct {
        const char *input, *normal, *error;
    } rows[] = {
        {"http://mirror-1.example.com", "http://mirror-1.example.com/", NULL},
        {"https://mirror-1.example.com/", "https://mirror-1.example.com/", NULL},
        {"https://localhost:5000", "https://localhost:5000/", NULL},
        {"http://mirror-1.example.com/v1/", "http://mirror-1.example.com/v1/", NULL},
        {"https://b//", "https://b//", NULL},
        {"HTTPS://Host/Path", "HTTPS://Host/Path/", NULL},
        {"https://", "https://", NULL},
        {"https://h?", "https://h?/", NULL},
        {"https://h#", "https://h#/", NULL},
        {"https://[::1]:5000", "https://[::1]:5000/", NULL},
        {"!invalid!://%as%", NULL,
         "invalid mirror: \"!invalid!://%as%\" is not a valid URI: parse \"!invalid!://%as%\": first path "
         "segment in URL cannot contain colon"},
        {"mirror-1.example.com", NULL, NO_SCHEME "\"mirror-1.example.com\"" EITHER},
        {"mirror-1.example.com:5000", NULL, NO_SCHEME "\"mirror-1.example.com:5000\"" EITHER},
        {"://h", NULL, NO_SCHEME "\"://h\"" EITHER},
        {"", NULL, NO_SCHEME "\"\"" EITHER},
        {"http:/host", NULL, NO_SCHEME "\"http:/host\"" EITHER},
        {"ftp://mirror-1.example.com", NULL,
         "invalid mirror: unsupported scheme \"ftp\" in \"ftp://mirror-1.example.com\"" EITHER},
        {"FTP://h", NULL, "invalid mirror: unsupported scheme \"ftp\" in \"ftp://h\"" EITHER},
        {"http://mirror-1.example.com/?q=foo", NULL,
         "invalid mirror: query or fragment at end of the URI \"http://mirror-1.example.com/?q=foo\""},
        {"https://mirror-1.example.com#frag", NULL,
         "invalid mirror: query or fragment at end of the URI \"https://mirror-1.example.com#frag\""},
        {"https://mirror-1.example.com?q", NULL,
         "invalid mirror: query or fragment at end of the URI \"https://mirror-1.example.com?q\""},
        {"http://foo:bar@mirror-1.example.com/", NULL,
         "invalid mirror: username/password not allowed in URI \"http://foo:xxxxx@mirror-1.example.com/\""},
        {"http://foo@mirror-1.example.com/", NULL,
         "invalid mirror: username/password not allowed in URI \"http://foo:xxxxx@mirror-1.example.com/\""},
        {"http://@h", NULL, "invalid mirror: username/password not allowed in URI \"http://:xxxxx@h\""},
        {"https://h:x", NULL,
         "invalid mirror: \"https://h:x\" is not a valid URI: parse \"https://h:x\": invalid port \":x\" "
         "after host"},
        {"https://h/%zz", NULL,
         "invalid mirror: \"https://h/%zz\" is not a valid URI: parse \"https://h/%zz\": invalid URL escape "
         "\"%zz\""},
        {"https://a b", NULL,
         "invalid mirror: \"https://a b\" is not a valid URI: parse \"https://a b\": invalid character \" \" "
         "in host name"},
        {"https://[::1", NULL,
         "invalid mirror: \"https://[::1\" is not a valid URI: parse \"https://[::1\": missing ']' in host"},
        {"a:b://%zz", NULL, "invalid mirror: unsupported scheme \"a\" in \"a:b://%zz\"" EITHER},
        {"https://h\n", NULL,
         "invalid mirror: \"https://h\\n\" is not a valid URI: parse \"https://h\\n\": net/url: invalid "
         "control character in URL"},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOFREE char *got = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = davit_validate_mirror(rows[i].input, &got, &err);
        if (rows[i].normal ? r != 0 || strcmp(got, rows[i].normal) != 0
                           : r != DAVIT_EINVAL || strcmp(davit_error_message(err), rows[i].error) != 0)
            fail_msg("\"%s\": expected %s, got %s", rows[i].input,
                     rows[i].normal ? rows[i].normal : rows[i].error,
                     r == 0 ? got : davit_error_message(err));
    }
}

static void mirror_validate__v27_texts(void **state)
{
    static const struct {
        const char *input, *normal, *error;
    } rows[] = {
        {"https://mirror-1.example.com", "https://mirror-1.example.com/", NULL},
        {"http:/host", "http:/host/", NULL},
        {"mirror-1.example.com", NULL, "invalid mirror: unsupported scheme \"\" in \"mirror-1.example.com\""},
        {"mirror-1.example.com:5000", NULL,
         "invalid mirror: unsupported scheme \"mirror-1.example.com\" in \"mirror-1.example.com:5000\""},
        {"ftp://mirror-1.example.com", NULL,
         "invalid mirror: unsupported scheme \"ftp\" in \"ftp://mirror-1.example.com\""},
        {"", NULL, "invalid mirror: unsupported scheme \"\" in \"\""},
        {"//u:p@h", NULL, "invalid mirror: unsupported scheme \"\" in \"//u:xxxxx@h\""},
        {"://h", NULL, "invalid mirror: \"://h\" is not a valid URI: parse \"://h\": missing protocol scheme"},
        {"127.0.0.1:5000", NULL,
         "invalid mirror: \"127.0.0.1:5000\" is not a valid URI: parse \"127.0.0.1:5000\": first path "
         "segment "
         "in URL cannot contain colon"},
        {"http://mirror-1.example.com/?q=foo", NULL,
         "invalid mirror: query or fragment at end of the URI \"http://mirror-1.example.com/?q=foo\""},
        {"http://foo:bar@mirror-1.example.com/", NULL,
         "invalid mirror: username/password not allowed in URI \"http://foo:xxxxx@mirror-1.example.com/\""},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        DV_AUTOFREE char *got = NULL;
        DV_AUTOPTR(davit_error) err = NULL;
        int r = dv_mirror_validate(rows[i].input, /* v27= */ true, &got, &err);
        if (rows[i].normal ? r != 0 || strcmp(got, rows[i].normal) != 0
                           : r != DAVIT_EINVAL || strcmp(davit_error_message(err), rows[i].error) != 0)
            fail_msg("\"%s\": got %s", rows[i].input, r == 0 ? got : davit_error_message(err));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mirror_validate__texts),
        cmocka_unit_test(mirror_validate__v27_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

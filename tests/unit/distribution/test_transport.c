/* Unit tests of distribution/transport.c: what a user's text stands for (DESIGN 3). */
#include "distribution/transport.h"

#include "util/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define HEX "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void place_parse__transports(void **state)
{
    static const struct {
        const char *text;
        dv_place_kind kind;
        const char *path, *name, *reference, *digest;
    } rows[] = {
        {"alpine", DV_PLACE_REGISTRY, NULL, "alpine", "docker.io/library/alpine", ""},
        {"docker://h:5000/a/b:1", DV_PLACE_REGISTRY, NULL, "h:5000/a/b:1", "h:5000/a/b:1", ""},
        {"docker:dind", DV_PLACE_REGISTRY, NULL, "docker:dind", "docker.io/library/docker:dind", ""},
        {"store:a:1", DV_PLACE_STORE, NULL, "a:1", "docker.io/library/a:1", ""},
        {"store:" HEX, DV_PLACE_STORE, NULL, HEX, NULL, ""},
        {"oci:dir", DV_PLACE_LAYOUT, "dir", NULL, NULL, ""},
        {"oci:dir:", DV_PLACE_LAYOUT, "dir", NULL, NULL, ""},
        {"oci:/a/dir:tag", DV_PLACE_LAYOUT, "/a/dir", "tag", NULL, ""},
        {"oci:dir:h:5000/a/b:1", DV_PLACE_LAYOUT, "dir", "h:5000/a/b:1", NULL, ""},
        {"oci:dir@sha256:" HEX, DV_PLACE_LAYOUT, "dir", NULL, NULL, "sha256:" HEX},
        {"oci:a@b:c", DV_PLACE_LAYOUT, "a@b", "c", NULL, ""},
        {"oci-archive:f.tar:1", DV_PLACE_OCI_ARCHIVE, "f.tar", "1", NULL, ""},
        {"oci-archive:f.tar@sha256:" HEX, DV_PLACE_OCI_ARCHIVE, "f.tar", NULL, NULL, "sha256:" HEX},
        {"docker-archive:f.tar", DV_PLACE_DOCKER_ARCHIVE, "f.tar", NULL, NULL, ""},
        {"docker-archive:f.tar:a/b:1", DV_PLACE_DOCKER_ARCHIVE, "f.tar", "a/b:1", "docker.io/a/b:1", ""},
        {"dir:a:b", DV_PLACE_DIR, "a:b", NULL, NULL, ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DV_AUTO(dv_place) p = DV_PLACE_INIT;
        DV_AUTOPTR(davit_error) err = NULL;
        if (dv_place_parse(rows[i].text, DV_PLACE_REGISTRY, &p, &err) < 0)
            fail_msg("%s: %s", rows[i].text, davit_error_message(err));
        const char *reference = p.reference ? davit_reference_text(p.reference) : "none";
        if (p.kind != rows[i].kind ||
            strcmp(p.path ? p.path : "none", rows[i].path ? rows[i].path : "none") != 0 ||
            strcmp(p.name ? p.name : "none", rows[i].name ? rows[i].name : "none") != 0 ||
            strcmp(reference, rows[i].reference ? rows[i].reference : "none") != 0 ||
            strcmp(p.digest.text, rows[i].digest) != 0)
            fail_msg("%s: kind %d, path %s, name %s, reference %s, digest %s", rows[i].text, (int)p.kind,
                     p.path, p.name, reference, p.digest.text);
    }
}

static void place_parse__what_is_refused(void **state)
{
    static const char *const rows[] = {"",
                                       "docker://",
                                       "store:",
                                       "oci:",
                                       "oci::tag",
                                       "oci-archive:",
                                       "docker-archive:",
                                       "docker-archive::a",
                                       "dir:",
                                       "docker://a/UPPER",
                                       "docker-archive:f:BAD:x:y",
                                       "oci:d@sha256:12"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DV_AUTO(dv_place) p = DV_PLACE_INIT;
        int r = dv_place_parse(rows[i], DV_PLACE_REGISTRY, &p, NULL);
        if (r != DAVIT_EINVAL)
            fail_msg("%s: %d", rows[i], r);
    }
}

static void place_equal__names_the_same_image(void **state)
{
    static const struct {
        const char *a, *b;
        bool equal;
    } rows[] = {
        {"alpine", "docker://docker.io/library/alpine:latest", true},
        {"alpine:1", "alpine:2", false},
        {"alpine:1", "store:alpine:1", false},
        {"a@sha256:" HEX, "a", false},
        {"oci:d:x", "oci:d:x", true},
        {"oci:d:x", "oci:d", false},
        {"oci:d:x", "oci:e:x", false},
        {"oci:d@sha256:" HEX, "oci:d:x", false},
        {"dir:d", "dir:d", true},
        {"docker-archive:f:a", "docker-archive:f:a:latest", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DV_AUTO(dv_place) a = DV_PLACE_INIT;
        DV_AUTO(dv_place) b = DV_PLACE_INIT;
        assert_int_equal(dv_place_parse(rows[i].a, DV_PLACE_REGISTRY, &a, NULL), 0);
        assert_int_equal(dv_place_parse(rows[i].b, DV_PLACE_REGISTRY, &b, NULL), 0);
        if (dv_place_equal(&a, &b) != rows[i].equal || dv_place_equal(&b, &a) != rows[i].equal)
            fail_msg("%s and %s", rows[i].a, rows[i].b);
    }
}

static void place_format__as_typed(void **state)
{
    static const struct {
        const char *text, *tag, *expected;
    } rows[] = {
        {"alpine:1", NULL, "docker://alpine:1"},
        {"docker://h:5000/a", "2", "docker://h:5000/a:2"},
        {"a@sha256:" HEX, NULL, "docker://a@sha256:" HEX},
        {"store:" HEX, NULL, "store:" HEX},
        {"oci:d", "t", "oci:d:t"},
        {"oci:d:x", NULL, "oci:d:x"},
        {"oci:d@sha256:" HEX, NULL, "oci:d@sha256:" HEX},
        {"dir:d", NULL, "dir:d"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DV_AUTO(dv_place) p = DV_PLACE_INIT;
        DV_AUTO(dv_buf) out = DV_BUF_INIT(1000);
        assert_int_equal(dv_place_parse(rows[i].text, DV_PLACE_REGISTRY, &p, NULL), 0);
        dv_place_format(&p, rows[i].tag, &out);
        assert_string_equal(dv_buf_text(&out), rows[i].expected);
    }
}

static void image_name_read__who_is_asked(void **state)
{
    static const struct {
        const char *typed;
        davit_pull_when said;
        int code;
        const char *text;
        bool of_files;
        davit_pull_when pull;
    } rows[] = {
        {"alpine", DAVIT_PULL_MISSING, 0, "alpine", false, DAVIT_PULL_MISSING},
        {"alpine", DAVIT_PULL_ALWAYS, 0, "alpine", false, DAVIT_PULL_ALWAYS},
        {"alpine", DAVIT_PULL_NEVER, 0, "alpine", false, DAVIT_PULL_NEVER},
        {"docker://oci:latest", DAVIT_PULL_MISSING, 0, "oci:latest", false, DAVIT_PULL_ALWAYS},
        {"docker://a", DAVIT_PULL_ALWAYS, 0, "a", false, DAVIT_PULL_ALWAYS},
        {"docker://a", DAVIT_PULL_NEVER, DAVIT_EINVAL, NULL, false, DAVIT_PULL_NEVER},
        {"store:dir:latest", DAVIT_PULL_MISSING, 0, "dir:latest", false, DAVIT_PULL_NEVER},
        {"store:a", DAVIT_PULL_NEVER, 0, "a", false, DAVIT_PULL_NEVER},
        {"store:a", DAVIT_PULL_ALWAYS, DAVIT_EINVAL, NULL, false, DAVIT_PULL_NEVER},
        {"oci:d:t", DAVIT_PULL_MISSING, 0, "oci:d:t", true, DAVIT_PULL_MISSING},
        {"oci-archive:f", DAVIT_PULL_NEVER, 0, "oci-archive:f", true, DAVIT_PULL_NEVER},
        {"docker-archive:f", DAVIT_PULL_ALWAYS, DAVIT_EINVAL, NULL, false, DAVIT_PULL_NEVER},
        {"dir:d", DAVIT_PULL_MISSING, 0, "dir:d", true, DAVIT_PULL_MISSING},
        {"oci/d", DAVIT_PULL_MISSING, 0, "oci/d", false, DAVIT_PULL_MISSING},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        dv_image_name name = {.text = NULL};
        int r = dv_image_name_read(rows[i].typed, rows[i].said, &name, NULL);
        if (r != rows[i].code || (r == 0 && (strcmp(name.text, rows[i].text) != 0 ||
                                             name.of_files != rows[i].of_files || name.pull != rows[i].pull)))
            fail_msg("%s: %d, %s, of files %d, pull %d", rows[i].typed, r, name.text, name.of_files,
                     (int)name.pull);
        if (r < 0)
            assert_null(name.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(image_name_read__who_is_asked), cmocka_unit_test(place_parse__transports),
        cmocka_unit_test(place_parse__what_is_refused),  cmocka_unit_test(place_equal__names_the_same_image),
        cmocka_unit_test(place_format__as_typed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

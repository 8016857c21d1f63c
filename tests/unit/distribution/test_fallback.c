/* Unit tests of distribution/fallback.c: every row of pull.md 2.1 and 3.1. */
#include "distribution/fallback.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* An error as the lower folders make it; text is its message. */
static davit_error *make(int code, dv_error_kind kind, const char *registry_code, const char *text)
{
    davit_error *err = NULL;
    dv_error_set(&err, code, "%s", text);
    err->kind = kind;
    snprintf(err->registry_code, sizeof(err->registry_code), "%s", registry_code);
    return err;
}

static void fallback_continue__by_the_table(void **state)
{
    static const struct {
        const char *what;
        int code;
        dv_error_kind kind;
        const char *registry_code;
        bool origin, mirror; /* expected */
    } rows[] = {
        {"cancelled", DAVIT_ECANCELLED, DV_ERROR_PLAIN, "", false, false},
        {"cancelled transport", DAVIT_ECANCELLED, DV_ERROR_TRANSPORT, "", false, false},
        {"no token in 15 s", DAVIT_ETIMEOUT, DV_ERROR_PLAIN, "", false, false}, /* deadline exceeded */
        {"full error", DAVIT_ENOTFOUND, DV_ERROR_REGISTRY_FULL, "MANIFEST_UNKNOWN", false, true},
        {"full DENIED", DAVIT_EDENIED, DV_ERROR_REGISTRY_FULL, "DENIED", false, true},
        {"full UNAUTHORIZED", DAVIT_EUNAUTHORIZED, DV_ERROR_REGISTRY_FULL, "UNAUTHORIZED", false, true},
        {"full TOOMANYREQUESTS", DAVIT_ERATELIMIT, DV_ERROR_REGISTRY_FULL, "TOOMANYREQUESTS", false, true},
        {"full UNKNOWN", DAVIT_EREGISTRY, DV_ERROR_REGISTRY_FULL, "UNKNOWN", false, true},
        {"bare code", DAVIT_ENOTFOUND, DV_ERROR_REGISTRY_BARE, "MANIFEST_UNKNOWN", true, true},
        {"bare DENIED", DAVIT_EDENIED, DV_ERROR_REGISTRY_BARE, "DENIED", true, true},
        {"unexpected response", DAVIT_EUNAVAILABLE, DV_ERROR_UNEXPECTED, "", true, true},
        {"image config", DAVIT_EDIGEST, DV_ERROR_CONFIG_PULL, "", false, true},
        {"media type", DAVIT_EUNSUPPORTED, DV_ERROR_MEDIA_TYPE, "", false, false},
        {"transport", DAVIT_ENETWORK, DV_ERROR_TRANSPORT, "", true, true},
        {"transport timeout", DAVIT_ETIMEOUT, DV_ERROR_TRANSPORT, "", true, true},
        {"TLS", DAVIT_ETLS, DV_ERROR_TRANSPORT, "", true, true},
        {"kill: no such process", DAVIT_EPROTOCOL, DV_ERROR_PLAIN, "", false, false},
        {"anything else", DAVIT_EPROTOCOL, DV_ERROR_PLAIN, "", true, true},
        {"wrong digest", DAVIT_EDIGEST, DV_ERROR_PLAIN, "", true, true},
        {"unknown blob", DAVIT_ENOTFOUND, DV_ERROR_PLAIN, "", true, true},
        {"no platform", DAVIT_EPLATFORM, DV_ERROR_PLAIN, "", true, true},
        /* ours: another endpoint would meet the same */
        {"no memory", DAVIT_ENOMEM, DV_ERROR_PLAIN, "", false, false},
        {"full disk", DAVIT_ENOSPACE, DV_ERROR_PLAIN, "", false, false},
        {"broken disk", DAVIT_EIO, DV_ERROR_PLAIN, "", false, false},
        {"store", DAVIT_ESTORE, DV_ERROR_PLAIN, "", false, false},
        {"credential helper", DAVIT_ECONFIG, DV_ERROR_PLAIN, "", false, false},
    };
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_error *err = make(rows[i].code, rows[i].kind, rows[i].registry_code, rows[i].what);
        bool origin = dv_fallback_continue(err, false), mirror = dv_fallback_continue(err, true);
        err->final = true; /* a do-not-retry wrapper changes nothing */
        bool same = origin == dv_fallback_continue(err, false) && mirror == dv_fallback_continue(err, true);
        davit_error_free(err);
        if (origin != rows[i].origin || mirror != rows[i].mirror || !same)
            fail_msg("%s: expected %d, from a mirror %d; got %d, %d, final the same: %d", rows[i].what,
                     rows[i].origin, rows[i].mirror, origin, mirror, same);
    }
}

static void fallback_continue__no_memory_has_a_static_error(void **state)
{
    davit_error *err = NULL;
    dv_error_oom(&err);
    assert_false(dv_fallback_continue(err, true));
}

#define DENIED \
    "pull access denied for busybox, repository does not exist or may require 'docker login': denied: no"

static void fallback_translate__by_the_table(void **state)
{
    static const struct {
        int code;
        dv_error_kind kind;
        const char *registry_code, *text, *expected;
    } rows[] = {
        {DAVIT_EDENIED, DV_ERROR_REGISTRY_FULL, "DENIED", "denied: no", DENIED},
        {DAVIT_ENOTFOUND, DV_ERROR_REGISTRY_FULL, "MANIFEST_UNKNOWN", "manifest unknown: manifest unknown",
         "manifest for busybox:nope not found: manifest unknown: manifest unknown"},
        {DAVIT_ENOTFOUND, DV_ERROR_REGISTRY_FULL, "NAME_UNKNOWN", "name unknown: gone",
         "repository busybox not found: name unknown: gone"},
        /* rules match full errors only (registry-v2.md 9.1) */
        {DAVIT_ENOTFOUND, DV_ERROR_REGISTRY_BARE, "MANIFEST_UNKNOWN", "manifest unknown", "manifest unknown"},
        {DAVIT_EDENIED, DV_ERROR_REGISTRY_BARE, "DENIED", "denied", "denied"},
        {DAVIT_EUNAUTHORIZED, DV_ERROR_REGISTRY_FULL, "UNAUTHORIZED", "unauthorized: who",
         "unauthorized: who"},
        {DAVIT_ERATELIMIT, DV_ERROR_REGISTRY_FULL, "TOOMANYREQUESTS", "toomanyrequests: x",
         "toomanyrequests: x"},
        {DAVIT_ECANCELLED, DV_ERROR_PLAIN, "", "cancelled", "cancelled"},
        {DAVIT_ETIMEOUT, DV_ERROR_PLAIN, "", "no token within 15 s", "no token within 15 s"},
        {DAVIT_EUNAVAILABLE, DV_ERROR_UNEXPECTED, "",
         "received unexpected HTTP status: 500 Internal Server Error",
         "received unexpected HTTP status: 500 Internal Server Error"},
        {DAVIT_ENOTFOUND, DV_ERROR_PLAIN, "DENIED", "a kind that is no registry's",
         "a kind that is no registry's"},
        /* only the first of a list decides, and the text keeps them all */
        {DAVIT_ENOTFOUND, DV_ERROR_REGISTRY_FULL, "NAME_UNKNOWN", "errors:\nname unknown: a\ndenied: b\n",
         "repository busybox not found: errors:\nname unknown: a\ndenied: b\n"},
    };
    davit_reference *ref = NULL;
    assert_int_equal(davit_reference_parse("busybox:nope", &ref, NULL), 0);
    for (size_t i = 0; i < DV_COUNT(rows); i++) {
        davit_error *err = make(rows[i].code, rows[i].kind, rows[i].registry_code, rows[i].text);
        int r = dv_fallback_translate(&err, ref);
        bool same = r == rows[i].code && davit_error_code(err) == r && err->kind == rows[i].kind &&
                    strcmp(err->registry_code, rows[i].registry_code) == 0;
        if (!same || strcmp(davit_error_message(err), rows[i].expected) != 0)
            fail_msg("%s %s: expected %s \"%s\", got %s \"%s\"", rows[i].registry_code, rows[i].text,
                     davit_code_name(rows[i].code), rows[i].expected, davit_code_name(r),
                     davit_error_message(err));
        davit_error_free(err);
    }
    davit_reference_free(ref);
}

static void fallback_translate__nothing_is_nothing(void **state)
{
    davit_error *err = NULL;
    davit_reference *ref = NULL;
    assert_int_equal(davit_reference_parse("busybox", &ref, NULL), 0);
    assert_int_equal(dv_fallback_translate(&err, ref), 0);
    assert_null(err);
    davit_reference_free(ref);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fallback_continue__by_the_table),
        cmocka_unit_test(fallback_continue__no_memory_has_a_static_error),
        cmocka_unit_test(fallback_translate__by_the_table),
        cmocka_unit_test(fallback_translate__nothing_is_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

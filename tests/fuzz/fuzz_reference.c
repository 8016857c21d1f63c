/* Any text through every parser; what is accepted has a full text that parses to itself. */
#include "oci/reference.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef int (*parser)(const char *text, davit_reference **out, davit_error **err);

static void check(parser parse, const char *text)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    DV_AUTOPTR(davit_reference) again = NULL;
    davit_error *err = NULL;
    bool matches = false;
    if (parse(text, &ref, &err) < 0) {
        assert(davit_error_message(err)[0]);
        davit_error_free(err);
        return;
    }
    parser exactly = *davit_reference_path(ref) ? davit_reference_parse_exact : davit_reference_parse_any;
    int r = exactly(davit_reference_text(ref), &again, NULL);
    assert(r == 0);
    assert(strcmp(davit_reference_name(ref), davit_reference_name(again)) == 0);
    assert(strcmp(davit_reference_domain(ref), davit_reference_domain(again)) == 0);
    assert(strcmp(davit_reference_familiar(ref), davit_reference_familiar(again)) == 0);
    assert(strlen(davit_reference_path(ref)) <= 255);
    davit_reference_familiar_match(ref, text, &matches, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTOFREE char *text = dv_strndup((const char *)data, size);
    if (!text)
        return 0;
    check(davit_reference_parse, text);
    check(davit_reference_parse_exact, text);
    check(davit_reference_parse_named, text);
    check(davit_reference_parse_any, text);
    check(davit_reference_parse_docker, text);
    check(davit_reference_with_name, text);
    return 0;
}

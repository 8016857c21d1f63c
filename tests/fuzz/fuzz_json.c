/* Any bytes, strict and lenient: what is parsed can be written, read again, and is then the same; lists of names are those of the tree. */
#include "util/json_names.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const keys[] = {"layers", "config", "os.version", NULL};
static const dv_json_known known[] = {{"", keys}, {"config", keys}, {"layers[]", keys}, {NULL, NULL}};
static const dv_json_limits limits = {.max_bytes = 1 << 20, .max_values = 5000};

static void round_trip(const dv_json *v)
{
    DV_AUTO(dv_buf) first = DV_BUF_INIT(16 << 20);
    DV_AUTO(dv_buf) second = DV_BUF_INIT(16 << 20);
    DV_AUTOPTR(dv_json) again = NULL;
    const dv_json_limits wide = {.max_bytes = 16 << 20, .max_values = 5000};
    dv_json_format(v, 0, true, &first);
    if (first.failed)
        return;
    int r = dv_json_parse(dv_buf_text(&first), first.size, &wide, NULL, &again, NULL);
    assert(r == 0);
    dv_json_format(again, 0, true, &second);
    assert(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
}

static void names_of(const uint8_t *data, size_t size)
{
    const dv_json_limits any_number = {.max_bytes = 1 << 20, .max_values = 5000, .any_number = true};
    DV_AUTOPTR(dv_json) tree = NULL;
    DV_AUTOPTR(dv_json_names) names = NULL;
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(size);
    dv_buf_append(&bytes, data, size);
    int r = dv_json_parse(data, size, &any_number, NULL, &tree, NULL);
    const dv_json *array = r == 0 ? dv_json_get(tree, "layers") : NULL;
    if (array && !dv_json_is(array, DV_JSON_ARRAY) && !dv_json_is(array, DV_JSON_NULL))
        r = DAVIT_EFORMAT;
    int named = dv_json_names_parse(bytes.data, size, &any_number, "layers", &names, NULL);
    assert(named == r);
    assert(r < 0 || dv_json_names_count(names) == dv_json_count(array));
    for (size_t i = 0; r == 0 && i < dv_json_count(array); i++) {
        size_t length = 0;
        const char *text = dv_json_string(dv_json_at(array, i), &length), *name = dv_json_names_at(names, i);
        bool whole = text && strlen(text) == length;
        assert(whole ? name && strcmp(name, text) == 0 : !name);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTOPTR(dv_json) strict = NULL;
    DV_AUTOPTR(dv_json) lenient = NULL;
    DV_AUTOPTR(davit_error) err = NULL;
    int strictly = dv_json_parse(data, size, &limits, known, &strict, &err);
    int leniently = dv_json_parse(data, size, &limits, NULL, &lenient, NULL);
    assert(strictly < 0 || leniently == 0);
    if (leniently == 0)
        round_trip(lenient);
    names_of(data, size);
    return 0;
}

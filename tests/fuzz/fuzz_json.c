/* Any bytes, strict and lenient: what is parsed can be written, read again, and is then the same. */
#include "util/json.h"

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
    return 0;
}

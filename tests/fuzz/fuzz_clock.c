/* Any text as a time; what is accepted can be written and read again. */
#include "util/alloc.h"
#include "util/clock.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTOFREE char *text = dv_strndup((const char *)data, size);
    int64_t t = 0, again = 0;
    char written[32];
    if (!text)
        return 0;
    if (dv_time_parse_http(text, &t) == 0) {
        dv_time_format(t, written);
        assert(dv_time_parse_rfc3339(written, &again) == 0 && again == t);
    }
    dv_time_parse_rfc3339(text, &t);
    return 0;
}

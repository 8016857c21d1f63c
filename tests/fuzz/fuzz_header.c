/* Any bytes as the value of each header that is parsed. */
#include "net/header.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"Retry-After", "Content-Range", "Link", "Content-Type"};
    DV_AUTOFREE char *text = dv_strndup((const char *)data, size);
    DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
    uint64_t first, last, total;
    char type[64];
    assert(text);
    for (size_t i = 0; i < DV_COUNT(names); i++)
        if (dv_headers_add(&h, names[i], text, 0, NULL) < 0)
            return 0;
    int64_t wait_s = dv_header_retry_after_s(&h, 1000000000);
    assert(wait_s >= -1 && wait_s <= INT32_MAX);
    if (dv_header_content_range(&h, &first, &last, &total, NULL) == 0)
        assert(first <= last && last < total);
    if (dv_header_media_type(dv_headers_get(&h, "content-type"), type, sizeof(type)))
        assert(strchr(type, '/') && strlen(type) < sizeof(type));
    free(dv_header_link_next(&h));
    return 0;
}

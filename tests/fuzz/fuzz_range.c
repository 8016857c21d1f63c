/* "ASKED FIRST LAST SIZE STATUS\n" and any bytes as Content-Range: what is taken for the part that was asked for is that one. */
#include "net/range.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTOFREE char *text = dv_strndup((const char *)data, size);
    DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    uint64_t first, last, blob, got_first, got_last, total;
    int asked, status;
    dv_range_answer answer;
    assert(text);
    char *value = strchr(text, '\n');
    if (!value || value - text > 90)
        return 0;
    *value++ = '\0';
    if (sscanf(text, "%1d %18" SCNu64 " %18" SCNu64 " %18" SCNu64 " %3d", &asked, &first, &last, &blob,
               &status) != 5)
        return 0;
    last = last == 0 ? DAVIT_SIZE_UNKNOWN : last;
    blob = blob == 0 ? DAVIT_SIZE_UNKNOWN : blob;
    if (dv_headers_add(&h, "Content-Range", value, 0, NULL) < 0)
        return 0;
    int r = dv_range_classify(asked, first, last, blob, status, &h, &answer, &err);
    if (r < 0) {
        assert(r == DAVIT_EPROTOCOL && davit_error_message(err)[0]);
        return 0;
    }
    if (answer != DV_RANGE_PART)
        return 0;
    r = dv_header_content_range(&h, &got_first, &got_last, &total, NULL);
    assert(r == 0 && asked && status == 206 && got_first == first && got_first <= got_last &&
           got_last < total);
    assert(last == DAVIT_SIZE_UNKNOWN || got_last == last);
    assert(total == DAVIT_SIZE_UNKNOWN || blob == DAVIT_SIZE_UNKNOWN || total == blob);
    return 0;
}

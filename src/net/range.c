/* net/range.c - see range.h. */
#include "net/range.h"

#include <inttypes.h>

void dv_range_format(uint64_t first, uint64_t last, dv_buf *out)
{
    dv_buf_printf(out, "bytes=%" PRIu64 "-", first);
    if (last != DAVIT_SIZE_UNKNOWN)
        dv_buf_printf(out, "%" PRIu64, last);
}

int dv_range_classify(bool asked, uint64_t first, uint64_t last, uint64_t size, int status,
                      const dv_headers *headers, dv_range_answer *out, davit_error **err)
{
    *out = DV_RANGE_OTHER;
    if (status == 416 || (status == 400 && asked)) {
        *out = DV_RANGE_REFUSED;
        return 0;
    }
    if (status < 200 || status >= 400)
        return 0;
    if (status != 206) {
        *out = DV_RANGE_WHOLE;
        return 0;
    }
    if (!asked)
        return dv_error_set(err, DAVIT_EPROTOCOL, "HTTP 206 though no range was asked for");
    uint64_t from, to, total;
    int r = dv_header_content_range(headers, &from, &to, &total, err);
    if (r < 0)
        return r;
    if (from != first)
        return dv_error_set(err, DAVIT_EPROTOCOL,
                            "received Content-Range starting at offset %" PRIu64
                            " instead of requested %" PRIu64,
                            from, first);
    const char *value = dv_headers_get(headers, "Content-Range");
    if (last == DAVIT_SIZE_UNKNOWN ? total != DAVIT_SIZE_UNKNOWN && to + 1 != total : to != last)
        return dv_error_set(err, DAVIT_EPROTOCOL,
                            "range in Content-Range stops before the end of the content: %s", value);
    if (total != DAVIT_SIZE_UNKNOWN && size != DAVIT_SIZE_UNKNOWN && total != size)
        return dv_error_set(err, DAVIT_EPROTOCOL, "Content-Range of another size than %" PRIu64 ": %s", size,
                            value);
    *out = DV_RANGE_PART;
    return 0;
}

unsigned dv_range_connections(uint64_t left, uint64_t rate, bool busy, unsigned max)
{
    if (busy || rate >= DV_RANGE_FAST || left < 2 * DV_RANGE_MIN)
        return 1;
    uint64_t useful = left / DV_RANGE_MIN;
    unsigned limit = max < DV_RANGE_CONNECTIONS_MAX ? max : DV_RANGE_CONNECTIONS_MAX;
    return useful < limit ? (unsigned)useful : limit;
}

uint64_t dv_range_length(uint64_t left, unsigned connections)
{
    if (connections <= 1)
        return left;
    uint64_t length = left / (2 * (uint64_t)connections);
    if (length < DV_RANGE_MIN)
        length = DV_RANGE_MIN;
    if (length > DV_RANGE_MAX)
        length = DV_RANGE_MAX;
    return length < left ? length : left;
}

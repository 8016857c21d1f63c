/* The first byte chooses status and type, the rest is the body: always an error, never a long one. */
#include "net/error_body.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {400, 401, 403, 404, 405, 429, 500, 304};
    static const char *const types[] = {NULL, "application/json", "text/plain", "nonsense"};
    static const char challenge[] = "Bearer realm=\"https://t/\",error=\"insufficient_scope\"";
    if (size == 0)
        return 0;
    DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    const char *type = types[data[0] >> 3 & 3];
    if (type)
        dv_headers_add(&h, "Content-Type", type, 0, NULL);
    if (data[0] & 0x20)
        dv_headers_add(&h, "WWW-Authenticate", challenge, 0, NULL);
    int r = dv_error_body_set(&err, statuses[data[0] & 7], &h, data + 1, size - 1);
    assert(r < 0 && davit_error_code(err) == r);
    assert(err->http_status == statuses[data[0] & 7]);
    assert(strlen(davit_error_message(err)) < 8192);
    return 0;
}

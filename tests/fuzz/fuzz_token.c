/*
 * Any bytes as a token server's answer: a token that is accepted can stand in a header, and times stay in
 * their bounds.
 */
#include "auth/token.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int post = 0; post < 2; post++) {
        DV_AUTO(dv_token) t = DV_TOKEN_INIT;
        DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
        if (dv_token_parse(post, data, size, &t, NULL) < 0)
            continue;
        int r = dv_headers_add(&h, "Authorization", t.token.text, DV_HEADER_SECRET, NULL);
        assert(r == 0);
        assert(t.expires_in_s >= DV_TOKEN_EXPIRES_MIN_S && t.expires_in_s <= DV_TOKEN_EXPIRES_MAX_S);
    }
    return 0;
}

/*
 * Lines of any bytes as WWW-Authenticate: parsing never fails, and what a line gives has its promised
 * shape.
 */
#include "auth/challenge.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTOFREE char *text = dv_strndup((const char *)data, size);
    DV_AUTO(dv_headers) h = DV_HEADERS_INIT;
    DV_AUTO(dv_challenges) c = DV_CHALLENGES_INIT;
    char *rest = NULL;
    assert(text);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        dv_headers_add(&h, "WWW-Authenticate", line, 0, NULL);
    int r = dv_challenges_parse(401, &h, &c, NULL);
    assert(r == 0 && c.count <= DV_CHALLENGES_MAX);
    for (size_t i = 0; i < c.count; i++) {
        assert(c.items[i].scheme[0] && c.items[i].count <= DV_AUTH_PARAMS_MAX);
        for (size_t j = 0; j < c.items[i].count; j++)
            assert(c.items[i].items[j].key[0] && dv_auth_params_get(&c.items[i], c.items[i].items[j].key)[0]);
    }
    return 0;
}

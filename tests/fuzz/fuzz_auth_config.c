/*
 * Any bytes as an X-Registry-Auth header and as a body: what was read is written to a header that is read as the same again, and
 * a failure leaves nothing.
 */
#include "auth/auth_config.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int r, const davit_auth_config *got, const davit_error *err)
{
    davit_auth_config again;
    char *text = NULL, *same = NULL;
    assert(r == 0 || (r == DAVIT_EINVAL &&
                      strncmp(davit_error_message(err), "invalid X-Registry-Auth header: ", 32) == 0));
    if (r < 0) {
        assert(davit_auth_config_is_anonymous(got) && !got->username && !got->email);
        return;
    }
    if (davit_auth_config_encode(got, &text, NULL) == 0 && davit_auth_config_decode(text, &again, NULL) == 0) {
        assert(davit_auth_config_encode(&again, &same, NULL) == 0 && strcmp(text, same) == 0);
        davit_auth_config_clear(&again);
    }
    davit_secret_free(text);
    davit_secret_free(same);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTOFREE char *value = dv_strndup((const char *)data, size);
    for (int body = 0; value && body < 2; body++) {
        davit_auth_config got;
        davit_error *err = NULL;
        int r = body ? davit_auth_config_decode_body(data, size, &got, &err)
                     : davit_auth_config_decode(value, &got, &err);
        check(r, &got, err);
        davit_auth_config_clear(&got);
        davit_error_free(err);
    }
    return 0;
}

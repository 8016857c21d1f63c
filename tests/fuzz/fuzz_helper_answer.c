/* Any bytes as a credential helper's answer: what is believed is for the asked host and fits into one header line. */
#include "auth/auth_config.h"
#include "auth/credential_helper.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const servers[] = {"https://index.docker.io/v1/", "h:5000"};
    for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
        DV_AUTO(davit_auth_config) c = DAVIT_AUTH_CONFIG_INIT;
        davit_error *err = NULL;
        int r = dv_helper_answer_parse(data, size, servers[i], &c, &err);
        assert(r == 0 || r == 1 || r == DAVIT_ECONFIG);
        assert((r == 1) == !davit_auth_config_is_anonymous(&c));
        const char *const texts[] = {c.username, c.password, c.identitytoken};
        for (size_t n = 0; n < sizeof(texts) / sizeof(texts[0]); n++)
            assert(!texts[n] || !strpbrk(texts[n], "\r\n"));
        assert(r != 1 || strcmp(c.serveraddress, servers[i]) == 0);
        davit_error_free(err);
    }
    return 0;
}

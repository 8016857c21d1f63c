/* Any bytes as a credential file, asked for several registries: nobody gets an entry that proves nothing. */
#include "auth/config_file.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const domains[] = {"docker.io", "index.docker.io", "reg.example.com",
                                          "reg.example.com:5000", "h"};
    dv_config_file *f = NULL;
    davit_error *err = NULL;
    int r = dv_config_file_parse("c.json", data, size, &f, &err);
    assert(r == 0 || r == DAVIT_ECONFIG);
    for (size_t i = 0; r == 0 && i < sizeof(domains) / sizeof(domains[0]); i++) {
        const davit_auth_config *c = dv_config_file_find(f, domains[i], "team/app");
        assert(!c || !davit_auth_config_is_anonymous(c));
        dv_config_file_find(f, domains[i], NULL);
        const char *helper = NULL;
        dv_config_file_helper(f, "config.json", domains[i], &helper, NULL);
    }
    dv_config_file_free(f);
    davit_error_free(err);
    return 0;
}

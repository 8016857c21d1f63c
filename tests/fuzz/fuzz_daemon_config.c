/* Any bytes as a configuration file: what is taken can be shown to a service, which says yes or names the key. */
#include "service/daemon_config.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const mirrors[] = {"https://mirror.example.com", NULL};
    DV_AUTO(dv_daemon_config) c = DV_DAEMON_CONFIG_INIT;
    DV_AUTOPTR(davit_error) err = NULL;
    int r = dv_daemon_config_parse("d.json", data, size, &c, &err);
    assert(r == 0 || r == DAVIT_ECONFIG);
    if (r == 0)
        r = dv_daemon_config_check(&c, mirrors, &err);
    assert(r == 0 || r == DAVIT_ECONFIG);
    if (r < 0)
        assert(strncmp(davit_error_message(err), "d.json: ", 8) == 0);
    return 0;
}

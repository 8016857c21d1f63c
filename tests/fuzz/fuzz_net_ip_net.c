/* Any JSON as an IP network; what is read can be written, and is then read as the same. */
#include "service/net_ip_net.h"
#include "util/alloc.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    davit_net_ip_net net, again;
    DV_AUTOFREE char *json = NULL;
    if (davit_net_ip_net_parse((const char *)data, size, &net, NULL) < 0 ||
        davit_net_ip_net_format(&net, &json, NULL) < 0)
        return 0;
    assert(davit_net_ip_net_parse(json, strlen(json), &again, NULL) == 0);
    assert(dv_net_ip_net_equal(&net, &again));
    return 0;
}

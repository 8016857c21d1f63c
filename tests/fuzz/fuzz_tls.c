/*
 * Any bytes as a file of roots, and as a client certificate with its key in one file: nothing is asked of a terminal, and what
 * fails changes nothing.
 */
#include "net/tls.h"

#include "util/error.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTOPTR(davit_tls_config) tls = NULL;
    assert(davit_tls_config_new(&tls, NULL) == 0);
    int r = dv_tls_config_add_roots(tls, "x.crt", data, size, NULL);
    assert(r == 0 || davit_tls_config_root_count(tls) == 0);
    assert(davit_tls_config_has_roots(tls));
    r = dv_tls_config_add_client(tls, "x.cert", data, size, "x.key", data, size, NULL);
    assert(davit_tls_config_client_certificate_count(tls) == (r == 0));
    return 0;
}

/* net/tls.c - see tls.h. */
#include "net/tls.h"

#include "util/error.h"

#include <curl/curl.h>
#include <stdatomic.h>

struct davit_tls_config {
    atomic_uint references;
    bool insecure;
    size_t root_count, client_count;
};

/* service.md 12: TLS 1.2, ECDHE with AES-GCM first, then the AES-CBC-SHA suites. */
static const char ciphers[] =
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:"
    "ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:ECDHE-ECDSA-AES128-SHA:"
    "ECDHE-RSA-AES128-SHA";

void dv_tls_apply(void *easy, const dv_tls *tls)
{
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_SSL_CIPHER_LIST, ciphers);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, tls->verify ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, tls->verify ? 2L : 0L);
    if (!tls->verify) {
        /* libcurl reads the bundle even when nothing is verified: 200 kB of PEM, several milliseconds. */
        curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    } else if (tls->ca_file) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, tls->ca_file);
        curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    }
}

/* --- a configuration --------------------------------------------------------------------------------------------- */

int dv_tls_config_new(bool insecure, davit_tls_config **out, davit_error **err)
{
    davit_tls_config *tls = dv_new(davit_tls_config);
    if (!tls)
        return dv_error_oom(err);
    atomic_init(&tls->references, 1);
    tls->insecure = insecure;
    *out = tls;
    return 0;
}

int davit_tls_config_new(davit_tls_config **out, davit_error **err)
{
    return dv_tls_config_new(/* insecure= */ false, out, err);
}

davit_tls_config *dv_tls_config_ref(davit_tls_config *tls)
{
    if (tls)
        atomic_fetch_add_explicit(&tls->references, 1, memory_order_relaxed);
    return tls;
}

void davit_tls_config_free(davit_tls_config *tls)
{
    if (!tls || atomic_fetch_sub_explicit(&tls->references, 1, memory_order_acq_rel) > 1)
        return;
    free(tls);
}

bool davit_tls_config_is_insecure(const davit_tls_config *tls)
{
    return tls->insecure;
}

bool davit_tls_config_has_roots(const davit_tls_config *tls)
{
    return tls->root_count > 0;
}

size_t davit_tls_config_root_count(const davit_tls_config *tls)
{
    return tls->root_count;
}

size_t davit_tls_config_client_certificate_count(const davit_tls_config *tls)
{
    return tls->client_count;
}

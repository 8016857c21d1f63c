/*
 * net/tls.h - what TLS demands of a peer and shows to it.
 *
 * A davit_tls_config is built once (service/certs_d.c), then shared and never changed. The functions on it that are public are
 * in davit/service.h.
 */
#ifndef DV_NET_TLS_H
#define DV_NET_TLS_H

#include "davit/service.h"
#include "util/alloc.h"

#include <stdbool.h>

typedef struct dv_tls {
    bool verify;         /* false: any certificate and name is accepted */
    const char *ca_file; /* PEM bundle instead of the system's; NULL for the system's. Borrowed */
} dv_tls;

/*
 * A configuration of its own: no extra roots, no client certificates. It may change until it is shared; davit_tls_config_free()
 * gives up one reference.
 */
int dv_tls_config_new(bool insecure, davit_tls_config **out, davit_error **err);
davit_tls_config *dv_tls_config_ref(davit_tls_config *tls); /* NULL is fine */
DV_DEFINE_AUTOPTR(davit_tls_config, davit_tls_config_free)

/* easy is libcurl's CURL *. Threads: loop. */
void dv_tls_apply(void *easy, const dv_tls *tls);

#endif

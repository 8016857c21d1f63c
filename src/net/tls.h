/* net/tls.h - what TLS demands of a peer. Certificates of a host's own directory are the next issue's. */
#ifndef DV_NET_TLS_H
#define DV_NET_TLS_H

#include <stdbool.h>

typedef struct dv_tls {
    bool verify;         /* false: any certificate and name is accepted */
    const char *ca_file; /* PEM bundle instead of the system's; NULL for the system's. Borrowed */
} dv_tls;

/* easy is libcurl's CURL *. Threads: loop. */
void dv_tls_apply(void *easy, const dv_tls *tls);

#endif

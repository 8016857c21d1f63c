/*
 * service/endpoint.h - which base URLs a registry is tried at, in order (service.md 9, v28). Plain http for
 * an insecure host is a flag of its one endpoint here: DESIGN section 5 tries both schemes at once.
 */
#ifndef DV_SERVICE_ENDPOINT_H
#define DV_SERVICE_ENDPOINT_H

#include "net/tls.h"
#include "net/url.h"
#include "service/service_config.h"

typedef struct dv_endpoint {
    dv_url url;       /* of a mirror with its path; else "https://host/" */
    bool mirror;      /* tried before the registry itself; keeps its scheme */
    bool official;    /* Docker Hub itself */
    bool insecure;    /* TLS is not verified; and, unless it is a mirror, plain http will do */
    bool digest_only; /* a mirror that is never asked what a tag is (threats A15) */
    bool allow_nondistributable_artifacts; /* v27 */
    davit_tls_config *tls;                 /* a reference; NULL: the system's roots, no client certificates */
} dv_endpoint;

typedef struct dv_endpoints {
    dv_endpoint *items;
    size_t count;
} dv_endpoints;

#define DV_ENDPOINTS_INIT \
    {                     \
        0                 \
    }
void dv_endpoints_clear(dv_endpoints *e);
DV_DEFINE_AUTO(dv_endpoints, dv_endpoints_clear)

/*
 * The endpoints of a reference's domain for pulling. DAVIT_EINVAL for a domain no URL can be made of. May
 * call resolve.
 */
int dv_endpoints_for_pull(const dv_service_config *config, const char *domain, dv_endpoints *out,
                          davit_error **err);
/* The same without mirrors, which are not even looked at. */
int dv_endpoints_for_push(const dv_service_config *config, const char *domain, dv_endpoints *out,
                          davit_error **err);

#endif

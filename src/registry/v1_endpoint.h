/*
 * registry/v1_endpoint.h - where a registry's v1 API is, and over which scheme: pings until it answers. Spec: search.md 4,
 * service.md 12.
 *
 * Plain http is tried for an insecure host only, after https has failed, and that first plain request carries nothing that the
 * user gave for the registry.
 */
#ifndef DV_REGISTRY_V1_ENDPOINT_H
#define DV_REGISTRY_V1_ENDPOINT_H

#include "registry/client.h"

#define DV_V1_PING_MAX (64u << 10) /* bytes of a ping's answer that are looked at */

typedef struct dv_v1_endpoint {
    dv_url url; /* ends with "/v1/" */
    bool official;
    dv_endpoint
        registry;    /* of its host: whether it is insecure, and its TLS configuration; the URL is not used */
    bool standalone; /* as the last ping says; false for the official one */
    bool peer_known, peer_private; /* of the address that answered (threats A7) */
    char *token;                   /* values of X-Docker-Token in the answer, joined by ","; NULL: none */
} dv_v1_endpoint;

#define DV_V1_ENDPOINT_INIT \
    {                       \
        0                   \
    }
void dv_v1_endpoint_clear(dv_v1_endpoint *e);
DV_DEFINE_AUTO(dv_v1_endpoint, dv_v1_endpoint_clear)

/* The v1 URL of an address. DAVIT_EINVAL: "search is not supported on v2 endpoints: ...", or no URL can be made of it. */
int dv_v1_endpoint_parse(const char *address, dv_url *out, davit_error **err);

/* "standalone" of a ping's answer. */
bool dv_v1_ping_standalone(const dv_headers *headers, const void *body, size_t size);

/* Values of X-Docker-Token joined by ","; NULL when there is none or no memory. New text. */
char *dv_v1_token_of(const dv_headers *headers);

/*
 * Find the endpoint of an index: "docker.io", which is not asked, or host[:port]. headers: what the user gives every request to
 * it. The texts of search.md 4; the code is that of what failed. Threads: a caller's; blocks.
 */
int dv_v1_endpoint_find(davit_client *c, const char *index, const dv_headers *headers, dv_v1_endpoint *out,
                        davit_error **err);
/* Ask an endpoint that was found once more. */
int dv_v1_endpoint_ping(davit_client *c, dv_v1_endpoint *e, const dv_headers *headers, davit_error **err);

#endif

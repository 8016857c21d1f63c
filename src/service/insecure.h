/*
 * service/insecure.h - which registries may be talked to without verified TLS: names and networks
 * (service.md 5, 6, 7; v28). 127.0.0.0/8, ::1 and localhost always count. No name service of its own: a
 * resolve function is passed in, and asked only when a network beyond the built-in ones is listed.
 */
#ifndef DV_SERVICE_INSECURE_H
#define DV_SERVICE_INSECURE_H

#include "net/resolve.h"
#include "util/error.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct dv_network {
    int family; /* AF_INET or AF_INET6 */
    uint8_t bytes[16];
    unsigned bits;
} dv_network;

typedef struct dv_insecure_set {
    dv_network *networks; /* the user's; the built-in ones are not among them */
    size_t network_count;
    char **names; /* host or host:port as given */
    size_t name_count;
} dv_insecure_set;

#define DV_INSECURE_SET_INIT \
    {                        \
        0                    \
    }
void dv_insecure_set_clear(dv_insecure_set *s);
DV_DEFINE_AUTO(dv_insecure_set, dv_insecure_set_clear)

/* Add an entry, a CIDR or host[:port]. DAVIT_EINVAL with the texts of service.md 6. */
int dv_insecure_set_add(dv_insecure_set *s, const char *text, davit_error **err);

/* Whether a host[:port] as in a reference counts as insecure. "docker.io" never does. resolve may be NULL. */
bool dv_insecure_set_has(const dv_insecure_set *s, const char *host, dv_resolve_fn *resolve, void *user_data);

#endif

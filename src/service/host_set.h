/*
 * service/host_set.h - a list of hosts and networks, as of insecure registries: reading its entries, and whether it names or
 * covers a host (service.md 5, 6, 7).
 */
#ifndef DV_SERVICE_HOST_SET_H
#define DV_SERVICE_HOST_SET_H

#include "net/resolve.h"
#include "service/net_ip_net.h"
#include "util/error.h"

#define DV_HOST_SET_MAX 10000     /* entries of one list */
#define DV_HOST_SET_TEXT_MAX 4096 /* bytes of an entry; names are far shorter */

typedef struct dv_host_set {
    davit_net_ip_net *networks; /* each once, in order */
    size_t network_count;
    char **names; /* host or host:port as given; each once, in order, ends with NULL; NULL: none */
    size_t name_count;
} dv_host_set;

#define DV_HOST_SET_INIT \
    {                    \
        0                \
    }
void dv_host_set_clear(dv_host_set *s);
DV_DEFINE_AUTO(dv_host_set, dv_host_set_clear)

/* The name service that a question may be put to. */
typedef struct dv_lookup {
    dv_resolve_fn *resolve; /* NULL: nobody is asked */
    void *user_data;
    bool first; /* v27: asked before a literal address is taken for one */
} dv_lookup;

/* Go's net.SplitHostPort. False: it does not split. host and port are borrowed pieces of text. */
bool dv_host_port_split(const char *text, const char **host, size_t *host_size, const char **port);

/* Add a CIDR or host[:port]. DAVIT_EINVAL "<what> <text> is not valid: ..." (service.md 5). */
int dv_host_set_add(dv_host_set *s, const char *text, const char *what, davit_error **err);
int dv_host_set_add_network(dv_host_set *s, const davit_net_ip_net *net, davit_error **err);
/* Whether exactly this text is an entry. */
bool dv_host_set_names(const dv_host_set *s, const char *host);
/* Whether an address of a host[:port] is in one of the networks. May look its name up; not when there are no networks. */
bool dv_host_set_covers(const dv_host_set *s, const char *host, const dv_lookup *lookup);

#endif

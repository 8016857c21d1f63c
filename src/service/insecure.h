/*
 * service/insecure.h - which registries may be talked to without verified TLS (service.md 6, 7). localhost always may, and
 * Docker Hub never. A name is looked up only when a network beyond the loopback ones is listed: otherwise whoever answers for
 * a name could take TLS away from it.
 */
#ifndef DV_SERVICE_INSECURE_H
#define DV_SERVICE_INSECURE_H

#include "service/host_set.h"

/* Add an entry of the user's, a CIDR or host[:port]. DAVIT_EINVAL with the texts of service.md 6. */
int dv_insecure_add(dv_host_set *s, const char *text, davit_error **err);
/* Add the networks that always count, behind the user's: ::1/128, which v27 lacks, and 127.0.0.0/8. */
int dv_insecure_add_built_in(dv_host_set *s, bool v27, davit_error **err);

/* Whether a host[:port] as in a reference counts as insecure. */
bool dv_insecure_has(const dv_host_set *s, const char *host, const dv_lookup *lookup);

/* The rule for who has no configuration: the loopback addresses, and names that are looked up and have one. */
bool dv_insecure_without_config(const char *host, const dv_lookup *lookup);

#endif

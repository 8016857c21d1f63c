/*
 * service/service_config.h - mirrors, insecure registries and what else options say of registries, checked and in normal form
 * (service.md 2, 6).
 */
#ifndef DV_SERVICE_SERVICE_CONFIG_H
#define DV_SERVICE_SERVICE_CONFIG_H

#include "service/host_set.h"
#include "util/environment.h"

#include <stdatomic.h>

#define DV_MIRRORS_MAX 1000 /* of one configuration */

/* Lists end with NULL and may be NULL; everything is borrowed during the call. */
typedef struct dv_service_options {
    const char *const *mirrors;                          /* URLs in order */
    const char *const *insecure_registries;              /* host[:port] or CIDR */
    const char *const *allow_nondistributable_artifacts; /* host[:port] or CIDR; looked at with v27 only */
    const char *const *digest_only_mirrors;              /* of the mirrors, those never asked what a tag is */
    const char *certs_dir;  /* with a directory for each host[:port]; NULL: davit_certs_dir() */
    bool v27;               /* the older version's networks, texts and endpoint fields (service.md 18) */
    bool skip_tls_verify;   /* --tls-verify=false: every registry but Docker Hub counts as insecure */
    dv_resolve_fn *resolve; /* NULL: names are not looked up */
    void *resolve_data;
    dv_getenv_fn *environment; /* of a client, for its user's certificates (certs_d.h); NULL: no client */
} dv_service_options;

typedef struct dv_service_config {
    char **mirrors; /* normal form, no duplicates, ends with NULL; NULL: none */
    size_t mirror_count;
    char **digest_only_mirrors; /* normal form, ends with NULL; NULL: none */
    char *certs_dir;            /* NULL: davit_certs_dir() */
    dv_host_set insecure;       /* the user's, then the built-in networks */
    dv_host_set nondistributable;
    bool v27;
    bool skip_tls_verify;
    dv_lookup lookup;
    dv_getenv_fn *environment; /* NULL: no client */
    atomic_size_t refs;
} dv_service_config;

/*
 * Immutable once made, and shared by count. The first malformed entry fails the whole: nondistributable ones, mirrors, insecure
 * ones. DAVIT_EINVAL.
 */
int dv_service_config_new(const dv_service_options *options, dv_service_config **out, davit_error **err);
dv_service_config *dv_service_config_ref(dv_service_config *c);
void dv_service_config_unref(dv_service_config *c); /* NULL is fine */
DV_DEFINE_AUTOPTR(dv_service_config, dv_service_config_unref)

/* Whether a mirror, in normal form, serves bytes only (threats A15). */
bool dv_service_config_mirror_is_digest_only(const dv_service_config *c, const char *normal_mirror);

/* Whether a host[:port] counts as insecure (service.md 7). May call resolve. */
bool dv_service_config_is_insecure(const dv_service_config *c, const char *host);

/* Whether a host[:port] may be given nondistributable layers (service.md 7, v27). May call resolve. */
bool dv_service_config_allows_nondistributable(const dv_service_config *c, const char *host);

#endif

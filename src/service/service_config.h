/*
 * service/service_config.h - mirrors and insecure registries, checked and in normal form (service.md 2, 6).
 */
#ifndef DV_SERVICE_SERVICE_CONFIG_H
#define DV_SERVICE_SERVICE_CONFIG_H

#include "service/insecure.h"

typedef struct dv_service_options {
    const char *const *mirrors;             /* URLs in order, NULL-terminated; NULL: none */
    const char *const *insecure_registries; /* host[:port] or CIDR, NULL-terminated; NULL: none */
    bool skip_tls_verify;   /* --tls-verify=false: every registry but Docker Hub counts as insecure */
    dv_resolve_fn *resolve; /* NULL: names are not looked up */
    void *resolve_data;
} dv_service_options;

typedef struct dv_service_config {
    char **mirrors; /* normal form, no duplicates */
    size_t mirror_count;
    dv_insecure_set insecure;
    bool skip_tls_verify;
    dv_resolve_fn *resolve;
    void *resolve_data;
} dv_service_config;

/* Immutable once made. The first malformed entry fails the whole, mirrors first: DAVIT_EINVAL. */
int dv_service_config_new(const dv_service_options *options, dv_service_config **out, davit_error **err);
void dv_service_config_free(dv_service_config *c);
DV_DEFINE_AUTOPTR(dv_service_config, dv_service_config_free)

/* Whether a host[:port] counts as insecure (service.md 7). May call resolve. */
bool dv_service_config_is_insecure(const dv_service_config *c, const char *host);

#endif

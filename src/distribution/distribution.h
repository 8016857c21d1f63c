/* distribution/distribution.h - what the public functions of davit/distribution.h share. */
#ifndef DV_DISTRIBUTION_DISTRIBUTION_H
#define DV_DISTRIBUTION_DISTRIBUTION_H

#include "distribution/own_stores.h"

/* One call: its configuration, the tables, and the credentials that the resolver gave. */
typedef struct dv_distribution {
    davit_distribution_config config; /* defaults when there is none */
    dv_own_stores own;
    davit_auth_config resolved;
    const davit_auth_config *auth; /* NULL: the stored ones */
} dv_distribution;

int dv_distribution_init(dv_distribution *d, const davit_distribution_config *config,
                         const davit_content_store *content, const davit_layer_provider *layers,
                         const davit_reference *ref, davit_error **err);
void dv_distribution_clear(dv_distribution *d);
DV_DEFINE_AUTO(dv_distribution, dv_distribution_clear)

/* event happened to ref. */
void dv_distribution_log(const dv_distribution *d, const char *event, const davit_reference *ref);

#endif

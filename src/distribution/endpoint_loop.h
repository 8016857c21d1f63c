/*
 * distribution/endpoint_loop.h - ask the endpoints of a reference in order until one works. Spec: pull.md 2.
 */
#ifndef DV_DISTRIBUTION_ENDPOINT_LOOP_H
#define DV_DISTRIBUTION_ENDPOINT_LOOP_H

#include "davit/reference.h"
#include "registry/registry.h"

/*
 * Call ask() with each endpoint's registry until it succeeds or its error is one that no other endpoint can mend. The error is
 * translated for the user; with several endpoints the first cause is kept when a later one hides it (quirks.md).
 * credentials: as in dv_registry_open(). Threads: a caller's; blocks.
 */
int dv_endpoint_loop(davit_client *c, const davit_reference *ref, const davit_auth_config *credentials,
                     int (*ask)(dv_registry *reg, void *user, davit_error **err), void *user,
                     davit_error **err);

#endif

/*
 * distribution/endpoint_loop.h - ask the endpoints of a reference in order until one works. Spec: pull.md 2, threats A15.
 */
#ifndef DV_DISTRIBUTION_ENDPOINT_LOOP_H
#define DV_DISTRIBUTION_ENDPOINT_LOOP_H

#include "davit/reference.h"
#include "registry/registry.h"

/* A question to one endpoint's registry. */
typedef int dv_ask_fn(dv_registry *reg, void *user, davit_error **err);

/* What the answer will be held against. Mirrors that serve bytes only are not asked what nothing but their word stands for. */
typedef enum dv_ask_by { DV_ASK_BY_TAG, DV_ASK_BY_DIGEST } dv_ask_by;

/*
 * Call ask() with each endpoint's registry until it succeeds or its error is one that no other endpoint can mend. The error is
 * the last one, translated for the user, with what the endpoints before it said (quirks.md: report the first cause).
 * credentials: as in dv_registry_open(). Threads: a caller's; blocks.
 */
int dv_endpoint_loop(davit_client *c, const davit_reference *ref, dv_ask_by by,
                     const davit_auth_config *credentials, dv_ask_fn *ask, void *user, davit_error **err);

/* The endpoints that it would ask, for the two functions below. */
int dv_endpoint_list(davit_client *c, const davit_reference *ref, dv_endpoints *out, davit_error **err);
int dv_endpoint_loop_over(davit_client *c, const dv_endpoints *endpoints, const davit_reference *ref,
                          dv_ask_by by, const davit_auth_config *credentials, dv_ask_fn *ask, void *user,
                          davit_error **err);

/* The same for a push: no mirrors, and the error is as the registry gave it (push.md 2). */
int dv_endpoint_list_push(davit_client *c, const davit_reference *ref, dv_endpoints *out, davit_error **err);
int dv_endpoint_loop_push(davit_client *c, const dv_endpoints *endpoints, const davit_reference *ref,
                          const davit_auth_config *credentials, dv_ask_fn *ask, void *user,
                          davit_error **err);

/* Whether mirrors that serve bytes only come before reg. */
bool dv_content_has_mirrors(const dv_endpoints *endpoints, const dv_registry *reg);
/*
 * Content whose digests reg has told: ask these mirrors first, in order and without credentials of the registry's, then reg. The
 * error is not translated. Threads: a caller's; blocks.
 */
int dv_content_loop(const dv_endpoints *endpoints, dv_registry *reg, const davit_reference *ref,
                    dv_ask_fn *ask, void *user, davit_error **err);

#endif

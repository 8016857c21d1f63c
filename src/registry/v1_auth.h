/*
 * registry/v1_auth.h - who asks a v1 registry, and what that does to a request: pure. Spec: registry-v1.md 3, 6.
 *
 * A token goes to the registry that it is for, over the scheme of the base URL. Where an index named that registry, it is remembered
 * whether the index is a private one itself: a public one may not send us into a private network (threats A7).
 */
#ifndef DV_REGISTRY_V1_AUTH_H
#define DV_REGISTRY_V1_AUTH_H

#include "davit/registry_v1.h"
#include "net/header.h"
#include "net/url.h"
#include "util/secret.h"

DV_DEFINE_AUTOPTR(davit_v1_auth, davit_v1_auth_free)

/* The token of an index's answer; the host out of X-Docker-Endpoints. */
int dv_v1_auth_from_index(const dv_headers *headers, davit_v1_access access, bool index_private,
                          davit_v1_auth **out, davit_error **err);
/* host[:port] of an X-Docker-Endpoints value: its first element, without scheme and path. New text, "" for none; NULL: no memory. */
char *dv_v1_endpoint_host(const char *value);
/* Values of a header joined by ","; "" when there is none. New text; NULL: no memory. */
char *dv_v1_joined_header(const dv_headers *headers, const char *name);

/* Where the request goes and its Authorization (unset: none). auth may be NULL. Errors as davit_v1_auth_apply(). */
int dv_v1_auth_apply(const davit_v1_auth *auth, const dv_url *url, dv_url *out_url, dv_secret *out_value,
                     davit_error **err);
/* What makes an Authorization secret: Basic's credentials, or the token. NULL: nothing. Borrowed. */
const char *dv_v1_auth_secret(const davit_v1_auth *auth);
/* Whether a public index named the registry. */
bool dv_v1_auth_is_of_public_index(const davit_v1_auth *auth);

#endif

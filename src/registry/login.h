/* registry/login.h - what davit_service_auth() (davit/service.h) is made of. */
#ifndef DV_REGISTRY_LOGIN_H
#define DV_REGISTRY_LOGIN_H

#include "davit/service.h"
#include "registry/registry.h"

#define DV_LOGIN_TIMEOUT_MS 15000 /* of each request (auth.md 11) */

/*
 * host[:port] of a server address, new text: a host or URL, whose scheme and path are dropped; NULL or "": Docker Hub's. DAVIT_EINVAL
 * "unable to parse server address: ...".
 */
int dv_login_host(const char *address, char **out, davit_error **err);

#endif

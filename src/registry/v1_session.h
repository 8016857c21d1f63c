/*
 * registry/v1_session.h - talking to the v1 API of one registry: who we are there, the tokens and cookies it gave. Spec:
 * search.md 5, auth.md 7, 8.
 *
 * Credentials go to the endpoint's own origin and to token servers that auth/realm.h trusts, nowhere else; tokens and cookies
 * live as long as the session.
 *
 * Threads: a caller's, one at a time; blocks.
 */
#ifndef DV_REGISTRY_V1_SESSION_H
#define DV_REGISTRY_V1_SESSION_H

#include "net/request.h"
#include "registry/v1_endpoint.h"

typedef struct dv_v1_session dv_v1_session;

/*
 * Find the endpoint of an index (dv_v1_endpoint_find()). headers: what the user gives every request to it, copied; auth: copied;
 * NULL: nobody.
 */
int dv_v1_session_open(davit_client *c, const char *index, const davit_auth_config *auth,
                       const dv_headers *headers, dv_v1_session **out, davit_error **err);
void dv_v1_session_close(dv_v1_session *s);
DV_DEFINE_AUTOPTR(dv_v1_session, dv_v1_session_close)

/* Decide by which method we say who we are; pings again where search.md 5 does. Once, before the first get. */
int dv_v1_session_authorize(dv_v1_session *s, davit_error **err);

/*
 * GET a path of the endpoint, with its query. Repeated as the client's policy says. Any status but 200 is "Unexpected status code
 * N" with the code that fits it; what fails before there is an answer is `Get "<url>": ...`.
 */
int dv_v1_session_get(dv_v1_session *s, const char *path, size_t body_max, dv_response *out,
                      davit_error **err);

#endif

/* auth/scope.h - scope texts: what a token is asked for (auth.md 8). */
#ifndef DV_AUTH_SCOPE_H
#define DV_AUTH_SCOPE_H

#include "util/buf.h"
#include "util/error.h"

#define DV_SCOPES_TEXT_MAX (16u << 10) /* bytes of all scopes of one request */

/*
 * "repository:<name>:<actions>", or "repository(<class>):..." for a class other than NULL, "" and "image".
 * actions is the text behind the last colon: "pull", "push,pull", "". Appends.
 */
void dv_scope_repository(dv_buf *out, const char *class, const char *name, const char *actions);
/* "registry:<name>:<actions>". Appends. */
void dv_scope_registry(dv_buf *out, const char *name, const char *actions);

/*
 * The scopes (NULL-terminated; NULL is none) joined by one space, in the order given or sorted without
 * repetition. Appends.
 */
void dv_scopes_join(dv_buf *out, const char *const *scopes);
int dv_scopes_key(const char *const *scopes, char **out, davit_error **err);

#endif

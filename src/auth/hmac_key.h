/* auth/hmac_key.h - the key that marks what was seen with which credentials (push.md 5). */
#ifndef DV_AUTH_HMAC_KEY_H
#define DV_AUTH_HMAC_KEY_H

#include "davit/auth.h"

#define DV_HMAC_KEY_MAX 72 /* "sha256:", 64 hex digits, NUL */

/*
 * Write the key of these credentials: "" for none at all (NULL), while empty ones have a key. The same credentials always give the
 * same key, and it tells nothing of them.
 */
int dv_hmac_key(const davit_auth_config *config, char out[DV_HMAC_KEY_MAX], davit_error **err);

#endif

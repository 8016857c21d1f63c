/* auth/auth_config.h - what the library needs of davit_auth_config beyond davit/auth.h. */
#ifndef DV_AUTH_AUTH_CONFIG_H
#define DV_AUTH_AUTH_CONFIG_H

#include "davit/auth.h"
#include "util/alloc.h"
#include "util/error.h"

DV_DEFINE_AUTO(davit_auth_config, davit_auth_config_clear)

/* Whether user and password are both there, which Basic needs (auth.md 7). */
bool dv_auth_config_has_password(const davit_auth_config *config);
bool dv_auth_config_has_identity(const davit_auth_config *config);
bool dv_auth_config_has_registry_token(const davit_auth_config *config);

/*
 * Ask the callback for other credentials after a refusal. out is empty on failure; a refusal without a story gets one, and an
 * error that is in *err already is replaced.
 */
int dv_auth_config_request(davit_request_auth_config_fn request, void *user_data, davit_auth_config *out,
                           davit_error **err);

#endif

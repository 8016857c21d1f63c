/*
 * net/auth_params.h - the grammar of one WWW-Authenticate line: a scheme and its parameters (auth.md 6).
 *
 * What the schemes mean is auth/challenge.h's to say; it stands here because error bodies
 * (net/error_body.h) need the "error" parameter of a Bearer challenge.
 */
#ifndef DV_NET_AUTH_PARAMS_H
#define DV_NET_AUTH_PARAMS_H

#include "net/header.h"

#define DV_AUTH_PARAMS_MAX 64 /* parameters of one line; what follows is not read */

typedef struct dv_auth_param {
    char *key; /* lower case */
    char *value;
} dv_auth_param;

typedef struct dv_auth_params {
    char *scheme; /* lower case, never empty */
    dv_auth_param *items;
    size_t count;
} dv_auth_params;

#define DV_AUTH_PARAMS_INIT \
    {                       \
        0                   \
    }
void dv_auth_params_clear(dv_auth_params *p);
DV_DEFINE_AUTO(dv_auth_params, dv_auth_params_clear)

/*
 * Read a line: 1 and out is set; 0 for a line without a scheme; DAVIT_ENOMEM. Never an error: reading stops
 * where it fails.
 */
int dv_auth_params_parse(const char *line, dv_auth_params *out, davit_error **err);
/* The last value of a key (lower case), NULL when absent. Borrowed. */
const char *dv_auth_params_get(const dv_auth_params *p, const char *key);

#endif

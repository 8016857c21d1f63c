/*
 * registry/registry.h - one repository at one endpoint: where its requests go and with what authorisation.
 *
 * Made and freed on the calling thread; in between the loop thread uses it. No call may be under way when it is freed.
 */
#ifndef DV_REGISTRY_REGISTRY_H
#define DV_REGISTRY_REGISTRY_H

#include "auth/authorizer.h"
#include "auth/hmac_key.h"
#include "registry/client.h"

typedef struct dv_token_fetch dv_token_fetch;

typedef struct dv_registry {
    davit_client *client;
    dv_endpoint endpoint;           /* a copy */
    char *domain;                   /* of the reference, for messages and scopes */
    char *path;                     /* repository path; "" for none */
    char hmac_key[DV_HMAC_KEY_MAX]; /* of its credentials, "" without any (push.md 5) */
    bool has_auth_info;             /* user and password, or a registry token */
    char *scope;                    /* of its requests: "repository:<path>:pull" */
    dv_headers meta_headers;        /* for its own origin, and not for a mirror */
    dv_authorizer *authorizer;      /* loop thread from the first call on */
    dv_host *host;                  /* set by the first call */
    dv_token_fetch *fetches;        /* token requests under way */
    bool challenged;                /* has been asked for credentials */
    bool authorized; /* has answered a request that carried an Authorization, and not with 401 */
    bool plain;      /* was last spoken to over plain HTTP */
} dv_registry;

/*
 * path "" for questions to the registry as such. credentials: copied; those of the registry itself, never given to a mirror
 * (threats A15); NULL: the stored ones of the endpoint.
 */
int dv_registry_open(davit_client *c, const dv_endpoint *endpoint, const char *domain, const char *path,
                     const davit_auth_config *credentials, dv_registry **out, davit_error **err);
void dv_registry_close(dv_registry *reg);
/* Before the first call: what its requests are to be allowed, "pull,push" in place of "pull"; one token then does for all of them. */
int dv_registry_set_actions(dv_registry *reg, const char *actions, davit_error **err);
/* Before the first call: "Name: value" texts that go with its requests (threats A4); ends with NULL; NULL: none. */
int dv_registry_set_meta_headers(dv_registry *reg, const char *const *lines, davit_error **err);
DV_DEFINE_AUTOPTR(dv_registry, dv_registry_close)

#endif

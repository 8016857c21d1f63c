/*
 * auth/authorizer.h - which Authorization a request to one registry carries, and what to do about a 401.
 *
 * State for one origin and one credential: what the registry asked for last, and the tokens it led to.
 * Decides only; whoever owns it sends the requests. A token is kept under (realm, service, scopes) within
 * one (origin, user), so that it is never used for another (threats A13). Credentials leave this file only
 * in the value for the origin itself and in token requests to realms that auth/realm.h trusts.
 *
 * For one request: get -> send -> not 401: accepted
 *                                 401: challenged -> DV_AUTH_RESEND: get, send again
 *                                                 -> DV_AUTH_FETCH_TOKEN: send the token request,
 *                                                    token_answered, get, send again
 *
 * Threads: one (the loop); no locks.
 */
#ifndef DV_AUTH_AUTHORIZER_H
#define DV_AUTH_AUTHORIZER_H

#include "auth/token.h"

#define DV_AUTH_ROUNDS_MAX 4        /* 401 answers to one request after which its sender gives up */
#define DV_AUTH_TOKENS_MAX 64       /* tokens kept; the one that expires first goes */
#define DV_AUTH_RENEW_EARLY_MS 5000 /* a token this near to its end is not used any more */

typedef struct dv_authorizer dv_authorizer;

typedef struct dv_authorizer_options {
    const dv_url *origin;
    const davit_auth_config *credentials; /* copied; NULL: anonymous */
    const char *const *trusted_realms;    /* --trust-realm: NULL-terminated, copied; NULL: none */
    bool origin_private;                  /* see dv_authorizer_set_origin_private() */
} dv_authorizer_options;

/* DAVIT_EINVAL for a malformed trusted realm. */
int dv_authorizer_new(const dv_authorizer_options *options, dv_authorizer **out, davit_error **err);
void dv_authorizer_free(dv_authorizer *a);
DV_DEFINE_AUTOPTR(dv_authorizer, dv_authorizer_free)

/*
 * The registry's address turned out to be a private one: its realm may be a private literal too (threats
 * A7). An origin that is a private literal, localhost or a single label counts so from the start.
 */
void dv_authorizer_set_origin_private(dv_authorizer *a, bool yes);

/*
 * It is for logging in (auth.md 10): tokens are asked for together with a refresh token, and only the credentials count: a realm
 * that may not have them is DAVIT_EUNAUTHORIZED, as are none at all, never an anonymous token. Before the first challenge.
 */
void dv_authorizer_set_login(dv_authorizer *a);

/* The identity token: what a token server gave in place of the one at hand, else that one. NULL: none. Borrowed. */
const char *dv_authorizer_identity(const dv_authorizer *a);

/*
 * An insecure host turned out to speak plain HTTP: credentials are bound to that origin from now on, and its
 * realm may be plain too. Before the first challenge. The host and an explicit port stay what they are: any
 * other origin, which a redirect would give, is DAVIT_EUNAUTHORIZED and changes nothing (threats A1, A4).
 */
int dv_authorizer_set_origin(dv_authorizer *a, const dv_url *origin, davit_error **err);

/*
 * The Authorization value known to fit now for these scopes (sorted set, NULL-terminated; NULL is none).
 * False: send without. Before the registry's first challenge nothing fits.
 */
bool dv_authorizer_get(dv_authorizer *a, const char *const *scopes, uint64_t now_ms, dv_secret *out_value);

/*
 * Whether a token has to be fetched before a request for these scopes is worth sending: the registry is
 * known to want one and none is there. 1: out_request is set, send it first; 0: just send; negative: as
 * dv_authorizer_challenged(). Saves the round trip of a 401 that can be foreseen; calling it is optional.
 */
int dv_authorizer_prepare(dv_authorizer *a, const char *const *scopes, uint64_t now_ms,
                          dv_token_request *out_request, davit_error **err);

typedef enum dv_auth_step {
    DV_AUTH_RESEND,      /* dv_authorizer_get() has a value now that was not refused yet */
    DV_AUTH_FETCH_TOKEN, /* send out_request first. Requests with equal keys are one question: send it once */
} dv_auth_step;

/*
 * A request to this origin was answered 401. sent_value: the Authorization that it carried, NULL or unset
 * for none. out_request is set for DV_AUTH_FETCH_TOKEN only.
 *
 * DAVIT_EUNAUTHORIZED, final: what was sent was refused and there is nothing else ("no basic auth
 * credentials" when there was never anything). When (*err)->kind is DV_ERROR_REGISTRY_FULL the text is the
 * answer's header's; a caller that has the body too makes a better one by dv_error_body_set().
 * DAVIT_EPROTOCOL: realm missing or malformed.
 */
int dv_authorizer_challenged(dv_authorizer *a, const dv_headers *answer, const char *const *scopes,
                             const dv_secret *sent_value, uint64_t now_ms, dv_auth_step *out_step,
                             dv_token_request *out_request, davit_error **err);

/*
 * A request that carried this value was answered, and not with 401. Without this call a token that the
 * registry stops accepting later counts as one that it never accepted, and is renewed only once.
 */
void dv_authorizer_accepted(dv_authorizer *a, const dv_secret *sent_value);

/*
 * The token server answered. 0: the token is known now; 1: the answer was a refusal of the POST kind, send
 * out_again (a GET) instead (quirks.md: ACR, GCR, Harbor, Artifactory); negative: auth.md 8 and 9.
 */
int dv_authorizer_token_answered(dv_authorizer *a, const dv_token_request *request, int status,
                                 const dv_headers *headers, const void *body, size_t size, uint64_t now_ms,
                                 dv_token_request *out_again, davit_error **err);

#endif

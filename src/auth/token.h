/*
 * auth/token.h - the request to a token server and the reading of its answer (auth.md 8). No I/O: whoever
 * sends the request hands the answer back. Whether credentials may go there has been decided before
 * (auth/realm.h).
 */
#ifndef DV_AUTH_TOKEN_H
#define DV_AUTH_TOKEN_H

#include "net/header.h"
#include "net/url.h"
#include "util/secret.h"

#include "davit/auth.h"

#define DV_TOKEN_ANSWER_MAX (1u << 20)     /* bytes; longer answers are refused (threats C1) */
#define DV_TOKEN_MAX (64u << 10)           /* bytes of one token */
#define DV_TOKEN_TIMEOUT_MS 15000          /* of a whole token request (auth.md 11) */
#define DV_TOKEN_EXPIRES_MIN_S 60          /* a shorter or missing expires_in is raised to this */
#define DV_TOKEN_EXPIRES_MAX_S (24 * 3600) /* a longer one is lowered to this */

/* What is to be asked. All borrowed. */
typedef struct dv_token_question {
    const char *realm;                    /* of the challenge, as it stands there */
    const char *service;                  /* of the challenge; NULL or "" */
    const char *const *scopes;            /* NULL-terminated; NULL is none */
    const davit_auth_config *credentials; /* NULL: ask anonymously */
    const char *client_id;                /* NULL: "docker" */
    bool offline;                         /* ask for a refresh token too (login) */
    bool force_oauth;                     /* POST also without a refresh token */
    bool avoid_oauth;                     /* GET also with one */
} dv_token_question;

/* A request, ready to be sent. */
typedef struct dv_token_request {
    dv_url url;
    bool post;          /* POST with body, else GET */
    dv_headers headers; /* Accept; Authorization (GET), Content-Type (POST) */
    dv_secret body;     /* the form of a POST */
    char *key;          /* which cached token the answer becomes: equal keys are the same question */
    char *realm;        /* the question again, for asking it once more by GET */
    char *service;
    char *scopes;    /* joined by spaces */
    bool anonymous;  /* no credentials are in it */
    bool configured; /* the user named this host (--trust-realm): it may have a private address (threats A7) */
} dv_token_request;

#define DV_TOKEN_REQUEST_INIT \
    {                         \
        0                     \
    }
void dv_token_request_clear(dv_token_request *r);
DV_DEFINE_AUTO(dv_token_request, dv_token_request_clear)

/*
 * The question's realm as a URL. DAVIT_EPROTOCOL "no realm specified for token auth challenge", "invalid
 * token auth challenge realm: ...".
 */
int dv_token_realm(const char *realm, dv_url *out, davit_error **err);

/* Build it; key stays NULL. POST when there is an identity token or force_oauth, else GET. */
int dv_token_request_build(const dv_token_question *q, dv_token_request *out, davit_error **err);

typedef struct dv_token {
    dv_secret token;
    dv_secret refresh_token; /* unset when none came */
    int64_t expires_in_s;    /* DV_TOKEN_EXPIRES_MIN_S to _MAX_S */
    int64_t issued_at_s;     /* seconds since 1970 by the server's clock; 0 when not given */
} dv_token;

#define DV_TOKEN_INIT \
    {                 \
        0             \
    }
void dv_token_clear(dv_token *t);
DV_DEFINE_AUTO(dv_token, dv_token_clear)

/*
 * Read a success answer. Both kinds of request take "access_token" before "token" (servers mix them up,
 * quirks.md); none is an error for GET, and for POST an empty token. DAVIT_ETOOBIG, DAVIT_EPROTOCOL.
 */
int dv_token_parse(bool post, const void *body, size_t size, dv_token *out, davit_error **err);

/* "Basic <base64 of user:password>". */
int dv_basic_authorization(const char *username, const char *password, dv_secret *out, davit_error **err);

#endif

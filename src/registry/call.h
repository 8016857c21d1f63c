/*
 * registry/call.h - one question to a registry: scheme, authorisation, redirects and repeats until there is an answer or a
 * reason why not.
 *
 * States: waiting for the scheme of an insecure host to be decided, racing (TLS and plain), asking, fetching a token,
 * waiting to repeat. An error status (from 400 on) is an error with the text of registry-v2.md 9.1.
 */
#ifndef DV_REGISTRY_CALL_H
#define DV_REGISTRY_CALL_H

#include "net/request.h"
#include "registry/registry.h"

typedef struct dv_call dv_call;

/* A header line more. */
typedef struct dv_call_header {
    const char *name, *value;
} dv_call_header;

typedef struct dv_call_handler {
    int (*on_head)(void *user, const dv_response *response,
                   davit_error **err); /* as dv_request_handler; success only */
    int (*on_body)(void *user, const void *bytes, size_t size, davit_error **err);
    void (*on_done)(void *user, int r, dv_response *response, davit_error *err);
} dv_call_handler;

typedef struct dv_call_spec {
    const char *method;
    const char *path;  /* behind the endpoint's own, "v2/<name>/tags/list"; copied */
    const char *query; /* without "?", or NULL; copied */
    /*
     * In place of both: what a Location gave, resolved by dv_redirect_target(); copied. Another origin than the registry's gets no
     * credentials and must not be a private one unless the registry is (threats A5, A7).
     */
    const dv_url *url;
    const char *const *accept;     /* media types, ends with NULL; or NULL */
    const char *range;             /* Range header, or NULL; copied */
    const dv_call_header *headers; /* copied */
    size_t header_count;
    /*
     * What is sent; borrowed until the end. Sent again from its start after a 401 and in each attempt, where it can seek. PATCH
     * is never repeated by itself, whatever `attempts` says (DESIGN 5).
     */
    dv_body *body;
    const char *from;    /* the scope of pulling from this repository too (a mount); borrowed until the end */
    const char *actions; /* of the scope, "delete"; NULL: those of the registry; borrowed until the end */
    uint32_t more_time_ms; /* the first byte of the answer may take so much longer */
    size_t body_max;
    bool blob, large;   /* as in dv_request_spec */
    bool encoded;       /* the body stays as it comes: no gzip is undone */
    bool fresh;         /* begin on a new connection */
    bool any_status;    /* an error status is an answer like any other (ping) */
    bool without_scope; /* ask for a token without scopes */
    bool login;         /* a 401 that we could not or would not answer is an error, also with any_status */
    uint32_t attempts;  /* 0: the client's policy; 1: never repeated */
    uint32_t limit_ms;  /* of one request, from its start to the whole answer; 0: the client's limits only */
    const dv_call_handler *handler;
    void *user;
} dv_call_spec;

/* Threads: loop. On failure no callback is called. */
int dv_call_start(dv_registry *reg, const dv_call_spec *spec, dv_call **out, davit_error **err);
/* Threads: loop. No further callback. Not from within one of its own callbacks. */
void dv_call_cancel(dv_call *call);
void dv_call_resume(dv_call *call);

/* Threads: a caller's. Start it, wait for its end or for the client's cancellation. handler and user are ignored. */
int dv_call_wait(dv_registry *reg, const dv_call_spec *spec, dv_response *out, davit_error **err);

/*
 * Threads: a caller's. DELETE what is at path. DAVIT_EUNSUPPORTED with words of its own where the registry deletes nothing (405 and its
 * like). The token is for deleting first; where that gets nothing, for pushing (registries differ in what they call it).
 */
int dv_call_delete(dv_registry *reg, const char *path, davit_error **err);

#endif

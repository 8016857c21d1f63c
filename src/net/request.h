/*
 * net/request.h - a request with its redirects: hop by hop, headers built for each origin (threats A3-A5, A7).
 *
 * Headers marked origin_only, and client certificates, go to the first origin and, once a hop has left it, never again. https never becomes http: a
 * plain Location on the same host is upgraded, any other refused.
 *
 * Threads: loop.
 */
#ifndef DV_NET_REQUEST_H
#define DV_NET_REQUEST_H

#include "net/error_body.h"
#include "net/http_client.h"

#define DV_REQUESTS_MAX 10 /* in all, redirects included (registry-v2.md 2) */

typedef struct dv_response {
    int status;
    char reason[64];
    dv_headers headers;
    dv_buf body;       /* empty when it was streamed */
    dv_url url;        /* that finally answered */
    bool left_origin;  /* some hop was on another origin */
    bool peer_private; /* address of the first hop's peer; meaningless when through_proxy */
    bool through_proxy;
    dv_tls_shown tls_shown; /* to the peer that finally answered */
} dv_response;

#define DV_RESPONSE_INIT \
    {                    \
        0                \
    }
void dv_response_clear(dv_response *r);
DV_DEFINE_AUTO(dv_response, dv_response_clear)

typedef struct dv_request dv_request;

typedef struct dv_request_handler {
    void (*on_connected)(void *user); /* first hop only; may be NULL */
    /*
     * The final header (no redirect). 1: stream the body to on_body; 0: collect it in response->body; negative: end. May be
     * NULL: collect.
     */
    int (*on_head)(void *user, const dv_response *response, davit_error **err);
    int (*on_body)(void *user, const void *bytes, size_t size,
                   davit_error **err); /* as in dv_exchange_handler */
    /* The end; the request is gone. response is valid when r is 0 and the callee may take its parts. err: the callee's. */
    void (*on_done)(void *user, int r, dv_response *response, davit_error *err);
} dv_request_handler;

typedef struct dv_request_spec {
    const char *method;
    const dv_url *url;
    const dv_headers *headers; /* copied */
    const void *body;          /* borrowed until the end */
    size_t body_size;
    dv_body *source;       /* in place of body: what is sent, from its beginning; borrowed until the end */
    bool once;             /* as in dv_exchange_spec */
    uint32_t more_time_ms; /* the same */
    bool body_may_leave;   /* another origin may have the body: a blob is no secret (threats A5) */
    bool keeps_method;     /* a redirect that would turn it into a GET is refused */
    bool bare_redirect;    /* a redirect without a Location is an answer like any other */
    bool left_origin; /* url is on another origin than whoever sent us there: nothing that is origin_only goes out */
    size_t body_max; /* ceiling of a collected body of a success; errors have DV_ERROR_BODY_MAX */
    bool blob;       /* HTTP/1.1 on a connection of its own */
    bool decode;     /* undo gzip (documents) */
    bool fresh;      /* over a new connection */
    bool large;      /* expect a large body */
    bool verify_tls;
    davit_tls_config *tls;   /* of every hop; NULL: the system's roots. A reference is kept */
    bool client_certificate; /* the first origin may see those of tls; gone like an origin_only header */
    bool deny_private;       /* the first hop already must be public */
    dv_cookies *cookies; /* for the first origin only, and never again once a hop has left it; NULL: none */
    bool trust_hops;     /* the registry itself is private: hops may be too, without asking */
    const dv_request_handler *handler;
    void *user;
} dv_request_spec;

/* On failure no callback is called. */
int dv_request_start(dv_http_client *c, const dv_request_spec *spec, dv_request **out, davit_error **err);
/* End it without any further callback. Not from within one of its callbacks. */
void dv_request_cancel(dv_request *q);
void dv_request_resume(dv_request *q);

/*
 * DAVIT_ETLS when an answer refuses for want of a client certificate, or the one it saw; else 0. tls is the request's; NULL is
 * fine.
 */
int dv_response_refuses_certificate(const dv_response *r, const davit_tls_config *tls, davit_error **err);

/*
 * Where a redirect leads, by the rules above: pure. DAVIT_EPROTOCOL for what is refused; DAVIT_EDENIED for a literal private
 * address when deny_private.
 */
int dv_redirect_target(const dv_url *from, const char *location, bool deny_private, dv_url *out,
                       davit_error **err);

#endif

/*
 * net/http_client.h - one HTTP exchange: a request to one URL and its answer, over libcurl.
 *
 * Follows nothing, repeats nothing: redirects are net/request.h's, retries registry/'s. Enforces the limits on headers and
 * framing (threats C1, C8) and on every wait (C9), and the address rule (A7).
 *
 * Threads: loop.
 */
#ifndef DV_NET_HTTP_CLIENT_H
#define DV_NET_HTTP_CLIENT_H

#include "net/body.h"
#include "net/header.h"
#include "net/loop.h"
#include "net/proxy.h"
#include "net/socket_set.h"
#include "net/tls.h"
#include "net/url.h"

#define DV_HTTP_HEADERS_MAX (64u << 10)     /* bytes of one answer's header */
#define DV_HTTP_HEADER_LINE_MAX (16u << 10) /* bytes of one line of it */

typedef struct dv_http_limits {
    uint32_t connect_timeout_ms;
    uint32_t first_byte_timeout_ms;
    uint32_t stall_timeout_ms;
    uint32_t min_rate; /* bytes/s */
    uint32_t min_rate_window_ms;
} dv_http_limits;

/* What all exchanges of a client share. */
typedef struct dv_http_client {
    dv_loop *loop;
    dv_http_limits limits;
    char *user_agent;
    char *ca_file;       /* NULL: the system's */
    dv_tls_roots *roots; /* of hosts with some of their own */
    dv_proxy_config *proxies;
    void *idle[16]; /* libcurl handles to use again */
    unsigned idle_count;
    dv_socket_set sockets; /* that its exchanges opened */
} dv_http_client;

void dv_http_client_clear(dv_http_client *c); /* after its loop ended */

/*
 * Cookies of one search or v1 session, in memory: given to the exchanges that may send and set them. No exchange may be under way
 * when they are freed; NULL is fine.
 */
typedef struct dv_cookies dv_cookies;
dv_cookies *dv_cookies_new(void); /* NULL: no memory */
void dv_cookies_free(dv_cookies *cookies);
DV_DEFINE_AUTOPTR(dv_cookies, dv_cookies_free)

typedef struct dv_exchange dv_exchange;

enum { DV_HTTP_PAUSE = 1 };

typedef struct dv_exchange_handler {
    /* The connection is there (TLS done) and the request is about to be sent. May be NULL. */
    void (*on_connected)(void *user);
    /* The final header block, once. Negative: end the exchange with this error. */
    int (*on_head)(void *user, int status, const char *reason, const dv_headers *headers, davit_error **err);
    /* Body bytes: 0, DV_HTTP_PAUSE (the same bytes come again after dv_exchange_resume()), or negative. */
    int (*on_body)(void *user, const void *bytes, size_t size, davit_error **err);
    /* The end; the exchange is gone when this is called. err is the callee's to free (NULL when r is 0). */
    void (*on_done)(void *user, int r, davit_error *err);
} dv_exchange_handler;

typedef struct dv_exchange_spec {
    const char *method;
    const dv_url *url;
    const dv_headers *headers; /* everything but User-Agent */
    const void *body;          /* borrowed until the end; NULL: none */
    size_t body_size;
    dv_body *source;       /* in place of body: read from where it is; borrowed until the end */
    bool once;             /* what went out of source never goes out again by itself, on another connection */
    uint32_t more_time_ms; /* the first byte of the answer may take so much longer */
    bool http1_only;       /* blobs (DESIGN 5) */
    bool decode;           /* undo gzip, which nobody asked for; blobs are never decoded */
    bool fresh;            /* over a new connection */
    bool verify_tls;
    davit_tls_config *tls;   /* NULL: the system's roots and no client certificates. A reference is kept */
    bool client_certificate; /* the peer may see those of tls */
    bool deny_private;       /* connect to public addresses only (threats A7) */
    bool large;              /* a large body is expected: bigger buffer */
    dv_cookies *cookies;     /* NULL: none are sent, none are kept */
    const dv_exchange_handler *handler;
    void *user;
} dv_exchange_spec;

/* On failure no callback is called. */
int dv_exchange_start(dv_http_client *c, const dv_exchange_spec *spec, dv_exchange **out, davit_error **err);
/* End it without any further callback. Not from within one of its callbacks. */
void dv_exchange_cancel(dv_exchange *x);
/* Go on after DV_HTTP_PAUSE. Not from within a callback of the same exchange. */
void dv_exchange_resume(dv_exchange *x);
/* Whether the peer that answered has a private address; false through a proxy or when unknown. From on_head on. */
bool dv_exchange_peer_is_private(const dv_exchange *x);
bool dv_exchange_uses_proxy(const dv_exchange *x);
/* What became of client certificates on its connection. From on_head on. */
dv_tls_shown dv_exchange_tls_shown(const dv_exchange *x);

#endif

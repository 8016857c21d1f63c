/*
 * net/tls.h - what TLS demands of a peer and shows to it.
 *
 * A davit_tls_config is built once (service/certs_d.c), then shared and never changed. The functions on it that are public are
 * in davit/service.h. Leaves to others: which files it is read from, and to whom client certificates may be shown.
 */
#ifndef DV_NET_TLS_H
#define DV_NET_TLS_H

#include "davit/service.h"
#include "util/alloc.h"

#include <stdbool.h>

#define DV_TLS_PEM_MAX (1u << 20) /* bytes of one file of certificates or of a key */

/*
 * A configuration of its own: no extra roots, no client certificates. It may change until it is shared; davit_tls_config_free()
 * gives up one reference.
 */
int dv_tls_config_new(bool insecure, davit_tls_config **out, davit_error **err);
davit_tls_config *dv_tls_config_ref(davit_tls_config *tls); /* NULL is fine */
DV_DEFINE_AUTOPTR(davit_tls_config, davit_tls_config_free)

/* Which directory is looked into for this host, whether it is there or not: for messages that say where something goes. */
int dv_tls_config_set_directory(davit_tls_config *tls, const char *directory, davit_error **err);

/* From here on it has roots of its own, even when the next step fails or adds none (service.md 11). */
void dv_tls_config_want_roots(davit_tls_config *tls);
/*
 * Add every certificate of a PEM file as a root; all of them or, on an error, none. name is how messages call the file. A file
 * without certificates is fine, one without any PEM is DAVIT_ECERTIFICATE.
 */
int dv_tls_config_add_roots(davit_tls_config *tls, const char *name, const void *pem, size_t size,
                            davit_error **err);
/* Add a client certificate with its chain, leaf first, and its key. DAVIT_ECERTIFICATE; nothing is ever asked of a user. */
int dv_tls_config_add_client(davit_tls_config *tls, const char *cert_name, const void *cert, size_t cert_size,
                             const char *key_name, const void *key, size_t key_size, davit_error **err);

/* --- on a connection ------------------------------------------------------------------------------------------------ */

/* What a server wanted to see and what it saw. */
typedef struct dv_tls_shown {
    bool asked;     /* it asked for a client certificate */
    bool allowed;   /* it would have been shown one */
    unsigned shown; /* which of the configuration's, from 1; 0: none */
} dv_tls_shown;

/*
 * Stores of the system's roots and a configuration's together: read once for all connections of a client. Threads: loop.
 */
typedef struct dv_tls_roots dv_tls_roots;
void dv_tls_roots_free(dv_tls_roots *roots); /* a list; NULL is fine */

/* One exchange's part in the handshake of a connection that it may open, which may outlive it. Threads: loop. */
typedef struct dv_tls_session dv_tls_session;

typedef struct dv_tls {
    bool verify;         /* false: any certificate and name is accepted, and none is shown */
    const char *ca_file; /* PEM bundle instead of the system's; NULL for the system's. Borrowed by the session */
    davit_tls_config *config; /* NULL: nothing of its own */
    bool show_client;         /* the peer may see the configuration's client certificates */
    dv_tls_roots **roots;     /* the client's list. Borrowed by the session */
} dv_tls;

/*
 * easy is libcurl's CURL *. out gets NULL or what dv_tls_session_unref() must release once the transfer has ended. DAVIT_ENOMEM.
 * Threads: loop.
 */
int dv_tls_apply(void *easy, const dv_tls *tls, dv_tls_session **out, davit_error **err);
void dv_tls_session_unref(dv_tls_session *session); /* NULL is fine */
/* What happened in the handshake of the connection that easy uses, else of the one that session opened. Threads: loop. */
dv_tls_shown dv_tls_session_shown(const dv_tls_session *session, void *easy);

/* --- messages ------------------------------------------------------------------------------------------------------- */

/* A peer's certificate is not trusted: DAVIT_ECERTIFICATE, with the place for a CA's when one would help. */
int dv_tls_untrusted(const davit_tls_config *tls, void *easy, const char *host, const char *why,
                     davit_error **err);
/* A peer wants a client certificate and saw none, or refuses the one it saw (why): DAVIT_ETLS, not to be repeated. */
int dv_tls_refused(const davit_tls_config *tls, const char *host, const dv_tls_shown *shown, const char *why,
                   davit_error **err);

#endif

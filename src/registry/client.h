/*
 * registry/client.h - the inside of a davit_client: loop, workers, limits, credentials, and what is known of hosts.
 *
 * Set once by davit_client_new(); afterwards only `hosts` changes, on the loop thread, and the extension, once.
 */
#ifndef DV_REGISTRY_CLIENT_H
#define DV_REGISTRY_CLIENT_H

#include "davit/client.h"

#include "net/http_client.h"
#include "net/retry.h"
#include "registry/credentials.h"
#include "registry/settings.h"
#include "service/daemon_config.h"
#include "service/endpoint.h"
#include "service/service.h"
#include "util/workpool.h"

#include <stdatomic.h>

typedef enum dv_scheme { DV_SCHEME_UNDECIDED, DV_SCHEME_HTTP, DV_SCHEME_HTTPS } dv_scheme;

/* What a client has learnt of one host:port. Threads: loop. */
typedef struct dv_host {
    struct dv_host *next;
    char *name;       /* "host:port" */
    dv_scheme scheme; /* of an insecure host; the others are https from the start */
    bool racing;      /* TLS and plain HTTP are being tried; calls wait in waiting */
    struct dv_call *waiting;
    bool peer_known, peer_private;
} dv_host;

struct davit_client {
    dv_loop *loop;
    dv_http_client http;
    dv_workpool *pool;
    dv_retry_policy retry;
    uint32_t downloads; /* the user's number, 0: none given */
    uint32_t uploads;   /* likewise */
    uint32_t flags;
    dv_daemon_config config; /* the configuration file */
    dv_setting_rows noted;   /* for davit_client_settings() */
    char *store_dir;         /* NULL: none */
    dv_headers extra_headers;
    davit_service *service; /* mirrors, insecure registries; ask one snapshot of it */
    char *authfile;
    dv_client_credentials credentials;
    char **trusted_realms; /* ends with NULL */
    dv_host *hosts;
    atomic_bool cancelled;
    /* What a higher rank keeps with the client: the transfer manager and its store. Freed before the loop ends. */
    _Atomic(void *) extension;
    void (*extension_free)(void *extension);
};

/* The extension, made by make() at the first call (several threads may race: one wins, the others' is freed). */
int dv_client_extension(davit_client *c, int (*make)(davit_client *c, void **out, davit_error **err),
                        void (*release)(void *extension), void **out, davit_error **err);

/* The user's environment, or nothing with DAVIT_CLIENT_NO_ENVIRONMENT. */
dv_getenv_fn *dv_client_environment(const davit_client *c);

/*
 * Add a "Name: value" text that a user gives for a registry: for its own origin only (threats A4). DAVIT_EINVAL: not of that form, or
 * a header that we write ourselves.
 */
int dv_client_add_header(dv_headers *out, const char *line, davit_error **err);

/* DAVIT_ECANCELLED once davit_client_cancel() was called. */
int dv_client_check_cancelled(davit_client *c, davit_error **err);

#endif

/*
 * registry/credentials.h - a client's credentials: the one door through which registries get theirs (auth.md 4, 5).
 *
 * Decides the order: the embedder's store, then files and helpers (auth/credential_search.h). What a helper said is kept in memory for
 * the client's life, so that it runs once for each registry and not for each request; put and delete forget it.
 *
 * Threads: the caller's, never the loop's: all of these may run a program and wait for it.
 */
#ifndef DV_REGISTRY_CREDENTIALS_H
#define DV_REGISTRY_CREDENTIALS_H

#include "davit/auth.h"
#include "util/queue.h"

/* The part of a davit_client that this file keeps. */
typedef struct dv_client_credentials {
    dv_queue *kept; /* holds one object: what helpers have said; who has taken it out may look at it */
    davit_credential_store store;
    uint32_t helper_timeout_ms; /* 0: the default */
} dv_client_credentials;

struct davit_client_options;

/* For davit_client_new() and davit_client_free(). The options' store is taken over last, when nothing can fail any more. */
int dv_client_credentials_init(davit_client *c, davit_error **err);
void dv_client_credentials_take(davit_client *c, const struct davit_client_options *o);
void dv_client_credentials_clear(davit_client *c);

/*
 * Add "HttpHeaders" of Docker's config.json to the client's extra headers, without those that are ours to write and those that
 * an option has given. A file that cannot be read is not an error here: looking for credentials says it.
 */
int dv_client_add_file_headers(davit_client *c, davit_error **err);

/*
 * The stored credentials of a registry. domain: host[:port] as in a reference, "docker.io" for Docker Hub; repository: path in it, or
 * NULL. 1: *out is set; 0: none; else as davit_client_get_credentials().
 */
int dv_client_find_credentials(davit_client *c, const char *domain, const char *repository,
                               davit_auth_config *out, davit_error **err);

#endif

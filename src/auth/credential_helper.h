/*
 * auth/credential_helper.h - talks to a docker-credential-NAME program (auth.md 5, threats A9-A11).
 *
 * Decides which program may be run, what it is told, and what of its answer is believed. Servers are Docker Hub's key
 * or host[:port].
 */
#ifndef DV_AUTH_CREDENTIAL_HELPER_H
#define DV_AUTH_CREDENTIAL_HELPER_H

#include "davit/auth.h"
#include "util/environment.h"
#include "util/error.h"

#include <stdatomic.h>

#define DV_HELPER_TIMEOUT_MS 30000
#define DV_HELPER_ANSWER_MAX (1u << 20) /* bytes */
#define DV_HELPER_NAME_MAX 128          /* bytes */
#define DV_HELPER_SERVER_MAX 1024       /* bytes */
#define DV_HELPER_TOKEN_USER "<token>"  /* the user name under which an identity token is kept */

typedef struct dv_credential_helper {
    const char *name;          /* what "credsStore" says: docker-credential-NAME is run */
    dv_getenv_fn *environment; /* of the helper too, as far as it gets one */
    uint32_t timeout_ms;       /* 0: DV_HELPER_TIMEOUT_MS */
    const atomic_bool *cancelled;
} dv_credential_helper;

/* Threads: any; all of these block. Errors are DAVIT_ECONFIG unless it was the time, the client's end or memory. */

/* 1: *out is set; 0: it has none; an error never says more than a bounded, escaped part of what the helper printed. */
int dv_credential_helper_get(const dv_credential_helper *h, const char *server, davit_auth_config *out,
                             davit_error **err);
/* auth: an identity token is kept in place of a password. */
int dv_credential_helper_store(const dv_credential_helper *h, const char *server,
                               const davit_auth_config *auth, davit_error **err);
/* 1: erased; 0: it had none. */
int dv_credential_helper_erase(const dv_credential_helper *h, const char *server, davit_error **err);

typedef struct dv_helper_entry {
    char *server;
    char *username;
} dv_helper_entry;

typedef struct dv_helper_list {
    dv_helper_entry *entries;
    size_t count;
} dv_helper_list;

void dv_helper_list_clear(dv_helper_list *list);
DV_DEFINE_AUTO(dv_helper_list, dv_helper_list_clear)
int dv_credential_helper_list(const dv_credential_helper *h, dv_helper_list *out, davit_error **err);

/* --- without a process ------------------------------------------------------------------------------------------- */

/* Letters, digits, "_", "-", "."; the first is none of the last two. Nothing that could be a path. */
bool dv_helper_name_is_valid(const char *name);
/* What may be said to a helper: one line, a host with port or a key of Docker's kind. */
bool dv_helper_server_is_valid(const char *server);
/*
 * Read the answer to "get". An answer without ServerURL is believed (gcloud gives none), one that names another host is
 * not. 1: out is set; 0: it proves nothing.
 */
int dv_helper_answer_parse(const void *bytes, size_t size, const char *server, davit_auth_config *out,
                           davit_error **err);

#endif

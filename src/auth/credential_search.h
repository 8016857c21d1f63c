/*
 * auth/credential_search.h - whom to ask for a registry's credentials, in which order (DESIGN section 4, auth.md 5).
 *
 *   --authfile, $REGISTRY_AUTH_FILE, $DOCKER_AUTH_CONFIG, config.json of Docker, auth.json of Podman
 *
 * The first that has something wins. A file that names a credential helper for the registry has what the helper has, and
 * its own entry only when the helper has none. A file or a helper that fails ends the search: what stands in the next one was
 * not meant (threats A9).
 */
#ifndef DV_AUTH_CREDENTIAL_SEARCH_H
#define DV_AUTH_CREDENTIAL_SEARCH_H

#include "davit/auth.h"
#include "util/environment.h"
#include "util/error.h"

/* As dv_credential_helper_get(): 1, 0 or an error. */
typedef int dv_helper_ask_fn(void *user, const char *helper, const char *server, davit_auth_config *out,
                             davit_error **err);

/* Where to look; one thread at a time. */
typedef struct dv_credential_search {
    const char *authfile;      /* --authfile: first; NULL */
    dv_getenv_fn *environment; /* NULL: only authfile */
    dv_helper_ask_fn *ask;     /* NULL: run the helper */
    void *ask_user;
    bool variable_warned; /* $DOCKER_AUTH_CONFIG was found to be wrong, and that was said */
} dv_credential_search;

/*
 * Look for a registry's credentials. domain, repository: as in dv_config_file_find(). 1: out is set; 0: none;
 * DAVIT_ECONFIG, and what a helper's failure is.
 */
int dv_credential_search_find(dv_credential_search *s, const char *domain, const char *repository,
                              davit_auth_config *out, davit_error **err);

/* The file that a login writes: authfile, else $REGISTRY_AUTH_FILE, else Docker's config.json. New text. */
int dv_credential_search_target(const dv_credential_search *s, char **out, davit_error **err);

/* The path of Docker's config.json, NULL when there is no home. New text. False without memory. */
bool dv_docker_config_path(dv_getenv_fn *environment, char **out);

/* Whether it is the name of a registry, host[:port], and nothing else. */
bool dv_credential_domain_is_valid(const char *domain);

#endif

/*
 * auth/config_file.h - stored credentials: Docker's config.json and Podman's auth.json, and the order in
 * which they are searched (auth.md 5, DESIGN section 4, threats A9).
 *
 * A registry gets the entry of exactly its host[:port]; only Docker Hub has other names. Credential helpers
 * are not run: where one would have been asked, that is said once.
 */
#ifndef DV_AUTH_CONFIG_FILE_H
#define DV_AUTH_CONFIG_FILE_H

#include "davit/auth.h"
#include "util/environment.h"
#include "util/error.h"

#define DV_CONFIG_FILE_MAX (4u << 20) /* bytes */
#define DV_HUB_KEY "https://index.docker.io/v1/"

typedef struct dv_config_file dv_config_file; /* immutable */

/*
 * Read the bytes of a file; path is for messages. Unknown keys are skipped, empty bytes are an empty file.
 * DAVIT_ECONFIG "<path>: <key>: <reason>".
 */
int dv_config_file_parse(const char *path, const void *bytes, size_t size, dv_config_file **out,
                         davit_error **err);
/* The same from disk; a missing file is an empty one, an unreadable one is DAVIT_ECONFIG. */
int dv_config_file_load(const char *path, dv_config_file **out, davit_error **err);
void dv_config_file_free(dv_config_file *f);

/*
 * The entry for a registry, NULL when there is none or it proves nothing. Borrowed.
 *
 * domain: host[:port] as in a reference, "docker.io" for Docker Hub. repository: path within it, or NULL;
 * it only serves Podman's keys with a path, "host/some/path", where the longest prefix wins; those serve no
 * other repository.
 */
const davit_auth_config *dv_config_file_find(const dv_config_file *f, const char *domain,
                                             const char *repository);

/*
 * The suffix of the credential helper that has this registry's credentials, NULL when the file itself is to
 * be asked. Borrowed.
 */
const char *dv_config_file_helper(const dv_config_file *f, const char *domain);

/* Where to look. One per client; one thread at a time. */
typedef struct dv_credential_search {
    const char *authfile;      /* --authfile: first; NULL */
    dv_getenv_fn *environment; /* NULL: only authfile */
    bool helper_warned;
} dv_credential_search;

/*
 * Look for a registry's credentials: authfile, $REGISTRY_AUTH_FILE, $DOCKER_CONFIG/config.json or
 * ~/.docker/config.json, $XDG_RUNTIME_DIR/containers/auth.json; the first that has an entry. 1: out is set;
 * 0: none; DAVIT_ECONFIG.
 */
int dv_credential_search_find(dv_credential_search *s, const char *domain, const char *repository,
                              davit_auth_config *out, davit_error **err);

#endif

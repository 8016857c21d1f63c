/*
 * auth/config_file.h - what one credential file says: Docker's config.json or Podman's auth.json (auth.md 5, threats A9).
 *
 * A registry gets the entry of exactly its host[:port]; only Docker Hub has other names. Which files are looked at, and that
 * helpers are asked, is credential_search.h's business.
 */
#ifndef DV_AUTH_CONFIG_FILE_H
#define DV_AUTH_CONFIG_FILE_H

#include "davit/auth.h"
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
DV_DEFINE_AUTOPTR(dv_config_file, dv_config_file_free)

/*
 * The entry for a registry, NULL when there is none or it proves nothing. Borrowed.
 *
 * domain: host[:port] as in a reference, "docker.io" for Docker Hub. repository: path within it, or NULL;
 * it only serves Podman's keys with a path, "host/some/path", where the longest prefix wins; those serve no
 * other repository.
 */
const davit_auth_config *dv_config_file_find(const dv_config_file *f, const char *domain,
                                             const char *repository);

/* The entry with this very key, whatever it proves; NULL: none. Borrowed. */
const davit_auth_config *dv_config_file_exact(const dv_config_file *f, const char *key);

/* The e-mail address that stands in the registry's entry; NULL: none. Borrowed. */
const char *dv_config_file_email(const dv_config_file *f, const char *domain);

/*
 * The name of the credential helper to ask for this registry: of "credHelpers", else of "credsStore"; NULL when the file itself
 * has the credentials. Borrowed. A name that could be a path or an option is DAVIT_ECONFIG "PATH: KEY: ..." (threats A11).
 */
int dv_config_file_helper(const dv_config_file *f, const char *path, const char *domain, const char **out,
                          davit_error **err);

/*
 * Every helper that the file names, by index: those of "credHelpers" with the registry that each is for, then the one of "credsStore" with
 * *out_key NULL. *out_name is NULL where there is none. Borrowed. 1; 0: no more; DAVIT_ECONFIG as above.
 */
int dv_config_file_helper_at(const dv_config_file *f, const char *path, size_t index, const char **out_key,
                             const char **out_name, davit_error **err);

/* "HttpHeaders" without User-Agent. */
typedef struct dv_config_header {
    char *name;
    char *value;
} dv_config_header;

/* How many there are; *out is borrowed. */
size_t dv_config_file_headers(const dv_config_file *f, const dv_config_header **out);

/* --- keys ---------------------------------------------------------------------------------------------------------- */

/* The key under which a registry's credentials are stored and asked for: DV_HUB_KEY, or the domain. Borrowed. */
const char *dv_credential_key(const char *domain);
/* Whether an entry with this key would be found for the registry as a whole: the key itself, or another way to write it. */
bool dv_credential_key_names(const char *key, const char *domain);
/* Whether two keys name the same host[:port] (the CLI's rule of auth.md 3). */
bool dv_credential_same_host(const char *key, const char *other);

#endif

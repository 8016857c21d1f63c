/*
 * service/daemon_config.h - the configuration file with Docker's keys, daemon.json (DESIGN 4; service.md 2).
 *
 * Of its keys those about registries are read and the others skipped, so that Docker's own file will do.
 */
#ifndef DV_SERVICE_DAEMON_CONFIG_H
#define DV_SERVICE_DAEMON_CONFIG_H

#include "util/error.h"

#include <stdint.h>

#define DV_DAEMON_CONFIG_MAX (1u << 20) /* bytes of a file */
#define DV_DAEMON_ENTRIES_MAX 1024      /* of one list */

/* Lists end with NULL; NULL is a key that is not there. A number is 0 for the default, as in Docker. */
typedef struct dv_daemon_config {
    char *path; /* of the file; NULL: none was read */
    char **registry_mirrors;
    char **insecure_registries;
    char **allow_nondistributable_artifacts;
    char **mirror_by_digest_only; /* our own key (threats A15) */
    uint32_t max_concurrent_downloads, max_concurrent_uploads, max_download_attempts;
} dv_daemon_config;

#define DV_DAEMON_CONFIG_INIT \
    {                         \
        NULL                  \
    }
void dv_daemon_config_clear(dv_daemon_config *c);
/* Keep the numbers only. */
void dv_daemon_config_clear_lists(dv_daemon_config *c);
DV_DEFINE_AUTO(dv_daemon_config, dv_daemon_config_clear)

/* Where it is looked for when none is named, in order; ends with NULL. */
extern const char *const dv_daemon_config_paths[];

/*
 * Read the bytes of a file; path is for messages. Nothing but white space is an empty file, of equal keys the last counts.
 * DAVIT_ECONFIG "<path>: <key>: <reason>".
 */
int dv_daemon_config_parse(const char *path, const void *bytes, size_t size, dv_daemon_config *out,
                           davit_error **err);

/*
 * Read the file that is named, which must be there; else the first of paths (NULL: none) that is there. One of these that may
 * not be read is skipped with a warning. No file at all is an empty one without a path. DAVIT_ECONFIG.
 */
int dv_daemon_config_load(const char *named, const char *const *paths, dv_daemon_config *out,
                          davit_error **err);

/*
 * Whether a service takes the file's values, together with the mirrors that options add to them: so that a fault of the file is
 * said with file and key, DAVIT_ECONFIG. What is wrong with the options alone is left for the service to say.
 */
int dv_daemon_config_check(const dv_daemon_config *c, const char *const *option_mirrors, davit_error **err);

/* A file's list with the entries of options behind, in new memory. */
int dv_daemon_config_join(char *const *list, const char *const *options, char ***out, davit_error **err);

#endif

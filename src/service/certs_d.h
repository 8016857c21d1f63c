/*
 * service/certs_d.h - where the certificates of a host are kept, and what its files mean (service.md 11, DESIGN section 4). The
 * public functions are in davit/service.h.
 */
#ifndef DV_SERVICE_CERTS_D_H
#define DV_SERVICE_CERTS_D_H

#include "net/tls.h"
#include "util/environment.h"
#include "util/error.h"

#define DV_CERTS_ENTRIES_MAX 1000 /* of one directory */

/* Whose directories are meant. */
typedef struct dv_certs_rule {
    const char *certs_dir; /* the one that was named; NULL: none was */
    dv_getenv_fn *
        environment; /* of a client, which looks into its user's directory too; NULL: davit_certs_dir() alone */
} dv_certs_rule;

/*
 * The directory of a host[:port], as it stands in a reference or a mirror's URL: that of certs_dir; else what davit_set_certs_dir()
 * was given; else, for a client, the user's under rootlesskit, and for a user who is not root the user's when it is there or the
 * system's is not; else the system's. Free with free().
 */
int dv_certs_d_directory(const dv_certs_rule *rule, const char *host, char **out, davit_error **err);

/* Add to tls what the host's directory holds. Errors are davit_read_certs_directory()'s, with the directory before them. */
int dv_certs_d_load(const dv_certs_rule *rule, const char *host, davit_tls_config *tls, davit_error **err);

#endif

/*
 * auth/config_edit.h - changes one entry of a credential file's text and leaves every other byte as it is (auth.md 5).
 *
 * Decides where in the text what is written; the file itself is config_write.h's business.
 */
#ifndef DV_AUTH_CONFIG_EDIT_H
#define DV_AUTH_CONFIG_EDIT_H

#include "davit/auth.h"
#include "util/buf.h"
#include "util/error.h"

/*
 * "auths"[key] = what auth says: "auth" (of user name and password), "email", "identitytoken", "registrytoken". An entry
 * that is there is replaced where it stands, a new one goes behind the last, in the document's own indentation or the docker
 * CLI's. Blank bytes are an empty document.
 *
 * out: empty; not to be used after a failure. DAVIT_EFORMAT (not JSON, or known keys twice), DAVIT_ETOOBIG, DAVIT_ENOMEM;
 * DAVIT_EINVAL when auth cannot be written so that it reads the same.
 */
int dv_config_edit_put(const void *bytes, size_t size, const char *key, const davit_auth_config *auth,
                       dv_buf *out, davit_error **err);

/* Remove every entry of "auths" that names the registry (dv_credential_key_names()); domain NULL: every entry. Gives their number. */
int dv_config_edit_remove(const void *bytes, size_t size, const char *domain, dv_buf *out, davit_error **err);

#endif

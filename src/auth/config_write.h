/*
 * auth/config_write.h - changes a credential file on disk so that nothing is lost (threats A12).
 *
 * A change is read, decided and written under a lock file beside the file ("FILE.davit-lock", removed again), which only
 * davit knows: two davits do not lose each other's entries, and the docker CLI, which takes no lock, is not held up. The new
 * file is written beside, synced, and renamed over the old one, so that a reader and a crash see one of the two.
 */
#ifndef DV_AUTH_CONFIG_WRITE_H
#define DV_AUTH_CONFIG_WRITE_H

#include "davit/auth.h"
#include "util/error.h"

#include <stdatomic.h>

#define DV_CONFIG_LOCK_TIMEOUT_MS 30000

/*
 * Put a registry's entry into the file. auth NULL: none of its secrets, only the e-mail address that stands there (a helper has the rest).
 *
 * Symbolic links are followed. A new file is 0600 in directories of 0700; of an existing one owner and mode are kept, the mode
 * narrowed where the owner cannot be. cancelled: NULL, or ends the wait for the lock. DAVIT_ECONFIG (the file is not what it
 * should be; it is left alone), DAVIT_EINVAL, DAVIT_EIO, DAVIT_ENOSPACE, DAVIT_ETIMEOUT, DAVIT_ECANCELLED, DAVIT_ENOMEM.
 */
int dv_config_write_entry(const char *path, const char *domain, const davit_auth_config *auth,
                          const atomic_bool *cancelled, davit_error **err);

/* Remove a registry's entries; domain NULL: those of all. 1: there were some; 0: nothing was written. Errors as above. */
int dv_config_write_removal(const char *path, const char *domain, const atomic_bool *cancelled,
                            davit_error **err);

#endif

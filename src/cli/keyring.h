/*
 * cli/keyring.h - secrets in the kernel's keyring of this user: in memory only, for every process of the user, until the machine
 * restarts at the latest. One key of type "user" for each server.
 */
#ifndef DV_CLI_KEYRING_H
#define DV_CLI_KEYRING_H

#include "util/buf.h"
#include "util/error.h"

#define DV_KEYRING_PAYLOAD_MAX 32767 /* bytes: the kernel's limit for a key */
#define DV_KEYRING_SERVER_MAX 4000   /* bytes: the kernel's limit for a description is 4095 */

/* Errors: DAVIT_EUNSUPPORTED (no keyring here), DAVIT_ENOSPACE (quota), DAVIT_ETOOBIG, DAVIT_EIO; the message says what to do. */

/* Keep user name and secret, in place of what is there. */
int dv_keyring_put(const char *server, const char *username, const char *secret, davit_error **err);
/* Into empty secret buffers. DAVIT_ENOTFOUND: none. */
int dv_keyring_get(const char *server, dv_buf *out_username, dv_buf *out_secret, davit_error **err);
/* DAVIT_ENOTFOUND: there was none. */
int dv_keyring_delete(const char *server, davit_error **err);
/* Tell of each one; a negative answer ends it. */
int dv_keyring_each(int (*each)(void *user, const char *server, const char *username), void *user,
                    davit_error **err);

#endif

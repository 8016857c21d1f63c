/*
 * store/upload_session.h - uploads that were begun and not ended, so that the next push goes on where the last one was killed
 * (push.md 8). A cache: losing it costs transfers, never correctness.
 *
 * A URL may hold secrets: it is in the database, which is 0600 in a directory of 0700, and in no message.
 *
 * Threads: any; each call is one transaction.
 */
#ifndef DV_STORE_UPLOAD_SESSION_H
#define DV_STORE_UPLOAD_SESSION_H

#include "davit/digest.h"
#include "store/store.h"

#define DV_UPLOAD_SESSION_DAYS 7 /* an older one is forgotten: registries purge theirs after as many */

typedef struct dv_stored_upload {
    char *url;
    uint64_t sent; /* bytes that the registry has acknowledged */
} dv_stored_upload;

#define DV_STORED_UPLOAD_INIT \
    {                         \
        0                     \
    }
void dv_stored_upload_clear(dv_stored_upload *u);
DV_DEFINE_AUTO(dv_stored_upload, dv_stored_upload_clear)

/* repository: its full name, "registry.example/app". DAVIT_ENOTFOUND, also for one that is too old. */
int dv_upload_session_get(dv_store *s, const char *repository, const davit_digest *blob,
                          dv_stored_upload *out, davit_error **err);
/* Begun, or further now. Not synced: a power cut may take back the last ones. */
int dv_upload_session_put(dv_store *s, const char *repository, const davit_digest *blob, const char *url,
                          uint64_t sent, davit_error **err);
/* It ended. One that is not there is fine. */
int dv_upload_session_delete(dv_store *s, const char *repository, const davit_digest *blob, davit_error **err);
/* Forget those that nobody touched for DV_UPLOAD_SESSION_DAYS. */
int dv_upload_session_expire(dv_store *s, davit_error **err);

#endif

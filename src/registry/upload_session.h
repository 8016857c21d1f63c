/*
 * registry/upload_session.h - the session that a registry keeps for an upload: opened by a POST, unless that mounts the blob, moved by each
 * Location, given up by a DELETE. Spec: registry-v2.md 6, push.md 7, quirks.md.
 *
 * Its URL may hold secrets, so it is never shown. Every Location is resolved by the rules of redirects; one on another origin gets no
 * credentials (threats A5).
 */
#ifndef DV_REGISTRY_UPLOAD_SESSION_H
#define DV_REGISTRY_UPLOAD_SESSION_H

#include "davit/digest.h"
#include "registry/call.h"

#define DV_UPLOAD_ANSWER_MAX (64u << 10) /* bytes of an answer's body, which says nothing to us */

/* A session that a registry keeps for us. */
typedef struct dv_upload_session {
    char *url;          /* a whole URL; NULL: none */
    uint64_t at;        /* bytes that the registry has acknowledged */
    uint64_t chunk_min; /* OCI-Chunk-Min-Length, 0: none */
} dv_upload_session;

#define DV_UPLOAD_SESSION_INIT \
    {                          \
        0                      \
    }
void dv_upload_session_clear(dv_upload_session *s);
DV_DEFINE_AUTO(dv_upload_session, dv_upload_session_clear)

typedef struct dv_upload_open dv_upload_open;

/*
 * The end; the opening is gone. r is 0: mounted, and a HEAD has shown that it is there (size: its length), or a session, which the
 * callee may take the parts of. A mount that is answered 201 though the blob is not there is DAVIT_ENOTFOUND (quirks.md).
 */
typedef void dv_upload_open_fn(void *user, int r, bool mounted, uint64_t size, dv_upload_session *session,
                               davit_error *err);

/*
 * Threads: loop. POST uploads/, sent that many times at most, 0: by the client's policy. mount: this blob, from the repository `from` (path
 * only) of the same registry; both NULL: just a session. All are copied. On failure no callback is called.
 */
int dv_upload_open_start(dv_registry *reg, const davit_digest *mount, const char *from, uint32_t attempts,
                         dv_upload_open_fn *on_done, void *user, dv_upload_open **out, davit_error **err);
/* Threads: loop. No further callback. Not from within one of its own callbacks. */
void dv_upload_open_cancel(dv_upload_open *open);

/* Where an answer says that the session is from now on. Replaces *out. DAVIT_EPROTOCOL: it does not say. */
int dv_upload_take_location(const dv_registry *reg, const dv_response *answer, dv_url *out, davit_error **err);

/*
 * Threads: a caller's; blocks. Tell the registry that a session is not wanted any more; one that is gone is fine (registry-v2.md
 * 6.5). An error is for the log only.
 */
int dv_upload_discard(dv_registry *reg, const dv_upload_session *session, davit_error **err);

#endif

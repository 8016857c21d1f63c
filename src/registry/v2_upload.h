/*
 * registry/v2_upload.h - a blob goes to a registry: mounted, in one PUT, or in pieces that can be gone on with. Spec: registry-v2.md 6,
 * push.md 7 and 8, quirks.md.
 *
 * A session is what a POST opens; its URL may hold secrets, so it is never shown. Every Location is resolved by the rules of
 * redirects; one on another origin gets no credentials (threats A5).
 */
#ifndef DV_REGISTRY_V2_UPLOAD_H
#define DV_REGISTRY_V2_UPLOAD_H

#include "davit/digest.h"
#include "net/body.h"
#include "registry/call.h"

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

/* --- opening: a session, or a blob that the registry has elsewhere ------------------------------------------------- */

typedef struct dv_upload_open dv_upload_open;

/*
 * The end; the opening is gone. r is 0: mounted, and a HEAD has shown that it is there (size: its length), or a session, which the
 * callee may take the parts of. A mount that is answered 201 though the blob is not there is DAVIT_ENOTFOUND (quirks.md).
 */
typedef void dv_upload_open_fn(void *user, int r, bool mounted, uint64_t size, dv_upload_session *session,
                               davit_error *err);

/*
 * Threads: loop. POST uploads/, repeated by the client's policy. mount: this blob, from the repository `from` (path only) of the
 * same registry; both NULL: just a session. All are copied. On failure no callback is called.
 */
int dv_upload_open_start(dv_registry *reg, const davit_digest *mount, const char *from,
                         dv_upload_open_fn *on_done, void *user, dv_upload_open **out, davit_error **err);
/* Threads: loop. No further callback. Not from within one of its own callbacks. */
void dv_upload_open_cancel(dv_upload_open *open);

/* --- sending -------------------------------------------------------------------------------------------------------- */

typedef struct dv_upload dv_upload;

typedef struct dv_upload_handler {
    /* Bytes of the blob that went out; falls back when some have to be sent again. May be NULL. */
    void (*on_progress)(void *user, uint64_t at);
    /*
     * A session was opened, has acknowledged more bytes, or is gone (url NULL): for the journal, to go on after a crash. Borrowed.
     * May be NULL.
     */
    void (*on_session)(void *user, const dv_upload_session *session);
    /* It failed so and is repeated in delay_ms. err is borrowed. May be NULL. */
    void (*on_retry)(void *user, uint32_t delay_ms, const davit_error *err);
    /* The body has ended: its digest, when digest was NULL. Negative ends the upload. */
    int (*on_digest)(void *user, davit_digest *out, davit_error **err);
    /*
     * The end; the upload is gone. r is 0: the registry has the blob, size bytes. A session that may still be gone on with stays open,
     * and is what on_session gave last.
     */
    void (*on_done)(void *user, int r, uint64_t size, davit_error *err);
} dv_upload_handler;

typedef struct dv_upload_spec {
    const davit_digest *digest; /* copied; NULL: on_digest tells at the end */
    uint64_t size;              /* DAVIT_SIZE_UNKNOWN: the body's end tells; it goes as one PATCH in chunks */
    dv_body *body; /* the whole blob; borrowed until the end. One that seeks can be gone on with */
    const dv_upload_session *session; /* copied; NULL: it opens one */
    bool session_is_old;              /* of another run: it is asked first where it is */
    uint32_t attempts;                /* in a row without progress; 0: the client's policy */
    const dv_upload_handler *handler;
    void *user;
} dv_upload_spec;

/* Threads: loop. On failure no callback is called. */
int dv_upload_start(dv_registry *reg, const dv_upload_spec *spec, dv_upload **out, davit_error **err);
/*
 * Threads: loop. No further callback. Not from within one of its own callbacks. The session stays open at the registry:
 * dv_upload_discard() ends it.
 */
void dv_upload_cancel(dv_upload *upload);

/* --- for the calling thread ------------------------------------------------------------------------------------------ */

/*
 * Threads: a caller's; block. Tell the registry that a session is not wanted any more; one that is gone is fine (registry-v2.md
 * 6.5). An error is for the log only.
 */
int dv_upload_discard(dv_registry *reg, const dv_upload_session *session, davit_error **err);
/* One blob from memory, whatever strategy fits. Does not look whether it is there. */
int dv_v2_upload_bytes(dv_registry *reg, const davit_digest *digest, const void *bytes, size_t size,
                       davit_error **err);

#endif

/*
 * registry/v2_upload.h - a blob goes to a registry: in one PUT, or in pieces that can be gone on with. Spec: registry-v2.md 6, push.md 7 and
 * 8, quirks.md.
 */
#ifndef DV_REGISTRY_V2_UPLOAD_H
#define DV_REGISTRY_V2_UPLOAD_H

#include "davit/digest.h"
#include "net/body.h"
#include "registry/upload_session.h"

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

#endif

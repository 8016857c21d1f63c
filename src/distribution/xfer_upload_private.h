/* distribution/xfer_upload_private.h - what the manager (xfer_upload.c) and one upload (xfer_send.c) share. Threads: loop. */
#ifndef DV_DISTRIBUTION_XFER_UPLOAD_PRIVATE_H
#define DV_DISTRIBUTION_XFER_UPLOAD_PRIVATE_H

#include "distribution/xfer_upload.h"

typedef struct dv_send dv_send;

typedef enum dv_upload_slot { DV_SLOT_NONE, DV_SLOT_QUESTION, DV_SLOT_SMALL, DV_SLOT_LARGE } dv_upload_slot;

struct dv_uploads {
    davit_client *client;
    dv_upload_xfer *active;                  /* all that have not ended */
    dv_upload_xfer *waiting, **waiting_last; /* for a slot, first come first served */
    unsigned running[DV_SLOT_LARGE + 1];     /* by slot */
};

struct dv_upload_xfer {
    dv_uploads *manager;
    dv_upload_xfer *next, **link; /* in active */
    dv_upload_xfer *next_waiting;
    dv_upload_watch *watches;
    dv_upload_watch *leader; /* whose registry and source are used */
    dv_send *send;           /* NULL while waiting for the first slot */
    dv_upload_slot slot, wanted;
    bool sent;
    dv_upload_state state;
    unsigned seconds;
    uint64_t current, reported, reported_ms;
};

typedef struct dv_upload_result {
    dv_upload_state state; /* how it ended well */
    davit_digest digest;
    uint64_t size;
    const char *mounted_from;
} dv_upload_result;

/* One for each client. NULL: no memory. Threads: any, when nothing runs. */
dv_uploads *dv_uploads_new(davit_client *c);
void dv_uploads_free(dv_uploads *u);

/* Tell every watcher. */
void dv_upload_xfer_count(dv_upload_xfer *x, uint64_t current);
void dv_upload_xfer_retrying(dv_upload_xfer *x, unsigned seconds);
/* The questions are over: dv_send_go() comes when there is a slot for the bytes, perhaps at once. */
void dv_upload_xfer_want_slot(dv_upload_xfer *x);
/* The upload is over; result NULL: it failed, and err is taken. x is gone. */
void dv_upload_xfer_end(dv_upload_xfer *x, const dv_upload_result *result, davit_error *err);
/* A watcher that left while its source was in use: nothing of it is any more. */
void dv_upload_watch_left(dv_upload_watch *w);

/* Begins with the questions. x has a slot. */
int dv_send_start(dv_upload_xfer *x, dv_send **out, davit_error **err);
/* There is a slot for the bytes. */
void dv_send_go(dv_send *s);
/* Its leader left: ends without dv_upload_xfer_end(), and tells the leader when nothing of it is used any more. */
void dv_send_abandon(dv_send *s);

#endif

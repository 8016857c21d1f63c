/* distribution/xfer_private.h - what the manager (xfer.c) and a download (xfer_download.c) share. Threads: loop. */
#ifndef DV_DISTRIBUTION_XFER_PRIVATE_H
#define DV_DISTRIBUTION_XFER_PRIVATE_H

#include "distribution/xfer.h"
#include "distribution/xfer_upload.h"

typedef struct dv_download dv_download;

struct dv_transfers {
    davit_client *client;
    _Atomic(dv_store *) store; /* NULL until somebody needs it */
    dv_uploads *uploads;
    dv_xfer *active;                  /* all that have not ended */
    dv_xfer *waiting, **waiting_last; /* no slot yet, first come first served */
    unsigned small_running, large_running;
    unsigned connections; /* of all running together */
};

struct dv_xfer {
    dv_transfers *manager;
    dv_xfer *next, **link; /* in active */
    dv_xfer *next_waiting;
    dv_watch *watches;
    dv_registry *registry; /* borrowed from the watch it began with */
    char *media_type;
    davit_descriptor descriptor; /* own copy */
    dv_growing *growing;         /* of the watch it began with */
    dv_download *download;       /* NULL while waiting for a slot */
    bool small, document, has_slot, transferred;
    dv_xfer_state state;
    uint64_t current;               /* latest count */
    uint64_t reported, reported_ms; /* of the last count that went out */
    unsigned seconds, attempts;
};

/* Tell every watcher. */
void dv_xfer_set_state(dv_xfer *x, dv_xfer_state state);
void dv_xfer_retrying(dv_xfer *x, unsigned seconds);
void dv_xfer_count(dv_xfer *x, uint64_t current);
/* Every byte is here: others may start while this one is checked and synced (pull.md 7.2). */
void dv_xfer_downloaded(dv_xfer *x);
/* After that once more, because they were wrong: without waiting. */
void dv_xfer_take_slot(dv_xfer *x);
/* The transfer is over; takes err. x is gone. */
void dv_xfer_end(dv_xfer *x, int r, davit_error *err);
/* The connections this blob may use now, at least 1; own: those that it has. */
unsigned dv_xfer_connections(const dv_xfer *x, unsigned own);

/* Opens the ingest, and goes on when x has a slot. */
int dv_download_start(dv_xfer *x, dv_download **out, davit_error **err);
/* x has a slot now. */
void dv_download_go(dv_download *d);
/* Nobody wants it any more: ends without dv_xfer_end(); what is on disk stays for the next time. */
void dv_download_abandon(dv_download *d);

#endif

/*
 * distribution/xfer.h - the transfer manager: one download a blob, however many pulls want it.
 *
 * A pull (on its calling thread) makes watches, starts them, and reads events from its own queue until each has ended. The
 * loop thread owns the transfers: it merges equal digests, keeps the limits, and ends a transfer when its last watcher left.
 * Spec: pull.md 8, DESIGN 5.
 */
#ifndef DV_DISTRIBUTION_XFER_H
#define DV_DISTRIBUTION_XFER_H

#include "davit/descriptor.h"
#include "distribution/growing_blob.h"
#include "registry/registry.h"
#include "store/store.h"

#include <stdatomic.h>

#define DV_SMALL_BLOB (1u << 20) /* bytes; smaller ones have their own limit */
#define DV_SMALL_DOWNLOADS 16
#define DV_LARGE_DOWNLOADS 3

typedef struct dv_transfers dv_transfers;
typedef struct dv_xfer dv_xfer;
typedef struct dv_watch dv_watch;

typedef enum dv_xfer_state {
    DV_XFER_WAITING,     /* no slot is free, or another process downloads it */
    DV_XFER_DOWNLOADING, /* counts follow */
    DV_XFER_RETRYING,    /* seconds: until the next attempt */
    DV_XFER_VERIFYING,
    DV_XFER_COMPLETE, /* in the store */
    DV_XFER_FAILED,
} dv_xfer_state;

typedef struct dv_xfer_event {
    dv_node node;
    dv_watch *watch;
    dv_xfer_state state;
    uint64_t current, total; /* DOWNLOADING: bytes */
    unsigned seconds;        /* RETRYING */
} dv_xfer_event;

/* One blob that one pull wants. The pull owns it; the loop uses it from start to COMPLETE, FAILED or detach. */
struct dv_watch {
    dv_watch *next, **link;
    dv_xfer *xfer;
    dv_queue *events;
    const davit_descriptor *descriptor; /* borrowed; its size is known */
    dv_registry *registry;              /* borrowed: where to get it if nobody does yet */
    bool document;                      /* JSON: may come gzipped */
    dv_growing *growing; /* borrowed; who begins the transfer lets it be read meanwhile. NULL: nobody reads */
    bool ended;
    /* Result, set before the last event: */
    bool transferred; /* bytes came over the network for it */
    unsigned attempts;
    davit_error *err;
    /* The latest counts: one event that is never queued twice (pull.md 8: lossy fan-out). */
    dv_xfer_event counts;
    atomic_bool counts_queued;
    _Atomic uint64_t current;
    dv_xfer_event end; /* the last event: needs no memory, so that a pull never waits for ever */
};

/* The client's manager and store, made at the first call. DAVIT_EINVAL without a store directory. Threads: a caller's. */
int dv_transfers_get(davit_client *c, dv_transfers **out, davit_error **err);
dv_store *dv_transfers_store(dv_transfers *t);

/* Threads: a caller's. Starts them all in one go; events come to the queue that each names. */
int dv_watches_start(dv_transfers *t, dv_watch *watches, size_t count, davit_error **err);
/* Threads: a caller's. After it returns no event is queued any more for these watches. Ended ones are fine. */
void dv_watches_detach(dv_transfers *t, dv_watch *watches, size_t count);
/* Take what an event says (counts: the latest number) and release it. */
void dv_xfer_event_read(dv_xfer_event *event, dv_xfer_event *out);

#endif

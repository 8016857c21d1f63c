/*
 * distribution/xfer_upload.h - the upload manager: one upload for each blob and repository, however many want it there.
 *
 * Push and copy (on their calling threads) make watches, start them, and read events from their own queues until each has ended. The
 * loop thread owns the uploads: it merges equal ones, keeps the limits, and ends one when its last watcher left. An upload asks
 * whether the blob is there, tries to mount it, and sends it. Spec: push.md 4 to 8, DESIGN 5.
 */
#ifndef DV_DISTRIBUTION_XFER_UPLOAD_H
#define DV_DISTRIBUTION_XFER_UPLOAD_H

#include "davit/descriptor.h"
#include "net/body.h"
#include "registry/registry.h"
#include "store/store.h"

#include <stdatomic.h>

#define DV_SMALL_UPLOAD (1u << 20) /* bytes; smaller ones have their own limit when the user gave none */
#define DV_SMALL_UPLOADS 16
#define DV_LARGE_UPLOADS 5
#define DV_UPLOAD_QUESTIONS 128 /* blobs that are asked for or mounted at once: these cost nobody anything */

typedef struct dv_uploads dv_uploads;
typedef struct dv_upload_xfer dv_upload_xfer;
typedef struct dv_upload_watch dv_upload_watch;

/* Where the bytes of a blob come from. */
typedef struct dv_blob_source {
    /*
     * Threads: worker. The body of the whole blob, for the loop to read. One that seeks can be sent again, and gone on with from any
     * offset; for another one open() is called again. Every body gets its close().
     */
    int (*open)(void *user, dv_body **out, davit_error **err);
    void (*close)(void *user, dv_body *body); /* Threads: loop */
    /* Threads: loop. How much of `total` is done; NULL: the body's own count of bytes that went out. */
    uint64_t (*position)(void *user, const dv_body *body);
    /* Threads: loop. At the end of a body whose digest was not known before: its digest. */
    int (*digest)(void *user, const dv_body *body, davit_digest *out, davit_error **err);
    void *user;
} dv_blob_source;

typedef enum dv_upload_state {
    DV_UP_WAITING,  /* no slot is free */
    DV_UP_PUSHING,  /* counts follow */
    DV_UP_RETRYING, /* seconds: until it is tried again */
    /* One of these is the last: */
    DV_UP_EXISTS,  /* it was there */
    DV_UP_MOUNTED, /* from mounted_from */
    DV_UP_PUSHED,
    DV_UP_FAILED,
} dv_upload_state;

typedef struct dv_upload_event {
    dv_node node;
    dv_upload_watch *watch;
    dv_upload_state state;
    uint64_t current, total; /* PUSHING */
    unsigned seconds;        /* RETRYING */
} dv_upload_event;

/* One blob that somebody wants in a repository. Theirs; the loop uses it from start to its last event or detach. */
struct dv_upload_watch {
    dv_upload_watch *next, **link;
    dv_upload_xfer *xfer;
    /* All borrowed until the end: */
    dv_queue *events;
    dv_registry *registry;  /* the target, opened for pull,push */
    const char *repository; /* its whole name */
    davit_digest digest;    /* algorithm NONE: the body's end tells, and diff_id is known */
    davit_digest diff_id;   /* algorithm NONE: not known */
    uint64_t size;          /* of the blob, or DAVIT_SIZE_UNKNOWN */
    uint64_t total;         /* of the progress */
    const dv_blob_source *source;
    dv_store *store; /* what it remembers of blobs is used and kept up; NULL: nothing is */
    dv_store *journal; /* of the sessions of large blobs: one that was cut short is gone on with; NULL: none is */
    const struct davit_metadata_store *table; /* in its place, without sessions; called by workers; NULL */
    const char *mount_from; /* a path in the same registry that has the blob for sure, tried first; NULL */
    const char *hmac_key;   /* of the credentials (auth/hmac_key.h); NULL: "" */
    bool has_auth_info;     /* user and password, or a registry token, go with the requests */
    bool no_questions, no_mount; /* it is not asked for; it is not mounted */
    bool ended;                  /* the last event was read */
    /* Result, set before the last event: */
    davit_digest sent_digest;
    uint64_t sent_size;
    char *mounted_from; /* path; the watch's: dv_upload_watch_clear() */
    bool sent;          /* bytes were sent for it, whatever came of it */
    davit_error *err;
    /* The latest counts: one event that is never queued twice (pull.md 8: lossy fan-out). */
    dv_upload_event counts;
    atomic_bool counts_queued;
    _Atomic uint64_t current;
    dv_upload_event end; /* the last event: needs no memory, so that nobody waits for ever */
};

/* Free its results. It has ended, or was never started. */
void dv_upload_watch_clear(dv_upload_watch *w);

/* The client's manager. Threads: a caller's. */
int dv_uploads_get(davit_client *c, dv_uploads **out, davit_error **err);
/* Threads: a caller's. Starts them all in one go; events come to the queue that each names. */
int dv_upload_watches_start(dv_uploads *u, dv_upload_watch *watches, size_t count, davit_error **err);
/*
 * Threads: a caller's. They are not wanted any more: takes their events off their queue until each has ended, which waits for at most one
 * open() of a source, and for the end of a session that nobody goes on with. Ended ones are fine. What was sent of a blob whose session is
 * journalled stays for the next time.
 */
void dv_upload_watches_detach(dv_uploads *u, dv_upload_watch *watches, size_t count);
/* Take what an event says (counts: the latest number) and release it. Threads: a caller's. */
void dv_upload_event_read(dv_upload_event *event, dv_upload_event *out);

#endif

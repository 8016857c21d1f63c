/*
 * distribution/growing_blob.h - a blob that is being fetched, for one who reads behind the writer.
 *
 * The writer (a download, xfer_download.c) says how long the finished prefix of the blob's ingest is. The reader reads that prefix from the
 * ingest's file: bytes that nobody has checked yet. Whether they were the blob's is known at the end: each try to write the blob has a
 * number, a try that takes bytes back is void, and what was read in a try counts when that very try became the blob.
 *
 * Threads: one writer at a time (the owner of the ingest), one reader, one owner; each function says whose it is. NULL is nobody: fine for the
 * writer's functions.
 */
#ifndef DV_DISTRIBUTION_GROWING_BLOB_H
#define DV_DISTRIBUTION_GROWING_BLOB_H

#include "util/alloc.h"
#include "util/queue.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct dv_growing dv_growing;

dv_growing *dv_growing_new(void); /* NULL: no memory */
dv_growing *dv_growing_ref(dv_growing *g);
void dv_growing_unref(dv_growing *g);

/* --- writer --- */

/* A try begins: the blob's named ingest is ours, and this much of it is finished and hashed. */
void dv_growing_begin(dv_growing *g, uint64_t prefix);
void dv_growing_advance(dv_growing *g, uint64_t prefix);
/* Before a byte is taken back, and before the ingest is given up: the try is over. Fine when there is none. */
void dv_growing_void(dv_growing *g);
/* Before the ingest gets its name as a blob: the name that it has may be another's soon. Who has not opened it waits for the blob. */
void dv_growing_hide(dv_growing *g);
/* The try became the blob. */
void dv_growing_commit(dv_growing *g);

/* --- owner --- */

/* The blob is in the store, whoever wrote it. */
void dv_growing_arrive(dv_growing *g);
/* Whether this try became the blob. Threads: any. */
bool dv_growing_became_blob(dv_growing *g, unsigned attempt);

/* --- reader --- */

typedef struct dv_growing_state {
    unsigned attempt; /* 0: no try is running */
    uint64_t prefix;  /* of it */
    bool hidden;      /* its file cannot be opened any more */
    bool arrived;     /* the blob can be read from the store */
} dv_growing_state;

dv_growing_state dv_growing_look(dv_growing *g);
/* Whether no byte that was read in this try has been taken back so far. */
bool dv_growing_is(dv_growing *g, unsigned attempt);
/* Gets a node when something has changed since the last dv_growing_heard(); which is said for each node, then one looks. */
dv_queue *dv_growing_news(dv_growing *g);
void dv_growing_heard(dv_growing *g);

#endif

/*
 * distribution/xfer_disk.h - the disk's side of a download: an ingest that workers open, fill in order, and give its name, and the bytes in
 * hand for it. These are bounded (chunks), so that a kill costs less than 1 MiB of each blob.
 *
 * Everything runs on one strand, in order: one job at a time, and chunks between two of them.
 *
 * Threads: loop, all functions.
 */
#ifndef DV_DISTRIBUTION_XFER_DISK_H
#define DV_DISTRIBUTION_XFER_DISK_H

#include "distribution/growing_blob.h"
#include "registry/client.h"
#include "store/ingest.h"
#include "store/span.h"
#include "util/workpool.h"

#include <stdatomic.h>

typedef struct dv_disk dv_disk;

/* Of the loop from dv_disk_take_chunk() to dv_disk_write() or dv_disk_give_back(). */
typedef struct dv_chunk {
    dv_work work; /* first: queued on the strand, then in the free queue */
    dv_disk *disk;
    uint64_t offset;
    size_t size, capacity;
    char bytes[];
} dv_chunk;

struct dv_disk {
    dv_loop *loop;
    dv_store *store;
    char *media_type;
    davit_descriptor descriptor; /* own copy: a worker may outlive the transfer */
    dv_growing *growing;         /* who reads meanwhile */
    bool small, document;        /* the blob */
    bool as_new;                 /* beside the ingest of another process */
    bool useless;                /* what is on disk is of no use to anybody */
    dv_strand *strand;
    dv_work job;
    dv_task done; /* a job's end, for the loop */
    bool is_busy; /* with a job */
    void (*on_done)(dv_disk *disk);
    void (*on_room)(dv_disk *disk); /* after a chunk was refused: there is one */
    dv_queue *free_chunks;
    unsigned chunk_count;
    atomic_bool starved, wake_posted;
    dv_task wake;

    /* The worker's; the loop looks only when no work is on the strand: */
    dv_ingest *ingest;
    int result;
    davit_error *err;
    dv_spans gaps;      /* when it was opened */
    uint64_t peer_size; /* of another process's ingest, DAVIT_EBUSY */
    atomic_bool write_failed;
};

/* No memory: negative, and to be cleared all the same. */
int dv_disk_init(dv_disk *disk, davit_client *client, dv_store *store, const davit_descriptor *descriptor,
                 davit_error **err);
/* No work is on its strand. What is on disk stays. */
void dv_disk_clear(dv_disk *disk);

/* The jobs; on_done has their result. DAVIT_EEXIST, DAVIT_EBUSY as dv_ingest_open(). */
void dv_disk_open(dv_disk *disk, void (*on_done)(dv_disk *disk));
/* From the first byte again. */
void dv_disk_reset(dv_disk *disk, void (*on_done)(dv_disk *disk));
/* After every chunk; without a result when a write has failed. */
void dv_disk_commit(dv_disk *disk, void (*on_done)(dv_disk *disk));
/* Nothing is left on the strand behind it. */
void dv_disk_close(dv_disk *disk, void (*on_done)(dv_disk *disk));

/* many: several connections fill it. NULL: every chunk is in use, and on_room() follows; or there is no memory, when chunk_count is 0. */
dv_chunk *dv_disk_take_chunk(dv_disk *disk, bool many);
void dv_disk_write(dv_disk *disk, dv_chunk *chunk);
void dv_disk_give_back(dv_disk *disk, dv_chunk *chunk); /* NULL is fine */

#endif

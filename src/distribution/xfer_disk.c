/* distribution/xfer_disk.c - see xfer_disk.h. Leaves to others: where the bytes come from, and what a failure means (xfer_download.c). */
#include "distribution/xfer_disk.h"

#include "util/str.h"

#define CHUNK_LARGE (128u << 10)
#define CHUNK_SMALL (32u << 10)
#define CHUNKS_ONE 3   /* of CHUNK_LARGE: one connection, large blob */
#define CHUNKS_MANY 10 /* of CHUNK_SMALL: several connections */
#define CHUNKS_SMALL 4 /* of CHUNK_SMALL: small blob */

static void job_done(dv_task *task)
{
    dv_disk *disk = (dv_disk *)((char *)task - offsetof(dv_disk, done));
    disk->is_busy = false;
    disk->on_done(disk);
}

static void make_room(dv_task *task)
{
    dv_disk *disk = (dv_disk *)((char *)task - offsetof(dv_disk, wake));
    atomic_store(&disk->wake_posted, false);
    disk->on_room(disk);
}

int dv_disk_init(dv_disk *disk, davit_client *client, dv_store *store, const davit_descriptor *descriptor,
                 davit_error **err)
{
    *disk = (dv_disk){
        .loop = client->loop,
        .store = dv_store_ref(store),
        .media_type = dv_strdup(descriptor->media_type),
        .descriptor = *descriptor,
        .strand = dv_strand_new(client->pool),
        .free_chunks = dv_queue_new(),
        .done.run = job_done,
        .wake.run = make_room,
    };
    disk->descriptor.media_type = disk->media_type;
    return disk->media_type && disk->strand && disk->free_chunks ? 0 : dv_error_oom(err);
}

void dv_disk_clear(dv_disk *disk)
{
    dv_node *node;
    while (disk->free_chunks && (node = dv_queue_pop(disk->free_chunks, 0)))
        free(node);
    dv_queue_free(disk->free_chunks);
    if (disk->ingest)
        dv_growing_void(disk->growing);
    dv_ingest_close(disk->ingest);
    dv_growing_unref(disk->growing);
    dv_spans_clear(&disk->gaps);
    davit_error_free(disk->err);
    dv_strand_free(disk->strand);
    dv_store_unref(disk->store);
    free(disk->media_type);
}

/* --- jobs ------------------------------------------------------------------------------------------------------------ */

/* Threads: worker, at the end of a job. */
static void post_done(dv_disk *disk)
{
    dv_loop_post_again(disk->loop, &disk->done);
}

static void start_job(dv_disk *disk, void (*run)(dv_work *), void (*on_done)(dv_disk *))
{
    disk->is_busy = true;
    disk->job.run = run;
    disk->on_done = on_done;
    dv_strand_submit(disk->strand, &disk->job);
}

static dv_disk *of_job(dv_work *work)
{
    return (dv_disk *)((char *)work - offsetof(dv_disk, job));
}

/* Threads: worker. */
static int collect_gaps(dv_disk *disk, davit_error **err)
{
    uint64_t start, end, from = 0;
    dv_spans_clear(&disk->gaps);
    while (dv_ingest_gap(disk->ingest, from, &start, &end)) {
        int r = dv_spans_add(&disk->gaps, start, end, err);
        if (r < 0)
            return r;
        from = end;
    }
    return 0;
}

/* Threads: worker. */
static void run_open(dv_work *work)
{
    dv_disk *disk = of_job(work);
    davit_error_free(disk->err);
    disk->err = NULL;
    disk->result = disk->as_new
                       ? dv_ingest_open_new(disk->store, &disk->descriptor, &disk->ingest, &disk->err)
                       : dv_ingest_open(disk->store, &disk->descriptor, &disk->ingest, &disk->err);
    if (disk->result == 0)
        disk->result = dv_ingest_resume(disk->ingest, &disk->err);
    if (disk->result == 0)
        disk->result = collect_gaps(disk, &disk->err);
    if (disk->result == 0 && !disk->as_new)
        dv_growing_begin(disk->growing, dv_ingest_offset(disk->ingest));
    if (disk->result == DAVIT_EBUSY)
        disk->peer_size = dv_ingest_peer_size(disk->store, &disk->descriptor.digest);
    post_done(disk);
}

void dv_disk_open(dv_disk *disk, void (*on_done)(dv_disk *disk))
{
    start_job(disk, run_open, on_done);
}

/* Threads: worker. */
static void run_reset(dv_work *work)
{
    dv_disk *disk = of_job(work);
    atomic_store(&disk->write_failed, false);
    davit_error_free(disk->err);
    disk->err = NULL;
    dv_growing_void(disk->growing);
    disk->result = dv_ingest_reset(disk->ingest, &disk->err);
    if (disk->result == 0 && !disk->as_new)
        dv_growing_begin(disk->growing, 0);
    post_done(disk);
}

void dv_disk_reset(dv_disk *disk, void (*on_done)(dv_disk *disk))
{
    start_job(disk, run_reset, on_done);
}

/* Threads: worker. */
static void run_commit(dv_work *work)
{
    dv_disk *disk = of_job(work);
    if (!atomic_load(&disk->write_failed)) {
        dv_growing_hide(disk->growing);
        disk->result = dv_ingest_commit(DV_STEAL(disk->ingest), &disk->err);
        if (disk->result == 0)
            dv_growing_commit(disk->growing);
        else
            dv_growing_void(disk->growing);
    }
    post_done(disk);
}

void dv_disk_commit(dv_disk *disk, void (*on_done)(dv_disk *disk))
{
    start_job(disk, run_commit, on_done);
}

/* Threads: worker. */
static void run_close(dv_work *work)
{
    dv_disk *disk = of_job(work);
    dv_ingest *ingest = DV_STEAL(disk->ingest);
    if (ingest)
        dv_growing_void(disk->growing);
    if (ingest && disk->useless)
        dv_ingest_abort(ingest);
    else
        dv_ingest_close(ingest);
    post_done(disk);
}

void dv_disk_close(dv_disk *disk, void (*on_done)(dv_disk *disk))
{
    start_job(disk, run_close, on_done);
}

/* --- chunks ---------------------------------------------------------------------------------------------------------- */

/* Threads: worker. In the order of the strand, so bytes that follow a failed write are dropped. */
static void run_write(dv_work *work)
{
    dv_chunk *c = (dv_chunk *)work;
    dv_disk *disk = c->disk;
    if (!atomic_load(&disk->write_failed)) {
        int r = dv_ingest_write_at(disk->ingest, c->offset, c->bytes, c->size, &disk->err);
        if (r < 0) {
            disk->result = r;
            atomic_store(&disk->write_failed, true);
        }
        if (!disk->as_new)
            dv_growing_advance(disk->growing, dv_ingest_offset(disk->ingest));
    }
    dv_queue_push(disk->free_chunks, &c->work.node);
    if (atomic_exchange(&disk->starved, false) && !atomic_exchange(&disk->wake_posted, true))
        dv_loop_post_again(disk->loop, &disk->wake);
}

static unsigned chunk_limit(const dv_disk *disk, bool many)
{
    if (disk->document) /* never paused: libcurl would go on inflating into a buffer of its own (threats C5) */
        return (unsigned)(disk->descriptor.size / CHUNK_SMALL) + 2;
    return disk->small ? CHUNKS_SMALL : many ? CHUNKS_MANY : CHUNKS_ONE;
}

static dv_chunk *take_chunk(dv_disk *disk, bool many)
{
    size_t capacity = disk->small || disk->document || many ? CHUNK_SMALL : CHUNK_LARGE;
    dv_chunk *c = (dv_chunk *)dv_queue_pop(disk->free_chunks, 0);
    if (c && c->capacity != capacity) {
        free(c);
        disk->chunk_count--;
        return take_chunk(disk, many);
    }
    if (!c && disk->chunk_count < chunk_limit(disk, many)) {
        c = malloc(sizeof(*c) + capacity);
        if (c) {
            c->capacity = capacity;
            disk->chunk_count++;
        }
    }
    if (c) {
        c->work.run = run_write;
        c->disk = disk;
        c->size = 0;
    }
    return c;
}

dv_chunk *dv_disk_take_chunk(dv_disk *disk, bool many)
{
    dv_chunk *c = take_chunk(disk, many);
    if (c)
        return c;
    atomic_store(&disk->starved, true);
    return take_chunk(disk, many);
}

void dv_disk_write(dv_disk *disk, dv_chunk *chunk)
{
    dv_strand_submit(disk->strand, &chunk->work);
}

void dv_disk_give_back(dv_disk *disk, dv_chunk *chunk)
{
    if (chunk)
        dv_queue_push(disk->free_chunks, &chunk->work.node);
}

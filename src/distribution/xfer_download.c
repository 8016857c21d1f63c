/*
 * distribution/xfer_download.c - one blob from a registry into an ingest.
 *
 * States: opening (a worker opens the ingest and hashes what is there), waiting for a peer (another process has it),
 * streaming (one connection, or several for a large blob), pausing before the next attempt, finishing (a worker checks,
 * syncs and renames). The loop thread decides and receives; everything that touches the disk or the digest runs on the
 * download's strand, in order.
 *
 * Bytes in hand but not yet written are bounded (chunks), so that a kill costs less than 1 MiB of each blob.
 */
#include "distribution/xfer_private.h"
#include "registry/v2_blob.h"
#include "store/content_store.h"
#include "store/ingest.h"
#include "store/span.h"
#include "util/clock.h"
#include "util/hex.h"
#include "util/log.h"

#include <inttypes.h>
#include <string.h>

#define CHUNK_LARGE (128u << 10)
#define CHUNK_SMALL (32u << 10)
#define CHUNKS_ONE 3   /* of CHUNK_LARGE: one connection, large blob */
#define CHUNKS_MANY 10 /* of CHUNK_SMALL: several connections */
#define CHUNKS_SMALL 4 /* of CHUNK_SMALL: small blob */
#define PEER_POLL_MS 200

typedef struct chunk {
    dv_work work; /* first: queued on the strand, then in the free queue */
    dv_download *download;
    uint64_t offset;
    size_t size, capacity;
    char bytes[];
} chunk;

typedef struct stream {
    dv_download *download; /* NULL: not in use */
    dv_blob_get *get;
    dv_span span; /* what is left of the range: start moves */
    chunk *current;
    bool paused, range_ignored;
    uint64_t begun_ms, received;
} stream;

struct dv_download {
    dv_xfer *xfer; /* the loop's; gone when abandoned */
    dv_loop *loop;
    dv_store *store;
    char *media_type;
    davit_descriptor descriptor; /* own copy: a worker may outlive the transfer */
    dv_growing *growing;         /* who reads meanwhile */
    dv_strand *strand;
    dv_queue *free_chunks;
    unsigned chunk_count;
    atomic_bool starved, wake_posted;
    dv_task wake;

    dv_spans gaps; /* not finished and not asked for */
    stream streams[DV_RANGE_CONNECTIONS_MAX];
    unsigned active, wanted; /* streams: running, and how many there should be */
    bool ranges_refused, measured, measuring;
    uint64_t have;      /* bytes received and good as far as we know */
    uint64_t discarded; /* bytes thrown away: at most once the blob (DESIGN 5) */
    uint64_t fresh;     /* received since the count of attempts was reset */
    unsigned attempt;
    bool broken; /* the last connection: begin on a new one */
    dv_timer pause;
    uint64_t pause_until_ms;
    davit_error *last_error;
    davit_error *cause; /* what broke the last attempt */
    bool opened, abandoned, stopping;
    bool useless; /* what is on disk is of no use to anybody */

    /* Worker's side; the loop looks only when no work is on the strand. */
    dv_ingest *ingest;
    dv_work job;
    int result;
    davit_error *err;
    atomic_bool write_failed;
    bool as_new;
    dv_spans opened_gaps;
    dv_task done; /* a job's end, for the loop */
    void (*on_job_done)(dv_download *d);
    bool job_running;
    uint64_t peer_size, peer_changed_ms;
};

static void begin_streams(dv_download *d);
static void open_ingest(dv_download *d);
static void download_end(dv_download *d, int r, davit_error *err);
static void attempt_failed(dv_download *d, int r, davit_error *err);

/* --- jobs on the strand ------------------------------------------------------------------------------------------ */

static void download_free(dv_download *d)
{
    dv_node *node;
    dv_timer_stop(&d->pause);
    while (d->free_chunks && (node = dv_queue_pop(d->free_chunks, 0)))
        free(node);
    dv_queue_free(d->free_chunks);
    if (d->ingest)
        dv_growing_void(d->growing);
    dv_ingest_close(d->ingest);
    dv_growing_unref(d->growing);
    dv_spans_clear(&d->gaps);
    dv_spans_clear(&d->opened_gaps);
    davit_error_free(d->last_error);
    davit_error_free(d->cause);
    davit_error_free(d->err);
    dv_strand_free(d->strand);
    dv_store_unref(d->store);
    free(d->media_type);
    free(d);
}

static void job_done(dv_task *task)
{
    dv_download *d = (dv_download *)((char *)task - offsetof(dv_download, done));
    d->job_running = false;
    if (d->abandoned)
        download_free(d);
    else
        d->on_job_done(d);
}

/* Threads: worker, at the end of a job. */
static void post_done(dv_download *d)
{
    dv_loop_post_again(d->loop, &d->done);
}

static void start_job(dv_download *d, void (*run)(dv_work *), void (*done)(dv_download *))
{
    d->job_running = true;
    d->job.run = run;
    d->on_job_done = done;
    dv_strand_submit(d->strand, &d->job);
}

static dv_download *of_job(dv_work *work)
{
    return (dv_download *)((char *)work - offsetof(dv_download, job));
}

/* --- opening ------------------------------------------------------------------------------------------------------- */

/* Threads: worker. */
static int collect_gaps(dv_download *d, davit_error **err)
{
    uint64_t start, end, from = 0;
    dv_spans_clear(&d->opened_gaps);
    while (dv_ingest_gap(d->ingest, from, &start, &end)) {
        int r = dv_spans_add(&d->opened_gaps, start, end, err);
        if (r < 0)
            return r;
        from = end;
    }
    return 0;
}

/* Threads: worker. */
static void run_open(dv_work *work)
{
    dv_download *d = of_job(work);
    dv_store *store = d->store;
    const davit_descriptor *desc = &d->descriptor;
    davit_error_free(d->err);
    d->err = NULL;
    d->result = d->as_new ? dv_ingest_open_new(store, desc, &d->ingest, &d->err)
                          : dv_ingest_open(store, desc, &d->ingest, &d->err);
    if (d->result == 0)
        d->result = dv_ingest_resume(d->ingest, &d->err);
    if (d->result == 0)
        d->result = collect_gaps(d, &d->err);
    if (d->result == 0 && !d->as_new)
        dv_growing_begin(d->growing, dv_ingest_offset(d->ingest));
    if (d->result == DAVIT_EBUSY)
        d->peer_size = dv_ingest_peer_size(store, &desc->digest);
    post_done(d);
}

static void on_pause(dv_timer *timer);

/* Another process downloads it: look again soon; when it makes no progress for a stall limit, download it ourselves. */
static void wait_for_peer(dv_download *d)
{
    uint64_t now = dv_loop_now_ms(d->loop);
    dv_xfer_set_state(d->xfer, DV_XFER_WAITING);
    if (!d->peer_changed_ms || d->peer_size != d->have) {
        d->peer_changed_ms = now;
        d->have = d->peer_size;
    }
    if (now - d->peer_changed_ms >= d->xfer->manager->client->http.limits.stall_timeout_ms)
        d->as_new = true;
    d->pause_until_ms = 0;
    dv_timer_start(d->loop, &d->pause, PEER_POLL_MS);
}

static void on_opened(dv_download *d)
{
    if (d->result == DAVIT_EEXIST) {
        download_end(d, 0, NULL);
        return;
    }
    if (d->result == DAVIT_EBUSY) {
        wait_for_peer(d);
        return;
    }
    if (d->result < 0) {
        download_end(d, d->result, DV_STEAL(d->err));
        return;
    }
    d->have = dv_ingest_have(d->ingest);
    dv_spans_clear(&d->gaps);
    dv_spans gaps = d->opened_gaps;
    d->opened_gaps = d->gaps;
    d->gaps = gaps;
    d->opened = true;
    if (d->xfer->has_slot)
        dv_download_go(d);
}

void dv_download_go(dv_download *d)
{
    if (!d->opened)
        return; /* on_opened() goes on */
    dv_xfer_count(d->xfer, d->have);
    begin_streams(d);
}

static void open_ingest(dv_download *d)
{
    start_job(d, run_open, on_opened);
}

/* --- chunks ---------------------------------------------------------------------------------------------------------- */

static void resume_streams(dv_task *task)
{
    dv_download *d = (dv_download *)((char *)task - offsetof(dv_download, wake));
    atomic_store(&d->wake_posted, false);
    if (d->abandoned)
        return; /* job_done() comes behind and frees */
    for (size_t i = 0; i < DV_COUNT(d->streams); i++) {
        stream *s = &d->streams[i];
        if (s->download && s->paused) {
            s->paused = false;
            dv_blob_get_resume(s->get);
        }
    }
}

/* Threads: worker. In the order of the strand, so bytes that follow a failed write are dropped. */
static void run_write(dv_work *work)
{
    chunk *c = (chunk *)work;
    dv_download *d = c->download;
    if (!atomic_load(&d->write_failed)) {
        int r = dv_ingest_write_at(d->ingest, c->offset, c->bytes, c->size, &d->err);
        if (r < 0) {
            d->result = r;
            atomic_store(&d->write_failed, true);
        }
        if (!d->as_new)
            dv_growing_advance(d->growing, dv_ingest_offset(d->ingest));
    }
    dv_queue_push(d->free_chunks, &c->work.node);
    if (atomic_exchange(&d->starved, false) && !atomic_exchange(&d->wake_posted, true))
        dv_loop_post_again(d->loop, &d->wake);
}

static size_t chunk_capacity(const dv_download *d)
{
    return d->xfer->small || d->xfer->document || d->wanted > 1 ? CHUNK_SMALL : CHUNK_LARGE;
}

static unsigned chunk_limit(const dv_download *d)
{
    if (d->xfer->document) /* never paused: libcurl would go on inflating into a buffer of its own (threats C5) */
        return (unsigned)(d->descriptor.size / CHUNK_SMALL) + 2;
    return d->xfer->small ? CHUNKS_SMALL : d->wanted > 1 ? CHUNKS_MANY : CHUNKS_ONE;
}

static chunk *take_chunk(dv_download *d)
{
    chunk *c = (chunk *)dv_queue_pop(d->free_chunks, 0);
    if (c && c->capacity != chunk_capacity(d)) {
        free(c);
        d->chunk_count--;
        return take_chunk(d);
    }
    if (!c && d->chunk_count < chunk_limit(d)) {
        c = malloc(sizeof(*c) + chunk_capacity(d));
        if (c) {
            c->capacity = chunk_capacity(d);
            d->chunk_count++;
        }
    }
    if (c) {
        c->work.run = run_write;
        c->download = d;
        c->size = 0;
    }
    return c;
}

/* NULL: every chunk is in use; the worker wakes us when one is free. */
static chunk *take_chunk_or_starve(dv_download *d)
{
    chunk *c = take_chunk(d);
    if (c)
        return c;
    atomic_store(&d->starved, true);
    return take_chunk(d);
}

static void submit_chunk(stream *s)
{
    chunk *c = s->current;
    s->current = NULL;
    if (c)
        dv_strand_submit(s->download->strand, &c->work);
}

/* --- streams ----------------------------------------------------------------------------------------------------------- */

static void stream_close(stream *s)
{
    dv_download *d = s->download;
    if (s->current && s->current->size > 0)
        submit_chunk(s);
    if (s->current)
        dv_queue_push(d->free_chunks, &s->current->work.node);
    if (s->get)
        dv_blob_get_cancel(s->get);
    *s = (stream){0};
    d->active--;
    d->xfer->manager->connections--;
}

static void close_streams(dv_download *d)
{
    for (size_t i = 0; i < DV_COUNT(d->streams); i++)
        if (d->streams[i].download)
            stream_close(&d->streams[i]);
}

/* Threads: worker. */
static void run_reset(dv_work *work)
{
    dv_download *d = of_job(work);
    atomic_store(&d->write_failed, false);
    davit_error_free(d->err);
    d->err = NULL;
    dv_growing_void(d->growing);
    d->result = dv_ingest_reset(d->ingest, &d->err);
    if (d->result == 0 && !d->as_new)
        dv_growing_begin(d->growing, 0);
    post_done(d);
}

static void on_reset(dv_download *d)
{
    if (d->result < 0) {
        download_end(d, d->result, DV_STEAL(d->err));
        return;
    }
    begin_streams(d);
}

/* Whether the bytes so far may be thrown away: all restarts together cost at most the blob once more. Counts them. */
static bool may_discard(dv_download *d)
{
    if (d->discarded + d->have > d->descriptor.size)
        return false;
    d->discarded += d->have ? d->have : 1;
    d->have = 0;
    return true;
}

static int gaps_to_whole(dv_download *d, davit_error **err)
{
    dv_spans_clear(&d->gaps);
    return dv_spans_add(&d->gaps, 0, d->descriptor.size, err);
}

/* Start over from byte 0, without ranges from now on. Takes err: why it is needed. */
static void restart(dv_download *d, int r, davit_error *err)
{
    close_streams(d);
    if (!may_discard(d)) {
        /* Why the bytes had to be asked for again says more than that they are not to be had in parts. */
        if (d->cause && r != DAVIT_EDIGEST) {
            davit_error_free(err);
            err = DV_STEAL(d->cause);
            r = dv_error_wrap(&err, davit_error_code(err), "the registry does not resume");
        }
        download_end(d, r, err);
        return;
    }
    dv_trace(XFER, "%s: from the beginning: %s", d->descriptor.digest.text, davit_error_message(err));
    davit_error_free(err);
    err = NULL;
    d->ranges_refused = true;
    d->wanted = 1;
    r = gaps_to_whole(d, &err);
    if (r < 0)
        download_end(d, r, err);
    else
        start_job(d, run_reset, on_reset);
}

static int wrong_size(const dv_download *d, const char *how, davit_error **err)
{
    int r = dv_error_set(err, DAVIT_EDIGEST, "blob %s: %s than the %" PRIu64 " bytes of its descriptor",
                         d->descriptor.digest.text, how, d->descriptor.size);
    return r;
}

static int on_answer(void *user, dv_range_answer answer, uint64_t length, davit_error **err)
{
    stream *s = user;
    dv_download *d = s->download;
    uint64_t size = d->descriptor.size;
    s->begun_ms = dv_clock_ms();
    if (answer == DV_RANGE_PART)
        return 0;
    if (length != DAVIT_SIZE_UNKNOWN && length != size) {
        d->have = size; /* as good as downloaded: it is of no use */
        return wrong_size(d, length < size ? "the registry has fewer bytes" : "the registry has more bytes",
                          err);
    }
    if (d->active > 1 || s->span.start > 0) {
        /* Range ignored: this very answer is the blob from its first byte, but the ingest must be emptied first. */
        s->range_ignored = true;
        return dv_error_set(err, DAVIT_EPROTOCOL, "the registry ignores ranges");
    }
    d->have = 0;
    d->ranges_refused = true;
    s->span.end = size;
    dv_spans_clear(&d->gaps);
    return 0;
}

static int on_body(void *user, const void *bytes, size_t size, davit_error **err)
{
    stream *s = user;
    dv_download *d = s->download;
    if (atomic_load(&d->write_failed))
        return dv_error_set(err, DAVIT_EIO, "cannot write"); /* replaced by the worker's reason */
    if (size > s->span.end - s->span.start) {
        d->have = d->descriptor.size;
        return wrong_size(d, "the registry sends more bytes", err);
    }
    chunk *next = NULL;
    if (!s->current || s->current->capacity - s->current->size < size) {
        next = take_chunk_or_starve(d);
        if (!next && d->chunk_count == 0)
            return dv_error_oom(err);
        if (!next) {
            s->paused = true;
            d->measuring = false; /* we are the slow ones: the link's speed cannot be seen */
            d->measured = true;
            return DV_HTTP_PAUSE;
        }
    }
    const char *from = bytes;
    size_t left = size;
    while (left > 0) {
        if (!s->current) {
            s->current = DV_STEAL(next);
            s->current->offset = s->span.start;
        }
        chunk *c = s->current;
        size_t n = c->capacity - c->size < left ? c->capacity - c->size : left;
        memcpy(c->bytes + c->size, from, n);
        c->size += n;
        from += n;
        left -= n;
        s->span.start += n;
        if (c->size == c->capacity)
            submit_chunk(s);
    }
    if (next)
        dv_queue_push(d->free_chunks, &next->work.node);
    s->received += size;
    d->have += size;
    d->fresh += size;
    d->xfer->transferred = true;
    dv_xfer_count(d->xfer, d->have);
    return 0;
}

static void finish(dv_download *d);
static void next_streams(dv_download *d);

/* The first range told how fast one connection is. */
static void measure(dv_download *d, const stream *s)
{
    uint64_t ms = dv_clock_ms() - s->begun_ms;
    uint64_t left = dv_spans_total(&d->gaps);
    d->measured = true;
    d->measuring = false;
    d->wanted = dv_range_connections(left, s->received * 1000 / (ms ? ms : 1), /* busy= */ false,
                                     dv_xfer_connections(d->xfer, d->active));
    dv_trace(XFER, "%s: %" PRIu64 " bytes in %" PRIu64 " ms: %u connections", d->descriptor.digest.text,
             s->received, ms, d->wanted);
}

static void on_done(void *user, int r, bool refused, davit_error *err)
{
    stream *s = user;
    dv_download *d = s->download;
    s->get = NULL;
    if (r == 0 && s->span.start < s->span.end) {
        r = dv_error_set(&err, DAVIT_ENETWORK, "the answer ended early");
        if (davit_error_code(err) != DAVIT_ENOMEM)
            err->kind = DV_ERROR_TRANSPORT;
    }
    davit_error *no_room = NULL;
    if (r < 0 && dv_spans_add(&d->gaps, s->span.start, s->span.end, &no_room) < 0) {
        r = davit_error_code(no_room);
        davit_error_free(err);
        err = no_room;
    }
    if (r == 0 && d->measuring && !d->measured)
        measure(d, s);
    bool start_over = refused || s->range_ignored || r == DAVIT_EDIGEST;
    stream_close(s);
    if (r == 0) {
        next_streams(d);
    } else if (atomic_load(&d->write_failed)) {
        close_streams(d);
        download_end(d, r, err); /* with the worker's reason */
    } else if (start_over) {
        restart(d, r, err);
    } else {
        attempt_failed(d, r, err);
    }
}

static const dv_blob_handler stream_handler = {on_answer, on_body, on_done};

/* At most length bytes (0: no limit) off the front of what is not asked for yet. There is something. */
static void take_front(dv_spans *gaps, uint64_t length, dv_span *out)
{
    dv_span *first = &gaps->items[0];
    *out = *first;
    if (length > 0 && length < first->end - first->start) {
        out->end = first->start + length;
        first->start = out->end;
        return;
    }
    gaps->count--;
    memmove(first, first + 1, gaps->count * sizeof(*first));
}

static int stream_open(dv_download *d, davit_error **err)
{
    stream *s = d->streams;
    while (s->download)
        s++;
    const davit_descriptor *desc = &d->descriptor;
    uint64_t first_range = 0;
    bool large = desc->size >= DV_RANGE_BLOB_MIN && !d->ranges_refused;
    if (large && !d->measured)
        first_range = DV_RANGE_FIRST;
    else if (large)
        first_range = dv_range_length(dv_spans_total(&d->gaps), d->wanted);
    take_front(&d->gaps, first_range, &s->span);
    dv_blob_range range = {
        .asked = large || s->span.start > 0,
        .first = s->span.start,
        .last = large ? s->span.end - 1 : DAVIT_SIZE_UNKNOWN,
        .fresh = d->broken,
        .large = !d->xfer->small && d->wanted == 1,
    };
    s->download = d;
    d->active++;
    d->xfer->manager->connections++;
    d->broken = false;
    if (large && !d->measured)
        d->measuring = true;
    int r = dv_blob_get_start(d->xfer->registry, &desc->digest, desc->size, d->xfer->document, &range,
                              &stream_handler, s, &s->get, err);
    if (r < 0)
        stream_close(s);
    return r;
}

/* As many streams as there should be, as long as there is something to ask for. */
static void next_streams(dv_download *d)
{
    unsigned limit = d->wanted < DV_RANGE_CONNECTIONS_MAX ? d->wanted : DV_RANGE_CONNECTIONS_MAX;
    unsigned most = dv_xfer_connections(d->xfer, d->active);
    if (most < limit)
        limit = most;
    davit_error *err = NULL;
    int r = 0;
    while (r == 0 && d->active < limit && d->gaps.count > 0)
        r = stream_open(d, &err);
    if (r < 0) {
        close_streams(d);
        download_end(d, r, err);
    } else if (d->active == 0) {
        finish(d);
    }
}

static void begin_streams(dv_download *d)
{
    if (d->wanted == 0)
        d->wanted = 1;
    dv_xfer_set_state(d->xfer, DV_XFER_DOWNLOADING);
    next_streams(d);
}

/* --- attempts ------------------------------------------------------------------------------------------------------- */

static unsigned seconds_left(const dv_download *d)
{
    uint64_t now = dv_clock_ms();
    return d->pause_until_ms <= now ? 0 : (unsigned)((d->pause_until_ms - now + 999) / 1000);
}

static void on_pause(dv_timer *timer)
{
    dv_download *d = (dv_download *)((char *)timer - offsetof(dv_download, pause));
    if (!d->ingest) {
        open_ingest(d);
        return;
    }
    unsigned seconds = seconds_left(d);
    if (seconds > 0) {
        uint64_t left = d->pause_until_ms - dv_clock_ms();
        dv_xfer_retrying(d->xfer, seconds);
        dv_timer_start(d->loop, &d->pause, left < 1000 ? left : 1000);
        return;
    }
    begin_streams(d);
}

/* One stream failed. The others go on; the last one decides about another attempt. Takes err. */
static void attempt_failed(dv_download *d, int r, davit_error *err)
{
    if (d->fresh >= DV_RETRY_PROGRESS_BYTES) {
        d->attempt = 1;
        d->fresh = 0;
    }
    d->broken = true;
    if (d->wanted > 1)
        d->wanted--; /* perhaps it is the number of connections that the server minds */
    uint32_t jitter;
    dv_random_bytes(&jitter, sizeof(jitter));
    int64_t delay = dv_retry_delay_ms(&d->xfer->manager->client->retry, d->attempt + 1, err, jitter);
    d->xfer->attempts = d->attempt;
    if (delay < 0) {
        close_streams(d);
        download_end(d, r, err);
        return;
    }
    dv_trace(XFER, "%s: attempt %u: %s", d->descriptor.digest.text, d->attempt, davit_error_message(err));
    davit_error_free(d->cause);
    d->cause = err;
    if (d->active > 0)
        return;
    d->attempt++;
    d->pause_until_ms = dv_clock_ms() + (uint64_t)delay;
    if (seconds_left(d) > 0)
        dv_xfer_retrying(d->xfer, seconds_left(d));
    dv_timer_start(d->loop, &d->pause, delay < 1000 ? (uint64_t)delay : 1000);
}

/* --- the end ---------------------------------------------------------------------------------------------------------- */

/* Threads: worker. After every chunk. */
static void run_commit(dv_work *work)
{
    dv_download *d = of_job(work);
    if (!atomic_load(&d->write_failed)) {
        dv_growing_hide(d->growing);
        d->result = dv_ingest_commit(DV_STEAL(d->ingest), &d->err);
        if (d->result == 0)
            dv_growing_commit(d->growing);
        else
            dv_growing_void(d->growing);
    }
    post_done(d);
}

static void on_committed(dv_download *d)
{
    if (atomic_load(&d->write_failed)) {
        download_end(d, DAVIT_EIO, NULL); /* with the worker's reason */
        return;
    }
    if (d->result == DAVIT_EDIGEST && may_discard(d)) {
        dv_trace(XFER, "%s: wrong digest, once more", d->descriptor.digest.text);
        d->as_new = d->opened = false;
        dv_spans_clear(&d->gaps);
        dv_xfer_take_slot(d->xfer);
        open_ingest(d);
        return;
    }
    download_end(d, d->result, DV_STEAL(d->err));
}

static void finish(dv_download *d)
{
    dv_xfer_count(d->xfer, d->have);
    dv_xfer_set_state(d->xfer, DV_XFER_VERIFYING);
    start_job(d, run_commit, on_committed);
    dv_xfer_downloaded(d->xfer);
}

/* Threads: worker: nothing is left on the strand behind it. */
static void run_close(dv_work *work)
{
    dv_download *d = of_job(work);
    dv_ingest *ingest = DV_STEAL(d->ingest);
    if (ingest)
        dv_growing_void(d->growing);
    if (ingest && d->useless)
        dv_ingest_abort(ingest);
    else
        dv_ingest_close(ingest);
    post_done(d);
}

static void on_closed(dv_download *d)
{
    dv_xfer *x = d->xfer;
    bool write_failed = atomic_load(&d->write_failed);
    int r = write_failed && d->stopping ? d->result : d->stopping ? davit_error_code(d->last_error) : 0;
    davit_error *err = write_failed && d->stopping ? DV_STEAL(d->err) : DV_STEAL(d->last_error);
    x->download = NULL;
    x->attempts = d->attempt;
    download_free(d);
    dv_xfer_end(x, r, err);
}

/* Over, well or badly. What the strand still has is written first. Takes err. */
static void download_end(dv_download *d, int r, davit_error *err)
{
    davit_error_free(d->last_error);
    d->last_error = err;
    d->stopping = r < 0;
    d->useless = r == DAVIT_EDIGEST;
    start_job(d, run_close, on_closed);
}

void dv_download_abandon(dv_download *d)
{
    dv_timer_stop(&d->pause);
    close_streams(d);
    d->abandoned = true;
    d->on_job_done = NULL;
    if (!d->job_running)
        start_job(d, run_close, NULL); /* behind the last chunk: job_done() frees */
}

int dv_download_start(dv_xfer *x, dv_download **out, davit_error **err)
{
    dv_download *d = dv_new(dv_download);
    if (!d)
        return dv_error_oom(err);
    d->media_type = dv_strdup(x->media_type);
    d->free_chunks = dv_queue_new();
    d->strand = dv_strand_new(x->manager->client->pool);
    if (!d->media_type || !d->free_chunks || !d->strand) {
        download_free(d);
        return dv_error_oom(err);
    }
    d->xfer = x;
    d->descriptor = x->descriptor;
    d->growing = dv_growing_ref(x->growing);
    d->descriptor.media_type = d->media_type;
    d->store = dv_store_ref(x->manager->store);
    d->loop = x->manager->client->loop;
    d->attempt = 1;
    d->wake.run = resume_streams;
    d->done.run = job_done;
    d->pause.fire = on_pause;
    *out = d;
    open_ingest(d);
    return 0;
}

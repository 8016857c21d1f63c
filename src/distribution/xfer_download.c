/*
 * distribution/xfer_download.c - one blob from a registry into an ingest.
 *
 * States: opening (a worker opens the ingest and hashes what is there), waiting for a peer (another process has it),
 * streaming (one connection, or several for a large blob), pausing before the next attempt, finishing (a worker checks,
 * syncs and renames). Decides and receives, on the loop thread.
 *
 * Leaves to others: whatever touches the disk or the digest (xfer_disk.c).
 */
#include "distribution/xfer_disk.h"
#include "distribution/xfer_private.h"
#include "registry/v2_blob.h"
#include "util/clock.h"
#include "util/hex.h"
#include "util/log.h"

#include <inttypes.h>
#include <string.h>

#define PEER_POLL_MS 200

typedef struct stream {
    dv_download *download; /* NULL: not in use */
    dv_blob_get *get;
    dv_span span; /* what is left of the range: start moves */
    dv_chunk *current;
    bool paused, range_ignored;
    uint64_t begun_ms, received;
} stream;

struct dv_download {
    dv_xfer *xfer; /* the loop's; gone when abandoned */
    dv_disk disk;

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
    uint64_t peer_changed_ms;
};

static void begin_streams(dv_download *d);
static void open_ingest(dv_download *d);
static void download_end(dv_download *d, int r, davit_error *err);
static void attempt_failed(dv_download *d, int r, davit_error *err);

static dv_download *of_disk(dv_disk *disk)
{
    return (dv_download *)((char *)disk - offsetof(dv_download, disk));
}

static void download_free(dv_download *d)
{
    dv_timer_stop(&d->pause);
    dv_disk_clear(&d->disk);
    dv_spans_clear(&d->gaps);
    davit_error_free(d->last_error);
    davit_error_free(d->cause);
    free(d);
}

/* --- opening ------------------------------------------------------------------------------------------------------- */

static void on_pause(dv_timer *timer);

/* Another process downloads it: look again soon; when it makes no progress for a stall limit, download it ourselves. */
static void wait_for_peer(dv_download *d)
{
    uint64_t now = dv_loop_now_ms(d->disk.loop);
    dv_xfer_set_state(d->xfer, DV_XFER_WAITING);
    if (!d->peer_changed_ms || d->disk.peer_size != d->have) {
        d->peer_changed_ms = now;
        d->have = d->disk.peer_size;
    }
    if (now - d->peer_changed_ms >= d->xfer->manager->client->http.limits.stall_timeout_ms)
        d->disk.as_new = true;
    d->pause_until_ms = 0;
    dv_timer_start(d->disk.loop, &d->pause, PEER_POLL_MS);
}

static void on_opened(dv_disk *disk)
{
    dv_download *d = of_disk(disk);
    if (disk->result == DAVIT_EEXIST) {
        download_end(d, 0, NULL);
        return;
    }
    if (disk->result == DAVIT_EBUSY) {
        wait_for_peer(d);
        return;
    }
    if (disk->result < 0) {
        download_end(d, disk->result, DV_STEAL(disk->err));
        return;
    }
    d->have = dv_ingest_have(disk->ingest);
    dv_spans_clear(&d->gaps);
    d->gaps = disk->gaps;
    disk->gaps = (dv_spans){0};
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
    dv_disk_open(&d->disk, on_opened);
}

/* --- streams ----------------------------------------------------------------------------------------------------------- */

/* A worker has written a chunk. */
static void resume_streams(dv_disk *disk)
{
    dv_download *d = of_disk(disk);
    if (d->abandoned)
        return; /* the end of its job comes behind and frees */
    for (size_t i = 0; i < DV_COUNT(d->streams); i++) {
        stream *s = &d->streams[i];
        if (s->download && s->paused) {
            s->paused = false;
            dv_blob_get_resume(s->get);
        }
    }
}

static void submit_chunk(stream *s)
{
    if (s->current)
        dv_disk_write(&s->download->disk, DV_STEAL(s->current));
}

static void stream_close(stream *s)
{
    dv_download *d = s->download;
    if (s->current && s->current->size > 0)
        submit_chunk(s);
    dv_disk_give_back(&d->disk, s->current);
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

static void on_reset(dv_disk *disk)
{
    dv_download *d = of_disk(disk);
    if (disk->result < 0) {
        download_end(d, disk->result, DV_STEAL(disk->err));
        return;
    }
    begin_streams(d);
}

/* Whether the bytes so far may be thrown away: all restarts together cost at most the blob once more. Counts them. */
static bool may_discard(dv_download *d)
{
    if (d->discarded + d->have > d->disk.descriptor.size)
        return false;
    d->discarded += d->have ? d->have : 1;
    d->have = 0;
    return true;
}

static int gaps_to_whole(dv_download *d, davit_error **err)
{
    dv_spans_clear(&d->gaps);
    return dv_spans_add(&d->gaps, 0, d->disk.descriptor.size, err);
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
    dv_trace(XFER, "%s: from the beginning: %s", d->disk.descriptor.digest.text, davit_error_message(err));
    davit_error_free(err);
    err = NULL;
    d->ranges_refused = true;
    d->wanted = 1;
    r = gaps_to_whole(d, &err);
    if (r < 0)
        download_end(d, r, err);
    else
        dv_disk_reset(&d->disk, on_reset);
}

static int wrong_size(const dv_download *d, const char *how, davit_error **err)
{
    int r = dv_error_set(err, DAVIT_EDIGEST, "blob %s: %s than the %" PRIu64 " bytes of its descriptor",
                         d->disk.descriptor.digest.text, how, d->disk.descriptor.size);
    return r;
}

static int on_answer(void *user, dv_range_answer answer, uint64_t length, davit_error **err)
{
    stream *s = user;
    dv_download *d = s->download;
    uint64_t size = d->disk.descriptor.size;
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
    if (atomic_load(&d->disk.write_failed))
        return dv_error_set(err, DAVIT_EIO, "cannot write"); /* replaced by the worker's reason */
    if (size > s->span.end - s->span.start) {
        d->have = d->disk.descriptor.size;
        return wrong_size(d, "the registry sends more bytes", err);
    }
    dv_chunk *next = NULL;
    if (!s->current || s->current->capacity - s->current->size < size) {
        next = dv_disk_take_chunk(&d->disk, /* many= */ d->wanted > 1);
        if (!next && d->disk.chunk_count == 0)
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
        dv_chunk *c = s->current;
        size_t n = c->capacity - c->size < left ? c->capacity - c->size : left;
        memcpy(c->bytes + c->size, from, n);
        c->size += n;
        from += n;
        left -= n;
        s->span.start += n;
        if (c->size == c->capacity)
            submit_chunk(s);
    }
    dv_disk_give_back(&d->disk, next);
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
    dv_trace(XFER, "%s: %" PRIu64 " bytes in %" PRIu64 " ms: %u connections", d->disk.descriptor.digest.text,
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
    } else if (atomic_load(&d->disk.write_failed)) {
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
    const davit_descriptor *desc = &d->disk.descriptor;
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
    if (!d->disk.ingest) {
        open_ingest(d);
        return;
    }
    unsigned seconds = seconds_left(d);
    if (seconds > 0) {
        uint64_t left = d->pause_until_ms - dv_clock_ms();
        dv_xfer_retrying(d->xfer, seconds);
        dv_timer_start(d->disk.loop, &d->pause, left < 1000 ? left : 1000);
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
    dv_trace(XFER, "%s: attempt %u: %s", d->disk.descriptor.digest.text, d->attempt, davit_error_message(err));
    davit_error_free(d->cause);
    d->cause = err;
    if (d->active > 0)
        return;
    d->attempt++;
    d->pause_until_ms = dv_clock_ms() + (uint64_t)delay;
    if (seconds_left(d) > 0)
        dv_xfer_retrying(d->xfer, seconds_left(d));
    dv_timer_start(d->disk.loop, &d->pause, delay < 1000 ? (uint64_t)delay : 1000);
}

/* --- the end ---------------------------------------------------------------------------------------------------------- */

static void on_committed(dv_disk *disk)
{
    dv_download *d = of_disk(disk);
    if (atomic_load(&disk->write_failed)) {
        download_end(d, DAVIT_EIO, NULL); /* with the worker's reason */
        return;
    }
    if (disk->result == DAVIT_EDIGEST && may_discard(d)) {
        dv_trace(XFER, "%s: wrong digest, once more", d->disk.descriptor.digest.text);
        disk->as_new = d->opened = false;
        dv_spans_clear(&d->gaps);
        dv_xfer_take_slot(d->xfer);
        open_ingest(d);
        return;
    }
    download_end(d, disk->result, DV_STEAL(disk->err));
}

static void finish(dv_download *d)
{
    dv_xfer_count(d->xfer, d->have);
    dv_xfer_set_state(d->xfer, DV_XFER_VERIFYING);
    dv_disk_commit(&d->disk, on_committed);
    dv_xfer_downloaded(d->xfer);
}

static void on_closed(dv_disk *disk)
{
    dv_download *d = of_disk(disk);
    dv_xfer *x = d->xfer;
    bool write_failed = atomic_load(&disk->write_failed);
    int r = write_failed && d->stopping ? disk->result : d->stopping ? davit_error_code(d->last_error) : 0;
    davit_error *err = write_failed && d->stopping ? DV_STEAL(disk->err) : DV_STEAL(d->last_error);
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
    d->disk.useless = r == DAVIT_EDIGEST;
    dv_disk_close(&d->disk, on_closed);
}

static void free_abandoned(dv_disk *disk)
{
    download_free(of_disk(disk));
}

void dv_download_abandon(dv_download *d)
{
    dv_timer_stop(&d->pause);
    close_streams(d);
    d->abandoned = true;
    if (d->disk.is_busy)
        d->disk.on_done = free_abandoned;
    else
        dv_disk_close(&d->disk, free_abandoned); /* behind the last chunk */
}

int dv_download_start(dv_xfer *x, dv_download **out, davit_error **err)
{
    dv_download *d = dv_new(dv_download);
    if (!d)
        return dv_error_oom(err);
    int r = dv_disk_init(&d->disk, x->manager->client, x->manager->store, &x->descriptor, err);
    if (r < 0) {
        download_free(d);
        return r;
    }
    d->disk.growing = dv_growing_ref(x->growing);
    d->disk.small = x->small;
    d->disk.document = x->document;
    d->disk.on_room = resume_streams;
    d->xfer = x;
    d->attempt = 1;
    d->pause.fire = on_pause;
    *out = d;
    open_ingest(d);
    return 0;
}

/*
 * distribution/xfer.c - see xfer.h: who waits for what, and how many at once.
 *
 * Leaves to others: how a blob is fetched (xfer_download.c).
 */
#include "distribution/xfer_private.h"
#include "distribution/xfer_upload_private.h"
#include "util/clock.h"
#include "util/log.h"

#include <string.h>

#define COUNT_STEP_MAX \
    (512u << 10) /* bytes between two counts, or 1 % of the blob if that is less (pull.md 10.2) */
#define COUNT_INTERVAL_MS 100

/* --- events ------------------------------------------------------------------------------------------------------ */

static void push_state(dv_watch *w, dv_xfer_state state, uint64_t current, uint64_t total, unsigned seconds)
{
    dv_xfer_event *e = dv_new(dv_xfer_event);
    if (!e)
        return; /* a line of progress is lost; the end needs no memory */
    *e = (dv_xfer_event){.watch = w, .state = state, .current = current, .total = total, .seconds = seconds};
    dv_queue_push(w->events, &e->node);
}

static void push_count(dv_watch *w, uint64_t current, uint64_t total)
{
    atomic_store(&w->current, current);
    if (atomic_exchange(&w->counts_queued, true))
        return;
    w->counts = (dv_xfer_event){.watch = w, .state = DV_XFER_DOWNLOADING, .total = total};
    dv_queue_push(w->events, &w->counts.node);
}

void dv_xfer_event_read(dv_xfer_event *event, dv_xfer_event *out)
{
    *out = *event;
    if (event == &event->watch->counts) {
        atomic_store(&out->watch->counts_queued, false); /* from here on the loop may fill it again */
        out->current = atomic_load(&out->watch->current);
    } else if (event != &event->watch->end) {
        free(event);
    }
}

void dv_xfer_set_state(dv_xfer *x, dv_xfer_state state)
{
    if (x->state == state)
        return;
    x->state = state;
    if (state == DV_XFER_DOWNLOADING)
        return; /* told by its counts */
    for (dv_watch *w = x->watches; w; w = w->next)
        push_state(w, state, 0, 0, 0);
}

void dv_xfer_retrying(dv_xfer *x, unsigned seconds)
{
    x->state = DV_XFER_RETRYING;
    x->seconds = seconds;
    for (dv_watch *w = x->watches; w; w = w->next)
        push_state(w, DV_XFER_RETRYING, 0, 0, seconds);
}

void dv_xfer_count(dv_xfer *x, uint64_t current)
{
    uint64_t total = x->descriptor.size, step = COUNT_STEP_MAX;
    x->current = current;
    if (total / 100 < step)
        step = total / 100;
    if (current - x->reported < step && current != total)
        return;
    uint64_t now = dv_loop_now_ms(x->manager->client->loop);
    if (current != total && now - x->reported_ms < COUNT_INTERVAL_MS)
        return;
    x->reported = current;
    x->reported_ms = now;
    for (dv_watch *w = x->watches; w; w = w->next)
        push_count(w, current, total);
}

/* --- watchers ---------------------------------------------------------------------------------------------------- */

static void unlink_watch(dv_watch *w)
{
    if (!w->link)
        return;
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    w->link = NULL;
    w->xfer = NULL;
}

static void link_watch(dv_xfer *x, dv_watch *w)
{
    w->xfer = x;
    w->next = x->watches;
    w->link = &x->watches;
    if (w->next)
        w->next->link = &w->next;
    x->watches = w;
}

static void end_watch(dv_watch *w, bool ok)
{
    w->ended = true;
    w->end = (dv_xfer_event){.watch = w, .state = ok ? DV_XFER_COMPLETE : DV_XFER_FAILED};
    dv_queue_push(w->events, &w->end.node);
}

/* --- slots ------------------------------------------------------------------------------------------------------- */

static bool slot_is_free(const dv_transfers *t, bool small)
{
    unsigned limit = t->client->downloads;
    if (limit)
        return t->small_running + t->large_running < limit && t->connections < limit;
    return small ? t->small_running < DV_SMALL_DOWNLOADS : t->large_running < DV_LARGE_DOWNLOADS;
}

unsigned dv_xfer_connections(const dv_xfer *x, unsigned own)
{
    const dv_transfers *t = x->manager;
    unsigned limit = t->client->downloads;
    if (!limit)
        return UINT32_MAX;
    unsigned waiting = t->small_running + t->large_running - x->has_slot, others = t->connections - own;
    if (others < waiting)
        others = waiting; /* they have their slots, and will connect */
    return limit > others ? limit - others : 1;
}

static void unlink_waiting(dv_xfer *x)
{
    dv_transfers *t = x->manager;
    for (dv_xfer **link = &t->waiting; *link; link = &(*link)->next_waiting)
        if (*link == x) {
            *link = x->next_waiting;
            break;
        }
    t->waiting_last = &t->waiting;
    while (*t->waiting_last)
        t->waiting_last = &(*t->waiting_last)->next_waiting;
}

void dv_xfer_take_slot(dv_xfer *x)
{
    x->has_slot = true;
    *(x->small ? &x->manager->small_running : &x->manager->large_running) += 1;
}

static void run(dv_xfer *x)
{
    davit_error *err = NULL;
    dv_xfer_take_slot(x);
    if (x->download) {
        dv_download_go(x->download);
        return;
    }
    int r = dv_download_start(x, &x->download, &err);
    if (r < 0)
        dv_xfer_end(x, r, err);
}

/* The next small blobs have their ingests opened while they wait, so that a slot is not idle for a trip to a worker. */
static void prepare_waiting(dv_transfers *t)
{
    unsigned ahead = 0;
    for (dv_xfer *x = t->waiting; x && ahead < DV_SMALL_DOWNLOADS; x = x->next_waiting)
        if (x->small && ahead++ < DV_SMALL_DOWNLOADS && !x->download &&
            dv_download_start(x, &x->download, NULL) < 0)
            return; /* it is tried again when there is a slot */
}

static void run_waiting(dv_transfers *t)
{
    bool again = true;
    while (again) {
        again = false;
        for (dv_xfer *x = t->waiting; x; x = x->next_waiting)
            if (slot_is_free(t, x->small)) {
                unlink_waiting(x);
                run(x);
                again = true;
                break;
            }
    }
    prepare_waiting(t);
}

static void give_slot_back(dv_xfer *x)
{
    if (x->has_slot)
        *(x->small ? &x->manager->small_running : &x->manager->large_running) -= 1;
    x->has_slot = false;
}

void dv_xfer_downloaded(dv_xfer *x)
{
    give_slot_back(x);
    run_waiting(x->manager);
}

static void xfer_free(dv_xfer *x)
{
    *x->link = x->next;
    if (x->next)
        x->next->link = x->link;
    give_slot_back(x);
    unlink_waiting(x);
    dv_growing_unref(x->growing);
    free(x->media_type);
    free(x);
}

void dv_xfer_end(dv_xfer *x, int r, davit_error *err)
{
    dv_transfers *t = x->manager;
    dv_trace(XFER, "%s: %s", x->descriptor.digest.text, r < 0 ? davit_error_message(err) : "complete");
    while (x->watches) {
        dv_watch *w = x->watches;
        unlink_watch(w);
        w->transferred = x->transferred;
        w->attempts = x->attempts;
        w->err = r < 0 ? dv_error_copy(err) : NULL;
        end_watch(w, r >= 0);
    }
    davit_error_free(err);
    xfer_free(x);
    run_waiting(t);
}

/* Another size is another wish: one of the two is a lie, and must not fail or pass by the other. */
static dv_xfer *find(dv_transfers *t, const davit_descriptor *descriptor)
{
    for (dv_xfer *x = t->active; x; x = x->next)
        if (davit_digest_equal(&x->descriptor.digest, &descriptor->digest) &&
            x->descriptor.size == descriptor->size)
            return x;
    return NULL;
}

static dv_xfer *xfer_new(dv_transfers *t, dv_watch *w)
{
    dv_xfer *x = dv_new(dv_xfer);
    if (!x || !(x->media_type = dv_strdup(w->descriptor->media_type ? w->descriptor->media_type : ""))) {
        free(x);
        return NULL;
    }
    x->manager = t;
    x->registry = w->registry;
    x->descriptor = *w->descriptor;
    x->descriptor.media_type = x->media_type;
    x->descriptor.artifact_type = NULL;
    x->document = w->document;
    x->growing = dv_growing_ref(w->growing);
    x->small = x->descriptor.size < DV_SMALL_BLOB;
    x->state = DV_XFER_DOWNLOADING;
    x->next = t->active;
    x->link = &t->active;
    if (x->next)
        x->next->link = &x->next;
    t->active = x;
    return x;
}

static void start_watch(dv_transfers *t, dv_watch *w)
{
    dv_xfer *x = find(t, w->descriptor);
    bool is_new = !x;
    if (is_new)
        x = xfer_new(t, w);
    if (!x) {
        dv_error_oom(&w->err);
        end_watch(w, false);
        return;
    }
    link_watch(x, w);
    if (!is_new) {
        if (x->state == DV_XFER_DOWNLOADING)
            push_count(w, x->current, x->descriptor.size);
        else
            push_state(w, x->state, 0, 0, x->seconds);
    } else if (slot_is_free(t, x->small)) {
        run(x);
    } else {
        *t->waiting_last = x;
        t->waiting_last = &x->next_waiting;
        dv_xfer_set_state(x, DV_XFER_WAITING);
    }
}

/*
 * A watcher left. Its registry goes with it, so a transfer that it began and that others still want cannot go on over that
 * one: it takes the registry of the next watcher and starts over from what is on disk.
 */
static void detach_watch(dv_watch *w)
{
    dv_xfer *x = w->xfer;
    if (!x)
        return;
    dv_transfers *t = x->manager;
    unlink_watch(w);
    w->ended = true;
    if (x->watches && x->registry != w->registry)
        return;
    bool started = x->download != NULL;
    if (started)
        dv_download_abandon(x->download);
    x->download = NULL;
    if (!x->watches) {
        xfer_free(x);
        run_waiting(t);
        return;
    }
    x->registry = x->watches->registry;
    if (started) {
        davit_error *err = NULL;
        int r = dv_download_start(x, &x->download, &err);
        if (r < 0)
            dv_xfer_end(x, r, err);
    }
}

/* --- from the calling thread ----------------------------------------------------------------------------------------- */

typedef struct batch {
    dv_task task;
    dv_transfers *manager;
    dv_watch *watches;
    size_t count;
} batch;

static void start_batch(dv_task *task)
{
    batch *b = (batch *)task;
    for (size_t i = 0; i < b->count; i++)
        start_watch(b->manager, &b->watches[i]);
    prepare_waiting(b->manager);
    free(b);
}

int dv_watches_start(dv_transfers *t, dv_watch *watches, size_t count, davit_error **err)
{
    batch *b = dv_new(batch);
    if (!b)
        return dv_error_oom(err);
    *b = (batch){.task.run = start_batch, .manager = t, .watches = watches, .count = count};
    int r = dv_loop_post(t->client->loop, &b->task, err);
    if (r < 0)
        free(b);
    return r;
}

static void detach_batch(dv_task *task)
{
    batch *b = (batch *)task;
    for (size_t i = 0; i < b->count; i++)
        detach_watch(&b->watches[i]);
}

void dv_watches_detach(dv_transfers *t, dv_watch *watches, size_t count)
{
    batch b = {.task.run = detach_batch, .manager = t, .watches = watches, .count = count};
    dv_loop_post_again(t->client->loop, &b.task);
    dv_loop_barrier(t->client->loop);
}

/* --- one for each client --------------------------------------------------------------------------------------------- */

static void transfers_free(void *extension)
{
    dv_transfers *t = extension;
    if (t) {
        dv_store_unref(t->store);
        dv_uploads_free(t->uploads);
    }
    free(t);
}

static int transfers_new(davit_client *c, void **out, davit_error **err)
{
    dv_transfers *t = dv_new(dv_transfers);
    if (!t)
        return dv_error_oom(err);
    t->client = c;
    t->waiting_last = &t->waiting;
    t->uploads = dv_uploads_new(c);
    if (!t->uploads) {
        transfers_free(t);
        return dv_error_oom(err);
    }
    *out = t;
    return 0;
}

/* Several threads may be the first: one store stays. */
static int open_store(dv_transfers *t, davit_error **err)
{
    davit_client *c = t->client;
    dv_store *made = NULL, *none = NULL;
    if (t->store)
        return 0;
    if (!c->store_dir)
        return dv_error_set(err, DAVIT_EINVAL, "this client has no store");
    unsigned flags = c->flags & DAVIT_CLIENT_STORE_READ_ONLY ? DV_STORE_READ_ONLY : DV_STORE_CREATE;
    int r = dv_store_open(c->store_dir, flags, &made, err);
    if (r == 0 && !atomic_compare_exchange_strong(&t->store, &none, made))
        dv_store_unref(made);
    return r;
}

int dv_transfers_get(davit_client *c, dv_transfers **out, davit_error **err)
{
    void *extension = NULL;
    int r = dv_client_extension(c, transfers_new, transfers_free, &extension, err);
    if (r == 0)
        r = open_store(extension, err);
    if (r == 0)
        *out = extension;
    return r;
}

int dv_uploads_get(davit_client *c, dv_uploads **out, davit_error **err)
{
    void *extension = NULL;
    int r = dv_client_extension(c, transfers_new, transfers_free, &extension, err);
    if (r == 0)
        *out = ((dv_transfers *)extension)->uploads;
    return r;
}

dv_store *dv_transfers_store(dv_transfers *t)
{
    return t->store;
}

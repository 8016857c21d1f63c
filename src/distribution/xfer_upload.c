/*
 * distribution/xfer_upload.c - see xfer_upload.h: who waits for what, and how many at once.
 *
 * Leaves to others: how a blob gets there (xfer_send.c).
 */
#include "distribution/xfer_upload_private.h"
#include "util/alloc.h"

#include <assert.h>
#include <string.h>

#define COUNT_STEP_MAX \
    (512u << 10) /* bytes between two counts, or 1 % of the blob if that is less (pull.md 10.2) */
#define COUNT_INTERVAL_MS 100

/* --- events ------------------------------------------------------------------------------------------------------ */

static void push_state(dv_upload_watch *w, dv_upload_state state, unsigned seconds)
{
    dv_upload_event *e = dv_new(dv_upload_event);
    if (!e)
        return; /* a line of progress is lost; the end needs no memory */
    *e = (dv_upload_event){.watch = w, .state = state, .seconds = seconds};
    dv_queue_push(w->events, &e->node);
}

static void push_count(dv_upload_watch *w, uint64_t current)
{
    atomic_store(&w->current, current);
    if (atomic_exchange(&w->counts_queued, true))
        return;
    w->counts = (dv_upload_event){.watch = w, .state = DV_UP_PUSHING, .total = w->total};
    dv_queue_push(w->events, &w->counts.node);
}

void dv_upload_event_read(dv_upload_event *event, dv_upload_event *out)
{
    dv_upload_watch *w = event->watch;
    *out = *event;
    if (event == &w->counts) {
        atomic_store(&w->counts_queued, false); /* from here on the loop may fill it again */
        out->current = atomic_load(&w->current);
    } else if (event == &w->end) {
        w->ended = true;
    } else {
        free(event);
    }
}

static void set_waiting(dv_upload_xfer *x)
{
    if (x->state == DV_UP_WAITING)
        return;
    x->state = DV_UP_WAITING;
    for (dv_upload_watch *w = x->watches; w; w = w->next)
        push_state(w, DV_UP_WAITING, 0);
}

void dv_upload_xfer_retrying(dv_upload_xfer *x, unsigned seconds)
{
    x->state = DV_UP_RETRYING;
    x->seconds = seconds;
    for (dv_upload_watch *w = x->watches; w; w = w->next)
        push_state(w, DV_UP_RETRYING, seconds);
}

void dv_upload_xfer_count(dv_upload_xfer *x, uint64_t current)
{
    uint64_t total = x->leader->total, step = COUNT_STEP_MAX;
    bool back = current < x->reported;
    x->state = DV_UP_PUSHING;
    x->current = current;
    if (total / 100 < step)
        step = total / 100;
    if (!back && current - x->reported < step && current != total)
        return;
    uint64_t now = dv_loop_now_ms(x->manager->client->loop);
    if (current != total && now - x->reported_ms < COUNT_INTERVAL_MS)
        return;
    x->reported = current;
    x->reported_ms = now;
    for (dv_upload_watch *w = x->watches; w; w = w->next)
        push_count(w, current);
}

/* --- watchers ---------------------------------------------------------------------------------------------------- */

static void unlink_watch(dv_upload_watch *w)
{
    if (!w->link)
        return;
    *w->link = w->next;
    if (w->next)
        w->next->link = w->link;
    w->link = NULL;
    w->xfer = NULL;
}

static void link_watch(dv_upload_xfer *x, dv_upload_watch *w)
{
    w->xfer = x;
    w->next = x->watches;
    w->link = &x->watches;
    if (w->next)
        w->next->link = &w->next;
    x->watches = w;
}

static void end_watch(dv_upload_watch *w, dv_upload_state state)
{
    w->end = (dv_upload_event){.watch = w, .state = state};
    dv_queue_push(w->events, &w->end.node);
}

void dv_upload_watch_left(dv_upload_watch *w)
{
    end_watch(w, DV_UP_FAILED);
}

void dv_upload_watch_clear(dv_upload_watch *w)
{
    free(w->mounted_from);
    w->mounted_from = NULL;
    davit_error_free(w->err);
    w->err = NULL;
}

/* --- slots ------------------------------------------------------------------------------------------------------- */

/* A number of the user's is a hard limit for everything; a slot then serves for questions and bytes alike. */
static bool slot_is_free(const dv_uploads *u, dv_upload_slot slot)
{
    static const unsigned limits[] = {[DV_SLOT_QUESTION] = DV_UPLOAD_QUESTIONS,
                                      [DV_SLOT_SMALL] = DV_SMALL_UPLOADS,
                                      [DV_SLOT_LARGE] = DV_LARGE_UPLOADS};
    unsigned limit = u->client->uploads;
    if (limit)
        return u->running[DV_SLOT_QUESTION] + u->running[DV_SLOT_SMALL] + u->running[DV_SLOT_LARGE] < limit;
    return u->running[slot] < limits[slot];
}

static void give_slot_back(dv_upload_xfer *x)
{
    if (x->slot)
        x->manager->running[x->slot]--;
    x->slot = DV_SLOT_NONE;
}

static void unlink_waiting(dv_upload_xfer *x)
{
    dv_uploads *u = x->manager;
    for (dv_upload_xfer **link = &u->waiting; *link; link = &(*link)->next_waiting)
        if (*link == x) {
            *link = x->next_waiting;
            break;
        }
    u->waiting_last = &u->waiting;
    while (*u->waiting_last)
        u->waiting_last = &(*u->waiting_last)->next_waiting;
}

static void run(dv_upload_xfer *x, dv_upload_slot slot)
{
    davit_error *err = NULL;
    x->slot = slot;
    x->manager->running[slot]++;
    if (x->send) {
        dv_send_go(x->send);
        return;
    }
    if (dv_send_start(x, &x->send, &err) < 0)
        dv_upload_xfer_end(x, NULL, err);
}

/* The largest that may: a long one that begins last is waited for alone. */
static dv_upload_xfer *next_waiting(const dv_uploads *u)
{
    dv_upload_xfer *next = NULL;
    for (dv_upload_xfer *x = u->waiting; x; x = x->next_waiting)
        if (slot_is_free(u, x->wanted) && (!next || x->leader->size > next->leader->size))
            next = x;
    return next;
}

static void run_waiting(dv_uploads *u)
{
    dv_upload_xfer *x;
    while ((x = next_waiting(u))) {
        unlink_waiting(x);
        run(x, x->wanted);
    }
}

static void run_or_wait(dv_upload_xfer *x, dv_upload_slot slot)
{
    dv_uploads *u = x->manager;
    if (slot_is_free(u, slot)) {
        run(x, slot);
        return;
    }
    x->wanted = slot;
    x->next_waiting = NULL;
    *u->waiting_last = x;
    u->waiting_last = &x->next_waiting;
    set_waiting(x);
}

void dv_upload_xfer_want_slot(dv_upload_xfer *x)
{
    dv_uploads *u = x->manager;
    uint64_t size = x->leader->size;
    dv_upload_slot slot =
        size != DAVIT_SIZE_UNKNOWN && size < DV_SMALL_UPLOAD ? DV_SLOT_SMALL : DV_SLOT_LARGE;
    give_slot_back(x);
    run_or_wait(x, slot);
    run_waiting(u);
}

/* --- uploads ------------------------------------------------------------------------------------------------------- */

static void xfer_free(dv_upload_xfer *x)
{
    *x->link = x->next;
    if (x->next)
        x->next->link = x->link;
    give_slot_back(x);
    unlink_waiting(x);
    free(x);
}

/* Fill what the watcher gets. False: no memory. */
static bool take_result(dv_upload_watch *w, const dv_upload_result *result)
{
    w->sent_digest = result->digest;
    w->sent_size = result->size;
    w->mounted_from = dv_strdup(result->mounted_from);
    return w->mounted_from || !result->mounted_from;
}

void dv_upload_xfer_end(dv_upload_xfer *x, const dv_upload_result *result, davit_error *err)
{
    dv_uploads *u = x->manager;
    assert(result || err); /* else nobody would see that it failed */
    while (x->watches) {
        dv_upload_watch *w = x->watches;
        dv_upload_state state = result ? result->state : DV_UP_FAILED;
        unlink_watch(w);
        w->sent = x->sent;
        if (result && !take_result(w, result)) {
            dv_error_oom(&w->err);
            state = DV_UP_FAILED;
        } else if (!result) {
            w->err = dv_error_copy(err);
        }
        end_watch(w, state);
    }
    davit_error_free(err);
    xfer_free(x);
    run_waiting(u);
}

static const davit_digest *key_of(const dv_upload_watch *w)
{
    return w->digest.algorithm ? &w->digest : &w->diff_id;
}

/* Another size is another wish, and so is another endpoint of one registry. */
static bool is_same(const dv_upload_watch *a, const dv_upload_watch *b)
{
    return davit_digest_equal(key_of(a), key_of(b)) && !a->digest.algorithm == !b->digest.algorithm &&
           a->size == b->size && strcmp(a->repository, b->repository) == 0 &&
           strcmp(a->registry->endpoint.url.text, b->registry->endpoint.url.text) == 0;
}

static dv_upload_xfer *find(dv_uploads *u, const dv_upload_watch *w)
{
    for (dv_upload_xfer *x = u->active; x; x = x->next)
        if (is_same(x->leader, w))
            return x;
    return NULL;
}

static void start_watch(dv_uploads *u, dv_upload_watch *w)
{
    dv_upload_xfer *x = find(u, w);
    if (x) {
        link_watch(x, w);
        if (x->state == DV_UP_PUSHING && x->current > 0)
            push_count(w, x->current);
        else if (x->state != DV_UP_PUSHING)
            push_state(w, x->state, x->seconds);
        return;
    }
    x = dv_new(dv_upload_xfer);
    if (!x) {
        dv_error_oom(&w->err);
        end_watch(w, DV_UP_FAILED);
        return;
    }
    x->manager = u;
    x->leader = w;
    x->state = DV_UP_PUSHING;
    x->next = u->active;
    x->link = &u->active;
    if (x->next)
        x->next->link = &x->next;
    u->active = x;
    link_watch(x, w);
    run_or_wait(x, DV_SLOT_QUESTION);
}

/*
 * A watcher left, and takes its registry and its source along: an upload that it began and that others still want starts over with those
 * of the next watcher.
 */
static void detach_watch(dv_uploads *u, dv_upload_watch *w)
{
    dv_upload_xfer *x = w->xfer;
    if (!x)
        return; /* its end is queued, or it left before */
    unlink_watch(w);
    if (w != x->leader) {
        end_watch(w, DV_UP_FAILED);
        return;
    }
    dv_send *send = DV_STEAL(x->send);
    if (send)
        dv_send_abandon(send);
    else
        end_watch(w, DV_UP_FAILED);
    if (!x->watches) {
        xfer_free(x);
    } else {
        x->leader = x->watches;
        if (send) {
            unlink_waiting(x);
            give_slot_back(x);
            run_or_wait(x, DV_SLOT_QUESTION);
        }
    }
    run_waiting(u);
}

/* --- from the calling thread ----------------------------------------------------------------------------------------- */

typedef struct batch {
    dv_task task;
    dv_uploads *manager;
    dv_upload_watch *watches;
    size_t count;
    dv_upload_watch *by_size[]; /* starting only */
} batch;

static int larger_first(const void *a, const void *b)
{
    const dv_upload_watch *x = *(dv_upload_watch *const *)a, *y = *(dv_upload_watch *const *)b;
    if (x->size != y->size)
        return x->size > y->size ? -1 : 1;
    return x < y ? -1 : x > y;
}

static void start_batch(dv_task *task)
{
    batch *b = (batch *)task;
    for (size_t i = 0; i < b->count; i++)
        start_watch(b->manager, b->by_size[i]);
    free(b);
}

int dv_upload_watches_start(dv_uploads *u, dv_upload_watch *watches, size_t count, davit_error **err)
{
    batch *b = malloc(sizeof(*b) + count * sizeof(b->by_size[0]));
    if (!b)
        return dv_error_oom(err);
    *b = (batch){.task.run = start_batch, .manager = u, .watches = watches, .count = count};
    for (size_t i = 0; i < count; i++)
        b->by_size[i] = &watches[i];
    qsort(b->by_size, count, sizeof(b->by_size[0]), larger_first);
    int r = dv_loop_post(u->client->loop, &b->task, err);
    if (r < 0)
        free(b);
    return r;
}

static void detach_batch(dv_task *task)
{
    batch *b = (batch *)task;
    for (size_t i = 0; i < b->count; i++)
        detach_watch(b->manager, &b->watches[i]);
}

void dv_upload_watches_detach(dv_uploads *u, dv_upload_watch *watches, size_t count)
{
    batch b = {.task.run = detach_batch, .manager = u, .watches = watches, .count = count};
    dv_loop_post_again(u->client->loop, &b.task);
    dv_loop_barrier(u->client->loop);
    for (size_t i = 0; i < count; i++)
        while (!watches[i].ended) {
            dv_upload_event unused;
            dv_upload_event_read((dv_upload_event *)dv_queue_pop(watches[i].events, -1), &unused);
        }
}

dv_uploads *dv_uploads_new(davit_client *c)
{
    dv_uploads *u = dv_new(dv_uploads);
    if (!u)
        return NULL;
    u->client = c;
    u->waiting_last = &u->waiting;
    return u;
}

void dv_uploads_free(dv_uploads *u)
{
    free(u);
}

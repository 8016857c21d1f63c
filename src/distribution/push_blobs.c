/*
 * distribution/push_blobs.c - configs and layers of one reference to a registry, over the upload manager, with their progress.
 * Spec: push.md 4, 8, 10.
 */
#include "distribution/push_private.h"
#include "distribution/stored_layers.h"
#include "net/file_body.h"
#include "store/content_store.h"
#include "util/log.h"

#include <string.h>

#define EVENT_WAIT_MS 100 /* how soon a cancellation is noticed */

/* A blob of the store. */
typedef struct stored_source {
    dv_blob_source source;
    davit_client *client;
    dv_store *store;
    const davit_descriptor *descriptor;
    dv_file_body *file;
} stored_source;

/* --- bytes ----------------------------------------------------------------------------------------------------------- */

/* Threads: worker. */
static int open_stored(void *user, dv_body **out, davit_error **err)
{
    stored_source *s = user;
    uint64_t size = 0;
    int fd = -1;
    int r = dv_content_open(s->store, &s->descriptor->digest, s->descriptor->size, &fd, &size, err);
    if (r == 0)
        r = dv_file_body_new(s->client->loop, s->client->pool, fd, 0, size, &s->file, err);
    if (r == 0)
        *out = dv_file_body_body(s->file);
    return r;
}

static void close_stored(void *user, dv_body *body)
{
    stored_source *s = user;
    dv_file_body_free(DV_STEAL(s->file));
}

/* --- uploads that are waited for together ---------------------------------------------------------------------------- */

int dv_push_run_init(dv_push_run *run, size_t capacity, davit_error **err)
{
    run->events = dv_queue_new();
    run->watches = dv_new_array(dv_upload_watch, capacity);
    run->ids = dv_new_array(const char *, capacity);
    run->states = dv_new_array(dv_upload_state, capacity);
    bool ok = run->events && (capacity == 0 || (run->watches && run->ids && run->states));
    return ok ? 0 : dv_error_oom(err);
}

void dv_push_run_clear(dv_push_run *run)
{
    for (size_t i = 0; i < run->count; i++)
        dv_upload_watch_clear(&run->watches[i]);
    for (dv_node *node; run->events && (node = dv_queue_pop(run->events, 0));) {
        dv_upload_event unused;
        dv_upload_event_read((dv_upload_event *)node, &unused);
    }
    dv_queue_free(run->events);
    free(run->watches);
    free(run->ids);
    free(run->states);
}

static void tell_state(const dv_push_run *run, const dv_upload_event *event)
{
    const dv_upload_watch *w = event->watch;
    const char *id = run->ids[w - run->watches];
    DV_AUTO(dv_buf) text = DV_BUF_INIT(1024);
    if (!id)
        return;
    switch (event->state) {
    case DV_UP_WAITING:
        dv_push_tell(run->push, id, "Waiting", NULL);
        break;
    case DV_UP_PUSHING:
        dv_push_tell(run->push, id, "Pushing", event);
        break;
    case DV_UP_RETRYING:
        dv_buf_printf(&text, "Retrying in %u second%s", event->seconds, event->seconds == 1 ? "" : "s");
        dv_push_tell(run->push, id, dv_buf_text(&text), NULL);
        break;
    case DV_UP_EXISTS:
        dv_push_tell(run->push, id, "Layer already exists", NULL);
        break;
    case DV_UP_MOUNTED:
        dv_buf_printf(&text, "Mounted from %s", w->mounted_from);
        dv_push_tell(run->push, id, dv_buf_text(&text), NULL);
        break;
    case DV_UP_PUSHED:
        dv_push_tell(run->push, id, "Pushed", NULL);
        break;
    case DV_UP_FAILED:
        break;
    }
}

/* Until all have ended, or the first that failed has none before it that may fail yet. */
static int wait_for_all(dv_push_run *run, size_t *out_failed, davit_error **err)
{
    while (run->first_running < run->count) {
        dv_node *node = dv_queue_pop(run->events, EVENT_WAIT_MS);
        int r = dv_client_check_cancelled(run->push->client, err);
        if (node) {
            dv_upload_event event;
            dv_upload_event_read((dv_upload_event *)node, &event);
            if (r == 0)
                tell_state(run, &event);
            if (event.state >= DV_UP_EXISTS)
                run->states[event.watch - run->watches] = event.state;
        }
        if (r < 0)
            return r;
        for (; run->first_running < run->count && run->states[run->first_running]; run->first_running++)
            if (run->states[run->first_running] == DV_UP_FAILED) {
                davit_error **why = &run->watches[run->first_running].err;
                *out_failed = run->first_running;
                return dv_error_move(err, why, davit_error_code(*why));
            }
    }
    return 0;
}

int dv_push_run_wait(dv_push_run *run, size_t *out_failed, davit_error **err)
{
    *out_failed = run->count;
    if (run->count == 0)
        return 0;
    int r = dv_upload_watches_start(run->push->uploads, run->watches, run->count, err);
    if (r < 0)
        return r;
    r = wait_for_all(run, out_failed, err);
    dv_upload_watches_detach(run->push->uploads, run->watches, run->count);
    return r;
}

void dv_push_count(dv_push *p, dv_upload_state state, uint64_t size)
{
    davit_push_result *result = &p->result;
    switch (state) {
    case DV_UP_PUSHED:
        result->sent_count++;
        result->sent_bytes += size;
        break;
    case DV_UP_MOUNTED:
        result->mounted_count++;
        result->mounted_bytes += size;
        break;
    default:
        result->present_count++;
        result->present_bytes += size;
        break;
    }
}

/* --- blobs of the store ---------------------------------------------------------------------------------------------- */

typedef struct sending {
    dv_push *push;
    dv_push_content *content;
    dv_push_run run;
    stored_source *sources;
    size_t *blob; /* by watch: which one */
} sending;

static void sending_clear(sending *s)
{
    dv_push_run_clear(&s->run);
    free(s->sources);
    free(s->blob);
}
DV_DEFINE_AUTO(sending, sending_clear)

static int note_done(dv_push *p, const dv_push_blob *b, davit_error **err)
{
    davit_digest *grown = dv_realloc_array(p->done, p->done_count + 1, sizeof(*grown));
    if (!grown)
        return dv_error_oom(err);
    p->done = grown;
    p->done[p->done_count++] = b->descriptor.digest;
    return 0;
}

/* The registry refused the bytes as not those of the digest: perhaps they are not. */
static int explain(const sending *s, size_t i, int r, davit_error **err)
{
    const char *code = err ? davit_error_registry_code(*err) : NULL;
    if (r != DAVIT_EDIGEST && !(code && strcmp(code, "DIGEST_INVALID") == 0))
        return r;
    DV_AUTOPTR(davit_error) found = NULL;
    int why = dv_stored_layer_examine(s->push->store, &s->content->blobs[s->blob[i]].descriptor, &found);
    return why < 0 ? dv_error_move(err, &found, why) : r;
}

static bool is_done(const dv_push *p, const dv_push_blob *b)
{
    for (size_t i = 0; i < p->done_count; i++)
        if (davit_digest_equal(&p->done[i], &b->descriptor.digest))
            return true;
    return false;
}

static void watch_blob(sending *s, dv_registry *reg, const char *repository, size_t i, dv_push_how how)
{
    dv_push *p = s->push;
    size_t n = s->run.count++;
    const dv_push_blob *b = &s->content->blobs[i];
    s->blob[n] = i;
    s->sources[n] = (stored_source){
        .source = {.open = open_stored, .close = close_stored, .user = &s->sources[n]},
        .client = p->client,
        .store = p->store,
        .descriptor = &b->descriptor,
    };
    s->run.ids[n] = b->is_layer ? b->id : NULL;
    s->run.watches[n] = (dv_upload_watch){
        .events = s->run.events,
        .registry = reg,
        .repository = repository,
        .digest = b->descriptor.digest,
        .size = b->descriptor.size,
        .total = b->descriptor.size,
        .source = &s->sources[n].source,
        .store = p->store,
        .journal = p->store,
        .hmac_key = reg->hmac_key,
        .has_auth_info = reg->has_auth_info,
        .no_mount = how == DV_PUSH_MISSING,
    };
}

static int prepare(sending *s, dv_registry *reg, const char *repository, dv_push_how how, davit_error **err)
{
    dv_push_content *c = s->content;
    int r = dv_push_run_init(&s->run, c->blob_count, err);
    s->sources = dv_new_array(stored_source, c->blob_count);
    s->blob = dv_new_array(size_t, c->blob_count);
    if (r < 0)
        return r;
    if (!s->sources || !s->blob)
        return dv_error_oom(err);
    for (size_t i = 0; i < c->blob_count; i++)
        if (c->blobs[i].is_layer && how == DV_PUSH_AS_USUAL)
            dv_push_tell(s->push, c->blobs[i].id, "Preparing", NULL);
    for (size_t i = 0; i < c->blob_count; i++) {
        const dv_push_blob *b = &c->blobs[i];
        bool done = how == DV_PUSH_AS_USUAL && is_done(s->push, b);
        if (!b->skipped && !done) {
            watch_blob(s, reg, repository, i, how);
            continue;
        }
        if (done)
            dv_push_count(s->push, DV_UP_EXISTS, b->descriptor.size);
        if (b->is_layer)
            dv_push_tell(s->push, b->id, b->skipped ? "Skipped foreign layer" : "Layer already exists", NULL);
    }
    return 0;
}

int dv_push_blobs(dv_push *p, dv_registry *reg, const char *repository, dv_push_content *c, dv_push_how how,
                  davit_error **err)
{
    DV_AUTO(sending) s = {.push = p, .content = c, .run.push = p};
    size_t failed;
    int r = prepare(&s, reg, repository, how, err);
    if (r < 0)
        return r;
    r = dv_push_run_wait(&s.run, &failed, err);
    if (r < 0)
        return failed < s.run.count ? explain(&s, failed, r, err) : r;
    for (size_t i = 0; r == 0 && i < s.run.count; i++) {
        const dv_push_blob *b = &c->blobs[s.blob[i]];
        if (how == DV_PUSH_AS_USUAL || s.run.states[i] != DV_UP_EXISTS)
            dv_push_count(p, s.run.states[i], b->descriptor.size);
        if (!is_done(p, b))
            r = note_done(p, b, err);
    }
    return r;
}

/*
 * distribution/push_blobs.c - configs and layers of one reference to a registry, over the upload manager, with their progress.
 * Spec: push.md 4, 8, 10.
 */
#include "distribution/push_private.h"
#include "distribution/stored_layers.h"
#include "net/file_body.h"
#include "store/content_store.h"
#include "util/log.h"

#include <stdio.h>
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

typedef struct sending {
    dv_push *push;
    dv_push_content *content;
    dv_queue *events;
    dv_upload_watch *watches; /* one for each blob that is not known to be there */
    stored_source *sources;
    size_t *blob; /* which one */
    dv_upload_state *states;
    size_t count, first_running;
} sending;

static void sending_clear(sending *s)
{
    for (size_t i = 0; i < s->count; i++)
        dv_upload_watch_clear(&s->watches[i]);
    for (dv_node *node; s->events && (node = dv_queue_pop(s->events, 0));) {
        dv_upload_event unused;
        dv_upload_event_read((dv_upload_event *)node, &unused);
    }
    dv_queue_free(s->events);
    free(s->watches);
    free(s->sources);
    free(s->blob);
    free(s->states);
}
DV_DEFINE_AUTO(sending, sending_clear)

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

/* --- telling --------------------------------------------------------------------------------------------------------- */

static void tell_state(const sending *s, const dv_upload_event *event)
{
    const dv_upload_watch *w = event->watch;
    const dv_push_blob *b = &s->content->blobs[s->blob[w - s->watches]];
    char text[64];
    if (!b->is_layer)
        return;
    switch (event->state) {
    case DV_UP_WAITING:
        dv_push_tell(s->push, b->id, "Waiting", NULL);
        break;
    case DV_UP_PUSHING:
        dv_push_tell(s->push, b->id, "Pushing", event);
        break;
    case DV_UP_RETRYING:
        snprintf(text, sizeof(text), "Retrying in %u second%s", event->seconds,
                 event->seconds == 1 ? "" : "s");
        dv_push_tell(s->push, b->id, text, NULL);
        break;
    case DV_UP_EXISTS:
        dv_push_tell(s->push, b->id, "Layer already exists", NULL);
        break;
    case DV_UP_MOUNTED: {
        DV_AUTO(dv_buf) from = DV_BUF_INIT(1024);
        dv_buf_printf(&from, "Mounted from %s", w->mounted_from);
        dv_push_tell(s->push, b->id, dv_buf_text(&from), NULL);
        break;
    }
    case DV_UP_PUSHED:
        dv_push_tell(s->push, b->id, "Pushed", NULL);
        break;
    case DV_UP_FAILED:
        break;
    }
}

static int note_done(dv_push *p, dv_push_blob *b, davit_error **err)
{
    davit_digest *grown = dv_realloc_array(p->done, p->done_count + 1, sizeof(*grown));
    if (!grown)
        return dv_error_oom(err);
    p->done = grown;
    p->done[p->done_count++] = b->descriptor.digest;
    b->is_done = true;
    return 0;
}

static int note_end(sending *s, size_t i, dv_upload_state state, davit_error **err)
{
    davit_push_result *result = &s->push->result;
    dv_push_blob *b = &s->content->blobs[s->blob[i]];
    uint64_t size = b->descriptor.size;
    s->states[i] = state;
    if (state == DV_UP_FAILED)
        return 0;
    uint64_t *count = state == DV_UP_PUSHED    ? &result->sent_count
                      : state == DV_UP_MOUNTED ? &result->mounted_count
                                               : &result->present_count;
    count[0] += 1;
    count[1] += size; /* the bytes stand behind the count */
    return note_done(s->push, b, err);
}

/* --- running --------------------------------------------------------------------------------------------------------- */

/* The registry refused the bytes as not those of the digest: perhaps they are not. */
static int explain(const sending *s, size_t i, davit_error **err)
{
    dv_upload_watch *w = &s->watches[i];
    const char *code = davit_error_registry_code(w->err);
    int r = davit_error_code(w->err);
    if (r == DAVIT_EDIGEST || (code && strcmp(code, "DIGEST_INVALID") == 0)) {
        int found = dv_stored_layer_examine(s->push->store, &s->content->blobs[s->blob[i]].descriptor, err);
        if (found < 0)
            return found;
    }
    return dv_error_move(err, &w->err, r);
}

/* Until all have ended, or the first that failed has none before it that may fail yet. */
static int wait_for_all(sending *s, davit_error **err)
{
    while (s->first_running < s->count) {
        dv_node *node = dv_queue_pop(s->events, EVENT_WAIT_MS);
        int r = dv_client_check_cancelled(s->push->client, err);
        if (node) {
            dv_upload_event event;
            dv_upload_event_read((dv_upload_event *)node, &event);
            if (r == 0)
                tell_state(s, &event);
            if (r == 0 && event.watch->ended && event.state >= DV_UP_EXISTS)
                r = note_end(s, (size_t)(event.watch - s->watches), event.state, err);
        }
        if (r < 0)
            return r;
        for (; s->first_running < s->count && s->states[s->first_running]; s->first_running++)
            if (s->states[s->first_running] == DV_UP_FAILED)
                return explain(s, s->first_running, err);
    }
    return 0;
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
    const davit_descriptor *d = &s->content->blobs[i].descriptor;
    s->blob[s->count] = i;
    s->sources[s->count] = (stored_source){
        .source = {.open = open_stored, .close = close_stored, .user = &s->sources[s->count]},
        .client = p->client,
        .store = p->store,
        .descriptor = d,
    };
    s->watches[s->count] = (dv_upload_watch){
        .events = s->events,
        .registry = reg,
        .repository = repository,
        .digest = d->digest,
        .size = d->size,
        .total = d->size,
        .source = &s->sources[s->count].source,
        .store = p->store,
        .hmac_key = reg->hmac_key,
        .has_auth_info = reg->has_auth_info,
        .no_mount = how == DV_PUSH_MISSING,
    };
    s->count++;
}

static int prepare(sending *s, dv_registry *reg, const char *repository, dv_push_how how, davit_error **err)
{
    dv_push_content *c = s->content;
    s->events = dv_queue_new();
    s->watches = dv_new_array(dv_upload_watch, c->blob_count);
    s->sources = dv_new_array(stored_source, c->blob_count);
    s->blob = dv_new_array(size_t, c->blob_count);
    s->states = dv_new_array(dv_upload_state, c->blob_count);
    if (!s->events || !s->watches || !s->sources || !s->blob || !s->states)
        return dv_error_oom(err);
    for (size_t i = 0; i < c->blob_count; i++)
        if (c->blobs[i].is_layer && how == DV_PUSH_AS_USUAL)
            dv_push_tell(s->push, c->blobs[i].id, "Preparing", NULL);
    for (size_t i = 0; i < c->blob_count; i++) {
        dv_push_blob *b = &c->blobs[i];
        b->is_done = how == DV_PUSH_AS_USUAL && is_done(s->push, b);
        if (!b->skipped && !b->is_done) {
            watch_blob(s, reg, repository, i, how);
            continue;
        }
        s->push->result.present_count += b->is_done;
        s->push->result.present_bytes += b->is_done ? b->descriptor.size : 0;
        if (b->is_layer)
            dv_push_tell(s->push, b->id, b->skipped ? "Skipped foreign layer" : "Layer already exists", NULL);
    }
    return 0;
}

int dv_push_blobs(dv_push *p, dv_registry *reg, const char *repository, dv_push_content *c, dv_push_how how,
                  davit_error **err)
{
    DV_AUTO(sending) s = {.push = p, .content = c};
    int r = prepare(&s, reg, repository, how, err);
    if (r < 0 || s.count == 0)
        return r;
    r = dv_upload_watches_start(p->uploads, s.watches, s.count, err);
    if (r < 0)
        return r;
    r = wait_for_all(&s, err);
    dv_upload_watches_detach(p->uploads, s.watches, s.count);
    return r;
}

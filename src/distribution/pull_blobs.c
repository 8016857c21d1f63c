/*
 * distribution/pull_blobs.c - config and layers of the images of one reference: what is here, and the rest over the transfer
 * manager. Spec: pull.md 6, 7, 10.
 */
#include "distribution/pull_private.h"
#include "util/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define EVENT_WAIT_MS 100 /* how soon a cancellation is noticed */
#define SHORT_ID 12

int dv_pull_look(dv_pull *p, dv_wanted *w, davit_error **err)
{
    if (dv_pull_is_own(p))
        return dv_pull_own_look(p, w, err);
    for (size_t i = 0; i < w->blob_count; i++) {
        int r = p->store ? dv_content_has(p->store, &w->blobs[i].digest, w->blobs[i].size, err) : 0;
        if (r < 0)
            return r;
        w->present[i] = r > 0;
    }
    return 0;
}

typedef struct fetch {
    dv_pull *pull;
    const dv_wanted *wanted;
    dv_queue *events;
    dv_watch *watches; /* one for each blob that is missing */
    size_t *blob;      /* which one */
    size_t count, ended;
    size_t config_left; /* configs that have not ended */
    davit_error *layer_error, *config_error;
} fetch;

static void fetch_clear(fetch *f)
{
    for (size_t i = 0; i < f->count; i++)
        davit_error_free(f->watches[i].err);
    for (dv_node *node; f->events && (node = dv_queue_pop(f->events, 0));) {
        dv_xfer_event unused;
        dv_xfer_event_read((dv_xfer_event *)node, &unused);
    }
    dv_queue_free(f->events);
    free(f->watches);
    free(f->blob);
    davit_error_free(f->layer_error);
    davit_error_free(f->config_error);
}
DV_DEFINE_AUTO(fetch, fetch_clear)

/* --- telling ------------------------------------------------------------------------------------------------------- */

static void tell(const fetch *f, const davit_descriptor *blob, const char *action, const dv_xfer_event *counts)
{
    const davit_pull_options *o = f->pull->options;
    if (!o->progress)
        return;
    char id[SHORT_ID + 1] = "";
    memcpy(id, davit_digest_hex(&blob->digest), SHORT_ID);
    davit_progress e = {.kind = DAVIT_PROGRESS_LAYER, .id = id, .action = action};
    if (counts) {
        e.has_counts = true;
        e.current = counts->current;
        e.total = counts->total;
    }
    o->progress(&e, o->user_data);
}

static void tell_state(const fetch *f, const dv_watch *watch, const davit_descriptor *blob,
                       const dv_xfer_event *event)
{
    char text[64];
    switch (event->state) {
    case DV_XFER_WAITING:
        tell(f, blob, "Waiting", NULL);
        break;
    case DV_XFER_DOWNLOADING:
        tell(f, blob, "Downloading", event);
        break;
    case DV_XFER_RETRYING:
        snprintf(text, sizeof(text), "Retrying in %u second%s", event->seconds,
                 event->seconds == 1 ? "" : "s");
        tell(f, blob, text, NULL);
        break;
    case DV_XFER_VERIFYING:
        tell(f, blob, "Verifying Checksum", NULL);
        break;
    case DV_XFER_COMPLETE:
        tell(f, blob, "Download complete", NULL);
        tell(f, blob, "Pull complete", NULL);
        break;
    case DV_XFER_FAILED:
        break;
    }
}

/* --- errors -------------------------------------------------------------------------------------------------------- */

static void explain_layer(davit_error **err, const davit_descriptor *blob)
{
    int code = davit_error_code(*err);
    if (code == DAVIT_EDIGEST)
        dv_log(DAVIT_LOG_INFO, "%s", davit_error_message(*err));
    if (code == DAVIT_EDIGEST)
        dv_error_set(err, code, "filesystem layer verification failed for digest %s", blob->digest.text);
    else
        dv_error_wrap(err, code, "layer %s", blob->digest.text);
}

static void explain_config(davit_error **err, const dv_watch *watch, const davit_client *c)
{
    int code = davit_error_code(*err);
    if (code == DAVIT_EDIGEST) {
        dv_error_set(err, code,
                     "error pulling image configuration: image config verification failed for digest %s",
                     watch->descriptor->digest.text);
    } else if (code != DAVIT_ECANCELLED && code != DAVIT_ENOSPACE && code != DAVIT_ESTORE &&
               code != DAVIT_EIO) {
        bool used_up = watch->attempts >= c->retry.attempts && !(*err)->final;
        unsigned attempts = used_up ? c->retry.attempts + 1 : watch->attempts;
        dv_error_wrap(err, code, "error pulling image configuration: download failed after attempts=%u",
                      attempts);
    }
    if (*err && code != DAVIT_ENOMEM)
        (*err)->kind = DV_ERROR_CONFIG_PULL;
}

static int note_end(fetch *f, size_t i, dv_xfer_state state, davit_error **err)
{
    dv_watch *watch = &f->watches[i];
    davit_pull_result *result = &f->pull->result;
    bool config = f->wanted->is_config[f->blob[i]];
    f->ended++;
    f->config_left -= config;
    if (state == DV_XFER_COMPLETE) {
        uint64_t *count = watch->transferred ? &result->fetched_count : &result->present_count;
        uint64_t *bytes = watch->transferred ? &result->fetched_bytes : &result->present_bytes;
        *count += 1;
        *bytes += watch->descriptor->size;
        return dv_pull_tell_blob(f->pull, &watch->descriptor->digest, err);
    }
    davit_error **kept = config ? &f->config_error : &f->layer_error;
    if (*kept)
        return 0;
    *kept = DV_STEAL(watch->err);
    if (config)
        explain_config(kept, watch, f->pull->client);
    else
        explain_layer(kept, watch->descriptor);
    return 0;
}

/* --- running ------------------------------------------------------------------------------------------------------- */

static int handle(fetch *f, dv_xfer_event *raw, davit_error **err)
{
    dv_xfer_event event;
    dv_xfer_event_read(raw, &event);
    size_t i = (size_t)(event.watch - f->watches);
    const davit_descriptor *blob = event.watch->descriptor;
    if (!f->wanted->is_config[f->blob[i]])
        tell_state(f, event.watch, blob, &event);
    return event.state == DV_XFER_COMPLETE || event.state == DV_XFER_FAILED ? note_end(f, i, event.state, err)
                                                                            : 0;
}

/* Until all have ended, or there is a reason not to wait for the rest: a config's error wins over a layer's. */
static int wait_for_all(fetch *f, davit_error **err)
{
    while (f->ended < f->count) {
        dv_node *node = dv_queue_pop(f->events, EVENT_WAIT_MS);
        int r = node ? handle(f, (dv_xfer_event *)node, err) : 0;
        if (r == 0)
            r = dv_pull_tell_turn(f->pull, err);
        if (r == 0)
            r = dv_client_check_cancelled(f->pull->client, err);
        if (r < 0)
            return r;
        if (f->config_error || (f->layer_error && f->config_left == 0))
            break;
    }
    davit_error **why = f->config_error ? &f->config_error : &f->layer_error;
    return *why ? dv_error_move(err, why, davit_error_code(*why)) : 0;
}

static int prepare(fetch *f, dv_registry *reg, bool quiet, davit_error **err)
{
    const dv_wanted *w = f->wanted;
    const dv_pull_follower *follower = f->pull->follower;
    f->events = dv_queue_new();
    f->watches = dv_new_array(dv_watch, w->blob_count);
    f->blob = dv_new_array(size_t, w->blob_count);
    if (!f->events || !f->watches || !f->blob)
        return dv_error_oom(err);
    for (size_t i = 0; i < w->blob_count; i++) {
        const davit_descriptor *blob = &w->blobs[i];
        if (!w->is_config[i] && !(quiet && w->present[i]))
            tell(f, blob, w->present[i] ? "Already exists" : "Pulling fs layer", NULL);
        if (w->present[i]) {
            f->pull->result.present_count++;
            f->pull->result.present_bytes += blob->size;
            int r = dv_pull_tell_blob(f->pull, &blob->digest, err);
            if (r < 0)
                return r;
            continue;
        }
        f->watches[f->count] =
            (dv_watch){.events = f->events, .descriptor = blob, .registry = reg, .document = w->is_config[i]};
        if (follower && !w->is_config[i])
            f->watches[f->count].growing = follower->growing(follower->user, &blob->digest);
        f->blob[f->count++] = i;
        f->config_left += w->is_config[i];
    }
    return 0;
}

int dv_pull_fetch(dv_pull *p, dv_registry *reg, const dv_wanted *w, bool quiet, davit_error **err)
{
    DV_AUTO(fetch) f = {.pull = p, .wanted = w};
    int r = prepare(&f, reg, quiet, err);
    if (r < 0 || f.count == 0)
        return r;
    r = dv_watches_start(p->transfers, f.watches, f.count, err);
    if (r < 0)
        return r;
    r = wait_for_all(&f, err);
    if (f.ended < f.count)
        dv_watches_detach(p->transfers, f.watches, f.count);
    return r;
}

/*
 * distribution/v1_reader.c - see v1_reader.h. Runs tasks (v1_task.c), several at once: decides what one failure means for the others, and what of
 * all that came stays in the store. Which images are asked for, and in which order, is v1_fetch.c's.
 *
 * Tasks that a registry answers with 401 get a new token, once: tokens of an index end.
 */
#include "distribution/v1_reader_private.h"

#include "distribution/xfer.h"
#include "oci/v1_image.h"
#include "registry/client.h"
#include "store/digest_set.h"
#include "store/gc.h"
#include "store/v1_image_store.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>

#define HANDS 6 /* requests at once, when the user gave no number */
#define HANDS_MAX 32
#define WAIT_MS 100
#define TELL_EVERY 250 /* small answers */

struct dv_v1_reader {
    davit_client *client;
    dv_v1_reader_options options;
    dv_store *store;
    dv_queue *events;
    dv_workpool *pool;
    dv_v1_hand *hands;
    size_t hand_count;
    dv_digest_set staged; /* layers that were fetched, and what was made for them */
    dv_digest_set kept;   /* those of them that the next run needs */
    dv_v1_read read;
};

void dv_v1_reader_close(dv_v1_reader *r)
{
    if (!r)
        return;
    dv_workpool_free(r->pool);
    for (size_t i = 0; i < r->hand_count; i++)
        dv_v1_hand_clear(&r->hands[i]);
    free(r->hands);
    for (dv_node *node; r->events && (node = dv_queue_pop(r->events, 0));)
        free(node); /* counts: every task has ended */
    dv_queue_free(r->events);
    dv_digest_set_clear(&r->staged);
    dv_digest_set_clear(&r->kept);
    dv_store_unref(r->store);
    free(r);
}

int dv_v1_reader_open(davit_client *c, const dv_v1_reader_options *o, dv_v1_reader **out, davit_error **err)
{
    dv_transfers *transfers = NULL;
    DV_AUTOPTR(dv_v1_reader) r = dv_new(dv_v1_reader);
    int result = dv_transfers_get(c, &transfers, err);
    if (result < 0)
        return result;
    if (!r)
        return dv_error_oom(err);
    r->client = c;
    r->options = *o;
    r->store = dv_store_ref(dv_transfers_store(transfers));
    size_t count = c->downloads ? c->downloads : HANDS;
    count = count < HANDS_MAX ? count : HANDS_MAX;
    r->events = dv_queue_new();
    r->pool = dv_workpool_new((unsigned)count);
    r->hands = dv_new_array(dv_v1_hand, count);
    if (!r->events || !r->pool || !r->hands)
        return dv_error_oom(err);
    while (r->hand_count < count)
        dv_v1_hand_init(&r->hands[r->hand_count++], c, r->store, r->events);
    *out = DV_STEAL(r);
    return 0;
}

bool dv_v1_reader_goes_on(const dv_v1_reader *r)
{
    return r->options.go_on;
}

dv_store *dv_v1_reader_store(const dv_v1_reader *r)
{
    return r->store;
}

void dv_v1_wanted_clear(dv_v1_wanted *w)
{
    davit_v1_repository_close(w->opened);
    davit_v1_tags_free(w->tags);
    davit_error_free(w->err);
    *w = (dv_v1_wanted){.name = NULL};
}

const char *dv_v1_wanted_registry(const dv_v1_wanted *w)
{
    return davit_v1_client_base_url(davit_v1_repository_registry(w->opened));
}

/* --- running tasks ------------------------------------------------------------------------------------------------------ */

/* What is wrong here rather than there ends everything. */
static bool is_ours(int code)
{
    return code == DAVIT_ENOMEM || code == DAVIT_ECANCELLED || code == DAVIT_ENOSPACE ||
           code == DAVIT_ESTORE || code == DAVIT_EIO;
}

static void tell(const dv_v1_reader *r, const char *id, const char *action, uint64_t current, bool counts)
{
    if (r->options.progress)
        r->options.progress(&(davit_progress){.kind = DAVIT_PROGRESS_LAYER,
                                              .id = id,
                                              .action = action,
                                              .current = current,
                                              .has_counts = counts},
                            r->options.user_data);
}

static void end_task(dv_v1_reader *r, dv_v1_task *t)
{
    char id[13] = "";
    t->hand->busy = false;
    if (t->layer.digest.algorithm && dv_digest_set_add(&r->staged, &t->layer.digest, NULL, NULL) >= 0) {
        r->read.layer_count++;
        r->read.layer_bytes += t->layer.size;
    }
    if (t->kind != DV_V1_TASK_LAYER || t->result < 0)
        return;
    memcpy(id, t->id, sizeof(id) - 1);
    tell(r, id, "Download complete", 0, /* counts= */ false);
}

static dv_v1_hand *free_hand(dv_v1_reader *r)
{
    for (size_t i = 0; i < r->hand_count; i++)
        if (!r->hands[i].busy)
            return &r->hands[i];
    return NULL;
}

/* One event; true when a task has ended by it. */
static bool take_event(dv_v1_reader *r, dv_node *node, const dv_v1_task **out)
{
    dv_v1_event *e = (dv_v1_event *)node;
    *out = e->ended;
    if (e->ended) {
        end_task(r, e->ended);
        return true;
    }
    tell(r, e->id, "Downloading", e->current, /* counts= */ true);
    free(e);
    return false;
}

/* An index's token has ended, perhaps: a new one is tried once. */
static bool wants_token(const dv_v1_task *t)
{
    return t->started && !t->renewed && t->result == DAVIT_EUNAUTHORIZED && t->kind != DV_V1_TASK_LIST &&
           davit_v1_repository_index(t->wanted->opened);
}

static bool ends_round(const dv_v1_reader *r, const dv_v1_task *t)
{
    return t->result < 0 && (!r->options.go_on || is_ours(t->result) || wants_token(t));
}

/* Thousands of small answers take minutes from far away: nobody is to think that nothing happens. */
static void tell_small(const dv_v1_reader *r, const dv_v1_task *t, size_t ended, size_t count)
{
    char text[64];
    if (t->kind == DV_V1_TASK_LAYER || t->kind == DV_V1_TASK_LIST || ended % TELL_EVERY != 0)
        return;
    snprintf(text, sizeof(text), "%zu of %zu read", ended, count);
    tell(r, t->kind == DV_V1_TASK_ANCESTRY ? "ancestry" : "json", text, 0, /* counts= */ false);
}

/* Those that have not started; until all have ended, or one that ends the round. */
static void run_round(dv_v1_reader *r, dv_v1_task *tasks, size_t count)
{
    size_t next = 0, running = 0, done = 0;
    bool stop = false;
    for (;;) {
        dv_v1_hand *hand = NULL;
        for (; next < count && !stop && (tasks[next].started || (hand = free_hand(r))); next++)
            if (!tasks[next].started) {
                dv_v1_task_submit(&tasks[next], hand, r->pool);
                running++;
            }
        if (running == 0)
            return;
        dv_node *node = dv_queue_pop(r->events, WAIT_MS);
        const dv_v1_task *ended;
        if (node && take_event(r, node, &ended)) {
            running--;
            tell_small(r, ended, ++done, count);
            stop = stop || ends_round(r, ended);
        }
    }
}

static int renew(const dv_v1_reader *r, dv_v1_wanted *w, davit_error **err)
{
    DV_AUTOPTR(davit_v1_repository) opened = NULL;
    int result = davit_v1_repository_open(r->client, w->name, DAVIT_V1_ACCESS_READ, NULL, 0, r->options.open,
                                          &opened, err);
    if (result < 0)
        return result;
    davit_v1_repository_close(w->opened);
    w->opened = DV_STEAL(opened);
    return 0;
}

static void restart(dv_v1_task *t)
{
    davit_error_free(DV_STEAL(t->err));
    t->started = false;
    t->result = 0;
}

/* Tasks whose token has ended are made ready to start again. */
static int renew_tokens(const dv_v1_reader *r, dv_v1_task *tasks, size_t count, bool *out_any,
                        davit_error **err)
{
    *out_any = false;
    for (size_t i = 0; i < count; i++) {
        if (!wants_token(&tasks[i]))
            continue;
        DV_AUTOPTR(davit_error) why = NULL;
        dv_v1_wanted *w = tasks[i].wanted;
        int result = renew(r, w, &why);
        if (result < 0 && (!r->options.go_on || is_ours(result)))
            return dv_error_move(err, &why, result);
        for (size_t k = i; k < count; k++)
            if (tasks[k].wanted == w && wants_token(&tasks[k])) {
                tasks[k].renewed = true;
                *out_any = true; /* also when this was in vain: the round was ended for it */
                if (result == 0)
                    restart(&tasks[k]);
            }
    }
    return 0;
}

/* The first failure that is everybody's. */
static int failure_of(const dv_v1_reader *r, dv_v1_task *tasks, size_t count, davit_error **err)
{
    for (size_t i = 0; i < count; i++)
        if (tasks[i].result < 0 && (!r->options.go_on || is_ours(tasks[i].result)))
            return dv_error_move(err, &tasks[i].err, tasks[i].result);
    return dv_client_check_cancelled(r->client, err);
}

int dv_v1_reader_run(dv_v1_reader *r, dv_v1_task *tasks, size_t count, davit_error **err)
{
    for (bool again = true; again;) {
        run_round(r, tasks, count);
        int result = renew_tokens(r, tasks, count, &again, err);
        if (result < 0)
            return result;
    }
    return failure_of(r, tasks, count, err);
}

dv_v1_task dv_v1_reader_task(const dv_v1_reader *r, dv_v1_task_kind kind, dv_v1_wanted *w, const char *id,
                             const char *parent)
{
    return (dv_v1_task){
        .kind = kind, .client = r->client, .open = r->options.open, .wanted = w, .id = id, .parent = parent};
}

void dv_v1_tasks_free(dv_v1_task *tasks, size_t count)
{
    for (size_t i = 0; tasks && i < count; i++)
        dv_v1_task_clear(&tasks[i]);
    free(tasks);
}

/* --- tags ---------------------------------------------------------------------------------------------------------------- */

int dv_v1_reader_list(dv_v1_reader *r, dv_v1_wanted *wanted, size_t count, davit_error **err)
{
    dv_v1_task *tasks = dv_new_array(dv_v1_task, count);
    if (!tasks)
        return dv_error_oom(err);
    for (size_t i = 0; i < count; i++)
        tasks[i] = dv_v1_reader_task(r, DV_V1_TASK_LIST, &wanted[i], NULL, NULL);
    int result = dv_v1_reader_run(r, tasks, count, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        wanted[i].err = DV_STEAL(tasks[i].err);
    dv_v1_tasks_free(tasks, count);
    return result;
}

/* --- what was read ------------------------------------------------------------------------------------------------------- */

void dv_v1_reader_count(const dv_v1_reader *r, dv_v1_read *out)
{
    *out = r->read;
}

int dv_v1_reader_stage(dv_v1_reader *r, const davit_digest *blob, davit_error **err)
{
    int result = dv_digest_set_add(&r->staged, blob, NULL, err);
    return result < 0 ? result : 0;
}

int dv_v1_reader_keep_layer(dv_v1_reader *r, const char *registry, const char *id, char **out_parent,
                            davit_error **err)
{
    DV_AUTO(dv_v1_image_row) row = DV_V1_IMAGE_ROW_INIT;
    DV_AUTOPTR(davit_error) why = NULL;
    int result = dv_v1_image_store_get(r->store, registry, id, &row, &why);
    if (result == DAVIT_ENOTFOUND)
        return 0;
    if (result < 0)
        return dv_error_move(err, &why, result);
    if (row.layer.digest.algorithm)
        result = dv_digest_set_add(&r->kept, &row.layer.digest, NULL, err);
    if (result < 0)
        return result;
    if (out_parent)
        *out_parent = DV_STEAL(row.parent);
    return 1;
}

int dv_v1_reader_keep(dv_v1_reader *r, const dv_v1_wanted *wanted, const char *id, davit_error **err)
{
    DV_AUTOFREE char *at = dv_strdup(id);
    int result = at ? 1 : dv_error_oom(err);
    for (size_t i = 0; result > 0 && *at && i < DV_V1_DEPTH_MAX; i++) {
        char *parent = NULL;
        result = dv_v1_reader_keep_layer(r, dv_v1_wanted_registry(wanted), at, &parent, err);
        if (parent) {
            free(at);
            at = parent;
        }
    }
    return result < 0 ? result : 0;
}

int dv_v1_reader_drop(dv_v1_reader *r, davit_error **err)
{
    dv_gc_result unused;
    DV_AUTO(dv_digest_set) gone = {.count = 0};
    for (uint32_t i = 0; i < r->staged.count; i++) {
        davit_digest digest;
        dv_digest_set_get(&r->staged, i, &digest);
        int result =
            dv_digest_set_has(&r->kept, &digest, NULL) ? 0 : dv_digest_set_add(&gone, &digest, NULL, err);
        if (result < 0)
            return result;
    }
    for (size_t i = 0; i < r->hand_count; i++)
        dv_lease_release(DV_STEAL(r->hands[i].load.lease));
    return gone.count > 0 ? dv_gc_collect(r->store, &gone, /* dry= */ false, &unused, err) : 0;
}

bool dv_v1_reader_is_bad_input(int code)
{
    return code == DAVIT_EDIGEST || code == DAVIT_EFORMAT || code == DAVIT_ETOOBIG ||
           code == DAVIT_EUNSUPPORTED;
}

int dv_v1_reader_fetch_layers(dv_v1_reader *r, dv_v1_wanted *wanted, char *const *ids, size_t count,
                              davit_error **err)
{
    dv_v1_task *tasks = dv_new_array(dv_v1_task, count);
    if (!tasks)
        return dv_error_oom(err);
    for (size_t i = 0; i < count; i++)
        tasks[i] = dv_v1_reader_task(r, DV_V1_TASK_LAYER, wanted, ids[i], NULL);
    int result = dv_v1_reader_run(r, tasks, count, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        if (tasks[i].result < 0)
            result = dv_error_move(err, &tasks[i].err, tasks[i].result);
    dv_v1_tasks_free(tasks, count);
    return result;
}

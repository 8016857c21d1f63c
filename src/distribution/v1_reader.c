/*
 * distribution/v1_reader.c - see v1_reader.h. Decides what is asked for, in which order, and what one failure means for the others; each request
 * is a task (v1_task.c).
 *
 * Three rounds for a set of images: ancestry of those whose chain is not known, json of all that stand in them, layers of those whose chain makes
 * sense as a whole. A round's tasks run together. Those that a registry answers with 401 get a new token, once: tokens of an index end.
 */
#include "distribution/v1_reader.h"

#include "distribution/v1_task.h"
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
#define TELL_EVERY 250             /* small answers */
#define CHAIN_JSON_MAX (16u << 20) /* bytes of the json of an image with all that it stands on */

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

static int run_tasks(dv_v1_reader *r, dv_v1_task *tasks, size_t count, davit_error **err)
{
    for (bool again = true; again;) {
        run_round(r, tasks, count);
        int result = renew_tokens(r, tasks, count, &again, err);
        if (result < 0)
            return result;
    }
    return failure_of(r, tasks, count, err);
}

static dv_v1_task new_task(const dv_v1_reader *r, dv_v1_task_kind kind, dv_v1_wanted *w, const char *id,
                           const char *parent)
{
    return (dv_v1_task){
        .kind = kind, .client = r->client, .open = r->options.open, .wanted = w, .id = id, .parent = parent};
}

static void free_tasks(dv_v1_task *tasks, size_t count)
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
        tasks[i] = new_task(r, DV_V1_TASK_LIST, &wanted[i], NULL, NULL);
    int result = run_tasks(r, tasks, count, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        wanted[i].err = DV_STEAL(tasks[i].err);
    free_tasks(tasks, count);
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

/* 1: its layer stays; 0: nothing is known of it. out_parent: "" for none; may be NULL. */
static int keep_layer(dv_v1_reader *r, const char *registry, const char *id, char **out_parent,
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
        result = keep_layer(r, dv_v1_wanted_registry(wanted), at, &parent, err);
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

/* --- what is to be fetched ------------------------------------------------------------------------------------------------ */

/* One image of those that the tops stand on. */
typedef struct member {
    const char *id, *parent; /* of an ancestry; parent: "" for none */
    dv_v1_wanted *wanted;
    size_t json_size;
    bool has_json, has_layer, needed;
    bool second; /* it was asked for with the rights to another repository before */
    davit_error *err;
} member;

typedef struct set {
    dv_v1_reader *reader;
    dv_v1_top *tops;
    size_t top_count;
    size_t *firsts;             /* for each top the first one with the same image */
    davit_v1_texts *ancestries; /* for each of these; empty where it failed */
    member *members;            /* sorted by registry and id, each once */
    size_t member_count;
} set;

static void set_clear(set *s)
{
    for (size_t i = 0; s->ancestries && i < s->top_count; i++)
        davit_v1_texts_clear(&s->ancestries[i]);
    for (size_t i = 0; s->members && i < s->member_count; i++)
        davit_error_free(s->members[i].err);
    free(s->firsts);
    free(s->ancestries);
    free(s->members);
}
DV_DEFINE_AUTO(set, set_clear)

static int fail_top(dv_v1_top *top, const davit_error *why, davit_error **err)
{
    if (!top->err)
        top->err = dv_error_copy(why);
    return top->err ? 0 : dv_error_oom(err);
}

/* 1: the store knows the whole chain. */
static int recall_ancestry(const set *s, size_t i, davit_error **err)
{
    const dv_v1_top *top = &s->tops[i];
    DV_AUTO(davit_v1_texts) ids = {.items = NULL};
    DV_AUTO(dv_v1_image_row) row = DV_V1_IMAGE_ROW_INIT;
    const char *at = top->id;
    if (!dv_v1_id_is_valid(at)) /* which is told by who asks for it */
        return 0;
    for (; *at && ids.count < DV_V1_DEPTH_MAX; at = row.parent) {
        DV_AUTO(dv_v1_image_row) next = DV_V1_IMAGE_ROW_INIT;
        DV_AUTOPTR(davit_error) why = NULL;
        int r = dv_v1_image_store_get(s->reader->store, dv_v1_wanted_registry(top->wanted), at, &next, &why);
        if (r == DAVIT_ENOTFOUND)
            return 0;
        if (r < 0)
            return dv_error_move(err, &why, r);
        if (!dv_v1_texts_add(&ids, at, strlen(at)))
            return dv_error_oom(err);
        dv_v1_image_row_clear(&row);
        row = next;
        next = (dv_v1_image_row)DV_V1_IMAGE_ROW_INIT; /* moved */
    }
    if (*at) /* longer than any that was fetched: it changed there meanwhile */
        return 0;
    s->ancestries[i] = ids;
    ids = (davit_v1_texts){.items = NULL}; /* moved */
    return 1;
}

static void find_firsts(set *s)
{
    for (size_t i = 0; i < s->top_count; i++) {
        const dv_v1_top *top = &s->tops[i];
        size_t k = 0;
        while (k < i &&
               (strcmp(s->tops[k].id, top->id) != 0 ||
                strcmp(dv_v1_wanted_registry(s->tops[k].wanted), dv_v1_wanted_registry(top->wanted)) != 0))
            k++;
        s->firsts[i] = k;
    }
}

static int ask_ancestries(set *s, davit_error **err)
{
    DV_AUTOFREE size_t *of = dv_new_array(size_t, s->top_count); /* task: top */
    dv_v1_task *tasks = dv_new_array(dv_v1_task, s->top_count);
    size_t count = 0;
    int r = tasks && of ? 0 : dv_error_oom(err);
    for (size_t i = 0; r == 0 && i < s->top_count; i++) {
        if (s->firsts[i] != i)
            continue;
        r = recall_ancestry(s, i, err);
        if (r == 0) {
            of[count] = i;
            tasks[count++] = new_task(s->reader, DV_V1_TASK_ANCESTRY, s->tops[i].wanted, s->tops[i].id, NULL);
        }
        r = r < 0 ? r : 0;
    }
    if (r == 0)
        r = run_tasks(s->reader, tasks, count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        s->ancestries[of[i]] = tasks[i].ancestry;
        tasks[i].ancestry = (davit_v1_texts){.items = NULL}; /* moved */
        if (tasks[i].err)
            r = fail_top(&s->tops[of[i]], tasks[i].err, err);
    }
    free_tasks(tasks, count);
    for (size_t i = 0; r == 0 && i < s->top_count; i++) {
        const dv_v1_top *same = &s->tops[s->firsts[i]];
        if (same->err && same != &s->tops[i])
            r = fail_top(&s->tops[i], same->err, err);
    }
    return r;
}

/* --- members ------------------------------------------------------------------------------------------------------------ */

static int compare_members(const void *a, const void *b)
{
    const member *x = a, *y = b;
    int order = strcmp(x->id, y->id);
    return order ? order : strcmp(dv_v1_wanted_registry(x->wanted), dv_v1_wanted_registry(y->wanted));
}

static member *find_member(const set *s, const dv_v1_wanted *wanted, const char *id)
{
    const member key = {.id = id, .wanted = (dv_v1_wanted *)wanted};
    return bsearch(&key, s->members, s->member_count, sizeof(key), compare_members);
}

/* Two images that stand on different ones under the same id: one of them is wrong. */
static int merge(member *into, const member *other, davit_error **err)
{
    if (strcmp(into->parent, other->parent) == 0 || into->err)
        return 0;
    int r = dv_error_set(&into->err, DAVIT_EFORMAT,
                         "image %s stands on '%s' in one ancestry and on '%s' in another", into->id,
                         into->parent, other->parent);
    return r == DAVIT_ENOMEM ? dv_error_move(err, &into->err, r) : 0;
}

static int list_members(set *s, davit_error **err)
{
    size_t total = 0;
    for (size_t i = 0; i < s->top_count; i++)
        total += s->ancestries[i].count;
    s->members = dv_new_array(member, total);
    if (!s->members)
        return dv_error_oom(err);
    size_t n = 0;
    for (size_t i = 0; i < s->top_count; i++)
        for (size_t k = 0; k < s->ancestries[i].count; k++)
            s->members[n++] = (member){
                .id = s->ancestries[i].items[k],
                .parent = k + 1 < s->ancestries[i].count ? s->ancestries[i].items[k + 1] : "",
                .wanted = s->tops[i].wanted,
            };
    if (total > 0)
        qsort(s->members, total, sizeof(*s->members), compare_members);
    int r = 0;
    for (size_t i = 0; r == 0 && i < total; i++) {
        if (s->member_count > 0 && compare_members(&s->members[s->member_count - 1], &s->members[i]) == 0)
            r = merge(&s->members[s->member_count - 1], &s->members[i], err);
        else
            s->members[s->member_count++] = s->members[i];
    }
    return r;
}

/* What the store knows of a member. */
static int recall_member(const set *s, member *m, davit_error **err)
{
    DV_AUTO(dv_v1_image_row) row = DV_V1_IMAGE_ROW_INIT;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_v1_image_store_get(s->reader->store, dv_v1_wanted_registry(m->wanted), m->id, &row, &why);
    if (r < 0)
        return r == DAVIT_ENOTFOUND ? 0 : dv_error_move(err, &why, r);
    m->has_json = strcmp(row.parent, m->parent) == 0;
    m->has_layer = m->has_json && row.layer.digest.algorithm;
    m->json_size = strlen(row.json);
    return m->has_layer ? dv_v1_reader_stage(s->reader, &row.layer.digest, err) : 0;
}

/* A round for those members that `pick` picks. */
static int ask_members_once(set *s, dv_v1_task_kind kind, bool (*pick)(const member *m), davit_error **err)
{
    DV_AUTOFREE member **of = dv_new_array(member *, s->member_count);
    dv_v1_task *tasks = dv_new_array(dv_v1_task, s->member_count);
    size_t count = 0;
    if (!tasks || !of) {
        free(tasks);
        return dv_error_oom(err);
    }
    for (size_t i = 0; i < s->member_count; i++)
        if (pick(&s->members[i])) {
            const member *m = of[count] = &s->members[i];
            tasks[count++] = new_task(s->reader, kind, m->wanted, m->id, m->parent);
        }
    int r = run_tasks(s->reader, tasks, count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        of[i]->err = DV_STEAL(tasks[i].err);
        *(kind == DV_V1_TASK_JSON ? &of[i]->has_json : &of[i]->has_layer) = !of[i]->err;
        if (kind == DV_V1_TASK_JSON)
            of[i]->json_size = tasks[i].json_size;
    }
    free_tasks(tasks, count);
    return r;
}

/* Refused, or not shown. */
static bool is_about_rights(const davit_error *err)
{
    int code = davit_error_code(err);
    return code == DAVIT_EUNAUTHORIZED || code == DAVIT_EDENIED || code == DAVIT_ENOTFOUND;
}

/* Members that one repository has no right to, and another one stands on too. True: there are some. */
static bool give_to_others(const set *s)
{
    bool any = false;
    for (size_t i = 0; i < s->top_count; i++) {
        const dv_v1_top *top = &s->tops[i];
        const davit_v1_texts *ids = &s->ancestries[s->firsts[i]];
        for (size_t k = 0; !top->err && k < ids->count; k++) {
            member *m = find_member(s, top->wanted, ids->items[k]);
            if (!m->err || m->second || m->wanted == top->wanted || !is_about_rights(m->err))
                continue;
            davit_error_free(DV_STEAL(m->err));
            m->wanted = top->wanted;
            m->second = any = true;
        }
    }
    return any;
}

static int ask_members(set *s, dv_v1_task_kind kind, bool (*pick)(const member *m), davit_error **err)
{
    int r = ask_members_once(s, kind, pick, err);
    return r == 0 && give_to_others(s) ? ask_members_once(s, kind, pick, err) : r;
}

static bool lacks_json(const member *m)
{
    return !m->has_json && !m->err;
}

static bool lacks_layer(const member *m)
{
    return m->needed && !m->has_layer && !m->err;
}

/* What is wrong with a member is wrong with all that stand on it. */
static int judge_tops(set *s, bool *out_any_good, davit_error **err)
{
    *out_any_good = false;
    for (size_t i = 0; i < s->top_count; i++) {
        dv_v1_top *top = &s->tops[i];
        const davit_v1_texts *ids = &s->ancestries[s->firsts[i]];
        size_t json_size = 0;
        int r = 0;
        for (size_t k = 0; r == 0 && !top->err && k < ids->count; k++) {
            const member *m = find_member(s, top->wanted, ids->items[k]);
            json_size += m->json_size;
            if (m->err)
                r = fail_top(top, m->err, err);
        }
        if (r == 0 && !top->err && json_size > CHAIN_JSON_MAX)
            r = dv_error_set(&top->err, DAVIT_ETOOBIG, "image %s: more than %u MiB of json", top->id,
                             CHAIN_JSON_MAX >> 20) == DAVIT_ENOMEM
                    ? dv_error_oom(err)
                    : 0;
        if (r < 0)
            return r;
        for (size_t k = 0; !top->err && k < ids->count; k++)
            find_member(s, top->wanted, ids->items[k])->needed = true;
        *out_any_good = *out_any_good || !top->err;
    }
    return 0;
}

/* Of images that failed, so that they are not fetched again when they are mended there. */
static int keep_failed(const set *s, davit_error **err)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && i < s->top_count; i++) {
        const davit_v1_texts *ids = &s->ancestries[s->firsts[i]];
        for (size_t k = 0; r >= 0 && s->tops[i].err && k < ids->count; k++)
            r = keep_layer(s->reader, dv_v1_wanted_registry(s->tops[i].wanted), ids->items[k], NULL, err);
    }
    return r < 0 ? r : 0;
}

int dv_v1_reader_fetch(dv_v1_reader *reader, dv_v1_top *tops, size_t count, davit_error **err)
{
    DV_AUTO(set) s = {.reader = reader, .tops = tops, .top_count = count};
    bool any_good = true;
    s.ancestries = dv_new_array(davit_v1_texts, count);
    s.firsts = dv_new_array(size_t, count);
    if (!s.ancestries || !s.firsts)
        return dv_error_oom(err);
    find_firsts(&s);
    int r = ask_ancestries(&s, err);
    if (r == 0)
        r = list_members(&s, err);
    for (size_t i = 0; r == 0 && i < s.member_count; i++)
        r = recall_member(&s, &s.members[i], err);
    if (r == 0)
        r = ask_members(&s, DV_V1_TASK_JSON, lacks_json, err);
    if (r == 0)
        r = judge_tops(&s, &any_good, err);
    if (r == 0 && any_good)
        r = ask_members(&s, DV_V1_TASK_LAYER, lacks_layer, err);
    if (r == 0)
        r = judge_tops(&s, &any_good, err);
    if (r == 0 && reader->options.go_on)
        r = keep_failed(&s, err);
    for (size_t i = 0; r == 0 && !reader->options.go_on && i < count; i++)
        if (tops[i].err)
            r = dv_error_move(err, &tops[i].err, davit_error_code(tops[i].err));
    return r;
}

int dv_v1_reader_fetch_layers(dv_v1_reader *r, dv_v1_wanted *wanted, char *const *ids, size_t count,
                              davit_error **err)
{
    dv_v1_task *tasks = dv_new_array(dv_v1_task, count);
    if (!tasks)
        return dv_error_oom(err);
    for (size_t i = 0; i < count; i++)
        tasks[i] = new_task(r, DV_V1_TASK_LAYER, wanted, ids[i], NULL);
    int result = run_tasks(r, tasks, count, err);
    for (size_t i = 0; result == 0 && i < count; i++)
        if (tasks[i].result < 0)
            result = dv_error_move(err, &tasks[i].err, tasks[i].result);
    free_tasks(tasks, count);
    return result;
}

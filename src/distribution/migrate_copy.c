/*
 * distribution/migrate_copy.c - the copies of a migration: several repositories at once, each on a worker, its tags in order.
 *
 * What only the calling thread may do comes to it as an event: progress, layers that have to be fetched again (the reader is its own), and what
 * became of a repository. The first tag of all is copied alone: what the others stand on too is there then, and they mount it.
 */
#include "distribution/migrate_private.h"

#include "distribution/source_v1.h"
#include "registry/client.h"
#include "store/content_store.h"
#include "store/v1_image_store.h"
#include "util/file.h"
#include "util/queue.h"
#include "util/str.h"
#include "util/workpool.h"

#include <stdatomic.h>
#include <string.h>

#define AT_ONCE 8 /* repositories: what takes time is waiting for the target */
#define WAIT_MS 100

typedef struct copies copies;
typedef struct repository repository;

typedef enum event_kind { EVENT_PROGRESS, EVENT_FETCH, EVENT_FIRST, EVENT_END } event_kind;

typedef struct event {
    dv_node node;
    event_kind kind;
    repository *from;
    /* PROGRESS: all in one piece, which whoever takes it frees */
    davit_progress progress;
    /* FETCH: on the stack of the worker, which waits for it */
    char *const *ids;
    size_t count;
    int result;
    davit_error *err;
} event;

/* One repository. */
struct repository {
    dv_work work;
    copies *all;
    dv_migration_piece *pieces;
    size_t count;
    dv_source_v1_fetch fetch;
    dv_queue *answers; /* to its EVENT_FETCH */
    event first, end;
    int result; /* of what all its tags need */
    davit_error *err;
    davit_copy_result copied;
};

struct copies {
    dv_migration *m;
    dv_queue *events;
    atomic_bool stop; /* what has not begun need not */
    repository *items;
    size_t count;
};

/* --- Threads: worker ----------------------------------------------------------------------------------------------------------- */

/* A davit_progress_fn. Without memory it is not told. */
static void forward(const davit_progress *p, void *user_data)
{
    repository *r = user_data;
    size_t id = p->id ? strlen(p->id) + 1 : 0, action = p->action ? strlen(p->action) + 1 : 0;
    event *e = dv_calloc(1, sizeof(*e) + id + action);
    if (!e)
        return;
    char *texts = (char *)(e + 1);
    e->kind = EVENT_PROGRESS;
    e->progress = *p;
    e->progress.aux_json = NULL;
    if (id)
        e->progress.id = memcpy(texts, p->id, id);
    if (action)
        e->progress.action = memcpy(texts + id, p->action, action);
    dv_queue_push(r->all->events, &e->node);
}

/* A dv_source_v1_fetch's function. */
static int ask_for_layers(void *user, char *const *ids, size_t count, davit_error **err)
{
    repository *r = user;
    event e = {.kind = EVENT_FETCH, .from = r, .ids = ids, .count = count};
    dv_queue_push(r->all->events, &e.node);
    while (!dv_queue_pop(r->answers, -1))
        ;
    return e.result < 0 ? dv_error_move(err, &e.err, e.result) : 0;
}

static int make_parents(const dv_place *to, davit_error **err)
{
    const char *slash = to->kind == DV_PLACE_LAYOUT ? strrchr(to->path, '/') : NULL;
    DV_AUTOFREE char *parent = slash > to->path ? dv_strndup(to->path, (size_t)(slash - to->path)) : NULL;
    if (!slash || slash == to->path)
        return 0;
    if (!parent)
        return dv_error_oom(err);
    return dv_make_directories(parent, 0755, err);
}

static int open_copy(repository *r, dv_copy *c, davit_error **err)
{
    const dv_migration *m = r->all->m;
    dv_v1_wanted *wanted = r->pieces->wanted;
    c->from = (dv_place){.kind = DV_PLACE_V1, .path = dv_strdup(wanted->name)};
    if (!c->from.path)
        return dv_error_oom(err);
    int result = dv_migration_place(m, wanted->name, &c->to, err);
    if (result == 0)
        result = make_parents(&c->to, err);
    if (result == 0)
        result = dv_source_v1_over(m->client, &c->from, m->reader, wanted, &r->fetch, &c->source, err);
    if (result == 0)
        result = dv_target_open(m->client, &c->to, &c->target, err);
    return result;
}

static int copy_tags(repository *r, dv_copy *c, davit_error **err)
{
    bool first = true;
    for (size_t i = 0; i < r->count && !atomic_load(&r->all->stop); i++) {
        dv_migration_piece *p = &r->pieces[i];
        if (p->there || p->err)
            continue;
        c->old = p->asked ? &p->old : NULL;
        int result = dv_copy_name(c, p->tag->name, p->tag->name, /* alone= */ false, &p->err);
        if (dv_migration_is_over(result))
            return dv_error_move(err, &p->err, result);
        p->copied = result == 0;
        if (first)
            dv_queue_push(r->all->events, &r->first.node);
        first = false;
    }
    return 0;
}

static int copy_repository(repository *r, davit_error **err)
{
    const dv_migration *m = r->all->m;
    davit_copy_options options = DAVIT_COPY_OPTIONS_INIT;
    DV_AUTO(dv_copy) c = {.client = m->client, .options = &options, .known = dv_v1_reader_store(m->reader)};
    options.progress = m->options->progress ? forward : NULL;
    options.user_data = r;
    int result = open_copy(r, &c, err);
    if (result == 0)
        result = copy_tags(r, &c, err);
    if (result == 0)
        result = c.target->ops->finish(c.target, err);
    r->copied = c.result;
    return result;
}

static void run(dv_work *work)
{
    repository *r = (repository *)work;
    r->result = atomic_load(&r->all->stop) ? 0 : copy_repository(r, &r->err);
    dv_queue_push(r->all->events, &r->end.node);
}

/* --- Threads: the calling one ------------------------------------------------------------------------------------------------------ */

static void add_result(dv_migration *m, const davit_copy_result *r)
{
    m->result.copied_count += r->copied_count;
    m->result.copied_bytes += r->copied_bytes;
    m->result.mounted_count += r->mounted_count;
    m->result.mounted_bytes += r->mounted_bytes;
    m->result.present_count += r->present_count;
    m->result.present_bytes += r->present_bytes;
}

/* 1: it came since it was asked for, for another repository. */
static int has_layer(const copies *all, const event *e, const char *id, davit_error **err)
{
    dv_store *store = dv_v1_reader_store(all->m->reader);
    DV_AUTO(dv_v1_image_row) row = DV_V1_IMAGE_ROW_INIT;
    int r = dv_v1_image_store_get(store, dv_v1_wanted_registry(e->from->pieces->wanted), id, &row, err);
    return r < 0 ? r : dv_content_has(store, &row.layer.digest, row.layer.size, err);
}

static int fetch(const copies *all, const event *e, davit_error **err)
{
    DV_AUTOFREE char **missing = dv_new_array(char *, e->count);
    size_t count = 0;
    int r = missing ? 0 : dv_error_oom(err);
    for (size_t i = 0; r >= 0 && i < e->count; i++) {
        r = has_layer(all, e, e->ids[i], err);
        if (r == 0)
            missing[count++] = e->ids[i];
    }
    if (r < 0 || count == 0)
        return r < 0 ? r : 0;
    return dv_v1_reader_fetch_layers(all->m->reader, e->from->pieces->wanted, missing, count, err);
}

static void answer(const copies *all, event *e)
{
    e->result = fetch(all, e, &e->err);
    dv_queue_push(e->from->answers, &e->node);
}

static int end_repository(const copies *all, repository *r, davit_error **err)
{
    dv_migration *m = all->m;
    const char *name = r->pieces->wanted->name;
    int result = 0;
    add_result(m, &r->copied);
    if (dv_migration_is_over(r->result))
        return dv_error_move(err, &r->err, r->result);
    if (r->result < 0)
        dv_migration_fail(m, name, NULL, DV_STEAL(r->err));
    for (size_t i = 0; result == 0 && i < r->count; i++) {
        dv_migration_piece *p = &r->pieces[i];
        m->result.migrated_count += p->copied && r->result == 0;
        if (p->err)
            dv_migration_fail(m, name, p->tag->name, DV_STEAL(p->err));
        else if (p->there || r->result == 0)
            continue;
        result = dv_v1_reader_keep(m->reader, p->wanted, p->tag->id, err); /* what the next run needs */
    }
    return result;
}

/* 1: a repository has ended. */
static int take_event(const copies *all, dv_node *node, bool *out_first, davit_error **err)
{
    event *e = (event *)node;
    const davit_v1_migrate_options *o = all->m->options;
    int result;
    switch (e->kind) {
    case EVENT_PROGRESS:
        o->progress(&e->progress, o->user_data);
        free(e);
        return 0;
    case EVENT_FETCH:
        answer(all, e);
        return 0;
    case EVENT_FIRST:
        *out_first = true;
        return 0;
    case EVENT_END:
        break;
    }
    *out_first = true;
    result = end_repository(all, e->from, err);
    return result < 0 ? result : 1;
}

/* The first error that ends all; those that run are waited for. */
static int run_all(copies *all, dv_workpool *pool, davit_error **err)
{
    size_t next = 0, running = 0;
    bool first = false;
    int result = 0;
    for (;;) {
        size_t room = first ? AT_ONCE : 1;
        for (; next < all->count && running < room && !atomic_load(&all->stop); next++, running++)
            dv_workpool_submit(pool, &all->items[next].work);
        if (running == 0)
            return result;
        dv_node *node = dv_queue_pop(all->events, WAIT_MS);
        DV_AUTOPTR(davit_error) why = NULL;
        bool is_end = node && ((event *)node)->kind == EVENT_END;
        int r = node ? take_event(all, node, &first, &why) : 0;
        running -= is_end;
        if (r < 0) {
            atomic_store(&all->stop, true);
            result = result < 0 ? result : dv_error_move(err, &why, r);
        }
    }
}

static bool is_wanted(const dv_migration_piece *pieces, size_t count)
{
    size_t i = 0;
    while (i < count && (pieces[i].there || pieces[i].err))
        i++;
    return i < count;
}

/* What needs no copy is counted here. */
static void list_repositories(copies *all, dv_migration_piece *pieces, size_t count)
{
    dv_migration *m = all->m;
    for (size_t i = 0, size; i < count; i += size) {
        size = dv_migration_repository_size(&pieces[i], count - i);
        for (size_t k = i; k < i + size; k++)
            m->result.there_count += pieces[k].there;
        repository *r = &all->items[all->count];
        *r = (repository){
            .work.run = run, .all = all, .pieces = &pieces[i], .count = size, .answers = r->answers};
        r->fetch = (dv_source_v1_fetch){.ask = ask_for_layers, .user = r};
        r->first = (event){.kind = EVENT_FIRST, .from = r};
        r->end = (event){.kind = EVENT_END, .from = r};
        if (is_wanted(r->pieces, r->count))
            all->count++;
        else
            for (size_t k = i; k < i + size; k++)
                if (pieces[k].err)
                    dv_migration_fail(m, pieces[k].wanted->name, pieces[k].tag->name, DV_STEAL(pieces[k].err));
    }
}

static void copies_clear(copies *all)
{
    for (size_t i = 0; all->items && i < DV_MIGRATION_REPOSITORIES; i++) {
        dv_queue_free(all->items[i].answers);
        davit_error_free(all->items[i].err);
    }
    free(all->items);
    dv_queue_free(all->events);
}
DV_DEFINE_AUTO(copies, copies_clear)

int dv_migration_copy(dv_migration *m, dv_migration_piece *pieces, size_t count, davit_error **err)
{
    DV_AUTO(copies) all = {.m = m};
    all.events = dv_queue_new();
    all.items = dv_new_array(repository, DV_MIGRATION_REPOSITORIES);
    for (size_t i = 0; all.items && i < DV_MIGRATION_REPOSITORIES; i++)
        if (!(all.items[i].answers = dv_queue_new()))
            return dv_error_oom(err);
    if (!all.items || !all.events)
        return dv_error_oom(err);
    list_repositories(&all, pieces, count);
    if (all.count == 0)
        return 0;
    /* A worker waits for this thread, which therefore must not be one. */
    dv_workpool *pool = dv_workpool_new(AT_ONCE);
    unsigned threads = all.count < AT_ONCE ? (unsigned)all.count : AT_ONCE;
    int r = pool && dv_workpool_start(pool, threads) ? run_all(&all, pool, err) : dv_error_oom(err);
    dv_workpool_free(pool);
    for (dv_node *node; (node = dv_queue_pop(all.events, 0));)
        if (((event *)node)->kind == EVENT_PROGRESS)
            free(node);
    return r;
}

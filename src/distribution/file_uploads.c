/* distribution/file_uploads.c - see file_uploads.h. */
#include "distribution/file_uploads.h"

#include "distribution/upload_journal.h"
#include "distribution/xfer_upload.h"
#include "net/file_body.h"
#include "registry/client.h"
#include "registry/upload_plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define WAIT_MS 100 /* how soon a cancellation is noticed */
#define AT_ONCE 32  /* files that the manager has: each may be a connection, and that is memory */

/* Where the bytes of one come from. */
typedef struct feed {
    dv_blob_source source;
    davit_client *client;
    const dv_file_upload *from;
    dv_file_body *file;
    dv_memory_body memory;
} feed;

typedef struct sending {
    const dv_file_uploads *all;
    dv_store *journal;
    dv_queue *events;
    dv_upload_watch *watches; /* one for each file, as feeds */
    feed *feeds;
    size_t count, started, running;
} sending;

/* Threads: worker. */
static int open_feed(void *user, dv_body **out, davit_error **err)
{
    feed *f = user;
    if (f->from->fd < 0) {
        dv_memory_body_init(&f->memory, f->from->bytes, (size_t)f->from->size);
        *out = &f->memory.body;
        return 0;
    }
    int own = fcntl(f->from->fd, F_DUPFD_CLOEXEC, 3);
    if (own < 0)
        return dv_error_file(err, errno, "cannot send it");
    int r = dv_file_body_new(f->client->loop, f->client->pool, own, 0, f->from->size, &f->file, err);
    if (r == 0)
        *out = dv_file_body_body(f->file);
    return r;
}

static void close_feed(void *user, dv_body *body)
{
    feed *f = user;
    (void)body;
    dv_file_body_free(DV_STEAL(f->file));
}

/* --- events -------------------------------------------------------------------------------------------------------------- */

static void tell(const dv_file_uploads *all, const dv_file_upload *file, const dv_upload_event *e)
{
    char id[13], text[64];
    davit_progress event = {.kind = DAVIT_PROGRESS_LAYER, .id = id, .action = text};
    memcpy(id, davit_digest_hex(&file->digest), sizeof(id) - 1);
    id[sizeof(id) - 1] = '\0';
    switch (e->state) {
    case DV_UP_PUSHING:
        event.action = "Pushing";
        event.current = e->current;
        event.total = e->total;
        event.has_counts = e->total > 0;
        break;
    case DV_UP_RETRYING:
        snprintf(text, sizeof(text), "Retrying in %u second%s", e->seconds, e->seconds == 1 ? "" : "s");
        break;
    case DV_UP_EXISTS:
        event.action = "Already exists";
        break;
    case DV_UP_PUSHED:
        event.action = "Pushed";
        break;
    case DV_UP_WAITING:
    case DV_UP_MOUNTED:
    case DV_UP_FAILED:
        return;
    }
    if (all->progress)
        all->progress(&event, all->user_data);
}

static int take_event(sending *s, dv_node *node, davit_error **err)
{
    dv_upload_event event;
    dv_upload_event_read((dv_upload_event *)node, &event);
    dv_upload_watch *w = event.watch;
    const dv_file_upload *file = &s->all->files[w - s->watches];
    tell(s->all, file, &event);
    if (event.state < DV_UP_EXISTS)
        return 0;
    s->running--;
    if (event.state != DV_UP_FAILED)
        return 0;
    int r = davit_error_code(w->err);
    dv_error_move(err, &w->err, r);
    dv_error_wrap(err, r, "blob %s", file->digest.text);
    return file->name ? dv_error_wrap(err, r, "%s", file->name) : r;
}

static int start_more(sending *s, dv_uploads *manager, davit_error **err)
{
    size_t left = s->count - s->started, more = s->running < AT_ONCE ? AT_ONCE - s->running : 0;
    if (more > left)
        more = left;
    int r = more ? dv_upload_watches_start(manager, &s->watches[s->started], more, err) : 0;
    if (r == 0) {
        s->started += more;
        s->running += more;
    }
    return r;
}

static int run_all(sending *s, dv_uploads *manager, davit_error **err)
{
    for (;;) {
        int r = start_more(s, manager, err);
        if (r < 0 || s->running == 0)
            return r;
        dv_node *node = dv_queue_pop(s->events, WAIT_MS);
        r = node ? take_event(s, node, err) : 0;
        if (r == 0)
            r = dv_client_check_cancelled(s->all->registry->client, err);
        if (r < 0)
            return r;
    }
}

/* --- the whole ----------------------------------------------------------------------------------------------------------- */

static void sending_clear(sending *s)
{
    for (size_t i = 0; s->watches && i < s->count; i++)
        dv_upload_watch_clear(&s->watches[i]);
    for (dv_node *node; s->events && (node = dv_queue_pop(s->events, 0));) {
        dv_upload_event unused;
        dv_upload_event_read((dv_upload_event *)node, &unused);
    }
    dv_queue_free(s->events);
    free(s->watches);
    free(s->feeds);
    dv_store_unref(s->journal);
}
DV_DEFINE_AUTO(sending, sending_clear)

static void watch_file(sending *s, const dv_file_upload *file)
{
    const dv_file_uploads *all = s->all;
    size_t i = s->count++;
    if (file->size > DV_UPLOAD_WHOLE_MAX && !s->journal)
        s->journal = dv_upload_journal_open(all->registry->client);
    s->feeds[i] = (feed){.source = {.open = open_feed, .close = close_feed, .user = &s->feeds[i]},
                         .client = all->registry->client,
                         .from = file};
    s->watches[i] = (dv_upload_watch){
        .events = s->events,
        .registry = all->registry,
        .repository = all->repository,
        .digest = file->digest,
        .size = file->size,
        .total = file->size,
        .source = &s->feeds[i].source,
        .journal = s->journal,
        .no_questions = all->anew,
        .no_mount = true,
    };
}

int dv_file_uploads_run(const dv_file_uploads *all, davit_error **err)
{
    DV_AUTO(sending) s = {.all = all};
    dv_uploads *manager = NULL;
    s.events = dv_queue_new();
    s.watches = dv_new_array(dv_upload_watch, all->count + 1);
    s.feeds = dv_new_array(feed, all->count + 1);
    if (!s.events || !s.watches || !s.feeds)
        return dv_error_oom(err);
    for (size_t i = 0; i < all->count; i++)
        watch_file(&s, &all->files[i]);
    int r = dv_uploads_get(all->registry->client, &manager, err);
    if (r < 0)
        return r;
    r = run_all(&s, manager, err);
    dv_upload_watches_detach(manager, s.watches, s.started);
    return r;
}

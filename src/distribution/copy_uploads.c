/*
 * distribution/copy_uploads.c - blobs into a registry, over the upload manager: out of files, or out of another registry without touching the
 * disk. Within one registry each is mounted, and all mounts are asked for at once.
 */
#include "distribution/copy_private.h"

#include "distribution/registry_body.h"
#include "distribution/upload_journal.h"
#include "distribution/xfer_upload.h"
#include "net/file_body.h"
#include "oci/reference.h"
#include "registry/client.h"
#include "registry/upload_plan.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define WAIT_MS 100 /* how soon a cancellation is noticed */
#define AT_ONCE \
    32 /* blobs that the manager has: each may be a connection, and that is memory. Mounts are all asked for at once */

/* Where the bytes of one blob come from. */
typedef struct feed {
    dv_blob_source source;
    dv_copy *copy;
    const davit_descriptor *blob;
    dv_file_body *file;
    dv_registry_body *download;
} feed;

typedef struct uploading {
    dv_copy *copy;
    dv_queue *events;
    dv_upload_watch *watches; /* one for each blob, as feeds */
    feed *feeds;
    size_t count, started, running;
} uploading;

/* --- bytes -------------------------------------------------------------------------------------------------------------------------------- */

static int open_download(feed *f, dv_body **out, davit_error **err)
{
    int r = dv_registry_body_new(f->copy->source->registry, f->blob, &f->download, err);
    if (r == 0)
        *out = dv_registry_body_body(f->download);
    return r;
}

/* Threads: worker. */
static int open_feed(void *user, dv_body **out, davit_error **err)
{
    feed *f = user;
    dv_source *s = f->copy->source;
    davit_client *c = f->copy->client;
    uint64_t first = 0, size = 0;
    int fd = -1;
    if (s->ops->read)
        return open_download(f, out, err);
    int r = s->ops->open_blob(s, f->blob, &fd, &first, &size, err);
    if (r == 0 && size != f->blob->size) {
        close(fd);
        return dv_error_set(err, DAVIT_EDIGEST, "blob %s is %zu bytes long where its descriptor says %zu",
                            f->blob->digest.text, (size_t)size, (size_t)f->blob->size);
    }
    if (r == 0)
        r = dv_file_body_new(c->loop, c->pool, fd, first, size, &f->file, err);
    if (r == 0)
        *out = dv_file_body_body(f->file);
    return r;
}

static void close_feed(void *user, dv_body *body)
{
    feed *f = user;
    (void)body;
    dv_file_body_free(DV_STEAL(f->file));
    dv_registry_body_free(DV_STEAL(f->download));
}

/* --- why one failed ------------------------------------------------------------------------------------------------------------------------- */

static int write_nowhere(dv_sink *sink, const void *bytes, size_t size, davit_error **err)
{
    (void)sink, (void)bytes, (void)size, (void)err;
    return 0;
}

static int finish_nowhere(dv_sink *sink, davit_error **err)
{
    (void)sink, (void)err;
    return 0;
}

/* A registry that refuses bytes as not those of the digest may be right: then the file is to blame. */
static int explain(const dv_copy *c, dv_upload_watch *w, const davit_descriptor *blob, davit_error **err)
{
    dv_sink nowhere = {.write = write_nowhere, .finish = finish_nowhere};
    const char *code = davit_error_registry_code(w->err);
    int r = davit_error_code(w->err);
    bool doubtful = r == DAVIT_EDIGEST || dv_str_equal(code, "DIGEST_INVALID");
    if (doubtful && !c->source->ops->read) {
        int found = dv_source_read(c->source, blob, &nowhere, err);
        if (found < 0)
            return found;
    }
    return dv_error_move(err, &w->err, r);
}

/* --- events ---------------------------------------------------------------------------------------------------------------------------------- */

static void tell(const dv_copy *c, const davit_descriptor *blob, const dv_upload_event *e)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(1024);
    switch (e->state) {
    case DV_UP_PUSHING:
        dv_copy_tell(c, blob, "Copying", e->current, e->total);
        return;
    case DV_UP_RETRYING:
        dv_buf_printf(&text, "Retrying in %u second%s", e->seconds, e->seconds == 1 ? "" : "s");
        break;
    case DV_UP_EXISTS:
        dv_buf_puts(&text, "Already exists");
        break;
    case DV_UP_MOUNTED:
        dv_buf_printf(&text, "Mounted from %s", e->watch->mounted_from);
        break;
    case DV_UP_PUSHED:
        dv_buf_puts(&text, "Copied");
        break;
    case DV_UP_WAITING:
    case DV_UP_FAILED:
        return;
    }
    dv_copy_tell(c, blob, dv_buf_text(&text), 0, 0);
}

static void count_end(davit_copy_result *result, dv_upload_state state, uint64_t size)
{
    uint64_t *count = state == DV_UP_PUSHED    ? &result->copied_count
                      : state == DV_UP_MOUNTED ? &result->mounted_count
                                               : &result->present_count;
    count[0] += 1;
    count[1] += size; /* the bytes stand behind the count */
}

static int take_event(uploading *u, dv_node *node, davit_error **err)
{
    dv_upload_event event;
    dv_upload_event_read((dv_upload_event *)node, &event);
    size_t i = (size_t)(event.watch - u->watches);
    const davit_descriptor *blob = u->feeds[i].blob;
    tell(u->copy, blob, &event);
    if (event.state < DV_UP_EXISTS)
        return 0;
    u->running--;
    if (event.state == DV_UP_FAILED)
        return explain(u->copy, event.watch, blob, err);
    count_end(&u->copy->result, event.state, blob->size);
    return 0;
}

static int start_more(uploading *u, dv_uploads *manager, davit_error **err)
{
    size_t room = u->copy->same_registry ? u->count : AT_ONCE, left = u->count - u->started;
    size_t more = u->running < room ? room - u->running : 0;
    if (more > left)
        more = left;
    int r = more ? dv_upload_watches_start(manager, &u->watches[u->started], more, err) : 0;
    if (r == 0) {
        u->started += more;
        u->running += more;
    }
    return r;
}

static int run_all(uploading *u, dv_uploads *manager, davit_error **err)
{
    for (;;) {
        int r = start_more(u, manager, err);
        if (r < 0 || u->running == 0)
            return r;
        dv_node *node = dv_queue_pop(u->events, WAIT_MS);
        r = node ? take_event(u, node, err) : 0;
        if (r == 0)
            r = dv_client_check_cancelled(u->copy->client, err);
        if (r < 0)
            return r;
    }
}

/* --- the whole --------------------------------------------------------------------------------------------------------------------------------- */

static void uploading_clear(uploading *u)
{
    for (size_t i = 0; u->watches && i < u->count; i++)
        dv_upload_watch_clear(&u->watches[i]);
    for (dv_node *node; u->events && (node = dv_queue_pop(u->events, 0));) {
        dv_upload_event unused;
        dv_upload_event_read((dv_upload_event *)node, &unused);
    }
    dv_queue_free(u->events);
    free(u->watches);
    free(u->feeds);
}
DV_DEFINE_AUTO(uploading, uploading_clear)

static void watch_blob(uploading *u, const davit_descriptor *blob, bool anew)
{
    dv_copy *c = u->copy;
    size_t i = u->count++;
    bool mounts = c->same_registry && !anew;
    u->feeds[i] = (feed){
        .source = {.open = open_feed, .close = close_feed, .user = &u->feeds[i]}, .copy = c, .blob = blob};
    u->watches[i] = (dv_upload_watch){
        .events = u->events,
        .registry = c->target->registry,
        .repository = davit_reference_name(c->to.reference),
        .digest = blob->digest,
        .size = blob->size,
        .total = blob->size,
        .source = &u->feeds[i].source,
        .journal = mounts ? NULL : c->journal, /* what can be mounted is not gone on with */
        .mount_from = mounts ? davit_reference_path(c->from.reference) : NULL,
        .no_questions = mounts || anew, /* a mount is the question */
        .store = mounts ? NULL : c->known,
        .no_mount = !mounts && (!c->known || anew),
    };
}

static bool has_large(const dv_copy_plan *plan)
{
    for (size_t i = 0; i < plan->blob_count; i++)
        if (plan->blobs[i].size > DV_UPLOAD_WHOLE_MAX)
            return true;
    return false;
}

int dv_copy_uploads(dv_copy *c, const dv_copy_plan *plan, bool anew, davit_error **err)
{
    DV_AUTO(uploading) u = {.copy = c};
    dv_uploads *manager = NULL;
    if (c->same_repository || plan->blob_count == 0)
        return 0;
    u.events = dv_queue_new();
    u.watches = dv_new_array(dv_upload_watch, plan->blob_count);
    u.feeds = dv_new_array(feed, plan->blob_count);
    if (!u.events || !u.watches || !u.feeds)
        return dv_error_oom(err);
    if (has_large(plan) && !c->journal_asked) {
        c->journal_asked = true;
        c->journal = dv_upload_journal_open(c->client);
    }
    for (size_t i = 0; i < plan->blob_count; i++)
        watch_blob(&u, &plan->blobs[i], anew);
    int r = dv_uploads_get(c->client, &manager, err);
    if (r < 0)
        return r;
    r = run_all(&u, manager, err);
    dv_upload_watches_detach(manager, u.watches, u.started);
    return r;
}

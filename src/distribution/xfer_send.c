/*
 * distribution/xfer_send.c - one blob to one repository.
 *
 * States: preparing (a worker reads what the store remembers of the blob), asking and mounting (push.md 6, 7), waiting for a slot for
 * the bytes, opening (a worker opens the source), sending (registry/v2_upload.c, which repeats and resumes), recording (a worker
 * writes down what was learnt). The loop thread decides; what touches the store runs on the upload's strand, in order.
 */
#include "distribution/own_stores.h"
#include "distribution/push_candidates.h"
#include "distribution/xfer_upload_private.h"
#include "registry/upload_plan.h"
#include "registry/v2_blob.h"
#include "registry/v2_upload.h"
#include "store/metadata_store.h"
#include "store/upload_session.h"
#include "util/clock.h"
#include "util/log.h"

#include <limits.h>
#include <string.h>

typedef enum stage {
    STAGE_FIRST_CHECK, /* the single best digest */
    STAGE_MOUNT,
    STAGE_LAST_CHECK, /* what is left of the limit */
    STAGE_SEND,
} stage;

struct dv_send {
    dv_upload_xfer *xfer;    /* NULL once abandoned */
    dv_upload_watch *leader; /* borrowed until it is told that nothing of it is used any more */
    davit_client *client;
    dv_strand *strand;
    /* Own copies, for the workers: */
    dv_store *store;                   /* NULL: nothing is remembered */
    dv_store *journal;                 /* NULL: sessions are not */
    const davit_metadata_store *table; /* then perhaps here */
    char *repository, *key;
    davit_digest digest; /* algorithm NONE until it is known */
    davit_digest diff_id;
    bool digest_was_known, has_auth_info;

    stage stage;
    dv_metadata_entries known;      /* what the store remembers of it */
    dv_metadata_entries candidates; /* of this stage */
    size_t next;
    dv_metadata_entries forget; /* what turned out to be wrong */
    davit_digest *asked;
    size_t asked_count;
    bool unauthorized; /* some mount was refused for want of rights */
    bool mount_given;  /* the mount under way is the one that the caller named */
    bool troubled;     /* something was repeated: who leaves does not stay to end a session */
    dv_blob_head *head;
    dv_upload_open *open;
    dv_upload_session session, useless_session;
    bool session_is_old;

    dv_body *body;
    dv_upload *upload;
    dv_timer retry;
    uint64_t retry_at_ms;

    dv_upload_result result;
    char *mounted_from;
    bool done_well, news;
    davit_error *last_error;

    /* Worker's side; the loop looks only when no job is running. */
    dv_work job;
    dv_body *opened;
    int job_result;
    davit_error *job_err;
    dv_task done; /* a job's end, for the loop */
    void (*on_job_done)(dv_send *s);
    bool job_running;
};

static void start_job(dv_send *s, void (*run)(dv_work *), void (*done)(dv_send *));
static void run_discard(dv_work *work);
static void next_stage(dv_send *s);
static void ask_next(dv_send *s);
static void send_end(dv_send *s, const dv_upload_result *result, davit_error *err);

static dv_push_target target_of(const dv_send *s)
{
    return (dv_push_target){.repository = s->repository, .key = s->key};
}

/* --- jobs on the strand ------------------------------------------------------------------------------------------ */

static void send_free(dv_send *s)
{
    dv_timer_stop(&s->retry);
    dv_metadata_entries_clear(&s->known);
    dv_metadata_entries_clear(&s->candidates);
    dv_metadata_entries_clear(&s->forget);
    dv_upload_session_clear(&s->session);
    dv_upload_session_clear(&s->useless_session);
    davit_error_free(s->last_error);
    davit_error_free(s->job_err);
    dv_strand_free(s->strand);
    dv_store_unref(s->store);
    dv_store_unref(s->journal);
    free(s->asked);
    free(s->mounted_from);
    free(s->repository);
    free(s->key);
    free(s);
}

/* It is to be ended, by the next job that does so. */
static void give_session_up(dv_send *s)
{
    dv_upload_session_clear(&s->useless_session);
    s->useless_session = s->session;
    s->session = (dv_upload_session)DV_UPLOAD_SESSION_INIT;
}

static void close_body(dv_send *s)
{
    const dv_blob_source *source = s->leader->source;
    if (s->opened)
        source->close(source->user, DV_STEAL(s->opened));
    if (s->body)
        source->close(source->user, DV_STEAL(s->body));
}

static void job_done(dv_task *task)
{
    dv_send *s = (dv_send *)((char *)task - offsetof(dv_send, done));
    s->job_running = false;
    if (s->xfer) {
        s->on_job_done(s);
        return;
    }
    dv_upload_watch *leader = s->leader;
    close_body(s);
    if (s->session.url && !s->session_is_old && !s->troubled) { /* nobody will go on with it */
        give_session_up(s);
        start_job(s, run_discard, NULL);
        return;
    }
    send_free(s);
    dv_upload_watch_left(leader);
}

static void start_job(dv_send *s, void (*run)(dv_work *), void (*done)(dv_send *))
{
    s->job_running = true;
    s->job.run = run;
    s->on_job_done = done;
    dv_strand_submit(s->strand, &s->job);
}

static dv_send *of_job(dv_work *work)
{
    return (dv_send *)((char *)work - offsetof(dv_send, job));
}

/* Threads: worker, at the end of a job. */
static void post_done(dv_send *s)
{
    dv_loop_post_again(s->client->loop, &s->done);
}

/* Threads: worker. */
static void run_nothing(dv_work *work)
{
    post_done(of_job(work));
}

/* --- what the store remembers --------------------------------------------------------------------------------------- */

/* Large blobs only: a small one is sent anew as quickly. */
static bool is_journalled(const dv_send *s)
{
    return s->journal && s->digest_was_known && s->leader->size != DAVIT_SIZE_UNKNOWN &&
           s->leader->size > DV_UPLOAD_WHOLE_MAX;
}

/* A table goes by diff_id alone. */
static bool remembers(const dv_send *s)
{
    return s->store || (s->table && s->diff_id.algorithm != DAVIT_DIGEST_NONE);
}

/* Threads: worker. */
static int read_journal(dv_send *s, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    dv_stored_upload stored = DV_STORED_UPLOAD_INIT;
    int r = dv_upload_session_get(s->journal, s->repository, &s->digest, &stored, &why);
    if (r < 0)
        return r == DAVIT_ENOTFOUND ? 0 : dv_error_move(err, &why, r);
    s->session = (dv_upload_session){.url = stored.url, .at = stored.sent};
    s->session_is_old = true;
    return 0;
}

/* Threads: worker. All of it is a cache: without it there is more to send. */
static int read_store(dv_send *s, davit_error **err)
{
    int r = 0;
    if (remembers(s) && !s->store)
        r = dv_own_metadata_by_diff_id(s->table, &s->diff_id, &s->known, err);
    else if (s->store)
        r = s->digest_was_known ? dv_metadata_by_blob(s->store, &s->digest, &s->known, err)
                                : dv_metadata_by_diff_id(s->store, &s->diff_id, &s->known, err);
    return r < 0 || !is_journalled(s) ? r : read_journal(s, err);
}

/* Threads: worker. */
static void run_prepare(dv_work *work)
{
    dv_send *s = of_job(work);
    DV_AUTOPTR(davit_error) why = NULL;
    if (read_store(s, &why) < 0)
        dv_log(DAVIT_LOG_WARNING, "what is known of %s cannot be read: %s",
               s->digest_was_known ? s->digest.text : s->diff_id.text, davit_error_message(why));
    if (s->digest_was_known) /* it is known, and might be there: push.md 6 for an entry without repository */
        s->job_result = dv_metadata_entries_add(&s->known, &s->digest, "", NULL, &s->job_err);
    post_done(s);
}

static void on_prepared(dv_send *s)
{
    if (s->job_result < 0) {
        send_end(s, NULL, DV_STEAL(s->job_err));
        return;
    }
    next_stage(s);
}

static void forget(dv_send *s, const dv_metadata_entry *entry)
{
    if (s->store)
        dv_metadata_remove(s->store, entry, NULL);
    else
        dv_own_metadata_remove(s->table, entry, NULL);
}

static int add_entry(dv_send *s, davit_error **err)
{
    if (!s->store)
        return dv_own_metadata_add(s->table, &s->digest, &s->diff_id, s->repository, s->key, err);
    return dv_metadata_add(s->store, &s->digest, s->digest_was_known ? NULL : &s->diff_id, s->repository,
                           s->key, err);
}

/* Threads: worker. A failure to forget costs a question the next time. */
static void run_record(dv_work *work)
{
    dv_send *s = of_job(work);
    s->job_result = 0; /* of the job before: that one's error is told already */
    for (size_t i = 0; remembers(s) && i < s->forget.count; i++)
        forget(s, &s->forget.items[i]);
    if (remembers(s) && s->done_well && s->news)
        s->job_result = add_entry(s, &s->job_err);
    if (is_journalled(s) && s->done_well)
        dv_upload_session_delete(s->journal, s->repository, &s->digest, NULL);
    if (s->useless_session.url)
        dv_upload_discard(s->leader->registry, &s->useless_session, NULL);
    post_done(s);
}

static void on_recorded(dv_send *s)
{
    dv_upload_xfer *x = s->xfer;
    davit_error *err = s->job_result < 0 ? DV_STEAL(s->job_err) : DV_STEAL(s->last_error);
    dv_upload_result result = s->result;
    bool well = s->done_well && s->job_result >= 0;
    DV_AUTOFREE char *mounted_from = DV_STEAL(s->mounted_from);
    result.mounted_from = mounted_from;
    x->send = NULL;
    send_free(s);
    dv_upload_xfer_end(x, well ? &result : NULL, err);
}

/* Then a session is not ended: it would only take longer to say so. */
static bool is_unreachable(const davit_error *err)
{
    int r = davit_error_code(err);
    bool lost = r == DAVIT_ENETWORK || r == DAVIT_ETIMEOUT || r == DAVIT_ETLS;
    return lost && davit_error_http_status(err) == 0;
}

/* Over, well or badly. Takes err. */
static void send_end(dv_send *s, const dv_upload_result *result, davit_error *err)
{
    close_body(s);
    davit_error_free(s->last_error);
    s->last_error = err;
    s->done_well = result != NULL;
    if (result)
        s->result = *result;
    if (result && !s->digest.algorithm)
        s->digest = result->digest;
    if (s->session.url && (result || (!s->session_is_old && !is_unreachable(err))))
        give_session_up(s);
    start_job(s, run_record, on_recorded);
}

/* --- is it there? ---------------------------------------------------------------------------------------------------- */

static bool note_asked(dv_send *s, const davit_digest *digest)
{
    davit_digest *grown = dv_realloc_array(s->asked, s->asked_count + 1, sizeof(*grown));
    if (!grown)
        return false;
    s->asked = grown;
    s->asked[s->asked_count++] = *digest;
    return true;
}

static void note_forgotten(dv_send *s, const dv_metadata_entry *e)
{
    dv_metadata_entries_add(&s->forget, &e->digest, e->repository, e->hmac, NULL);
}

/* What the registry says of a blob that it has. */
static int check_size(const dv_send *s, uint64_t size, davit_error **err)
{
    bool known = s->digest_was_known && s->leader->size != DAVIT_SIZE_UNKNOWN;
    return !known || size == s->leader->size
               ? 0
               : dv_error_set(err, DAVIT_EDIGEST, "the registry has it with another size");
}

static void on_head(void *user, int r, uint64_t size, davit_error *err)
{
    dv_send *s = user;
    const dv_metadata_entry *e = &s->candidates.items[s->next];
    const dv_push_target target = target_of(s);
    s->head = NULL;
    if (r == 0)
        r = check_size(s, size, &err);
    if (r == DAVIT_ECANCELLED || r == DAVIT_ENOMEM) {
        send_end(s, NULL, err);
        return;
    }
    if (r == 0) {
        dv_upload_result result = {.state = DV_UP_EXISTS, .digest = e->digest, .size = size};
        s->news = dv_push_is_news(e, &target);
        send_end(s, &result, NULL);
        return;
    }
    if (r == DAVIT_ENOTFOUND && strcmp(e->repository, s->repository) == 0)
        note_forgotten(s, e);
    else if (r != DAVIT_ENOTFOUND)
        dv_log(DAVIT_LOG_INFO, "asking for %s: %s", e->digest.text, davit_error_message(err));
    davit_error_free(err);
    s->next++;
    ask_next(s);
}

/* --- mounting ---------------------------------------------------------------------------------------------------------- */

static void after_mount_failed(dv_send *s)
{
    const dv_push_target target = target_of(s);
    if (s->mount_given) {
        s->mount_given = false;
    } else {
        const dv_metadata_entry *e = &s->candidates.items[s->next];
        if (dv_push_forgets(e, &target, s->unauthorized, s->has_auth_info))
            note_forgotten(s, e);
        s->next++;
    }
    ask_next(s);
}

/* Threads: worker. */
static void run_discard(dv_work *work)
{
    dv_send *s = of_job(work);
    dv_upload_discard(s->leader->registry, &s->useless_session, NULL);
    dv_upload_session_clear(&s->useless_session);
    post_done(s);
}

static const char *path_of(const char *repository)
{
    const char *slash = strchr(repository, '/');
    return slash ? slash + 1 : repository;
}

static void on_opened(void *user, int r, bool mounted, uint64_t size, dv_upload_session *session,
                      davit_error *err)
{
    dv_send *s = user;
    s->open = NULL;
    if (r == 0 && mounted)
        r = check_size(s, size, &err);
    if (r == DAVIT_ECANCELLED || r == DAVIT_ENOMEM) {
        send_end(s, NULL, err);
        return;
    }
    if (r == 0 && mounted) {
        const dv_metadata_entry *e = s->mount_given ? NULL : &s->candidates.items[s->next];
        dv_upload_result result = {.state = DV_UP_MOUNTED, .digest = e ? e->digest : s->digest, .size = size};
        s->mounted_from = dv_strdup(e ? path_of(e->repository) : s->leader->mount_from);
        s->news = true;
        if (!s->mounted_from)
            dv_error_oom(&err);
        send_end(s, s->mounted_from ? &result : NULL, err);
        return;
    }
    if (r < 0) {
        if (err && err->kind == DV_ERROR_REGISTRY_FULL && strcmp(err->registry_code, "UNAUTHORIZED") == 0)
            s->unauthorized = true;
        dv_log(DAVIT_LOG_INFO, "mounting into %s: %s", s->repository, davit_error_message(err));
        davit_error_free(err);
        after_mount_failed(s);
        return;
    }
    s->useless_session = s->session; /* of the candidate before */
    s->session = *session;
    *session = (dv_upload_session)DV_UPLOAD_SESSION_INIT;
    if (s->useless_session.url)
        start_job(s, run_discard, after_mount_failed);
    else
        after_mount_failed(s);
}

/* --- one question after the other --------------------------------------------------------------------------------------- */

/* The next question of this stage, or the next stage. */
static void ask_next(dv_send *s)
{
    davit_error *err = NULL;
    int r;
    if (s->stage == STAGE_MOUNT && s->mount_given) {
        r = dv_upload_open_start(s->leader->registry, &s->digest, s->leader->mount_from, /* attempts= */ 0,
                                 on_opened, s, &s->open, &err);
    } else if (s->next == s->candidates.count) {
        s->stage++;
        next_stage(s);
        return;
    } else if (s->stage == STAGE_MOUNT) {
        const dv_metadata_entry *e = &s->candidates.items[s->next];
        r = dv_upload_open_start(s->leader->registry, &e->digest, path_of(e->repository), /* attempts= */ 0,
                                 on_opened, s, &s->open, &err);
    } else {
        const dv_metadata_entry *e = &s->candidates.items[s->next];
        r = note_asked(s, &e->digest)
                ? dv_blob_head_start(s->leader->registry, &e->digest, on_head, s, &s->head, &err)
                : dv_error_oom(&err);
    }
    if (r < 0)
        send_end(s, NULL, err);
}

/* The candidates of the stage. */
static int find_candidates(dv_send *s, davit_error **err)
{
    const dv_push_target target = target_of(s);
    const dv_upload_watch *w = s->leader;
    dv_push_limits limits = dv_push_limits_of(w->size != DAVIT_SIZE_UNKNOWN ? w->size : w->total);
    dv_metadata_entries_clear(&s->candidates);
    s->next = 0;
    switch (s->stage) {
    case STAGE_FIRST_CHECK:
        /* A mount of what the caller knows answers as much. */
        return w->no_questions || w->mount_from
                   ? 0
                   : dv_push_checks(&s->known, &target, /* limit= */ 1, /* others= */ true, NULL, 0,
                                    &s->candidates, err);
    case STAGE_MOUNT:
        s->mount_given = w->mount_from && !w->no_mount && !s->session.url;
        return w->no_mount || s->session.url
                   ? 0
                   : dv_push_mounts(&s->known, &target, limits.mounts, &s->candidates, err);
    case STAGE_LAST_CHECK:
        return w->no_questions || limits.checks <= s->asked_count
                   ? 0
                   : dv_push_checks(&s->known, &target, limits.checks - (unsigned)s->asked_count,
                                    limits.others, s->asked, s->asked_count, &s->candidates, err);
    case STAGE_SEND:
        break;
    }
    return 0;
}

static void next_stage(dv_send *s)
{
    davit_error *err = NULL;
    if (s->stage == STAGE_SEND) {
        dv_upload_xfer_want_slot(s->xfer);
        return;
    }
    if (find_candidates(s, &err) < 0)
        send_end(s, NULL, err);
    else
        ask_next(s);
}

/* --- sending ------------------------------------------------------------------------------------------------------------ */

/* A row of the journal, on its way to the store. */
typedef struct journal_write {
    dv_work work;
    dv_store *store;
    char *repository, *url;
    davit_digest digest;
    uint64_t at;
} journal_write;

static void journal_write_free(journal_write *j)
{
    if (j->url)
        explicit_bzero(j->url, strlen(j->url));
    free(j->url);
    free(j->repository);
    dv_store_unref(j->store);
    free(j);
}

/* Threads: worker. A session that is not written down is one that is not gone on with. */
static void run_journal(dv_work *work)
{
    journal_write *j = (journal_write *)work;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = j->url ? dv_upload_session_put(j->store, j->repository, &j->digest, j->url, j->at, &why)
                   : dv_upload_session_delete(j->store, j->repository, &j->digest, &why);
    if (r < 0)
        dv_log(DAVIT_LOG_INFO, "upload of %s is not journalled: %s", j->digest.text, davit_error_message(why));
    journal_write_free(j);
}

static void on_session(void *user, const dv_upload_session *session)
{
    dv_send *s = user;
    if (!is_journalled(s)) { /* to be ended, if the upload fails */
        dv_upload_session_clear(&s->session);
        s->session.url = dv_strdup(session->url);
        return;
    }
    journal_write *j = dv_new(journal_write);
    if (!j)
        return;
    *j = (journal_write){.work.run = run_journal,
                         .store = dv_store_ref(s->journal),
                         .repository = dv_strdup(s->repository),
                         .url = dv_strdup(session->url),
                         .digest = s->digest,
                         .at = session->at};
    if (!j->repository || (session->url && !j->url))
        journal_write_free(j);
    else
        dv_strand_submit(s->strand, &j->work);
}

static void on_progress(void *user, uint64_t at)
{
    dv_send *s = user;
    const dv_blob_source *source = s->leader->source;
    dv_timer_stop(&s->retry);
    s->xfer->sent = s->xfer->sent || at > 0;
    dv_upload_xfer_count(s->xfer, source->position ? source->position(source->user, s->body) : at);
}

static void tell_retry(dv_send *s)
{
    uint64_t now = dv_clock_ms();
    uint64_t left = s->retry_at_ms > now ? s->retry_at_ms - now : 0;
    if (left == 0)
        return;
    dv_upload_xfer_retrying(s->xfer, (unsigned)((left + 999) / 1000));
    dv_timer_start(s->client->loop, &s->retry, left < 1000 ? left : 1000);
}

static void on_retry_timer(dv_timer *timer)
{
    tell_retry((dv_send *)((char *)timer - offsetof(dv_send, retry)));
}

static void on_retry(void *user, uint32_t delay_ms, const davit_error *err)
{
    dv_send *s = user;
    dv_trace(XFER, "%s: %s", s->repository, davit_error_message(err));
    s->troubled = true;
    s->retry_at_ms = dv_clock_ms() + delay_ms;
    tell_retry(s);
}

static int on_digest(void *user, davit_digest *out, davit_error **err)
{
    dv_send *s = user;
    const dv_blob_source *source = s->leader->source;
    int r = source->digest(source->user, s->body, &s->digest, err);
    if (r == 0)
        *out = s->digest;
    return r;
}

static void on_sent(void *user, int r, uint64_t size, davit_error *err)
{
    dv_send *s = user;
    s->upload = NULL;
    dv_timer_stop(&s->retry);
    if (r < 0) {
        send_end(s, NULL, err);
        return;
    }
    s->news = true;
    dv_upload_session_clear(&s->session);
    dv_upload_xfer_count(s->xfer, s->leader->total);
    send_end(s, &(dv_upload_result){.state = DV_UP_PUSHED, .digest = s->digest, .size = size}, NULL);
}

static const dv_upload_handler handler = {on_progress, on_session, on_retry, on_digest, on_sent};

/* Threads: worker. */
static void run_open(dv_work *work)
{
    dv_send *s = of_job(work);
    const dv_blob_source *source = s->leader->source;
    s->job_result = source->open(source->user, &s->opened, &s->job_err);
    post_done(s);
}

static void on_source_opened(dv_send *s)
{
    davit_error *err = NULL;
    if (s->job_result < 0) {
        send_end(s, NULL, DV_STEAL(s->job_err));
        return;
    }
    s->body = DV_STEAL(s->opened);
    int r = dv_upload_start(s->leader->registry,
                            &(dv_upload_spec){.digest = s->digest_was_known ? &s->digest : NULL,
                                              .size = s->leader->size,
                                              .body = s->body,
                                              .session = s->session.url ? &s->session : NULL,
                                              .session_is_old = s->session_is_old,
                                              .handler = &handler,
                                              .user = s},
                            &s->upload, &err);
    if (is_journalled(s))
        dv_upload_session_clear(&s->session); /* what the upload leaves is gone on with */
    if (r < 0)
        send_end(s, NULL, err);
}

void dv_send_go(dv_send *s)
{
    start_job(s, run_open, on_source_opened);
}

void dv_send_abandon(dv_send *s)
{
    s->xfer = NULL;
    dv_timer_stop(&s->retry);
    if (s->head)
        dv_blob_head_cancel(DV_STEAL(s->head));
    if (s->open)
        dv_upload_open_cancel(DV_STEAL(s->open));
    if (s->upload)
        dv_upload_cancel(DV_STEAL(s->upload));
    if (!s->job_running)
        start_job(s, run_nothing, NULL); /* behind the journal: job_done() frees */
}

int dv_send_start(dv_upload_xfer *x, dv_send **out, davit_error **err)
{
    const dv_upload_watch *w = x->leader;
    dv_send *s = dv_new(dv_send);
    if (!s)
        return dv_error_oom(err);
    s->repository = dv_strdup(w->repository);
    s->key = dv_strdup(w->hmac_key ? w->hmac_key : "");
    s->strand = dv_strand_new(x->manager->client->pool);
    if (!s->repository || !s->key || !s->strand) {
        send_free(s);
        return dv_error_oom(err);
    }
    s->xfer = x;
    s->leader = x->leader;
    s->client = x->manager->client;
    s->store = w->store ? dv_store_ref(w->store) : NULL;
    s->journal = w->journal ? dv_store_ref(w->journal) : NULL;
    s->table = w->table;
    s->digest = w->digest;
    s->diff_id = w->diff_id;
    s->digest_was_known = w->digest.algorithm != DAVIT_DIGEST_NONE;
    s->has_auth_info = w->has_auth_info;
    s->done.run = job_done;
    s->retry.fire = on_retry_timer;
    *out = s;
    start_job(s, run_prepare, on_prepared);
    return 0;
}

/*
 * distribution/copy_files.c - blobs into a target that keeps them itself: several at once, each read and written by one thread of a pool of
 * the copy's own.
 */
#include "distribution/copy_private.h"

#include "registry/client.h"
#include "util/queue.h"
#include "util/workpool.h"

#include <stdatomic.h>
#include <string.h>

#define AT_ONCE 6 /* blobs, when the user gave no number */
#define WAIT_MS 100
#define TELL_FROM (1u << 20) /* bytes of a blob whose counts are told */

typedef struct copy_files copy_files;

/* One blob. */
typedef struct job {
    dv_work work;
    dv_node done;
    copy_files *all;
    const davit_descriptor *blob;
    dv_sink sink; /* counts what goes to the target's */
    dv_sink *to;
    _Atomic uint64_t passed;
    atomic_bool running;
    uint64_t told;
    int result;
    bool was_there, skipped, ended;
    davit_error *err;
} job;

struct copy_files {
    dv_copy *copy;
    dv_queue *ended;
    atomic_bool stop; /* one has failed: those that have not begun need not */
    job *jobs;
    size_t count;
};

/* --- Threads: worker ----------------------------------------------------------------------------------------------------------------- */

static int count_write(dv_sink *sink, const void *bytes, size_t size, davit_error **err)
{
    job *j = (job *)((char *)sink - offsetof(job, sink));
    if (atomic_load(&j->all->stop))
        return dv_error_set(err, DAVIT_ECANCELLED, "cancelled, since another blob failed");
    atomic_fetch_add(&j->passed, size);
    return dv_sink_write(j->to, bytes, size, err);
}

static int count_finish(dv_sink *sink, davit_error **err)
{
    (void)sink, (void)err;
    return 0;
}

static int copy_blob(job *j, davit_error **err)
{
    dv_copy *c = j->all->copy;
    int r = c->target->ops->blob_open(c->target, j->blob, &j->to, err);
    j->was_there = r == 1;
    if (r != 0)
        return r < 0 ? r : 0;
    atomic_store(&j->running, true);
    j->sink = (dv_sink){.write = count_write, .finish = count_finish};
    r = dv_source_read(c->source, j->blob, &j->sink, err);
    int ended = c->target->ops->blob_end(c->target, j->to, r == 0, r == 0 ? err : NULL);
    return r < 0 ? r : ended;
}

static void run_job(dv_work *work)
{
    job *j = (job *)work;
    if (atomic_load(&j->all->stop))
        j->skipped = true;
    else
        j->result = copy_blob(j, &j->err);
    atomic_store(&j->running, false);
    dv_queue_push(j->all->ended, &j->done);
}

/* --- Threads: the calling one ---------------------------------------------------------------------------------------------------------- */

static void tell_counts(const copy_files *all)
{
    for (size_t i = 0; i < all->count; i++) {
        job *j = &all->jobs[i];
        uint64_t passed = atomic_load(&j->passed);
        if (!atomic_load(&j->running) || j->blob->size < TELL_FROM || passed == j->told)
            continue;
        j->told = passed;
        dv_copy_tell(all->copy, j->blob, "Copying", passed, j->blob->size);
    }
}

static void end_job(const copy_files *all, job *j)
{
    davit_copy_result *result = &all->copy->result;
    j->ended = true;
    if (j->skipped || j->result < 0)
        return;
    *(j->was_there ? &result->present_count : &result->copied_count) += 1;
    *(j->was_there ? &result->present_bytes : &result->copied_bytes) += j->blob->size;
    dv_copy_tell(all->copy, j->blob, j->was_there ? "Already exists" : "Copied", 0, 0);
}

/* Until all have ended; the first error is the reason. */
static int wait_all(copy_files *all, davit_error **err)
{
    int r = 0;
    for (size_t left = all->count; left > 0;) {
        dv_node *node = dv_queue_pop(all->ended, WAIT_MS);
        tell_counts(all);
        if (!node)
            continue;
        job *j = (job *)((char *)node - offsetof(job, done));
        end_job(all, j);
        left--;
        if (r == 0 && !j->skipped && j->result < 0) {
            atomic_store(&all->stop, true);
            r = dv_error_move(err, &j->err, j->result);
        }
    }
    return r;
}

static int run_all(copy_files *all, unsigned threads, davit_error **err)
{
    dv_workpool *pool = dv_workpool_new(threads);
    if (!pool)
        return dv_error_oom(err);
    for (size_t i = 0; i < all->count; i++)
        dv_workpool_submit(pool, &all->jobs[i].work);
    int r = wait_all(all, err);
    dv_workpool_free(pool);
    return r;
}

/* Which blobs the target lacks. */
static int list_jobs(copy_files *all, const dv_copy_plan *plan, davit_error **err)
{
    dv_copy *c = all->copy;
    all->jobs = dv_new_array(job, plan->blob_count);
    all->ended = dv_queue_new();
    if (!all->jobs || !all->ended)
        return dv_error_oom(err);
    for (size_t i = 0; i < plan->blob_count; i++) {
        const davit_descriptor *blob = &plan->blobs[i];
        int r = c->target->ops->has_blob(c->target, blob, err);
        if (r < 0)
            return r;
        if (r == 1) {
            c->result.present_count++;
            c->result.present_bytes += blob->size;
            dv_copy_tell(c, blob, "Already exists", 0, 0);
            continue;
        }
        all->jobs[all->count++] = (job){.work.run = run_job, .all = all, .blob = blob};
    }
    return 0;
}

int dv_copy_files(dv_copy *c, const dv_copy_plan *plan, davit_error **err)
{
    copy_files all = {.copy = c};
    unsigned threads = c->target->serial ? 1 : c->client->downloads ? c->client->downloads : AT_ONCE;
    int r = list_jobs(&all, plan, err);
    if (r == 0 && all.count > 0)
        r = run_all(&all, threads < all.count ? threads : (unsigned)all.count, err);
    for (size_t i = 0; i < all.count; i++)
        davit_error_free(all.jobs[i].err);
    free(all.jobs);
    dv_queue_free(all.ended);
    return r;
}

/*
 * distribution/artifact_pull.c - davit_artifact_pull(): an artifact's layers become files with the names that it gives them, several at once.
 * Spec: threats B2, B6; DESIGN 5.
 *
 * The calling thread begins the files within the limits on downloads, and tells of them; each is fetched, held against its descriptor and
 * given its name by one thread of a pool of the pull's own (artifact_place.c). What one endpoint did not have the next is asked for.
 */
#include "davit/artifact.h"

#include "distribution/artifact_place.h"
#include "distribution/blob_stream.h"
#include "distribution/document.h"
#include "distribution/endpoint_loop.h"
#include "distribution/xfer.h"
#include "oci/artifact_manifest.h"
#include "oci/artifact_title.h"
#include "oci/manifest.h"
#include "oci/media_type.h"
#include "registry/client.h"
#include "util/queue.h"
#include "util/workpool.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define FILE_MODE 0644
#define WAIT_MS 100          /* between counts; also how soon a cancellation is noticed */
#define TELL_FROM (1u << 20) /* bytes of a file whose counts are told */

typedef struct pull pull;

/* One file. Its thread's from the submit until it is in the queue. */
typedef struct job {
    dv_work work;
    dv_node done;
    pull *pull;
    const davit_descriptor *layer;
    const char *title;
    dv_artifact_file file;
    dv_hash *hash;
    uint64_t written;
    _Atomic uint64_t passed;
    _Atomic unsigned retry_s;
    davit_error *err;
    bool err_is_ours; /* no other endpoint mends it */
    /* The calling thread's: */
    enum { JOB_WAITING, JOB_RUNNING, JOB_THERE, JOB_TOLD } state;
    uint64_t told;
    unsigned told_s;
} job;

struct pull {
    davit_client *client;
    const davit_reference *ref;
    const davit_artifact_pull_options *options;
    davit_manifest *manifest;
    dv_json *document;
    const char **titles; /* of the layers, in the document */
    const davit_descriptor *layers;
    size_t count;
    dv_artifact_place place;
    dv_endpoints endpoints;
    dv_registry *registry; /* that is asked */
    job *jobs;             /* those that have a title */
    size_t job_count;
    unsigned small, large; /* that run */
    dv_queue *ended;
    atomic_bool stop; /* one has failed */
    davit_error *why; /* an error that no other endpoint mends */
};

static void pull_clear(pull *p)
{
    davit_manifest_free(p->manifest);
    dv_json_free(p->document);
    free(p->titles);
    free(p->jobs);
    dv_queue_free(p->ended);
    dv_endpoints_clear(&p->endpoints);
    dv_artifact_place_clear(&p->place);
    davit_error_free(p->why);
}
DV_DEFINE_AUTO(pull, pull_clear)

/* --- what there is --------------------------------------------------------------------------------------------------- */

static int check_options(const davit_artifact_pull_options *o, davit_error **err)
{
    if (o->version != DAVIT_ARTIFACT_PULL_OPTIONS_VERSION)
        return dv_error_set(err, DAVIT_EINVAL, "artifact pull options of version %u", o->version);
    if (o->flags & ~DAVIT_ARTIFACT_PULL_FORCE)
        return dv_error_set(err, DAVIT_EINVAL, "unknown artifact pull flags %#x", o->flags);
    if (o->file_mode & ~0777u)
        return dv_error_set(err, DAVIT_EINVAL, "%#o is no mode of a file", o->file_mode);
    return 0;
}

static int fetch_manifest(pull *p, davit_error **err)
{
    davit_manifest *m = NULL;
    int r = dv_document_ask(p->registry, p->ref, &m, /* out_digest= */ NULL, err);
    if (r == 0 && p->options->platform)
        r = dv_document_narrow(p->registry, DV_STEAL(m), p->options->platform, &m, err);
    if (r == 0)
        p->manifest = m;
    return r;
}

static bool is_below(const char *title, const char *directory)
{
    size_t n = strlen(directory);
    return strncmp(title, directory, n) == 0 && title[n] == '/';
}

static int check_title(const pull *p, size_t i, davit_error **err)
{
    const char *name = davit_reference_familiar(p->ref), *title = p->titles[i];
    int r = dv_artifact_title_check(title, err);
    if (r < 0)
        return dv_error_wrap(err, r, "%s", name);
    for (size_t k = 0; k < i; k++) {
        const char *other = p->titles[k];
        if (other && strcmp(other, title) == 0)
            return dv_error_set(err, DAVIT_EFORMAT, "%s: two layers have the title %s", name, title);
        if (other && (is_below(title, other) || is_below(other, title)))
            return dv_error_set(err, DAVIT_EFORMAT,
                                "%s: of the titles %s and %s one would be a file and a directory", name,
                                other, title);
    }
    return 0;
}

static int check_titles(const pull *p, davit_error **err)
{
    size_t named = 0;
    for (size_t i = 0; i < p->count; i++) {
        int r = p->titles[i] ? check_title(p, i, err) : 0;
        if (r < 0)
            return r;
        named += p->titles[i] != NULL;
    }
    if (named == 0)
        return dv_error_set(err, DAVIT_EUNSUPPORTED,
                            "%s: none of its layers has a title, so there is no file to write",
                            davit_reference_familiar(p->ref));
    return 0;
}

/* Nothing is made when some file would be in the way. */
static int check_places(const pull *p, davit_error **err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < p->count; i++)
        if (p->titles[i])
            r = dv_artifact_place_check(&p->place, p->titles[i], err);
    return r;
}

static bool is_empty_stand_in(const davit_descriptor *layer)
{
    return strcmp(layer->media_type, DV_MEDIA_TYPE_OCI_EMPTY) == 0;
}

static void tell_layer(const pull *p, const char *title, const davit_descriptor *layer)
{
    if (p->options->pulled)
        p->options->pulled(&(davit_artifact_pulled){.title = title, .descriptor = *layer},
                           p->options->user_data);
}

static void run_job(dv_work *work);

static int list_jobs(pull *p, davit_error **err)
{
    p->jobs = dv_new_array(job, p->count + 1);
    p->ended = dv_queue_new();
    if (!p->jobs || !p->ended)
        return dv_error_oom(err);
    for (size_t i = 0; i < p->count; i++) {
        if (p->titles[i])
            p->jobs[p->job_count++] = (job){.work.run = run_job,
                                            .pull = p,
                                            .layer = &p->layers[i],
                                            .title = p->titles[i],
                                            .file = DV_ARTIFACT_FILE_INIT};
        else if (!is_empty_stand_in(&p->layers[i]))
            tell_layer(p, NULL, &p->layers[i]);
    }
    return 0;
}

/* The manifest is there: what becomes of it here. */
static int prepare(pull *p, davit_error **err)
{
    if (davit_manifest_is_index(p->manifest))
        return dv_error_set(err, DAVIT_EUNSUPPORTED,
                            "%s is an index: name one of its manifests by digest, or a platform",
                            davit_reference_familiar(p->ref));
    p->layers = davit_manifest_layers(p->manifest, &p->count);
    int r = dv_artifact_titles(p->manifest, &p->document, &p->titles, err);
    if (r == 0)
        r = check_titles(p, err);
    if (r == 0)
        r = dv_artifact_place_open(&p->place, err);
    if (r == 0)
        r = check_places(p, err);
    return r < 0 ? r : list_jobs(p, err);
}

/* --- one file. Threads: worker -------------------------------------------------------------------------------------------- */

/* A davit_write_fn. */
static int write_piece(const void *bytes, size_t size, void *user_data)
{
    job *j = user_data;
    if (atomic_load(&j->pull->stop)) {
        j->err_is_ours = true;
        return dv_error_set(&j->err, DAVIT_ECANCELLED, "cancelled, since another file failed");
    }
    if (size > j->layer->size - j->written)
        return dv_error_set(&j->err, DAVIT_EDIGEST,
                            "the blob is longer than the %" PRIu64 " bytes that its descriptor says",
                            j->layer->size);
    int r = dv_artifact_file_write(&j->file, bytes, size, &j->err);
    j->err_is_ours = r < 0;
    j->written += size;
    atomic_store(&j->passed, j->written);
    atomic_store(&j->retry_s, 0);
    return r;
}

static int restart(void *user)
{
    job *j = user;
    j->written = 0;
    atomic_store(&j->passed, 0);
    int r = dv_artifact_file_restart(&j->file, &j->err);
    j->err_is_ours = r < 0;
    return r;
}

static void note_retry(void *user, unsigned seconds)
{
    job *j = user;
    atomic_store(&j->retry_s, seconds);
}

/* From one place. An error of ours ends the loop over them, as an answer would. */
static int ask(dv_registry *reg, void *user, davit_error **err)
{
    job *j = user;
    const dv_blob_resume resume = {.hash = j->hash, .restart = restart, .retrying = note_retry, .user = j};
    uint64_t passed = 0;
    dv_hash_reset(j->hash);
    int r = restart(j);
    if (r == 0)
        r = dv_blob_stream_on(reg, &j->layer->digest, &resume, write_piece, j, &passed, err);
    if (j->err && j->err_is_ours)
        return 0;
    if (j->err) /* says more than that the writing failed */
        return dv_error_move(err, &j->err, r);
    if (r == 0 && j->written != j->layer->size)
        r = dv_error_set(err, DAVIT_EDIGEST,
                         "the blob has %" PRIu64 " bytes where its descriptor says %" PRIu64, j->written,
                         j->layer->size);
    return r;
}

static int fetch(job *j, davit_error **err)
{
    const pull *p = j->pull;
    j->hash = dv_hash_new(j->layer->digest.algorithm);
    if (!j->hash)
        return dv_error_oom(err);
    j->err_is_ours = true;
    int r = dv_artifact_file_open(&j->file, &p->place, j->title, err);
    if (r < 0)
        return r;
    j->err_is_ours = false;
    DV_AUTOPTR(davit_error) why = NULL;
    r = dv_content_loop(&p->endpoints, p->registry, p->ref, ask, j, &why);
    if (j->err) {
        r = davit_error_code(j->err);
        return dv_error_move(err, &j->err, r);
    }
    if (r < 0) {
        dv_error_move(err, &why, r);
        return dv_error_wrap(err, r, "%s", j->title);
    }
    j->err_is_ours = true;
    return dv_artifact_file_publish(&j->file, err);
}

static void run_job(dv_work *work)
{
    job *j = (job *)work;
    davit_error *why = NULL;
    int r = fetch(j, &why);
    dv_artifact_file_clear(&j->file);
    dv_hash_free(DV_STEAL(j->hash));
    davit_error_free(j->err);
    j->err = r < 0 ? why : NULL;
    dv_queue_push(j->pull->ended, &j->done);
}

/* --- all of them. Threads: the calling one --------------------------------------------------------------------------------- */

static void tell_state(const pull *p, const job *j, const char *action, bool counted)
{
    char id[13];
    if (!p->options->progress)
        return;
    memcpy(id, davit_digest_hex(&j->layer->digest), sizeof(id) - 1);
    id[sizeof(id) - 1] = '\0';
    p->options->progress(&(davit_progress){.kind = DAVIT_PROGRESS_LAYER,
                                           .id = id,
                                           .action = action,
                                           .current = counted ? j->told : 0,
                                           .total = counted ? j->layer->size : 0,
                                           .has_counts = counted},
                         p->options->user_data);
}

static void tell_counts(const pull *p)
{
    for (size_t i = 0; i < p->job_count; i++) {
        job *j = &p->jobs[i];
        if (j->state != JOB_RUNNING)
            continue;
        uint64_t passed = atomic_load(&j->passed);
        unsigned seconds = atomic_load(&j->retry_s);
        if (seconds && seconds != j->told_s) {
            char text[64];
            snprintf(text, sizeof(text), "Retrying in %u second%s", seconds, seconds == 1 ? "" : "s");
            tell_state(p, j, text, false);
        } else if (!seconds && j->layer->size >= TELL_FROM && passed != j->told) {
            j->told = passed;
            tell_state(p, j, "Downloading", true);
        }
        j->told_s = seconds;
    }
}

/* In the order of the manifest, whatever came first; all: over those that are missing. */
static void tell_pulled(const pull *p, bool all)
{
    for (size_t i = 0; i < p->job_count; i++) {
        job *j = &p->jobs[i];
        if (j->state == JOB_THERE) {
            j->state = JOB_TOLD;
            tell_layer(p, j->title, j->layer);
        } else if (j->state != JOB_TOLD && !all) {
            return;
        }
    }
}

static unsigned *slots_of(pull *p, const job *j)
{
    return j->layer->size < DV_SMALL_BLOB ? &p->small : &p->large;
}

/* A number of the user's is a hard limit for everything. */
static bool slot_is_free(pull *p, const job *j)
{
    unsigned *running = slots_of(p, j), given = p->client->downloads;
    return given ? p->small + p->large < given
                 : *running < (running == &p->small ? DV_SMALL_DOWNLOADS : DV_LARGE_DOWNLOADS);
}

static void start_more(pull *p, dv_workpool *pool)
{
    for (size_t i = 0; i < p->job_count && !atomic_load(&p->stop); i++) {
        job *j = &p->jobs[i];
        if (j->state != JOB_WAITING || !slot_is_free(p, j))
            continue;
        j->state = JOB_RUNNING;
        ++*slots_of(p, j);
        dv_workpool_submit(pool, &j->work);
    }
}

/* The first error is the reason; those that it stopped wait for the next endpoint. */
static int end_job(pull *p, job *j, int r, davit_error **err)
{
    --*slots_of(p, j);
    j->state = j->err ? JOB_WAITING : JOB_THERE;
    if (!j->err) {
        tell_state(p, j, "Download complete", false);
        return r;
    }
    bool ours = j->err_is_ours, first = r == 0;
    if (first) {
        atomic_store(&p->stop, true);
        r = davit_error_code(j->err);
        dv_error_move(ours ? &p->why : err, &j->err, r);
    }
    davit_error_free(DV_STEAL(j->err));
    return r;
}

static int run_jobs(pull *p, dv_workpool *pool, davit_error **err)
{
    int r = 0;
    atomic_store(&p->stop, false);
    for (;;) {
        start_more(p, pool);
        if (p->small + p->large == 0)
            return r;
        dv_node *node = dv_queue_pop(p->ended, WAIT_MS);
        if (node)
            r = end_job(p, (job *)((char *)node - offsetof(job, done)), r, err);
        tell_counts(p);
        tell_pulled(p, /* all= */ false);
    }
}

/* The files that are not there yet, from this registry. */
static int fetch_files(pull *p, davit_error **err)
{
    unsigned given = p->client->downloads;
    dv_workpool *pool = dv_workpool_new(given ? given : DV_SMALL_DOWNLOADS + DV_LARGE_DOWNLOADS);
    if (!pool)
        return dv_error_oom(err);
    int r = run_jobs(p, pool, err);
    dv_workpool_free(pool);
    return r;
}

/* A dv_ask_fn. */
static int pull_from(dv_registry *reg, void *user, davit_error **err)
{
    pull *p = user;
    p->registry = reg;
    if (!p->manifest) {
        int r = fetch_manifest(p, err);
        if (r < 0)
            return r;
        if (prepare(p, &p->why) < 0)
            return 0;
    }
    int r = fetch_files(p, err);
    return p->why ? 0 : r;
}

int davit_artifact_pull(davit_client *client, const davit_reference *ref,
                        const davit_artifact_pull_options *options, davit_error **err)
{
    const davit_artifact_pull_options defaults = DAVIT_ARTIFACT_PULL_OPTIONS_INIT;
    const davit_artifact_pull_options *o = options ? options : &defaults;
    DV_AUTO(pull) p = {.client = client, .ref = ref, .options = o, .place.fd = -1};
    DV_AUTOPTR(davit_error) why = NULL;
    dv_ask_by by = davit_reference_digest_text(ref) ? DV_ASK_BY_DIGEST : DV_ASK_BY_TAG;
    p.place.path = o->directory ? o->directory : ".";
    p.place.force = o->flags & DAVIT_ARTIFACT_PULL_FORCE;
    p.place.file_mode = o->file_mode ? o->file_mode : FILE_MODE;
    p.place.directory_mode = p.place.file_mode | 0700 | (p.place.file_mode & 0044) >> 2;
    int r = check_options(o, err);
    if (r == 0)
        r = dv_endpoint_list(client, ref, &p.endpoints, err);
    if (r < 0)
        return r;
    r = dv_endpoint_loop_over(client, &p.endpoints, ref, by, /* credentials= */ NULL, pull_from, &p, &why);
    tell_pulled(&p, /* all= */ true);
    if (p.why)
        return dv_error_move(err, &p.why, davit_error_code(p.why));
    return dv_error_move(err, &why, r);
}

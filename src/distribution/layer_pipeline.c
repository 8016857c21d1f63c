/*
 * distribution/layer_pipeline.c - see layer_pipeline.h. Decides which thread does what, and how all of them end.
 *
 * Each queue has one reader. Who fails first wins: it keeps its error, then wakes every reader, and a reader that finds the pipeline stopped
 * leaves without a word. Nothing waits for ever: a queue is waited for in turns of WAIT_MS, between which the client's cancellation is seen.
 */
#include "distribution/layer_pipeline.h"

#include "archive/diff_id.h"

#include <stdatomic.h>
#include <string.h>

#define WAIT_MS 100

typedef struct chunk {
    dv_node node;
    size_t size;
    bool last; /* of its layer */
    uint8_t bytes[DV_PIPELINE_CHUNK_BYTES];
} chunk;

enum { STAGE_INFLATE, STAGE_HASH, STAGE_APPLY, STAGES };

typedef struct stage {
    dv_work work;
    dv_pipeline *pipeline;
    int (*run)(dv_pipeline *p, size_t *layer, davit_error **err);
    dv_queue *input; /* chunks; the inflater's are empty ones */
    dv_node wake, ended;
} stage;

/* The step behind inflate: bytes into chunks. */
typedef struct collector {
    dv_sink sink;
    dv_pipeline *pipeline;
    chunk *current;
} collector;

struct dv_pipeline {
    dv_pipeline_options options;
    dv_workpool *pool;
    stage stages[STAGES];
    dv_queue *ended;
    unsigned ended_count; /* owner's */
    collector collector;
    unsigned chunks; /* inflater's: made so far */
    dv_unpack *unpack;
    _Atomic size_t applied, reading;
    _Atomic uint64_t read;
    atomic_bool failed; /* somebody has its error in the three fields below, or is about to */
    atomic_bool stopped;
    int result;
    size_t failed_layer;
    davit_error *err;
};

/* --- ending -------------------------------------------------------------------------------------------------------- */

static void fail(dv_pipeline *p, size_t layer, int r, davit_error *err)
{
    if (atomic_exchange(&p->failed, true)) {
        davit_error_free(err);
        return;
    }
    p->result = r;
    p->failed_layer = layer;
    p->err = err;
    atomic_store(&p->stopped, true);
    for (int i = 0; i < STAGES; i++)
        dv_queue_push(p->stages[i].input, &p->stages[i].wake);
}

static int stopped(davit_error **err)
{
    return dv_error_set(err, DAVIT_ECANCELLED, "cancelled");
}

int dv_pipeline_check(dv_pipeline *p, davit_error **err)
{
    int r = dv_client_check_cancelled(p->options.client, err);
    return r == 0 && atomic_load(&p->stopped) ? stopped(err) : r;
}

int dv_pipeline_wait_for(dv_pipeline *p, dv_queue *queue, int timeout_ms, dv_node **out, davit_error **err)
{
    for (*out = NULL;;) {
        int turn = timeout_ms < 0 || timeout_ms > WAIT_MS ? WAIT_MS : timeout_ms;
        dv_node *node = dv_queue_pop(queue, turn);
        int r = dv_pipeline_check(p, err);
        if (r < 0) {
            if (node)
                dv_queue_push(queue, node); /* its owner releases it */
            return r;
        }
        if (node || timeout_ms == turn) {
            *out = node;
            return 0;
        }
        timeout_ms -= timeout_ms < 0 ? 0 : turn;
    }
}

static int take_chunk(dv_pipeline *p, int stage_index, chunk **out, davit_error **err)
{
    dv_node *node;
    int r = dv_pipeline_wait_for(p, p->stages[stage_index].input, -1, &node, err);
    if (r == 0)
        *out = (chunk *)node; /* never a wake: that comes with stopped */
    return r;
}

static void pass_on(dv_pipeline *p, int stage_index, chunk *c)
{
    dv_queue_push(p->stages[(stage_index + 1) % STAGES].input, &c->node);
}

/* --- inflating ----------------------------------------------------------------------------------------------------- */

static int new_chunk(dv_pipeline *p, chunk **out, davit_error **err)
{
    chunk *c = (chunk *)dv_queue_pop(p->stages[STAGE_INFLATE].input, 0);
    if (c && &c->node == &p->stages[STAGE_INFLATE].wake)
        return stopped(err);
    unsigned most = p->options.output ? DV_PIPELINE_OUTPUT_CHUNKS : DV_PIPELINE_CHUNKS;
    if (!c && p->chunks < most) {
        c = malloc(sizeof(*c));
        if (!c)
            return dv_error_oom(err);
        p->chunks++;
    }
    if (!c) {
        int r = take_chunk(p, STAGE_INFLATE, &c, err);
        if (r < 0)
            return r;
    }
    c->size = 0;
    c->last = false;
    *out = c;
    return 0;
}

static int collect(dv_sink *s, const void *bytes, size_t size, davit_error **err)
{
    collector *k = (collector *)s;
    for (const uint8_t *from = bytes; size > 0;) {
        int r = k->current ? 0 : new_chunk(k->pipeline, &k->current, err);
        if (r < 0)
            return r;
        chunk *c = k->current;
        size_t room = DV_PIPELINE_CHUNK_BYTES - c->size, n = size < room ? size : room;
        memcpy(c->bytes + c->size, from, n);
        c->size += n;
        from += n;
        size -= n;
        if (c->size == DV_PIPELINE_CHUNK_BYTES)
            pass_on(k->pipeline, STAGE_INFLATE, DV_STEAL(k->current));
    }
    return 0;
}

static int collect_end(dv_sink *s, davit_error **err)
{
    collector *k = (collector *)s;
    int r = k->current ? 0 : new_chunk(k->pipeline, &k->current, err);
    if (r < 0)
        return r;
    k->current->last = true;
    pass_on(k->pipeline, STAGE_INFLATE, DV_STEAL(k->current));
    return 0;
}

static int inflate_layer(dv_pipeline *p, size_t layer, davit_error **err)
{
    const dv_layer_input *input = &p->options.input;
    DV_AUTOPTR(dv_inflate) inflate = NULL;
    const void *bytes;
    size_t size = 0;
    int r = dv_inflate_new(&p->options.inflate, &p->collector.sink, &inflate, err);
    if (r == 0)
        r = input->open(input->user, p, layer, err);
    while (r == 0 && (r = input->read(input->user, p, &bytes, &size, err)) == 0 && size > 0) {
        atomic_fetch_add_explicit(&p->read, size, memory_order_relaxed);
        r = dv_sink_write(dv_inflate_sink(inflate), bytes, size, err);
    }
    return r < 0 ? r : dv_sink_finish(dv_inflate_sink(inflate), err);
}

static int run_inflate(dv_pipeline *p, size_t *layer, davit_error **err)
{
    for (; *layer < p->options.count; ++*layer) {
        atomic_store(&p->read, 0);
        atomic_store(&p->reading, *layer);
        int r = inflate_layer(p, *layer, err);
        if (r < 0)
            return r;
    }
    atomic_store(&p->reading, *layer);
    return 0;
}

/* --- hashing ------------------------------------------------------------------------------------------------------- */

static int hash_layer(dv_pipeline *p, size_t layer, davit_error **err)
{
    DV_AUTO(dv_diff_id_sink) hash = DV_DIFF_ID_INIT;
    int r = dv_diff_id_init(&hash, /* next= */ NULL, err);
    for (bool last = false; r == 0 && !last;) {
        chunk *c;
        r = take_chunk(p, STAGE_HASH, &c, err);
        if (r < 0)
            return r;
        r = dv_sink_write(&hash.sink, c->bytes, c->size, err);
        last = c->last;
        if (r == 0 && last)
            r = dv_sink_finish(&hash.sink, err);
        if (r == 0 && last)
            r = dv_diff_id_check(&hash, &p->options.diff_ids[layer], p->options.layers[layer].digest.text,
                                 err);
        pass_on(p, STAGE_HASH, c);
    }
    return r;
}

static int run_hash(dv_pipeline *p, size_t *layer, davit_error **err)
{
    int r = 0;
    while (r == 0 && *layer < p->options.count) {
        r = hash_layer(p, *layer, err);
        *layer += r == 0;
    }
    return r;
}

/* --- applying ------------------------------------------------------------------------------------------------------ */

static int apply_layer(dv_pipeline *p, size_t layer, davit_error **err)
{
    const dv_layer_output *output = p->options.output;
    dv_sink *sink;
    int r = output ? output->layer(output->user, layer, &sink, err)
                   : dv_unpack_layer(p->unpack, p->options.layers[layer].digest.text, &sink, err);
    for (bool last = false; r == 0 && !last;) {
        chunk *c;
        r = take_chunk(p, STAGE_APPLY, &c, err);
        if (r < 0)
            return r;
        r = dv_sink_write(sink, c->bytes, c->size, err);
        last = c->last;
        pass_on(p, STAGE_APPLY, c);
        if (output)
            output->turn(output->user);
    }
    return r < 0 ? r : dv_sink_finish(sink, err);
}

static int apply_layers(dv_pipeline *p, size_t *layer, davit_error **err)
{
    int r = 0;
    while (r == 0 && *layer < p->options.count) {
        r = apply_layer(p, *layer, err);
        *layer += r == 0;
        atomic_store(&p->applied, *layer);
    }
    return r;
}

static int run_apply(dv_pipeline *p, size_t *layer, davit_error **err)
{
    if (p->options.output)
        return apply_layers(p, layer, err);
    int r = dv_unpack_thread_init(err);
    if (r < 0)
        *layer = p->options.count; /* it is no layer's fault */
    if (r == 0)
        r = dv_unpack_new(p->options.root_fd, &p->options.unpack, &p->unpack, err);
    if (r == 0)
        r = apply_layers(p, layer, err);
    return r < 0 ? r : dv_unpack_finish(p->unpack, err);
}

/* --- the whole ----------------------------------------------------------------------------------------------------- */

static void run_stage(dv_work *work)
{
    stage *s = (stage *)work;
    dv_pipeline *p = s->pipeline;
    davit_error *err = NULL;
    size_t layer = 0;
    int r = s->run(p, &layer, &err);
    if (r < 0)
        fail(p, layer, r, err);
    dv_queue_push(p->ended, &s->ended);
}

/* Those that are not the owner's. */
static unsigned pool_stages(const dv_pipeline *p)
{
    return p->options.output ? STAGE_APPLY : STAGES;
}

static int prepare(dv_pipeline *p, davit_error **err)
{
    static int (*const runs[STAGES])(dv_pipeline *, size_t *, davit_error **) = {run_inflate, run_hash,
                                                                                 run_apply};
    p->pool = dv_workpool_new(pool_stages(p));
    p->ended = dv_queue_new();
    bool all = p->pool && p->ended;
    for (int i = 0; i < STAGES; i++) {
        p->stages[i] = (stage){.work.run = run_stage, .pipeline = p, .run = runs[i], .input = dv_queue_new()};
        all = all && p->stages[i].input;
    }
    p->collector = (collector){.sink = {collect, collect_end}, .pipeline = p};
    return all && dv_workpool_start(p->pool, pool_stages(p)) ? 0 : dv_error_oom(err);
}

int dv_pipeline_start(const dv_pipeline_options *options, dv_pipeline **out, davit_error **err)
{
    DV_AUTOPTR(dv_pipeline) p = dv_new(dv_pipeline);
    if (!p)
        return dv_error_oom(err);
    p->options = *options;
    p->failed_layer = options->count;
    p->ended_count = STAGES;
    int r = prepare(p, err);
    if (r < 0)
        return r;
    p->ended_count = 0;
    for (unsigned i = 0; i < pool_stages(p); i++)
        dv_workpool_submit(p->pool, &p->stages[i].work);
    *out = DV_STEAL(p);
    return 0;
}

void dv_pipeline_run(dv_pipeline *p)
{
    run_stage(&p->stages[STAGE_APPLY].work);
}

bool dv_pipeline_ended(dv_pipeline *p, int timeout_ms)
{
    while (p->ended_count < STAGES && dv_queue_pop(p->ended, timeout_ms))
        p->ended_count++;
    return p->ended_count == STAGES;
}

bool dv_pipeline_has_failed(const dv_pipeline *p)
{
    return atomic_load(&p->stopped);
}

dv_pipeline_progress dv_pipeline_get_progress(dv_pipeline *p)
{
    return (dv_pipeline_progress){
        .applied = atomic_load(&p->applied),
        .reading = atomic_load(&p->reading),
        .read = atomic_load(&p->read),
    };
}

int dv_pipeline_failure(const dv_pipeline *p, size_t *out_layer)
{
    *out_layer = p->failed_layer;
    return p->result;
}

int dv_pipeline_result(dv_pipeline *p, size_t *out_layer, davit_error **err)
{
    if (out_layer)
        *out_layer = p->failed_layer;
    return p->result < 0 ? dv_error_move(err, &p->err, p->result) : 0;
}

const dv_unpack_report *dv_pipeline_report(const dv_pipeline *p)
{
    return dv_unpack_get_report(p->unpack);
}

unsigned dv_pipeline_root_mode(const dv_pipeline *p)
{
    return dv_unpack_root_mode(p->unpack);
}

static void drain(stage *s)
{
    for (dv_node *node; s->input && (node = dv_queue_pop(s->input, 0));)
        if (node != &s->wake)
            free(node);
    dv_queue_free(s->input);
}

void dv_pipeline_stop(dv_pipeline *p)
{
    if (!p)
        return;
    if (p->ended_count < STAGES)
        fail(p, p->options.count, DAVIT_ECANCELLED, NULL);
    dv_workpool_stop(p->pool);
}

void dv_pipeline_free(dv_pipeline *p)
{
    if (!p)
        return;
    dv_pipeline_stop(p);
    dv_workpool_free(p->pool);
    while (p->ended && dv_queue_pop(p->ended, 0))
        ;
    dv_queue_free(p->ended);
    for (int i = 0; i < STAGES; i++)
        drain(&p->stages[i]);
    free(p->collector.current);
    dv_unpack_free(p->unpack);
    davit_error_free(p->err);
    free(p);
}

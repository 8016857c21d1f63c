/*
 * distribution/blob_stream.c - davit_registry_get_blob(): one blob to a callback on the calling thread, no store. See blob_stream.h.
 *
 * The loop fills chunks, the calling thread hashes and passes them on. After a cut the next request asks from the first byte
 * that was not passed on; a server that does not resume ends it, since what was passed on cannot be taken back, unless the caller can.
 */
#include "distribution/blob_stream.h"

#include "distribution/endpoint_loop.h"
#include "registry/v2_blob.h"
#include "util/clock.h"
#include "util/hash.h"
#include "util/hex.h"

#include <string.h>

#define CHUNK_BYTES (128u << 10)
#define CHUNKS 4
#define WAIT_MS 100

typedef struct piece {
    dv_node node;
    size_t size;
    char bytes[CHUNK_BYTES];
} piece;

typedef struct blob_stream {
    dv_registry *registry;
    const davit_digest *digest;
    davit_write_fn write;
    void *user_data;
    dv_hash *hash;
    uint64_t passed;              /* bytes given to write: where the next attempt begins */
    bool callback_failed;         /* the caller's own reason, not to be repeated */
    const dv_blob_resume *resume; /* NULL: what was passed on cannot be taken back */
    bool restarted;

    dv_queue *full, *empty;
    unsigned made;
    dv_task start, cancel, wake;
    atomic_bool starved;
    /* Loop's side. */
    dv_blob_get *get;
    piece *current;
    bool paused;
    /* The end of an attempt, read after `end` came through full. */
    dv_node end;
    int result;
    bool refused;
    bool ignored; /* a Range was answered with the whole blob */
    davit_error *err;
} blob_stream;

static blob_stream *of(dv_task *task, size_t offset)
{
    return (blob_stream *)((char *)task - offset);
}

/* --- loop ------------------------------------------------------------------------------------------------------------ */

static int on_answer(void *user, dv_range_answer answer, uint64_t length, davit_error **err)
{
    blob_stream *b = user;
    b->ignored = b->passed > 0 && answer == DV_RANGE_WHOLE;
    if (b->ignored)
        return dv_error_set(err, DAVIT_EPROTOCOL,
                            "the registry ignores ranges, and %zu bytes were passed on already",
                            (size_t)b->passed);
    return 0;
}

static piece *take_piece(blob_stream *b)
{
    piece *p = (piece *)dv_queue_pop(b->empty, 0);
    if (!p && b->made < CHUNKS && (p = malloc(sizeof(*p))))
        b->made++;
    if (p)
        p->size = 0;
    return p;
}

static int on_body(void *user, const void *bytes, size_t size, davit_error **err)
{
    blob_stream *b = user;
    const char *from = bytes;
    if (b->current && CHUNK_BYTES - b->current->size < size)
        dv_queue_push(b->full, &DV_STEAL(b->current)->node);
    if (!b->current)
        b->current = take_piece(b);
    if (!b->current) {
        atomic_store(&b->starved, true);
        b->current = take_piece(b);
    }
    if (!b->current) {
        b->paused = true;
        return DV_HTTP_PAUSE;
    }
    memcpy(b->current->bytes + b->current->size, from, size);
    b->current->size += size;
    return 0;
}

static void on_done(void *user, int r, bool refused, davit_error *err)
{
    blob_stream *b = user;
    b->get = NULL;
    b->result = r;
    b->refused = refused;
    b->err = err;
    if (b->current)
        dv_queue_push(b->full, &DV_STEAL(b->current)->node);
    dv_queue_push(b->full, &b->end);
}

static const dv_blob_handler handler = {on_answer, on_body, on_done};

static void run_start(dv_task *task)
{
    blob_stream *b = of(task, offsetof(blob_stream, start));
    const dv_blob_range range = {
        .large = true, .asked = b->passed > 0, .first = b->passed, .last = DAVIT_SIZE_UNKNOWN};
    davit_error *err = NULL;
    int r = dv_blob_get_start(b->registry, b->digest, DAVIT_SIZE_UNKNOWN, /* document= */ false, &range,
                              &handler, b, &b->get, &err);
    if (r < 0)
        on_done(b, r, false, err);
}

static void run_cancel(dv_task *task)
{
    blob_stream *b = of(task, offsetof(blob_stream, cancel));
    if (b->get)
        dv_blob_get_cancel(DV_STEAL(b->get));
    if (b->current)
        dv_queue_push(b->full, &DV_STEAL(b->current)->node);
}

static void run_wake(dv_task *task)
{
    blob_stream *b = of(task, offsetof(blob_stream, wake));
    if (!b->paused || !b->get)
        return;
    b->paused = false;
    dv_blob_get_resume(b->get);
}

/* --- calling thread --------------------------------------------------------------------------------------------------- */

static int pass_on(blob_stream *b, piece *p, davit_error **err)
{
    int r = 0;
    dv_hash_update(b->hash, p->bytes, p->size);
    if (p->size > 0)
        r = b->write(p->bytes, p->size, b->user_data);
    b->passed += p->size;
    dv_queue_push(b->empty, &p->node);
    if (atomic_exchange(&b->starved, false)) {
        dv_loop_post_again(b->registry->client->loop, &b->wake);
        dv_loop_barrier(b->registry->client->loop); /* the one task is free again afterwards */
    }
    b->callback_failed = r != 0;
    return r < 0 ? dv_error_set(err, r, "writing the blob failed") : 0;
}

/* One request. */
static int attempt(blob_stream *b, davit_error **err)
{
    dv_loop *loop = b->registry->client->loop;
    int r = dv_loop_post(loop, &b->start, err);
    if (r < 0)
        return r;
    for (;;) {
        dv_node *node = dv_queue_pop(b->full, WAIT_MS);
        if (node == &b->end)
            break;
        if (node && r == 0)
            r = pass_on(b, (piece *)node, err);
        else if (node)
            dv_queue_push(b->empty, node);
        if (r == 0)
            r = dv_client_check_cancelled(b->registry->client, err);
        if (r < 0) {
            dv_loop_post_again(loop, &b->cancel);
            dv_loop_barrier(loop);
            while ((node = dv_queue_pop(b->full, 0)))
                if (node != &b->end)
                    dv_queue_push(b->empty, node);
            davit_error_free(DV_STEAL(b->err));
            return r;
        }
    }
    return b->result < 0 ? dv_error_move(err, &b->err, b->result) : 0;
}

/* Telling the seconds that are left, each once. */
static int wait_ms(const blob_stream *b, int64_t ms, davit_error **err)
{
    davit_client *c = b->registry->client;
    unsigned told = 0;
    for (int r; ms > 0; ms -= WAIT_MS) {
        unsigned left = (unsigned)((ms + 999) / 1000);
        if (b->resume && b->resume->retrying && left != told)
            b->resume->retrying(b->resume->user, left);
        told = left;
        dv_sleep_ms(ms < WAIT_MS ? (unsigned)ms : WAIT_MS);
        if ((r = dv_client_check_cancelled(c, err)) < 0)
            return r;
    }
    return 0;
}

/* Once: a server that does not resume costs no more than that (DESIGN 5). */
static bool may_restart(const blob_stream *b)
{
    return b->resume && !b->restarted && b->passed > 0 && (b->ignored || b->refused);
}

static int restart(blob_stream *b, davit_error **err)
{
    b->restarted = true;
    b->ignored = b->refused = false;
    b->passed = 0;
    dv_hash_reset(b->hash);
    int r = b->resume->restart(b->resume->user);
    return r < 0 ? dv_error_set(err, r, "the blob cannot be begun anew") : 0;
}

static int run(blob_stream *b, davit_error **err)
{
    davit_client *c = b->registry->client;
    davit_digest got;
    for (uint32_t n = 1;; n++) {
        DV_AUTOPTR(davit_error) why = NULL;
        uint64_t before = b->passed;
        uint32_t jitter;
        int r = attempt(b, &why);
        if (r == 0)
            break;
        if (may_restart(b) && !b->callback_failed) {
            if ((r = restart(b, err)) < 0)
                return r;
            continue;
        }
        if (b->passed - before >= DV_RETRY_PROGRESS_BYTES)
            n = 1;
        dv_random_bytes(&jitter, sizeof(jitter));
        int64_t delay =
            b->callback_failed || b->refused ? -1 : dv_retry_delay_ms(&c->retry, n + 1, why, jitter);
        if (delay < 0)
            return dv_error_move(err, &why, r);
        r = wait_ms(b, delay, err);
        if (r < 0)
            return r;
    }
    dv_hash_final(b->hash, &got);
    if (!davit_digest_equal(&got, b->digest))
        return dv_error_set(err, DAVIT_EDIGEST, "blob verification failed for digest %s", b->digest->text);
    return 0;
}

typedef struct blob_question {
    const davit_digest *digest;
    davit_write_fn write;
    void *user_data;
    uint64_t size;
    davit_error *why; /* an error after bytes were passed on: no other endpoint may be asked */
} blob_question;

static void drain(dv_queue *q)
{
    for (dv_node *node; q && (node = dv_queue_pop(q, 0));)
        free(node);
    dv_queue_free(q);
}

int dv_blob_stream_on(dv_registry *reg, const davit_digest *digest, const dv_blob_resume *resume,
                      davit_write_fn write, void *user_data, uint64_t *out_passed, davit_error **err)
{
    blob_stream b = {
        .registry = reg,
        .digest = digest,
        .write = write,
        .user_data = user_data,
        .hash = resume ? resume->hash : dv_hash_new(digest->algorithm),
        .passed = resume ? resume->at : 0,
        .resume = resume,
        .full = dv_queue_new(),
        .empty = dv_queue_new(),
        .start.run = run_start,
        .cancel.run = run_cancel,
        .wake.run = run_wake,
    };
    int r = b.hash && b.full && b.empty ? run(&b, err) : dv_error_oom(err);
    if (!resume)
        dv_hash_free(b.hash);
    drain(b.full);
    drain(b.empty);
    *out_passed = b.passed;
    return r;
}

int dv_blob_stream(dv_registry *reg, const davit_digest *digest, davit_write_fn write, void *user_data,
                   uint64_t *out_passed, davit_error **err)
{
    return dv_blob_stream_on(reg, digest, /* resume= */ NULL, write, user_data, out_passed, err);
}

static int ask_blob(dv_registry *reg, void *user, davit_error **err)
{
    blob_question *q = user;
    int r = dv_blob_stream(reg, q->digest, q->write, q->user_data, &q->size, err);
    if (r < 0 && q->size > 0) {
        q->why = DV_STEAL(*err);
        return 0;
    }
    return r;
}

int davit_registry_get_blob(davit_client *client, const davit_reference *ref, const davit_digest *digest,
                            davit_write_fn write, void *user_data, uint64_t *out_size, davit_error **err)
{
    blob_question q = {.digest = digest, .write = write, .user_data = user_data};
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_endpoint_loop(client, ref, DV_ASK_BY_DIGEST, /* credentials= */ NULL, ask_blob, &q, &why);
    if (q.why)
        return dv_error_move(err, &q.why, davit_error_code(q.why));
    if (r < 0)
        return dv_error_move(err, &why, r);
    if (out_size)
        *out_size = q.size;
    return 0;
}

/*
 * distribution/registry_body.c - see registry_body.h. Threads: loop.
 *
 * States: idle (nothing was read yet), starting (a turn of its own begins a request), loading, waiting to repeat, over. A request is never begun or
 * ended from within the reader's callbacks: libcurl would be entered twice.
 */
#include "distribution/registry_body.h"

#include "net/pipe_body.h"
#include "registry/v2_blob.h"
#include "util/hash.h"
#include "util/hex.h"
#include "util/log.h"

#include <inttypes.h>

struct dv_registry_body {
    dv_body body; /* hands reads on, and begins the download */
    dv_pipe_body *pipe;
    dv_registry *registry;
    const davit_descriptor *blob;
    dv_hash *hash;
    uint64_t hashed; /* bytes that are in it, in order */
    uint64_t at;     /* of the next byte that goes into the pipe */
    uint64_t skip;   /* bytes of this answer that come before that: the server ignores ranges */
    bool begun, over, fresh;
    bool stale;    /* this answer's bytes are not wanted */
    bool whole;    /* no more ranges here */
    dv_timer turn; /* begins a request, now or later */
    dv_blob_get *get;
    uint32_t attempt;
    uint64_t attempt_at; /* where the attempts since the last progress began */
};

static dv_registry_body *of_timer(dv_timer *timer)
{
    return (dv_registry_body *)((char *)timer - offsetof(dv_registry_body, turn));
}

static davit_client *client_of(const dv_registry_body *b)
{
    return b->registry->client;
}

static void start_later(dv_registry_body *b, uint64_t delay_ms)
{
    dv_timer_start(client_of(b)->loop, &b->turn, delay_ms);
}

/* --- the download --------------------------------------------------------------------------------------------------------------------- */

static int on_answer(void *user, dv_range_answer answer, uint64_t length, davit_error **err)
{
    dv_registry_body *b = user;
    uint64_t expected = b->blob->size - (answer == DV_RANGE_WHOLE ? 0 : b->at);
    if (b->stale)
        return 0;
    b->skip = answer == DV_RANGE_WHOLE ? b->at : 0;
    if (length == DAVIT_SIZE_UNKNOWN || length == expected)
        return 0;
    return dv_error_set(err, DAVIT_EDIGEST,
                        "blob %s: the registry gives %" PRIu64 " bytes where %" PRIu64 " are due",
                        b->blob->digest.text, length, expected);
}

/*
 * What comes for the first time, in order; at the end it must be the blob. Of a body that was begun within, whose first bytes the reader has
 * from elsewhere, nothing can be said: what those and these are together is for the registry that gets them to judge, by the digest.
 */
static int check(dv_registry_body *b, const void *bytes, size_t size, davit_error **err)
{
    davit_digest got;
    if (b->at > b->hashed) /* behind what an earlier run sent */
        return 0;
    uint64_t known = b->hashed - b->at;
    if (known >= size)
        return 0;
    dv_hash_update(b->hash, (const char *)bytes + known, size - (size_t)known);
    b->hashed += size - known;
    if (b->hashed < b->blob->size)
        return 0;
    dv_hash_final(b->hash, &got);
    return davit_digest_equal(&got, &b->blob->digest)
               ? 0
               : dv_error_set(err, DAVIT_EDIGEST, "blob verification failed for digest %s",
                              b->blob->digest.text);
}

static int on_body(void *user, const void *bytes, size_t size, davit_error **err)
{
    dv_registry_body *b = user;
    const char *from = bytes;
    if (b->stale)
        return 0;
    if (b->skip >= size) {
        b->skip -= size;
        return 0;
    }
    from += b->skip;
    size -= (size_t)b->skip;
    if (size > b->blob->size - b->at)
        return dv_error_set(err, DAVIT_EDIGEST, "blob %s is longer than its %" PRIu64 " bytes",
                            b->blob->digest.text, b->blob->size);
    if (!dv_pipe_body_fits(b->pipe, size))
        return dv_pipe_body_write(b->pipe, from, size);
    b->skip = 0;
    int r = check(b, from, size, err);
    if (r < 0)
        return r;
    b->at += size;
    return dv_pipe_body_write(b->pipe, from, size);
}

/* For good: all that could be repeated was. Takes err. */
static void fail(dv_registry_body *b, int r, davit_error *err)
{
    dv_error_wrap(&err, r, "from %s", b->registry->domain);
    if (davit_error_code(err) != DAVIT_ENOMEM)
        err->final = true;
    b->over = true;
    dv_pipe_body_fail(b->pipe, r, err);
}

/* Repeat, now or later, or give up. Takes err. */
static void failed(dv_registry_body *b, int r, bool refused, davit_error *err)
{
    uint32_t jitter;
    dv_random_bytes(&jitter, sizeof(jitter));
    if (b->at - b->attempt_at >= DV_RETRY_PROGRESS_BYTES || b->at < b->attempt_at) {
        b->attempt = 0;
        b->attempt_at = b->at;
    }
    if (refused && !b->whole && b->at > 0) { /* one restart of the blob (DESIGN 5) */
        b->whole = true;
        davit_error_free(err);
        start_later(b, 0);
        return;
    }
    b->attempt++;
    int64_t delay = refused || r == DAVIT_EDIGEST
                        ? -1
                        : dv_retry_delay_ms(&client_of(b)->retry, b->attempt + 1, err, jitter);
    if (delay < 0) {
        fail(b, r, err);
        return;
    }
    dv_trace(XFER, "%s: again from %" PRIu64 " in %" PRId64 " ms: %s", b->blob->digest.text, b->at, delay,
             davit_error_message(err));
    davit_error_free(err);
    b->fresh = true;
    start_later(b, (uint64_t)delay);
}

static void on_done(void *user, int r, bool refused, davit_error *err)
{
    dv_registry_body *b = user;
    b->get = NULL;
    if (b->stale) { /* a seek came meanwhile, and has asked for a turn */
        davit_error_free(err);
        return;
    }
    if (r == 0 && b->at < b->blob->size)
        r = dv_error_set(&err, DAVIT_ENETWORK, "blob %s ends after %" PRIu64 " bytes", b->blob->digest.text,
                         b->at);
    if (r < 0)
        failed(b, r, refused, err);
    else
        dv_pipe_body_end(b->pipe);
}

static const dv_blob_handler blob_handler = {on_answer, on_body, on_done};

static void on_turn(dv_timer *timer)
{
    dv_registry_body *b = of_timer(timer);
    davit_error *err = NULL;
    if (b->get)
        dv_blob_get_cancel(DV_STEAL(b->get));
    b->stale = false;
    if (b->at == b->blob->size && b->at > 0) {
        dv_pipe_body_end(b->pipe);
        return;
    }
    bool asked = b->at > 0 && !b->whole;
    const dv_blob_range range = {.asked = asked,
                                 .first = asked ? b->at : 0,
                                 .last = DAVIT_SIZE_UNKNOWN,
                                 .fresh = b->fresh}; /* not large: small pieces fill a small pipe evenly */
    b->fresh = false;
    int r = dv_blob_get_start(b->registry, &b->blob->digest, b->blob->size, /* document= */ false, &range,
                              &blob_handler, b, &b->get, &err);
    if (r < 0)
        fail(b, r, err);
}

/* --- the pipe ----------------------------------------------------------------------------------------------------------------------------- */

static void on_space(void *user)
{
    dv_registry_body *b = user;
    if (b->get && !b->stale)
        dv_blob_get_resume(b->get);
}

static int on_seek(void *user, uint64_t offset, davit_error **err)
{
    dv_registry_body *b = user;
    (void)err;
    b->at = offset;
    b->stale = b->get != NULL;
    if (b->begun && !b->over)
        start_later(b, 0);
    return 0;
}

static const dv_pipe_body_handler pipe_handler = {.on_space = on_space, .on_seek = on_seek};

/* --- the body -------------------------------------------------------------------------------------------------------------------------------- */

static void pipe_wake(void *user)
{
    dv_body_wake(&((dv_registry_body *)user)->body);
}

static int64_t body_read(dv_body *body, void *into, size_t max, davit_error **err)
{
    dv_registry_body *b = (dv_registry_body *)body;
    dv_body *pipe = dv_pipe_body_body(b->pipe);
    if (!b->begun) {
        b->begun = true;
        pipe->on_wake = pipe_wake;
        pipe->wake_user = b;
        start_later(b, 0);
    }
    return dv_body_read(pipe, into, max, err);
}

static int body_seek(dv_body *body, uint64_t offset, davit_error **err)
{
    dv_registry_body *b = (dv_registry_body *)body;
    if (offset > b->blob->size)
        return dv_error_set(err, DAVIT_EINVAL, "there is nothing behind the end");
    return dv_body_seek(dv_pipe_body_body(b->pipe), offset, err);
}

int dv_registry_body_new(dv_registry *registry, const davit_descriptor *blob, dv_registry_body **out,
                         davit_error **err)
{
    dv_registry_body *b = dv_new(dv_registry_body);
    if (!b)
        return dv_error_oom(err);
    b->body = (dv_body){.size = blob->size, .read = body_read, .seek = body_seek};
    b->registry = registry;
    b->blob = blob;
    b->turn.fire = on_turn;
    b->hash = dv_hash_new(blob->digest.algorithm);
    int r = b->hash ? dv_pipe_body_new(registry->client->loop, blob->size, &pipe_handler, b, &b->pipe, err)
                    : dv_error_oom(err);
    if (r < 0) {
        dv_registry_body_free(b);
        return r;
    }
    *out = b;
    return 0;
}

void dv_registry_body_free(dv_registry_body *b)
{
    if (!b)
        return;
    dv_timer_stop(&b->turn);
    if (b->get)
        dv_blob_get_cancel(b->get);
    dv_pipe_body_free(b->pipe);
    dv_hash_free(b->hash);
    free(b);
}

dv_body *dv_registry_body_body(dv_registry_body *b)
{
    return &b->body;
}

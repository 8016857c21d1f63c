/*
 * distribution/blob_upload.c - see blob_upload.h. The loop sends; a worker waits for the pipe, never longer than a moment, so that an upload that
 * ends early is not held up by whoever writes into it.
 */
#include "distribution/blob_upload.h"

#include "registry/upload_bytes.h"
#include "registry/v2_blob.h"
#include "registry/v2_upload.h"
#include "util/file.h"
#include "util/hash.h"
#include "util/queue.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#define HASH_PIECE (1u << 20)
#define PIPE_PIECE (256u << 10)
#define PIPE_AHEAD \
    (4u << 20) /* a pipe that ends within is sent with its length, which every registry takes */
#define PIPE_WAIT_MS 100

int dv_file_digest(int fd, const char *what, davit_digest_algorithm algorithm, davit_digest *out,
                   uint64_t *out_size, davit_error **err)
{
    DV_AUTOPTR(dv_hash) hash = dv_hash_new(algorithm);
    DV_AUTOFREE char *piece = malloc(HASH_PIECE);
    uint64_t at = 0;
    if (!hash || !piece)
        return dv_error_oom(err);
    for (;;) {
        ssize_t n = dv_pread_all(fd, piece, HASH_PIECE, at);
        if (n < 0)
            return dv_error_file(err, (int)-n, "cannot read %s", what);
        if (n == 0)
            break;
        dv_hash_update(hash, piece, (size_t)n);
        at += (uint64_t)n;
    }
    dv_hash_final(hash, out);
    *out_size = at;
    return 0;
}

/* --- a descriptor as a body ------------------------------------------------------------------------------------------------ */

/*
 * States: idle; fetching (a worker has the piece); the piece holds bytes from `used` on; ended. What was read is gone, so it does not
 * seek.
 */
typedef struct fd_body {
    dv_body body;
    davit_client *client;
    int fd;
    dv_hash *hash;
    unsigned char *piece;
    size_t piece_size, used;
    dv_work work;
    dv_task done;
    int failed; /* errno of the worker's read */
    bool fetching, ended, closed;
    dv_node idle; /* pushed when it was closed and the worker is back */
    dv_queue *queue;
} fd_body;

/* Threads: worker. */
static void fd_fetch(dv_work *work)
{
    fd_body *p = (fd_body *)((char *)work - offsetof(fd_body, work));
    struct pollfd ready = {.fd = p->fd, .events = POLLIN};
    p->piece_size = p->used = 0;
    if (poll(&ready, 1, PIPE_WAIT_MS) > 0) {
        ssize_t n = read(p->fd, p->piece, PIPE_PIECE);
        p->failed = n < 0 && errno != EINTR && errno != EAGAIN ? errno : 0;
        p->ended = n == 0;
        p->piece_size = n > 0 ? (size_t)n : 0;
        if (n > 0)
            dv_hash_update(p->hash, p->piece, (size_t)n);
    }
    dv_loop_post_again(p->client->loop, &p->done);
}

/* Threads: loop. */
static void fd_fetched(dv_task *task)
{
    fd_body *p = (fd_body *)((char *)task - offsetof(fd_body, done));
    p->fetching = false;
    if (p->closed)
        dv_queue_push(p->queue, &p->idle);
    else if (p->piece_size > 0 || p->ended || p->failed)
        dv_body_wake(&p->body);
    else {
        p->fetching = true;
        dv_workpool_submit(p->client->pool, &p->work);
    }
}

static int64_t fd_read(dv_body *b, void *into, size_t max, davit_error **err)
{
    fd_body *p = (fd_body *)b;
    if (p->fetching)
        return DV_BODY_LATER;
    if (p->failed)
        return dv_error_file(err, p->failed, "cannot read what is to be sent");
    size_t left = p->piece_size - p->used, n = left < max ? left : max;
    if (n > 0) {
        memcpy(into, p->piece + p->used, n);
        p->used += n;
        return (int64_t)n;
    }
    if (p->ended)
        return 0;
    p->fetching = true;
    dv_workpool_submit(p->client->pool, &p->work);
    return DV_BODY_LATER;
}

/* --- an upload that is waited for ---------------------------------------------------------------------------------------- */

typedef struct upload {
    dv_task task, cancel;
    dv_node done;
    dv_queue *queue;
    dv_registry *registry;
    const davit_digest *expected;
    fd_body *pipe;
    dv_upload *upload;
    davit_digest learnt;
    uint64_t size;
    int result;
    davit_error *err;
} upload;

static int check_expected(const davit_digest *expected, const davit_digest *actual, davit_error **err)
{
    if (!expected || davit_digest_equal(expected, actual))
        return 0;
    return dv_error_set(err, DAVIT_EDIGEST, "what was to be sent is %s and not %s", actual->text,
                        expected->text);
}

/* Threads: loop. */
static int on_digest(void *user, davit_digest *out, davit_error **err)
{
    upload *u = user;
    dv_hash_final(u->pipe->hash, &u->learnt);
    int r = check_expected(u->expected, &u->learnt, err);
    if (r == 0)
        *out = u->learnt;
    return r;
}

static void on_done(void *user, int r, uint64_t size, davit_error *err)
{
    upload *u = user;
    u->upload = NULL;
    u->result = r;
    u->size = size;
    u->err = err;
    if (u->pipe->fetching)
        u->pipe->closed = true; /* the worker's return ends it */
    else
        dv_queue_push(u->queue, &u->pipe->idle);
    dv_queue_push(u->queue, &u->done);
}

static const dv_upload_handler handler = {.on_digest = on_digest, .on_done = on_done};

static void run_start(dv_task *task)
{
    upload *u = (upload *)task;
    davit_error *err = NULL;
    int r = dv_upload_start(
        u->registry,
        &(dv_upload_spec){.size = DAVIT_SIZE_UNKNOWN, .body = &u->pipe->body, .handler = &handler, .user = u},
        &u->upload, &err);
    if (r < 0)
        on_done(u, r, 0, err);
}

static void run_cancel(dv_task *task)
{
    upload *u = (upload *)((char *)task - offsetof(upload, cancel));
    davit_error *err = NULL;
    if (!u->upload)
        return;
    dv_upload_cancel(u->upload);
    int r = dv_error_set(&err, DAVIT_ECANCELLED, "cancelled");
    on_done(u, r, 0, err);
}

/* Until the upload has ended, and the worker is back with the pipe. */
static void wait_for_end(upload *u, davit_client *client)
{
    unsigned left = 2;
    bool cancelling = false;
    while (left > 0) {
        if (dv_queue_pop(u->queue, cancelling ? -1 : 100))
            left--;
        else if (atomic_load(&client->cancelled)) {
            cancelling = true;
            dv_loop_post_again(client->loop, &u->cancel);
        }
    }
    if (cancelling)
        dv_loop_barrier(client->loop);
}

static int run_upload(upload *u, davit_error **err)
{
    davit_client *client = u->registry->client;
    u->task.run = run_start;
    u->cancel.run = run_cancel;
    int r = dv_client_check_cancelled(client, err);
    if (r == 0)
        r = dv_loop_post(client->loop, &u->task, err);
    if (r < 0)
        return r;
    wait_for_end(u, client);
    return dv_error_move(err, &u->err, u->result);
}

/* 1: the registry has it. */
static int has_blob(dv_registry *reg, const davit_digest *digest, uint64_t size, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    uint64_t there = 0;
    int r = dv_v2_blob_head(reg, digest, &there, &why);
    if (r == DAVIT_ENOTFOUND)
        return 0;
    if (r < 0)
        return dv_error_move(err, &why, r);
    if (there != size)
        return dv_error_set(err, DAVIT_EPROTOCOL,
                            "the registry has blob %s with %" PRIu64 " bytes in place of %" PRIu64,
                            digest->text, there, size);
    return 1;
}

/* The beginning of a pipe, by the calling thread. *out_ended: that was all of it. */
static int read_ahead(davit_client *client, int fd, unsigned char *into, size_t *out_size, bool *out_ended,
                      davit_error **err)
{
    size_t at = 0;
    *out_ended = false;
    while (at < PIPE_AHEAD && !*out_ended) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        int r = dv_client_check_cancelled(client, err);
        if (r < 0)
            return r;
        if (poll(&ready, 1, PIPE_WAIT_MS) <= 0)
            continue;
        ssize_t n = read(fd, into + at, PIPE_AHEAD - at);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return dv_error_file(err, errno, "cannot read what is to be sent");
        *out_ended = n == 0;
        at += n > 0 ? (size_t)n : 0;
    }
    *out_size = at;
    return 0;
}

static int upload_short(dv_registry *reg, const void *bytes, size_t size, const davit_digest *expected,
                        davit_digest *out_digest, uint64_t *out_size, davit_error **err)
{
    davit_digest digest;
    int r = davit_digest_of(expected ? expected->algorithm : DAVIT_SHA256, bytes, size, &digest, err);
    if (r == 0)
        r = check_expected(expected, &digest, err);
    if (r == 0)
        r = has_blob(reg, &digest, size, err);
    if (r == 0)
        r = dv_v2_upload_bytes(reg, &digest, bytes, size, err);
    if (r < 0)
        return r;
    *out_digest = digest;
    *out_size = size;
    return 0;
}

int dv_blob_upload_stream(dv_registry *reg, int fd, const davit_digest *expected, davit_digest *out_digest,
                          uint64_t *out_size, davit_error **err)
{
    davit_client *client = reg->client;
    DV_AUTOFREE unsigned char *piece = malloc(PIPE_AHEAD);
    size_t ahead = 0;
    bool ended;
    int r = piece ? read_ahead(client, fd, piece, &ahead, &ended, err) : dv_error_oom(err);
    if (r < 0)
        return r;
    if (ended)
        return upload_short(reg, piece, ahead, expected, out_digest, out_size, err);
    DV_AUTOPTR(dv_hash) hash = dv_hash_new(expected ? expected->algorithm : DAVIT_SHA256);
    dv_queue *queue = dv_queue_new();
    fd_body p = {.body = {.size = DAVIT_SIZE_UNKNOWN, .read = fd_read},
                 .client = client,
                 .fd = fd,
                 .hash = hash,
                 .piece = piece,
                 .piece_size = ahead,
                 .work.run = fd_fetch,
                 .done.run = fd_fetched,
                 .queue = queue};
    upload u = {.registry = reg, .expected = expected, .pipe = &p, .queue = queue};
    if (hash && queue) {
        dv_hash_update(hash, piece, ahead);
        r = run_upload(&u, err);
        if (r < 0 && err && davit_error_http_status(*err) == 411)
            dv_error_wrap(err, r,
                          "this registry takes nothing of unknown length, so send a file in place of a pipe");
    } else {
        r = dv_error_oom(err);
    }
    dv_queue_free(queue);
    if (r < 0)
        return r;
    *out_digest = u.learnt;
    *out_size = u.size;
    return 0;
}

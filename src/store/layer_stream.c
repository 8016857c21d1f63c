/*
 * store/layer_stream.c - davit_layer_open_tar(): the blob of a layer, inflated again and held against the layer's diff_id.
 *
 * A thread inflates into one end of a pair of sockets, whose buffer is all that is between it and the reader. When the reader stops early its
 * end is closed, and the thread's next write fails.
 */
#include "archive/compress.h"
#include "archive/diff_id.h"
#include "store/content_store.h"
#include "store/layer_store.h"
#include "util/file.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>

#define PIECE (64u << 10)       /* bytes of the blob at once */
#define STACK_SIZE (512u << 10) /* bytes */

typedef struct tar_stream {
    dv_sink sink; /* first: what the thread writes to */
    davit_layer *layer;
    int blob_fd;
    int ends[2]; /* the reader's, the thread's */
    pthread_t thread;
    bool joined;
    int result; /* of the thread, once it is joined */
    davit_error *err;
} tar_stream;

static int send_piece(dv_sink *sink, const void *bytes, size_t size, davit_error **err)
{
    tar_stream *s = (tar_stream *)sink;
    const char *p = bytes;
    while (size > 0) {
        ssize_t n = send(s->ends[1], p, size, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return dv_error_set(err, DAVIT_ECANCELLED, "nobody reads the layer any more");
        p += n > 0 ? n : 0;
        size -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int send_end(dv_sink *sink, davit_error **err)
{
    (void)sink, (void)err;
    return 0;
}

static int feed(tar_stream *s, dv_inflate *codec, davit_error **err)
{
    DV_AUTOFREE char *bytes = malloc(PIECE);
    ssize_t n = 1;
    int r = 0;
    if (!bytes)
        return dv_error_oom(err);
    for (uint64_t at = 0; r == 0 && n > 0; at += (uint64_t)n) {
        n = dv_pread_all(s->blob_fd, bytes, PIECE, at);
        if (n < 0)
            return dv_error_file(err, (int)-n, "cannot read blob %s", s->layer->blob.text);
        r = dv_sink_write(dv_inflate_sink(codec), bytes, (size_t)n, err);
    }
    return r < 0 ? r : dv_sink_finish(dv_inflate_sink(codec), err);
}

static int unverified(const tar_stream *s, davit_error **err)
{
    return dv_error_set(
        err, DAVIT_EDIGEST,
        "could not verify layer data for: %s. This may be because internal files in the layer store "
        "were modified. Re-pulling or rebuilding this image may resolve the issue",
        s->layer->info.diff_id.text);
}

static int inflate_all(tar_stream *s, davit_error **err)
{
    const dv_inflate_options options = {.allow_old = true, .max_output = UINT64_MAX};
    DV_AUTO(dv_diff_id_sink) diff_id = DV_DIFF_ID_INIT;
    DV_AUTOPTR(dv_inflate) codec = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    davit_digest got;
    int r = dv_diff_id_init(&diff_id, &s->sink, err);
    if (r == 0)
        r = dv_inflate_new(&options, &diff_id.sink, &codec, err);
    if (r < 0)
        return r;
    r = feed(s, codec, &why);
    if (r < 0) /* it could be inflated when it was registered */
        return r == DAVIT_EFORMAT || r == DAVIT_ETOOBIG ? unverified(s, err) : dv_error_move(err, &why, r);
    dv_diff_id_get(&diff_id, &got);
    return davit_digest_equal(&got, &s->layer->info.diff_id) ? 0 : unverified(s, err);
}

static void *run(void *user)
{
    tar_stream *s = user;
    s->result = inflate_all(s, &s->err);
    shutdown(s->ends[1], SHUT_WR);
    return NULL;
}

/* Signals belong to the embedder's threads: ours block them all. */
static int start_thread(tar_stream *s)
{
    sigset_t all, before;
    pthread_attr_t attributes;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    int r = pthread_create(&s->thread, &attributes, run, s);
    pthread_attr_destroy(&attributes);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

static void join(tar_stream *s)
{
    if (!s->joined)
        pthread_join(s->thread, NULL);
    s->joined = true;
}

static int read_tar(void *user_data, void *bytes, size_t size, size_t *out_size, davit_error **err)
{
    tar_stream *s = user_data;
    ssize_t n;
    do
        n = recv(s->ends[0], bytes, size, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return dv_error_file(err, errno, "cannot read layer %s", s->layer->info.chain_id.text);
    if (n == 0 && size > 0) {
        join(s);
        if (s->result < 0) {
            davit_error *why = dv_error_copy(s->err);
            return dv_error_move(err, &why, s->result);
        }
    }
    *out_size = (size_t)n;
    return 0;
}

static void stream_free(tar_stream *s)
{
    if (!s)
        return;
    dv_close(&s->ends[0]);
    join(s);
    dv_close(&s->ends[1]);
    dv_close(&s->blob_fd);
    davit_error_free(s->err);
    free(s);
}

static void close_tar(void *user_data)
{
    stream_free(user_data);
}

static void stream_autofree(tar_stream **s)
{
    stream_free(*s);
}

int davit_layer_open_tar(davit_layer *layer, davit_layer_stream *out, davit_error **err)
{
    __attribute__((cleanup(stream_autofree))) tar_stream *s = dv_new(tar_stream);
    uint64_t size;
    if (!s)
        return dv_error_oom(err);
    *s = (tar_stream){.sink = {.write = send_piece, .finish = send_end},
                      .layer = layer,
                      .blob_fd = -1,
                      .ends = {-1, -1},
                      .joined = true};
    int r = dv_content_open(layer->layers->store, &layer->blob, DAVIT_SIZE_UNKNOWN, &s->blob_fd, &size, err);
    if (r < 0)
        return r;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s->ends) < 0)
        return dv_error_file(err, errno, "cannot read layer %s", layer->info.chain_id.text);
    s->joined = false;
    int errnum = start_thread(s);
    s->joined = errnum != 0;
    if (errnum != 0)
        return dv_error_file(err, errnum, "cannot start a thread");
    *out = (davit_layer_stream){
        .size = sizeof(*out), .user_data = DV_STEAL(s), .read = read_tar, .close = close_tar};
    return 0;
}

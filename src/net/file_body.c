/*
 * net/file_body.c - see file_body.h.
 *
 * States: idle; fetching (a worker fills the chunk, nothing else touches it); the chunk holds bytes from chunk_at on. A read that
 * the page cache cannot answer at once starts the worker, whose reading brings the kernel's read-ahead: what follows mostly is in the
 * cache then.
 */
#include "net/file_body.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define CHUNK (256u << 10)

struct dv_file_body {
    dv_body body;
    dv_loop *loop;
    dv_workpool *pool;
    int fd;
    uint64_t first;
    unsigned char *chunk; /* made when a worker is needed */
    uint64_t chunk_at;    /* offset within the body */
    size_t chunk_size;
    dv_work work;
    dv_task done;
    uint64_t wanted; /* bytes for the worker to read */
    int failed;      /* errno of the worker's read, -1: the end came early */
    bool fetching, closed, waits_for_all;
};

static void release(dv_file_body *f)
{
    close(f->fd);
    free(f->chunk);
    free(f);
}

void dv_file_body_free(dv_file_body *f)
{
    if (!f)
        return;
    f->body.on_wake = NULL;
    f->closed = true;
    if (!f->fetching)
        release(f);
}

dv_body *dv_file_body_body(dv_file_body *f)
{
    return &f->body;
}

/* Threads: loop. */
static void fetched(dv_task *task)
{
    dv_file_body *f = (dv_file_body *)((char *)task - offsetof(dv_file_body, done));
    f->fetching = false;
    if (f->closed)
        release(f);
    else
        dv_body_wake(&f->body);
}

/* Threads: worker. */
static void fetch(dv_work *work)
{
    dv_file_body *f = (dv_file_body *)((char *)work - offsetof(dv_file_body, work));
    ssize_t n;
    do
        n = pread(f->fd, f->chunk, (size_t)f->wanted, (off_t)(f->first + f->chunk_at));
    while (n < 0 && errno == EINTR);
    f->failed = n < 0 ? errno : n == 0 ? -1 : 0;
    f->chunk_size = n > 0 ? (size_t)n : 0;
    dv_loop_post_again(f->loop, &f->done);
}

static int64_t start_fetch(dv_file_body *f, davit_error **err)
{
    if (!f->chunk)
        f->chunk = malloc(CHUNK);
    if (!f->chunk)
        return dv_error_oom(err);
    uint64_t left = f->body.size - f->body.at;
    f->wanted = left < CHUNK ? left : CHUNK;
    f->chunk_at = f->body.at;
    f->chunk_size = 0;
    f->fetching = true;
    dv_workpool_submit(f->pool, &f->work);
    return DV_BODY_LATER;
}

/* What the page cache has, without waiting; 0: a worker has to. */
static ssize_t read_cached(dv_file_body *f, void *into, size_t max)
{
#ifdef RWF_NOWAIT
    struct iovec to = {into, max};
    ssize_t n = f->waits_for_all ? 0 : preadv2(f->fd, &to, 1, (off_t)(f->first + f->body.at), RWF_NOWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        f->waits_for_all = true; /* a file system that cannot tell */
    return n < 0 ? 0 : n;
#else
    return 0;
#endif
}

static int64_t file_read(dv_body *b, void *into, size_t max, davit_error **err)
{
    dv_file_body *f = (dv_file_body *)b;
    uint64_t left = b->size - b->at;
    if (left == 0)
        return 0;
    if (f->fetching)
        return DV_BODY_LATER;
    if (f->failed > 0)
        return dv_error_file(err, f->failed, "a file that is sent");
    if (f->failed < 0)
        return dv_error_set(err, DAVIT_EIO, "a file that is sent ends %llu bytes early",
                            (unsigned long long)left);
    size_t n = left < max ? (size_t)left : max;
    if (b->at >= f->chunk_at && b->at < f->chunk_at + f->chunk_size) {
        size_t skip = (size_t)(b->at - f->chunk_at);
        if (n > f->chunk_size - skip)
            n = f->chunk_size - skip;
        memcpy(into, f->chunk + skip, n);
        return (int64_t)n;
    }
    ssize_t cached = read_cached(f, into, n);
    return cached > 0 ? cached : start_fetch(f, err);
}

static int file_seek(dv_body *b, uint64_t offset, davit_error **err)
{
    return offset <= b->size ? 0 : dv_error_set(err, DAVIT_EINVAL, "there is nothing behind the end");
}

int dv_file_body_new(dv_loop *loop, dv_workpool *pool, int fd, uint64_t first, uint64_t size,
                     dv_file_body **out, davit_error **err)
{
    dv_file_body *f = dv_new(dv_file_body);
    if (!f) {
        close(fd);
        return dv_error_oom(err);
    }
    f->body = (dv_body){.size = size, .read = file_read, .seek = file_seek};
    f->loop = loop;
    f->pool = pool;
    f->fd = fd;
    f->first = first;
    f->work.run = fetch;
    f->done.run = fetched;
    *out = f;
    return 0;
}

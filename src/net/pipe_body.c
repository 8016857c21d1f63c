/*
 * net/pipe_body.c - see pipe_body.h. The reader is woken and the writer called back from turns of their own, by timers: neither may be
 * resumed from within a callback of the other.
 */
#include "net/pipe_body.h"

#include "net/http_client.h"

#include <assert.h>
#include <string.h>

#define SMALL (1u << 20) /* bytes: of smaller bodies many are under way at once */

struct dv_pipe_body {
    dv_body body;
    dv_loop *loop;
    dv_timer wake, space;
    const dv_pipe_body_handler *handler;
    void *user;
    size_t start, used; /* in the ring */
    bool full;          /* a write was refused */
    bool ended;
    int result;
    davit_error *err;
    size_t room; /* bytes of the ring */
    unsigned char ring[];
};

void dv_pipe_body_free(dv_pipe_body *p)
{
    if (!p)
        return;
    dv_timer_stop(&p->wake);
    dv_timer_stop(&p->space);
    davit_error_free(p->err);
    free(p);
}

dv_body *dv_pipe_body_body(dv_pipe_body *p)
{
    return &p->body;
}

static void on_wake(dv_timer *timer)
{
    dv_body_wake(&((dv_pipe_body *)((char *)timer - offsetof(dv_pipe_body, wake)))->body);
}

static void on_space(dv_timer *timer)
{
    dv_pipe_body *p = (dv_pipe_body *)((char *)timer - offsetof(dv_pipe_body, space));
    p->handler->on_space(p->user);
}

static void wake_later(dv_pipe_body *p)
{
    if (!p->wake.at_ms)
        dv_timer_start(p->loop, &p->wake, 0);
}

static int64_t pipe_read(dv_body *b, void *into, size_t max, davit_error **err)
{
    dv_pipe_body *p = (dv_pipe_body *)b;
    size_t n = p->used < max ? p->used : max;
    size_t before_wrap = p->room - p->start;
    if (n == 0 && p->result < 0) { /* again and again, if it is read again */
        davit_error *copy = dv_error_copy(p->err);
        return dv_error_move(err, &copy, p->result);
    }
    if (n == 0)
        return p->ended ? 0 : DV_BODY_LATER;
    size_t first = n < before_wrap ? n : before_wrap;
    memcpy(into, p->ring + p->start, first);
    memcpy((unsigned char *)into + first, p->ring, n - first);
    p->start = (p->start + n) % p->room;
    p->used -= n;
    if (p->full && p->used <= p->room / 2) {
        p->full = false;
        dv_timer_start(p->loop, &p->space, 0);
    }
    return (int64_t)n;
}

static int pipe_seek(dv_body *b, uint64_t offset, davit_error **err)
{
    dv_pipe_body *p = (dv_pipe_body *)b;
    p->start = p->used = 0;
    p->full = p->ended = false;
    dv_timer_stop(&p->space);
    return p->handler->on_seek(p->user, offset, err);
}

int dv_pipe_body_new(dv_loop *loop, uint64_t size, const dv_pipe_body_handler *handler, void *user,
                     dv_pipe_body **out, davit_error **err)
{
    size_t room = size < SMALL ? DV_PIPE_BODY_ROOM_SMALL : DV_PIPE_BODY_ROOM;
    dv_pipe_body *p = malloc(sizeof(*p) + room); /* the ring need not be zeroed */
    if (!p)
        return dv_error_oom(err);
    memset(p, 0, sizeof(*p));
    p->room = room;
    p->body = (dv_body){.size = size, .read = pipe_read, .seek = handler->on_seek ? pipe_seek : NULL};
    p->loop = loop;
    p->wake.fire = on_wake;
    p->space.fire = on_space;
    p->handler = handler;
    p->user = user;
    *out = p;
    return 0;
}

bool dv_pipe_body_fits(const dv_pipe_body *p, size_t size)
{
    return size <= p->room - p->used;
}

int dv_pipe_body_write(dv_pipe_body *p, const void *bytes, size_t size)
{
    assert(size <= DV_PIPE_BODY_ROOM_SMALL); /* more would never fit into some */
    if (!dv_pipe_body_fits(p, size)) {
        p->full = true;
        return DV_HTTP_PAUSE;
    }
    size_t at = (p->start + p->used) % p->room, room = p->room - at;
    size_t first = size < room ? size : room;
    memcpy(p->ring + at, bytes, first);
    memcpy(p->ring, (const unsigned char *)bytes + first, size - first);
    p->used += size;
    wake_later(p);
    return 0;
}

void dv_pipe_body_end(dv_pipe_body *p)
{
    p->ended = true;
    wake_later(p);
}

void dv_pipe_body_fail(dv_pipe_body *p, int r, davit_error *err)
{
    davit_error_free(p->err);
    p->result = r;
    p->err = err;
    wake_later(p);
}

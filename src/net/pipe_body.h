/*
 * net/pipe_body.h - the body of a request is what another transfer brings: a bounded ring between the two, both on the loop
 * thread.
 *
 *     on_body of the one: r = dv_pipe_body_write(p, bytes, size); a full ring answers DV_HTTP_PAUSE, and on_space follows
 *     dv_pipe_body_body(p) is the body of the other; the end is dv_pipe_body_end()
 *
 * Threads: loop.
 */
#ifndef DV_NET_PIPE_BODY_H
#define DV_NET_PIPE_BODY_H

#include "net/body.h"
#include "net/loop.h"

#define DV_PIPE_BODY_ROOM (128u << 10)      /* bytes */
#define DV_PIPE_BODY_ROOM_SMALL (32u << 10) /* of a body that is small as a whole */

typedef struct dv_pipe_body dv_pipe_body;

typedef struct dv_pipe_body_handler {
    /* There is room after a write that was answered DV_HTTP_PAUSE: resume the transfer that brings. From a turn of its own. */
    void (*on_space)(void *user);
    /*
     * The reader wants to go on at another offset (something has to be sent again): bring the bytes from there on. What the ring
     * held is gone. NULL: the body cannot seek.
     */
    int (*on_seek)(void *user, uint64_t offset, davit_error **err);
} dv_pipe_body_handler;

/* size: DAVIT_SIZE_UNKNOWN when only the end tells. */
int dv_pipe_body_new(dv_loop *loop, uint64_t size, const dv_pipe_body_handler *handler, void *user,
                     dv_pipe_body **out, davit_error **err);
void dv_pipe_body_free(dv_pipe_body *p); /* NULL is fine */
DV_DEFINE_AUTOPTR(dv_pipe_body, dv_pipe_body_free)

dv_body *dv_pipe_body_body(dv_pipe_body *p);
/* All of the bytes (0), or none of them (DV_HTTP_PAUSE) when they do not fit. At most DV_PIPE_BODY_ROOM_SMALL at once. */
int dv_pipe_body_write(dv_pipe_body *p, const void *bytes, size_t size);
/* Whether a write of so many bytes would be taken. */
bool dv_pipe_body_fits(const dv_pipe_body *p, size_t size);
/* Nothing follows. */
void dv_pipe_body_end(dv_pipe_body *p);
/* What brought the bytes failed for good: the reader gets this error, which is taken over. */
void dv_pipe_body_fail(dv_pipe_body *p, int r, davit_error *err);

#endif

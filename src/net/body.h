/*
 * net/body.h - where the body of a request comes from: bytes in memory, a part of another body, or whatever fills a dv_body.
 *
 * An exchange reads it on the loop thread as fast as the peer takes it, and pauses when there is nothing yet. A body that can
 * seek can be sent again: after a 401, a redirect, a kept connection that turned out to be dead.
 *
 * Threads: loop.
 */
#ifndef DV_NET_BODY_H
#define DV_NET_BODY_H

#include "util/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_BODY_LATER INT64_MAX

typedef struct dv_body dv_body;

struct dv_body {
    uint64_t size; /* DAVIT_SIZE_UNKNOWN: it is sent in chunks */
    uint64_t at;   /* of the next byte that read() gives; dv_body_read() and dv_body_seek() keep it */
    /*
     * Up to max (> 0) bytes: how many, 0 at the end, DV_BODY_LATER when there are none yet (dv_body_wake() once there are, never
     * from within), or negative. Not to be called but by dv_body_read().
     */
    int64_t (*read)(dv_body *b, void *into, size_t max, davit_error **err);
    int (*seek)(dv_body *b, uint64_t offset, davit_error **err); /* NULL: what was read is gone */
    /* Whoever reads it at the moment. */
    void (*on_wake)(void *user);
    void *wake_user;
};

int64_t dv_body_read(dv_body *b, void *into, size_t max, davit_error **err);
/* The next byte is the one at offset. DAVIT_EUNSUPPORTED when it is gone. */
int dv_body_seek(dv_body *b, uint64_t offset, davit_error **err);
/* There is something to read again. Not from within read(). */
void dv_body_wake(dv_body *b);

/* Bytes in memory, borrowed. */
typedef struct dv_memory_body {
    dv_body body;
    const unsigned char *bytes;
} dv_memory_body;

void dv_memory_body_init(dv_memory_body *m, const void *bytes, size_t size);

/* size bytes of another body from first on; DAVIT_SIZE_UNKNOWN: all that follow. Has its turn alone: parts of one body take turns. */
typedef struct dv_body_part {
    dv_body body;
    dv_body *of;
    uint64_t first;
} dv_body_part;

void dv_body_part_init(dv_body_part *p, dv_body *of, uint64_t first, uint64_t size);

#endif

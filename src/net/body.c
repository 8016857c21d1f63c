/* net/body.c - see body.h. */
#include "net/body.h"

#include "davit/common.h"

#include <string.h>

int64_t dv_body_read(dv_body *b, void *into, size_t max, davit_error **err)
{
    int64_t n = b->read(b, into, max, err);
    if (n > 0 && n != DV_BODY_LATER)
        b->at += (uint64_t)n;
    return n;
}

int dv_body_seek(dv_body *b, uint64_t offset, davit_error **err)
{
    if (b->at == offset)
        return 0;
    if (!b->seek)
        return dv_error_set(err, DAVIT_EUNSUPPORTED, "what was sent cannot be sent again");
    int r = b->seek(b, offset, err);
    if (r == 0)
        b->at = offset;
    return r;
}

void dv_body_wake(dv_body *b)
{
    if (b->on_wake)
        b->on_wake(b->wake_user);
}

/* --- memory ----------------------------------------------------------------------------------------------------- */

static int64_t memory_read(dv_body *b, void *into, size_t max, davit_error **err)
{
    dv_memory_body *m = (dv_memory_body *)b;
    size_t n = (size_t)(b->size - b->at);
    if (n > max)
        n = max;
    if (n > 0)
        memcpy(into, m->bytes + b->at, n);
    return (int64_t)n;
}

static int memory_seek(dv_body *b, uint64_t offset, davit_error **err)
{
    return offset <= b->size ? 0 : dv_error_set(err, DAVIT_EINVAL, "there is nothing behind the end");
}

void dv_memory_body_init(dv_memory_body *m, const void *bytes, size_t size)
{
    *m = (dv_memory_body){.body = {.size = size, .read = memory_read, .seek = memory_seek}, .bytes = bytes};
}

/* --- a part ------------------------------------------------------------------------------------------------------- */

static void part_wake(void *user)
{
    dv_body_wake(&((dv_body_part *)user)->body);
}

static int64_t part_read(dv_body *b, void *into, size_t max, davit_error **err)
{
    dv_body_part *p = (dv_body_part *)b;
    uint64_t left = b->size == DAVIT_SIZE_UNKNOWN ? max : b->size - b->at;
    if (left == 0)
        return 0;
    int r = dv_body_seek(p->of, p->first + b->at, err);
    if (r < 0)
        return r;
    p->of->on_wake = part_wake;
    p->of->wake_user = p;
    int64_t n = dv_body_read(p->of, into, left < max ? (size_t)left : max, err);
    if (n == 0 && b->size != DAVIT_SIZE_UNKNOWN)
        return dv_error_set(err, DAVIT_EIO, "what is sent ends %llu bytes early", (unsigned long long)left);
    return n;
}

/* The other body follows with the next read. */
static int part_seek(dv_body *b, uint64_t offset, davit_error **err)
{
    dv_body_part *p = (dv_body_part *)b;
    if (!p->of->seek && p->of->at != p->first + offset)
        return dv_error_set(err, DAVIT_EUNSUPPORTED, "what was sent cannot be sent again");
    return 0;
}

void dv_body_part_init(dv_body_part *p, dv_body *of, uint64_t first, uint64_t size)
{
    *p = (dv_body_part){
        .body = {.size = size, .read = part_read, .seek = part_seek}, .of = of, .first = first};
}

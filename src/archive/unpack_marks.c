/* archive/unpack_marks.c - see unpack_marks.h. */
#include "archive/unpack_marks.h"

#include "util/alloc.h"
#include "util/hex.h"

#include <string.h>

#define FIRST_CAPACITY 1024
#define KEEP_CAPACITY (64u << 10) /* slots that stay allocated from one layer to the next */

void dv_unpack_marks_init(dv_unpack_marks *m)
{
    *m = (dv_unpack_marks){0};
    dv_random_bytes(&m->seed, sizeof(m->seed));
}

void dv_unpack_marks_clear(dv_unpack_marks *m)
{
    free(m->slots);
    m->slots = NULL;
    m->capacity = m->count = 0;
}

void dv_unpack_marks_begin(dv_unpack_marks *m, bool active)
{
    if (m->capacity > KEEP_CAPACITY)
        dv_unpack_marks_clear(m);
    if (m->count > 0)
        memset(m->slots, 0, m->capacity * sizeof(*m->slots));
    m->count = 0;
    m->active = active;
}

/* FNV-1a behind a random start, with the last steps of Murmur3: no secret, only spread. */
static uint64_t hash(uint64_t seed, uint64_t directory, const char *name)
{
    uint64_t h = seed ^ (directory * 0x9e3779b97f4a7c15u);
    for (; name && *name; name++)
        h = (h ^ (unsigned char)*name) * 0x100000001b3u;
    h ^= h >> 33;
    h *= 0xff51afd7ed558ccdu;
    h ^= h >> 33;
    h *= 0xc4ceb9fe1a85ec53u;
    h ^= h >> 33;
    return h ? h : 1;
}

static size_t slot_of(const dv_unpack_marks *m, uint64_t value)
{
    size_t i = value & (m->capacity - 1);
    while (m->slots[i] != 0 && m->slots[i] != value)
        i = (i + 1) & (m->capacity - 1);
    return i;
}

static int grow(dv_unpack_marks *m, davit_error **err)
{
    dv_unpack_marks bigger = {.capacity = m->capacity ? m->capacity * 2 : FIRST_CAPACITY};
    bigger.slots = dv_new_array(uint64_t, bigger.capacity);
    if (!bigger.slots)
        return dv_error_oom(err);
    for (size_t i = 0; i < m->capacity; i++)
        if (m->slots[i] != 0)
            bigger.slots[slot_of(&bigger, m->slots[i])] = m->slots[i];
    free(m->slots);
    m->slots = bigger.slots;
    m->capacity = bigger.capacity;
    return 0;
}

int dv_unpack_marks_add(dv_unpack_marks *m, uint64_t directory, const char *name, davit_error **err)
{
    if (!m->active)
        return 0;
    if (m->count >= DV_UNPACK_MARKS_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG,
                            "it changes more than %u entries in directories of the layers below",
                            DV_UNPACK_MARKS_MAX);
    if (m->count * 2 >= m->capacity) {
        int r = grow(m, err);
        if (r < 0)
            return r;
    }
    uint64_t value = hash(m->seed, directory, name);
    size_t i = slot_of(m, value);
    if (m->slots[i] == 0) {
        m->slots[i] = value;
        m->count++;
    }
    return 0;
}

bool dv_unpack_marks_has(const dv_unpack_marks *m, uint64_t directory, const char *name)
{
    if (!m->active || m->count == 0)
        return false;
    return m->slots[slot_of(m, hash(m->seed, directory, name))] != 0;
}

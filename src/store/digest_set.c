/*
 * store/digest_set.c - see digest_set.h. Open addressing; a digest is a hash already, so its first bytes are the place to look.
 * Whoever makes digests collide in them gets a slow search, at most as long as his own list.
 */
#include "store/digest_set.h"

#include "util/hash.h"

#include <string.h>

#define SLOTS_MIN 64u

void dv_digest_set_clear(dv_digest_set *set)
{
    free(set->keys);
    free(set->slots);
    *set = (dv_digest_set){0};
}

static dv_digest_key key_of(const davit_digest *digest)
{
    dv_digest_key key = {.algorithm = (uint8_t)digest->algorithm};
    memcpy(key.bytes, digest->bytes, sizeof(key.bytes));
    return key;
}

/* The slot that holds the key, or the free one where it belongs. */
static uint32_t *slot_of(const dv_digest_set *set, const dv_digest_key *key)
{
    uint32_t at;
    memcpy(&at, key->bytes, sizeof(at));
    for (at &= set->slot_count - 1;; at = (at + 1) & (set->slot_count - 1)) {
        uint32_t *slot = &set->slots[at];
        if (!*slot || memcmp(&set->keys[*slot - 1], key, sizeof(*key)) == 0)
            return slot;
    }
}

static int grow_slots(dv_digest_set *set, davit_error **err)
{
    uint32_t wanted = set->slot_count ? 2 * set->slot_count : SLOTS_MIN;
    uint32_t *slots = dv_new_array(uint32_t, wanted);
    if (!slots)
        return dv_error_oom(err);
    free(set->slots);
    set->slots = slots;
    set->slot_count = wanted;
    for (uint32_t i = 0; i < set->count; i++)
        *slot_of(set, &set->keys[i]) = i + 1;
    return 0;
}

static int grow_keys(dv_digest_set *set, davit_error **err)
{
    uint32_t wanted = set->key_capacity ? 2 * set->key_capacity : SLOTS_MIN / 2;
    dv_digest_key *keys = dv_realloc_array(set->keys, wanted, sizeof(*keys));
    if (!keys)
        return dv_error_oom(err);
    set->keys = keys;
    set->key_capacity = wanted;
    return 0;
}

int dv_digest_set_add(dv_digest_set *set, const davit_digest *digest, uint32_t *out_number, davit_error **err)
{
    int r = 0;
    if (set->count >= DV_DIGEST_SET_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "more than %u digests", DV_DIGEST_SET_MAX);
    if (set->count == set->key_capacity)
        r = grow_keys(set, err);
    if (r == 0 && 2 * (set->count + 1) > set->slot_count)
        r = grow_slots(set, err);
    if (r < 0)
        return r;
    dv_digest_key key = key_of(digest);
    uint32_t *slot = slot_of(set, &key);
    bool is_new = *slot == 0;
    if (is_new) {
        set->keys[set->count] = key;
        *slot = ++set->count;
    }
    if (out_number)
        *out_number = *slot - 1;
    return is_new;
}

bool dv_digest_set_has(const dv_digest_set *set, const davit_digest *digest, uint32_t *out_number)
{
    if (!set->slots)
        return false;
    dv_digest_key key = key_of(digest);
    uint32_t *slot = slot_of(set, &key);
    if (*slot && out_number)
        *out_number = *slot - 1;
    return *slot != 0;
}

void dv_digest_set_get(const dv_digest_set *set, uint32_t number, davit_digest *out)
{
    dv_digest_from_bytes((davit_digest_algorithm)set->keys[number].algorithm, set->keys[number].bytes, out);
}

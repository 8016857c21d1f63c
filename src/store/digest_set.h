/* store/digest_set.h - a set of digests, numbered in the order they came. */
#ifndef DV_STORE_DIGEST_SET_H
#define DV_STORE_DIGEST_SET_H

#include "davit/digest.h"
#include "util/error.h"

#include <stdbool.h>

#define DV_DIGEST_SET_MAX (1u << 27) /* digests: far more than a file system has blobs */

typedef struct dv_digest_key {
    uint8_t algorithm;
    uint8_t bytes[DAVIT_DIGEST_BYTES_MAX];
} dv_digest_key;

typedef struct dv_digest_set {
    dv_digest_key *keys; /* by number */
    uint32_t count, key_capacity;
    uint32_t *slots; /* number + 1; 0 is free */
    uint32_t slot_count;
} dv_digest_set;

void dv_digest_set_clear(dv_digest_set *set);
DV_DEFINE_AUTO(dv_digest_set, dv_digest_set_clear)

/* 1: new; 0: was there; < 0: DAVIT_ENOMEM, DAVIT_ETOOBIG. out_number may be NULL. */
int dv_digest_set_add(dv_digest_set *set, const davit_digest *digest, uint32_t *out_number, davit_error **err);
/* out_number may be NULL. */
bool dv_digest_set_has(const dv_digest_set *set, const davit_digest *digest, uint32_t *out_number);
void dv_digest_set_get(const dv_digest_set *set, uint32_t number, davit_digest *out);

#endif

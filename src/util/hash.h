/* util/hash.h - the only door to OpenSSL's digests. */
#ifndef DV_UTIL_HASH_H
#define DV_UTIL_HASH_H

#include "util/alloc.h"

#include "davit/digest.h"

#include <stdbool.h>

/* A running hash. One thread at a time. */
typedef struct dv_hash dv_hash;

dv_hash *dv_hash_new(davit_digest_algorithm algorithm); /* NULL: no memory or unknown algorithm */
void dv_hash_free(dv_hash *h);
DV_DEFINE_AUTOPTR(dv_hash, dv_hash_free)
void dv_hash_update(dv_hash *h, const void *bytes, size_t size);
/* Finish into a digest; the hash can only be freed or reset afterwards. */
void dv_hash_final(dv_hash *h, davit_digest *out);
void dv_hash_reset(dv_hash *h);

/* A digest value out of raw bytes (32, 48 or 64 by the algorithm). */
void dv_digest_from_bytes(davit_digest_algorithm algorithm, const uint8_t *bytes, davit_digest *out);

/* HMAC-SHA-256. False: no memory. */
bool dv_hmac_sha256(const void *key, size_t key_size, const void *bytes, size_t size, uint8_t out[32]);
/* Compare without telling by the time where they differ. */
bool dv_hash_bytes_equal(const uint8_t *a, const uint8_t *b, size_t size);

#endif

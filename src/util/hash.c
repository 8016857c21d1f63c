/* util/hash.c - see hash.h. EVP picks the processor's SHA instructions by itself. */
#include "util/hash.h"

#include "util/hex.h"

#include <assert.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

struct dv_hash {
    davit_digest_algorithm algorithm;
    EVP_MD_CTX *ctx;
};

static const EVP_MD *md(davit_digest_algorithm algorithm)
{
    switch (algorithm) {
    case DAVIT_SHA256:
        return EVP_sha256();
    case DAVIT_SHA384:
        return EVP_sha384();
    case DAVIT_SHA512:
        return EVP_sha512();
    case DAVIT_DIGEST_NONE:
        break;
    }
    return NULL;
}

dv_hash *dv_hash_new(davit_digest_algorithm algorithm)
{
    const EVP_MD *kind = md(algorithm);
    DV_AUTOPTR(dv_hash) h = kind ? dv_new(dv_hash) : NULL;
    if (!h)
        return NULL;
    h->algorithm = algorithm;
    h->ctx = EVP_MD_CTX_new();
    if (!h->ctx || !EVP_DigestInit_ex(h->ctx, kind, NULL))
        return NULL;
    return DV_STEAL(h);
}

void dv_hash_free(dv_hash *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->ctx);
    free(h);
}

void dv_hash_update(dv_hash *h, const void *bytes, size_t size)
{
    EVP_DigestUpdate(h->ctx, bytes, size);
}

void dv_hash_reset(dv_hash *h)
{
    EVP_DigestInit_ex(h->ctx, md(h->algorithm), NULL);
}

void dv_hash_final(dv_hash *h, davit_digest *out)
{
    uint8_t bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_DigestFinal_ex(h->ctx, bytes, &size);
    dv_digest_from_bytes(h->algorithm, bytes, out);
}

void dv_digest_from_bytes(davit_digest_algorithm algorithm, const uint8_t *bytes, davit_digest *out)
{
    static const struct {
        const char *prefix;
        size_t size;
    } kinds[] = {
        [DAVIT_SHA256] = {"sha256:", 32}, [DAVIT_SHA384] = {"sha384:", 48}, [DAVIT_SHA512] = {"sha512:", 64}};
    assert(algorithm >= DAVIT_SHA256 && algorithm <= DAVIT_SHA512);
    *out = (davit_digest){.algorithm = algorithm};
    memcpy(out->bytes, bytes, kinds[algorithm].size);
    memcpy(out->text, kinds[algorithm].prefix, 7);
    dv_hex_encode(out->bytes, kinds[algorithm].size, out->text + 7);
}

bool dv_hmac_sha256(const void *key, size_t key_size, const void *bytes, size_t size, uint8_t out[32])
{
    unsigned length = 0;
    assert(key_size <= INT_MAX);
    return HMAC(EVP_sha256(), key, (int)key_size, bytes, size, out, &length) && length == 32;
}

bool dv_hash_bytes_equal(const uint8_t *a, const uint8_t *b, size_t size)
{
    return CRYPTO_memcmp(a, b, size) == 0;
}

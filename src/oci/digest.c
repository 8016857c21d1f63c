/*
 * oci/digest.c - see davit/digest.h. The grammar and the order of its checks are reference.md 8 (threats
 * B1, B9).
 *
 * Decides which texts are digests. Whether an algorithm is good enough for a transfer is the caller's
 * question.
 */
#include "davit/digest.h"

#include "util/error.h"
#include "util/hash.h"
#include "util/hex.h"
#include "util/str.h"

#include <string.h>

static const struct {
    const char *name;
    size_t bytes;
} algorithms[] = {
    [DAVIT_DIGEST_NONE] = {"", 0},
    [DAVIT_SHA256] = {"sha256", 32},
    [DAVIT_SHA384] = {"sha384", 48},
    [DAVIT_SHA512] = {"sha512", 64},
};

static davit_digest_algorithm find_algorithm(const char *name, size_t size)
{
    for (size_t i = DAVIT_SHA256; i < DV_COUNT(algorithms); i++)
        if (strlen(algorithms[i].name) == size && memcmp(algorithms[i].name, name, size) == 0)
            return (davit_digest_algorithm)i;
    return DAVIT_DIGEST_NONE;
}

static bool is_lower_alnum(char c)
{
    return dv_char_is_alnum(c) && !(c >= 'A' && c <= 'Z');
}

/* [a-z0-9]+([.+_-][a-z0-9]+)* */
static bool is_algorithm_like(const char *s, size_t size)
{
    bool after_alnum = false;
    for (size_t i = 0; i < size; i++) {
        bool alnum = is_lower_alnum(s[i]);
        if (!alnum && (!after_alnum || !strchr(".+_-", s[i])))
            return false;
        after_alnum = alnum;
    }
    return after_alnum;
}

/* [a-zA-Z0-9=_-]+ */
static bool is_encoded_like(const char *s)
{
    for (; *s; s++)
        if (!dv_char_is_alnum(*s) && !strchr("=_-", *s))
            return false;
    return true;
}

int davit_digest_parse(const char *text, davit_digest *out, davit_error **err)
{
    const char *colon = strchr(text, ':');
    if (!colon || colon == text || !colon[1])
        return dv_error_set(err, DAVIT_EINVAL, "invalid checksum digest format");
    size_t name_size = (size_t)(colon - text);
    davit_digest_algorithm algorithm = find_algorithm(text, name_size);
    if (algorithm == DAVIT_DIGEST_NONE && is_algorithm_like(text, name_size) && is_encoded_like(colon + 1))
        return dv_error_set(err, DAVIT_EINVAL, "unsupported digest algorithm");
    if (algorithm == DAVIT_DIGEST_NONE)
        return dv_error_set(err, DAVIT_EINVAL, "invalid checksum digest format");
    size_t bytes = algorithms[algorithm].bytes;
    if (strlen(colon + 1) != 2 * bytes)
        return dv_error_set(err, DAVIT_EINVAL, "invalid checksum digest length");
    uint8_t value[DAVIT_DIGEST_BYTES_MAX];
    if (!dv_hex_decode(colon + 1, value, bytes))
        return dv_error_set(err, DAVIT_EINVAL, "invalid checksum digest format");
    dv_digest_from_bytes(algorithm, value, out);
    return 0;
}

int davit_digest_of(davit_digest_algorithm algorithm, const void *bytes, size_t size, davit_digest *out,
                    davit_error **err)
{
    if (algorithm < DAVIT_SHA256 || algorithm > DAVIT_SHA512)
        return dv_error_set(err, DAVIT_EUNSUPPORTED, "unsupported digest algorithm");
    DV_AUTOPTR(dv_hash) h = dv_hash_new(algorithm);
    if (!h)
        return dv_error_oom(err);
    dv_hash_update(h, bytes, size);
    dv_hash_final(h, out);
    return 0;
}

bool davit_digest_equal(const davit_digest *a, const davit_digest *b)
{
    volatile uint8_t difference = 0;
    for (size_t i = 0; i < DAVIT_DIGEST_BYTES_MAX; i++)
        difference |= a->bytes[i] ^ b->bytes[i];
    return a->algorithm == b->algorithm && difference == 0;
}

const char *davit_digest_hex(const davit_digest *digest)
{
    const char *colon = strchr(digest->text, ':');
    return colon ? colon + 1 : "";
}

const char *davit_digest_algorithm_name(davit_digest_algorithm algorithm)
{
    size_t i = (size_t)algorithm;
    return i < DV_COUNT(algorithms) ? algorithms[i].name : "";
}

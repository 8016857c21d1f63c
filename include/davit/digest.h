/*
 * davit/digest.h - "algorithm:hex" over stored bytes.
 *
 * A digest is always a checked value: a davit_digest comes from davit_digest_parse() or davit_digest_of() and from nowhere
 * else, so its text is safe as a file name and in a URL (threats B1).
 */
#ifndef DAVIT_DIGEST_H
#define DAVIT_DIGEST_H

#include <davit/error.h>

DAVIT_BEGIN_DECLS

typedef enum davit_digest_algorithm {
    DAVIT_DIGEST_NONE = 0,
    DAVIT_SHA256 = 1,
    DAVIT_SHA384 = 2, /* is parsed; the store and transfers refuse it */
    DAVIT_SHA512 = 3,
} davit_digest_algorithm;

#define DAVIT_DIGEST_BYTES_MAX 64
#define DAVIT_DIGEST_TEXT_MAX 136 /* "sha512:" + 128 hex digits + NUL */

typedef struct davit_digest {
    davit_digest_algorithm algorithm;
    uint8_t bytes[DAVIT_DIGEST_BYTES_MAX]; /* 32, 48 or 64 of them count */
    char text[DAVIT_DIGEST_TEXT_MAX];      /* canonical text, NUL-terminated */
} davit_digest;

/**
 * Parse and check a digest.
 *
 * @param text  NUL-terminated
 * @param out   set on success
 *
 * Errors:  DAVIT_EINVAL with one of the texts "invalid checksum digest format", "invalid checksum digest length",
 *          "unsupported digest algorithm"
 * Threads: any
 * Spec:    reference.md 8
 */
DAVIT_API int davit_digest_parse(const char *text, davit_digest *out, davit_error **err);

/**
 * Hash bytes that are all in memory.
 *
 * Errors:  DAVIT_EUNSUPPORTED for an algorithm other than the three
 * Threads: any
 */
DAVIT_API int davit_digest_of(davit_digest_algorithm algorithm, const void *bytes, size_t size,
                              davit_digest *out, davit_error **err);

/** Whether two digests have the same algorithm and value; the time taken does not depend on the bytes. Threads: any. */
DAVIT_API bool davit_digest_equal(const davit_digest *a, const davit_digest *b);

/** The hexadecimal part of the text. Borrowed from @p digest. Threads: any. */
DAVIT_API const char *davit_digest_hex(const davit_digest *digest);

/** "sha256", "sha384", "sha512", or "" for DAVIT_DIGEST_NONE. Threads: any. */
DAVIT_API const char *davit_digest_algorithm_name(davit_digest_algorithm algorithm);

DAVIT_END_DECLS

#endif

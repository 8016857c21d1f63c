/*
 * davit/error.h - why something failed.
 *
 * Every function that can fail returns 0 or a negative davit_code. Its last parameter, when not NULL, receives a
 * davit_error with the story: one line of text without secrets, the HTTP status and the registry's own error code where
 * there were any.
 */
#ifndef DAVIT_ERROR_H
#define DAVIT_ERROR_H

#include <davit/common.h>

DAVIT_BEGIN_DECLS

/* name, number, text. Numbers are never reused or changed. */
#define DAVIT_CODES(X)                              \
    X(EINVAL, -1, "invalid argument")               \
    X(ENOMEM, -2, "out of memory")                  \
    X(ENOTFOUND, -3, "not found")                   \
    X(EUNAUTHORIZED, -4, "not authorized")          \
    X(EDENIED, -5, "access denied")                 \
    X(EDIGEST, -6, "verification failed")           \
    X(ETOOBIG, -7, "too large")                     \
    X(EUNSUPPORTED, -8, "not supported")            \
    X(ENETWORK, -9, "network failure")              \
    X(ETIMEOUT, -10, "timed out")                   \
    X(ETLS, -11, "TLS failure")                     \
    X(ECERTIFICATE, -12, "certificate not trusted") \
    X(EUNAVAILABLE, -13, "registry unavailable")    \
    X(ERATELIMIT, -14, "rate limited")              \
    X(EPROTOCOL, -15, "malformed answer")           \
    X(EFORMAT, -16, "malformed document")           \
    X(EIO, -17, "input/output error")               \
    X(ENOSPACE, -18, "no space left")               \
    X(ESTORE, -19, "store failure")                 \
    X(EEXIST, -20, "already exists")                \
    X(EBUSY, -21, "in use")                         \
    X(ECONFLICT, -22, "conflict")                   \
    X(ECONFIG, -23, "bad configuration")            \
    X(ECANCELLED, -24, "cancelled")                 \
    X(EPLATFORM, -25, "no matching platform")       \
    X(EREGISTRY, -26, "refused by the registry")    \
    X(EFORBIDDEN, -27, "reserved")

typedef enum davit_code {
    DAVIT_OK = 0,
#define DAVIT_CODE_ROW(name, number, text) DAVIT_##name = number,
    DAVIT_CODES(DAVIT_CODE_ROW)
#undef DAVIT_CODE_ROW
} davit_code;

/** One failure. Immutable once returned; owned by whoever received it. */
typedef struct davit_error davit_error;

/**
 * Release an error; NULL is fine.
 *
 * Threads: any
 */
DAVIT_API void davit_error_free(davit_error *err);

/**
 * The message: one line, lower case, no secrets, except that texts fixed by the specification may hold newlines.
 *
 * @param err  borrowed; NULL gives "no error"
 * @return     borrowed; lives as long as @p err
 *
 * Threads: any
 */
DAVIT_API const char *davit_error_message(const davit_error *err);

/** The davit_code of an error, 0 for NULL. Threads: any. */
DAVIT_API int davit_error_code(const davit_error *err);

/** The HTTP status that led to the error, 0 if there was none. Threads: any. */
DAVIT_API int davit_error_http_status(const davit_error *err);

/**
 * The registry's own error code, such as "MANIFEST_UNKNOWN", or NULL.
 *
 * @return  borrowed; lives as long as @p err
 *
 * Threads: any
 * Spec:    OCI distribution-spec, Error codes
 */
DAVIT_API const char *davit_error_registry_code(const davit_error *err);

/** The name of a code ("ENOTFOUND"), "EUNKNOWN" for a number that is none. Threads: any. */
DAVIT_API const char *davit_code_name(int code);

/** What a code means, in a few lower-case words. Threads: any. */
DAVIT_API const char *davit_code_text(int code);

/**
 * Make an error, for the functions of tables that an embedder gives: set *err, when err is not NULL, to this story, and return @p code. An
 * error that is there already is replaced.
 *
 * @param code     a davit_code, or any other negative number
 * @param message  one line; copied, cut at 16 KiB
 *
 * Threads: any
 */
DAVIT_API int davit_error_set(davit_error **err, int code, const char *message);

DAVIT_END_DECLS

#endif

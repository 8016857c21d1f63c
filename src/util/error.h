/* util/error.h - making davit_errors. Whoever detects an error sets it, once, on the line that returns it. */
#ifndef DV_UTIL_ERROR_H
#define DV_UTIL_ERROR_H

#include "davit/error.h"
#include "util/alloc.h"

/* What kind of answer an error came from; the pull rules (pull.md 2.1, 3.1, 3.2) decide by it. */
typedef enum dv_error_kind {
    DV_ERROR_PLAIN = 0,
    DV_ERROR_REGISTRY_FULL, /* code with a detail or a message of its own (registry-v2.md 9.1 step 5) */
    DV_ERROR_REGISTRY_BARE, /* only a code with its stock message */
    DV_ERROR_UNEXPECTED,    /* unexpected HTTP status or unparsable error body */
    DV_ERROR_TRANSPORT,     /* no HTTP answer at all, or not a whole one */
    DV_ERROR_CONFIG_PULL,   /* image config could not be pulled */
    DV_ERROR_MEDIA_TYPE,    /* unsupported media type */
    DV_ERROR_AI_MODEL,      /* one of AI models */
    DV_ERROR_VETO,          /* the embedder's verifier said no: final, whoever else has the image */
    DV_ERROR_PING_RESPONSE, /* a ping was answered, and the answer could not be recorded */
    DV_ERROR_V1_REGISTRY,   /* a v1 registry refused (registry-v1.md 4); its parts are in `more` */
} dv_error_kind;

struct davit_error {
    int code;
    dv_error_kind kind;
    int http_status;
    int retry_after_s;      /* -1 when the server named none */
    bool final;             /* repeating the request cannot help */
    char registry_code[40]; /* "" when there is none */
    const char *message;    /* text of this struct's own memory, or a static one */
    size_t more_size;       /* of what follows the message's NUL: particulars that only a kind of error has */
    char text[];
};

/* Set *err (when err is not NULL) and return code. An error that is there already is replaced. */
int dv_error_set(davit_error **err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same, with ": " and the text of an errno behind. */
int dv_error_errno(davit_error **err, int code, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Put "what: " before the message of *err and return code unchanged. */
int dv_error_wrap(davit_error **err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int dv_error_oom(davit_error **err);
/* Keep bytes with *err through wrapping and copying. Gives its code, or DAVIT_ENOMEM. */
int dv_error_set_more(davit_error **err, const void *bytes, size_t size);
/* They; NULL when there are none. */
const void *dv_error_more(const davit_error *err, size_t *out_size);
/* A file failed: ENOSPC and EDQUOT are DAVIT_ENOSPACE, everything else DAVIT_EIO. */
int dv_error_file(davit_error **err, int errnum, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Move *from into *to (when to is not NULL; otherwise it is released) and return code. */
int dv_error_move(davit_error **to, davit_error **from, int code);
/* A copy, NULL for NULL. */
davit_error *dv_error_copy(const davit_error *err);

DV_DEFINE_AUTOPTR(davit_error, davit_error_free)

#endif

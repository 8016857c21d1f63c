/*
 * net/error_body.h - from the answer of a registry or token server that refuses, to an error value
 * (registry-v2.md 9.1, auth.md 9). Decides code, kind and text; whether to repeat, to fall back or to
 * translate is for others.
 */
#ifndef DV_NET_ERROR_BODY_H
#define DV_NET_ERROR_BODY_H

#include "net/header.h"

#define DV_ERROR_BODY_MAX (64u << 10) /* bytes that are read of an error body (threats C1) */
#define DV_ERROR_TEXT_MAX \
    (1u << 10)                  /* bytes of the registry's own words in a message; they may hold newlines */
#define DV_ERROR_ENTRIES_MAX 64 /* entries of "errors" that are looked at */

/*
 * Set *err from an answer outside 200-399 and return its code: DAVIT_EUNAUTHORIZED, DAVIT_EDENIED,
 * DAVIT_ENOTFOUND, DAVIT_ERATELIMIT, DAVIT_EUNAVAILABLE (5xx) or DAVIT_EREGISTRY. Also set: kind,
 * registry_code, http_status, retry_after_s and final (pull.md 3.2: repeating cannot help). body may be cut
 * at DV_ERROR_BODY_MAX; NULL with size 0 for a HEAD.
 */
int dv_error_body_set(davit_error **err, int status, const dv_headers *headers, const void *body, size_t size);

/* The standard reason phrase of a status, "" for an unknown one. */
const char *dv_http_reason(int status);

/* The davit_code of an HTTP status that is no success (DESIGN 3). */
int dv_error_of_status(int status);

#endif

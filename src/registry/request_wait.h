/*
 * registry/request_wait.h - one request to any URL, asked and waited for by the calling thread; for what is not a question to a
 * v2 registry (registry/call.h is for those).
 *
 * Threads: a caller's; blocks within the client's limits, and ends within 200 ms of davit_client_cancel().
 */
#ifndef DV_REGISTRY_REQUEST_WAIT_H
#define DV_REGISTRY_REQUEST_WAIT_H

#include "net/request.h"
#include "registry/client.h"

typedef struct dv_request_wait_options {
    uint32_t limit_ms;   /* from the start to the whole answer; 0: the client's limits only */
    bool head_is_enough; /* behind the header nothing fails: the body is what came of it, cut at body_max */
} dv_request_wait_options;

/* Ask once. spec's handler and user are ignored, options may be NULL. Any status is an answer. */
int dv_request_wait(davit_client *c, const dv_request_spec *spec, const dv_request_wait_options *options,
                    dv_response *out, davit_error **err);

/*
 * An attempt failed with why: wait as the client's policy says and answer true when there is to be another. next is its number
 * (2, 3, ...). A cancellation ends the waiting, and the next attempt says so.
 */
bool dv_request_wait_again(davit_client *c, uint32_t next, const davit_error *why);

#endif

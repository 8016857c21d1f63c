/*
 * registry/request_stream.h - one request whose body comes from the calling thread, or goes to it, piece by piece and with
 * back-pressure; request_wait.h with ends.
 *
 * Threads: a caller's; read and write run there; blocks within the client's limits, and ends within 200 ms of davit_client_cancel()
 * unless read or write do not return.
 */
#ifndef DV_REGISTRY_REQUEST_STREAM_H
#define DV_REGISTRY_REQUEST_STREAM_H

#include "davit/registry.h"
#include "net/request.h"
#include "registry/client.h"

typedef struct dv_stream_ends {
    davit_read_fn read; /* what is sent, in place of the spec's body; NULL: that one */
    void *read_data;
    uint64_t read_size;   /* so many bytes, and not one less or more; DAVIT_SIZE_UNKNOWN: in chunks */
    davit_write_fn write; /* takes the body of a success; NULL: it is collected */
    void *write_data;
    uint64_t passed; /* bytes that write was given, also on failure; added to */
    /* Threads: loop. Of the header of a success, before the first byte; NULL: any will do. */
    int (*on_head)(void *user, const dv_response *head, davit_error **err);
    void *user;
} dv_stream_ends;

/* Ask once. Any status is an answer. What read or write refuse is final, with their code. */
int dv_request_stream(davit_client *c, const dv_request_spec *spec, dv_stream_ends *ends, dv_response *out,
                      davit_error **err);

#endif

/* distribution/blob_stream.h - one blob from a registry to a callback, in order, resumed over cut connections. */
#ifndef DV_DISTRIBUTION_BLOB_STREAM_H
#define DV_DISTRIBUTION_BLOB_STREAM_H

#include "davit/registry.h"
#include "registry/registry.h"
#include "util/hash.h"

/*
 * As davit_registry_get_blob(), from this registry. *out_passed, also on failure: bytes that write was given. Threads: a caller's;
 * blocks; write runs there.
 */
int dv_blob_stream(dv_registry *reg, const davit_digest *digest, davit_write_fn write, void *user_data,
                   uint64_t *out_passed, davit_error **err);

/* The caller has bytes already, and can take back what it was given. */
typedef struct dv_blob_resume {
    dv_hash *hash; /* borrowed; the bytes that are there went through it */
    uint64_t at;   /* how many */
    int (*restart)(
        void *user); /* the server does not resume: it begins anew, at most once. Threads: the caller's */
    void (*retrying)(void *user, unsigned seconds); /* until it is asked for again; NULL: not told */
    void *user;
} dv_blob_resume;

/* The same from there on; resume NULL: from the start. *out_passed counts what was there too. */
int dv_blob_stream_on(dv_registry *reg, const davit_digest *digest, const dv_blob_resume *resume,
                      davit_write_fn write, void *user_data, uint64_t *out_passed, davit_error **err);

#endif

/* distribution/blob_stream.h - one blob from a registry to a callback, in order, resumed over cut connections. */
#ifndef DV_DISTRIBUTION_BLOB_STREAM_H
#define DV_DISTRIBUTION_BLOB_STREAM_H

#include "davit/registry.h"
#include "registry/registry.h"

/*
 * As davit_registry_get_blob(), from this registry. *out_passed, also on failure: bytes that write was given. Threads: a caller's;
 * blocks; write runs there.
 */
int dv_blob_stream(dv_registry *reg, const davit_digest *digest, davit_write_fn write, void *user_data,
                   uint64_t *out_passed, davit_error **err);

#endif

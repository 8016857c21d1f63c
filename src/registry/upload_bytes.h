/* registry/upload_bytes.h - an upload of one blob from memory, for a calling thread. Spec: registry-v2.md 6. */
#ifndef DV_REGISTRY_UPLOAD_BYTES_H
#define DV_REGISTRY_UPLOAD_BYTES_H

#include "registry/registry.h"

/* Threads: a caller's; blocks. Whatever strategy fits. Does not look whether it is there. */
int dv_v2_upload_bytes(dv_registry *reg, const davit_digest *digest, const void *bytes, size_t size,
                       davit_error **err);

#endif

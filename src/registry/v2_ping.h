/* registry/v2_ping.h - GET /v2/. Spec: registry-v2.md 3. Threads: a caller's; blocks. */
#ifndef DV_REGISTRY_V2_PING_H
#define DV_REGISTRY_V2_PING_H

#include "davit/registry.h"
#include "registry/registry.h"

int dv_v2_ping(dv_registry *reg, davit_ping_result *out, davit_error **err);

#endif

/* registry/v2_ping.h - GET /v2/. Spec: registry-v2.md 3; service.md 14. Threads: a caller's; blocks. */
#ifndef DV_REGISTRY_V2_PING_H
#define DV_REGISTRY_V2_PING_H

#include "davit/registry.h"
#include "davit/service.h"
#include "registry/registry.h"

#define DV_PING_TIMEOUT_MS 15000 /* of the whole, redirects included */

int dv_v2_ping(dv_registry *reg, davit_ping_result *out, davit_error **err);

/*
 * What davit_ping_v2_registry() gives of an answer from url. What fails here failed after the answer: DV_ERROR_PING_RESPONSE.
 * Threads: any.
 */
int dv_ping_record(const dv_url *url, int status, const dv_headers *headers, davit_challenges **out,
                   davit_error **err);

#endif

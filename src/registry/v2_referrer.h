/*
 * registry/v2_referrer.h - what refers to a manifest: signatures, attestations, artifacts. Spec: registry-v2.md 8.
 *
 * A registry without the API keeps the list under a tag made of the digest; whoever pushes a referrer there mends it himself.
 *
 * Threads: a caller's; block.
 */
#ifndef DV_REGISTRY_V2_REFERRER_H
#define DV_REGISTRY_V2_REFERRER_H

#include "davit/descriptor.h"
#include "registry/registry.h"
#include "util/json.h"

#define DV_REFERRERS_MAX 10000 /* of one manifest (threats C3) */
#define DV_REFERRER_TAG_MAX (32 + 1 + 64)

/* "sha256-<hex>": the tag of the list. Pure. */
void dv_referrer_tag(const davit_digest *subject, char out[DV_REFERRER_TAG_MAX + 1]);

/*
 * One referrer in the registry's order; both are borrowed. entry: its whole JSON object, for annotations. Non-zero ends the
 * listing without an error.
 */
typedef int (*dv_referrer_fn)(const davit_descriptor *referrer, const dv_json *entry, void *user_data);

/*
 * All of them page by page, those of one artifactType when that is not NULL. None is no error. out_fallback (may be NULL): the
 * list came from the tag.
 */
int dv_v2_referrer_list(dv_registry *reg, const davit_digest *subject, const char *artifact_type,
                        dv_referrer_fn fn, void *user_data, bool *out_fallback, davit_error **err);

/*
 * After the PUT of a manifest with a subject, when dv_manifest_put.subject_known is false: its entry goes into the list under the tag.
 * manifest: its exact bytes. Nothing is written when it is listed already. DAVIT_ECONFLICT: something else has that tag.
 */
int dv_v2_referrer_add(dv_registry *reg, const void *manifest, size_t size, const char *media_type,
                       davit_error **err);
/* After its DELETE: out of the list again. A list that is not there is fine. */
int dv_v2_referrer_remove(dv_registry *reg, const davit_digest *subject, const davit_digest *referrer,
                          davit_error **err);

#endif

/*
 * registry/v2_manifest.h - manifests of one repository: what a tag names, and the bytes. Spec: registry-v2.md 4.
 *
 * Threads: a caller's; blocks.
 */
#ifndef DV_REGISTRY_V2_MANIFEST_H
#define DV_REGISTRY_V2_MANIFEST_H

#include "davit/manifest.h"
#include "registry/registry.h"

/* What HEAD told, or the whole answer when a GET was needed. */
typedef struct dv_manifest_answer {
    char *media_type; /* Content-Type without parameters; "" when there is none */
    davit_digest digest;
    uint64_t size;
    dv_buf bytes; /* empty after a HEAD */
} dv_manifest_answer;

#define DV_MANIFEST_ANSWER_INIT \
    {                           \
        0                       \
    }
void dv_manifest_answer_clear(dv_manifest_answer *a);
DV_DEFINE_AUTO(dv_manifest_answer, dv_manifest_answer_clear)

/* HEAD by tag or digest text, then GET where the registry needs it (registry-v2.md 4.2). */
int dv_v2_manifest_resolve(dv_registry *reg, const char *tag_or_digest, dv_manifest_answer *out,
                           davit_error **err);
/*
 * GET. expected: the digest that the bytes must have, or NULL for a tag (then Docker-Content-Digest is checked if it is
 * there). The bytes are hashed before anything parses them (threats B5).
 */
int dv_v2_manifest_get(dv_registry *reg, const char *tag_or_digest, const davit_digest *expected,
                       dv_manifest_answer *out, davit_error **err);

/* HEAD by digest or tag: 1 there, 0 not. */
int dv_v2_manifest_exists(dv_registry *reg, const char *tag_or_digest, davit_error **err);

typedef struct dv_manifest_put {
    davit_digest digest; /* of the bytes; the registry said nothing else */
    bool subject_known;  /* OCI-Subject: the registry lists it as a referrer by itself */
} dv_manifest_put;

/*
 * PUT the very bytes under a tag or their digest. A registry that stores other bytes is DAVIT_EDIGEST. A blob that it lacks shows as
 * davit_error_registry_code() MANIFEST_BLOB_UNKNOWN (or MANIFEST_UNKNOWN, for a child).
 */
int dv_v2_manifest_put(dv_registry *reg, const char *tag_or_digest, const char *media_type, const void *bytes,
                       size_t size, dv_manifest_put *out, davit_error **err);

/*
 * DELETE: by digest the manifest with every tag of it, by tag the tag alone, where the registry has that. DAVIT_ENOTFOUND;
 * DAVIT_EUNSUPPORTED: it does not delete (that).
 */
int dv_v2_manifest_delete(dv_registry *reg, const char *tag_or_digest, davit_error **err);

/* Whether a manifest was refused since the registry lacks a blob: perhaps one that it said it has (quirks.md). */
bool dv_v2_manifest_misses_blob(const davit_error *err);

#endif

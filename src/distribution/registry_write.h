/*
 * distribution/registry_write.h - changing what a registry has: the steps that the public functions share. Nothing here asks a mirror.
 *
 * Threads: a caller's; block.
 */
#ifndef DV_DISTRIBUTION_REGISTRY_WRITE_H
#define DV_DISTRIBUTION_REGISTRY_WRITE_H

#include "davit/manifest.h"
#include "davit/reference.h"
#include "registry/registry.h"

/* The registry of a reference itself. actions: of its tokens, "pull,push"; NULL: "pull". */
int dv_registry_open_itself(davit_client *c, const davit_reference *ref, const char *actions,
                            dv_registry **out, davit_error **err);

/*
 * What a reference names, from the registry itself: its document, checked. DAVIT_ENOTFOUND, ...
 */
int dv_registry_read_document(dv_registry *reg, const davit_reference *ref, davit_manifest **out,
                              davit_error **err);

/*
 * A document goes to a tag or a digest. One that refers to another manifest is put into the list of referrers where the registry does not do
 * that itself. m is what the bytes are, NULL for a type that we do not know.
 */
int dv_registry_put_document(dv_registry *reg, const char *tag_or_digest, const davit_manifest *m,
                             const void *bytes, size_t size, const char *media_type, davit_digest *out_digest,
                             davit_error **err);

#endif

/*
 * distribution/document.h - from a registry's answer to a checked manifest: the one place where Content-Type, descriptor and
 * document are held against each other (threats B3).
 */
#ifndef DV_DISTRIBUTION_DOCUMENT_H
#define DV_DISTRIBUTION_DOCUMENT_H

#include "davit/manifest.h"
#include "davit/reference.h"
#include "registry/v2_manifest.h"

/*
 * Parse the bytes of an answer, whose digest was checked. desc: what led to it, NULL for a tag; its media type and size, when it
 * has them, must be the document's. ref_text: the full reference for the text that refuses schema 1, or NULL.
 */
int dv_document_parse(const dv_manifest_answer *answer, const davit_descriptor *desc, const char *ref_text,
                      davit_manifest **out, davit_error **err);

/* Ask for it by digest, then as above. Threads: a caller's; blocks. */
int dv_document_fetch(dv_registry *reg, const davit_descriptor *desc, const char *ref_text,
                      davit_manifest **out, davit_error **err);

/* Under what a reference's document is asked for (its digest, its tag, "latest"), and the digest that the answer must then have. */
const char *dv_document_name(const davit_reference *ref);
int dv_document_pinned(const davit_reference *ref, davit_digest *storage, const davit_digest **out,
                       davit_error **err); /* *out: storage, or NULL for a tag */

/* What a reference names. out_digest: NULL, or what its bytes were checked against. Threads: a caller's; blocks. */
int dv_document_ask(dv_registry *reg, const davit_reference *ref, davit_manifest **out,
                    davit_digest *out_digest, davit_error **err);

/*
 * The entry of an index for a platform (NULL: the host's), borrowed from it. depth: 1 for an index that is in no other. DAVIT_EPLATFORM: none fits;
 * DAVIT_ETOOBIG: index within index, too deep.
 */
int dv_document_choose(const davit_manifest *index, const davit_platform *platform, unsigned depth,
                       const davit_descriptor **out, davit_error **err);
/*
 * From an index to the manifest of a platform (NULL: the host's); a manifest stays what it is. Takes m over. Threads: a caller's; blocks.
 */
int dv_document_narrow(dv_registry *reg, davit_manifest *m, const davit_platform *platform,
                       davit_manifest **out, davit_error **err);

/* The bytes of a config, whatever its type, verified. Threads: a caller's; blocks. DAVIT_ETOOBIG, DAVIT_EDIGEST. */
int dv_document_fetch_config(dv_registry *reg, const davit_descriptor *config, dv_buf *out, davit_error **err);

#endif

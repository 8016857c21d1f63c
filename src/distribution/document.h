/*
 * distribution/document.h - from a registry's answer to a checked manifest: the one place where Content-Type, descriptor and
 * document are held against each other (threats B3).
 */
#ifndef DV_DISTRIBUTION_DOCUMENT_H
#define DV_DISTRIBUTION_DOCUMENT_H

#include "davit/manifest.h"
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

#endif

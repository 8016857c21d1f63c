/*
 * oci/schema1.h - manifests of the first schema are recognised, and refused with the text that says what
 * to do.
 */
#ifndef DV_OCI_SCHEMA1_H
#define DV_OCI_SCHEMA1_H

#include "util/json.h"

/* Whether a parsed document is a schema 1 manifest, signed or not. */
bool dv_schema1_is(const dv_json *document);

/*
 * The deprecation error of pull.md 3.3; ref_text is the full reference, or NULL when none is known.
 * DAVIT_EUNSUPPORTED.
 */
int dv_schema1_refuse(const char *ref_text, davit_error **err);

/* Whether an error is that one. */
bool dv_schema1_is_refusal(const davit_error *err);

#endif

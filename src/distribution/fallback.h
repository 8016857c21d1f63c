/* distribution/fallback.h - what an error means for the next endpoint and for the user: pure. Spec: pull.md 2.1, 3.1. */
#ifndef DV_DISTRIBUTION_FALLBACK_H
#define DV_DISTRIBUTION_FALLBACK_H

#include "davit/reference.h"
#include "util/error.h"

#include <stdbool.h>

/* Whether the next endpoint may be tried after this error from an endpoint that is a mirror or not. */
bool dv_fallback_continue(const davit_error *err, bool mirror);

/* The error as the user sees it: *err is replaced; the code is returned. */
int dv_fallback_translate(davit_error **err, const davit_reference *ref);

#endif

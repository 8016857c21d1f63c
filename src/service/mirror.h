/* service/mirror.h - whether a text may be a registry mirror, and its normal form (service.md 3). */
#ifndef DV_SERVICE_MIRROR_H
#define DV_SERVICE_MIRROR_H

#include "util/error.h"

#include <stdbool.h>

/*
 * Check a mirror and give it back with exactly one "/" at its end (new text). DAVIT_EINVAL with the
 * specification's text, "invalid mirror: ...", or the older version's.
 */
int dv_mirror_validate(const char *text, bool v27, char **out, davit_error **err);

#endif

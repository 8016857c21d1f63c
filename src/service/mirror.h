/* service/mirror.h - whether a text may be a registry mirror, and its normal form (service.md 3, v28). */
#ifndef DV_SERVICE_MIRROR_H
#define DV_SERVICE_MIRROR_H

#include "util/error.h"

/*
 * Check a mirror and give it back with exactly one "/" at its end (new text). DAVIT_EINVAL with the
 * specification's text, "invalid mirror: ...".
 */
int dv_mirror_validate(const char *text, char **out, davit_error **err);

#endif

/* service/index_name.h - the name of an index, which is a registry's host or Docker Hub's (service.md 4). */
#ifndef DV_SERVICE_INDEX_NAME_H
#define DV_SERVICE_INDEX_NAME_H

#include "davit/service.h"

/* "index.docker.io" is "docker.io"; every other name is itself. Borrowed or static. */
const char *dv_index_name_normal(const char *text);
/* DAVIT_EINVAL for a name, in normal form, that begins or ends with a hyphen. */
int dv_index_name_check(const char *normal, davit_error **err);

#endif

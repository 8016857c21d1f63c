/*
 * oci/artifact_title.h - the titles of an artifact's layers (org.opencontainers.image.title): text from a registry that is to become the
 * name of a file (threats B2).
 */
#ifndef DV_OCI_ARTIFACT_TITLE_H
#define DV_OCI_ARTIFACT_TITLE_H

#include "util/error.h"

#define DV_ANNOTATION_TITLE "org.opencontainers.image.title"
#define DV_TITLE_MAX 4000          /* bytes: leaves a path room for the directory it is in */
#define DV_TITLE_COMPONENT_MAX 255 /* bytes: NAME_MAX */

/*
 * Whether a title can be a file below a directory: components joined by '/', none of them empty, "." or "..", no control bytes, not
 * too long. DAVIT_EFORMAT. Threads: any.
 */
int dv_artifact_title_check(const char *title, davit_error **err);

/*
 * The title of a local file: its path as it was given when that leads down from here, without "./"; else its last component.
 * DAVIT_EINVAL for a path that names no file. New text in *out.
 */
int dv_artifact_title_of_path(const char *path, char **out, davit_error **err);

#endif

/* distribution/dir_files.h - the names in a directory of skopeo's dir: transport. Pure. */
#ifndef DV_DISTRIBUTION_DIR_FILES_H
#define DV_DISTRIBUTION_DIR_FILES_H

#include "davit/digest.h"

#include <stdio.h>

#define DV_DIR_VERSION_FILE "version"
#define DV_DIR_VERSION_PREFIX "Directory Transport Version: "
#define DV_DIR_VERSION_TEXT DV_DIR_VERSION_PREFIX "1.1\n"
#define DV_DIR_MANIFEST_FILE "manifest.json"
#define DV_DIR_MANIFEST_SUFFIX ".manifest.json"
#define DV_DIR_NAME_MAX 160

/* Of a manifest that an index lists. */
static inline const char *dv_dir_manifest_name(const davit_digest *digest, char out[DV_DIR_NAME_MAX])
{
    snprintf(out, DV_DIR_NAME_MAX, "%s" DV_DIR_MANIFEST_SUFFIX, davit_digest_hex(digest));
    return out;
}

#endif

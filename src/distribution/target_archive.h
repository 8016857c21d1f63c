/*
 * distribution/target_archive.h - what both kinds of archives share as targets: the file, which is written beside its place and put there whole,
 * and what may not be replaced.
 */
#ifndef DV_DISTRIBUTION_TARGET_ARCHIVE_H
#define DV_DISTRIBUTION_TARGET_ARCHIVE_H

#include "distribution/staged_file.h"
#include "distribution/target.h"

typedef struct dv_target_archive {
    dv_target target; /* first */
    int dirfd;        /* of the file's directory */
    char *name;       /* of the file in it */
    dv_staged_file file;
    bool begun;
    dv_digest_set written;
} dv_target_archive;

int dv_target_archive_init(dv_target_archive *a, const dv_target_ops *ops, davit_client *c,
                           const dv_place *place, davit_error **err);
void dv_target_archive_clear(dv_target_archive *a);
/* As the resolve() of a target. An archive that is there is replaced only when it holds that one image and no other. DAVIT_EEXIST. */
int dv_target_archive_resolve(dv_target *t, const char *name, davit_digest *out, davit_error **err);
int dv_target_archive_has_blob(dv_target *t, const davit_descriptor *blob, davit_error **err);
/* Open the file, once. */
int dv_target_archive_begin(dv_target_archive *a, davit_error **err);
/* A whole entry from memory; and the header of one whose data follow. */
int dv_target_archive_put(dv_target_archive *a, const char *name, const void *bytes, size_t size,
                          davit_error **err);
int dv_target_archive_header(dv_target_archive *a, const char *name, uint64_t size, davit_error **err);
/* End the tar and put the file into its place. */
int dv_target_archive_finish(dv_target_archive *a, davit_error **err);

#endif

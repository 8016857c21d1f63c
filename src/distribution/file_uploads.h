/*
 * distribution/file_uploads.h - files whose digests are known, to one repository over the upload manager: several at once, each gone on with
 * where an earlier run left it, where there is a store to remember that.
 *
 * Threads: a caller's; block.
 */
#ifndef DV_DISTRIBUTION_FILE_UPLOADS_H
#define DV_DISTRIBUTION_FILE_UPLOADS_H

#include "davit/descriptor.h"
#include "davit/progress.h"
#include "registry/registry.h"

typedef struct dv_file_upload {
    const char *name;  /* for errors; NULL: what it is goes without saying */
    int fd;            /* borrowed; -1: bytes in its place */
    const void *bytes; /* borrowed */
    davit_digest digest;
    uint64_t size;
} dv_file_upload;

typedef struct dv_file_uploads {
    dv_registry *registry;  /* opened for pull,push */
    const char *repository; /* its whole name */
    const dv_file_upload *files;
    size_t count;
    bool anew;                  /* whatever the registry says that it has */
    davit_progress_fn progress; /* NULL: nobody is told */
    void *user_data;
} dv_file_uploads;

int dv_file_uploads_run(const dv_file_uploads *uploads, davit_error **err);

#endif

/* cli/file_target.h - a file that appears whole or not at all. */
#ifndef DV_CLI_FILE_TARGET_H
#define DV_CLI_FILE_TARGET_H

#include "util/buf.h"
#include "util/error.h"

#include <stdbool.h>
#include <sys/types.h>

/* Written beside its name and renamed; what is there already and is no regular file (/dev/null) is written directly. */
typedef struct dv_file_target {
    char *path;      /* symbolic links followed */
    char *temporary; /* NULL: written directly */
    int fd;
    mode_t mode;
} dv_file_target;

#define DV_FILE_TARGET_INIT \
    {                       \
        .fd = -1            \
    }

/* mode: of a new file. */
int dv_file_target_open(dv_file_target *t, const char *path, mode_t mode, davit_error **err);
int dv_file_target_write(dv_file_target *t, const void *bytes, size_t size, davit_error **err);
/* The file gets its name. Without this, clear() leaves no trace. */
int dv_file_target_commit(dv_file_target *t, davit_error **err);
void dv_file_target_clear(dv_file_target *t);
DV_DEFINE_AUTO(dv_file_target, dv_file_target_clear)

#endif

/*
 * distribution/staged_file.h - a file that is written beside its place and put there whole. Whoever writes holds a lock on it, so that
 * what killed processes left can be told from what others are writing.
 */
#ifndef DV_DISTRIBUTION_STAGED_FILE_H
#define DV_DISTRIBUTION_STAGED_FILE_H

#include "util/sink.h"

#include <stdint.h>

#define DV_STAGED_PREFIX ".davit-"
#define DV_STAGED_NAME_MAX 32

typedef struct dv_staged_file {
    dv_sink sink; /* appends; finish() does nothing */
    int dirfd;    /* borrowed: of the directory it is written in */
    int fd;
    char name[DV_STAGED_NAME_MAX]; /* "" once it has its place */
    uint64_t size;                 /* bytes appended */
} dv_staged_file;

int dv_staged_file_open(dv_staged_file *f, int dirfd, davit_error **err);
/* Sync it and rename it to path below dirfd. The directory is synced by the caller. */
int dv_staged_file_commit(dv_staged_file *f, const char *path, davit_error **err);
void dv_staged_file_clear(dv_staged_file *f); /* without a commit it is gone */
/* A small file whole: in its place and durable, or an error and what was there before. */
int dv_staged_file_put(int dirfd, const char *path, const void *bytes, size_t size, davit_error **err);
/* Remove what others left unfinished in this directory; what somebody still writes stays. */
void dv_staged_files_sweep(int dirfd);

#endif

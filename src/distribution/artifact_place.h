/*
 * distribution/artifact_place.h - the directory that an artifact's files go to, and one file on its way there. Spec: threats B2, B6.
 *
 * Titles come from the registry and were checked as text (oci/artifact_title.h). Every directory on the way is opened beneath the last one
 * and through no link. A file is written under a name of ours and gets its own when it was right.
 *
 * Threads: any, one at a time for each file; a directory serves many.
 */
#ifndef DV_DISTRIBUTION_ARTIFACT_PLACE_H
#define DV_DISTRIBUTION_ARTIFACT_PLACE_H

#include "util/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct dv_artifact_place {
    const char *path; /* borrowed */
    int fd;
    mode_t file_mode, directory_mode; /* exact, whatever the umask */
    bool force;                       /* what is there is replaced */
} dv_artifact_place;

/* path and modes are set; it is made when it is absent. */
int dv_artifact_place_open(dv_artifact_place *place, davit_error **err);
void dv_artifact_place_clear(dv_artifact_place *place);
/* DAVIT_EEXIST: something is in the way of this title. Nothing is made. */
int dv_artifact_place_check(const dv_artifact_place *place, const char *title, davit_error **err);

typedef struct dv_artifact_file {
    const dv_artifact_place *place;
    const char *title; /* borrowed */
    const char *base;  /* its last part */
    int directory_fd, fd;
    char temporary[32]; /* "": none */
} dv_artifact_file;

#define DV_ARTIFACT_FILE_INIT         \
    {                                 \
        .directory_fd = -1, .fd = -1, \
    }

/* Make it, and the directories that it is in. Also after a failure: dv_artifact_file_clear(). */
int dv_artifact_file_open(dv_artifact_file *f, const dv_artifact_place *place, const char *title,
                          davit_error **err);
int dv_artifact_file_write(const dv_artifact_file *f, const void *bytes, size_t size, davit_error **err);
/* It is empty again. */
int dv_artifact_file_restart(const dv_artifact_file *f, davit_error **err);
/* It is right: on disk, and under its name. */
int dv_artifact_file_publish(dv_artifact_file *f, davit_error **err);
/* Closed; gone, when it was not published. */
void dv_artifact_file_clear(dv_artifact_file *f);

#endif

/*
 * archive/unpack_overlay.h - one layer in a directory of its own, in the form that overlayfs mounts (store.md 9.4): what its markers remove is said
 * there, and the layers below stay as they are.
 *
 * A whiteout is a character device 0:0, an opaque directory has the xattr trusted.overlay.opaque (user.overlay.opaque without the right to set that
 * one), and both stand only where something below is hidden: overlayfs shows a whiteout that hides nothing. The merged view is what
 * applying the layers to one directory gives: directories and links on the way that the layer does not bring itself are taken over from below as they
 * are, and so are the targets of its hard links.
 *
 * Where whiteout devices may not be made (before Linux 5.8, some user namespaces) whiteouts are empty files with the xattr
 * user.overlay.whiteout, which overlayfs knows since Linux 6.7.
 */
#ifndef DV_ARCHIVE_UNPACK_OVERLAY_H
#define DV_ARCHIVE_UNPACK_OVERLAY_H

#include "archive/unpack_marks.h"

#include <sys/stat.h>

#define DV_OVERLAY_STEPS_MAX 100000000u /* looks into layers below for one layer: a minute or two */

typedef struct dv_overlay {
    int root_fd;        /* of the layer */
    const int *lowers;  /* roots of the layers below, the nearest first; borrowed */
    size_t lower_count; /* 0: the lowest layer, which hides nothing */
    bool rootless;      /* owners are not set */
    bool root_is_opaque; /* nothing below shows any more; said at the end, since overlayfs does not ask a root */
    uint64_t steps;
    dv_unpack_marks whiteouts; /* made here */
    dv_unpack_marks copied;    /* files and links that were taken over from below */
    dv_unpack_marks kept;      /* what took the place of one of either; with no name, opaque directories */
} dv_overlay;

/* Takes mode, owner, xattrs and times of the root over from the layer below, when there is one. */
int dv_overlay_init(dv_overlay *o, int root_fd, const int *lowers, size_t lower_count, bool rootless,
                    davit_error **err);
void dv_overlay_clear(dv_overlay *o);

/* What a directory lacks on the way to an entry. */
typedef enum dv_overlay_brought {
    DV_OVERLAY_NOTHING, /* nothing is below: it is the layer's own */
    DV_OVERLAY_BROUGHT, /* a directory or link as it is below is there now */
    DV_OVERLAY_HIDDEN, /* a whiteout of this layer stood there and is gone: the directory must be made opaque */
} dv_overlay_brought;
/* DAVIT_EFORMAT: something that is no directory is below. */
int dv_overlay_bring(dv_overlay *o, int at, const char *name, dv_overlay_brought *out, davit_error **err);
/* Take a regular file or link over. 1: done; 0: there is none. */
int dv_overlay_copy_up(dv_overlay *o, int at, const char *name, davit_error **err);

/* The layer removes name from the directory at; uid and gid are the marker's. */
int dv_overlay_whiteout(dv_overlay *o, int at, const char *name, uint32_t uid, uint32_t gid,
                        davit_error **err);
/* Nothing of the layers below shows in this directory. */
int dv_overlay_set_opaque(dv_overlay *o, int fd, davit_error **err);
/* Something of the layer's own takes the place of what stood at name. */
int dv_overlay_replaced(dv_overlay *o, int at, const char *name, davit_error **err);
/* After the last entry. */
int dv_overlay_finish(dv_overlay *o, davit_error **err);

#endif

/* archive/unpack_internal.h - what the files unpack*.c share: the state of one unpacking and of the entry that is being applied. */
#ifndef DV_ARCHIVE_UNPACK_INTERNAL_H
#define DV_ARCHIVE_UNPACK_INTERNAL_H

#include "archive/unpack.h"
#include "archive/unpack_dirs.h"
#include "archive/unpack_path.h"
#include "util/file.h"

#include <sys/stat.h>

/* The file whose data comes. */
typedef struct dv_unpack_file {
    int fd; /* -1: data is dropped */
    uint64_t offset;
    mode_t made_mode; /* what open() gave it */
    bool chown;
    bool hole; /* something was left out: written by offset, sized at the end */
    bool hole_at_end;
} dv_unpack_file;

/* Directories that get their mode at the very end, because without it their owner cannot work in them. */
typedef struct dv_unpack_late {
    char *path;
    ino_t inode;
    mode_t mode;
} dv_unpack_late;
#define DV_UNPACK_LATE_MAX 4096

/* The layer that is being applied. */
typedef struct dv_unpack_layer_state {
    dv_sink sink; /* first: what the caller writes to */
    dv_unpack *unpack;
    dv_tar_reader *reader;
    char *what;
    char kept[32]; /* "", or the directory with the files of ".wh..wh.plnk/" */
} dv_unpack_layer_state;

struct dv_unpack {
    dv_unpack_layer_state layer;
    dv_unpack_options options; /* xattrs: own copies */
    char *root_name;
    int root_fd; /* borrowed */
    dv_room room;
    bool privileged;
    uid_t euid;
    gid_t egid;
    unsigned layers;  /* begun */
    uint64_t entries; /* of all layers */
    dv_unpack_marks marks;
    dv_dirs dirs;
    dv_overlay overlay;        /* when options.overlay */
    const dv_tar_entry *entry; /* the current one; borrowed from the reader */
    dv_unpack_path path, target;
    dv_unpack_file file;
    dv_unpack_late *late;
    size_t late_count;
    mode_t root_mode;
    dv_unpack_report report;
};

/* The private umask of 0 is set in this thread. */
extern _Thread_local bool dv_unpack_umask_is_zero;

/* A tar_handler's functions with a dv_unpack as user. */
extern const dv_tar_handler dv_unpack_handler;
/* Begin and end of a layer without a reader; what dv_unpack_layer() does around one. */
int dv_unpack_begin_layer(dv_unpack *u, const char *what, davit_error **err);
int dv_unpack_end_layer(dv_unpack *u, davit_error **err);

void dv_unpack_skipped(dv_unpack *u, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* More would use up the reserve of the file system. */
int dv_unpack_no_room(const dv_unpack *u, davit_error **err);
/* A system call on the current entry failed. */
int dv_unpack_failed(dv_unpack *u, int errnum, const char *doing, davit_error **err);
/* The current entry is refused: DAVIT_EFORMAT "<name>": <why>. */
int dv_unpack_refused(dv_unpack *u, const char *why, davit_error **err);

/* --- unpack_metadata.c --- */

/* Times as they are set: [0] the later of both, [1] modification; before 1970 and beyond 2262 is the epoch. Pure. */
void dv_unpack_times(const dv_tar_entry *e, struct timespec out[2]);
/* What umoci writes: protobuf, field 1 uid, field 2 gid, zeros left out. Bytes written, 0 for 0:0. Pure. */
size_t dv_unpack_rootless_value(uint32_t uid, uint32_t gid, uint8_t out[12]);
/* Whether what is made in parent for the entry has another owner than it shall have. */
bool dv_unpack_needs_owner(const dv_unpack *u, const dv_tar_entry *e, const dv_dir *parent);
/* Owner, xattrs, mode, times of a regular file that was just made; closes it. */
int dv_unpack_finish_file(dv_unpack *u, davit_error **err);
/* Owner, xattrs, mode of a directory; times are noted. */
int dv_unpack_apply_directory(dv_unpack *u, dv_dir *dir, bool existed, davit_error **err);
/* Owner, xattrs, mode, times of what is no directory by its name in parent; st: how it is now. */
int dv_unpack_apply_name(dv_unpack *u, const dv_dir *parent, const char *name, const struct stat *st,
                         davit_error **err);
/* The directory at path and all below are going: their modes wait no more. */
void dv_unpack_forget_late(dv_unpack *u, const char *path, size_t size);
/* The same for those that are not there any more, right after a removal that may have left some: an inode is soon another's. */
void dv_unpack_forget_removed(dv_unpack *u, const char *path, size_t size);
/* The modes that had to wait. */
int dv_unpack_apply_late(dv_unpack *u, davit_error **err);

/* --- unpack_whiteout.c --- */

/* The current entry's last component starts with ".wh.". */
int dv_unpack_apply_whiteout(dv_unpack *u, davit_error **err);
/* Remove what stands in the way of the current entry in parent. *gone false: nothing was there. */
int dv_unpack_clear_way(dv_unpack *u, const dv_dir_ref *parent, davit_error **err);

/* --- unpack_entry.c --- */

int dv_unpack_apply_entry(dv_unpack *u, davit_error **err);
int dv_unpack_write_data(dv_unpack *u, const void *bytes, size_t size, davit_error **err);

#endif

/*
 * archive/unpack.h - layers become files: applies tar streams, lowest layer first, to one fresh directory (DESIGN 7, 8; store.md 9.2, 9.3;
 * threats D).
 *
 * Everything happens relative to one directory descriptor: parents by openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS), the last component
 * never followed. Directories that are open are kept (a bounded cache), so that a parent is not resolved for each file. Owner, mode and times
 * are set only where they differ from what creation gave; those of directories when the last layer is applied.
 *
 * Memory: 128 open directories, and for layers above the lowest up to 32 bytes for each entry that they put into directories of lower
 * layers, at most 2 million such (unpack_marks.h). What an unpacking makes in a root is only this root's: hard links stay within it.
 *
 * Threads: one at a time, of the caller's choice; it needs its own umask of 0: dv_unpack_thread_init().
 */
#ifndef DV_ARCHIVE_UNPACK_H
#define DV_ARCHIVE_UNPACK_H

#include "archive/tar.h"

typedef enum dv_unpack_devices { DV_DEVICES_KEEP, DV_DEVICES_SKIP, DV_DEVICES_REJECT } dv_unpack_devices;

typedef struct dv_unpack_options {
    const char *root_name; /* how messages call the directory; NULL: "/" */
    bool rootless;         /* owners are recorded in user.rootlesscontainers, devices skipped; setuid stays */
    dv_unpack_devices devices; /* rootless: KEEP means SKIP */
    const char *const *xattrs; /* names or "user.*" patterns to keep beyond the default; ends with NULL; NULL */
    uint64_t max_bytes;        /* of all layers; 0: 64 GiB */
    uint64_t max_entries;      /* 0: 10 000 000 */
    /*
     * Not on top of each other: the root is for one layer, in the form of overlayfs (unpack_overlay.h). lowers: roots of those below it, the
     * nearest first; borrowed until the unpacking is freed.
     */
    bool overlay;
    const int *lowers;
    size_t lower_count;
} dv_unpack_options;

/* Something of the image that is not in the directory as the image says. */
typedef struct dv_unpack_skip {
    char *path;   /* escaped by who shows it */
    char *reason; /* "device", "xattr security.ima", "owner 0:0" ... */
} dv_unpack_skip;
#define DV_UNPACK_SKIPS_MAX 1000 /* remembered; the others are counted */

typedef struct dv_unpack_report {
    uint64_t files, directories, symlinks, hardlinks, devices,
        bytes; /* of the entries applied; a pipe is a file */
    uint64_t whiteouts;
    const dv_unpack_skip *skips;
    size_t skip_count;
    uint64_t skips_total;
} dv_unpack_report;

/*
 * Once in the thread that will apply, which is one of ours and never the caller's (in a process of one thread the umask is the
 * process's): unshare(CLONE_FS) where allowed, umask 0. DAVIT_EUNSUPPORTED without openat2 (say so, section 8). Without it everything
 * works too, with one more system call for each file.
 */
int dv_unpack_thread_init(davit_error **err);

typedef struct dv_unpack dv_unpack;
/* root_fd: borrowed, an empty directory of ours. */
int dv_unpack_new(int root_fd, const dv_unpack_options *options, dv_unpack **out, davit_error **err);
/*
 * The next layer: gives a sink for its inflated tar; finish() of it ends the layer. what names it in messages. Borrowed, until the next one.
 * Errors of the sink: DAVIT_EFORMAT (refused names, entries), DAVIT_ETOOBIG, DAVIT_EIO, DAVIT_ENOSPACE, DAVIT_EUNSUPPORTED (devices rejected).
 */
int dv_unpack_layer(dv_unpack *u, const char *what, dv_sink **out, davit_error **err);
/* After the last layer: directories' modes and times; of the root everything but the mode. */
int dv_unpack_finish(dv_unpack *u, davit_error **err);
/* What the image says of the root, 0755 when it says nothing: for dv_staging_set_mode(). */
unsigned dv_unpack_root_mode(const dv_unpack *u);
const dv_unpack_report *dv_unpack_get_report(const dv_unpack *u);
void dv_unpack_free(dv_unpack *u);
DV_DEFINE_AUTOPTR(dv_unpack, dv_unpack_free)

#endif

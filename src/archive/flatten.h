/*
 * archive/flatten.h - the layers of an image become one tar of the tree that they make, without a file system between (store.md 9.2; DESIGN 8).
 *
 * The layers are read twice, lowest first. The first time their entries make a tree in memory (flatten_tree.h), by the rules of unpack.h: what
 * comes out is what unpacking them gives. The second time the data of the files that are left is passed on. Layers of which no data is left are
 * not needed again.
 *
 * Order of the output, which only the layers' bytes decide: files stand where the entry stood that gave them their data, lowest layer first, and
 * everything else where the entry stood that made it; the directories above come before, as late as possible; the other names of a file
 * follow it as hard links. The root comes first, as "./", when an entry describes it. No name comes twice.
 *
 * Not as the image says: directories that no entry describes are 0755, root's, with the time of the entry that needed them; times before 1970
 * and beyond 2262 are the epoch; there are no access times; xattrs that are not kept (xattr_policy.h) are counted.
 */
#ifndef DV_ARCHIVE_FLATTEN_H
#define DV_ARCHIVE_FLATTEN_H

#include "archive/tar.h"

#define DV_FLATTEN_LAYERS_MAX 4096
#define DV_FLATTEN_ENTRIES_MAX 10000000u /* of all layers */

typedef struct dv_flatten_options {
    const char *root_name; /* how messages call the root; NULL: "/" */
    uint64_t max_bytes;    /* of data in all layers; 0: 64 GiB */
    /* Borrowed: extended attributes to keep as well (xattr_policy.h). */
    const char *const *xattrs;
} dv_flatten_options;

typedef struct dv_flatten_report {
    uint64_t entries; /* written */
    uint64_t bytes;   /* of files written */
    uint64_t xattrs_left_out;
} dv_flatten_report;

typedef struct dv_flatten dv_flatten;
int dv_flatten_new(const dv_flatten_options *options, dv_flatten **out, davit_error **err);
/*
 * First reading: a sink for the next layer's inflated tar; finish() of it ends the layer. what names it in messages. Borrowed, until the next
 * one. Errors of the sink: DAVIT_EFORMAT, DAVIT_ETOOBIG (also more than 2 million paths, or a path of more than 4095 bytes), DAVIT_ENOMEM.
 */
int dv_flatten_read(dv_flatten *f, const char *what, dv_sink **out, davit_error **err);
/* All layers were read: what to is written to from now on. Borrowed. */
int dv_flatten_begin(dv_flatten *f, dv_sink *to, davit_error **err);
/* Whether data of this layer, counted from 0, is wanted. After dv_flatten_begin(). */
bool dv_flatten_wants(const dv_flatten *f, size_t layer);
/* Second reading, in the same order. Further errors: DAVIT_EDIGEST (not the bytes of the first time), those of the sink that is written to. */
int dv_flatten_write(dv_flatten *f, size_t layer, const char *what, dv_sink **out, davit_error **err);
/* After the last: what is left to be written, and the end marker. Finishes the sink. */
int dv_flatten_finish(dv_flatten *f, davit_error **err);
const dv_flatten_report *dv_flatten_get_report(const dv_flatten *f);
void dv_flatten_free(dv_flatten *f);
DV_DEFINE_AUTOPTR(dv_flatten, dv_flatten_free)

#endif

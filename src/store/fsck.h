/*
 * store/fsck.h - one check of a store, and its parts: rows (fsck_rows.c), files beside the blobs (fsck_files.c), blobs
 * (fsck_blobs.c), unpacked layers (fsck_layers.c), images (fsck_images.c), in this order (fsck.c).
 */
#ifndef DV_STORE_FSCK_H
#define DV_STORE_FSCK_H

#include "davit/store.h"
#include "store/content_graph.h"
#include "store/digest_set.h"

#define DV_FSCK_FINDINGS_MAX 100000 /* more are counted and not told */

typedef struct dv_fsck {
    dv_store *store;
    uint32_t flags;
    davit_fsck_report *report;
    dv_content_graph graph; /* what rows need; empty when the rows cannot be trusted */
    dv_content_marks needed;
    dv_digest_set bad; /* blobs that are not what their names say */
} dv_fsck;

static inline bool dv_fsck_repairs(const dv_fsck *f)
{
    return (f->flags & DAVIT_FSCK_REPAIR) != 0;
}

typedef struct dv_fsck_about {
    davit_fsck_kind kind;
    bool damage, repaired;
    const char *subject, *remedy; /* remedy may be NULL */
} dv_fsck_about;
/* Tell of something. */
int dv_fsck_add(dv_fsck *f, const dv_fsck_about *about, davit_error **err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* What is counted on the way. */
davit_fsck_counts *dv_fsck_counts(dv_fsck *f);

/* *out_readable: what the rows say can be relied on. */
int dv_fsck_rows(dv_fsck *f, bool *out_readable, davit_error **err);
/* Names in the store's directories, leases, unfinished downloads. */
int dv_fsck_files(dv_fsck *f, davit_error **err);
/* Blobs by name, size and digest; fills bad. With a repair the bad ones are gone then. */
int dv_fsck_blobs(dv_fsck *f, davit_error **err);
/* Unpacked layers: rows, directories, and whether their blobs are there. */
int dv_fsck_layers(dv_fsck *f, davit_error **err);
/* What images and references lack. */
int dv_fsck_images(dv_fsck *f, davit_error **err);

#endif

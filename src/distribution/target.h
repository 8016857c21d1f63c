/*
 * distribution/target.h - where a copy goes: one table of functions for each transport (target_*.c).
 *
 * The order of calls: open; for each name begin, blobs, documents, tag; finish; close. Nothing that a name stands for changes
 * before tag(), and an archive is not there at all before finish().
 *
 * Threads: a caller's; blocks. has_blob(), blob_open() and blob_end() from several at once, unless it is serial.
 */
#ifndef DV_DISTRIBUTION_TARGET_H
#define DV_DISTRIBUTION_TARGET_H

#include "distribution/copy_plan.h"
#include "distribution/transport.h"
#include "util/sink.h"

typedef struct dv_target dv_target;

typedef struct dv_target_ops {
    /* 1: what the name (NULL: the place's own) stands for now; 0: nothing. */
    int (*resolve)(dv_target *t, const char *name, davit_digest *out, davit_error **err);
    /* 1: it and everything below it is there; 0: not known. NULL: never known. */
    int (*has_document)(dv_target *t, const davit_descriptor *document, davit_error **err);
    int (*has_blob)(dv_target *t, const davit_descriptor *blob, davit_error **err); /* 1 or 0 */
    /* Before the first write for a name. alone: no other name follows. */
    int (*begin)(dv_target *t, const dv_copy_plan *plan, const char *name, bool alone, davit_error **err);
    /* A sink for the bytes of a blob; 1: it is there already. Ended by blob_end() in any case. */
    int (*blob_open)(dv_target *t, const davit_descriptor *blob, dv_sink **out, davit_error **err);
    /* good: all bytes came and are right: they get their name now. */
    int (*blob_end)(dv_target *t, dv_sink *blob, bool good, davit_error **err);
    int (*put_document)(dv_target *t, const dv_copy_document *d, davit_error **err);
    /* The name stands for the plan's root from now on. */
    int (*tag)(dv_target *t, const dv_copy_plan *plan, const char *name, davit_error **err);
    int (*finish)(dv_target *t, davit_error **err);
    void (*close)(dv_target *t);
} dv_target_ops;

struct dv_target {
    const dv_target_ops *ops;
    davit_client *client;
    const dv_place *place; /* borrowed */
    bool serial;           /* one blob at a time */
    bool one_image;        /* holds a single image, no index (docker-archive) */
    bool one_name;         /* holds one name only */
    bool keeps_referrers;  /* who refers to what is its own business */
    dv_registry *
        registry; /* of a registry, whose blobs go through the upload manager: it has no blob_open(); borrowed */
};

/* place is borrowed until the close. Nothing is written. */
int dv_target_open(davit_client *c, const dv_place *place, dv_target **out, davit_error **err);
void dv_target_close(dv_target *t); /* NULL is fine; what was not finished is not there */
DV_DEFINE_AUTOPTR(dv_target, dv_target_close)

int dv_target_registry_open(davit_client *c, const dv_place *place, dv_target **out, davit_error **err);
int dv_target_store_open(davit_client *c, const dv_place *place, dv_target **out, davit_error **err);
int dv_target_layout_open(davit_client *c, const dv_place *place, dv_target **out, davit_error **err);
int dv_target_oci_archive_open(davit_client *c, const dv_place *place, dv_target **out, davit_error **err);
int dv_target_docker_archive_open(davit_client *c, const dv_place *place, dv_target **out, davit_error **err);
int dv_target_dir_open(davit_client *c, const dv_place *place, dv_target **out, davit_error **err);

#endif

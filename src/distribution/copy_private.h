/*
 * distribution/copy_private.h - what the stages of one copy share: copy.c (the whole, names), copy_referrers.c, copy_files.c (blobs into files),
 * copy_uploads.c (blobs into a registry). Threads: the calling one.
 */
#ifndef DV_DISTRIBUTION_COPY_PRIVATE_H
#define DV_DISTRIBUTION_COPY_PRIVATE_H

#include "davit/copy.h"

#include "distribution/source.h"
#include "distribution/target.h"
#include "store/store.h"

/* What a name at the target was when it was asked for. */
typedef struct dv_copy_old {
    bool there;
    davit_digest digest;
} dv_copy_old;

typedef struct dv_copy {
    davit_client *client;
    const davit_copy_options *options;
    dv_place from, to;
    dv_source *source;
    dv_target *target;
    dv_store *journal; /* of uploads; NULL: none is kept, or nobody asked yet */
    bool journal_asked;
    dv_store
        *known; /* what it remembers of blobs at the target is used and kept up; borrowed; NULL: nothing is */
    const dv_copy_old
        *old; /* of the name that is copied next, where somebody asked already; NULL: it is asked for */
    bool same_registry;   /* blobs can be mounted */
    bool same_repository; /* and here they are there already */
    davit_copy_result result;
} dv_copy;

void dv_copy_clear(dv_copy *c);
DV_DEFINE_AUTO(dv_copy, dv_copy_clear)

void dv_copy_warn(const dv_copy *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void dv_copy_message(const dv_copy *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A state of a blob, or its count (total not 0). */
void dv_copy_tell(const dv_copy *c, const davit_descriptor *blob, const char *action, uint64_t current,
                  uint64_t total);

/* What a document is at the target, without a name of its own. The plan's root goes as a child does. */
int dv_copy_content(dv_copy *c, const davit_descriptor *root, davit_error **err);
/* One name. to_name: NULL for the place's own. alone: no other follows. */
int dv_copy_name(dv_copy *c, const char *from_name, const char *to_name, bool alone, davit_error **err);
/* copy_referrers.c: everything that refers to a manifest. */
int dv_copy_referrers(dv_copy *c, const davit_digest *subject, davit_error **err);

/* Those blobs of the plan that the target lacks. */
int dv_copy_files(dv_copy *c, const dv_copy_plan *plan, davit_error **err);
/* anew: what the registry said of them before, even that they are mounted, is not believed. */
int dv_copy_uploads(dv_copy *c, const dv_copy_plan *plan, bool anew, davit_error **err);

#endif

/*
 * distribution/copy_plan.h - everything that one name stands for, found before anything is written: documents with all they list, in the order in
 * which they may be put (DESIGN 6: nothing is visible before what is below it).
 *
 * Documents are in memory together, within limits (threats C3). Threads: the calling one.
 */
#ifndef DV_DISTRIBUTION_COPY_PLAN_H
#define DV_DISTRIBUTION_COPY_PLAN_H

#include "davit/manifest.h"
#include "davit/platform.h"
#include "distribution/source.h"
#include "store/digest_set.h"

#define DV_COPY_DOCUMENTS_BYTES_MAX (32u << 20) /* of one name (threats C3) */
#define DV_COPY_ITEMS_MAX 16384                 /* documents and blobs of one name */

typedef struct dv_copy_document {
    davit_descriptor descriptor; /* of these bytes; its media type lives as long as the plan */
    const void *bytes;
    davit_manifest *manifest; /* NULL: of a type that is nobody's business here, moved as it is */
    void *own;                /* the bytes, when no manifest keeps them */
    bool is_child;            /* an index lists it */
} dv_copy_document;

typedef struct dv_copy_plan {
    dv_source *source;           /* borrowed */
    dv_copy_document *documents; /* children first, so the root is the last */
    size_t document_count;
    davit_descriptor *blobs; /* configs and layers, each digest once; texts borrowed from the documents */
    size_t blob_count;
    size_t bytes;       /* of all documents */
    dv_digest_set seen; /* documents and blobs */
    dv_text_pool texts;
} dv_copy_plan;

#define DV_COPY_PLAN_INIT \
    {                     \
        0                 \
    }
void dv_copy_plan_clear(dv_copy_plan *p);
DV_DEFINE_AUTO(dv_copy_plan, dv_copy_plan_clear)

typedef struct dv_copy_choice {
    const davit_platform *platforms; /* of an index; none: all */
    size_t platform_count;
    bool sparse; /* the index as it is, with the chosen children, or those that the source has */
    bool whole;  /* all children must be there */
    bool one;    /* the target holds single images: of an index this machine's, if none is chosen */
    void (*warn)(void *user, const char *text); /* what became of an index; may be NULL */
    void *user;
} dv_copy_choice;

/* Whether a document and all below it is at the target already: then what it lists is left out of the plan. 1, 0, negative. */
typedef int (*dv_copy_has_fn)(void *user, const davit_descriptor *document, davit_error **err);

/* The documents and blobs behind root. has may be NULL. DAVIT_EPLATFORM, DAVIT_ETOOBIG, DAVIT_ENOTFOUND. */
int dv_copy_plan_make(dv_copy_plan *p, dv_source *source, const davit_descriptor *root,
                      const dv_copy_choice *choice, dv_copy_has_fn has, void *user, davit_error **err);
/* The last document: what the name will stand for. */
const dv_copy_document *dv_copy_plan_root(const dv_copy_plan *p);

#endif

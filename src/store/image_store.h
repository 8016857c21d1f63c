/*
 * store/image_store.h - images: one row for each manifest that was pulled, and the recording of a finished pull.
 *
 * A manifest that came by several indexes has one row here all the same: with the index asked for, else the last.
 */
#ifndef DV_STORE_IMAGE_STORE_H
#define DV_STORE_IMAGE_STORE_H

#include "davit/descriptor.h"
#include "davit/platform.h"
#include "davit/reference.h"
#include "store/store.h"

typedef struct dv_image_row {
    davit_digest manifest;
    davit_digest config; /* the image id */
    davit_digest index;  /* algorithm DAVIT_DIGEST_NONE when it was not reached through an index */
    davit_platform platform;
    uint64_t size; /* bytes of config and layers as stored */
    int64_t pulled_at_s;
} dv_image_row;

typedef struct dv_image_rows {
    dv_image_row *items;
    size_t count;
} dv_image_rows;
void dv_image_rows_clear(dv_image_rows *rows);
DV_DEFINE_AUTO(dv_image_rows, dv_image_rows_clear)

/* Every image, in the order they were pulled. */
int dv_image_store_list(dv_store *s, dv_image_rows *out, davit_error **err);
/* Rows whose manifest or index is this digest, in the order they were pulled. */
int dv_image_store_by_digest(dv_store *s, const davit_digest *digest, dv_image_rows *out, davit_error **err);
/* Rows whose image id (config digest hex) begins with this hex prefix; none for what is no lower-case hex. */
int dv_image_store_by_id(dv_store *s, const char *hex_prefix, dv_image_rows *out, davit_error **err);

/*
 * What forgetting images leaves unneeded, perhaps: their manifests, indexes and configs. Free with dv_image_digests_clear().
 */
typedef struct dv_image_digests {
    davit_digest *items;
    size_t count;
} dv_image_digests;
void dv_image_digests_clear(dv_image_digests *list);
DV_DEFINE_AUTO(dv_image_digests, dv_image_digests_clear)
int dv_image_digests_add(dv_image_digests *list, const davit_digest *digest, davit_error **err);

/* Ids of all images, or of those with this manifest or index, in the order they were first recorded. */
int dv_image_store_ids(dv_store *s, const davit_digest *target, dv_image_digests *out, davit_error **err);
/* Forget an image: every row with this id. What the rows named is appended. Joins the transaction of this thread. */
int dv_image_store_delete(dv_store *s, const davit_digest *config, dv_image_digests *dropped,
                          davit_error **err);
/* Forget that images came by this index, which nothing refers to any more, where they are recorded without it as well. */
int dv_image_store_drop_index(dv_store *s, const davit_digest *index, davit_error **err);

/* What a finished pull writes, in one transaction: all of it or nothing. Spec: pull.md 9. */
typedef struct dv_pull_record {
    const davit_reference *reference; /* tag or digest reference; NULL: the images get no name (load) */
    bool tag_only;                    /* no name@digest beside a tag: no registry was asked (load) */
    davit_descriptor target;          /* what the registry gave for it */
    const dv_image_row *images;       /* pulled_at_s is filled in */
    size_t image_count;
    const char *repository; /* full name that holds these blobs; NULL: not recorded */
    const char *hmac_key;   /* of the credentials that saw them there (push.md 5); NULL: of none */
    const davit_digest *blobs;
    size_t blob_count;
} dv_pull_record;

/*
 * Reference rows (the tag, and name@digest beside it), image rows, blob sources; before that dv_content_sync(). *out_updated:
 * the tag, or in a digest pull the digest reference, did not name this target before. Recording what is recorded already
 * writes nothing. The digest reference of another target is a conflict that only a digest pull reports (DAVIT_ECONFLICT
 * "cannot overwrite digest <digest>"). A familiar name "sha256" is DAVIT_EINVAL (store.md 5).
 */
int dv_image_store_record(dv_store *s, const dv_pull_record *record, bool *out_updated, davit_error **err);

#endif

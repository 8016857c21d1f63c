/*
 * store/v1_image_store.h - what is known of the images of registries of the first version, so that none is fetched twice: an image's json as it
 * came, and the blob that its layer is here.
 *
 * An id means something within one registry only: whoever runs another one may give it to other bytes. Within one, the protocol has it that an
 * image never changes. A cache: losing it costs transfers.
 *
 * Threads: any; each call is one transaction.
 */
#ifndef DV_STORE_V1_IMAGE_STORE_H
#define DV_STORE_V1_IMAGE_STORE_H

#include "davit/descriptor.h"
#include "store/store.h"

#define DV_V1_IMAGE_DAYS 180 /* who comes back later fetches once more */

typedef struct dv_v1_image_row {
    char *parent;    /* "": none */
    char *json;      /* a text, as it came */
    char *checksums; /* that the registry named with it, a space between two */
    davit_descriptor
        layer; /* digest of algorithm NONE: not fetched yet, and its size is the registry's word. Its media type is a constant */
    davit_digest diff_id;
} dv_v1_image_row;

#define DV_V1_IMAGE_ROW_INIT \
    {                        \
        0                    \
    }
void dv_v1_image_row_clear(dv_v1_image_row *row);
DV_DEFINE_AUTO(dv_v1_image_row, dv_v1_image_row_clear)

/* registry: the base URL that was asked. DAVIT_ENOTFOUND. */
int dv_v1_image_store_get(dv_store *s, const char *registry, const char *id, dv_v1_image_row *out,
                          davit_error **err);
/* Its json; what was known of a layer is forgotten when it is another one. layer_size: as the registry says, DAVIT_SIZE_UNKNOWN when it does not. */
int dv_v1_image_store_put(dv_store *s, const char *registry, const char *id, const char *parent,
                          const char *json, const char *checksums, uint64_t layer_size, davit_error **err);
/* Only for code that inflated and hashed that very blob (DESIGN 5). The json is there. */
int dv_v1_image_store_put_layer(dv_store *s, const char *registry, const char *id,
                                const davit_descriptor *layer, const davit_digest *diff_id,
                                davit_error **err);

/* Nothing is known of it any more. One that is not there is fine. */
int dv_v1_image_store_delete(dv_store *s, const char *registry, const char *id, davit_error **err);
/* Forget those that were learnt more than DV_V1_IMAGE_DAYS ago. For prune. */
int dv_v1_image_store_expire(dv_store *s, davit_error **err);

#endif

/* oci/descriptor.h - the JSON object with mediaType, digest and size, as a davit_descriptor. */
#ifndef DV_OCI_DESCRIPTOR_H
#define DV_OCI_DESCRIPTOR_H

#include "davit/descriptor.h"
#include "util/json.h"

/* Texts that descriptors borrow; they live until the clear. */
typedef struct dv_text_pool {
    struct dv_pooled_text *first;
} dv_text_pool;

#define DV_TEXT_POOL_INIT \
    {                     \
        0                 \
    }
void dv_text_pool_clear(dv_text_pool *pool);
DV_DEFINE_AUTO(dv_text_pool, dv_text_pool_clear)
/*
 * A media type: a shared constant when it is a known one, else a copy in the pool. NULL without memory.
 */
const char *dv_text_pool_media_type(dv_text_pool *pool, const char *type);

/*
 * label ("layer", "config", ...) is for messages. Checked: digest valid, size an integer from 0; a
 * missing mediaType is "". The platform object is read only with_platform. DAVIT_EFORMAT, DAVIT_ENOMEM.
 */
int dv_descriptor_parse(const dv_json *object, const char *label, bool with_platform, dv_text_pool *pool,
                        davit_descriptor *out, davit_error **err);

#endif

/*
 * distribution/v1_convert.h - from images that stand one on another to one image of today: config and manifest, made of what the store knows. The
 * same images give the same bytes. Spec: registry-v1.md 9; store.md 10.
 *
 * Threads: any.
 */
#ifndef DV_DISTRIBUTION_V1_CONVERT_H
#define DV_DISTRIBUTION_V1_CONVERT_H

#include "davit/descriptor.h"
#include "davit/image_config.h"
#include "store/store.h"

typedef struct dv_v1_converted {
    davit_image_config *config;
    davit_descriptor config_descriptor, manifest_descriptor; /* media types are constants */
    char *manifest;                                          /* its bytes */
    char **ids;                                              /* the lowest first, as layers */
    davit_descriptor *layers;
    size_t count;
    uint64_t size; /* bytes of config and layers */
} dv_v1_converted;

#define DV_V1_CONVERTED_INIT \
    {                        \
        0                    \
    }
void dv_v1_converted_clear(dv_v1_converted *c);
DV_DEFINE_AUTO(dv_v1_converted, dv_v1_converted_clear)

/* registry: as in store/v1_image_store.h. DAVIT_ENOTFOUND: not all is known that it stands on; DAVIT_ETOOBIG; DAVIT_EFORMAT. */
int dv_v1_convert(dv_store *s, const char *registry, const char *id, dv_v1_converted *out, davit_error **err);

#endif

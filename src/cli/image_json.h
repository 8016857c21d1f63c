/* cli/image_json.h - an image as the Engine API's objects (engine-api.md 14, 15). */
#ifndef DV_CLI_IMAGE_JSON_H
#define DV_CLI_IMAGE_JSON_H

#include "davit/image_config.h"
#include "util/json.h"

/* Everything is borrowed. References are in full form; the objects have the familiar one. */
typedef struct dv_image_facts {
    const davit_image_config *config; /* NULL: cannot be read */
    const davit_digest *id;           /* of the config */
    uint64_t size;
    const char *const *tags;
    size_t tag_count;
    const char *const *digests;
    size_t digest_count;
    int64_t tagged_at_s;         /* 0: never */
    const char *descriptor_type; /* of what the reference names; NULL: no descriptor */
    const davit_digest *descriptor_digest;
    uint64_t descriptor_size;
} dv_image_facts;

/* One entry of `inspect`. Needs the config. */
int dv_image_json_inspect(const dv_image_facts *facts, dv_json **out, davit_error **err);
/* One entry of `images --json`. */
int dv_image_json_summary(const dv_image_facts *facts, dv_json **out, davit_error **err);
/* When the config says it was made, seconds since 1970; 0 when it does not. */
int64_t dv_image_created_s(const davit_image_config *config);
/* 1: the image has the label of "KEY", or "KEY=VALUE" with that value. */
int dv_image_has_label(const davit_image_config *config, const char *label, davit_error **err);

#endif

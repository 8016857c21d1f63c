/* cli/image_filter.h - which images, and which of their names, `images` lists: its argument and its --filter (engine-api.md 14). */
#ifndef DV_CLI_IMAGE_FILTER_H
#define DV_CLI_IMAGE_FILTER_H

#include "cli/cli.h"

typedef struct dv_image_filter {
    const char *pattern; /* the argument, or NULL */
    dv_texts filters;    /* KEY=VALUE, as given */
    bool wants_dangling, wants_tagged;
    bool by_reference; /* images without a name that fits are left out */
    bool by_config;    /* the config is needed */
    int64_t before_s, since_s;
} dv_image_filter;

/* From what was given, which is borrowed; "since" and "before" look into the store. Errors: usage, DAVIT_ENOTFOUND, DAVIT_EINVAL. */
int dv_image_filter_init(dv_image_filter *f, dv_cli *cli, const char *pattern, const dv_texts *filters,
                         davit_error **err);
/* Whether a name is shown. */
bool dv_image_filter_fits_name(const dv_image_filter *f, const davit_reference *ref);
/* 1: the image is shown, if by_reference does not leave it out; 0: it is not. config may be NULL: it says nothing then. */
int dv_image_filter_fits(const dv_image_filter *f, const davit_image *image, const davit_image_config *config,
                         davit_error **err);

#endif

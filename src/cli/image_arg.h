/* cli/image_arg.h - an image argument: [TRANSPORT:]NAME (DESIGN 3). */
#ifndef DV_CLI_IMAGE_ARG_H
#define DV_CLI_IMAGE_ARG_H

#include "davit/reference.h"
#include "util/error.h"

typedef enum dv_transport {
    DV_TRANSPORT_REGISTRY,
    DV_TRANSPORT_STORE,
    DV_TRANSPORT_FILES, /* a layout, an archive or a directory: name is the whole text, which the library reads (and v1://, which it refuses) */
} dv_transport;

typedef struct dv_image_arg {
    dv_transport transport;
    const char *name; /* what stands behind the transport; borrowed */
} dv_image_arg;

/* bare: the transport of a name without one. */
dv_image_arg dv_image_arg_read(const char *text, dv_transport bare);
/* The same for commands that know no files: DAVIT_EINVAL for these. */
int dv_image_arg_parse(const char *text, dv_transport bare, dv_image_arg *out, davit_error **err);
/* The same for commands that know one transport only: the other one is DAVIT_EINVAL. */
int dv_image_arg_registry(const char *text, const char **out_name, davit_error **err);
int dv_image_arg_store(const char *text, const char **out_name, davit_error **err);

#endif

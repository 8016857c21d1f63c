/* cli/layer_args.h - what unpack and export are told in the same words: where the image comes from, limits, extended attributes. */
#ifndef DV_CLI_LAYER_ARGS_H
#define DV_CLI_LAYER_ARGS_H

#include "cli/cli.h"
#include "davit/unpack.h"

#define DV_LAYER_ARGS_PULL "missing|always|never"

/* The transport of the image says where to look as --pull does, so they must agree. The library gets the image as it was typed. */
int dv_layer_args_source(dv_cli *cli, const char *pull, bool no_store, const char *image,
                         davit_pull_when *out_when, davit_error **err);
/* --max-size and --zstd-window; NULL: not given, and 0 comes out. */
int dv_layer_args_limits(dv_cli *cli, const char *max_size, const char *zstd_window, uint64_t *out_max_size,
                         uint32_t *out_window, davit_error **err);

/* Names of extended attributes; the list points into the text. */
typedef struct dv_xattr_args {
    char *text;
    const char **list; /* ends with NULL; NULL: none given */
} dv_xattr_args;

/* Of all --xattrs, each a list with commas. */
int dv_xattr_args_read(dv_cli *cli, const dv_texts *lists, dv_xattr_args *out, davit_error **err);
void dv_xattr_args_clear(dv_xattr_args *x);
DV_DEFINE_AUTO(dv_xattr_args, dv_xattr_args_clear)

#endif

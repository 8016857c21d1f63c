/* cli/layer_args.h - what unpack and export are told in the same words: where the image comes from, limits, extended attributes. */
#ifndef DV_CLI_LAYER_ARGS_H
#define DV_CLI_LAYER_ARGS_H

#include "cli/cli.h"
#include "davit/unpack.h"

/* What the options of both commands fill; the first of a command's values. */
typedef struct dv_layer_values {
    davit_platform platform;
    const char *pull, *max_size, *zstd_window;
    dv_texts xattrs; /* each a list with commas */
} dv_layer_values;

/* Rows of dv_option. */
#define DV_LAYER_OPTIONS_SOURCE                                                             \
    {"platform",                                                                            \
     0,                                                                                     \
     DV_OPTION_PLATFORM,                                                                    \
     offsetof(dv_layer_values, platform),                                                   \
     "OS[/ARCH[/VARIANT]]",                                                                 \
     "which image of an index (the host's)"},                                               \
    {                                                                                       \
        "pull", 0, DV_OPTION_TEXT, offsetof(dv_layer_values, pull), "missing|always|never", \
            "when a registry is asked (missing: when the store has no such name)"           \
    }
#define DV_LAYER_OPTIONS_CONTENT                                                                            \
    {"xattrs",       0,                                                                                     \
     DV_OPTION_LIST, offsetof(dv_layer_values, xattrs),                                                     \
     "NAME[,NAME]",  "extended attributes to keep beyond user.* and security.capability; PREFIX* is fine"}, \
        {"max-size",     0,                                                                                 \
         DV_OPTION_TEXT, offsetof(dv_layer_values, max_size),                                               \
         "BYTES",        "refuse an image with more, K, M, G are 1024 and so on (64G)"},                    \
    {                                                                                                       \
        "zstd-window", 0, DV_OPTION_TEXT, offsetof(dv_layer_values, zstd_window), "BYTES",                  \
            "window that a zstd layer may need, 1M to 128M (32M)"                                           \
    }

/* What they mean. */
typedef struct dv_layer_args {
    davit_pull_when pull;
    uint64_t max_size_bytes;    /* 0: not given */
    uint32_t zstd_window_bytes; /* 0: not given */
    const char **xattrs;        /* ends with NULL; NULL: none given */
    char *xattrs_text;          /* that the list points into */
} dv_layer_args;

/* The transport of the image says where to look as --pull does, so they must agree. The library gets the image as it was typed. */
int dv_layer_args_read(dv_cli *cli, const dv_layer_values *v, bool no_store, const char *image,
                       dv_layer_args *out, davit_error **err);
void dv_layer_args_clear(dv_layer_args *a);
DV_DEFINE_AUTO(dv_layer_args, dv_layer_args_clear)

#endif

/*
 * tests/support/unpack_layers.h - layers as rows of a table are applied to the root of a sandbox.
 */
#ifndef DV_TESTS_UNPACK_LAYERS_H
#define DV_TESTS_UNPACK_LAYERS_H

#include "sandbox.h"

#include "archive/unpack.h"

/* One entry. Its name NULL ends a layer. */
typedef struct row {
    dv_tar_type type;
    const char *name;
    const char *text; /* data of a file, target of a link; "@/" at its start is the sandbox's absolute path */
    unsigned mode;    /* 0: 0755 of directories, 0644 of others */
    unsigned uid, gid, major, minor;
    int64_t mtime, atime; /* 0: 1 000 000; atime 0: none */
    const dv_tar_xattr *xattrs;
    size_t xattr_count;
} row;

#define FILE_ROW(n, ...)                                      \
    {                                                         \
        .type = DV_TAR_FILE, .name = (n), .text = __VA_ARGS__ \
    }
#define DIR_ROW(n, ...)                                      \
    {                                                        \
        .type = DV_TAR_DIRECTORY, .name = (n), ##__VA_ARGS__ \
    }
#define LINK_ROW(n, ...)                                         \
    {                                                            \
        .type = DV_TAR_SYMLINK, .name = (n), .text = __VA_ARGS__ \
    }
#define HARD_ROW(n, ...)                                          \
    {                                                             \
        .type = DV_TAR_HARDLINK, .name = (n), .text = __VA_ARGS__ \
    }

#define LAYERS_MAX 4
typedef struct unpack_case {
    const char *fact;
    const row *layers[LAYERS_MAX];
    const char *tree;  /* NULL: refused */
    const char *error; /* part of the message */
    int code;          /* 0: DAVIT_EFORMAT */
} unpack_case;

/* The rows of one layer, told to a handler as the tar reader would. */
int apply_rows(const sandbox *s, const dv_tar_handler *to, void *user, const row *layer, davit_error **err);
/* Apply layers; the unpacking stays for the report. A davit_code. */
int unpack_rows(sandbox *s, const row *const *layers, const dv_unpack_options *options, dv_unpack **out,
                davit_error **err);
/*
 * Each case in a sandbox of its own; fails with fact, expected and got. Without options the same is expected of the tar that flatten.h makes
 * of the layers, and of what overlayfs shows of them when each has a directory of its own.
 */
void check_unpack_cases(const unpack_case *cases, size_t count, const dv_unpack_options *options);

#endif

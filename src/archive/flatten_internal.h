/* archive/flatten_internal.h - what flatten.c (layers), flatten_entry.c (the first reading) and flatten_write.c (the second) share. */
#ifndef DV_ARCHIVE_FLATTEN_INTERNAL_H
#define DV_ARCHIVE_FLATTEN_INTERNAL_H

#include "archive/flatten.h"
#include "archive/flatten_tree.h"
#include "archive/unpack_path.h"

/* What is written, and how far it is. */
typedef struct dv_flatten_output {
    dv_sink *to;
    uint32_t *order; /* inodes, in the order they were made */
    uint32_t count, next;
    uint32_t *above; /* directories that come before a name */
    uint32_t above_capacity;
    uint32_t file; /* the inode whose data comes, or DV_FLAT_NONE */
    dv_buf path, link;
} dv_flatten_output;

struct dv_flatten {
    dv_sink sink; /* first: what the caller writes to */
    dv_tar_reader *reader;
    char *what;
    char *root_name;
    uint64_t max_bytes;
    dv_flat_tree tree;
    bool root_described;
    uint32_t layer_count;
    uint32_t first_entries[DV_FLATTEN_LAYERS_MAX + 1]; /* of each layer, counted over all */
    bool wanted[DV_FLATTEN_LAYERS_MAX];
    uint32_t entry; /* the next one */
    uint64_t bytes; /* of data seen in the first reading */
    const dv_tar_entry *current;
    dv_unpack_path path, target;
    dv_flatten_output output;
    dv_flatten_report report;
};

/* tar_handlers' functions with a dv_flatten as user. */
extern const dv_tar_handler dv_flatten_reading, dv_flatten_writing;

/* After the last entry of a layer in the first reading. */
void dv_flatten_end_layer(dv_flatten *f);
void dv_flatten_output_clear(dv_flatten_output *o);

#endif

/*
 * distribution/load_private.h - what the stages of one load share: load.c (the whole), load_archive.c and load_layout.c (where bytes come
 * from), load_content.c (one file's bytes while they pass), load_images.c (what the documents say), load_v1.c (archives without a
 * manifest.json), load_record.c (into the store). pull_v1.c and v1_task.c take images of v1 registries the same way. Threads: the calling one.
 */
#ifndef DV_DISTRIBUTION_LOAD_PRIVATE_H
#define DV_DISTRIBUTION_LOAD_PRIVATE_H

#include "davit/image_config.h"
#include "davit/load.h"
#include "davit/reference.h"

#include "archive/archive_names.h"
#include "archive/compress.h"
#include "oci/manifest.h"
#include "store/image_store.h"
#include "store/ingest.h"

#define DV_LOAD_MEMORY_MAX \
    (16u << 20) /* bytes of all documents that are kept in memory; later ones go to the store */
#define DV_LOAD_DOCUMENT_MAX (4u << 20) /* bytes of one */
#define DV_LOAD_SMALL (16u << 10)       /* bytes; what is not longer is kept in memory, document or not */
#define DV_LOAD_OPEN_MAX \
    64 /* files that are written and not yet known to be needed; the next goes to the store at once */
#define DV_LOAD_MANIFESTS_MAX 16384 /* manifests and indexes followed in one load (threats C3) */

/* What the bytes behind a path turned out to be. Counted: hard links share one. */
typedef struct dv_load_content {
    unsigned refs;
    struct dv_load *load;
    davit_digest digest; /* of the bytes as they are kept */
    uint64_t size;
    dv_compression compression;
    davit_digest diff_id; /* algorithm NONE: could not be inflated, and damage says why */
    davit_error *damage;
    char *bytes;       /* a document, or NULL */
    dv_ingest *ingest; /* all written, its name not yet given; or NULL */
    bool stored;       /* a blob of the store */
} dv_load_content;

typedef struct dv_load {
    davit_client *client;
    const davit_load_options *options;
    dv_store *store;
    dv_lease *lease;
    dv_archive_names *names; /* of dv_load_contents; of a layout: those that were asked for */
    int layout_fd;           /* the directory, or -1 */
    size_t memory;           /* bytes in contents */
    unsigned open_count;     /* contents with an ingest */
    struct dv_loaded *loaded;
    davit_load_result result;
} dv_load;

/* Store, lease and names; client, options, loaded and layout_fd are set. */
int dv_load_prepare(dv_load *l, davit_error **err);
void dv_load_clear(dv_load *l);
DV_DEFINE_AUTO(dv_load, dv_load_clear)

/* Events for the caller. */
void dv_load_message(const dv_load *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void dv_load_warn(const dv_load *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- load_content.c ------------------------------------------------------------------------------------------------------ */

/* One file while its bytes pass. */
typedef struct dv_load_entry dv_load_entry;
/* path: clean; size: of all its bytes, which is believed for deciding only; or DAVIT_SIZE_UNKNOWN. */
int dv_load_entry_new(dv_load *l, const char *path, uint64_t size, dv_load_entry **out, davit_error **err);
int dv_load_entry_write(dv_load_entry *e, const void *bytes, size_t size, davit_error **err);
/*
 * Before the first write: the file is kept under this key until the entry ends well (dv_ingest_open_keyed()), and what was written in an earlier
 * life counts as written now; see gets these bytes, and *out_size is their number. Where another owner has the key there are none, and nothing is
 * kept. Damage that is found in them is remembered as always.
 */
int dv_load_entry_resume(dv_load_entry *e, const davit_digest *key, dv_ingest_see *see, void *user,
                         uint64_t *out_size, davit_error **err);
/* Free it; what was written stays for the next life, if it has a key. */
void dv_load_entry_suspend(dv_load_entry *e);
/* All is written. Damage of a compressed stream is no failure: the content remembers it. Frees the entry, whatever the result. */
int dv_load_entry_finish(dv_load_entry *e, dv_load_content **out, davit_error **err);
void dv_load_entry_free(dv_load_entry *e);
DV_DEFINE_AUTOPTR(dv_load_entry, dv_load_entry_free)

dv_load_content *dv_load_content_ref(dv_load_content *c);
void dv_load_content_unref(void *content); /* a release function of dv_archive_names */
/* Its bytes under its digest in the store. The digest is in the lease. */
int dv_load_content_publish(dv_load_content *c, davit_error **err);
/* Its bytes in memory; what is longer than max is DAVIT_ETOOBIG. */
int dv_load_content_read(dv_load_content *c, size_t max, dv_buf *out, davit_error **err);

/* --- where bytes come from ------------------------------------------------------------------------------------------------- */

/* load_archive.c: all of it into names. */
int dv_load_archive_read(dv_load *l, davit_read_fn read, void *read_data, davit_error **err);
/* load_layout.c: what a path of the directory stands for, into names. DAVIT_EFORMAT for what is no regular file below it. */
int dv_load_layout_read(dv_load *l, const char *path, davit_error **err);
/* What a path stands for; *out NULL: nothing. Borrowed. */
int dv_load_find(dv_load *l, const char *path, dv_load_content **out, davit_error **err);
/* A document by its path. DAVIT_ENOTFOUND. */
int dv_load_find_document(dv_load *l, const char *path, size_t max, dv_buf *out, davit_error **err);

/* --- what is to be loaded (load_images.c) ---------------------------------------------------------------------------------- */

/* A blob that is needed. */
typedef struct dv_load_blob {
    davit_descriptor descriptor; /* its media type is a constant or "" */
    dv_load_content *content;    /* counted; NULL: made here, or in the store */
    char *bytes;                 /* made here, or NULL */
} dv_load_blob;

/* An image behind a name. */
typedef struct dv_load_row {
    dv_image_row image;
    davit_descriptor manifest; /* its media type is a constant */
} dv_load_row;

/* A name, or none, and the images behind it: what one record will be. */
typedef struct dv_load_target {
    davit_reference *reference; /* NULL: none */
    davit_descriptor target;    /* manifest or index; its media type is a constant */
    dv_load_row *rows;
    size_t row_count;
    davit_digest image_id; /* of the image it shows */
    size_t first_seen;     /* of dv_loaded.seen: those before were seen for another name */
    bool told_by_id;       /* it has no name, and nobody else tells of it */
    bool replaced;         /* by manifest.json's own word for the same image */
} dv_load_target;

typedef struct dv_loaded {
    dv_load_blob *blobs;
    size_t blob_count;
    dv_load_target *targets;
    size_t target_count;
    davit_digest *ids; /* of images, in the order of the archive */
    size_t id_count;
    size_t last_tags;   /* tags of the last image */
    davit_digest *seen; /* manifests that were followed */
    size_t seen_count;
} dv_loaded;
void dv_loaded_clear(dv_loaded *l);
DV_DEFINE_AUTO(dv_loaded, dv_loaded_clear)

/* Keep a blob; content is shared, bytes are copied. */
int dv_load_need(dv_load *l, const davit_descriptor *blob, dv_load_content *content, const void *bytes,
                 davit_error **err);
/* Append an empty target. */
int dv_load_add_target(dv_load *l, dv_load_target **out, davit_error **err);
/* "Loaded image ID" is about these. */
int dv_load_add_id(dv_load *l, const davit_digest *id, davit_error **err);
/* Append a row to a target. */
int dv_load_add_row(dv_load_target *t, const dv_load_row *row, davit_error **err);
/* Append a digest to a list that is full at powers of two. */
int dv_load_add_digest(davit_digest **list, size_t *count, const davit_digest *digest, davit_error **err);

typedef enum dv_load_part { DV_LOAD_MISSING, DV_LOAD_CONTENT, DV_LOAD_STORED } dv_load_part;
/* Where a blob is: in the archive, where its digest and size must be right (DAVIT_EDIGEST), or in the store. < 0: error. */
int dv_load_locate(dv_load *l, const davit_descriptor *blob, dv_load_content **out, davit_error **err);
/* The diff_id of a layer that was located. */
int dv_load_diff_id(dv_load *l, const davit_descriptor *layer, const dv_load_content *content,
                    davit_digest *out, davit_error **err);

/* Whether an image fits davit_load_options.platform. */
bool dv_load_platform_fits(const dv_load *l, const davit_platform *platform);
/* "cannot load <os> image on <host>". DAVIT_EUNSUPPORTED. */
int dv_load_check_system(const dv_load *l, const davit_platform *platform, davit_error **err);
int dv_load_layer_mismatch(size_t index, const davit_digest *expected, const davit_digest *got,
                           davit_error **err);

/* The media type of a layer that is kept so; a constant. */
const char *dv_load_layer_type(const dv_load_content *c);

/* One image out of a config and its layers, for manifests that the archive does not have. */
typedef struct dv_load_image {
    const davit_image_config *config;
    dv_load_content **layers; /* NULL: the store has the plain layer */
    size_t layer_count;
    char *const *tags;
    size_t tag_count;
} dv_load_image;
/* Its targets: by a manifest that the archive or the store has for the same config, else by one that is made now. */
int dv_load_add_image(dv_load *l, const dv_load_image *image, davit_error **err);

/* load_oci.c: everything that index.json names. strict: what is missing or wrong is an error, else left out. */
int dv_load_oci(dv_load *l, bool strict, davit_error **err);
/* load_docker.c: everything that manifest.json names. */
int dv_load_docker(dv_load *l, const dv_buf *manifest, davit_error **err);
/* load_v1.c: every directory with json and layer.tar. *out_found: there were any. */
int dv_load_v1(dv_load *l, bool *out_found, davit_error **err);

/* load_record.c: blobs, then rows, then what is told. */
int dv_load_record(dv_load *l, davit_error **err);

#endif

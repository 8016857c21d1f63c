/*
 * distribution/save_private.h - what the stages of one save share: save.c (names, the whole), save_docker.c and save_oci.c (what is in the
 * archive), save_tar.c (its bytes). Threads: the calling one.
 */
#ifndef DV_DISTRIBUTION_SAVE_PRIVATE_H
#define DV_DISTRIBUTION_SAVE_PRIVATE_H

#include "davit/reference.h"
#include "davit/save.h"

#include "oci/manifest.h"
#include "store/image_store.h"
#include "util/sink.h"

/* What is to be saved under one name. */
typedef struct dv_save_name {
    davit_reference *reference; /* with a tag; NULL: without a name */
    davit_digest target;        /* a manifest or index */
    davit_digest id;            /* an image id instead of a target; algorithm NONE: none */
} dv_save_name;

typedef struct dv_save {
    davit_client *client;
    const davit_save_options *options;
    dv_store *store;
    dv_lease *lease; /* NULL: the store is read only */
    dv_save_name *names;
    size_t name_count;
    davit_write_fn write;
    void *write_data;
} dv_save;

void dv_save_warn(const dv_save *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Rows of the images behind a name, at least one. DAVIT_ENOTFOUND. */
int dv_save_rows(const dv_save *s, const dv_save_name *name, dv_image_rows *out, davit_error **err);
/* What to call a name in a message. Borrowed. */
const char *dv_save_what(const dv_save_name *name);
/* "no suitable export target found for platform <p>". DAVIT_EPLATFORM. */
int dv_save_no_platform(const dv_save *s, davit_error **err);
/* Whether this is the platform that is asked for; true when none is. */
bool dv_save_is_platform(const dv_save *s, const davit_platform *have);
/* A manifest of the store, verified. */
int dv_save_manifest(const dv_save *s, const davit_digest *digest, const char *media_type,
                     davit_manifest **out, davit_error **err);

/* --- save_tar.c ------------------------------------------------------------------------------------------------------------ */

/* One file of the archive. */
typedef struct dv_save_entry {
    char *name;
    uint64_t size;
    int64_t mtime_s;
    char *bytes;       /* its content, or NULL */
    davit_digest blob; /* else the stored blob */
    uint64_t blob_size;
    davit_digest diff_id; /* it is inflated, and this must come out; algorithm NONE: as it is */
    size_t order;
} dv_save_entry;

typedef struct dv_save_list {
    dv_save_entry *items;
    size_t count;
} dv_save_list;
void dv_save_list_clear(dv_save_list *list);
DV_DEFINE_AUTO(dv_save_list, dv_save_list_clear)
/* Append a file; name and bytes (NULL: a stored blob's) are copied, the rest is entry's. */
int dv_save_list_add(dv_save_list *list, const char *name, const void *bytes, const dv_save_entry *entry,
                     davit_error **err);
/* Sort by name; of equal names the first that was added stays. */
void dv_save_list_sort(dv_save_list *list);
/* The archive: directories that the names need come before their first file. */
int dv_save_write(const dv_save *s, const dv_save_list *list, davit_error **err);

int dv_save_docker(const dv_save *s, davit_error **err);
int dv_save_oci(const dv_save *s, davit_error **err);

#endif

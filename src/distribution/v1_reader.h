/*
 * distribution/v1_reader.h - reads registries of the first version: which images the tags of repositories are, and all that these stand on, into
 * the store (registry-v1.md 9). Several requests run at once; what is known of an image (store/v1_image_store.h) is not asked for again, and
 * what several tags or repositories stand on is fetched once.
 *
 * Threads: the calling one, which progress runs on too; requests and layers are on a pool of the reader's own.
 */
#ifndef DV_DISTRIBUTION_V1_READER_H
#define DV_DISTRIBUTION_V1_READER_H

#include "davit/progress.h"
#include "davit/registry_v1.h"

#include "registry/v1_client.h"
#include "store/store.h"

#define DV_V1_DEPTH_MAX 127 /* images one on another: what Docker itself could make */
#define DV_V1_TOPS_MAX 4096 /* images of one call of dv_v1_reader_fetch() */

typedef struct dv_v1_reader dv_v1_reader;

typedef struct dv_v1_reader_options {
    const davit_v1_open_options *open; /* borrowed; NULL for defaults */
    davit_progress_fn progress; /* DAVIT_PROGRESS_LAYER for each layer that is fetched; NULL: nobody is told */
    void *user_data;
    bool go_on; /* one image that fails does not end the others */
} dv_v1_reader_options;

int dv_v1_reader_open(davit_client *c, const dv_v1_reader_options *o, dv_v1_reader **out, davit_error **err);
/* What it fetched is leased until then. NULL is fine. */
void dv_v1_reader_close(dv_v1_reader *r);
DV_DEFINE_AUTOPTR(dv_v1_reader, dv_v1_reader_close)
dv_store *dv_v1_reader_store(const dv_v1_reader *r); /* borrowed */

/* A repository, and those of its tags that are wanted. */
typedef struct dv_v1_wanted {
    const char *name;            /* as davit_v1_repository_open() takes it; borrowed */
    const char *tag;             /* one tag; NULL: all */
    const char *id;              /* one image by its id, not looked for among the tags; NULL: by tag */
    davit_v1_repository *opened; /* NULL: could not be, and err says why */
    davit_v1_tags *tags;         /* in the registry's order; of an id one that has no name */
    davit_error *err;
} dv_v1_wanted;
void dv_v1_wanted_clear(dv_v1_wanted *w);
DV_DEFINE_AUTO(dv_v1_wanted, dv_v1_wanted_clear)

/* Open them and learn which images their tags are. Without go_on the first that fails is the failure. */
int dv_v1_reader_list(dv_v1_reader *r, dv_v1_wanted *wanted, size_t count, davit_error **err);

/* An image with all that it stands on. */
typedef struct dv_v1_top {
    dv_v1_wanted *wanted; /* with whose rights it is read; opened */
    const char *id;       /* borrowed */
    davit_error *err;     /* what is wrong with it, or below it; the caller's */
} dv_v1_top;

/* What is not known of these. Every json and every layer of those without err is known then (dv_v1_convert()). */
int dv_v1_reader_fetch(dv_v1_reader *r, dv_v1_top *tops, size_t count, davit_error **err);
/*
 * Fetch layers whose blobs the store has no more. DAVIT_EPROTOCOL: a layer's bytes are others than they were; they are known now, so that the
 * next try is right.
 */
int dv_v1_reader_fetch_layers(dv_v1_reader *r, dv_v1_wanted *wanted, char *const *ids, size_t count,
                              davit_error **err);

typedef struct dv_v1_read {
    uint64_t layer_count, layer_bytes;
} dv_v1_read;
/* What was fetched so far. */
void dv_v1_reader_count(const dv_v1_reader *r, dv_v1_read *out);
/* What was made here for the sake of what was fetched, and goes with it. */
int dv_v1_reader_stage(dv_v1_reader *r, const davit_digest *blob, davit_error **err);
/* What an image stands on stays when the rest is dropped: it is to be read again. With go_on that is so for all that failed here. */
int dv_v1_reader_keep(dv_v1_reader *r, const dv_v1_wanted *wanted, const char *id, davit_error **err);
/* Remove from the store what was fetched or staged and nothing in it needs. The reader is of no use then; other leases on it are released. */
int dv_v1_reader_drop(dv_v1_reader *r, davit_error **err);
/* Whether this failure says that an image is bad. After any other the same thing may go well the next time, with what was fetched. */
bool dv_v1_reader_is_bad_input(int code);

/*
 * Under what the images of a repository are known in the store: the URL of the index, which answers for the registry that it names; but of a
 * registry that the user named that one's own, or it could say what the index's images are. Borrowed.
 */
const char *dv_v1_wanted_registry(const dv_v1_wanted *w);

#endif

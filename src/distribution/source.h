/*
 * distribution/source.h - where a copy comes from: one table of functions for each transport (source_*.c).
 *
 * A source knows what its name stands for, gives documents by digest, and says where a blob's bytes are: a range of a file, or a
 * registry. What it gives is held against size and digest before anybody uses it.
 *
 * Threads: a caller's; blocks. dv_source_read(), has_blob() and open_blob() from several at once.
 */
#ifndef DV_DISTRIBUTION_SOURCE_H
#define DV_DISTRIBUTION_SOURCE_H

#include "davit/client.h"
#include "davit/manifest.h"
#include "davit/progress.h"

#include "archive/oci_layout.h"
#include "distribution/transport.h"
#include "oci/descriptor.h"
#include "registry/registry.h"
#include "util/sink.h"

typedef struct dv_source dv_source;

/* Takes a name that the source has; a non-zero answer ends the list without an error. */
typedef int (*dv_name_fn)(void *user, const char *name);
/* Takes a manifest that refers to another; artifact_type may be NULL. Negative ends it. */
typedef int (*dv_source_referrer_fn)(void *user, const davit_descriptor *referrer, davit_error **err);

typedef struct dv_source_ops {
    /* What a name is: NULL for the one that the place says. Asked as cheaply as it can be. media_type is a constant or "". DAVIT_ENOTFOUND. */
    int (*resolve)(dv_source *s, const char *name, davit_descriptor *out, davit_error **err);
    /*
     * From here on nobody takes away what is behind this root, until the close; called before anything is looked at. NULL: nothing is
     * taken away there, or it cannot be helped.
     */
    int (*hold)(dv_source *s, const davit_descriptor *root, davit_error **err);
    /* The bytes of a manifest or index by digest, unchecked but for their number. DAVIT_ENOTFOUND. */
    int (*document)(dv_source *s, const davit_descriptor *desc, dv_buf *out, davit_error **err);
    /* Bring blobs to where open_blob() finds them, which has_blob() says are not there. NULL: it has them or not. */
    int (*fetch)(dv_source *s, const davit_descriptor *blobs, size_t count, davit_error **err);
    /* Nobody asks any more: what was fetched for it may go. Leaves nothing but close(). NULL: nothing was. */
    int (*finish)(dv_source *s, davit_error **err);
    /* 1: it has this blob; 0: not. NULL: that is learnt by asking for it. */
    int (*has_blob)(dv_source *s, const davit_descriptor *blob, davit_error **err);
    /* The file and where in it; the fd is the caller's. NULL: read() is there instead. DAVIT_ENOTFOUND. */
    int (*open_blob)(dv_source *s, const davit_descriptor *blob, int *out_fd, uint64_t *out_first,
                     uint64_t *out_size, davit_error **err);
    int (*read)(dv_source *s, const davit_descriptor *blob, dv_sink *to, davit_error **err);
    /* Every name, each once. NULL: it has one image only. */
    int (*names)(dv_source *s, dv_name_fn fn, void *user, davit_error **err);
    /* What refers to this manifest, whatever way the place has of saying so. NULL: it has none. */
    int (*referrers)(dv_source *s, const davit_digest *subject, dv_source_referrer_fn fn, void *user,
                     davit_error **err);
    void (*close)(dv_source *s);
} dv_source_ops;

struct dv_source {
    const dv_source_ops *ops;
    davit_client *client;
    const dv_place *place; /* borrowed */
    dv_registry *registry; /* of a registry; borrowed by whoever asks it for blobs */
    davit_progress_fn
        progress; /* told of what is fetched before it can be read; set by whoever opened it; NULL: nobody is */
    void *progress_data;
};

/* Open what a place stands for; place is borrowed until the close. */
int dv_source_open(davit_client *c, const dv_place *place, dv_source **out, davit_error **err);
void dv_source_close(dv_source *s); /* NULL is fine */
DV_DEFINE_AUTOPTR(dv_source, dv_source_close)

/* A document whose size and digest are right. DAVIT_EDIGEST. */
int dv_source_document(dv_source *s, const davit_descriptor *desc, dv_buf *out, davit_error **err);
/* The same as a manifest, whose type must be desc's when that has one. */
int dv_source_manifest(dv_source *s, const davit_descriptor *desc, davit_manifest **out, davit_error **err);
/* All bytes of a blob into to, which is not finished; size and digest are right on success only. DAVIT_EDIGEST, DAVIT_ENOTFOUND. */
int dv_source_read(dv_source *s, const davit_descriptor *blob, dv_sink *to, davit_error **err);

int dv_source_registry_open(davit_client *c, const dv_place *place, dv_source **out, davit_error **err);
int dv_source_store_open(davit_client *c, const dv_place *place, dv_source **out, davit_error **err);
int dv_source_layout_open(davit_client *c, const dv_place *place, dv_source **out, davit_error **err);
int dv_source_oci_archive_open(davit_client *c, const dv_place *place, dv_source **out, davit_error **err);
int dv_source_docker_archive_open(davit_client *c, const dv_place *place, dv_source **out, davit_error **err);
int dv_source_dir_open(davit_client *c, const dv_place *place, dv_source **out, davit_error **err);
int dv_source_v1_open(davit_client *c, const dv_place *place, dv_source **out, davit_error **err);

/* What a name stands for in index.json (store.md 11); digest: asked for by digest, may be NULL. For layouts and archives. */
int dv_source_find_entry(const dv_oci_layout_index *index, const dv_place *place, const char *name,
                         davit_descriptor *out, davit_error **err);
int dv_source_entry_names(const dv_oci_layout_index *index, dv_name_fn fn, void *user);
/* By the tag that its digest makes (registry-v2.md 8), and by subject among the entries. */
int dv_source_entry_referrers(dv_source *s, const dv_oci_layout_index *index, const davit_digest *subject,
                              dv_source_referrer_fn fn, void *user, davit_error **err);

#endif

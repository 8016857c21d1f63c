/*
 * distribution/own_stores.h - an embedder's tables (davit/own_stores.h) as the rest calls them: checked once, asked with an error for
 * whatever they return, and what they give collected under a ceiling.
 */
#ifndef DV_DISTRIBUTION_OWN_STORES_H
#define DV_DISTRIBUTION_OWN_STORES_H

#include "davit/distribution.h"
#include "service/endpoint.h"
#include "store/metadata_entry.h"
#include "util/buf.h"

/* Copies of the tables of one call, as long as the embedder knew them; what it did not know is NULL. */
typedef struct dv_own_stores {
    bool has_content, has_images, has_references, has_metadata, has_resolver, has_layers;
    davit_content_store content;
    davit_image_config_store images;
    davit_reference_store references;
    davit_metadata_store metadata;
    davit_registry_resolver resolver;
    davit_layer_provider layers;
} dv_own_stores;

/* config, content and layers may be NULL. DAVIT_EINVAL: a table without a size, or without a function that it must have. */
int dv_own_stores_init(dv_own_stores *o, const davit_distribution_config *config,
                       const davit_content_store *content, const davit_layer_provider *layers,
                       davit_error **err);

/*
 * What a function of a table returned, as an error that says whose it is: nothing but a negative code and a story comes out, and no other
 * endpoint is tried for it. what: "content store". *err is what the function set, if it did.
 */
int dv_own_result(int r, const char *what, davit_error **err);

/* Collects what is given: as davit_write_fn, with a dv_buf, whose ceiling ends it. */
int dv_own_collect(const void *bytes, size_t size, void *buf);
/* After a function that gave into a buffer. */
int dv_own_collected(int r, const dv_buf *buf, const char *what, davit_error **err);

/* --- own_metadata.c: the metadata of layers, over a table. Spec: store.md 6. Threads: any --------------------------------------- */

/* Entries of a diff_id, oldest first. None is no error, and neither is a text that is damaged. */
int dv_own_metadata_by_diff_id(const davit_metadata_store *m, const davit_digest *diff_id,
                               dv_metadata_entries *out, davit_error **err);
/* As dv_metadata_add(), and as dv_metadata_remove(). */
int dv_own_metadata_add(const davit_metadata_store *m, const davit_digest *blob, const davit_digest *diff_id,
                        const char *repository, const char *key, davit_error **err);
int dv_own_metadata_remove(const davit_metadata_store *m, const dv_metadata_entry *entry, davit_error **err);
int dv_own_metadata_get_diff_id(const davit_metadata_store *m, const davit_digest *blob, davit_digest *out,
                                davit_error **err);

/* --- own_resolver.c: where a reference's registry is ---------------------------------------------------------------------------- */

/* As dv_endpoints_for_pull() and _push(), by the resolver. 1: it does not say. Threads: a caller's. */
int dv_own_endpoints(const davit_registry_resolver *resolver, const char *domain, bool push,
                     dv_endpoints *out, davit_error **err);

#endif

/*
 * archive/docker_archive.h - the documents of a docker-archive (store.md 10): reading manifest.json, repositories and the v1 json of old
 * archives, and writing all that `docker save` writes. Pure; which bytes a path stands for is the caller's.
 */
#ifndef DV_ARCHIVE_DOCKER_ARCHIVE_H
#define DV_ARCHIVE_DOCKER_ARCHIVE_H

#include "davit/descriptor.h"
#include "davit/image_config.h"
#include "util/buf.h"
#include "util/error.h"

#include <stdbool.h>

#define DV_DOCKER_MANIFEST_MAX (4u << 20) /* bytes of manifest.json, repositories, a v1 json */
#define DV_DOCKER_IMAGES_MAX 4096         /* items of one manifest.json */
#define DV_DOCKER_LAYERS_MAX 4096         /* of one item */
#define DV_DOCKER_TAGS_MAX 4096           /* of one item, and of all of repositories */

typedef struct dv_text_list {
    char **items;
    size_t count;
} dv_text_list;
void dv_text_list_clear(dv_text_list *list);

/* One image of manifest.json: paths in the archive. */
typedef struct dv_docker_item {
    char *config;
    char *parent; /* an image id of this archive, or NULL */
    dv_text_list tags, layers;
} dv_docker_item;

typedef struct dv_docker_manifest {
    dv_docker_item *items;
    size_t count;
} dv_docker_manifest;
void dv_docker_manifest_clear(dv_docker_manifest *m);
DV_DEFINE_AUTO(dv_docker_manifest, dv_docker_manifest_clear)

/*
 * DAVIT_EFORMAT: among them "invalid manifest, manifest cannot be null (but can be [])", and keys twice or in another case (threats B4).
 * DAVIT_ETOOBIG.
 */
int dv_docker_manifest_parse(const void *bytes, size_t size, dv_docker_manifest *out, davit_error **err);

/* One tag of repositories: "name:tag" and what it names there, an image or a layer by hex. */
typedef struct dv_docker_repository_tag {
    char *reference;
    char *id;
} dv_docker_repository_tag;

typedef struct dv_docker_repositories {
    dv_docker_repository_tag *items;
    size_t count;
} dv_docker_repositories;
void dv_docker_repositories_clear(dv_docker_repositories *r);
DV_DEFINE_AUTO(dv_docker_repositories, dv_docker_repositories_clear)
int dv_docker_repositories_parse(const void *bytes, size_t size, dv_docker_repositories *out,
                                 davit_error **err);

/* Whether child may have parent: its history is one entry longer, or neither has any (store.md 10, load 5). Two config JSONs. */
int dv_docker_parent_is_valid(const davit_image_config *child, const davit_image_config *parent, bool *out,
                              davit_error **err);

/* --- old archives: a directory for each image (docker_archive_v1.c) ------------------------------------------------------- */

#define DV_V1_ID_SIZE 64 /* hex digits */

/* The parent of a v1 image, "" for none. DAVIT_EFORMAT for one that is no id. */
int dv_v1_image_parent(const void *bytes, size_t size, char out[DV_V1_ID_SIZE + 1], davit_error **err);
/*
 * The image config that v1 images become: the members of the last, sorted, with rootfs and the history of all, oldest first. The same
 * input gives the same bytes, so the same image id.
 */
typedef struct dv_v1_image {
    const void *bytes;
    size_t size;
    davit_digest diff_id;
} dv_v1_image;
int dv_v1_images_to_config(const dv_v1_image *images, size_t count, dv_buf *out, davit_error **err);

/* --- writing (docker_archive_write.c) -------------------------------------------------------------------------------------- */

typedef struct dv_docker_layer {
    davit_digest diff_id;
    uint64_t size; /* inflated */
} dv_docker_layer;

/* One image that is saved; everything is borrowed. */
typedef struct dv_docker_image {
    const davit_image_config *config;
    const dv_docker_layer *layers; /* as many as the config has diff_ids, at least one */
    size_t layer_count;
    const char *const *tags; /* familiar references, with their tags */
    size_t tag_count;
} dv_docker_image;

/* Append manifest.json, with its newline. */
int dv_docker_manifest_format(const dv_docker_image *images, size_t count, dv_buf *out, davit_error **err);
/* Append repositories; nothing when there are no tags. A tag of several images names the last. */
int dv_docker_repositories_format(const dv_docker_image *images, size_t count, dv_buf *out, davit_error **err);
/* Append the OCI manifest of an image whose layers are plain tars. */
int dv_docker_oci_manifest_format(const dv_docker_image *image, dv_buf *out, davit_error **err);
/* The v1 JSON of each layer, lowest first, for readers older than 1.9; fn's failure ends it. */
int dv_docker_v1_jsons(const dv_docker_image *image,
                       int (*fn)(void *user, const void *bytes, size_t size, davit_error **err), void *user,
                       davit_error **err);

#endif

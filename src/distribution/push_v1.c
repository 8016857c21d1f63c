/*
 * distribution/push_v1.c - davit_v1_push(): an image of the store to a v1 registry (registry-v1.md 8).
 *
 * Each layer is an image there, with the json that `docker save` writes for readers of its time: so its id follows from config and layers,
 * and a second push finds what the first one sent. Layers go as they are stored. States of one image there: whole (its json is answered),
 * begun (400), or unknown; only its checksum, sent last, makes it whole.
 */
#include "distribution/layer_read.h"
#include "distribution/stored_image.h"

#include "archive/docker_archive.h"
#include "oci/v1_image.h"
#include "registry/request_wait.h"
#include "registry/v1_client.h"
#include "store/content_store.h"
#include "store/metadata_store.h"
#include "util/file.h"
#include "util/str.h"

#include <string.h>
#include <unistd.h>

#define LAYERS_MAX 127        /* images one on another */
#define JSONS_MAX (16u << 20) /* bytes of the json of all of them */
#define TELL_EVERY (4u << 20) /* bytes between two counts of the progress */
#define SHORT_ID 12

DV_DEFINE_AUTOPTR(davit_manifest, davit_manifest_free)
DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)

typedef struct v1_image {
    char id[DV_V1_ID_SIZE + 1];
    char *json;
    size_t json_size;
    char *checksum; /* once it is known */
} v1_image;

typedef struct v1_push {
    davit_client *client;
    const davit_v1_push_options *options;
    dv_store *store;
    dv_lease *lease;
    davit_manifest *manifest;
    davit_image_config *config;
    const davit_descriptor *layers;
    size_t count, made;
    size_t json_total;
    v1_image images[LAYERS_MAX];
    davit_v1_repository *writing, *reading; /* with a token each, where there is an index */
} v1_push;

static void push_free(v1_push *p)
{
    for (size_t i = 0; p && i < p->made; i++) {
        free(p->images[i].json);
        free(p->images[i].checksum);
    }
    if (!p)
        return;
    davit_v1_repository_close(p->writing);
    davit_v1_repository_close(p->reading);
    davit_image_config_free(p->config);
    davit_manifest_free(p->manifest);
    dv_lease_release(p->lease);
    dv_store_unref(p->store);
    free(p);
}
DV_DEFINE_AUTOPTR(v1_push, push_free)

static void tell(const v1_push *p, const v1_image *image, const char *action, uint64_t current, uint64_t total)
{
    char id[SHORT_ID + 1] = "";
    memcpy(id, image->id, SHORT_ID);
    if (p->options->progress)
        p->options->progress(&(davit_progress){.kind = DAVIT_PROGRESS_LAYER,
                                               .id = id,
                                               .action = action,
                                               .current = current,
                                               .total = total,
                                               .has_counts = total > 0},
                             p->options->user_data);
}

/* --- what is sent --------------------------------------------------------------------------------------------------------- */

static int read_image(v1_push *p, const char *name, davit_error **err)
{
    int r = dv_stored_image_open_store(p->client, &p->store, err);
    if (r == 0)
        r = dv_stored_image_find(p->store, name, p->options->platform, &p->manifest, err);
    if (r == 0)
        r = dv_stored_image_keep(p->store, p->manifest, &p->lease, err);
    if (r == 0)
        r = dv_stored_image_read_config(p->store, p->manifest, &p->config, err);
    if (r < 0)
        return r;
    p->layers = davit_manifest_layers(p->manifest, &p->count);
    if (p->count == 0 || p->count > LAYERS_MAX)
        return dv_error_set(err, DAVIT_EINVAL, "%s has %zu layers: a v1 registry takes 1 to %d", name,
                            p->count, LAYERS_MAX);
    return dv_stored_image_check_layers(p->store, p->layers, p->count, err);
}

/* For dv_docker_v1_jsons(). */
static int take_json(void *user, const void *bytes, size_t size, davit_error **err)
{
    v1_push *p = user;
    v1_image *image = &p->images[p->made];
    DV_AUTOPTR(davit_v1_image_metadata) m = NULL;
    int r = davit_v1_image_metadata_parse(bytes, size, &m, err);
    if (r < 0)
        return r;
    p->json_total += size;
    if (p->json_total > JSONS_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "more than %u MiB of json", JSONS_MAX >> 20);
    image->json = dv_memdup(bytes, size);
    image->json_size = size;
    if (!image->json)
        return dv_error_oom(err);
    memcpy(image->id, m->id, sizeof(image->id)); /* ours: 64 digits */
    p->made++;
    return 0;
}

static int make_jsons(v1_push *p, davit_error **err)
{
    DV_AUTOFREE dv_docker_layer *layers = dv_new_array(dv_docker_layer, p->count);
    int r = layers ? 0 : dv_error_oom(err);
    for (size_t i = 0; r == 0 && i < p->count; i++) {
        DV_AUTOPTR(davit_error) why = NULL;
        r = dv_layer_diff_id(p->client, p->store, &p->layers[i], &layers[i].diff_id, &why);
        if (r < 0)
            r = dv_stored_image_explain(p->store, &p->layers[i], r, &why, err);
    }
    if (r < 0)
        return r;
    const dv_docker_image image = {.config = p->config, .layers = layers, .layer_count = p->count};
    return dv_docker_v1_jsons(&image, take_json, p, err);
}

/* --- a layer -------------------------------------------------------------------------------------------------------------- */

/* A stored blob as it is read for sending, hashed both ways: as the blob that it is, and with its json before. */
typedef struct layer_read {
    const v1_push *push;
    const v1_image *image;
    int fd;
    uint64_t at, told, size;
    dv_hash *blob, *checksum;
    davit_error *err;
} layer_read;

/* A davit_read_fn. */
static int read_layer(void *bytes, size_t size, size_t *out_size, void *user_data)
{
    layer_read *l = user_data;
    ssize_t n = dv_pread_all(l->fd, bytes, size, l->at);
    if (n < 0)
        return dv_error_file(&l->err, (int)-n, "cannot read a layer");
    dv_hash_update(l->blob, bytes, (size_t)n);
    dv_hash_update(l->checksum, bytes, (size_t)n);
    l->at += (uint64_t)n;
    if (l->at - l->told >= TELL_EVERY) {
        l->told = l->at;
        tell(l->push, l->image, "Pushing", l->at, l->size);
    }
    *out_size = (size_t)n;
    return 0;
}

static int check_codec(const layer_read *l, const davit_descriptor *layer, davit_error **err)
{
    uint8_t head[DV_COMPRESSION_MAGIC];
    ssize_t n = dv_pread_all(l->fd, head, sizeof(head), 0);
    if (n < 0)
        return dv_error_file(err, (int)-n, "cannot read layer %s", layer->digest.text);
    return dv_compression_detect(head, (size_t)n) == DV_COMPRESSION_ZSTD
               ? dv_error_set(
                     err, DAVIT_EUNSUPPORTED,
                     "layer %s is compressed by zstd, which nobody reads who pulls from a v1 registry",
                     layer->digest.text)
               : 0;
}

static int finish_layer(layer_read *l, v1_image *image, const davit_descriptor *layer, davit_error **err)
{
    davit_digest blob, checksum;
    dv_hash_final(l->blob, &blob);
    dv_hash_final(l->checksum, &checksum);
    if (!davit_digest_equal(&blob, &layer->digest))
        return dv_error_set(err, DAVIT_EDIGEST, "blob %s in the store is damaged", layer->digest.text);
    free(image->checksum);
    image->checksum = dv_strdup(checksum.text);
    return image->checksum ? 0 : dv_error_oom(err);
}

static int send_layer(v1_push *p, v1_image *image, layer_read *l, const davit_descriptor *layer,
                      davit_error **err)
{
    int r = check_codec(l, layer, err);
    if (r < 0)
        return r;
    dv_v1_checksum_begin(l->checksum, image->json, image->json_size);
    r = davit_v1_image_add_layer(davit_v1_repository_registry(p->writing), image->id, read_layer, l, l->size,
                                 davit_v1_repository_auth(p->writing), err);
    if (l->err) /* says more than that the reading failed */
        dv_error_move(err, &l->err, r);
    return r < 0 ? r : finish_layer(l, image, layer, err);
}

static int open_and_send_layer(v1_push *p, size_t i, davit_error **err)
{
    const davit_descriptor *layer = &p->layers[i];
    DV_AUTOPTR(dv_hash) blob = dv_hash_new(layer->digest.algorithm);
    DV_AUTOPTR(dv_hash) checksum = dv_hash_new(DAVIT_SHA256);
    DV_AUTOCLOSE fd = -1;
    layer_read l = {.push = p, .image = &p->images[i], .blob = blob, .checksum = checksum};
    if (!blob || !checksum)
        return dv_error_oom(err);
    int r = dv_content_open(p->store, &layer->digest, layer->size, &fd, &l.size, err);
    l.fd = fd;
    return r < 0 ? r : send_layer(p, &p->images[i], &l, layer, err);
}

/* --- an image of the chain ------------------------------------------------------------------------------------------------ */

/* 1: the registry has it whole, by the checksum it says. */
static int has_image(v1_push *p, v1_image *image, davit_error **err)
{
    DV_AUTOPTR(davit_v1_image_json) json = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = davit_v1_image_get_json(davit_v1_repository_registry(p->reading), image->id,
                                    davit_v1_repository_auth(p->reading), &json, &why);
    int status = davit_error_http_status(why);
    if (r < 0 && davit_error_is_v1_registry(why) && (status == 404 || status == 400))
        return 0;
    if (r < 0)
        return dv_error_move(err, &why, r);
    free(image->checksum);
    image->checksum = json->checksums.count > 0 ? dv_strdup(json->checksums.items[0]) : NULL;
    return image->checksum || json->checksums.count == 0 ? 1 : dv_error_oom(err);
}

static int send_image(v1_push *p, size_t i, davit_error **err)
{
    v1_image *image = &p->images[i];
    davit_v1_client *c = davit_v1_repository_registry(p->writing);
    const davit_v1_auth *auth = davit_v1_repository_auth(p->writing);
    int r = davit_v1_image_add_json(c, image->id, image->json, image->json_size, auth, err);
    if (r == 0)
        r = open_and_send_layer(p, i, err);
    return r < 0 ? r : davit_v1_image_add_checksum(c, image->id, image->checksum, auth, err);
}

/* An image that stopped on the way is begun again with its json. */
static int push_one(v1_push *p, size_t i, davit_error **err)
{
    v1_image *image = &p->images[i];
    for (uint32_t attempt = 1;; attempt++) {
        DV_AUTOPTR(davit_error) why = NULL;
        int r = has_image(p, image, err);
        if (r != 0) {
            if (r > 0)
                tell(p, image, "Image already pushed, skipping", 0, 0);
            return r > 0 ? 0 : r;
        }
        tell(p, image, "Pushing", 0, p->layers[i].size);
        r = send_image(p, i, &why);
        if (r == 0) {
            tell(p, image, "Image successfully pushed", 0, 0);
            return 0;
        }
        if (!dv_request_wait_again(p->client, attempt + 1, why)) {
            dv_error_move(err, &why, r);
            return r == DAVIT_ENOMEM ? r : dv_error_wrap(err, r, "image %s", image->id);
        }
    }
}

/* --- the whole ------------------------------------------------------------------------------------------------------------ */

/* First the list of all, without which the registry refuses them; then what asks whether they are there. */
static int open_repository(v1_push *p, const char *name, const davit_v1_image_entry *entries,
                           davit_error **err)
{
    const davit_v1_open_options *open = p->options->open;
    int r = davit_v1_repository_open(p->client, name, DAVIT_V1_ACCESS_WRITE, entries, p->count, open,
                                     &p->writing, err);
    if (r == 0 && !davit_v1_repository_index(p->writing)) {
        DV_AUTOPTR(davit_v1_auth) unused = NULL; /* it stands alone, and keeps the list itself */
        r = davit_v1_hub_get_write_token_for(davit_v1_repository_registry(p->writing),
                                             davit_v1_repository_path(p->writing), entries, p->count,
                                             davit_v1_repository_auth(p->writing), &unused, err);
    }
    return r < 0 ? r
                 : davit_v1_repository_open(p->client, name, DAVIT_V1_ACCESS_READ, NULL, 0, open, &p->reading,
                                            err);
}

static int put_list(v1_push *p, davit_v1_image_entry *entries, davit_error **err)
{
    davit_v1_client *index = davit_v1_repository_index(p->writing);
    const davit_v1_auth *token = davit_v1_repository_auth(p->writing);
    const char *host = index ? davit_v1_auth_host(token) : dv_v1_repository_domain(p->writing);
    for (size_t i = 0; i < p->count; i++)
        entries[i].checksum = p->images[i].checksum;
    return davit_v1_hub_put_images(index ? index : davit_v1_repository_registry(p->writing),
                                   davit_v1_repository_path(p->writing), entries, p->count, host,
                                   index ? davit_v1_repository_index_auth(p->writing) : token, err);
}

static int push_all(v1_push *p, const char *name, davit_error **err)
{
    DV_AUTOFREE davit_v1_image_entry *entries = dv_new_array(davit_v1_image_entry, p->count);
    if (!entries)
        return dv_error_oom(err);
    for (size_t i = 0; i < p->count; i++)
        entries[i].id = p->images[i].id;
    int r = open_repository(p, name, entries, err);
    for (size_t i = 0; r == 0 && i < p->count; i++)
        r = push_one(p, i, err);
    if (r == 0)
        r = davit_v1_repository_set_tag(davit_v1_repository_registry(p->writing),
                                        davit_v1_repository_path(p->writing), p->images[p->count - 1].id,
                                        p->options->tag ? p->options->tag : "latest",
                                        davit_v1_repository_auth(p->writing), err);
    return r < 0 ? r : put_list(p, entries, err);
}

static void tell_end(const v1_push *p)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(4096);
    dv_buf_printf(&text, "%s: image: %s", p->options->tag ? p->options->tag : "latest",
                  p->images[p->count - 1].id);
    if (p->options->progress && !text.failed)
        p->options->progress(&(davit_progress){.kind = DAVIT_PROGRESS_MESSAGE, .action = dv_buf_text(&text)},
                             p->options->user_data);
}

int davit_v1_push(davit_client *client, const char *image, const char *name,
                  const davit_v1_push_options *options, davit_error **err)
{
    static const davit_v1_push_options defaults = DAVIT_V1_PUSH_OPTIONS_INIT;
    const davit_v1_push_options *o = options ? options : &defaults;
    if (o->version != DAVIT_V1_PUSH_OPTIONS_VERSION || o->flags)
        return dv_error_set(err, DAVIT_EINVAL, "unknown v1 push options (version %u, flags 0x%x)", o->version,
                            o->flags);
    DV_AUTOPTR(v1_push) p = dv_new(v1_push);
    if (!p)
        return dv_error_oom(err);
    p->client = client;
    p->options = o;
    int r = read_image(p, image, err);
    if (r == 0)
        r = make_jsons(p, err);
    if (r == 0)
        r = push_all(p, name, err);
    if (r < 0)
        return r;
    tell_end(p);
    return 0;
}

/*
 * store/layer_provider.c - the layers of a store as a push wants them (NewLayerProvidersFromStore, push.md 1).
 *
 * One that is registered is given as its tar. Else an image of the store may have the chain: its config says the diff_ids, and the blob that
 * its manifest lists is given as it is.
 */
#include "davit/manifest.h"
#include "davit/store.h"
#include "oci/media_type.h"
#include "store/content_store.h"
#include "store/image_store.h"
#include "store/layer_store.h"
#include "store/store_private.h"
#include "util/file.h"
#include "util/hash.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

DV_DEFINE_AUTOPTR(davit_manifest, davit_manifest_free)
DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)

/* --- a registered layer ---------------------------------------------------------------------------------------------- */

/* The reference goes, and where it was the last, so does the layer: a push takes nothing away that it found. */
static void drop_registered(void *user_data)
{
    davit_layer *layer = user_data;
    davit_layer_store *l = layer->layers;
    if (l->lease && atomic_exchange(&layer->held, false))
        dv_lease_drop_layer(l->lease, &layer->info.chain_id, NULL); /* else it goes with the lease */
    davit_layer_free(layer);
}

static int open_registered(void *user_data, davit_layer_stream *out, davit_error **err)
{
    return davit_layer_open_tar(user_data, out, err);
}

static void give_registered(davit_layer *layer, davit_push_layer *out)
{
    *out = (davit_push_layer){
        .size = sizeof(*out),
        .user_data = layer,
        .chain_id = layer->info.chain_id,
        .diff_id = layer->info.diff_id,
        .parent = layer->info.parent,
        .size_bytes = layer->info.diff_size,
        .media_type = DV_MEDIA_TYPE_DOCKER_LAYER,
        .descriptor = layer->has_descriptor ? &layer->descriptor : NULL,
        .open = open_registered,
        .release = drop_registered,
    };
}

/* --- a layer of an image --------------------------------------------------------------------------------------------- */

typedef struct image_layer {
    dv_store *store;
    dv_lease *lease;                   /* NULL: the store is open for reading only */
    davit_layer_descriptor descriptor; /* texts are its own */
    davit_digest chain, parent, diff_id;
} image_layer;

static void image_layer_free(image_layer *i)
{
    if (!i)
        return;
    dv_lease_release(i->lease);
    dv_store_unref(i->store);
    dv_layer_descriptor_clear(&i->descriptor);
    free(i);
}
DV_DEFINE_AUTOPTR(image_layer, image_layer_free)

static void release_image_layer(void *user_data)
{
    image_layer_free(user_data);
}

typedef struct blob_stream {
    int fd;
    dv_hash *hash;
    davit_digest digest;
} blob_stream;

static void close_blob(void *user_data)
{
    blob_stream *b = user_data;
    dv_close(&b->fd);
    dv_hash_free(b->hash);
    free(b);
}

static int read_blob(void *user_data, void *bytes, size_t size, size_t *out_size, davit_error **err)
{
    blob_stream *b = user_data;
    davit_digest got;
    ssize_t n;
    do
        n = read(b->fd, bytes, size);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return dv_error_file(err, errno, "cannot read blob %s", b->digest.text);
    if (n > 0)
        dv_hash_update(b->hash, bytes, (size_t)n);
    if (n == 0 && size > 0) {
        dv_hash_final(b->hash, &got);
        if (!davit_digest_equal(&got, &b->digest))
            return dv_error_set(err, DAVIT_EDIGEST, "stored blob %s is damaged: its bytes are %s",
                                b->digest.text, got.text);
    }
    *out_size = (size_t)n;
    return 0;
}

static int open_blob(void *user_data, davit_layer_stream *out, davit_error **err)
{
    const image_layer *i = user_data;
    const davit_descriptor *blob = &i->descriptor.blob;
    blob_stream *b = dv_new(blob_stream);
    uint64_t size;
    if (!b)
        return dv_error_oom(err);
    *b = (blob_stream){.fd = -1, .hash = dv_hash_new(blob->digest.algorithm), .digest = blob->digest};
    int r = b->hash ? dv_content_open(i->store, &blob->digest, blob->size, &b->fd, &size, err)
                    : dv_error_oom(err);
    if (r < 0) {
        close_blob(b);
        return r;
    }
    *out = (davit_layer_stream){.size = sizeof(*out), .user_data = b, .read = read_blob, .close = close_blob};
    return 0;
}

/* The types that the reference's schema 2 manifests know: one that is not compressed keeps its own. */
static const char *pushed_type(const char *media_type)
{
    if (strcmp(media_type, DV_MEDIA_TYPE_OCI_LAYER) == 0 ||
        strcmp(media_type, DV_MEDIA_TYPE_DOCKER_LAYER) == 0)
        return DV_MEDIA_TYPE_DOCKER_LAYER;
    if (strcmp(media_type, DV_MEDIA_TYPE_OCI_LAYER_ZSTD) == 0 ||
        strcmp(media_type, DV_MEDIA_TYPE_DOCKER_LAYER_ZSTD) == 0)
        return DV_MEDIA_TYPE_DOCKER_LAYER_ZSTD;
    return DV_MEDIA_TYPE_DOCKER_LAYER_GZIP;
}

static void give_image_layer(image_layer *i, davit_push_layer *out)
{
    const char *type = pushed_type(i->descriptor.blob.media_type);
    *out = (davit_push_layer){
        .size = sizeof(*out),
        .user_data = i,
        .chain_id = i->chain,
        .diff_id = i->diff_id,
        .parent = i->parent,
        .size_bytes = i->descriptor.blob.size,
        .media_type = type,
        .blob = i->descriptor.blob.digest,
        .descriptor = &i->descriptor,
        .open = open_blob,
        .release = release_image_layer,
    };
}

static int make_image_layer(davit_layer_store *l, const davit_descriptor *blob, image_layer **out,
                            davit_error **err)
{
    DV_AUTOPTR(image_layer) i = dv_new(image_layer);
    if (!i)
        return dv_error_oom(err);
    i->store = dv_store_ref(l->store);
    i->descriptor.blob = (davit_descriptor){
        .media_type = dv_strdup(blob->media_type), .digest = blob->digest, .size = blob->size};
    if (!i->descriptor.blob.media_type)
        return dv_error_oom(err);
    int r = l->lease ? dv_lease_open(l->store, &i->lease, err) : 0;
    if (r == 0 && i->lease)
        r = dv_lease_add(i->lease, &blob->digest, 1, err); /* before it is looked for (DESIGN 6) */
    if (r == 0)
        *out = DV_STEAL(i);
    return r;
}

/* 1: this image has the chain, and the blob is here; 0: no. */
static int take_from_image(davit_layer_store *l, const davit_manifest *manifest,
                           const davit_image_config *config, const davit_digest *chain, image_layer **out,
                           davit_error **err)
{
    size_t layer_count, count;
    const davit_descriptor *layers = davit_manifest_layers(manifest, &layer_count);
    const davit_digest *diff_ids = davit_image_config_diff_ids(config, &count);
    davit_digest below = {0}, here;
    for (size_t i = 0; i < count && count == layer_count; i++) {
        const davit_digest two[] = {i ? below : diff_ids[0], diff_ids[i]};
        int r = davit_chain_id(two, i ? 2 : 1, &here, err);
        if (r < 0)
            return r;
        if (!davit_digest_equal(&here, chain)) {
            below = here;
            continue;
        }
        DV_AUTOPTR(image_layer) found = NULL;
        r = make_image_layer(l, &layers[i], &found, err);
        if (r == 0)
            r = dv_content_has(l->store, &layers[i].digest, layers[i].size, err);
        if (r <= 0)
            return r;
        found->chain = *chain;
        found->diff_id = diff_ids[i];
        found->parent = below;
        *out = DV_STEAL(found);
        return 1;
    }
    return 0;
}

/* Of all images of the store. An image that cannot be read has no layers for anybody. */
static int find_in_images(davit_layer_store *l, const davit_digest *chain, image_layer **out,
                          davit_error **err)
{
    DV_AUTO(dv_image_rows) rows = {0};
    davit_store *store = (davit_store *)l->store;
    int r = dv_image_store_list(l->store, &rows, err);
    for (size_t i = 0; r == 0 && i < rows.count; i++) {
        DV_AUTOPTR(davit_manifest) manifest = NULL;
        DV_AUTOPTR(davit_image_config) config = NULL;
        int got = davit_store_get_manifest(store, &rows.items[i].manifest, &manifest, NULL);
        if (got == 0)
            got = davit_store_get_config(store, &rows.items[i].config, &config, NULL);
        if (got == DAVIT_ENOMEM)
            return dv_error_oom(err);
        if (got == 0)
            r = take_from_image(l, manifest, config, chain, out, err);
    }
    return r == 0 ? dv_layer_not_there(err) : r < 0 ? r : 0;
}

/* --- the provider ---------------------------------------------------------------------------------------------------- */

static int get_from_store(void *user_data, const davit_digest *chain_id, davit_push_layer *out,
                          davit_error **err)
{
    davit_layer_store *l = user_data;
    davit_layer *layer = NULL;
    image_layer *image = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = davit_layer_store_get(l, chain_id, &layer, &why);
    if (r == 0) {
        give_registered(layer, out);
        return 0;
    }
    if (r != DAVIT_ENOTFOUND)
        return dv_error_move(err, &why, r);
    r = find_in_images(l, chain_id, &image, err);
    if (r == 0)
        give_image_layer(image, out);
    return r;
}

static void release_store(void *user_data)
{
    davit_layer_store_free(user_data);
}

void davit_layer_store_get_provider(davit_layer_store *layers, davit_layer_provider *out)
{
    *out = (davit_layer_provider){
        .size = sizeof(*out),
        .user_data = dv_layer_store_ref(layers),
        .get = get_from_store,
        .release = release_store,
    };
}

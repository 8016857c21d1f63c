/* distribution/stored_image.c - see stored_image.h. */
#include "distribution/stored_image.h"

#include "davit/store.h"
#include "davit/unpack.h"
#include "distribution/stored_layers.h"
#include "store/content_store.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

DV_DEFINE_AUTOPTR(davit_image_list, davit_image_list_free)

int dv_stored_image_open_store(davit_client *client, dv_store **out, davit_error **err)
{
    const char *dir = client->store_dir;
    DV_AUTOPTR(davit_error) why = NULL;
    DV_AUTOPTR(dv_store) store = NULL;
    if (!dir)
        return dv_error_set(err, DAVIT_EINVAL, "this client has no store");
    bool writes = !(client->flags & DAVIT_CLIENT_STORE_READ_ONLY);
    int r = dv_store_open(dir, writes ? 0 : DV_STORE_READ_ONLY, &store, &why);
    bool forbidden = r == 0 && writes && faccessat(dv_store_dirfd(store), ".", W_OK, AT_EACCESS) < 0;
    if (forbidden || (r == DAVIT_ESTORE && writes)) {
        DV_AUTOPTR(dv_store) readable = NULL;
        int again = dv_store_open(dir, DV_STORE_READ_ONLY, &readable, forbidden ? &why : NULL);
        if (again == 0) {
            *out = DV_STEAL(readable);
            return 0;
        }
        r = forbidden ? again : r;
    }
    if (r < 0)
        return dv_error_move(err, &why, r);
    *out = DV_STEAL(store);
    return 0;
}

int dv_stored_image_find(dv_store *store, const char *name, const davit_platform *platform,
                         davit_manifest **out, davit_error **err)
{
    DV_AUTOPTR(davit_image_list) list = NULL;
    davit_store *whole = (davit_store *)store; /* that is what one is: store/image_list.c */
    int r = davit_store_find(whole, name, platform, &list, err);
    if (r < 0)
        return r;
    const davit_digest *digest = &davit_image_list_at(list, 0)->manifest;
    DV_AUTOPTR(davit_error) why = NULL;
    r = davit_store_get_manifest(whole, digest, out, &why);
    if (r == DAVIT_ENOTFOUND)
        return dv_error_set(err, DAVIT_ESTORE, "manifest %s is missing in store %s: pull the image again",
                            digest->text, dv_store_path(store));
    return r < 0 ? dv_error_move(err, &why, r) : 0;
}

int dv_stored_image_keep(dv_store *store, const davit_manifest *manifest, dv_lease **lease, davit_error **err)
{
    size_t count;
    const davit_descriptor *layers = davit_manifest_layers(manifest, &count);
    if (dv_store_is_read_only(store))
        return 0;
    DV_AUTOFREE davit_digest *digests = dv_new_array(davit_digest, count + 2);
    if (!digests)
        return dv_error_oom(err);
    digests[0] = *davit_manifest_digest(manifest);
    digests[1] = davit_manifest_config(manifest)->digest;
    for (size_t i = 0; i < count; i++)
        digests[i + 2] = layers[i].digest;
    int r = *lease ? 0 : dv_lease_open(store, lease, err);
    return r < 0 ? r : dv_lease_add(*lease, digests, count + 2, err);
}

int dv_stored_image_read_config(dv_store *store, const davit_manifest *manifest, davit_image_config **out,
                                davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    DV_AUTOPTR(davit_error) why = NULL;
    const davit_descriptor *blob = davit_manifest_config(manifest);
    int r = dv_content_read(store, &blob->digest, DAVIT_IMAGE_CONFIG_MAX, &bytes, &why);
    if (r == DAVIT_ENOTFOUND)
        return dv_error_set(err, DAVIT_ESTORE, "image config %s is missing in store %s: pull the image again",
                            blob->digest.text, dv_store_path(store));
    if (r < 0)
        return dv_error_move(err, &why, r);
    return davit_image_config_parse(dv_buf_text(&bytes), bytes.size, out, err);
}

int dv_stored_image_check_layers(dv_store *store, const davit_descriptor *layers, size_t count,
                                 davit_error **err)
{
    for (size_t i = 0; i < count; i++) {
        int r = dv_content_has(store, &layers[i].digest, layers[i].size, err);
        if (r == 0)
            r = dv_stored_layer_examine(store, &layers[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- errors ------------------------------------------------------------------------------------------------------------ */

bool dv_layer_may_be_damaged(int code)
{
    return code == DAVIT_EFORMAT || code == DAVIT_EDIGEST || code == DAVIT_ETOOBIG ||
           code == DAVIT_EUNSUPPORTED || code == DAVIT_ENOTFOUND;
}

int dv_stored_image_explain(dv_store *store, const davit_descriptor *layer, int r, davit_error **from,
                            davit_error **err)
{
    DV_AUTOPTR(davit_error) damage = NULL;
    int examined = store && dv_layer_may_be_damaged(r) ? dv_stored_layer_examine(store, layer, &damage) : 0;
    if (examined < 0)
        return dv_error_move(err, &damage, examined);
    bool named = strstr(davit_error_message(*from), layer->digest.text) != NULL;
    if (r != DAVIT_ECANCELLED && r != DAVIT_ENOMEM && !named)
        r = dv_error_wrap(from, r, "layer %s", layer->digest.text);
    return dv_error_move(err, from, r);
}

/* --- limits ------------------------------------------------------------------------------------------------------------ */

int dv_layer_limits_check(uint32_t zstd_window_bytes, davit_error **err)
{
    if (zstd_window_bytes == 0 ||
        (zstd_window_bytes >= DAVIT_ZSTD_WINDOW_MIN && zstd_window_bytes <= DAVIT_ZSTD_WINDOW_MAX))
        return 0;
    return dv_error_set(err, DAVIT_EINVAL, "a zstd window of %u bytes: it may be %u to %u", zstd_window_bytes,
                        DAVIT_ZSTD_WINDOW_MIN, DAVIT_ZSTD_WINDOW_MAX);
}

dv_inflate_options dv_layer_limits_inflate(uint32_t zstd_window_bytes, uint64_t max_size_bytes)
{
    unsigned log = 0;
    while (zstd_window_bytes >> (log + 1))
        log++; /* 0: the default */
    return (dv_inflate_options){
        .max_output = max_size_bytes ? max_size_bytes : DAVIT_UNPACK_SIZE_MAX,
        .zstd_window_log = log,
        .allow_old = true,
    };
}

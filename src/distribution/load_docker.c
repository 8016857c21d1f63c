/*
 * distribution/load_docker.c - the images of a manifest.json (store.md 10, load 3 to 5): config, layers, tags and parents of each. Which manifest
 * an image gets is load_images.c's.
 */
#include "distribution/load_private.h"

#include "archive/docker_archive.h"
#include "oci/image_config.h"
#include "store/content_store.h"

#include <string.h>

DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)

static int read_config(dv_load *l, const char *path, davit_image_config **out, davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_load_find_document(l, path, DAVIT_IMAGE_CONFIG_MAX, &bytes, err);
    if (r < 0)
        return dv_error_wrap(err, r, "manifest.json");
    r = davit_image_config_parse(dv_buf_text(&bytes), bytes.size, out, &why);
    if (r == DAVIT_EFORMAT && strcmp(davit_error_message(why), "invalid rootfs in image configuration") == 0)
        return dv_error_set(err, r, "invalid image JSON, no RootFS key");
    return r < 0 ? dv_error_move(err, &why, r) : 0;
}

/* The layer of a path; *out NULL: the store has it, plain. */
static int find_layer(dv_load *l, const char *path, const davit_digest *diff_id, dv_load_content **out,
                      davit_error **err)
{
    const davit_descriptor plain = {.media_type = "", .digest = *diff_id, .size = DAVIT_SIZE_UNKNOWN};
    int r = dv_load_find(l, path, out, err);
    if (r < 0 || *out)
        return r;
    r = dv_load_locate(l, &plain, out, err);
    if (r == DV_LOAD_MISSING)
        return dv_error_set(err, DAVIT_ENOTFOUND, "manifest.json: the archive has no layer \"%.200s\"", path);
    return r < 0 ? r : 0;
}

static int check_layer(dv_load *l, size_t index, const davit_digest *expected, const dv_load_content *content,
                       davit_error **err)
{
    const davit_descriptor plain = {.media_type = "", .digest = *expected, .size = DAVIT_SIZE_UNKNOWN};
    davit_digest got;
    int r = dv_load_diff_id(l, &plain, content, &got, err);
    if (r < 0)
        return dv_error_wrap(err, r, "layer %zu", index);
    return davit_digest_equal(&got, expected) ? 0 : dv_load_layer_mismatch(index, expected, &got, err);
}

static int add_item(dv_load *l, const dv_docker_item *item, const davit_image_config *config,
                    davit_error **err)
{
    size_t count;
    const davit_digest *diff_ids = davit_image_config_diff_ids(config, &count);
    DV_AUTOFREE dv_load_content **layers = dv_new_array(dv_load_content *, count);
    if (!layers)
        return dv_error_oom(err);
    if (item->layers.count != count)
        return dv_error_set(err, DAVIT_EFORMAT,
                            "invalid manifest, layers length mismatch: expected %zu, got %zu",
                            item->layers.count, count);
    for (size_t i = 0; i < count; i++) {
        int r = find_layer(l, item->layers.items[i], &diff_ids[i], &layers[i], err);
        if (r == 0)
            r = check_layer(l, i, &diff_ids[i], layers[i], err);
        if (r < 0)
            return r;
    }
    const dv_load_image image = {.config = config,
                                 .layers = layers,
                                 .layer_count = count,
                                 .tags = item->tags.items,
                                 .tag_count = item->tags.count};
    return dv_load_add_image(l, &image, err);
}

/* *out_id: of the image, also of one that is left out for its platform. */
static int take_item(dv_load *l, const dv_docker_item *item, davit_digest *out_id, davit_error **err)
{
    DV_AUTOPTR(davit_image_config) config = NULL;
    int r = read_config(l, item->config, &config, err);
    if (r < 0)
        return r;
    *out_id = *davit_image_config_id(config);
    r = dv_image_config_check_history(config, err);
    if (r == 0)
        r = dv_load_check_system(l, davit_image_config_platform(config), err);
    if (r < 0 || !dv_load_platform_fits(l, davit_image_config_platform(config)))
        return r;
    return add_item(l, item, config, err);
}

/* --- parents ---------------------------------------------------------------------------------------------------------------------- */

static const dv_docker_item *find_by_id(const dv_docker_manifest *m, const davit_digest *ids, const char *id)
{
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(ids[i].text, id) == 0)
            return &m->items[i];
    return NULL;
}

/* Checked, not kept: the store has no row for it. A parent that is not in the archive does not count. */
static int check_parent(dv_load *l, const dv_docker_manifest *m, const davit_digest *ids, size_t i,
                        davit_error **err)
{
    DV_AUTOPTR(davit_image_config) child = NULL;
    DV_AUTOPTR(davit_image_config) parent = NULL;
    const dv_docker_item *item = m->items[i].parent ? find_by_id(m, ids, m->items[i].parent) : NULL;
    bool valid = true;
    if (!item || strcmp(m->items[i].parent, ids[i].text) == 0)
        return 0;
    int r = read_config(l, m->items[i].config, &child, err);
    if (r == 0)
        r = read_config(l, item->config, &parent, err);
    if (r == 0)
        r = dv_docker_parent_is_valid(child, parent, &valid, err);
    if (r == 0 && !valid)
        r = dv_error_set(err, DAVIT_EFORMAT, "image %s is not a valid parent for %s", m->items[i].parent,
                         ids[i].text);
    return r;
}

int dv_load_docker(dv_load *l, const dv_buf *manifest, davit_error **err)
{
    DV_AUTO(dv_docker_manifest) m = {0};
    int r = dv_docker_manifest_parse(dv_buf_text(manifest), manifest->size, &m, err);
    if (r < 0)
        return r;
    DV_AUTOFREE davit_digest *ids = dv_new_array(davit_digest, m.count);
    if (!ids)
        return dv_error_oom(err);
    for (size_t i = 0; r == 0 && i < m.count; i++)
        r = take_item(l, &m.items[i], &ids[i], err);
    for (size_t i = 0; r == 0 && i < m.count; i++)
        r = check_parent(l, &m, ids, i, err);
    return r;
}

/*
 * distribution/load_v1.c - archives older than manifest.json: a directory for each layer, named by a v1 image id, with json and layer.tar, and
 * tags in repositories (store.md 10, load 2). Images with a tag and those without children are loaded; what they stand on are their layers.
 */
#include "distribution/load_private.h"

#include "archive/docker_archive.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 125              /* layers of an image, as the reference implementation has it */
#define CHAIN_JSON_MAX (16u << 20) /* bytes of the json of all of them */

DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)

typedef struct v1_image {
    char id[DV_V1_ID_SIZE + 1], parent[DV_V1_ID_SIZE + 1];
    size_t below; /* number of the parent, SIZE_MAX for none */
    bool has_child;
} v1_image;

typedef struct v1_images {
    dv_load *load;
    v1_image *items;
    size_t count;
    dv_docker_repositories tags;
    davit_error *err;
} v1_images;

static void v1_images_clear(v1_images *v)
{
    free(v->items);
    dv_docker_repositories_clear(&v->tags);
    davit_error_free(v->err);
}
DV_DEFINE_AUTO(v1_images, v1_images_clear)

/* --- which there are -------------------------------------------------------------------------------------------------------------- */

static bool is_v1_json(const char *name)
{
    return strlen(name) == DV_V1_ID_SIZE + strlen("/json") && strcmp(name + DV_V1_ID_SIZE, "/json") == 0 &&
           strspn(name, "0123456789abcdef") == DV_V1_ID_SIZE;
}

static int collect(void *user, const char *name, void *value)
{
    v1_images *v = user;
    (void)value;
    if (!is_v1_json(name))
        return 0;
    if (v->count >= DV_DOCKER_IMAGES_MAX)
        return dv_error_set(&v->err, DAVIT_ETOOBIG, "more than %d images", DV_DOCKER_IMAGES_MAX);
    v1_image *grown = dv_realloc_array(v->items, v->count + 1, sizeof(*grown));
    if (!grown)
        return dv_error_oom(&v->err);
    v->items = grown;
    v1_image *image = &v->items[v->count++];
    *image = (v1_image){.below = SIZE_MAX};
    memcpy(image->id, name, DV_V1_ID_SIZE);
    return 0;
}

static int read_json(dv_load *l, const char *id, dv_buf *out, davit_error **err)
{
    char path[DV_V1_ID_SIZE + 16];
    snprintf(path, sizeof(path), "%s/json", id);
    return dv_load_find_document(l, path, DV_DOCKER_MANIFEST_MAX, out, err);
}

static size_t find(const v1_images *v, const char *id)
{
    for (size_t i = 0; i < v->count; i++)
        if (strcmp(v->items[i].id, id) == 0)
            return i;
    return SIZE_MAX;
}

static int find_parent(v1_images *v, v1_image *image, davit_error **err)
{
    DV_AUTO(dv_buf) json = DV_BUF_INIT(DV_DOCKER_MANIFEST_MAX);
    int r = read_json(v->load, image->id, &json, err);
    if (r == 0)
        r = dv_v1_image_parent(dv_buf_text(&json), json.size, image->parent, err);
    if (r < 0 || !*image->parent)
        return r;
    image->below = find(v, image->parent);
    if (image->below == SIZE_MAX)
        return dv_error_set(err, DAVIT_ENOTFOUND, "the archive has no image %s, the parent of %s",
                            image->parent, image->id);
    v->items[image->below].has_child = true;
    return 0;
}

static int read_tags(v1_images *v, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DV_DOCKER_MANIFEST_MAX);
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_load_find_document(v->load, "repositories", DV_DOCKER_MANIFEST_MAX, &text, &why);
    if (r == DAVIT_ENOTFOUND)
        return 0;
    if (r == 0)
        r = dv_docker_repositories_parse(dv_buf_text(&text), text.size, &v->tags, &why);
    return r < 0 ? dv_error_move(err, &why, r) : 0;
}

/* --- one image ---------------------------------------------------------------------------------------------------------------------- */

/* An image with all below it, the lowest first. */
typedef struct chain {
    size_t count;
    dv_v1_image images[DEPTH_MAX];
    dv_load_content *layers[DEPTH_MAX];
    char *bytes[DEPTH_MAX];
} chain;

static void chain_free(chain *c)
{
    for (size_t i = 0; c && i < c->count; i++)
        free(c->bytes[i]);
    free(c);
}
DV_DEFINE_AUTOPTR(chain, chain_free)

static int measure(const v1_images *v, size_t top, size_t *out, davit_error **err)
{
    size_t depth = 0;
    for (size_t i = top; i != SIZE_MAX; i = v->items[i].below)
        if (++depth > DEPTH_MAX) /* also a chain that bites its tail */
            return dv_error_set(err, DAVIT_ETOOBIG, "image %s: max depth exceeded", v->items[top].id);
    *out = depth;
    return 0;
}

static int take_layer(dv_load *l, const char *id, dv_load_content **out, davit_digest *out_diff_id,
                      davit_error **err)
{
    char path[DV_V1_ID_SIZE + 16];
    snprintf(path, sizeof(path), "%s/layer.tar", id);
    int r = dv_load_find(l, path, out, err);
    if (r == 0 && !*out)
        return dv_error_set(err, DAVIT_ENOTFOUND, "the archive has no \"%s\"", path);
    if (r == 0)
        r = dv_load_diff_id(l, NULL, *out, out_diff_id, err);
    return r < 0 ? dv_error_wrap(err, r, "%s", path) : 0;
}

static int read_chain(const v1_images *v, size_t top, chain *c, davit_error **err)
{
    size_t total = 0;
    int r = measure(v, top, &c->count, err);
    for (size_t i = top, k = c->count; r == 0 && i != SIZE_MAX; i = v->items[i].below) {
        DV_AUTO(dv_buf) json = DV_BUF_INIT(DV_DOCKER_MANIFEST_MAX);
        k--;
        r = read_json(v->load, v->items[i].id, &json, err);
        c->images[k].size = json.size;
        total += json.size;
        if (r == 0 && total > CHAIN_JSON_MAX)
            r = dv_error_set(err, DAVIT_ETOOBIG, "image %s: more than %u MiB of json", v->items[top].id,
                             CHAIN_JSON_MAX >> 20);
        if (r == 0 && !(c->images[k].bytes = c->bytes[k] = dv_buf_take(&json)))
            r = dv_error_oom(err);
        if (r == 0)
            r = take_layer(v->load, v->items[i].id, &c->layers[k], &c->images[k].diff_id, err);
    }
    return r;
}

static int make_config(const chain *c, davit_image_config **out, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    int r = dv_v1_images_to_config(c->images, c->count, &text, err);
    return r < 0 ? r : davit_image_config_parse(dv_buf_text(&text), text.size, out, err);
}

static int add_image(const v1_images *v, size_t top, char *const *tags, size_t tag_count, davit_error **err)
{
    DV_AUTOPTR(chain) c = dv_new(chain);
    DV_AUTOPTR(davit_image_config) config = NULL;
    if (!c)
        return dv_error_oom(err);
    int r = read_chain(v, top, c, err);
    if (r == 0)
        r = make_config(c, &config, err);
    if (r == 0)
        r = dv_load_check_system(v->load, davit_image_config_platform(config), err);
    if (r < 0 || !dv_load_platform_fits(v->load, davit_image_config_platform(config)))
        return r;
    const dv_load_image image = {
        .config = config, .layers = c->layers, .layer_count = c->count, .tags = tags, .tag_count = tag_count};
    return dv_load_add_image(v->load, &image, err);
}

/* With its tags; one that has neither tags nor children besides is an image too. */
static int take_image(const v1_images *v, size_t i, davit_error **err)
{
    DV_AUTOFREE char **tags = dv_new_array(char *, v->tags.count);
    size_t count = 0;
    if (!tags)
        return dv_error_oom(err);
    for (size_t k = 0; k < v->tags.count; k++)
        if (strcmp(v->tags.items[k].id, v->items[i].id) == 0)
            tags[count++] = v->tags.items[k].reference;
    return count > 0 || !v->items[i].has_child ? add_image(v, i, tags, count, err) : 0;
}

int dv_load_v1(dv_load *l, bool *out_found, davit_error **err)
{
    DV_AUTO(v1_images) v = {.load = l};
    int r = dv_archive_names_walk(l->names, collect, &v);
    if (r < 0)
        return dv_error_move(err, &v.err, r);
    for (size_t i = 0; r == 0 && i < v.count; i++)
        r = find_parent(&v, &v.items[i], err);
    if (r == 0 && v.count > 0)
        r = read_tags(&v, err);
    for (size_t i = 0; r == 0 && i < v.count; i++)
        r = take_image(&v, i, err);
    if (r == 0)
        *out_found = v.count > 0;
    return r;
}

/*
 * distribution/pull_v1.c - davit_v1_pull(): images of a v1 registry into the store (registry-v1.md 9).
 *
 * A registry of images that stand one on another is read like an archive of them: each layer is what "<id>/layer.tar" would be, once for all
 * tags, and what becomes of a chain is load's business (load_images.c, load_record.c). What the registry says of itself is checked against
 * itself before a layer is fetched: ids, parents, checksums.
 */
#include "distribution/load_private.h"

#include "archive/docker_archive.h"
#include "oci/reference.h"
#include "oci/v1_image.h"
#include "registry/v1_client.h"
#include "util/str.h"

#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 127              /* images one on another: what Docker itself could make */
#define CHAIN_JSON_MAX (16u << 20) /* bytes of the json of all of them */
#define TAGS_MAX 4096              /* of one pull */
#define PATH_MAX_BYTES 96

DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)

typedef struct v1_pull {
    dv_load *load;
    davit_v1_client *registry;
    const davit_v1_auth *auth;
    const davit_v1_repository *repository;
} v1_pull;

/* An image with all below it, the lowest first. */
typedef struct chain {
    size_t count;
    const char *ids[DEPTH_MAX];
    davit_v1_image_json *jsons[DEPTH_MAX];
    char *top; /* json of the last, with what an image of today must say */
    dv_v1_image images[DEPTH_MAX];
    dv_load_content *layers[DEPTH_MAX];
} chain;

static void chain_free(chain *c)
{
    for (size_t i = 0; c && i < c->count; i++)
        davit_v1_image_json_free(c->jsons[i]);
    if (c)
        free(c->top);
    free(c);
}
DV_DEFINE_AUTOPTR(chain, chain_free)

/* --- what the registry says --------------------------------------------------------------------------------------------- */

/* The ids are in ancestry, which must live as long. */
static int take_ancestry(const char *id, const davit_v1_texts *ancestry, chain *c, davit_error **err)
{
    if (ancestry->count == 0 || strcmp(ancestry->items[0], id) != 0)
        return dv_error_set(err, DAVIT_EFORMAT, "the ancestry of image %s does not begin with it", id);
    if (ancestry->count > DEPTH_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "image %s stands on %zu others, at most %d are allowed", id,
                            ancestry->count - 1, DEPTH_MAX - 1);
    for (size_t i = 0; i < ancestry->count; i++) {
        const char *one = ancestry->items[i];
        if (!dv_v1_id_is_valid(one))
            return dv_error_set(err, DAVIT_EFORMAT, "the ancestry of image %s has '%.80s', which is no id",
                                id, one);
        for (size_t k = 0; k < i; k++)
            if (strcmp(ancestry->items[k], one) == 0)
                return dv_error_set(err, DAVIT_EFORMAT, "the ancestry of image %s has %s twice", id, one);
    }
    for (size_t i = 0; i < ancestry->count; i++)
        c->ids[i] = ancestry->items[ancestry->count - 1 - i];
    c->count = ancestry->count;
    return 0;
}

static int check_json(const chain *c, size_t i, davit_error **err)
{
    DV_AUTOPTR(davit_v1_image_metadata) m = NULL;
    const char *id = c->ids[i], *parent = i > 0 ? c->ids[i - 1] : "";
    int r = davit_v1_image_metadata_parse(c->jsons[i]->bytes, c->jsons[i]->size, &m, err);
    if (r < 0)
        return dv_error_wrap(err, r, "image %s", id);
    if (!dv_str_equal(m->id ? m->id : "", id))
        return dv_error_set(err, DAVIT_EFORMAT, "the json of image %s says that it is '%.80s'", id,
                            m->id ? m->id : "");
    if (!dv_str_equal(m->parent ? m->parent : "", parent))
        return dv_error_set(err, DAVIT_EFORMAT, "the json of image %s has the parent '%.80s' and not '%s'",
                            id, m->parent ? m->parent : "", parent);
    return 0;
}

static int read_jsons(v1_pull *p, chain *c, davit_error **err)
{
    size_t total = 0;
    for (size_t i = 0; i < c->count; i++) {
        int r = davit_v1_image_get_json(p->registry, c->ids[i], p->auth, &c->jsons[i], err);
        if (r == 0)
            r = check_json(c, i, err);
        if (r < 0)
            return r;
        c->images[i].bytes = c->jsons[i]->bytes;
        c->images[i].size = c->jsons[i]->size;
        total += c->jsons[i]->size;
        if (total > CHAIN_JSON_MAX)
            return dv_error_set(err, DAVIT_ETOOBIG, "image %s: more than %u MiB of json",
                                c->ids[c->count - 1], CHAIN_JSON_MAX >> 20);
    }
    return 0;
}

static bool set_missing(dv_json *object, const char *key, const char *text)
{
    size_t size = 0;
    dv_json_string(dv_json_get(object, key), &size);
    return size > 0 || dv_json_set_string(object, key, text);
}

/* The first images said neither system nor machine: there was one of each. */
static int complete_top(chain *c, davit_error **err)
{
    static const dv_json_limits limits = {.max_bytes = DAVIT_V1_JSON_MAX};
    dv_v1_image *top = &c->images[c->count - 1];
    DV_AUTOPTR(dv_json) parsed = NULL;
    DV_AUTO(dv_buf) text = DV_BUF_INIT((size_t)2 * DAVIT_V1_JSON_MAX);
    int r = dv_json_parse(top->bytes, top->size, &limits, NULL, &parsed, err);
    if (r < 0)
        return dv_error_wrap(err, r, "image %s", c->ids[c->count - 1]);
    DV_AUTOPTR(dv_json) object = dv_json_copy(parsed);
    if (!object || !set_missing(object, "architecture", "amd64") || !set_missing(object, "os", "linux"))
        return dv_error_oom(err);
    dv_json_format(object, /* indent= */ 0, /* html_safe= */ true, &text);
    top->size = text.size;
    top->bytes = c->top = text.failed ? NULL : dv_buf_take(&text);
    return c->top ? 0 : dv_error_oom(err);
}

/* --- layers -------------------------------------------------------------------------------------------------------------- */

typedef struct layer_write {
    dv_load_entry *entry;
    davit_error *err;
} layer_write;

/* A davit_write_fn. */
static int write_layer(const void *bytes, size_t size, void *user_data)
{
    layer_write *w = user_data;
    return dv_load_entry_write(w->entry, bytes, size, &w->err);
}

/* A layer without a byte is an empty tar: its end is two blocks. */
static int end_empty(dv_load_entry *e, davit_error **err)
{
    static const char blocks[1024];
    return dv_load_entry_write(e, blocks, sizeof(blocks), err);
}

static int fetch_layer(v1_pull *p, const char *id, const davit_v1_image_json *json, const char *path,
                       davit_error **err)
{
    layer_write w = {.entry = NULL};
    dv_load_content *content = NULL;
    uint64_t size = 0;
    int r = dv_load_entry_new(p->load, path, DAVIT_SIZE_UNKNOWN, &w.entry, err);
    if (r < 0)
        return r;
    r = davit_v1_image_get_verified_layer(p->registry, id, json, p->auth, write_layer, &w, &size, err);
    if (w.err) /* says more than that the writing failed */
        dv_error_move(err, &w.err, r);
    if (r == 0 && size == 0)
        r = end_empty(w.entry, err);
    if (r < 0) {
        dv_load_entry_free(w.entry);
        return r;
    }
    r = dv_load_entry_finish(w.entry, &content, err);
    return r < 0 ? r : dv_archive_names_put(p->load->names, path, content, err);
}

static int take_layer(v1_pull *p, chain *c, size_t i, davit_error **err)
{
    char path[PATH_MAX_BYTES];
    snprintf(path, sizeof(path), "%s/layer.tar", c->ids[i]);
    int r = dv_load_find(p->load, path, &c->layers[i], err);
    if (r == 0 && !c->layers[i]) {
        r = fetch_layer(p, c->ids[i], c->jsons[i], path, err);
        if (r == 0)
            r = dv_load_find(p->load, path, &c->layers[i], err);
    }
    if (r == 0)
        r = dv_load_diff_id(p->load, NULL, c->layers[i], &c->images[i].diff_id, err);
    return r < 0 ? dv_error_wrap(err, r, "layer of image %s", c->ids[i]) : 0;
}

/* --- an image ------------------------------------------------------------------------------------------------------------ */

static int add_image(v1_pull *p, chain *c, char *name, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    DV_AUTOPTR(davit_image_config) config = NULL;
    int r = dv_v1_images_to_config(c->images, c->count, &text, err);
    if (r == 0)
        r = davit_image_config_parse(dv_buf_text(&text), text.size, &config, err);
    if (r == 0)
        r = dv_load_check_system(p->load, davit_image_config_platform(config), err);
    if (r < 0)
        return r;
    const dv_load_image image = {.config = config,
                                 .layers = c->layers,
                                 .layer_count = c->count,
                                 .tags = &name,
                                 .tag_count = name ? 1 : 0};
    return dv_load_add_image(p->load, &image, err);
}

/* name: in the store; NULL: none. */
static int pull_image(v1_pull *p, const char *id, char *name, davit_error **err)
{
    DV_AUTOPTR(chain) c = dv_new(chain);
    DV_AUTO(davit_v1_texts) ancestry = {.items = NULL};
    if (!c)
        return dv_error_oom(err);
    if (!dv_v1_id_is_valid(id))
        return dv_error_set(err, DAVIT_EFORMAT, "'%.80s' is no image id", id);
    int r = davit_v1_image_get_ancestry(p->registry, id, p->auth, &ancestry, err);
    if (r == 0)
        r = take_ancestry(id, &ancestry, c, err);
    if (r == 0)
        r = read_jsons(p, c, err);
    if (r == 0)
        r = complete_top(c, err);
    for (size_t i = 0; r == 0 && i < c->count; i++)
        r = take_layer(p, c, i, err);
    return r < 0 ? r : add_image(p, c, name, err);
}

/* --- tags ---------------------------------------------------------------------------------------------------------------- */

static int pull_tag(v1_pull *p, const char *tag, const char *id, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(4096);
    DV_AUTOPTR(davit_reference) ref = NULL;
    dv_buf_printf(&text, "%s/%s:%s", dv_v1_repository_domain(p->repository),
                  davit_v1_repository_path(p->repository), tag);
    if (text.failed)
        return dv_error_set(err, DAVIT_EINVAL, "the name of tag '%.80s' is too long", tag);
    int r = davit_reference_parse(dv_buf_text(&text), &ref, err);
    DV_AUTOFREE char *name = dv_buf_take(&text);
    if (r == 0 && !name)
        r = dv_error_oom(err);
    if (r == 0)
        r = pull_image(p, id, name, err);
    return r < 0 && r != DAVIT_ENOMEM ? dv_error_wrap(err, r, "tag %s", tag) : r;
}

static int pull_all_tags(v1_pull *p, davit_error **err)
{
    DV_AUTOPTR(davit_v1_tags) tags = NULL;
    int r = davit_v1_repository_list_tags(p->registry, davit_v1_repository_path(p->repository), p->auth,
                                          &tags, err);
    if (r == 0 && tags->count > TAGS_MAX)
        r = dv_error_set(err, DAVIT_ETOOBIG, "%zu tags, at most %d are pulled at once", tags->count, TAGS_MAX);
    for (size_t i = 0; r == 0 && i < tags->count; i++)
        r = pull_tag(p, tags->items[i].name, tags->items[i].id, err);
    return r;
}

static int pull_one(v1_pull *p, const davit_v1_pull_options *o, davit_error **err)
{
    const char *tag = o->tag ? o->tag : "latest";
    DV_AUTOFREE char *id = NULL;
    if (o->image)
        return pull_image(p, o->image, /* name= */ NULL, err);
    int r = davit_v1_repository_get_image_id(p->registry, davit_v1_repository_path(p->repository), tag,
                                             p->auth, &id, err);
    return r < 0 ? r : pull_tag(p, tag, id, err);
}

static int check_options(const davit_v1_pull_options *o, davit_error **err)
{
    bool all = o->flags & DAVIT_V1_PULL_ALL_TAGS;
    if (o->version != DAVIT_V1_PULL_OPTIONS_VERSION || (o->flags & ~DAVIT_V1_PULL_ALL_TAGS))
        return dv_error_set(err, DAVIT_EINVAL, "unknown v1 pull options (version %u, flags 0x%x)", o->version,
                            o->flags);
    if ((all && (o->tag || o->image)) || (o->tag && o->image))
        return dv_error_set(err, DAVIT_EINVAL, "a tag, an image and all tags exclude each other");
    return 0;
}

int davit_v1_pull(davit_client *client, const char *name, const davit_v1_pull_options *options,
                  davit_load_result *out, davit_error **err)
{
    static const davit_v1_pull_options defaults = DAVIT_V1_PULL_OPTIONS_INIT;
    const davit_v1_pull_options *o = options ? options : &defaults;
    DV_AUTOPTR(davit_v1_repository) rep = NULL;
    dv_loaded loaded = {0};
    davit_load_options how = DAVIT_LOAD_OPTIONS_INIT;
    how.progress = o->progress;
    how.user_data = o->user_data;
    DV_AUTO(dv_load) l = {.client = client, .options = &how, .loaded = &loaded, .layout_fd = -1};
    int r = check_options(o, err);
    if (r == 0)
        r = dv_load_prepare(&l, err);
    if (r == 0)
        r = davit_v1_repository_open(client, name, DAVIT_V1_ACCESS_READ, NULL, 0, o->open, &rep, err);
    if (r < 0)
        return r;
    v1_pull p = {.load = &l,
                 .registry = davit_v1_repository_registry(rep),
                 .auth = davit_v1_repository_auth(rep),
                 .repository = rep};
    r = o->flags & DAVIT_V1_PULL_ALL_TAGS ? pull_all_tags(&p, err) : pull_one(&p, o, err);
    if (r == 0)
        r = dv_load_record(&l, err);
    if (r == 0 && out)
        *out = l.result;
    return r;
}

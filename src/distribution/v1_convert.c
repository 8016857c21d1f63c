/* distribution/v1_convert.c - see v1_convert.h. */
#include "distribution/v1_convert.h"

#include "archive/docker_archive.h"
#include "archive/oci_layout.h"
#include "davit/manifest.h"
#include "distribution/v1_reader.h"
#include "oci/media_type.h"
#include "store/v1_image_store.h"
#include "util/json.h"

#include <string.h>

#define CHAIN_JSON_MAX (16u << 20) /* bytes of the json of all of them */

void dv_v1_converted_clear(dv_v1_converted *c)
{
    for (size_t i = 0; c->ids && i < c->count; i++)
        free(c->ids[i]);
    free(c->ids);
    free(c->layers);
    free(c->manifest);
    davit_image_config_free(c->config);
    *c = (dv_v1_converted)DV_V1_CONVERTED_INIT;
}

/* An image with all below it, itself first. */
typedef struct chain {
    size_t count;
    char *ids[DV_V1_DEPTH_MAX];
    dv_v1_image_row rows[DV_V1_DEPTH_MAX];
    char *top; /* json of the first, with what an image of today must say */
} chain;

static void chain_free(chain *c)
{
    for (size_t i = 0; c && i < c->count; i++) {
        free(c->ids[i]);
        dv_v1_image_row_clear(&c->rows[i]);
    }
    if (c)
        free(c->top);
    free(c);
}
DV_DEFINE_AUTOPTR(chain, chain_free)

static int read_chain(dv_store *s, const char *registry, const char *id, chain *c, davit_error **err)
{
    size_t total = 0;
    for (const char *at = id; *at; at = c->rows[c->count - 1].parent) {
        if (c->count == DV_V1_DEPTH_MAX)
            return dv_error_set(err, DAVIT_ETOOBIG, "image %s stands on more than %d others", id,
                                DV_V1_DEPTH_MAX - 1);
        size_t i = c->count++;
        c->ids[i] = dv_strdup(at);
        if (!c->ids[i])
            return dv_error_oom(err);
        int r = dv_v1_image_store_get(s, registry, at, &c->rows[i], err);
        if (r < 0)
            return r;
        if (!c->rows[i].layer.digest.algorithm)
            return dv_error_set(err, DAVIT_ENOTFOUND, "the layer of image %s was not fetched", at);
        total += strlen(c->rows[i].json);
        if (total > CHAIN_JSON_MAX)
            return dv_error_set(err, DAVIT_ETOOBIG, "image %s: more than %u MiB of json", id,
                                CHAIN_JSON_MAX >> 20);
    }
    return 0;
}

/* --- config ---------------------------------------------------------------------------------------------------------------- */

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
    const char *json = c->rows[0].json;
    DV_AUTOPTR(dv_json) parsed = NULL;
    DV_AUTO(dv_buf) text = DV_BUF_INIT((size_t)2 * DAVIT_V1_JSON_MAX);
    int r = dv_json_parse(json, strlen(json), &limits, NULL, &parsed, err);
    if (r < 0)
        return dv_error_wrap(err, r, "image %s", c->ids[0]);
    DV_AUTOPTR(dv_json) object = dv_json_copy(parsed);
    if (!object || !set_missing(object, "architecture", "amd64") || !set_missing(object, "os", "linux"))
        return dv_error_oom(err);
    dv_json_format(object, /* indent= */ 0, /* html_safe= */ true, &text);
    if (text.failed == DAVIT_ETOOBIG)
        return dv_error_set(err, DAVIT_ETOOBIG, "image %s: its json is longer than %u MiB when it is escaped",
                            c->ids[0], 2 * DAVIT_V1_JSON_MAX >> 20);
    c->top = text.failed ? NULL : dv_buf_take(&text);
    return c->top ? 0 : dv_error_oom(err);
}

static int make_config(chain *c, dv_v1_converted *out, davit_error **err)
{
    dv_v1_image images[DV_V1_DEPTH_MAX];
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    size_t size;
    int r = complete_top(c, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < c->count; i++) {
        size_t k = c->count - 1 - i;
        const char *json = k == 0 ? c->top : c->rows[k].json;
        images[i] = (dv_v1_image){.bytes = json, .size = strlen(json), .diff_id = c->rows[k].diff_id};
    }
    r = dv_v1_images_to_config(images, c->count, &text, err);
    if (r == 0)
        r = davit_image_config_parse(dv_buf_text(&text), text.size, &out->config, err);
    if (r < 0)
        return r;
    davit_image_config_bytes(out->config, &size);
    out->config_descriptor = (davit_descriptor){
        .media_type = DV_MEDIA_TYPE_OCI_CONFIG, .digest = *davit_image_config_id(out->config), .size = size};
    return 0;
}

/* --- manifest -------------------------------------------------------------------------------------------------------------- */

static int take_layers(chain *c, dv_v1_converted *out, davit_error **err)
{
    out->ids = dv_new_array(char *, c->count);
    out->layers = dv_new_array(davit_descriptor, c->count);
    if (!out->ids || !out->layers)
        return dv_error_oom(err);
    out->count = c->count;
    out->size = out->config_descriptor.size;
    for (size_t i = 0; i < c->count; i++) {
        size_t k = c->count - 1 - i;
        out->ids[i] = DV_STEAL(c->ids[k]);
        out->layers[i] = c->rows[k].layer;
        out->size += c->rows[k].layer.size;
    }
    return 0;
}

static int make_manifest(dv_v1_converted *out, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    int r = dv_oci_manifest_format(&out->config_descriptor, out->layers, out->count, &text, err);
    out->manifest_descriptor =
        (davit_descriptor){.media_type = DV_MEDIA_TYPE_OCI_MANIFEST, .size = text.size};
    if (r == 0)
        r = davit_digest_of(DAVIT_SHA256, dv_buf_text(&text), text.size, &out->manifest_descriptor.digest,
                            err);
    if (r < 0)
        return r;
    out->manifest = dv_buf_take(&text);
    return out->manifest ? 0 : dv_error_oom(err);
}

int dv_v1_convert(dv_store *s, const char *registry, const char *id, dv_v1_converted *out, davit_error **err)
{
    DV_AUTOPTR(chain) c = dv_new(chain);
    DV_AUTO(dv_v1_converted) made = DV_V1_CONVERTED_INIT;
    if (!c)
        return dv_error_oom(err);
    int r = read_chain(s, registry, id, c, err);
    if (r == 0)
        r = make_config(c, &made, err);
    if (r == 0)
        r = take_layers(c, &made, err);
    if (r == 0)
        r = make_manifest(&made, err);
    if (r < 0)
        return r;
    *out = made;
    made = (dv_v1_converted)DV_V1_CONVERTED_INIT; /* moved */
    return 0;
}

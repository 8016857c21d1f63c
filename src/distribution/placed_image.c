/* distribution/placed_image.c - see placed_image.h. Its layers are source_layers.c's. */
#include "distribution/placed_image.h"

#include "distribution/document.h"
#include "distribution/pull_private.h"
#include "oci/manifest.h"
#include "oci/media_type.h"

int dv_placed_manifest(dv_source *s, davit_manifest *m, const davit_platform *platform, davit_manifest **out,
                       davit_error **err)
{
    for (unsigned depth = 1; davit_manifest_is_index(m); depth++) {
        const davit_descriptor *chosen;
        davit_manifest *child = NULL;
        int r = dv_document_choose(m, platform, depth, &chosen, err);
        if (r == 0)
            r = dv_source_manifest(s, chosen, &child, err);
        davit_manifest_free(m);
        if (r < 0)
            return r;
        m = child;
    }
    *out = m;
    return 0;
}

/* --- config -------------------------------------------------------------------------------------------------------------------- */

typedef struct memory_sink {
    dv_sink sink;
    dv_buf bytes;
} memory_sink;

static int memory_write(dv_sink *sink, const void *bytes, size_t size, davit_error **err)
{
    dv_buf *b = &((memory_sink *)sink)->bytes;
    dv_buf_append(b, bytes, size);
    return b->failed ? dv_error_set(err, b->failed, "image configuration of more than %u bytes is too long",
                                    DAVIT_IMAGE_CONFIG_MAX)
                     : 0;
}

static int memory_finish(dv_sink *sink, davit_error **err)
{
    (void)sink, (void)err;
    return 0;
}

int dv_placed_config(dv_source *s, const davit_manifest *manifest, dv_buf *out, davit_error **err)
{
    memory_sink to = {.sink = {.write = memory_write, .finish = memory_finish},
                      .bytes = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX)};
    int r = dv_source_read(s, davit_manifest_config(manifest), &to.sink, err);
    if (r == 0)
        *out = to.bytes;
    else
        dv_buf_clear(&to.bytes);
    return r;
}

/* --- the image ----------------------------------------------------------------------------------------------------------------- */

void dv_placed_image_clear(dv_placed_image *p)
{
    davit_image_config_free(p->config);
    davit_manifest_free(p->manifest);
    davit_manifest_free(p->target);
    dv_source_close(p->source);
    dv_place_clear(&p->place);
    *p = (dv_placed_image){0};
}

int dv_placed_image_open(dv_placed_image *p, davit_client *client, const char *text,
                         const davit_platform *platform, davit_error **err)
{
    davit_descriptor target;
    DV_AUTO(dv_buf) config = {0};
    int r = dv_place_parse(text, DV_PLACE_REGISTRY, &p->place, err);
    if (r == 0)
        r = dv_place_check_readable(&p->place, err);
    if (r == 0)
        r = dv_source_open(client, &p->place, &p->source, err);
    if (r == 0)
        r = p->source->ops->resolve(p->source, /* name= */ NULL, &target, err);
    if (r == 0)
        r = dv_source_manifest(p->source, &target, &p->target, err);
    if (r == 0)
        r = dv_placed_manifest(p->source, davit_manifest_ref(p->target), platform, &p->manifest, err);
    if (r == 0)
        r = dv_placed_config(p->source, p->manifest, &config, err);
    return r < 0 ? r : davit_image_config_parse(dv_buf_text(&config), config.size, &p->config, err);
}

int dv_placed_image_check(const dv_placed_image *p, const davit_platform *platform, dv_verify_fn verify,
                          void *user_data, davit_error **err)
{
    size_t count, diff_id_count;
    const davit_descriptor *config = davit_manifest_config(p->manifest);
    const davit_descriptor *layers = davit_manifest_layers(p->manifest, &count);
    int r = 0;
    if (davit_manifest_get_kind(p->manifest) == DAVIT_MANIFEST_DOCKER)
        r = dv_media_type_check_config(config->media_type, /* accepted= */ NULL, err);
    if (r == 0)
        r = dv_media_type_acceptable(config->media_type, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = dv_media_type_acceptable(layers[i].media_type, err);
    if (r == 0)
        r = dv_pull_check_system(platform, davit_image_config_platform(p->config)->os, err);
    davit_image_config_diff_ids(p->config, &diff_id_count);
    if (r == 0 && diff_id_count != count)
        r = dv_error_set(err, DAVIT_EFORMAT, "layers from manifest don't match image configuration");
    if (r == 0 && verify && verify(/* ref= */ NULL, p->manifest, user_data) != 0)
        r = dv_error_set(err, DAVIT_EDENIED, "image %s was refused by the verifier",
                         davit_manifest_digest(p->manifest)->text);
    return r;
}

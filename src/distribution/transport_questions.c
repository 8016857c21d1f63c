/* distribution/transport_questions.c - the davit_transport_*() functions: one question to wherever an image is. Spec: DESIGN 3. */
#include "davit/transport.h"

#include "distribution/placed_image.h"
#include "oci/manifest.h"

static int open_named(davit_client *client, const char *place_text, dv_place *place, dv_source **out,
                      davit_manifest **out_manifest, davit_error **err)
{
    davit_descriptor target;
    int r = dv_place_parse(place_text, DV_PLACE_REGISTRY, place, err);
    if (r == 0)
        r = dv_place_check_readable(place, err);
    if (r == 0)
        r = dv_source_open(client, place, out, err);
    if (r == 0)
        r = (*out)->ops->resolve(*out, /* name= */ NULL, &target, err);
    return r < 0 ? r : dv_source_manifest(*out, &target, out_manifest, err);
}

int davit_transport_get_manifest(davit_client *client, const char *place_text, const davit_platform *platform,
                                 davit_manifest **out, davit_error **err)
{
    DV_AUTO(dv_place) place = DV_PLACE_INIT;
    DV_AUTOPTR(dv_source) s = NULL;
    davit_manifest *m = NULL;
    int r = open_named(client, place_text, &place, &s, &m, err);
    if (r == 0 && platform)
        r = dv_placed_manifest(s, m, platform, &m, err);
    if (r == 0)
        *out = m;
    return r;
}

int davit_transport_get_config_bytes(davit_client *client, const char *place_text,
                                     const davit_platform *platform, void **out_bytes, size_t *out_size,
                                     davit_error **err)
{
    DV_AUTO(dv_place) place = DV_PLACE_INIT;
    DV_AUTOPTR(dv_source) s = NULL;
    DV_AUTOPTR(davit_manifest) image = NULL;
    DV_AUTO(dv_buf) bytes = {0};
    davit_manifest *m = NULL;
    int r = open_named(client, place_text, &place, &s, &m, err);
    if (r == 0)
        r = dv_placed_manifest(s, m, platform, &image, err);
    if (r == 0)
        r = dv_placed_config(s, image, &bytes, err);
    if (r < 0)
        return r;
    size_t size = bytes.size;
    char *text = dv_buf_take(&bytes);
    if (!text)
        return dv_error_oom(err);
    *out_bytes = text;
    *out_size = size;
    return 0;
}

int davit_transport_get_image(davit_client *client, const char *place_text, const davit_platform *platform,
                              davit_manifest **out_target, davit_manifest **out_manifest,
                              davit_image_config **out_config, davit_error **err)
{
    DV_AUTO(dv_placed_image) image = {0};
    int r = dv_placed_image_open(&image, client, place_text, platform, err);
    if (r < 0)
        return r;
    if (out_target)
        *out_target = DV_STEAL(image.target);
    *out_manifest = DV_STEAL(image.manifest);
    *out_config = DV_STEAL(image.config);
    return 0;
}

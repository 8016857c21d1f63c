/* distribution/transport_questions.c - the davit_transport_*() functions: one question to wherever an image is. Spec: DESIGN 3. */
#include "davit/transport.h"

#include "davit/image_config.h"
#include "distribution/source.h"
#include "oci/manifest.h"

/* Takes m over. */
static int narrow(dv_source *s, davit_manifest *m, const davit_platform *platform, davit_manifest **out,
                  davit_error **err)
{
    for (unsigned depth = 1; davit_manifest_is_index(m); depth++) {
        DV_AUTOFREE size_t *order = NULL;
        size_t count = 0, entry_count;
        const davit_descriptor *entries = davit_manifest_entries(m, &entry_count);
        davit_manifest *child = NULL;
        int r = davit_manifest_choose(m, platform, &order, &count, err);
        if (r == 0 && depth > DAVIT_INDEX_DEPTH_MAX)
            r = dv_error_set(err, DAVIT_ETOOBIG, "index within index, more than %d deep",
                             DAVIT_INDEX_DEPTH_MAX);
        if (r == 0 && count == 0)
            r = dv_index_no_match(platform, err);
        if (r == 0)
            r = dv_source_manifest(s, &entries[order[0]], &child, err);
        davit_manifest_free(m);
        if (r < 0)
            return r;
        m = child;
    }
    *out = m;
    return 0;
}

static int open_named(davit_client *client, const char *place_text, dv_place *place, dv_source **out,
                      davit_manifest **out_manifest, davit_error **err)
{
    davit_descriptor target;
    int r = dv_place_parse(place_text, DV_PLACE_REGISTRY, place, err);
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
        r = narrow(s, m, platform, &m, err);
    if (r == 0)
        *out = m;
    return r;
}

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
    return 0;
}

int davit_transport_get_config_bytes(davit_client *client, const char *place_text,
                                     const davit_platform *platform, void **out_bytes, size_t *out_size,
                                     davit_error **err)
{
    DV_AUTO(dv_place) place = DV_PLACE_INIT;
    DV_AUTOPTR(dv_source) s = NULL;
    DV_AUTOPTR(davit_manifest) image = NULL;
    davit_manifest *m = NULL;
    memory_sink to = {.sink = {.write = memory_write, .finish = memory_finish},
                      .bytes = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX)};
    int r = open_named(client, place_text, &place, &s, &m, err);
    if (r == 0)
        r = narrow(s, m, platform, &image, err);
    if (r == 0)
        r = dv_source_read(s, davit_manifest_config(image), &to.sink, err);
    if (r == 0) {
        *out_size = to.bytes.size;
        *out_bytes = dv_buf_take(&to.bytes);
        r = *out_bytes ? 0 : dv_error_oom(err);
    }
    dv_buf_clear(&to.bytes);
    return r;
}

/*
 * store/push_layer.c - the tables of davit/layer.h by themselves: asking and ending them, and the empty layer, which no store needs to have.
 */
#include "davit/layer.h"

#include "oci/media_type.h"
#include "util/error.h"
#include "util/hex.h"

#include <string.h>

#define EMPTY_SIZE 1024u
#define EMPTY_HEX \
    "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef" /* of as many zero bytes */

void davit_layer_stream_clear(davit_layer_stream *stream)
{
    if (stream && stream->close)
        stream->close(stream->user_data);
    if (stream)
        *stream = (davit_layer_stream){0};
}

void davit_push_layer_clear(davit_push_layer *layer)
{
    if (layer && layer->release)
        layer->release(layer->user_data);
    if (layer)
        *layer = (davit_push_layer){0};
}

void davit_layer_provider_clear(davit_layer_provider *provider)
{
    if (provider && provider->release)
        provider->release(provider->user_data);
    if (provider)
        *provider = (davit_layer_provider){0};
}

int davit_layer_provider_get(const davit_layer_provider *provider, const davit_digest *chain_id,
                             davit_push_layer *out, davit_error **err)
{
    if (!chain_id || chain_id->algorithm == DAVIT_DIGEST_NONE) {
        davit_push_layer_init_empty(out);
        return 0;
    }
    if (!provider || !provider->get)
        return dv_error_set(err, DAVIT_EUNSUPPORTED, "nobody gives layers here");
    return provider->get(provider->user_data, chain_id, out, err);
}

/* --- the empty layer ------------------------------------------------------------------------------------------------- */

typedef struct empty_stream {
    size_t left;
} empty_stream;

static int read_empty(void *user_data, void *bytes, size_t size, size_t *out_size, davit_error **err)
{
    empty_stream *s = user_data;
    size_t n = size < s->left ? size : s->left;
    (void)err;
    memset(bytes, 0, n);
    s->left -= n;
    *out_size = n;
    return 0;
}

static int open_empty(void *user_data, davit_layer_stream *out, davit_error **err)
{
    empty_stream *s = dv_new(empty_stream);
    (void)user_data;
    if (!s)
        return dv_error_oom(err);
    s->left = EMPTY_SIZE;
    *out = (davit_layer_stream){.size = sizeof(*out), .user_data = s, .read = read_empty, .close = free};
    return 0;
}

void davit_push_layer_init_empty(davit_push_layer *out)
{
    davit_digest diff_id = {.algorithm = DAVIT_SHA256, .text = "sha256:" EMPTY_HEX};
    dv_hex_decode(EMPTY_HEX, diff_id.bytes, 32);
    *out = (davit_push_layer){
        .size = sizeof(*out),
        .chain_id = diff_id,
        .diff_id = diff_id,
        .media_type = DV_MEDIA_TYPE_DOCKER_LAYER,
        .open = open_empty,
    };
}

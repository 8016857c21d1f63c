/*
 * distribution/unpack_stream.c - from a registry to files with nothing kept in between: the layers are received one after the other, the next one
 * while those before are still being unpacked, as far as the queue holds. The digest of each is known when it has been received, and all of them
 * before anything is put in place.
 */
#include "auth/auth_config.h"
#include "distribution/blob_stream.h"
#include "distribution/document.h"
#include "distribution/endpoint_loop.h"
#include "distribution/pull_private.h"
#include "distribution/streamed_layers.h"
#include "distribution/unpack_private.h"

#include <inttypes.h>

typedef struct streaming {
    dv_unpacking *unpacking;
    const davit_reference *ref;
    dv_endpoints endpoints;
    dv_streamed_layers *layers;
    davit_manifest *manifest;
    size_t layer;      /* the one that is received */
    uint64_t received; /* bytes of it */
    davit_error *why;  /* of the calling thread's part, which no other endpoint mends */
} streaming;

static int turn(void *user)
{
    streaming *s = user;
    DV_AUTOPTR(davit_error) unused = NULL;
    if (dv_unpacking_turn(s->unpacking))
        return DAVIT_ECANCELLED; /* the pipeline knows why */
    return dv_client_check_cancelled(s->unpacking->client, &unused);
}

static int receive(const void *bytes, size_t size, void *user)
{
    streaming *s = user;
    const davit_descriptor *blob = &s->unpacking->layers[s->layer];
    if (size > blob->size - s->received)
        return dv_error_set(&s->why, DAVIT_EDIGEST,
                            "blob %s is longer than the %" PRIu64 " bytes it should have", blob->digest.text,
                            blob->size);
    s->received += size;
    int r = turn(s);
    return r < 0 ? r : dv_streamed_layers_put(s->layers, bytes, size, turn, s, &s->why);
}

/* A failure after bytes were passed on is final: they cannot be taken back. */
static int ask_layer(dv_registry *reg, void *user, davit_error **err)
{
    streaming *s = user;
    const davit_descriptor *blob = &s->unpacking->layers[s->layer];
    uint64_t passed = 0;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_blob_stream(reg, &blob->digest, receive, s, &passed, &why);
    if (r == 0 && passed != blob->size)
        r = dv_error_set(&why, DAVIT_EDIGEST,
                         "blob %s is %" PRIu64 " bytes long where the manifest says %" PRIu64,
                         blob->digest.text, passed, blob->size);
    if (r < 0 && s->received > 0 && !s->why)
        s->why = DV_STEAL(why);
    if (r == 0 || s->received == 0)
        return r < 0 ? dv_error_move(err, &why, r) : 0;
    return dv_error_set(err, DAVIT_ECANCELLED, "cancelled");
}

static int receive_layers(streaming *s, dv_registry *reg, davit_error **err)
{
    dv_unpacking *u = s->unpacking;
    for (s->layer = 0; s->layer < u->count; s->layer++) {
        s->received = 0;
        int r = dv_content_loop(&s->endpoints, reg, s->ref, ask_layer, s, err);
        if (r < 0 && r != DAVIT_ECANCELLED)
            return dv_error_wrap(err, r, "layer %s", u->layers[s->layer].digest.text);
        if (r == 0)
            r = dv_streamed_layers_end_layer(s->layers, turn, s, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- documents ------------------------------------------------------------------------------------------------------- */

static int ask_verifier(const streaming *s, davit_error **err)
{
    const davit_unpack_options *o = s->unpacking->options;
    if (!o->verify || o->verify(s->ref, s->manifest, o->user_data) == 0)
        return 0;
    int r = dv_error_set(err, DAVIT_EDENIED, "image %s was refused by the verifier",
                         davit_manifest_digest(s->manifest)->text);
    if (davit_error_code(*err) != DAVIT_ENOMEM)
        (*err)->kind = DV_ERROR_VETO;
    return r;
}

static int ask_config(dv_registry *reg, void *user, davit_error **err)
{
    streaming *s = user;
    dv_unpacking *u = s->unpacking;
    DV_AUTO(dv_buf) bytes = {0};
    davit_image_config *config;
    int r = dv_document_fetch_config(reg, davit_manifest_config(u->manifest), &bytes, err);
    if (r == 0)
        r = davit_image_config_parse(dv_buf_text(&bytes), bytes.size, &config, err);
    if (r == 0)
        r = dv_unpacking_set_config(u, config, err);
    return r < 0
               ? r
               : dv_pull_check_system(u->options->platform, davit_image_config_platform(u->config)->os, err);
}

static int ask_manifest(streaming *s, dv_registry *reg, davit_error **err)
{
    davit_manifest *m;
    davit_manifest_free(DV_STEAL(s->manifest));
    int r = dv_document_ask(reg, s->ref, &m, /* out_digest= */ NULL, err);
    if (r == 0)
        r = dv_document_narrow(reg, m, s->unpacking->options->platform, &s->manifest, err);
    return r < 0 ? r : ask_verifier(s, err);
}

static int ask(dv_registry *reg, void *user, davit_error **err)
{
    streaming *s = user;
    dv_unpacking *u = s->unpacking;
    dv_unpacking_clear_image(u); /* what an endpoint before this one began */
    dv_streamed_layers_free(s->layers);
    s->layers = dv_streamed_layers_new();
    int r = s->layers ? ask_manifest(s, reg, err) : dv_error_oom(err);
    if (r == 0)
        r = dv_unpacking_set_manifest(u, s->manifest, err);
    if (r == 0)
        r = dv_content_loop(&s->endpoints, reg, s->ref, ask_config, s, err);
    if (r < 0)
        return r;
    const dv_layer_input input = dv_streamed_layers_input(s->layers);
    r = dv_unpacking_start(u, &input, err);
    return r < 0 ? r : receive_layers(s, reg, err);
}

/* With the caller's credentials; refused with those at hand, once more with what the callback gives. */
static int ask_authorized(streaming *s, davit_error **err)
{
    const dv_unpacking *u = s->unpacking;
    const davit_unpack_options *o = u->options;
    dv_ask_by by = davit_reference_digest_text(s->ref) ? DV_ASK_BY_DIGEST : DV_ASK_BY_TAG;
    DV_AUTO(davit_auth_config) other = DAVIT_AUTH_CONFIG_INIT;
    int r = dv_endpoint_loop_over(u->client, &s->endpoints, s->ref, by, o->auth, ask, s, err);
    if (r != DAVIT_EUNAUTHORIZED || !o->request_auth_config)
        return r;
    r = dv_auth_config_request(o->request_auth_config, o->user_data, &other, err);
    return r < 0 ? r : dv_endpoint_loop_over(u->client, &s->endpoints, s->ref, by, &other, ask, s, err);
}

int dv_unpacking_stream(dv_unpacking *u, const davit_reference *ref, davit_error **err)
{
    streaming s = {.unpacking = u, .ref = ref};
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_endpoint_list(u->client, ref, &s.endpoints, &why);
    if (r == 0)
        r = ask_authorized(&s, &why);
    if (r == 0 || (u->pipeline && dv_pipeline_has_failed(u->pipeline)))
        r = dv_unpacking_wait(u, err);
    else if (s.why)
        r = dv_error_move(err, &s.why, davit_error_code(s.why));
    else
        r = dv_error_move(err, &why, r);
    dv_pipeline_stop(u->pipeline);
    dv_streamed_layers_free(s.layers);
    davit_manifest_free(s.manifest);
    davit_error_free(s.why);
    dv_endpoints_clear(&s.endpoints);
    return r;
}

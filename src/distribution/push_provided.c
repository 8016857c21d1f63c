/* distribution/push_provided.c - see push_provided.h. Spec: push.md 1, 3, 4, 8, 9. */
#include "distribution/push_provided.h"

#include "davit/image_config.h"
#include "distribution/layer_body.h"
#include "distribution/push_private.h"
#include "oci/manifest.h"
#include "oci/manifest_build.h"
#include "registry/upload_bytes.h"
#include "registry/v2_blob.h"
#include "registry/v2_manifest.h"
#include "util/log.h"

#include <string.h>

DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)

/* A layer that this endpoint has, for the tags to come. */
typedef struct known_layer {
    davit_digest diff_id;
    davit_descriptor descriptor;
} known_layer;

typedef struct provided {
    dv_push *push;
    const dv_push_provider *provider;
    const dv_provided_image *images;
    size_t image_count;
    known_layer *known;
    size_t known_count;
} provided;

/* The layers of one image, top first. */
typedef struct layer_list {
    davit_push_layer *layers;
    dv_layer_source *sources;
    char (*ids)[DV_PUSH_ID_MAX];
    dv_build_layer *built; /* bottom first */
    size_t count, filled, sourced;
    size_t *watched; /* by watch: which layer */
} layer_list;

static void layer_list_clear(layer_list *l)
{
    for (size_t i = 0; i < l->sourced; i++)
        if (l->sources[i].client)
            dv_layer_source_clear(&l->sources[i]);
    for (size_t i = 0; i < l->filled; i++)
        davit_push_layer_clear(&l->layers[i]);
    free(l->layers);
    free(l->sources);
    free(l->ids);
    free(l->built);
    free(l->watched);
}
DV_DEFINE_AUTO(layer_list, layer_list_clear)

/* --- layers ---------------------------------------------------------------------------------------------------------- */

static const known_layer *find_known(const provided *p, const davit_digest *diff_id)
{
    for (size_t i = 0; i < p->known_count; i++)
        if (davit_digest_equal(&p->known[i].diff_id, diff_id))
            return &p->known[i];
    return NULL;
}

static int remember(provided *p, const davit_digest *diff_id, const davit_descriptor *descriptor,
                    davit_error **err)
{
    for (size_t i = 0; i < p->known_count; i++)
        if (davit_digest_equal(&p->known[i].diff_id, diff_id)) { /* sent again */
            p->known[i].descriptor = *descriptor;
            return 0;
        }
    known_layer *grown = dv_realloc_array(p->known, p->known_count + 1, sizeof(*grown));
    if (!grown)
        return dv_error_oom(err);
    p->known = grown;
    grown[p->known_count++] = (known_layer){.diff_id = *diff_id, .descriptor = *descriptor};
    return 0;
}

static int get_layers(const provided *p, const davit_image_config *config, layer_list *l, davit_error **err)
{
    const davit_digest *diff_ids = davit_image_config_diff_ids(config, &l->count);
    l->layers = dv_new_array(davit_push_layer, l->count);
    l->sources = dv_new_array(dv_layer_source, l->count);
    l->ids = dv_calloc(l->count, sizeof(*l->ids));
    l->built = dv_new_array(dv_build_layer, l->count);
    l->watched = dv_new_array(size_t, l->count);
    if (l->count > 0 && (!l->layers || !l->sources || !l->ids || !l->built || !l->watched))
        return dv_error_oom(err);
    for (size_t i = 0; i < l->count; i++) {
        davit_digest chain;
        size_t height = l->count - i;
        int r = davit_chain_id(diff_ids, height, &chain, err);
        if (r == 0)
            r = davit_layer_provider_get(p->provider->layers, &chain, &l->layers[i], err);
        if (r < 0)
            return dv_error_wrap(err, r, "failed to get top layer from image");
        l->filled++;
        memcpy(l->ids[i], davit_digest_hex(&diff_ids[height - 1]), DV_PUSH_ID_MAX - 1);
    }
    return 0;
}

static void set_descriptor(const provided *p, layer_list *l, size_t i, const davit_digest *digest,
                           uint64_t size)
{
    l->built[l->count - 1 - i].descriptor =
        (davit_descriptor){.media_type = dv_manifest_layer_type(p->provider->kind, /* zstd= */ false),
                           .digest = *digest,
                           .size = size};
}

static bool is_foreign(const davit_push_layer *layer)
{
    return layer->descriptor && layer->descriptor->url_count > 0;
}

static bool is_skipped(const provided *p, const davit_push_layer *layer)
{
    return is_foreign(layer) && p->push->options->flags & DAVIT_PUSH_SKIP_FOREIGN;
}

/* Whether the registry still has what was sent, mounted or found: 1, 0, negative. */
static int is_still_there(const provided *p, dv_registry *reg, const layer_list *l, size_t i,
                          davit_error **err)
{
    const davit_descriptor *d = &l->built[l->count - 1 - i].descriptor;
    DV_AUTOPTR(davit_error) why = NULL;
    uint64_t size = 0;
    if (is_skipped(p, &l->layers[i]))
        return 1;
    int r = dv_v2_blob_head(reg, &d->digest, &size, &why);
    if (r < 0)
        return r == DAVIT_ENOTFOUND ? 0 : dv_error_move(err, &why, r);
    return size == d->size;
}

/* 1: there is nothing to ask or send for it. */
static int is_settled(provided *p, layer_list *l, size_t i)
{
    const davit_push_layer *layer = &l->layers[i];
    const known_layer *known = find_known(p, &layer->diff_id);
    if (is_skipped(p, layer)) {
        l->built[l->count - 1 - i] =
            (dv_build_layer){.descriptor = layer->descriptor->blob, .urls = layer->descriptor->urls};
        dv_push_tell(p->push, l->ids[i], "Skipped foreign layer", NULL);
        return 1;
    }
    if (known) {
        l->built[l->count - 1 - i].descriptor = known->descriptor;
        p->push->result.present_count++;
        p->push->result.present_bytes += known->descriptor.size;
        dv_push_tell(p->push, l->ids[i], "Layer already exists", NULL);
    }
    return known != NULL;
}

static int watch_layer(provided *p, dv_registry *reg, const char *repository, layer_list *l, size_t i,
                       dv_push_how how, dv_push_run *run, davit_error **err)
{
    const davit_push_layer *layer = &l->layers[i];
    int r = l->sources[i].client ? 0 : dv_layer_source_init(&l->sources[i], p->push->client, layer, err);
    if (l->sourced <= i)
        l->sourced = i + 1;
    if (r < 0)
        return r;
    bool known = layer->blob.algorithm != DAVIT_DIGEST_NONE;
    run->ids[run->count] = l->ids[i];
    l->watched[run->count] = i;
    run->watches[run->count++] = (dv_upload_watch){
        .events = run->events,
        .registry = reg,
        .repository = repository,
        .digest = layer->blob,
        .diff_id = layer->diff_id,
        .size = known ? layer->size_bytes : DAVIT_SIZE_UNKNOWN,
        .total = layer->size_bytes,
        .source = &l->sources[i].source,
        .store = p->provider->metadata,
        .journal = p->provider->metadata,
        .table = p->provider->table,
        .hmac_key = reg->hmac_key,
        .has_auth_info = reg->has_auth_info,
        .no_mount = how == DV_PUSH_MISSING,
    };
    return 0;
}

static int send_layers(provided *p, dv_registry *reg, const char *repository, layer_list *l, dv_push_how how,
                       davit_error **err)
{
    DV_AUTO(dv_push_run) run = {.push = p->push};
    size_t failed;
    int r = dv_push_run_init(&run, l->count, err);
    for (size_t i = 0; r == 0 && how == DV_PUSH_AS_USUAL && i < l->count; i++)
        dv_push_tell(p->push, l->ids[i], "Preparing", NULL);
    for (size_t i = 0; r == 0 && i < l->count; i++) {
        int there = how == DV_PUSH_MISSING ? is_still_there(p, reg, l, i, err) : is_settled(p, l, i);
        r = there == 0 ? watch_layer(p, reg, repository, l, i, how, &run, err) : there < 0 ? there : 0;
    }
    if (r == 0)
        r = dv_push_run_wait(&run, &failed, err);
    for (size_t i = 0; r == 0 && i < run.count; i++) {
        const dv_upload_watch *w = &run.watches[i];
        size_t at = l->watched[i];
        set_descriptor(p, l, at, &w->sent_digest, w->sent_size);
        if (how == DV_PUSH_AS_USUAL || run.states[i] != DV_UP_EXISTS)
            dv_push_count(p->push, run.states[i], w->sent_size);
        r = remember(p, &l->layers[at].diff_id, &l->built[l->count - 1 - at].descriptor, err);
    }
    return r;
}

/* --- config and manifest --------------------------------------------------------------------------------------------- */

static int send_config(dv_registry *reg, const dv_provided_image *image, const davit_digest *digest,
                       davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    uint64_t size;
    int r = dv_v2_blob_head(reg, digest, &size, &why);
    if (r != DAVIT_ENOTFOUND)
        return r < 0 ? dv_error_move(err, &why, r) : 0;
    return dv_v2_upload_bytes(reg, digest, image->config, image->config_size, err);
}

static int put_manifest(provided *p, dv_registry *reg, const dv_provided_image *image,
                        const davit_digest *config, const layer_list *l, davit_error **err)
{
    const dv_push_provider *provider = p->provider;
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    DV_AUTOPTR(davit_manifest) m = NULL;
    const dv_manifest_build build = {
        .kind = provider->kind,
        .config = {.media_type = provider->config_media_type ? provider->config_media_type
                                                             : dv_manifest_config_type(provider->kind),
                   .digest = *config,
                   .size = image->config_size},
        .layers = l->built,
        .layer_count = l->count,
    };
    int r = dv_manifest_build_format(&build, &bytes, err);
    if (r == 0)
        r = davit_manifest_parse(dv_buf_text(&bytes), bytes.size, NULL, &m, err);
    if (r < 0)
        return r;
    const dv_push_document d = {.manifest = m, .digest = *davit_manifest_digest(m)};
    r = dv_push_put(reg, davit_reference_tag(image->reference), &d, err);
    if (r == 0)
        dv_push_report(p->push, image->reference, &d);
    return r;
}

static int send_all(provided *p, dv_registry *reg, const dv_provided_image *image, const davit_digest *config,
                    layer_list *layers, dv_push_how how, davit_error **err)
{
    int r = send_layers(p, reg, davit_reference_name(image->reference), layers, how, err);
    return r < 0 ? r : send_config(reg, image, config, err);
}

static int push_image(provided *p, dv_registry *reg, const dv_provided_image *image, davit_error **err)
{
    DV_AUTOPTR(davit_image_config) config = NULL;
    DV_AUTO(layer_list) layers = {0};
    int r = davit_image_config_parse(image->config, image->config_size, &config, err);
    if (r < 0)
        return dv_error_wrap(err, r, "unable to get rootfs for image %s",
                             davit_reference_familiar(image->reference));
    r = get_layers(p, config, &layers, err);
    if (r < 0)
        return r;
    const davit_digest *id = davit_image_config_id(config);
    DV_AUTOPTR(davit_error) why = NULL;
    r = send_all(p, reg, image, id, &layers, DV_PUSH_AS_USUAL, err);
    if (r < 0)
        return r;
    r = put_manifest(p, reg, image, id, &layers, &why);
    if (r < 0 && dv_v2_manifest_misses_blob(why)) { /* quirks.md: a mount that lied */
        dv_log(DAVIT_LOG_INFO, "%s: %s; once more", davit_reference_familiar(image->reference),
               davit_error_message(why));
        r = send_all(p, reg, image, id, &layers, DV_PUSH_MISSING, err);
        if (r < 0)
            return r;
        davit_error_free(DV_STEAL(why));
        r = put_manifest(p, reg, image, id, &layers, &why);
    }
    if (r < 0)
        return dv_error_move(err, &why, r);
    p->push->result.tag_count++;
    return 0;
}

/* --- the whole ------------------------------------------------------------------------------------------------------- */

static int find(dv_push *push, void *user, davit_error **err)
{
    provided *p = user;
    return p->provider->find(p->provider->user, &p->images, &p->image_count, err);
}

static int push_all(dv_push *push, dv_registry *reg, void *user, davit_error **err)
{
    provided *p = user;
    free(DV_STEAL(p->known));
    p->known_count = 0;
    int r = 0;
    for (size_t i = 0; r == 0 && i < p->image_count; i++)
        r = push_image(p, reg, &p->images[i], err);
    return r;
}

int dv_push_provided(davit_client *client, const davit_reference *ref, const dv_push_provider *provider,
                     const davit_push_options *options, davit_push_result *out, davit_error **err)
{
    static const davit_push_options defaults = DAVIT_PUSH_OPTIONS_INIT;
    dv_push_provider filled = *provider;
    dv_push push = {.client = client,
                    .options = options ? options : &defaults,
                    .own = provider->own,
                    .meta_headers = provider->meta_headers,
                    .ref = ref};
    provided p = {.push = &push, .provider = &filled};
    if (!filled.kind)
        filled.kind = DAVIT_MANIFEST_DOCKER;
    int r = dv_push_over_endpoints(&push, &(dv_push_stages){find, push_all, &p}, out, err);
    free(p.known);
    return r;
}

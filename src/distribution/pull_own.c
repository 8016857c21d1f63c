/*
 * distribution/pull_own.c - a pull into an embedder's stores: what is there, what is fetched in which order, and the record.
 * Spec: pull.md 4.1, 6, 7, 9; store.md 3, 5 to 7.
 *
 * Order: config into memory and checked, layers, manifests with what is listed before what lists, the image config, references. What
 * fails ends it there: what was committed before is content to reuse, and no reference lies.
 */
#include "distribution/document.h"
#include "distribution/own_blob.h"
#include "distribution/pull_private.h"
#include "util/log.h"

#include <stdio.h>
#include <string.h>

#define SHORT_ID 12
#define IMAGES "image config store"
#define REFERENCES "reference store"

DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)
DV_DEFINE_AUTOPTR(davit_reference, davit_reference_free)

/* --- what is there ---------------------------------------------------------------------------------------------------- */

/* 1: the image is there, and its bytes are right. */
static int read_image(const dv_own_stores *own, const davit_digest *id, dv_buf *out, davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    DV_AUTOPTR(davit_error) why = NULL;
    davit_digest got;
    if (!own->images.get)
        return 0;
    int r = own->images.get(own->images.user_data, id, dv_own_collect, &bytes, &why);
    if (r == DAVIT_ENOTFOUND)
        return 0;
    r = dv_own_collected(r, &bytes, IMAGES, &why);
    if (r == 0)
        r = davit_digest_of(id->algorithm, dv_buf_text(&bytes), bytes.size, &got, &why);
    if (r < 0)
        return dv_error_move(err, &why, r);
    if (!davit_digest_equal(&got, id)) {
        dv_warn(IMAGES ": failed to verify: %s", id->text);
        return 0;
    }
    *out = bytes;
    bytes = (dv_buf){0};
    return 1;
}

static int read_config(const dv_pull *p, const davit_digest *id, dv_buf *out, davit_error **err)
{
    const dv_own_stores *own = p->terms.own;
    return own->has_images ? read_image(own, id, out, err)
                           : dv_own_content_read(&own->content, id, DAVIT_IMAGE_CONFIG_MAX, out, err);
}

/* 1: what the reference names; 0: nothing. */
static int get_reference(const dv_own_stores *own, const davit_reference *ref, davit_digest *out,
                         davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = own->references.get(own->references.user_data, ref, out, &why);
    if (r == DAVIT_ENOTFOUND)
        return 0;
    r = dv_own_result(r, REFERENCES, &why);
    return r < 0 ? dv_error_move(err, &why, r) : 1;
}

bool dv_pull_own_knows(const dv_pull *p, const davit_reference *ref)
{
    davit_digest unused;
    return p->terms.own->has_references && get_reference(p->terms.own, ref, &unused, NULL) == 1;
}

/* An image that the image config store has is whole (pull.md 6, step 1). */
int dv_pull_own_look(const dv_pull *p, dv_wanted *w, davit_error **err)
{
    const dv_own_stores *own = p->terms.own;
    bool whole = false;
    for (size_t i = 0; i < w->blob_count; i++) {
        const davit_descriptor *d = &w->blobs[i];
        DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
        int r = w->is_config[i]               ? read_config(p, &d->digest, &bytes, err)
                : whole || p->terms.no_layers ? 1
                                              : dv_own_content_has(&own->content, &d->digest, d->size, err);
        if (r < 0)
            return r;
        whole = whole || (w->is_config[i] && r > 0 && own->has_images);
        w->present[i] = r > 0;
    }
    return 0;
}

bool dv_pull_own_is_recorded(const dv_pull *p, const davit_reference *ref, const dv_wanted *w)
{
    davit_digest id;
    return p->terms.own->has_references && get_reference(p->terms.own, ref, &id, NULL) == 1 &&
           davit_digest_equal(&id, &davit_manifest_config(w->images[0].manifest)->digest);
}

/* --- layers ------------------------------------------------------------------------------------------------------------ */

typedef struct telling {
    const dv_pull *pull;
    char id[SHORT_ID + 1];
} telling;

static void tell(const telling *t, const char *action, const davit_progress *counts)
{
    const davit_pull_options *o = t->pull->options;
    davit_progress e = counts ? *counts : (davit_progress){0};
    e.kind = DAVIT_PROGRESS_LAYER;
    e.id = t->id;
    e.action = action;
    if (o->progress)
        o->progress(&e, o->user_data);
}

static telling telling_of(const dv_pull *p, const davit_descriptor *layer)
{
    telling t = {.pull = p};
    memcpy(t.id, davit_digest_hex(&layer->digest), SHORT_ID);
    return t;
}

static void on_count(void *user, uint64_t current, uint64_t total)
{
    tell(user, "Downloading", &(davit_progress){.has_counts = true, .current = current, .total = total});
}

static void on_retrying(void *user, unsigned seconds)
{
    char text[64];
    snprintf(text, sizeof(text), "Retrying in %u second%s", seconds, seconds == 1 ? "" : "s");
    tell(user, text, NULL);
}

static void on_verifying(void *user)
{
    tell(user, "Verifying Checksum", NULL);
}

static int explain(davit_error **err, const davit_descriptor *layer, int r)
{
    if (r != DAVIT_EDIGEST || !err || !*err || (*err)->kind == DV_ERROR_VETO)
        return dv_error_wrap(err, r, "layer %s", layer->digest.text);
    dv_log(DAVIT_LOG_INFO, "%s", davit_error_message(*err));
    return dv_error_set(err, r, "filesystem layer verification failed for digest %s", layer->digest.text);
}

/* The diff_id that the config gives the layer with this digest. */
static const davit_digest *find_diff_id(const davit_manifest *m, const davit_image_config *config,
                                        const davit_digest *digest)
{
    size_t count, diff_id_count;
    const davit_descriptor *layers = davit_manifest_layers(m, &count);
    const davit_digest *diff_ids = davit_image_config_diff_ids(config, &diff_id_count);
    for (size_t i = 0; i < count && i < diff_id_count; i++)
        if (davit_digest_equal(&layers[i].digest, digest))
            return &diff_ids[i];
    return NULL;
}

/* Only what was inflated and hashed here pairs a digest with a diff_id (DESIGN 5); a failure costs transfers. */
static void remember(const dv_pull *p, const davit_reference *ref, const davit_digest *layer,
                     const davit_digest *diff_id)
{
    const davit_metadata_store *m = &p->terms.own->metadata;
    DV_AUTOPTR(davit_error) why = NULL;
    davit_digest known;
    if (!diff_id && dv_own_metadata_get_diff_id(m, layer, &known, NULL) < 0)
        return;
    if (dv_own_metadata_add(m, layer, diff_id ? diff_id : &known, davit_reference_name(ref), /* key= */ "",
                            &why) < 0)
        dv_warn("%s is not remembered: %s", layer->text, davit_error_message(why));
}

static int fetch_layer(dv_pull *p, dv_registry *reg, const davit_reference *ref,
                       const davit_descriptor *layer, const davit_digest *diff_id, davit_error **err)
{
    telling t = telling_of(p, layer);
    DV_AUTOPTR(davit_error) why = NULL;
    bool remembers = p->terms.own->has_metadata;
    dv_own_fetch f = {
        .content = &p->terms.own->content,
        .layer = layer,
        .diff_id = remembers ? diff_id : NULL,
        .tell = on_count,
        .retrying = on_retrying,
        .verifying = on_verifying,
        .user = &t,
    };
    int r = dv_own_blob_fetch(&f, reg, &why);
    if (r < 0) {
        r = explain(&why, layer, r);
        return dv_error_move(err, &why, r);
    }
    *(f.present ? &p->result.present_count : &p->result.fetched_count) += 1;
    *(f.present ? &p->result.present_bytes : &p->result.fetched_bytes) += layer->size;
    if (remembers)
        remember(p, ref, &layer->digest, f.present ? NULL : diff_id);
    tell(&t, f.present ? "Already exists" : "Download complete", NULL);
    if (!f.present)
        tell(&t, "Pull complete", NULL);
    return 0;
}

static int fetch_layers(dv_pull *p, dv_registry *reg, const davit_reference *ref, const dv_wanted *w,
                        const davit_image_config *config, bool quiet, davit_error **err)
{
    const davit_manifest *m = w->images[0].manifest;
    for (size_t i = 0; i < w->blob_count; i++) {
        const telling t = telling_of(p, &w->blobs[i]);
        if (w->is_config[i])
            continue;
        if (!(quiet && w->present[i]))
            tell(&t, w->present[i] ? "Already exists" : "Pulling fs layer", NULL);
        p->result.present_count += w->present[i];
        p->result.present_bytes += w->present[i] ? w->blobs[i].size : 0;
        if (w->present[i] && p->terms.own->has_metadata)
            remember(p, ref, &w->blobs[i].digest, NULL);
    }
    int r = 0;
    for (size_t i = 0; r == 0 && i < w->blob_count; i++) {
        r = dv_client_check_cancelled(p->client, err);
        if (r == 0 && !w->is_config[i] && !w->present[i])
            r = fetch_layer(p, reg, ref, &w->blobs[i], find_diff_id(m, config, &w->blobs[i].digest), err);
    }
    return r;
}

/* --- config and manifests ------------------------------------------------------------------------------------------------ */

static int get_config(dv_pull *p, dv_registry *reg, const davit_descriptor *config, dv_buf *out,
                      bool *fetched, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    int r = read_config(p, &config->digest, out, err);
    *fetched = r == 0;
    *(*fetched ? &p->result.fetched_count : &p->result.present_count) += r >= 0;
    *(*fetched ? &p->result.fetched_bytes : &p->result.present_bytes) += r >= 0 ? config->size : 0;
    if (r != 0)
        return r < 0 ? r : 0;
    r = dv_document_fetch_config(reg, config, out, &why);
    if (r == 0)
        return 0;
    dv_error_wrap(&why, r, "error pulling image configuration");
    if (r != DAVIT_ENOMEM && davit_error_code(why) != DAVIT_ENOMEM)
        why->kind = DV_ERROR_CONFIG_PULL;
    return dv_error_move(err, &why, r);
}

/* What is listed before what lists; the first is the target. */
static int put_documents(const dv_pull *p, const davit_reference *ref, const dv_wanted *w, davit_error **err)
{
    const davit_content_store *content = &p->terms.own->content;
    for (size_t i = w->document_count; i > 0; i--) {
        const dv_document *d = &w->documents[i - 1];
        size_t size;
        const void *bytes = davit_manifest_bytes(d->manifest, &size);
        const davit_descriptor desc = {
            .media_type = davit_manifest_media_type(d->manifest), .digest = d->digest, .size = size};
        int r = d->fetched ? dv_own_content_put(content, &desc, bytes, err) : 0;
        if (r < 0)
            return dv_error_wrap(err, r, "manifest %s", d->digest.text);
        dv_own_content_add_source(content, &d->digest, ref);
    }
    return 0;
}

static int put_image(const dv_own_stores *own, const davit_digest *id, const dv_buf *bytes, davit_error **err)
{
    if (!own->images.put)
        return dv_own_result(dv_error_set(err, DAVIT_EUNSUPPORTED, "it takes no images"), IMAGES, err);
    return dv_own_result(own->images.put(own->images.user_data, id, dv_buf_text(bytes), bytes->size, err),
                         IMAGES, err);
}

/* --- references ---------------------------------------------------------------------------------------------------------- */

static int add(const dv_own_stores *own, const davit_reference *ref, const davit_digest *id, bool tag,
               davit_error **err)
{
    const davit_reference_store *s = &own->references;
    if (!tag && !s->add_digest)
        return 0;
    if (tag && !s->add_tag)
        return dv_own_result(dv_error_set(err, DAVIT_EUNSUPPORTED, "it takes no tags"), REFERENCES, err);
    return dv_own_result((tag ? s->add_tag : s->add_digest)(s->user_data, ref, id, /* force= */ true, err),
                         REFERENCES, err);
}

static int with_digest(const davit_reference *ref, const davit_digest *digest, davit_reference **out,
                       davit_error **err)
{
    DV_AUTOPTR(davit_reference) name = NULL;
    int r = davit_reference_trim(ref, &name, err);
    return r < 0 ? r : davit_reference_with_digest(name, digest->text, out, err);
}

/* name@digest beside a tag: one that is kept for another image stays (pull.md 9). */
static void add_beside(const dv_own_stores *own, const davit_reference *pinned, const davit_digest *id)
{
    DV_AUTOPTR(davit_error) why = NULL;
    davit_digest have;
    if (get_reference(own, pinned, &have, NULL) == 1 && davit_digest_equal(&have, id))
        return;
    if (add(own, pinned, id, /* tag= */ false, &why) < 0)
        dv_warn("%s is not recorded: %s", davit_reference_familiar(pinned), davit_error_message(why));
}

static int record(dv_pull *p, const davit_reference *ref, const davit_digest *target, const davit_digest *id,
                  davit_error **err)
{
    const dv_own_stores *own = p->terms.own;
    DV_AUTOPTR(davit_reference) pinned = NULL;
    davit_digest old;
    if (!own->has_references) {
        p->result.updated = true;
        return 0;
    }
    bool by_digest = davit_reference_digest_text(ref);
    int r = with_digest(ref, target, &pinned, err);
    if (r == 0)
        r = get_reference(own, by_digest ? pinned : ref, &old, err);
    if (r < 0)
        return r;
    bool same = r == 1 && davit_digest_equal(&old, id);
    if (!by_digest || same)
        add_beside(own, pinned, id);
    r = same ? 0 : add(own, by_digest ? pinned : ref, id, !by_digest, err);
    p->result.updated = p->result.updated || (r == 0 && !same);
    return r;
}

/* --- the whole ------------------------------------------------------------------------------------------------------------ */

int dv_pull_own_take(dv_pull *p, dv_registry *reg, const davit_reference *ref, dv_wanted *w, bool quiet,
                     davit_error **err)
{
    const dv_own_stores *own = p->terms.own;
    dv_wanted_image *image = &w->images[0];
    const davit_descriptor *d = davit_manifest_config(image->manifest);
    DV_AUTO(dv_buf) bytes = {0};
    DV_AUTOPTR(davit_image_config) config = NULL;
    bool fetched;
    int r = get_config(p, reg, d, &bytes, &fetched, err);
    if (r == 0 && !p->terms.no_layers)
        r = dv_pull_check_config(p, image, dv_buf_text(&bytes), bytes.size, err);
    if (r == 0 && !p->terms.no_layers)
        r = davit_image_config_parse(dv_buf_text(&bytes), bytes.size, &config, err);
    if (r == 0 && !p->terms.no_layers)
        r = fetch_layers(p, reg, ref, w, config, quiet, err);
    const davit_descriptor kept = {.media_type = d->media_type, .digest = d->digest, .size = bytes.size};
    if (r == 0 && fetched && !own->has_images)
        r = dv_own_content_put(&own->content, &kept, dv_buf_text(&bytes), err);
    if (r == 0)
        r = put_documents(p, ref, w, err);
    if (r == 0 && fetched && own->has_images)
        r = put_image(own, &d->digest, &bytes, err);
    return r < 0 ? r : record(p, ref, &w->documents[0].digest, &d->digest, err);
}

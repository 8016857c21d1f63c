/*
 * distribution/source_v1.c - a repository of a registry of the first version as a source: each tag is an image of today, made of the images that it
 * stands on (v1_convert.c).
 *
 * A layer has no digest there, so it is fetched into the store before anybody can say what the image's manifest is. What the store knows of an
 * image is not asked for again: then the manifest is known without a single byte of a layer, and only those are fetched that neither the store
 * nor the target has.
 */
#include "distribution/source_v1.h"

#include "distribution/v1_convert.h"
#include "distribution/xfer.h"
#include "oci/v1_image.h"
#include "store/content_store.h"
#include "store/ingest.h"
#include "util/str.h"

#include <string.h>

typedef struct v1_source {
    dv_source source;
    dv_store *store;
    dv_lease *lease;
    dv_v1_reader *own; /* NULL: somebody else reads, and fetch asks for it */
    const dv_source_v1_fetch *fetch;
    dv_v1_wanted *wanted; /* asked's, or somebody's */
    dv_v1_wanted asked;
    dv_v1_converted image; /* that was resolved last */
} v1_source;

static void v1_close(dv_source *source)
{
    v1_source *s = (v1_source *)source;
    dv_lease_release(s->lease);
    dv_v1_reader_close(s->own);
    dv_v1_wanted_clear(&s->asked);
    dv_v1_converted_clear(&s->image);
    dv_store_unref(s->store);
    free(s);
}

/* --- which image ------------------------------------------------------------------------------------------------------------- */

static const davit_v1_tag *find_tag(const davit_v1_tags *tags, const char *name)
{
    for (size_t i = 0; tags && i < tags->count; i++)
        if (dv_str_equal(tags->items[i].name, name))
            return &tags->items[i];
    return NULL;
}

/* Ask anew: one tag, one id, or with neither all tags. */
static int list(v1_source *s, const char *tag, const char *id, davit_error **err)
{
    davit_v1_tags_free(DV_STEAL(s->asked.tags));
    s->asked.tag = tag;
    s->asked.id = id;
    return dv_v1_reader_list(s->own, &s->asked, 1, err);
}

static int fetch_image(v1_source *s, const char *id, davit_error **err)
{
    dv_v1_top top = {.wanted = s->wanted, .id = id};
    int r = s->own ? dv_v1_reader_fetch(s->own, &top, 1, err) : 0;
    davit_error_free(top.err);
    return r;
}

static int v1_resolve(dv_source *source, const char *name, davit_descriptor *out, davit_error **err)
{
    v1_source *s = (v1_source *)source;
    const char *tag = name ? name : source->place->name ? source->place->name : "latest";
    const char *id = name ? NULL : source->place->id;
    DV_AUTO(dv_v1_converted) image = DV_V1_CONVERTED_INIT;
    const davit_v1_tag *found = id ? NULL : find_tag(s->wanted->tags, tag);
    int r = 0;
    if (!found && !s->own)
        return dv_error_set(err, DAVIT_ENOTFOUND, "%s has no tag %s", source->place->path, tag);
    if (!found) {
        r = list(s, id ? NULL : tag, id, err);
        if (r < 0)
            return r;
        found = &s->wanted->tags->items[0];
    }
    r = fetch_image(s, found->id, err);
    if (r == 0)
        r = dv_v1_convert(s->store, dv_v1_wanted_registry(s->wanted), found->id, &image, err);
    if (r < 0)
        return r;
    dv_v1_converted_clear(&s->image);
    s->image = image;
    image = (dv_v1_converted)DV_V1_CONVERTED_INIT; /* moved */
    *out = s->image.manifest_descriptor;
    return 0;
}

static int v1_names(dv_source *source, dv_name_fn fn, void *user, davit_error **err)
{
    v1_source *s = (v1_source *)source;
    int r = s->own ? list(s, NULL, NULL, err) : 0;
    for (size_t i = 0; r == 0 && i < s->wanted->tags->count; i++)
        if (fn(user, s->wanted->tags->items[i].name) != 0)
            break;
    return r;
}

/* --- its parts --------------------------------------------------------------------------------------------------------------- */

/* The config is made here, and has to be read from somewhere. */
static int v1_hold(dv_source *source, const davit_descriptor *root, davit_error **err)
{
    v1_source *s = (v1_source *)source;
    const davit_descriptor *config = &s->image.config_descriptor;
    size_t size, count = s->image.count;
    const void *bytes = davit_image_config_bytes(s->image.config, &size);
    DV_AUTOFREE davit_digest *digests = dv_new_array(davit_digest, count + 1);
    (void)root;
    if (!digests)
        return dv_error_oom(err);
    digests[count] = config->digest;
    for (size_t i = 0; i < count; i++)
        digests[i] = s->image.layers[i].digest;
    int r = s->lease ? 0 : dv_lease_open(s->store, &s->lease, err);
    if (r == 0)
        r = dv_lease_add(s->lease, digests, count + 1, err);
    if (r == 0)
        r = dv_content_put(s->store, config, bytes, err);
    for (size_t i = 0; r == 0 && s->own && i < count + 1; i++)
        r = dv_v1_reader_stage(s->own, &digests[i], err);
    return r;
}

static int v1_document(dv_source *source, const davit_descriptor *desc, dv_buf *out, davit_error **err)
{
    const v1_source *s = (v1_source *)source;
    if (!s->image.manifest || !davit_digest_equal(&desc->digest, &s->image.manifest_descriptor.digest))
        return dv_error_set(err, DAVIT_ENOTFOUND, "no manifest %s is made of an image there",
                            desc->digest.text);
    dv_buf_append(out, s->image.manifest, (size_t)s->image.manifest_descriptor.size);
    return out->failed ? dv_error_oom(err) : 0;
}

static int v1_has_blob(dv_source *s, const davit_descriptor *blob, davit_error **err)
{
    return dv_content_has(((v1_source *)s)->store, &blob->digest, blob->size, err);
}

static int v1_open_blob(dv_source *s, const davit_descriptor *blob, int *out_fd, uint64_t *out_first,
                        uint64_t *out_size, davit_error **err)
{
    *out_first = 0;
    return dv_content_open(((v1_source *)s)->store, &blob->digest, blob->size, out_fd, out_size, err);
}

static bool is_among(const davit_descriptor *blobs, size_t count, const davit_digest *digest)
{
    size_t i = 0;
    while (i < count && !davit_digest_equal(&blobs[i].digest, digest))
        i++;
    return i < count;
}

static int v1_fetch(dv_source *source, const davit_descriptor *blobs, size_t count, davit_error **err)
{
    v1_source *s = (v1_source *)source;
    const dv_v1_converted *image = &s->image;
    DV_AUTOFREE char **ids = dv_new_array(char *, image->count);
    size_t n = 0;
    if (!ids)
        return dv_error_oom(err);
    for (size_t i = 0; i < image->count; i++) /* several may be the same blob: one is enough */
        if (is_among(blobs, count, &image->layers[i].digest) &&
            !is_among(image->layers, i, &image->layers[i].digest))
            ids[n++] = image->ids[i];
    if (n == 0)
        return 0;
    return s->own ? dv_v1_reader_fetch_layers(s->own, s->wanted, ids, n, err)
                  : s->fetch->ask(s->fetch->user, ids, n, err);
}

static int v1_finish(dv_source *source, davit_error **err)
{
    v1_source *s = (v1_source *)source;
    if (!s->own)
        return 0;
    dv_lease_release(DV_STEAL(s->lease));
    return dv_v1_reader_drop(s->own, err);
}

static const dv_source_ops v1_ops = {
    .resolve = v1_resolve,
    .hold = v1_hold,
    .document = v1_document,
    .fetch = v1_fetch,
    .finish = v1_finish,
    .has_blob = v1_has_blob,
    .open_blob = v1_open_blob,
    .names = v1_names,
    .close = v1_close,
};

/* --- opening ----------------------------------------------------------------------------------------------------------------- */

/* A davit_progress_fn. */
static void on_event(const davit_progress *event, void *user_data)
{
    const dv_source *s = user_data;
    if (s->progress)
        s->progress(event, s->progress_data);
}

int dv_source_v1_over(davit_client *c, const dv_place *place, const dv_v1_reader *reader,
                      dv_v1_wanted *wanted, const dv_source_v1_fetch *fetch, dv_source **out,
                      davit_error **err)
{
    v1_source *s = dv_new(v1_source);
    if (!s)
        return dv_error_oom(err);
    s->source = (dv_source){.ops = &v1_ops, .client = c, .place = place};
    s->store = dv_store_ref(dv_v1_reader_store(reader));
    s->fetch = fetch;
    s->wanted = wanted;
    *out = &s->source;
    return 0;
}

int dv_source_v1_open(davit_client *c, const dv_place *place, dv_source **out, davit_error **err)
{
    if (!c->store_dir)
        return dv_error_set(
            err, DAVIT_EUNSUPPORTED,
            "v1://%s: layers of a registry of the first version have no digest before they were "
            "fetched, and that needs a store",
            place->path);
    v1_source *s = dv_new(v1_source);
    if (!s)
        return dv_error_oom(err);
    s->source = (dv_source){.ops = &v1_ops, .client = c, .place = place};
    const dv_v1_reader_options options = {.progress = on_event, .user_data = s};
    int r = dv_v1_reader_open(c, &options, &s->own, err);
    if (r < 0) {
        v1_close(&s->source);
        return r;
    }
    s->store = dv_store_ref(dv_v1_reader_store(s->own));
    s->asked.name = place->path;
    s->wanted = &s->asked;
    *out = &s->source;
    return 0;
}

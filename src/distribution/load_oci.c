/*
 * distribution/load_oci.c - the OCI part of an archive: from index.json through indexes to images, with what is there of them (store.md 11).
 *
 * An index may lack children, as one that was pulled for one platform does: those that are there whole are taken. A manifest of no image (an
 * attestation, any artifact) is content; what is an image has its layers checked against its config.
 */
#include "distribution/load_private.h"

#include "archive/oci_layout.h"
#include "distribution/layer_read.h"
#include "oci/image_config.h"
#include "oci/media_type.h"
#include "oci/reference.h"
#include "store/content_store.h"
#include "util/str.h"

#include <string.h>

DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)

/* Where in an index we are. */
typedef struct place {
    dv_load_target *target;
    const davit_platform *platform; /* of the entry that led here, or NULL */
    unsigned depth;
} place;

static int follow(dv_load *l, const davit_descriptor *desc, const place *p, davit_error **err);

/* --- documents ----------------------------------------------------------------------------------------------------------------- */

static int too_many(davit_error **err)
{
    return dv_error_set(err, DAVIT_ETOOBIG, "more than %d manifests", DV_LOAD_MANIFESTS_MAX);
}

static bool was_seen(const dv_load *l, size_t from, const davit_digest *digest)
{
    for (size_t i = from; i < l->loaded->seen_count; i++)
        if (davit_digest_equal(&l->loaded->seen[i], digest))
            return true;
    return false;
}

static int read_bytes(dv_load *l, const davit_descriptor *desc, dv_load_content *content, size_t max,
                      dv_buf *out, davit_error **err)
{
    return content ? dv_load_content_read(content, max, out, err)
                   : dv_content_read(l->store, &desc->digest, max, out, err);
}

/* 1: parsed, and needed; 0: neither the archive nor the store has it. */
static int get_manifest(dv_load *l, const davit_descriptor *desc, davit_manifest **out, davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    DV_AUTOPTR(davit_manifest) m = NULL;
    dv_load_content *content = NULL;
    int r = dv_load_locate(l, desc, &content, err);
    if (r <= 0)
        return r;
    r = read_bytes(l, desc, content, DAVIT_MANIFEST_MAX, &bytes, err);
    if (r == 0)
        r = davit_manifest_parse(dv_buf_text(&bytes), bytes.size, desc->media_type, &m, err);
    if (r < 0)
        return dv_error_wrap(err, r, "manifest %s", desc->digest.text);
    const davit_descriptor whole = {.media_type = "", .digest = desc->digest, .size = bytes.size};
    r = dv_load_need(l, &whole, content, NULL, err);
    if (r < 0)
        return r;
    *out = DV_STEAL(m);
    return 1;
}

/* What was noted of an entry that is not taken. */
static void forget(dv_load *l, size_t target_count, size_t blob_count)
{
    dv_loaded *loaded = l->loaded;
    while (loaded->target_count > target_count) {
        dv_load_target *t = &loaded->targets[--loaded->target_count];
        davit_reference_free(t->reference);
        free(t->rows);
    }
    while (loaded->blob_count > blob_count) {
        dv_load_blob *b = &loaded->blobs[--loaded->blob_count];
        dv_load_content_unref(b->content);
        free(b->bytes);
    }
}

/* --- one image ------------------------------------------------------------------------------------------------------------------ */

static int lacks(const davit_descriptor *blob, const char *of, davit_error **err)
{
    return dv_error_set(err, DAVIT_ENOTFOUND, "neither the archive nor the store has blob %s, which %s needs",
                        blob->digest.text, of);
}

static int need_blob(dv_load *l, const davit_descriptor *blob, const char *of, dv_load_content **out,
                     davit_error **err)
{
    *out = NULL;
    int r = dv_load_locate(l, blob, out, err);
    if (r == DV_LOAD_MISSING)
        return lacks(blob, of, err);
    return r < 0 ? r : dv_load_need(l, blob, *out, NULL, err);
}

static bool is_image(const davit_manifest *m)
{
    size_t count;
    const davit_descriptor *layers = davit_manifest_layers(m, &count);
    bool yes = dv_media_type_check_config(davit_manifest_config(m)->media_type, NULL, NULL) == 0 &&
               dv_media_type_acceptable(davit_manifest_config(m)->media_type, NULL) == 0;
    for (size_t i = 0; yes && i < count; i++)
        yes = dv_media_type_kind(layers[i].media_type) == DV_MEDIA_LAYER;
    return yes;
}

/* The layers of one image, and where they are. */
typedef struct image_layers {
    const davit_descriptor *items;
    size_t count;
    dv_load_content **contents; /* NULL: in the store */
    bool *absent;               /* foreign, and somewhere else */
} image_layers;

static void image_layers_clear(image_layers *x)
{
    free(x->contents);
    free(x->absent);
}
DV_DEFINE_AUTO(image_layers, image_layers_clear)

static int image_layers_init(image_layers *x, const davit_manifest *m, davit_error **err)
{
    x->items = davit_manifest_layers(m, &x->count);
    x->contents = dv_new_array(dv_load_content *, x->count);
    x->absent = dv_new_array(bool, x->count);
    return x->contents && x->absent ? 0 : dv_error_oom(err);
}

static int check_diff_ids(dv_load *l, const image_layers *x, const davit_image_config *config,
                          davit_error **err)
{
    size_t count;
    const davit_digest *expected = davit_image_config_diff_ids(config, &count);
    davit_digest got;
    if (x->count != count)
        return dv_error_set(err, DAVIT_EFORMAT,
                            "invalid manifest, layers length mismatch: expected %zu, got %zu", x->count,
                            count);
    for (size_t i = 0; i < count; i++) {
        if (x->absent[i])
            continue;
        int r = dv_load_diff_id(l, &x->items[i], x->contents[i], &got, err);
        if (r < 0)
            return dv_error_wrap(err, r, "layer %zu", i);
        if (!davit_digest_equal(&got, &expected[i]))
            return dv_load_layer_mismatch(i, &expected[i], &got, err);
    }
    return 0;
}

static int need_layers(dv_load *l, image_layers *x, const char *of, davit_error **err)
{
    int r = 0;
    for (size_t i = 0; r >= 0 && i < x->count; i++) {
        r = dv_load_locate(l, &x->items[i], &x->contents[i], err);
        x->absent[i] = r == DV_LOAD_MISSING && dv_layer_is_foreign(x->items[i].media_type);
        if (r == DV_LOAD_MISSING && !x->absent[i])
            r = lacks(&x->items[i], of, err);
        if (r > 0)
            r = dv_load_need(l, &x->items[i], x->contents[i], NULL, err);
    }
    return r;
}

static uint64_t image_size(const davit_manifest *m)
{
    size_t count;
    const davit_descriptor *layers = davit_manifest_layers(m, &count);
    uint64_t size = davit_manifest_config(m)->size;
    for (size_t i = 0; i < count; i++)
        size += layers[i].size;
    return size;
}

static int add_row(const davit_descriptor *desc, const davit_manifest *m, const davit_platform *platform,
                   const place *p, davit_error **err)
{
    size_t size;
    davit_manifest_bytes(m, &size);
    dv_load_row row = {
        .image = {.manifest = desc->digest, .config = davit_manifest_config(m)->digest, .size = image_size(m)},
        .manifest = {.media_type = dv_media_type_intern(davit_manifest_media_type(m)),
                     .digest = desc->digest,
                     .size = size},
    };
    if (platform)
        row.image.platform = *platform;
    if (p->depth > 0)
        row.image.index = p->target->target.digest;
    return dv_load_add_row(p->target, &row, err);
}

/* The config of what is an image; *out stays NULL for what is none. */
static int get_config(dv_load *l, const davit_manifest *m, dv_load_content *content, davit_image_config **out,
                      davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    if (!is_image(m))
        return 0;
    int r = read_bytes(l, davit_manifest_config(m), content, DAVIT_IMAGE_CONFIG_MAX, &bytes, err);
    return r < 0 ? r : davit_image_config_parse(dv_buf_text(&bytes), bytes.size, out, err);
}

/* 1: recorded; 0: the platform that is asked for is another one. */
static int add_image(dv_load *l, const davit_descriptor *desc, const davit_manifest *m, const place *p,
                     davit_error **err)
{
    DV_AUTOPTR(davit_image_config) config = NULL;
    DV_AUTO(image_layers) layers = {0};
    dv_load_content *content;
    int r = need_blob(l, davit_manifest_config(m), desc->digest.text, &content, err);
    if (r == 0)
        r = get_config(l, m, content, &config, err);
    if (r < 0)
        return r;
    const davit_platform *platform = config ? davit_image_config_platform(config) : NULL;
    if (p->depth == 0 && platform && !dv_load_platform_fits(l, platform))
        return 0;
    if (p->depth == 0 && platform)
        r = dv_load_check_system(l, platform, err);
    if (r == 0 && p->depth == 0 && config) /* below an index they are content (DESIGN 6) */
        r = dv_image_config_check_history(config, err);
    if (r == 0)
        r = image_layers_init(&layers, m, err);
    if (r == 0)
        r = need_layers(l, &layers, desc->digest.text, err);
    if (r == 0 && config)
        r = check_diff_ids(l, &layers, config, err);
    if (p->platform && !davit_platform_is_empty(p->platform))
        platform = p->platform;
    if (r == 0)
        r = add_row(desc, m, platform, p, err);
    return r < 0 ? r : 1;
}

/* --- indexes -------------------------------------------------------------------------------------------------------------------- */

static bool is_followed(const davit_descriptor *entry)
{
    dv_media_kind kind = dv_media_type_kind(entry->media_type);
    return kind == DV_MEDIA_MANIFEST || kind == DV_MEDIA_INDEX;
}

/* An entry of an index. What is not there is left out. */
static int follow_entry(dv_load *l, const davit_descriptor *entry, const place *p, davit_error **err)
{
    const place below = {p->target, entry->has_platform ? &entry->platform : NULL, p->depth + 1};
    DV_AUTOPTR(davit_error) why = NULL;
    if (!is_followed(entry)) {
        dv_load_warn(l, "%s of type %s is left out", entry->digest.text, entry->media_type);
        return 0;
    }
    size_t blob_count = l->loaded->blob_count;
    int r = follow(l, entry, &below, &why);
    if (r == DAVIT_ENOTFOUND) {
        forget(l, l->loaded->target_count, blob_count);
        return 0;
    }
    return r < 0 ? dv_error_move(err, &why, r) : r;
}

static int follow_all(dv_load *l, const davit_manifest *index, const place *p, davit_error **err)
{
    size_t count, taken = 0;
    const davit_descriptor *entries = davit_manifest_entries(index, &count);
    for (size_t i = 0; i < count; i++) {
        int r = follow_entry(l, &entries[i], p, err);
        if (r < 0)
            return r;
        taken += (size_t)r;
    }
    return taken > 0;
}

/* The best of those that fit the platform and are there. */
static int follow_one(dv_load *l, const davit_manifest *index, const place *p, davit_error **err)
{
    DV_AUTOFREE size_t *order = NULL;
    size_t count = 0, entry_count;
    const davit_descriptor *entries = davit_manifest_entries(index, &entry_count);
    int r = davit_manifest_choose(index, l->options->platform, &order, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = follow_entry(l, &entries[order[i]], p, err);
    return r;
}

/* 1: some image of it was recorded; 0: none, by the platform; DAVIT_ENOTFOUND: none is there. */
static int follow_index(dv_load *l, const davit_descriptor *desc, const davit_manifest *index, const place *p,
                        davit_error **err)
{
    if (p->depth >= DAVIT_INDEX_DEPTH_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "index within index, more than %d deep",
                            DAVIT_INDEX_DEPTH_MAX);
    int r = l->options->platform ? follow_one(l, index, p, err) : follow_all(l, index, p, err);
    if (r != 0 || l->options->platform)
        return r;
    return dv_error_set(err, DAVIT_ENOTFOUND, "index %s: none of its images is in the archive",
                        desc->digest.text);
}

/* A manifest or index by its descriptor. 1: images were recorded; 0: none fits the platform. */
static int follow(dv_load *l, const davit_descriptor *desc, const place *p, davit_error **err)
{
    DV_AUTOPTR(davit_manifest) m = NULL;
    if (p->depth > 0 && was_seen(l, p->target->first_seen, &desc->digest))
        return 0; /* indexes that name each other again and again cost nothing more (threats C3) */
    if (l->loaded->seen_count >= DV_LOAD_MANIFESTS_MAX)
        return too_many(err);
    int r = dv_load_add_digest(&l->loaded->seen, &l->loaded->seen_count, &desc->digest, err);
    if (r == 0)
        r = get_manifest(l, desc, &m, err);
    if (r == 0)
        return lacks(desc, DV_OCI_INDEX_FILE, err);
    if (r < 0)
        return r;
    if (p->depth == 0) {
        size_t size;
        davit_manifest_bytes(m, &size);
        p->target->target =
            (davit_descriptor){.media_type = dv_media_type_intern(davit_manifest_media_type(m)),
                               .digest = desc->digest,
                               .size = size};
    }
    return davit_manifest_is_index(m) ? follow_index(l, desc, m, p, err) : add_image(l, desc, m, p, err);
}

/* --- index.json ----------------------------------------------------------------------------------------------------------------- */

static bool is_fatal(int r)
{
    return r == DAVIT_ENOMEM || r == DAVIT_ECANCELLED || r == DAVIT_EIO || r == DAVIT_ENOSPACE ||
           r == DAVIT_ESTORE;
}

/* The image that the target shows: the host's, else the first (DESIGN 6). */
static const davit_digest *shown_image(const dv_load_target *t)
{
    davit_platform host;
    davit_platform_host(&host);
    for (size_t i = 0; i < t->row_count; i++) {
        const davit_platform *p = &t->rows[i].image.platform;
        if (strcmp(p->os, host.os) == 0 && strcmp(p->architecture, host.architecture) == 0)
            return &t->rows[i].image.config;
    }
    return &t->rows[0].image.config;
}

static int take_entry(dv_load *l, const dv_oci_layout_entry *entry, davit_error **err)
{
    DV_AUTOPTR(davit_reference) ref = NULL;
    dv_load_target *t = NULL;
    int r = dv_oci_layout_reference(entry, &ref, err);
    if (r == 0)
        r = dv_load_add_target(l, &t, err);
    if (r < 0)
        return r;
    t->reference = DV_STEAL(ref);
    t->first_seen = l->loaded->seen_count;
    const place top = {.target = t,
                       .platform = entry->descriptor.has_platform ? &entry->descriptor.platform : NULL};
    r = follow(l, &entry->descriptor, &top, err);
    if (r == 1)
        t->image_id = *shown_image(t);
    return r;
}

/* An artifact of a type of its own at the top is nobody's image. */
static bool is_unknown(const davit_descriptor *d)
{
    return *d->media_type && !is_followed(d);
}

static int add_entry(dv_load *l, const dv_oci_layout_entry *entry, bool strict, davit_error **err)
{
    size_t target_count = l->loaded->target_count, blob_count = l->loaded->blob_count;
    DV_AUTOPTR(davit_error) why = NULL;
    if (is_unknown(&entry->descriptor)) {
        dv_load_warn(l, "%s of type %s is left out", entry->descriptor.digest.text,
                     entry->descriptor.media_type);
        return 0;
    }
    int r = take_entry(l, entry, &why);
    if (r <= 0)
        forget(l, target_count, blob_count);
    if (r < 0 && (strict || is_fatal(r)))
        return dv_error_move(err, &why, r);
    if (r < 1)
        return 0;
    dv_load_target *t = &l->loaded->targets[target_count];
    t->told_by_id = strict && !t->reference;
    l->loaded->last_tags = 1; /* only manifest.json has images that are told all together */
    return strict ? dv_load_add_id(l, &t->image_id, err) : 0;
}

int dv_load_oci(dv_load *l, bool strict, davit_error **err)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    DV_AUTO(dv_oci_layout_index) index = {0};
    int r = dv_load_find_document(l, DV_OCI_INDEX_FILE, DAVIT_MANIFEST_MAX, &text, err);
    if (r == 0)
        r = dv_oci_layout_index_parse(dv_buf_text(&text), text.size, &index, err);
    for (size_t i = 0; r == 0 && i < index.count; i++)
        r = add_entry(l, &index.entries[i], strict, err);
    return r;
}

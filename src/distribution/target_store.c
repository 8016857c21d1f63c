/*
 * distribution/target_store.c - into the local store: blobs through ingests, everything under a lease, and one transaction for images and name
 * (DESIGN 6).
 */
#include "distribution/target.h"

#include "davit/image_config.h"
#include "distribution/xfer.h"
#include "oci/manifest.h"
#include "oci/media_type.h"
#include "oci/reference.h"
#include "store/content_store.h"
#include "store/image_store.h"
#include "store/ingest.h"
#include "store/reference_store.h"
#include "util/str.h"

#include <string.h>

typedef struct store_target {
    dv_target target;
    dv_store *store;
    dv_lease *lease;
} store_target;

DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)

static void store_close(dv_target *t)
{
    store_target *s = (store_target *)t;
    dv_lease_release(s->lease);
    dv_store_unref(s->store);
    free(s);
}

/* The reference that a name is: the place's own with ":latest", or with another tag. */
static int reference_of(const dv_target *t, const char *name, davit_reference **out, davit_error **err)
{
    const davit_reference *ref = t->place->reference;
    return name ? davit_reference_with_tag(ref, name, out, err)
                : davit_reference_tag_name_only(ref, out, err);
}

static int store_resolve(dv_target *t, const char *name, davit_digest *out, davit_error **err)
{
    DV_AUTO(dv_reference_rows) rows = {0};
    DV_AUTOPTR(davit_reference) ref = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    int r = reference_of(t, name, &ref, err);
    if (r < 0)
        return r;
    r = dv_reference_store_get(((store_target *)t)->store, ref, &rows, &why);
    if (r == DAVIT_ENOTFOUND)
        return 0;
    if (r < 0)
        return dv_error_move(err, &why, r);
    *out = rows.items[0].digest;
    return 1;
}

static int store_has_blob(dv_target *t, const davit_descriptor *blob, davit_error **err)
{
    return dv_content_has(((store_target *)t)->store, &blob->digest, blob->size, err);
}

static int store_begin(dv_target *t, const dv_copy_plan *plan, const char *name, bool alone, davit_error **err)
{
    store_target *s = (store_target *)t;
    size_t count = plan->document_count + plan->blob_count;
    DV_AUTOFREE davit_digest *digests = dv_new_array(davit_digest, count);
    (void)name, (void)alone;
    if (!digests)
        return dv_error_oom(err);
    for (size_t i = 0; i < plan->document_count; i++)
        digests[i] = plan->documents[i].descriptor.digest;
    for (size_t i = 0; i < plan->blob_count; i++)
        digests[plan->document_count + i] = plan->blobs[i].digest;
    int r = s->lease ? 0 : dv_lease_open(s->store, &s->lease, err);
    return r < 0 ? r : dv_lease_add(s->lease, digests, count, err);
}

/* --- blobs ------------------------------------------------------------------------------------------------------------------------- */

typedef struct store_blob {
    dv_sink sink;
    dv_ingest *ingest;
} store_blob;

static int blob_write(dv_sink *sink, const void *bytes, size_t size, davit_error **err)
{
    return dv_ingest_write(((store_blob *)sink)->ingest, bytes, size, err);
}

static int blob_finish(dv_sink *sink, davit_error **err)
{
    (void)sink, (void)err;
    return 0;
}

static int store_blob_open(dv_target *t, const davit_descriptor *blob, dv_sink **out, davit_error **err)
{
    dv_store *store = ((store_target *)t)->store;
    DV_AUTOPTR(davit_error) why = NULL;
    DV_AUTOPTR(dv_ingest) ingest = NULL;
    int r = dv_ingest_open(store, blob, &ingest, &why);
    if (r == DAVIT_EEXIST)
        return 1;
    if (r == DAVIT_EBUSY) /* somebody else fetches it: both copies are the same */
        r = dv_ingest_open_new(store, blob, &ingest, err);
    else if (r < 0)
        return dv_error_move(err, &why, r);
    if (r == 0)
        r = dv_ingest_reset(ingest, err);
    if (r < 0)
        return r;
    store_blob *b = dv_new(store_blob);
    if (!b)
        return dv_error_oom(err);
    *b = (store_blob){.sink = {.write = blob_write, .finish = blob_finish}, .ingest = DV_STEAL(ingest)};
    *out = &b->sink;
    return 0;
}

static int store_blob_end(dv_target *t, dv_sink *sink, bool good, davit_error **err)
{
    store_blob *b = (store_blob *)sink;
    int r = 0;
    (void)t;
    if (good)
        r = dv_ingest_commit(b->ingest, err);
    else
        dv_ingest_abort(b->ingest);
    free(b);
    return r;
}

static int store_put_document(dv_target *t, const dv_copy_document *d, davit_error **err)
{
    return dv_content_put(((store_target *)t)->store, &d->descriptor, d->bytes, err);
}

/* --- the record ----------------------------------------------------------------------------------------------------------------------- */

static bool is_image(const davit_manifest *m)
{
    size_t count;
    const davit_descriptor *layers = davit_manifest_layers(m, &count);
    const char *config = davit_manifest_is_index(m) ? NULL : davit_manifest_config(m)->media_type;
    bool yes = config && dv_media_type_check_config(config, NULL, NULL) == 0 &&
               dv_media_type_acceptable(config, NULL) == 0;
    for (size_t i = 0; yes && i < count; i++)
        yes = dv_media_type_kind(layers[i].media_type) == DV_MEDIA_LAYER;
    return yes;
}

/* Its index entry says for which platform it is, else its config. */
static int find_platform(const store_target *s, const dv_copy_document *d, davit_platform *out,
                         davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    DV_AUTOPTR(davit_image_config) config = NULL;
    if (d->descriptor.has_platform && !davit_platform_is_empty(&d->descriptor.platform)) {
        *out = d->descriptor.platform;
        return 0;
    }
    int r = dv_content_read(s->store, &davit_manifest_config(d->manifest)->digest, DAVIT_IMAGE_CONFIG_MAX,
                            &bytes, err);
    if (r == 0)
        r = davit_image_config_parse(dv_buf_text(&bytes), bytes.size, &config, err);
    if (r == 0)
        *out = *davit_image_config_platform(config);
    return r;
}

static int fill_row(const store_target *s, const dv_copy_plan *plan, const dv_copy_document *d,
                    dv_image_row *row, davit_error **err)
{
    size_t count;
    const davit_descriptor *layers = davit_manifest_layers(d->manifest, &count);
    const davit_descriptor *config = davit_manifest_config(d->manifest);
    *row = (dv_image_row){.manifest = d->descriptor.digest, .config = config->digest, .size = config->size};
    for (size_t i = 0; i < count; i++)
        row->size += layers[i].size;
    if (d->is_child)
        row->index = dv_copy_plan_root(plan)->descriptor.digest;
    return find_platform(s, d, &row->platform, err);
}

static int store_tag(dv_target *t, const dv_copy_plan *plan, const char *name, davit_error **err)
{
    const store_target *s = (store_target *)t;
    DV_AUTOPTR(davit_reference) ref = NULL;
    DV_AUTOFREE dv_image_row *rows = dv_new_array(dv_image_row, plan->document_count);
    size_t count = 0;
    bool updated;
    if (!rows)
        return dv_error_oom(err);
    int r = reference_of(t, name, &ref, err);
    for (size_t i = 0; r == 0 && i < plan->document_count; i++)
        if (plan->documents[i].manifest && is_image(plan->documents[i].manifest))
            r = fill_row(s, plan, &plan->documents[i], &rows[count++], err);
    if (r == 0 && count == 0)
        r = dv_error_set(err, DAVIT_EUNSUPPORTED, "%s is no image, and the store keeps images only",
                         dv_copy_plan_root(plan)->descriptor.digest.text);
    if (r < 0)
        return r;
    return dv_image_store_record(s->store,
                                 &(dv_pull_record){.reference = ref,
                                                   .tag_only = true,
                                                   .target = dv_copy_plan_root(plan)->descriptor,
                                                   .images = rows,
                                                   .image_count = count},
                                 &updated, err);
}

static int store_finish(dv_target *t, davit_error **err)
{
    (void)t, (void)err;
    return 0;
}

static const dv_target_ops store_ops = {
    .resolve = store_resolve,
    .has_blob = store_has_blob,
    .begin = store_begin,
    .blob_open = store_blob_open,
    .blob_end = store_blob_end,
    .put_document = store_put_document,
    .tag = store_tag,
    .finish = store_finish,
    .close = store_close,
};

int dv_target_store_open(davit_client *c, const dv_place *place, dv_target **out, davit_error **err)
{
    dv_transfers *transfers = NULL;
    if (!place->reference || !*davit_reference_path(place->reference))
        return dv_error_set(err, DAVIT_EINVAL, "%s: the store is given a name[:tag] for the image",
                            place->name);
    int r = dv_transfers_get(c, &transfers, err);
    if (r < 0)
        return r;
    store_target *s = dv_new(store_target);
    if (!s)
        return dv_error_oom(err);
    s->target = (dv_target){.ops = &store_ops, .client = c, .place = place};
    s->store = dv_store_ref(dv_transfers_store(transfers));
    *out = &s->target;
    return 0;
}

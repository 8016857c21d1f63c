/* distribution/source_store.c - what the local store has, by reference, by image id, or by a prefix of one. */
#include "distribution/source.h"

#include "distribution/stored_image.h"
#include "oci/manifest.h"
#include "oci/media_type.h"
#include "oci/reference.h"
#include "store/content_graph.h"
#include "store/content_store.h"
#include "store/image_find.h"

#include <string.h>

typedef struct store_source {
    dv_source source;
    dv_store *store;
    dv_lease *lease; /* names what was asked to be held */
} store_source;

static void store_close(dv_source *s)
{
    store_source *q = (store_source *)s;
    dv_lease_release(q->lease);
    dv_store_unref(q->store);
    free(q);
}

static int by_reference(const store_source *s, const davit_reference *ref, const char *shown,
                        davit_descriptor *out, davit_error **err)
{
    DV_AUTO(dv_reference_rows) rows = {0};
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_reference_store_get(s->store, ref, &rows, &why);
    if (r == DAVIT_ENOTFOUND)
        return dv_error_set(err, r, "No such image: %s", shown);
    if (r < 0)
        return dv_error_move(err, &why, r);
    const char *type = dv_media_type_intern(rows.items[0].media_type);
    *out = (davit_descriptor){
        .media_type = type ? type : "", .digest = rows.items[0].digest, .size = rows.items[0].size};
    return 0;
}

static int store_resolve(dv_source *source, const char *name, davit_descriptor *out, davit_error **err)
{
    const store_source *s = (store_source *)source;
    const dv_place *place = source->place;
    DV_AUTO(dv_image_rows) rows = {0};
    DV_AUTOPTR(davit_error) why = NULL;
    DV_AUTOPTR(davit_reference) tagged = NULL;
    int r = name ? davit_reference_with_tag(place->reference, name, &tagged, err) : 0;
    if (r < 0)
        return r;
    const davit_reference *ref = tagged ? tagged : place->reference;
    r = ref ? by_reference(s, ref, name ? davit_reference_familiar(ref) : place->name, out, &why) : 0;
    if (ref && (r != DAVIT_ENOTFOUND || name))
        return r < 0 ? dv_error_move(err, &why, r) : 0;
    r = dv_image_find_by_id(s->store, place->name, &rows, err);
    if (r == 0)
        *out = (davit_descriptor){
            .media_type = "", .digest = rows.items[0].manifest, .size = DAVIT_SIZE_UNKNOWN};
    return r;
}

/* A store that nobody can write loses nothing. */
static int store_hold(dv_source *source, const davit_descriptor *root, davit_error **err)
{
    store_source *s = (store_source *)source;
    DV_AUTO(dv_content_graph) g = DV_CONTENT_GRAPH_INIT(s->store);
    uint32_t node;
    if (dv_store_is_read_only(s->store))
        return 0;
    int r = dv_content_graph_add_document(&g, &root->digest, root->media_type, &node, err);
    if (r == 0 && !s->lease)
        r = dv_lease_open(s->store, &s->lease, err);
    return r < 0 ? r : dv_content_graph_hold(&g, s->lease, err);
}

static int store_document(dv_source *s, const davit_descriptor *desc, dv_buf *out, davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    int r = dv_content_read(((store_source *)s)->store, &desc->digest, DAVIT_MANIFEST_MAX, &bytes, err);
    if (r < 0)
        return r;
    dv_buf_append(out, dv_buf_text(&bytes), bytes.size);
    return out->failed ? dv_error_oom(err) : 0;
}

static int store_has_blob(dv_source *s, const davit_descriptor *blob, davit_error **err)
{
    return dv_content_has(((store_source *)s)->store, &blob->digest, blob->size, err);
}

static int store_open_blob(dv_source *s, const davit_descriptor *blob, int *out_fd, uint64_t *out_first,
                           uint64_t *out_size, davit_error **err)
{
    *out_first = 0;
    return dv_content_open(((store_source *)s)->store, &blob->digest, blob->size, out_fd, out_size, err);
}

static int store_names(dv_source *source, dv_name_fn fn, void *user, davit_error **err)
{
    const store_source *s = (store_source *)source;
    DV_AUTO(dv_reference_rows) rows = {0};
    if (!source->place->reference)
        return dv_error_set(err, DAVIT_EINVAL, "%s is no repository", source->place->name);
    int r = dv_reference_store_by_name(s->store, davit_reference_name(source->place->reference), &rows, err);
    for (size_t i = 0; r == 0 && i < rows.count; i++) {
        DV_AUTOPTR(davit_reference) ref = NULL;
        r = davit_reference_parse(rows.items[i].reference, &ref, err);
        if (r == 0 && davit_reference_tag(ref) && !davit_reference_digest_text(ref) &&
            fn(user, davit_reference_tag(ref)) != 0)
            break;
    }
    return r;
}

static const dv_source_ops store_ops = {
    .resolve = store_resolve,
    .hold = store_hold,
    .document = store_document,
    .has_blob = store_has_blob,
    .open_blob = store_open_blob,
    .names = store_names,
    .close = store_close,
};

int dv_source_store_open(davit_client *c, const dv_place *place, dv_source **out, davit_error **err)
{
    DV_AUTOPTR(dv_store) store = NULL;
    int r = dv_stored_image_open_store(c, &store, err);
    if (r < 0)
        return r;
    store_source *s = dv_new(store_source);
    if (!s)
        return dv_error_oom(err);
    s->source = (dv_source){.ops = &store_ops, .client = c, .place = place};
    s->store = DV_STEAL(store);
    *out = &s->source;
    return 0;
}

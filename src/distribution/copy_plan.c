/* distribution/copy_plan.c - see copy_plan.h: what becomes of an index, and walking what is left of it. Reads, and writes nothing. */
#include "distribution/copy_plan.h"

#include "distribution/layer_read.h"
#include "oci/index_subset.h"
#include "oci/manifest.h"
#include "oci/media_type.h"
#include "util/str.h"

#include <stdarg.h>
#include <string.h>

typedef struct walk {
    dv_copy_plan *plan;
    const dv_copy_choice *choice;
    dv_copy_has_fn has;
    void *user;
} walk;

void dv_copy_plan_clear(dv_copy_plan *p)
{
    for (size_t i = 0; i < p->document_count; i++) {
        davit_manifest_free(p->documents[i].manifest);
        free(p->documents[i].own);
    }
    free(p->documents);
    free(p->blobs);
    dv_digest_set_clear(&p->seen);
    dv_text_pool_clear(&p->texts);
    *p = (dv_copy_plan)DV_COPY_PLAN_INIT;
}

const dv_copy_document *dv_copy_plan_root(const dv_copy_plan *p)
{
    return &p->documents[p->document_count - 1];
}

static void warn(const dv_copy_choice *choice, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void warn(const dv_copy_choice *choice, const char *fmt, ...)
{
    DV_AUTO(dv_buf) text = DV_BUF_INIT(4096);
    va_list ap;
    va_start(ap, fmt);
    dv_buf_vprintf(&text, fmt, ap);
    va_end(ap);
    if (choice->warn && !text.failed)
        choice->warn(choice->user, dv_buf_text(&text));
}

/* --- documents ------------------------------------------------------------------------------------------------------------------- */

static bool is_followed(const davit_descriptor *desc)
{
    dv_media_kind kind = dv_media_type_kind(desc->media_type);
    return !*desc->media_type || kind == DV_MEDIA_MANIFEST || kind == DV_MEDIA_INDEX;
}

static void document_clear(dv_copy_document *d)
{
    davit_manifest_free(d->manifest);
    free(d->own);
    *d = (dv_copy_document){.own = NULL};
}
DV_DEFINE_AUTO(dv_copy_document, document_clear)

static int keep_bytes(dv_copy_document *d, dv_buf *bytes, davit_error **err)
{
    d->descriptor.size = bytes->size;
    d->own = dv_buf_take(bytes);
    d->bytes = d->own;
    return d->own ? 0 : dv_error_oom(err);
}

static int parse_bytes(dv_copy_document *d, const dv_buf *bytes, davit_error **err)
{
    size_t size;
    int r =
        davit_manifest_parse(dv_buf_text(bytes), bytes->size, d->descriptor.media_type, &d->manifest, err);
    if (r < 0)
        return dv_error_wrap(err, r, "manifest %s", d->descriptor.digest.text);
    d->bytes = davit_manifest_bytes(d->manifest, &size);
    d->descriptor.size = size;
    d->descriptor.media_type = davit_manifest_media_type(d->manifest);
    return 0;
}

static int fetch(const walk *w, const davit_descriptor *desc, dv_copy_document *out, davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    DV_AUTO(dv_copy_document) d = {.descriptor = *desc};
    int r = dv_client_check_cancelled(w->plan->source->client, err);
    if (r == 0)
        r = dv_source_document(w->plan->source, desc, &bytes, err);
    if (r == 0)
        r = is_followed(desc) ? parse_bytes(&d, &bytes, err) : keep_bytes(&d, &bytes, err);
    if (r < 0)
        return r;
    *out = d;
    d = (dv_copy_document){.own = NULL};
    return 0;
}

static int too_much(davit_error **err)
{
    return dv_error_set(err, DAVIT_ETOOBIG, "more than %d manifests and blobs, or %u MiB of manifests",
                        DV_COPY_ITEMS_MAX, DV_COPY_DOCUMENTS_BYTES_MAX >> 20);
}

/* 1: new; 0: was there. */
static int note(dv_copy_plan *p, const davit_digest *digest, davit_error **err)
{
    if (digest->algorithm == DAVIT_SHA384)
        return dv_error_set(err, DAVIT_EUNSUPPORTED, "digest algorithm sha384 is not supported");
    if (p->seen.count >= DV_COPY_ITEMS_MAX)
        return too_much(err);
    return dv_digest_set_add(&p->seen, digest, NULL, err);
}

/* Takes what d holds over, also on failure. */
static int add_document(dv_copy_plan *p, dv_copy_document *d, davit_error **err)
{
    DV_AUTO(dv_copy_document) taken = *d;
    *d = (dv_copy_document){.own = NULL};
    p->bytes += (size_t)taken.descriptor.size;
    if (p->bytes > DV_COPY_DOCUMENTS_BYTES_MAX)
        return too_much(err);
    taken.descriptor.media_type = dv_text_pool_media_type(&p->texts, taken.descriptor.media_type);
    taken.descriptor.artifact_type = NULL;
    dv_copy_document *grown = dv_realloc_array(p->documents, p->document_count + 1, sizeof(*grown));
    if (grown)
        p->documents = grown;
    if (!grown || !taken.descriptor.media_type)
        return dv_error_oom(err);
    p->documents[p->document_count++] = taken;
    taken = (dv_copy_document){.own = NULL};
    return 0;
}

/* --- an image ------------------------------------------------------------------------------------------------------------------------ */

/* A layer that is somewhere else by its nature goes along only where the source is known to have it. */
static int is_left_out(const walk *w, const davit_descriptor *blob, davit_error **err)
{
    dv_source *s = w->plan->source;
    if (!dv_layer_is_foreign(blob->media_type))
        return 0;
    int r = s->ops->has_blob ? s->ops->has_blob(s, blob, err) : 0;
    if (r == 0)
        warn(w->choice, "layer %s is not distributed by registries, and is left where it is",
             blob->digest.text);
    return r < 0 ? r : !r;
}

static int add_blob(walk *w, const davit_descriptor *blob, davit_error **err)
{
    dv_copy_plan *p = w->plan;
    int r = note(p, &blob->digest, err);
    if (r <= 0)
        return r;
    r = is_left_out(w, blob, err);
    if (r != 0)
        return r < 0 ? r : 0;
    davit_descriptor *place = dv_list_place(&p->blobs, p->blob_count, sizeof(*place));
    if (!place)
        return dv_error_oom(err);
    *place = *blob;
    p->blob_count++;
    return 0;
}

static int add_image(walk *w, const davit_manifest *m, davit_error **err)
{
    size_t count;
    const davit_descriptor *layers = davit_manifest_layers(m, &count);
    int r = add_blob(w, davit_manifest_config(m), err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = add_blob(w, &layers[i], err);
    return r;
}

/* --- an index, whatever is left of it ------------------------------------------------------------------------------------------------- */

static int add_children(walk *w, const davit_manifest *index, const bool *keep, unsigned depth,
                        davit_error **err);

/* Takes what d holds over. */
static int add_with_all(walk *w, dv_copy_document *d, unsigned depth, davit_error **err)
{
    int r = 0;
    if (depth > DAVIT_INDEX_DEPTH_MAX)
        r = dv_error_set(err, DAVIT_ETOOBIG, "index within index, more than %d deep", DAVIT_INDEX_DEPTH_MAX);
    else if (d->manifest && davit_manifest_is_index(d->manifest))
        r = add_children(w, d->manifest, NULL, depth, err);
    else if (d->manifest)
        r = add_image(w, d->manifest, err);
    if (r < 0) {
        document_clear(d);
        return r;
    }
    return add_document(w->plan, d, err);
}

/* An image that the target has needs nothing more. An index proves nothing: it may be there without its children. */
static int is_at_target(const walk *w, const davit_descriptor *desc, davit_error **err)
{
    bool asked = w->has && dv_media_type_kind(desc->media_type) == DV_MEDIA_MANIFEST;
    return asked ? w->has(w->user, desc, err) : 0;
}

static int add_child(walk *w, const davit_descriptor *entry, unsigned depth, davit_error **err)
{
    dv_copy_document d = {.own = NULL};
    DV_AUTOPTR(davit_error) why = NULL;
    int r = note(w->plan, &entry->digest, err);
    if (r <= 0)
        return r;
    r = is_at_target(w, entry, err);
    if (r != 0)
        return r < 0 ? r : 0;
    r = fetch(w, entry, &d, &why);
    if (r == DAVIT_ENOTFOUND && w->choice->sparse)
        return 0;
    if (r < 0)
        return dv_error_move(err, &why, r);
    d.is_child = true;
    d.descriptor.has_platform = entry->has_platform;
    d.descriptor.platform = entry->platform;
    return add_with_all(w, &d, depth + 1, err);
}

/* keep: NULL for all. */
static int add_children(walk *w, const davit_manifest *index, const bool *keep, unsigned depth,
                        davit_error **err)
{
    size_t count;
    const davit_descriptor *entries = davit_manifest_entries(index, &count);
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++)
        if (!keep || keep[i])
            r = add_child(w, &entries[i], depth, err);
    return r;
}

static int add_root(walk *w, const davit_descriptor *desc, davit_error **err)
{
    dv_copy_document d = {.own = NULL};
    int r = fetch(w, desc, &d, err);
    if (r < 0)
        return r;
    int there = is_at_target(w, &d.descriptor, err);
    if (there == 1)
        return add_document(w->plan, &d, err);
    if (there < 0) {
        document_clear(&d);
        return there;
    }
    return add_with_all(w, &d, /* depth= */ 0, err);
}

/* --- a choice of platforms ------------------------------------------------------------------------------------------------------------- */

/* An attestation is no image of a platform. */
static bool is_platform(const davit_descriptor *entry)
{
    return is_followed(entry) && !(entry->has_platform && dv_str_equal(entry->platform.os, "unknown"));
}

static int add_only(walk *w, const davit_manifest *index, size_t i, davit_error **err)
{
    size_t count;
    const davit_descriptor *entry = &davit_manifest_entries(index, &count)[i];
    char text[DAVIT_PLATFORM_TEXT_MAX] = "one image";
    if (entry->has_platform)
        davit_platform_format(&entry->platform, text);
    warn(w->choice, "only %s of the index is copied, as an image by itself: %s", text, entry->digest.text);
    return add_root(w, entry, err);
}

/* The index as it would be with those entries alone. */
static int add_subset(walk *w, const davit_manifest *index, const bool *keep, davit_error **err)
{
    dv_copy_document d = {.own = NULL};
    size_t count, kept, size;
    davit_manifest_entries(index, &count);
    int r = dv_index_subset(index, keep, &d.manifest, err);
    if (r == 0)
        r = add_children(w, index, keep, /* depth= */ 0, err);
    if (r < 0) {
        document_clear(&d);
        return r;
    }
    d.bytes = davit_manifest_bytes(d.manifest, &size);
    d.descriptor = (davit_descriptor){.media_type = davit_manifest_media_type(d.manifest),
                                      .digest = *davit_manifest_digest(d.manifest),
                                      .size = size};
    davit_manifest_entries(d.manifest, &kept);
    warn(w->choice, "%zu of the %zu entries of the index are copied, in a new index: %s", kept, count,
         d.descriptor.digest.text);
    return add_document(w->plan, &d, err);
}

static int add_sparse(walk *w, dv_copy_document *index, const bool *keep, davit_error **err)
{
    size_t count, kept = 0;
    davit_manifest_entries(index->manifest, &count);
    for (size_t i = 0; i < count; i++)
        kept += keep[i];
    int r = add_children(w, index->manifest, keep, /* depth= */ 0, err);
    if (r < 0) {
        document_clear(index);
        return r;
    }
    warn(w->choice, "the index is copied whole, with %zu of its %zu entries", kept, count);
    return add_document(w->plan, index, err);
}

/* Takes what d holds over. */
static int add_chosen(walk *w, dv_copy_document *d, davit_error **err)
{
    const dv_copy_choice *choice = w->choice;
    DV_AUTO(dv_copy_document) index = *d;
    davit_platform host;
    size_t count, first = 0;
    const davit_descriptor *entries = davit_manifest_entries(index.manifest, &count);
    DV_AUTOFREE bool *keep = dv_new_array(bool, count);
    davit_platform_host(&host);
    *d = (dv_copy_document){.own = NULL};
    if (!keep)
        return dv_error_oom(err);
    bool none = choice->platform_count == 0;
    int r = dv_index_choose(index.manifest, none ? &host : choice->platforms,
                            none ? 1 : choice->platform_count, keep, err);
    if (r < 0)
        return r;
    if (choice->sparse && !choice->one)
        return add_sparse(w, &index, keep, err);
    if (choice->platform_count > 1 && !choice->one)
        return add_subset(w, index.manifest, keep, err);
    while (first + 1 < count && !(keep[first] && is_platform(&entries[first])))
        first++;
    return add_only(w, index.manifest, first, err);
}

/* --- an index of which not everything is there ------------------------------------------------------------------------------------------- */

/* Whether the source has the document of an entry. */
static int has_entry(const walk *w, const davit_descriptor *entry, davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_source_document(w->plan->source, entry, &bytes, &why);
    if (r == DAVIT_ENOTFOUND)
        return 0;
    return r < 0 ? dv_error_move(err, &why, r) : 1;
}

/* What DESIGN 6 says of an index whose children are absent: the present one, or a word about the choice. */
static int add_present(walk *w, const davit_manifest *index, davit_error **err)
{
    size_t count, here = 0, all = 0, found = 0;
    const davit_descriptor *entries = davit_manifest_entries(index, &count);
    for (size_t i = 0; i < count; i++) {
        if (!is_platform(&entries[i]))
            continue;
        int r = has_entry(w, &entries[i], err);
        if (r < 0)
            return r;
        all++;
        here += (size_t)r;
        found = r ? i : found;
    }
    if (here == 0)
        return dv_error_set(err, DAVIT_ENOTFOUND, "none of the images of the index is there");
    if (here == 1 && !w->choice->whole)
        return add_only(w, index, found, err);
    if (w->choice->whole)
        return dv_error_set(err, DAVIT_ENOTFOUND, "only %zu of the %zu images of the index are there", here,
                            all);
    return dv_error_set(
        err, DAVIT_EPLATFORM,
        "%zu of the %zu images of the index are there: choose with --platform, or copy it sparse", here, all);
}

static bool may_be_sparse(const walk *w)
{
    return !w->choice->sparse && w->plan->source->ops->has_blob != NULL;
}

/* All of an index. Takes what d holds over. */
static int add_index(walk *w, dv_copy_document *d, davit_error **err)
{
    DV_AUTOPTR(davit_manifest) index = davit_manifest_ref(d->manifest);
    DV_AUTOPTR(davit_error) why = NULL;
    int r = add_with_all(w, d, /* depth= */ 0, &why);
    if (r != DAVIT_ENOTFOUND || !may_be_sparse(w))
        return r < 0 ? dv_error_move(err, &why, r) : 0;
    dv_source *source = w->plan->source;
    dv_copy_plan_clear(w->plan);
    w->plan->source = source;
    return add_present(w, index, err);
}

int dv_copy_plan_make(dv_copy_plan *p, dv_source *source, const davit_descriptor *root,
                      const dv_copy_choice *choice, dv_copy_has_fn has, void *user, davit_error **err)
{
    walk w = {.plan = p, .choice = choice, .has = has, .user = user};
    dv_copy_document d = {.own = NULL};
    p->source = source;
    int r = note(p, &root->digest, err);
    if (r >= 0)
        r = fetch(&w, root, &d, err);
    if (r < 0)
        return r;
    if (!d.manifest || !davit_manifest_is_index(d.manifest)) {
        int there = is_at_target(&w, &d.descriptor, err);
        if (there == 0)
            return add_with_all(&w, &d, /* depth= */ 0, err);
        if (there > 0)
            return add_document(p, &d, err);
        document_clear(&d);
        return there;
    }
    return choice->platform_count > 0 || choice->one ? add_chosen(&w, &d, err) : add_index(&w, &d, err);
}

/*
 * distribution/pull_v2.c - one reference from one registry: its manifests, which images of it are wanted, and the record.
 * Spec: pull.md 4, 5, 6, 9.
 *
 * Order (DESIGN 6): manifests into memory, a lease that names everything, manifests into the store, blobs, one sync, and last
 * the record, which moves the tag. Whatever stops in between leaves content to reuse and no tag that lies.
 */
#include "distribution/document.h"
#include "distribution/endpoint_loop.h"
#include "distribution/own_blob.h"
#include "distribution/pull_private.h"
#include "oci/image_config.h"
#include "oci/manifest.h"
#include "oci/media_type.h"
#include "oci/platform.h"
#include "store/image_store.h"
#include "store/ingest.h"
#include "store/metadata_store.h"
#include "store/reference_store.h"
#include "util/log.h"
#include "util/str.h"

#include <string.h>

static void wanted_clear(dv_wanted *w)
{
    for (size_t i = 0; i < w->document_count; i++)
        davit_manifest_free(w->documents[i].manifest);
    free(w->documents);
    free(w->images);
    free(w->blobs);
    free(w->is_config);
    free(w->present);
}
DV_DEFINE_AUTO(dv_wanted, wanted_clear)
DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)

/* --- documents ----------------------------------------------------------------------------------------------------- */

static dv_document *find_document(const dv_wanted *w, const davit_digest *digest)
{
    for (size_t i = 0; i < w->document_count; i++)
        if (davit_digest_equal(&w->documents[i].digest, digest))
            return &w->documents[i];
    return NULL;
}

/* What all documents of one pull may add up to (threats C3); they are in memory together. */
#define DOCUMENTS_BYTES_MAX (32u << 20)
#define DOCUMENTS_ITEMS_MAX 16384 /* layers and entries */

static bool is_too_much(dv_wanted *w, const davit_manifest *m)
{
    size_t size, layers, entries;
    davit_manifest_bytes(m, &size);
    davit_manifest_layers(m, &layers);
    davit_manifest_entries(m, &entries);
    w->document_bytes += size;
    w->document_items += layers + entries;
    return w->document_bytes > DOCUMENTS_BYTES_MAX || w->document_items > DOCUMENTS_ITEMS_MAX;
}

/* Takes the manifest over, also on failure. */
static int keep_document(dv_wanted *w, davit_manifest *m, const davit_digest *digest, bool fetched,
                         davit_error **err)
{
    if (is_too_much(w, m)) {
        davit_manifest_free(m);
        return dv_error_set(err, DAVIT_ETOOBIG,
                            "index with more than %d layers and entries, or %u MiB of manifests",
                            DOCUMENTS_ITEMS_MAX, DOCUMENTS_BYTES_MAX >> 20);
    }
    dv_document *grown = dv_realloc_array(w->documents, w->document_count + 1, sizeof(*grown));
    if (!grown) {
        davit_manifest_free(m);
        return dv_error_oom(err);
    }
    w->documents = grown;
    w->documents[w->document_count++] = (dv_document){.manifest = m, .digest = *digest, .fetched = fetched};
    return 0;
}

/* The bytes from the store, if it has them. 1: parsed; 0: not here (or damaged: then they are fetched again). */
static int read_stored(const dv_pull *p, const davit_digest *digest, const char *media_type,
                       davit_manifest **out, davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_MANIFEST_MAX);
    DV_AUTOPTR(davit_error) why = NULL;
    bool own = dv_pull_is_own(p);
    if (!p->store && !own)
        return 0;
    int r = own ? dv_own_content_read(&p->terms.own->content, digest, DAVIT_MANIFEST_MAX, &bytes, &why)
                : dv_content_read(p->store, digest, DAVIT_MANIFEST_MAX, &bytes, &why);
    if (own && r < 0)
        return dv_error_move(err, &why, r);
    if (r == DAVIT_ENOTFOUND || (own && r == 0))
        return 0;
    r = own ? 0 : r;
    if (r == 0)
        r = davit_manifest_parse(dv_buf_text(&bytes), bytes.size, media_type, out, &why);
    if (r < 0)
        dv_warn("stored manifest %s: %s", digest->text, davit_error_message(why));
    return r == 0;
}

/* A manifest by digest: from memory, the store, or the registry. Borrowed from w. */
static int get_document(dv_pull *p, dv_registry *reg, dv_wanted *w, const davit_descriptor *desc,
                        const char *ref_text, davit_manifest **out, davit_error **err)
{
    const dv_document *known = find_document(w, &desc->digest);
    if (known) {
        *out = known->manifest;
        return 0;
    }
    davit_manifest *m = NULL;
    int r = read_stored(p, &desc->digest, desc->media_type, &m, err);
    bool fetched = r == 0;
    if (fetched)
        r = dv_document_fetch(reg, desc, ref_text, &m, err);
    if (r >= 0)
        r = keep_document(w, m, &desc->digest, fetched, err);
    if (r == 0)
        *out = m;
    return r;
}

/* --- the target ---------------------------------------------------------------------------------------------------- */

/* The store's word for a digest reference counts when this repository is known to hold it (pull.md 4.1). */
static bool repository_is_source(const dv_pull *p, const davit_digest *digest, const davit_reference *ref)
{
    char **names = NULL;
    size_t count = 0;
    bool found = false;
    if (dv_pull_is_own(p))
        return dv_own_content_has_source(&p->terms.own->content, digest, ref);
    if (dv_metadata_sources(p->store, digest, &names, &count, NULL) < 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        found = found || strcmp(names[i], davit_reference_name(ref)) == 0;
        free(names[i]);
    }
    free(names);
    return found;
}

/* What a tag named when it was last pulled; false when it was not. */
static bool tag_is_known(const dv_pull *p, const davit_reference *ref)
{
    DV_AUTO(dv_reference_rows) rows = {0};
    if (dv_pull_is_own(p))
        return dv_pull_own_knows(p, ref);
    return p->store && dv_reference_store_get(p->store, ref, &rows, NULL) == 0;
}

static int get_target_by_digest(dv_pull *p, dv_registry *reg, const davit_reference *ref, dv_wanted *w,
                                davit_error **err)
{
    davit_descriptor desc = {.media_type = "", .size = DAVIT_SIZE_UNKNOWN};
    davit_manifest *m = NULL;
    int r = davit_reference_digest(ref, &desc.digest, err);
    if (r < 0)
        return r;
    if (desc.digest.algorithm == DAVIT_SHA384)
        return dv_error_set(err, DAVIT_EUNSUPPORTED, "digest algorithm sha384 is not supported");
    int here = dv_pull_is_own(p)
                   ? dv_own_content_has(&p->terms.own->content, &desc.digest, DAVIT_SIZE_UNKNOWN, NULL)
               : p->store ? dv_content_has(p->store, &desc.digest, DAVIT_SIZE_UNKNOWN, NULL)
                          : 0;
    if (here > 0 && !repository_is_source(p, &desc.digest, ref)) {
        DV_AUTO(dv_manifest_answer) answer = DV_MANIFEST_ANSWER_INIT;
        r = dv_v2_manifest_resolve(reg, desc.digest.text, &answer, err);
        if (r < 0)
            return r;
    }
    return get_document(p, reg, w, &desc, davit_reference_text(ref), &m, err);
}

/*
 * A tag that was pulled before is asked for by HEAD, which settles most pulls; one that is new by GET, since the manifest
 * will be needed: either way the first request is the question itself (DESIGN 5). Where a mirror is to serve the bytes, a
 * digest is all that is needed.
 */
static int ask_tag(dv_pull *p, dv_registry *reg, const davit_reference *ref, dv_manifest_answer *out,
                   davit_error **err)
{
    const char *tag = davit_reference_tag(ref);
    bool head = tag_is_known(p, ref) || dv_content_has_mirrors(&p->endpoints, reg);
    return head ? dv_v2_manifest_resolve(reg, tag, out, err) : dv_v2_manifest_get(reg, tag, NULL, out, err);
}

/* What a tag stands for, by what the registry said; from there only digests count. */
static int get_target_of_tag(dv_pull *p, dv_registry *reg, const davit_reference *ref,
                             const dv_manifest_answer *answer, dv_wanted *w, davit_error **err)
{
    davit_manifest *m = NULL;
    if (answer->bytes.size == 0) {
        davit_descriptor desc = {
            .media_type = answer->media_type, .digest = answer->digest, .size = answer->size};
        return get_document(p, reg, w, &desc, davit_reference_text(ref), &m, err);
    }
    int r = dv_document_parse(answer, NULL, davit_reference_text(ref), &m, err);
    return r < 0 ? r : keep_document(w, m, &answer->digest, /* fetched= */ true, err);
}

/* --- choice -------------------------------------------------------------------------------------------------------- */

static int add_image(dv_wanted *w, const davit_manifest *m, const davit_digest *digest,
                     const davit_descriptor *entry, davit_error **err)
{
    dv_wanted_image *grown = dv_realloc_array(w->images, w->image_count + 1, sizeof(*grown));
    if (!grown)
        return dv_error_oom(err);
    w->images = grown;
    w->images[w->image_count] =
        (dv_wanted_image){.manifest = m, .digest = *digest, .through_index = entry != NULL};
    if (entry && entry->has_platform)
        w->images[w->image_count].platform = entry->platform;
    w->image_count++;
    return 0;
}

static int too_deep(davit_error **err)
{
    return dv_error_set(err, DAVIT_ETOOBIG, "index within index, more than %d deep", DAVIT_INDEX_DEPTH_MAX);
}

/* Whether an entry can be followed: what is neither manifest nor index is not. */
static bool is_followed(const davit_descriptor *entry)
{
    dv_media_kind kind = dv_media_type_kind(entry->media_type);
    return kind == DV_MEDIA_MANIFEST || kind == DV_MEDIA_INDEX;
}

static int choose_one(dv_pull *p, dv_registry *reg, dv_wanted *w, const davit_manifest *index, unsigned depth,
                      davit_error **err)
{
    DV_AUTOFREE size_t *order = NULL;
    size_t count = 0, entry_count;
    const davit_descriptor *entries = davit_manifest_entries(index, &entry_count);
    if (depth > DAVIT_INDEX_DEPTH_MAX)
        return too_deep(err);
    int r = davit_manifest_choose(index, p->options->platform, &order, &count, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++) {
        const davit_descriptor *entry = &entries[order[i]];
        davit_manifest *child = NULL;
        if (!is_followed(entry))
            continue;
        r = get_document(p, reg, w, entry, NULL, &child, err);
        if (r < 0)
            return r;
        if (!davit_manifest_is_index(child))
            return add_image(w, child, &entry->digest, entry, err);
        DV_AUTOPTR(davit_error) why = NULL;
        r = choose_one(p, reg, w, child, depth + 1, &why);
        if (r == 0)
            return 0;
        if (r == DAVIT_EPLATFORM || r == DAVIT_ETOOBIG || r == DAVIT_ECANCELLED || r == DAVIT_ENOMEM)
            return dv_error_move(err, &why, r);
    }
    return dv_index_no_match(p->options->platform, err);
}

static int choose_all(dv_pull *p, dv_registry *reg, dv_wanted *w, const davit_manifest *index, unsigned depth,
                      davit_error **err)
{
    size_t count;
    const davit_descriptor *entries = davit_manifest_entries(index, &count);
    if (depth > DAVIT_INDEX_DEPTH_MAX)
        return too_deep(err);
    for (size_t i = 0; i < count; i++) {
        davit_manifest *child = NULL;
        if (!is_followed(&entries[i])) {
            dv_pull_warn(p, "%s of type %s is left out", entries[i].digest.text, entries[i].media_type);
            continue;
        }
        int r = get_document(p, reg, w, &entries[i], NULL, &child, err);
        if (r < 0)
            return r;
        dv_document *document = find_document(w, &entries[i].digest);
        if (document->walked)
            continue; /* indexes that name each other again and again cost nothing more (threats C3) */
        document->walked = true;
        r = davit_manifest_is_index(child) ? choose_all(p, reg, w, child, depth + 1, err)
                                           : add_image(w, child, &entries[i].digest, &entries[i], err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- blobs --------------------------------------------------------------------------------------------------------- */

static int add_blob(dv_wanted *w, const davit_descriptor *blob, bool config, davit_error **err)
{
    if (blob->digest.algorithm == DAVIT_SHA384)
        return dv_error_set(err, DAVIT_EUNSUPPORTED, "digest algorithm sha384 is not supported");
    for (size_t i = 0; i < w->blob_count; i++)
        if (davit_digest_equal(&w->blobs[i].digest, &blob->digest))
            return 0;
    if (config && blob->size > DAVIT_IMAGE_CONFIG_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "image configuration of %zu bytes is too long",
                            (size_t)blob->size);
    w->blobs[w->blob_count] = *blob;
    w->is_config[w->blob_count++] = config;
    return 0;
}

static int collect_blobs(dv_wanted *w, davit_error **err)
{
    size_t most = 0, count;
    for (size_t i = 0; i < w->image_count; i++) {
        davit_manifest_layers(w->images[i].manifest, &count);
        most += count + 1;
    }
    w->blobs = dv_new_array(davit_descriptor, most);
    w->is_config = dv_new_array(bool, most);
    w->present = dv_new_array(bool, most);
    if (!w->blobs || !w->is_config || !w->present)
        return dv_error_oom(err);
    for (size_t i = 0; i < w->image_count; i++) {
        const davit_manifest *m = w->images[i].manifest;
        const davit_descriptor *layers = davit_manifest_layers(m, &count);
        int r = add_blob(w, davit_manifest_config(m), /* config= */ true, err);
        for (size_t k = 0; r == 0 && k < count; k++)
            r = add_blob(w, &layers[k], /* config= */ false, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* --- checks of the one image that is chosen for use (pull.md 6) ------------------------------------------------------- */

static int foreign_system(davit_error **err, const char *os)
{
    return dv_error_set(
        err, DAVIT_EUNSUPPORTED,
        "image operating system \"%s\" cannot be used on this platform: operating system is not supported",
        os);
}

static bool is_host_system(const char *os)
{
    davit_platform host;
    davit_platform_host(&host);
    return !*os || dv_str_equal_nocase(os, host.os);
}

int dv_pull_check_system(const davit_platform *asked, const char *os, davit_error **err)
{
    return asked || is_host_system(os) ? 0 : foreign_system(err, os);
}

static int check_manifest(const dv_pull *p, const dv_wanted_image *image, davit_error **err)
{
    size_t count;
    const davit_descriptor *config = davit_manifest_config(image->manifest);
    const davit_descriptor *layers = davit_manifest_layers(image->manifest, &count);
    int r = 0;
    if (davit_manifest_get_kind(image->manifest) == DAVIT_MANIFEST_DOCKER)
        r = dv_media_type_check_config(config->media_type, p->terms.config_types, err);
    if (r == 0)
        r = dv_media_type_acceptable(config->media_type, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = dv_media_type_acceptable(layers[i].media_type, err);
    return r < 0 ? r : dv_pull_check_system(p->options->platform, image->platform.os, err);
}

int dv_pull_check_config(const dv_pull *p, dv_wanted_image *image, const void *bytes, size_t size,
                         davit_error **err)
{
    DV_AUTOPTR(davit_image_config) config = NULL;
    size_t layer_count, diff_id_count;
    int r = davit_image_config_parse(bytes, size, &config, err);
    if (r < 0)
        return r;
    const davit_platform *platform = davit_image_config_platform(config);
    r = dv_pull_check_system(p->options->platform, platform->os, err);
    if (r < 0)
        return r;
    davit_manifest_layers(image->manifest, &layer_count);
    davit_image_config_diff_ids(config, &diff_id_count);
    if (layer_count != diff_id_count)
        return dv_error_set(err, DAVIT_EFORMAT, "layers from manifest don't match image configuration");
    r = dv_image_config_check_history(config, err);
    if (r < 0)
        return r;
    if (davit_platform_is_empty(&image->platform))
        image->platform = *platform;
    return 0;
}

static int check_config(const dv_pull *p, dv_wanted_image *image, davit_error **err)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    int r = dv_content_read(p->store, &davit_manifest_config(image->manifest)->digest, DAVIT_IMAGE_CONFIG_MAX,
                            &bytes, err);
    return r < 0 ? r : dv_pull_check_config(p, image, dv_buf_text(&bytes), bytes.size, err);
}

/* Of an index the one that fits was chosen; a manifest by itself is taken as it is (pull.md 9). */
static void warn_of_platform(const dv_pull *p, const davit_reference *ref, dv_wanted_image *image)
{
    const davit_platform *asked = p->options->platform;
    dv_platform_vector fits;
    davit_platform host;
    char has[DAVIT_PLATFORM_TEXT_MAX], wanted[DAVIT_PLATFORM_TEXT_MAX];
    if (!asked || image->through_index)
        return;
    if (davit_platform_is_empty(&image->platform) && (!p->store || check_config(p, image, NULL) < 0))
        return;
    davit_platform_host(&host);
    dv_platform_vector_init(&fits, asked, &host);
    if (dv_platform_rank(&fits, &image->platform) < 0)
        dv_pull_warn(p,
                     "image with reference %s was found but its platform (%s) does not match the specified "
                     "platform (%s)",
                     davit_reference_familiar(ref), davit_platform_format(&image->platform, has),
                     davit_platform_format(asked, wanted));
}

/* --- into the store -------------------------------------------------------------------------------------------------- */

static int lease_all(dv_lease *lease, const dv_wanted *w, davit_error **err)
{
    size_t count = w->document_count + w->blob_count;
    DV_AUTOFREE davit_digest *digests = dv_new_array(davit_digest, count);
    if (!digests)
        return dv_error_oom(err);
    for (size_t i = 0; i < w->document_count; i++)
        digests[i] = w->documents[i].digest;
    for (size_t i = 0; i < w->blob_count; i++)
        digests[w->document_count + i] = w->blobs[i].digest;
    return dv_lease_add(lease, digests, count, err);
}

static int put_documents(const dv_pull *p, const dv_wanted *w, davit_error **err)
{
    for (size_t i = 0; i < w->document_count; i++) {
        const dv_document *d = &w->documents[i];
        davit_descriptor desc = {.media_type = davit_manifest_media_type(d->manifest), .digest = d->digest};
        size_t size;
        const void *bytes = davit_manifest_bytes(d->manifest, &size);
        desc.size = size;
        int r = dv_content_put(p->store, &desc, bytes, err);
        if (r < 0)
            return r;
    }
    return 0;
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

static void fill_row(const dv_wanted *w, const dv_wanted_image *image, dv_image_row *row)
{
    *row = (dv_image_row){
        .manifest = image->digest,
        .config = davit_manifest_config(image->manifest)->digest,
        .platform = image->platform,
        .size = image_size(image->manifest),
    };
    if (image->through_index)
        row->index = w->documents[0].digest;
}

static int record(dv_pull *p, const dv_registry *reg, const davit_reference *ref, const dv_wanted *w,
                  davit_error **err)
{
    const dv_document *target = &w->documents[0];
    size_t blob_count = w->document_count + w->blob_count, size;
    DV_AUTOFREE dv_image_row *rows = dv_new_array(dv_image_row, w->image_count);
    DV_AUTOFREE davit_digest *blobs = dv_new_array(davit_digest, blob_count);
    if (!rows || !blobs)
        return dv_error_oom(err);
    for (size_t i = 0; i < w->image_count; i++)
        fill_row(w, &w->images[i], &rows[i]);
    for (size_t i = 0; i < blob_count; i++)
        blobs[i] = i < w->document_count ? w->documents[i].digest : w->blobs[i - w->document_count].digest;
    davit_manifest_bytes(target->manifest, &size);
    bool updated = false;
    int r = dv_image_store_record(p->store,
                                  &(dv_pull_record){
                                      .reference = ref,
                                      .target = {.media_type = davit_manifest_media_type(target->manifest),
                                                 .digest = target->digest,
                                                 .size = size},
                                      .images = rows,
                                      .image_count = w->image_count,
                                      .repository = davit_reference_name(ref),
                                      .hmac_key = reg->endpoint.mirror ? NULL : reg->hmac_key,
                                      .blobs = blobs,
                                      .blob_count = blob_count,
                                  },
                                  &updated, err);
    p->result.updated = p->result.updated || updated;
    return r;
}

/* --- one reference --------------------------------------------------------------------------------------------------- */

static bool everything_is_here(const dv_wanted *w)
{
    for (size_t i = 0; i < w->document_count; i++)
        if (w->documents[i].fetched)
            return false;
    for (size_t i = 0; i < w->blob_count; i++)
        if (!w->present[i])
            return false;
    return true;
}

/* Whether the database says already all that a record would say. */
static bool is_recorded(const dv_pull *p, const davit_reference *ref, const dv_wanted *w)
{
    DV_AUTO(dv_reference_rows) references = {0};
    DV_AUTO(dv_image_rows) rows = {0};
    const davit_digest *target = &w->documents[0].digest;
    if (dv_pull_is_own(p))
        return dv_pull_own_is_recorded(p, ref, w);
    if (dv_reference_store_get(p->store, ref, &references, NULL) < 0 ||
        !davit_digest_equal(&references.items[0].digest, target) ||
        dv_image_store_by_digest(p->store, target, &rows, NULL) < 0)
        return false;
    for (size_t i = 0; i < w->image_count; i++) {
        bool found = false;
        for (size_t k = 0; k < rows.count && !found; k++)
            found = davit_digest_equal(&rows.items[k].manifest, &w->images[i].digest);
        if (!found)
            return false;
    }
    return true;
}

static void count_documents(dv_pull *p, const dv_wanted *w)
{
    for (size_t i = 0; i < w->document_count; i++) {
        size_t size;
        davit_manifest_bytes(w->documents[i].manifest, &size);
        *(w->documents[i].fetched ? &p->result.fetched_count : &p->result.present_count) += 1;
        *(w->documents[i].fetched ? &p->result.fetched_bytes : &p->result.present_bytes) += size;
    }
}

/* Nothing will be fetched. */
static int count_blobs(dv_pull *p, const dv_wanted *w, davit_error **err)
{
    for (size_t i = 0; i < w->blob_count; i++) {
        int r = w->present[i] ? dv_pull_tell_blob(p, &w->blobs[i].digest, err) : 0;
        if (r < 0)
            return r;
        *(w->present[i] ? &p->result.present_count : &p->result.fetched_count) += 1;
        *(w->present[i] ? &p->result.present_bytes : &p->result.fetched_bytes) += w->blobs[i].size;
    }
    return 0;
}

static int veto(const davit_digest *manifest, davit_error **err)
{
    int r = dv_error_set(err, DAVIT_EDENIED, "image %s was refused by the verifier", manifest->text);
    if (err && davit_error_code(*err) != DAVIT_ENOMEM)
        (*err)->kind = DV_ERROR_VETO;
    return r;
}

static int ask_verifier(const dv_pull *p, const davit_reference *ref, const dv_wanted *w, davit_error **err)
{
    const davit_pull_options *o = p->options;
    for (size_t i = 0; o->verify && i < w->image_count; i++)
        if (o->verify(ref, w->images[i].manifest, o->user_data) != 0)
            return veto(&w->images[i].digest, err);
    return 0;
}

/* Fetch what is missing and record it. */
static int take(dv_pull *p, dv_registry *reg, const davit_reference *ref, dv_wanted *w, bool one,
                davit_error **err)
{
    DV_AUTOPTR(dv_lease) lease = NULL;
    if (dv_pull_is_own(p))
        return dv_pull_own_take(p, reg, ref, w, /* quiet= */ everything_is_here(w), err);
    int r = dv_lease_open(p->store, &lease, err);
    if (r == 0)
        r = lease_all(lease, w, err);
    if (r == 0)
        r = put_documents(p, w, err);
    if (r == 0)
        r = dv_pull_look(p, w, err);
    if (r == 0)
        r = dv_pull_fetch(p, reg, w, /* quiet= */ everything_is_here(w), err);
    if (r == 0 && one)
        r = check_config(p, &w->images[0], err);
    if (r == 0)
        r = record(p, reg, ref, w, err);
    return r;
}

/* What is pulled, when nothing but digests is left to ask for. */
typedef struct content {
    dv_pull *pull;
    const davit_reference *ref;
    const dv_manifest_answer *tag; /* what the tag is; NULL: the reference has a digest */
} content;

static int pull_content(dv_registry *reg, void *user, davit_error **err)
{
    const content *wanted = user;
    dv_pull *p = wanted->pull;
    const davit_reference *ref = wanted->ref;
    DV_AUTO(dv_wanted) w = {0};
    bool by_digest = !wanted->tag, dry = p->options->flags & DAVIT_PULL_DRY_RUN;
    bool all = p->options->flags & DAVIT_PULL_ALL_PLATFORMS;
    int r = by_digest ? get_target_by_digest(p, reg, ref, &w, err)
                      : get_target_of_tag(p, reg, ref, wanted->tag, &w, err);
    if (r < 0)
        return r;
    const dv_document target = w.documents[0];
    if (!dry)
        dv_pull_message(p, by_digest ? davit_reference_text(ref) : davit_reference_tag(ref),
                        "Pulling from %s", davit_reference_path(ref));
    if (!davit_manifest_is_index(target.manifest))
        r = add_image(&w, target.manifest, &target.digest, NULL, err);
    else if (all)
        r = choose_all(p, reg, &w, target.manifest, 1, err);
    else
        r = choose_one(p, reg, &w, target.manifest, 1, err);
    bool one = !all || !davit_manifest_is_index(target.manifest);
    if (r == 0 && one)
        r = check_manifest(p, &w.images[0], err);
    if (r == 0)
        r = collect_blobs(&w, err);
    if (r == 0)
        r = ask_verifier(p, ref, &w, err);
    if (r == 0 && one)
        r = dv_pull_tell_image(p, w.images[0].manifest, err);
    if (r == 0)
        r = dv_pull_look(p, &w, err);
    if (r < 0)
        return r;
    count_documents(p, &w);
    bool nothing_to_do = !dry && everything_is_here(&w) && is_recorded(p, ref, &w);
    if (dry || nothing_to_do)
        r = count_blobs(p, &w, err);
    else
        r = take(p, reg, ref, &w, one, err);
    if (r < 0)
        return r;
    if (nothing_to_do && p->store)
        dv_lease_sweep_some(p->store); /* an earlier pull may have been killed after its record */
    p->result.digest = target.digest;
    p->result.tag_count++;
    if (dry)
        return 0;
    dv_pull_message(p, NULL, "Digest: %s", target.digest.text);
    if (one)
        warn_of_platform(p, ref, &w.images[0]);
    return 0;
}

int dv_pull_reference(dv_pull *p, dv_registry *reg, const davit_reference *ref, davit_error **err)
{
    content wanted = {.pull = p, .ref = ref};
    if (davit_reference_digest_text(ref))
        return pull_content(reg, &wanted, err);
    DV_AUTO(dv_manifest_answer) answer = DV_MANIFEST_ANSWER_INIT;
    int r = ask_tag(p, reg, ref, &answer, err);
    wanted.tag = &answer;
    return r < 0 ? r : dv_content_loop(&p->endpoints, reg, ref, pull_content, &wanted, err);
}

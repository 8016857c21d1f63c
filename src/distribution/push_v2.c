/*
 * distribution/push_v2.c - one tag to one registry: what goes with it, its manifests, and the record. Spec: push.md 3, 9, 10.
 *
 * Order (DESIGN 6): blobs, the manifests of an index by their digests, and last what goes under the tag. Whatever stops in between leaves
 * a tag that means what it meant.
 */
#include "davit/image_config.h"
#include "distribution/layer_read.h"
#include "distribution/push_private.h"
#include "distribution/registry_write.h"
#include "distribution/stored_tree.h"
#include "oci/manifest.h"
#include "oci/media_type.h"
#include "oci/reference.h"
#include "registry/call.h"
#include "registry/v2_blob.h"
#include "registry/v2_manifest.h"
#include "store/content_store.h"
#include "store/reference_store.h"
#include "util/log.h"
#include "util/str.h"

#include <inttypes.h>
#include <string.h>

#define DOCUMENTS_BYTES_MAX (32u << 20) /* of one push together: they are in memory (threats C3) */
#define BLOBS_MAX 65536

DV_DEFINE_AUTOPTR(davit_image_config, davit_image_config_free)

void dv_push_content_clear(dv_push_content *c)
{
    for (size_t i = 0; i < c->document_count; i++)
        davit_manifest_free(c->documents[i].manifest);
    free(c->documents);
    free(c->blobs);
    *c = (dv_push_content){0};
}

/* --- collecting ------------------------------------------------------------------------------------------------------ */

typedef struct collector {
    dv_push *push;
    dv_push_content *content;
    dv_stored_tree tree;
    size_t absent; /* images of an index that the store does not have */
} collector;

/* Takes the manifest over, also on failure. */
static int add_document(collector *c, davit_manifest *m, const davit_digest *digest, davit_error **err)
{
    dv_push_content *content = c->content;
    size_t size;
    davit_manifest_bytes(m, &size);
    content->document_bytes += size;
    dv_push_document *grown =
        content->document_bytes <= DOCUMENTS_BYTES_MAX
            ? dv_realloc_array(content->documents, content->document_count + 1, sizeof(*grown))
            : NULL;
    if (!grown) {
        davit_manifest_free(m);
        if (content->document_bytes > DOCUMENTS_BYTES_MAX)
            return dv_error_set(err, DAVIT_ETOOBIG, "index with more than %u MiB of manifests",
                                DOCUMENTS_BYTES_MAX >> 20);
        return dv_error_oom(err);
    }
    content->documents = grown;
    grown[content->document_count++] = (dv_push_document){.manifest = m, .digest = *digest};
    return 0;
}

static bool has_document(const dv_push_content *c, const davit_digest *digest)
{
    for (size_t i = 0; i < c->document_count; i++)
        if (davit_digest_equal(&c->documents[i].digest, digest))
            return true;
    return false;
}

/* id: the digest that the progress shows. */
static int add_blob(collector *c, const davit_descriptor *blob, const davit_digest *id, bool is_layer,
                    davit_error **err)
{
    dv_push_content *content = c->content;
    for (size_t i = 0; i < content->blob_count; i++)
        if (davit_digest_equal(&content->blobs[i].descriptor.digest, &blob->digest))
            return 0;
    if (content->blob_count == content->blob_capacity) {
        size_t capacity = content->blob_capacity ? 2 * content->blob_capacity : 16;
        dv_push_blob *grown =
            capacity <= BLOBS_MAX ? dv_realloc_array(content->blobs, capacity, sizeof(*grown)) : NULL;
        if (!grown)
            return capacity <= BLOBS_MAX ? dv_error_oom(err)
                                         : dv_error_set(err, DAVIT_ETOOBIG, "more than %d blobs", BLOBS_MAX);
        content->blobs = grown;
        content->blob_capacity = capacity;
    }
    dv_push_blob *b = &content->blobs[content->blob_count];
    *b = (dv_push_blob){.descriptor = *blob, .is_layer = is_layer};
    memcpy(b->id, davit_digest_hex(id), DV_PUSH_ID_MAX - 1);
    if (is_layer && dv_layer_is_foreign(blob->media_type)) {
        int r = c->push->options->flags & DAVIT_PUSH_SKIP_FOREIGN ? 0 : dv_stored_has(&c->tree, blob, err);
        if (r < 0)
            return r;
        b->skipped = r == 0; /* it need not be here (push.md 12) */
    }
    content->blob_count++;
    return 0;
}

/* The diff_ids of an image by its config, which the store has; none when they do not fit the layers. */
static davit_image_config *read_config(const dv_push *p, const davit_manifest *m, size_t layers)
{
    DV_AUTO(dv_buf) bytes = DV_BUF_INIT(DAVIT_IMAGE_CONFIG_MAX);
    DV_AUTOPTR(davit_image_config) config = NULL;
    size_t count = 0;
    if (dv_content_read(p->store, &davit_manifest_config(m)->digest, DAVIT_IMAGE_CONFIG_MAX, &bytes, NULL) <
            0 ||
        davit_image_config_parse(dv_buf_text(&bytes), bytes.size, &config, NULL) < 0)
        return NULL;
    davit_image_config_diff_ids(config, &count);
    return count == layers ? DV_STEAL(config) : NULL;
}

/* Top to bottom (push.md 3), then the config. */
static int add_image(collector *c, const davit_manifest *m, davit_error **err)
{
    size_t count, unused;
    const davit_descriptor *layers = davit_manifest_layers(m, &count);
    DV_AUTOPTR(davit_image_config) config = read_config(c->push, m, count);
    const davit_digest *ids = config ? davit_image_config_diff_ids(config, &unused) : NULL;
    int r = 0;
    for (size_t i = count; r == 0 && i > 0; i--)
        r = add_blob(c, &layers[i - 1], ids ? &ids[i - 1] : &layers[i - 1].digest, /* is_layer= */ true, err);
    const davit_descriptor *d = davit_manifest_config(m);
    return r < 0 ? r : add_blob(c, d, &d->digest, /* is_layer= */ false, err);
}

/* What an index lists and is no document. */
static int add_listed(collector *c, const davit_descriptor *blob, davit_error **err)
{
    dv_push_content *content = c->content;
    size_t before = content->blob_count;
    int r = add_blob(c, blob, &blob->digest, /* is_layer= */ false, err);
    if (content->blob_count > before)
        content->blobs[before].is_listed = true;
    return r;
}

static int add_tree(collector *c, const davit_descriptor *document, unsigned depth, davit_error **err);

/* The children of an index that are here whole; the others are counted. */
static int add_children(collector *c, const davit_manifest *index, unsigned depth, davit_error **err)
{
    size_t count;
    const davit_descriptor *entries = davit_manifest_entries(index, &count);
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        bool followed = dv_stored_is_followed(&entries[i]);
        r = followed ? dv_stored_is_complete(&c->tree, &entries[i], depth + 1, err)
                     : dv_stored_has(&c->tree, &entries[i], err);
        c->absent += r == 0;
        if (r == 1)
            r = followed ? add_tree(c, &entries[i], depth + 1, err) : add_listed(c, &entries[i], err);
    }
    return r;
}

/* What is listed before what lists. */
static int add_tree(collector *c, const davit_descriptor *document, unsigned depth, davit_error **err)
{
    DV_AUTOPTR(davit_manifest) m = NULL;
    if (has_document(c->content, &document->digest))
        return 0;
    int r = dv_stored_follow(&c->tree, depth, err);
    if (r == 0)
        r = dv_stored_manifest(c->push->store, &document->digest, document->media_type, &m, err);
    if (r == 0)
        r = davit_manifest_is_index(m) ? add_children(c, m, depth, err) : add_image(c, m, err);
    return r < 0 ? r : add_document(c, DV_STEAL(m), &document->digest, err);
}

/* --- which part of an index ------------------------------------------------------------------------------------------ */

static int no_platform(const davit_platform *platform, const davit_reference *ref, davit_error **err)
{
    char text[DAVIT_PLATFORM_TEXT_MAX];
    return dv_error_set(err, DAVIT_EPLATFORM, "%s: the store has no image for platform %s",
                        davit_reference_familiar(ref), davit_platform_format(platform, text));
}

/* Names of the images that are missing, as far as they fit into a line. */
static void name_absent(collector *c, const davit_manifest *index, dv_buf *out)
{
    char text[DAVIT_PLATFORM_TEXT_MAX];
    size_t count;
    const davit_descriptor *entries = davit_manifest_entries(index, &count);
    for (size_t i = 0; i < count && out->size < 400; i++) {
        bool followed = dv_stored_is_followed(&entries[i]);
        if ((followed ? dv_stored_is_complete(&c->tree, &entries[i], /* depth= */ 1, NULL)
                      : dv_stored_has(&c->tree, &entries[i], NULL)) != 0)
            continue;
        dv_buf_printf(out, "%s%s", out->size ? ", " : "",
                      entries[i].has_platform && dv_stored_is_image(&entries[i])
                          ? davit_platform_format(&entries[i].platform, text)
                          : entries[i].digest.text);
    }
}

/* The one child of the index that goes in its place: of the platform that is asked for, or the only one that is here (DESIGN 6). */
static int choose_child(collector *c, const davit_reference *ref, const davit_manifest *index,
                        davit_descriptor *out, davit_error **err)
{
    const davit_platform *wanted = c->push->options->platform;
    size_t count, here = 0, all = 0, found = 0;
    const davit_descriptor *entries = davit_manifest_entries(index, &count);
    for (size_t i = 0; i < count; i++) {
        if (!dv_stored_is_image(&entries[i]) ||
            (wanted && !(entries[i].has_platform && dv_stored_is_platform(&entries[i].platform, wanted))))
            continue;
        int r = dv_stored_is_complete(&c->tree, &entries[i], /* depth= */ 1, err);
        if (r < 0)
            return r;
        found = r && !(wanted && here) ? i : found;
        all++;
        here += (size_t)r;
    }
    if (here == 0)
        return wanted
                   ? no_platform(wanted, ref, err)
                   : dv_error_set(err, DAVIT_ENOTFOUND, "%s: none of the images of its index is in the store",
                                  davit_reference_familiar(ref));
    if (here > 1 && !wanted)
        return dv_error_set(err, DAVIT_EPLATFORM,
                            "%s: %zu of the %zu images of its index are in the store: choose one with a "
                            "platform, pull the others, or push the index sparse",
                            davit_reference_familiar(ref), here, all);
    *out = entries[found];
    return 0;
}

static int refuse_incomplete(collector *c, const davit_reference *ref, const davit_manifest *index,
                             davit_error **err)
{
    DV_AUTO(dv_buf) absent = DV_BUF_INIT(1024);
    name_absent(c, index, &absent);
    return dv_error_set(err, DAVIT_ENOTFOUND,
                        "%s: not all of its index is in the store: pull it with all platforms (missing: %s)",
                        davit_reference_familiar(ref), dv_buf_text(&absent));
}

static int collect_index(collector *c, const davit_reference *ref, const davit_manifest *index,
                         const davit_descriptor *target, davit_error **err)
{
    const davit_push_options *o = c->push->options;
    char text[DAVIT_PLATFORM_TEXT_MAX] = "one image";
    bool all = o->flags & DAVIT_PUSH_ALL_PLATFORMS;
    davit_descriptor child;
    int r = o->platform ? 0 : dv_stored_index_is_complete(&c->tree, index, /* depth= */ 0, err);
    if (r < 0)
        return r;
    if (r == 1 || (!o->platform && o->flags & DAVIT_PUSH_SPARSE)) {
        DV_AUTO(dv_buf) absent = DV_BUF_INIT(1024);
        r = add_tree(c, target, /* depth= */ 0, err);
        if (r == 0 && c->absent > 0 && all)
            return refuse_incomplete(c, ref, index, err);
        if (r == 0 && c->absent > 0) {
            name_absent(c, index, &absent);
            dv_push_warn(c->push, "%s: not in the store, and pushed without: %s",
                         davit_reference_familiar(ref), dv_buf_text(&absent));
        }
        return r;
    }
    if (all)
        return refuse_incomplete(c, ref, index, err);
    r = choose_child(c, ref, index, &child, err);
    if (r < 0)
        return r;
    if (child.has_platform)
        davit_platform_format(&child.platform, text);
    if (!o->platform) {
        DV_AUTO(dv_buf) absent = DV_BUF_INIT(1024);
        name_absent(c, index, &absent);
        dv_push_warn(
            c->push,
            "%s: only %s of its index is in the store, and is pushed without the index (missing: %s)",
            davit_reference_familiar(ref), text, dv_buf_text(&absent));
    }
    return add_tree(c, &child, /* depth= */ 1, err);
}

static int collect(dv_push *p, const davit_reference *ref, const davit_descriptor *target,
                   dv_push_content *out, davit_error **err)
{
    collector c = {.push = p, .content = out, .tree = {.store = p->store}};
    DV_AUTOPTR(davit_manifest) m = NULL;
    int r = dv_stored_manifest(p->store, &target->digest, target->media_type, &m, err);
    if (r < 0)
        return r;
    return davit_manifest_is_index(m) ? collect_index(&c, ref, m, target, err)
                                      : add_tree(&c, target, /* depth= */ 0, err);
}

/* From here on a prune leaves all of it alone. */
static int hold(dv_push *p, const dv_push_content *c, davit_error **err)
{
    size_t count = c->blob_count + c->document_count;
    DV_AUTOFREE davit_digest *digests = dv_new_array(davit_digest, count);
    if (!digests)
        return dv_error_oom(err);
    for (size_t i = 0; i < c->blob_count; i++)
        digests[i] = c->blobs[i].descriptor.digest;
    for (size_t i = 0; i < c->document_count; i++)
        digests[c->blob_count + i] = c->documents[i].digest;
    int r = p->lease ? 0 : dv_lease_open(p->store, &p->lease, err);
    return r < 0 ? r : dv_lease_add(p->lease, digests, count, err);
}

/* --- manifests ------------------------------------------------------------------------------------------------------- */

/* HEAD: 1 when the tag means this very manifest already; 0 when not, or when the registry does not say. */
static int tag_is(dv_registry *reg, const char *tag, const davit_digest *digest, davit_error **err)
{
    DV_AUTO(dv_buf) path = DV_BUF_INIT(DV_URL_MAX);
    DV_AUTO(dv_response) res = DV_RESPONSE_INIT;
    DV_AUTOPTR(davit_error) why = NULL;
    dv_buf_printf(&path, "v2/%s/manifests/%s", reg->path, tag);
    if (path.failed)
        return dv_error_oom(err);
    int r = dv_call_wait(
        reg, &(dv_call_spec){.method = "HEAD", .path = dv_buf_text(&path), .accept = dv_manifest_accept},
        &res, &why);
    if (r < 0 && davit_error_http_status(why) < 400)
        return dv_error_move(err, &why, r);
    const char *told = r < 0 ? NULL : dv_headers_get(&res.headers, "Docker-Content-Digest");
    return told && strcmp(told, digest->text) == 0;
}

/* What a question for one thing of the registry's came to: 1, 0 (also when it does not say), or negative. */
static int is_there(int r, davit_error *why, davit_error **err)
{
    if (r >= 0 || r == DAVIT_ENOTFOUND || davit_error_http_status(why) >= 400) {
        davit_error_free(why);
        return r >= 0 ? r : 0;
    }
    return dv_error_move(err, &why, r);
}

/*
 * Whether the registry has what the index under the tag lists, as far as it would be sent: some take an index without its images, so that its
 * tag proves nothing of them.
 */
static int has_listed(dv_registry *reg, const dv_push_content *c, davit_error **err)
{
    int r = 1;
    for (size_t i = 0; r == 1 && i + 1 < c->document_count; i++) {
        davit_error *why = NULL;
        r = dv_v2_manifest_exists(reg, c->documents[i].digest.text, &why);
        r = is_there(r, why, err);
    }
    for (size_t i = 0; r == 1 && i < c->blob_count; i++) {
        davit_error *why = NULL;
        uint64_t unused;
        if (!c->blobs[i].is_listed)
            continue;
        r = dv_v2_blob_head(reg, &c->blobs[i].descriptor.digest, &unused, &why);
        r = is_there(r < 0 ? r : 1, why, err);
    }
    return r;
}

int dv_push_put(dv_registry *reg, const char *name, const dv_push_document *d, davit_error **err)
{
    size_t size;
    const void *bytes = davit_manifest_bytes(d->manifest, &size);
    davit_digest unused;
    int r = dv_registry_put_document(reg, name, d->manifest, bytes, size,
                                     davit_manifest_media_type(d->manifest), &unused, err);
    if (r < 0 && err && *err && strcmp(davit_error_message(*err), "tag invalid") == 0)
        return dv_error_wrap(
            err, r,
            "[DEPRECATED] support for pushing manifest v2 schema1 images has been removed. More information "
            "at https://docs.docker.com/registry/spec/deprecated-schema-v1/");
    return r;
}

/* Those that are listed by their digests, the last under the tag. */
static int put_all(dv_registry *reg, const char *tag, const dv_push_content *c, davit_error **err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < c->document_count; i++) {
        bool last = i + 1 == c->document_count;
        r = dv_push_put(reg, last ? tag : c->documents[i].digest.text, &c->documents[i], err);
    }
    return r;
}

/* --- the record ------------------------------------------------------------------------------------------------------ */

/* name@digest is what the tag was pushed as. Another target of the same digest cannot be; a store that fails is a warning. */
static void remember(const dv_push *p, const davit_reference *ref, const dv_push_document *d)
{
    DV_AUTOPTR(davit_reference) digest_ref = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    size_t size;
    bool changed;
    davit_manifest_bytes(d->manifest, &size);
    const davit_descriptor target = {
        .media_type = davit_manifest_media_type(d->manifest), .digest = d->digest, .size = size};
    int r = davit_reference_with_digest(ref, d->digest.text, &digest_ref, &why);
    if (r == 0)
        r = dv_reference_store_add_digest(p->store, digest_ref, &target, &changed, &why);
    if (r < 0)
        dv_log(DAVIT_LOG_WARNING, "%s@%s is not recorded: %s", davit_reference_familiar_name(ref),
               d->digest.text, davit_error_message(why));
}

void dv_push_report(dv_push *p, const davit_reference *ref, const dv_push_document *d)
{
    DV_AUTO(dv_buf) aux = DV_BUF_INIT(4096);
    const char *tag = davit_reference_tag(ref);
    size_t size;
    davit_manifest_bytes(d->manifest, &size);
    dv_push_message(p, "%s: digest: %s size: %zu", tag, d->digest.text, size);
    if (p->store)
        remember(p, ref, d);
    dv_buf_printf(&aux, "{\"Tag\":\"%s\",\"Digest\":\"%s\",\"Size\":%zu}", tag, d->digest.text, size);
    if (p->options->progress)
        p->options->progress(&(davit_progress){.kind = DAVIT_PROGRESS_AUX, .aux_json = dv_buf_text(&aux)},
                             p->options->user_data);
    p->result.digest = d->digest;
    if (p->options->pushed)
        p->options->pushed(ref, &d->digest, size, p->options->user_data);
}

/* --- the whole ------------------------------------------------------------------------------------------------------- */

/* Nothing to do: what is under the tag needs all of it. */
static void count_present(dv_push *p, const dv_push_content *c)
{
    for (size_t i = 0; i < c->blob_count; i++) {
        const dv_push_blob *b = &c->blobs[i];
        if (b->is_layer)
            dv_push_tell(p, b->id, b->skipped ? "Skipped foreign layer" : "Layer already exists", NULL);
        p->result.present_count += !b->skipped;
        p->result.present_bytes += b->skipped ? 0 : b->descriptor.size;
    }
}

static int send_content(dv_push *p, dv_registry *reg, const davit_reference *ref, dv_push_content *c,
                        davit_error **err)
{
    const char *tag = davit_reference_tag(ref), *repository = davit_reference_name(ref);
    DV_AUTOPTR(davit_error) why = NULL;
    int r = dv_push_blobs(p, reg, repository, c, DV_PUSH_AS_USUAL, err);
    if (r < 0)
        return r;
    r = put_all(reg, tag, c, &why);
    if (r == 0 || !dv_v2_manifest_misses_blob(why))
        return r < 0 ? dv_error_move(err, &why, r) : 0;
    dv_log(DAVIT_LOG_INFO, "%s: %s; once more", davit_reference_familiar(ref), davit_error_message(why));
    r = dv_push_blobs(p, reg, repository, c, DV_PUSH_MISSING, err); /* quirks.md: a mount that lied */
    return r < 0 ? r : put_all(reg, tag, c, err);
}

int dv_push_reference(dv_push *p, dv_registry *reg, const davit_reference *ref,
                      const davit_descriptor *target, davit_error **err)
{
    DV_AUTO(dv_push_content) c = {0};
    int r = collect(p, ref, target, &c, err);
    if (r == 0)
        r = hold(p, &c, err);
    if (r < 0)
        return r;
    const dv_push_document *top = &c.documents[c.document_count - 1];
    r = tag_is(reg, davit_reference_tag(ref), &top->digest, err);
    if (r == 1)
        r = has_listed(reg, &c, err);
    if (r == 1)
        count_present(p, &c);
    else if (r == 0)
        r = send_content(p, reg, ref, &c, err);
    if (r >= 0)
        dv_push_report(p, ref, top);
    return r < 0 ? r : 0;
}

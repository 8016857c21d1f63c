/*
 * distribution/copy_referrers.c - what refers to a manifest: signatures, attestations, whatever has it as its subject, and the tags that are made of
 * its digest (registry-v2.md 8).
 *
 * Where the target does not keep the list by itself, the tag "sha256-<hex>" there gets what came; what it lists already stays.
 */
#include "distribution/copy_private.h"

#include "oci/index_build.h"
#include "oci/manifest.h"
#include "registry/v2_referrer.h"
#include "util/str.h"

#include <stdio.h>

#define REFERRERS_MAX 1024 /* of one manifest */
#define DEPTH_MAX 4        /* referrers of referrers */

/* Tags beside the list that tools make of a digest. */
static const char *const suffixes[] = {".sig", ".att", ".sbom"};

typedef struct found {
    davit_descriptor *items;
    size_t count;
    dv_digest_set seen;
    dv_text_pool texts;
} found;

static void found_clear(found *f)
{
    free(f->items);
    dv_digest_set_clear(&f->seen);
    dv_text_pool_clear(&f->texts);
}
DV_DEFINE_AUTO(found, found_clear)

static int add(void *user, const davit_descriptor *referrer, davit_error **err)
{
    found *f = user;
    int r = dv_digest_set_add(&f->seen, &referrer->digest, NULL, err);
    if (r <= 0)
        return r;
    if (f->count >= REFERRERS_MAX)
        return dv_error_set(err, DAVIT_ETOOBIG, "more than %d referrers", REFERRERS_MAX);
    davit_descriptor *grown = dv_realloc_array(f->items, f->count + 1, sizeof(*grown));
    if (grown)
        f->items = grown;
    const char *type = dv_text_pool_media_type(&f->texts, referrer->media_type);
    if (!grown || !type)
        return dv_error_oom(err);
    f->items[f->count] =
        (davit_descriptor){.media_type = type, .digest = referrer->digest, .size = referrer->size};
    f->count++;
    return 0;
}

/* --- the list at the target -------------------------------------------------------------------------------------------------------------- */

/* What the tag lists at the target now; *out stays NULL for nothing. */
static int read_list(dv_copy *c, const char *tag, davit_manifest **out, davit_error **err)
{
    DV_AUTOPTR(dv_source) there = NULL;
    DV_AUTOPTR(davit_error) why = NULL;
    davit_descriptor list;
    if (c->to.kind == DV_PLACE_OCI_ARCHIVE)
        return 0; /* written anew */
    int r = dv_source_open(c->client, &c->to, &there, &why);
    if (r == 0)
        r = there->ops->resolve(there, tag, &list, &why);
    if (r == DAVIT_ENOTFOUND)
        return 0;
    if (r == 0)
        r = dv_source_manifest(there, &list, out, &why);
    return r < 0 ? dv_error_move(err, &why, r) : 0;
}

static int add_entry(dv_copy *c, dv_index_edit *edit, const davit_descriptor *referrer, davit_error **err)
{
    DV_AUTOPTR(davit_manifest) m = NULL;
    dv_json *entry = NULL;
    if (dv_index_edit_find(edit, &referrer->digest) < dv_index_edit_count(edit))
        return 0;
    int r = dv_source_manifest(c->source, referrer, &m, err);
    if (r == 0)
        r = dv_index_entry_build(m, NULL, /* with_annotations= */ true, &entry, err);
    return r < 0 ? r : dv_index_edit_add(edit, entry, err);
}

static int put_list(dv_copy *c, const char *tag, davit_manifest *list, davit_error **err)
{
    size_t size;
    const void *bytes = davit_manifest_bytes(list, &size);
    dv_copy_document document = {.descriptor = {.media_type = davit_manifest_media_type(list),
                                                .digest = *davit_manifest_digest(list),
                                                .size = size},
                                 .bytes = bytes,
                                 .manifest = list};
    const dv_copy_plan plan = {.source = c->source, .documents = &document, .document_count = 1};
    int r = c->target->ops->put_document(c->target, &document, err);
    return r < 0 ? r : c->target->ops->tag(c->target, &plan, tag, err);
}

static int keep_list(dv_copy *c, const davit_digest *subject, const found *f, davit_error **err)
{
    DV_AUTOPTR(davit_manifest) old = NULL;
    DV_AUTOPTR(davit_manifest) list = NULL;
    DV_AUTOPTR(dv_index_edit) edit = NULL;
    char tag[DV_REFERRER_TAG_MAX + 1];
    dv_referrer_tag(subject, tag);
    int r = read_list(c, tag, &old, err);
    if (r == 0)
        r = dv_index_edit_new(old, &edit, err);
    for (size_t i = 0; r == 0 && i < f->count; i++)
        r = add_entry(c, edit, &f->items[i], err);
    if (r == 0)
        r = dv_index_edit_finish(edit, &list, err);
    if (r < 0 || (old && davit_digest_equal(davit_manifest_digest(old), davit_manifest_digest(list))))
        return r;
    return put_list(c, tag, list, err);
}

/* --- the copy ----------------------------------------------------------------------------------------------------------------------------- */

static int copy_of(dv_copy *c, const davit_digest *subject, unsigned depth, davit_error **err);

static int copy_found(dv_copy *c, const davit_digest *subject, const found *f, unsigned depth,
                      davit_error **err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < f->count; i++) {
        r = dv_copy_content(c, &f->items[i], err);
        if (r == 0)
            r = copy_of(c, &f->items[i].digest, depth + 1, err);
        c->result.referrer_count += r == 0;
    }
    if (r < 0 || f->count == 0 || c->options->flags & DAVIT_COPY_DRY_RUN)
        return r;
    return c->target->keeps_referrers ? 0 : keep_list(c, subject, f, err);
}

static int copy_of(dv_copy *c, const davit_digest *subject, unsigned depth, davit_error **err)
{
    DV_AUTO(found) f = {0};
    if (depth >= DEPTH_MAX)
        return 0;
    int r = c->source->ops->referrers(c->source, subject, add, &f, err);
    return r < 0 ? r : copy_found(c, subject, &f, depth, err);
}

/* A tag that is there is copied as any other name is. */
static int copy_tag(dv_copy *c, const char *tag, davit_error **err)
{
    DV_AUTOPTR(davit_error) why = NULL;
    davit_descriptor ignored;
    int r = c->source->ops->resolve(c->source, tag, &ignored, &why);
    if (r == DAVIT_ENOTFOUND)
        return 0;
    if (r < 0)
        return dv_error_move(err, &why, r);
    const davit_copy_options plain = {.version = DAVIT_COPY_OPTIONS_VERSION,
                                      .flags = c->options->flags & DAVIT_COPY_DRY_RUN,
                                      .progress = c->options->progress,
                                      .user_data = c->options->user_data};
    const davit_copy_options *usual = c->options;
    const davit_copy_result before = c->result;
    c->options = &plain;
    r = dv_copy_name(c, tag, tag, /* alone= */ false, err);
    c->options = usual;
    c->result.digest = before.digest;
    c->result.source_digest = before.source_digest;
    c->result.name_count = before.name_count;
    c->result.referrer_count += r == 0;
    return r;
}

int dv_copy_referrers(dv_copy *c, const davit_digest *subject, davit_error **err)
{
    char list[DV_REFERRER_TAG_MAX + 1], tag[DV_REFERRER_TAG_MAX + 8];
    if (c->target->one_name)
        return dv_error_set(err, DAVIT_EUNSUPPORTED, "%s%s has no room for referrers",
                            dv_place_prefix(c->to.kind), c->to.path);
    if (c->to.kind == DV_PLACE_STORE)
        return dv_error_set(err, DAVIT_EUNSUPPORTED, "the store keeps images only, and no referrers");
    int r = c->source->ops->referrers ? copy_of(c, subject, /* depth= */ 0, err) : 0;
    dv_referrer_tag(subject, list);
    for (size_t i = 0; r == 0 && c->source->ops->names && i < DV_COUNT(suffixes); i++) {
        snprintf(tag, sizeof(tag), "%s%s", list, suffixes[i]);
        r = copy_tag(c, tag, err);
    }
    return r;
}

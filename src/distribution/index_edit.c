/*
 * distribution/index_edit.c - davit_index_create(), _add() and _remove(): indexes put together of manifests that a repository has. Spec:
 * registry-v2.md 4; OCI image-spec 1.1, Image Index.
 *
 * The registry is read, the document changed in memory, and the tag moved last, if it still names what was read. Manifests are only
 * listed here: none is pushed, none deleted.
 */
#include "davit/artifact.h"

#include "distribution/document.h"
#include "distribution/registry_write.h"
#include "oci/index_build.h"
#include "oci/manifest.h"
#include "oci/media_type.h"

#include <string.h>

#define TRIES 6 /* at a tag that others move too */

/* --- entries ------------------------------------------------------------------------------------------------------------- */

static int refuse_twice(const dv_index_edit *e, size_t there, const davit_platform *platform,
                        const davit_digest *digest, davit_error **err)
{
    davit_descriptor d;
    char text[DAVIT_PLATFORM_TEXT_MAX];
    int r = dv_index_edit_read(e, there, &d, err);
    if (r < 0)
        return r;
    return dv_error_set(err, DAVIT_ECONFLICT, "two manifests for %s: %s and %s",
                        davit_platform_format(platform, text), d.digest.text, digest->text);
}

/* Takes the entry over. What is listed already stays where it is. */
static int add_entry(dv_index_edit *e, dv_json *entry, davit_error **err)
{
    davit_descriptor d;
    DV_AUTOPTR(dv_json) own = entry;
    DV_AUTO(dv_text_pool) pool = DV_TEXT_POOL_INIT;
    int r = dv_descriptor_parse(entry, "manifest", /* with_platform= */ true, &pool, &d, err);
    if (r < 0 || dv_index_edit_find(e, &d.digest) < dv_index_edit_count(e))
        return r;
    size_t there = d.has_platform ? dv_index_edit_find_platform(e, &d.platform) : dv_index_edit_count(e);
    if (there < dv_index_edit_count(e))
        return refuse_twice(e, there, &d.platform, &d.digest, err);
    return dv_index_edit_add(e, DV_STEAL(own), err);
}

static int add_children(dv_registry *reg, dv_index_edit *e, const davit_reference *source,
                        const davit_manifest *index, davit_error **err)
{
    DV_AUTOPTR(dv_index_edit) from = NULL;
    size_t count;
    const davit_descriptor *children = davit_manifest_entries(index, &count);
    int r = dv_index_edit_new(index, &from, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = dv_v2_manifest_exists(reg, children[i].digest.text, err);
        if (r == 0)
            return dv_error_set(err, DAVIT_ENOTFOUND, "%s lists %s, which is not in the repository",
                                davit_reference_familiar(source), children[i].digest.text);
        if (r < 0)
            return r;
        dv_json *entry = dv_json_copy(dv_index_edit_at(from, i));
        r = entry ? add_entry(e, entry, err) : dv_error_oom(err);
    }
    return r;
}

static int add_manifest(dv_registry *reg, dv_index_edit *e, const davit_manifest *m, davit_error **err)
{
    DV_AUTO(dv_buf) config = {0};
    dv_json *entry = NULL;
    const davit_descriptor *d = davit_manifest_config(m);
    bool is_image = dv_media_type_kind(d->media_type) == DV_MEDIA_CONFIG;
    int r = is_image ? dv_document_fetch_config(reg, d, &config, err) : 0;
    if (r == 0)
        r = dv_index_entry_build(m, is_image ? &config : NULL, /* with_annotations= */ false, &entry, err);
    return r < 0 ? r : add_entry(e, entry, err);
}

static int add_sources(dv_registry *reg, const davit_reference *ref, dv_index_edit *e,
                       const davit_reference *const *sources, size_t count, davit_error **err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        DV_AUTOPTR(davit_manifest) m = NULL;
        if (strcmp(davit_reference_name(sources[i]), davit_reference_name(ref)) != 0)
            return dv_error_set(err, DAVIT_EINVAL,
                                "%s is in another repository than the index: copy it to %s first",
                                davit_reference_familiar(sources[i]), davit_reference_familiar_name(ref));
        r = dv_registry_read_document(reg, sources[i], &m, err);
        if (r == 0)
            r = davit_manifest_is_index(m) ? add_children(reg, e, sources[i], m, err)
                                           : add_manifest(reg, e, m, err);
    }
    return r;
}

static int put(dv_registry *reg, const char *name, const davit_manifest *m, davit_digest *out_digest,
               davit_error **err)
{
    size_t size;
    const void *bytes = davit_manifest_bytes(m, &size);
    return dv_registry_put_document(reg, name, m, bytes, size, davit_manifest_media_type(m), out_digest, err);
}

/* --- create -------------------------------------------------------------------------------------------------------------- */

int davit_index_create(davit_client *client, const davit_reference *ref,
                       const davit_reference *const *sources, size_t source_count,
                       const davit_annotation *annotations, size_t annotation_count, davit_digest *out_digest,
                       davit_error **err)
{
    DV_AUTOPTR(dv_registry) reg = NULL;
    DV_AUTOPTR(dv_index_edit) e = NULL;
    DV_AUTOPTR(davit_manifest) m = NULL;
    if (davit_reference_digest_text(ref))
        return dv_error_set(err, DAVIT_EINVAL, "%s: a new index is pushed to a tag",
                            davit_reference_familiar(ref));
    if (source_count == 0)
        return dv_error_set(err, DAVIT_EINVAL, "an index needs a manifest");
    int r = dv_index_edit_new(NULL, &e, err);
    if (r == 0)
        r = dv_index_edit_annotate(e, annotations, annotation_count, err);
    if (r == 0)
        r = dv_registry_open_itself(client, ref, "pull,push", &reg, err);
    if (r == 0)
        r = add_sources(reg, ref, e, sources, source_count, err);
    if (r == 0)
        r = dv_index_edit_finish(e, &m, err);
    return r < 0 ? r : put(reg, dv_document_name(ref), m, out_digest, err);
}

/* --- change -------------------------------------------------------------------------------------------------------------- */

typedef struct change {
    const davit_reference *const *sources; /* to add */
    size_t source_count;
    const davit_index_selector *selectors; /* to remove */
    size_t selector_count;
} change;

static int remove_selected(dv_index_edit *e, const davit_index_selector *s, const davit_reference *ref,
                           davit_error **err)
{
    char platform[DAVIT_PLATFORM_TEXT_MAX];
    bool found = false;
    for (;;) {
        size_t i = s->digest ? dv_index_edit_find(e, s->digest) : dv_index_edit_find_platform(e, s->platform);
        if (i == dv_index_edit_count(e))
            break;
        int r = dv_index_edit_remove(e, i, err);
        if (r < 0)
            return r;
        found = true;
    }
    if (found)
        return 0;
    return dv_error_set(err, DAVIT_ENOTFOUND, "%s has no entry for %s", davit_reference_familiar(ref),
                        s->digest ? s->digest->text : davit_platform_format(s->platform, platform));
}

static int apply(dv_registry *reg, const davit_reference *ref, const change *c, dv_index_edit *e,
                 davit_error **err)
{
    int r = add_sources(reg, ref, e, c->sources, c->source_count, err);
    for (size_t i = 0; r == 0 && i < c->selector_count; i++)
        r = remove_selected(e, &c->selectors[i], ref, err);
    if (r == 0 && c->selector_count > 0 && dv_index_edit_count(e) == 0)
        r = dv_error_set(err, DAVIT_EINVAL, "nothing would be left of %s: delete it",
                         davit_reference_familiar(ref));
    return r;
}

/* Where the changed index goes: the tag of the reference; NULL: none, it has a digest alone. */
static const char *tag_of(const davit_reference *ref)
{
    const char *tag = davit_reference_tag(ref);
    return tag ? tag : davit_reference_digest_text(ref) ? NULL : "latest";
}

/* 1: the tag names this digest. */
static int is_current(dv_registry *reg, const char *tag, const davit_digest *digest, davit_error **err)
{
    DV_AUTO(dv_manifest_answer) now = DV_MANIFEST_ANSWER_INIT;
    int r = dv_v2_manifest_resolve(reg, tag, &now, err);
    return r < 0 ? r : davit_digest_equal(&now.digest, digest);
}

/* 1: done; 0: the tag was moved meanwhile. */
static int try_change(dv_registry *reg, const davit_reference *ref, const change *c, davit_digest *out_digest,
                      davit_error **err)
{
    const char *tag = tag_of(ref);
    DV_AUTOPTR(davit_manifest) before = NULL;
    DV_AUTOPTR(davit_manifest) after = NULL;
    DV_AUTOPTR(dv_index_edit) e = NULL;
    int r = dv_registry_read_document(reg, ref, &before, err);
    if (r == 0)
        r = dv_index_edit_new(before, &e, err);
    if (r == DAVIT_EINVAL)
        dv_error_wrap(err, r, "%s", davit_reference_familiar(ref));
    if (r == 0)
        r = apply(reg, ref, c, e, err);
    if (r == 0)
        r = dv_index_edit_finish(e, &after, err);
    if (r < 0)
        return r;
    const davit_digest *digest = davit_manifest_digest(after);
    if (tag) {
        r = is_current(reg, tag, davit_manifest_digest(before), err);
        if (r <= 0)
            return r;
    }
    if (davit_digest_equal(digest, davit_manifest_digest(before))) {
        *out_digest = *digest; /* nothing to add that was not there */
        return 1;
    }
    r = put(reg, tag ? tag : digest->text, after, out_digest, err);
    return r < 0 ? r : 1;
}

static int change_index(davit_client *client, const davit_reference *ref, const change *c,
                        davit_digest *out_digest, davit_error **err)
{
    DV_AUTOPTR(dv_registry) reg = NULL;
    int r = dv_registry_open_itself(client, ref, "pull,push", &reg, err);
    for (unsigned tries = 0; r == 0 && tries < TRIES; tries++) {
        r = try_change(reg, ref, c, out_digest, err);
        if (r != 0)
            return r < 0 ? r : 0;
        if (davit_reference_digest_text(ref))
            return dv_error_set(err, DAVIT_ECONFLICT, "%s: the tag does not name that digest",
                                davit_reference_familiar(ref));
    }
    return r < 0 ? r
                 : dv_error_set(err, DAVIT_ECONFLICT, "others keep moving %s", davit_reference_familiar(ref));
}

int davit_index_add(davit_client *client, const davit_reference *ref, const davit_reference *const *sources,
                    size_t source_count, davit_digest *out_digest, davit_error **err)
{
    if (source_count == 0)
        return dv_error_set(err, DAVIT_EINVAL, "there is nothing to add");
    return change_index(client, ref, &(change){.sources = sources, .source_count = source_count}, out_digest,
                        err);
}

int davit_index_remove(davit_client *client, const davit_reference *ref,
                       const davit_index_selector *selectors, size_t selector_count, davit_digest *out_digest,
                       davit_error **err)
{
    if (selector_count == 0)
        return dv_error_set(err, DAVIT_EINVAL, "there is nothing to remove");
    return change_index(client, ref, &(change){.selectors = selectors, .selector_count = selector_count},
                        out_digest, err);
}
